package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// memoryEnd is one end of a link. It uses the queue of a real one for its budget and its waiters.
// Everything but the link is guarded by Memory.mu.
type memoryEnd struct {
	*link
	node  *MemoryNode
	other *memoryEnd // nil until the link is up
	// goodbye: the end was closed and the other side has not heard of it.
	goodbye bool
}

// linksInOrder returns the ids of all ends, ascending.
func (h *Memory) linksInOrder() []uint64 { return slices.Sorted(maps.Keys(h.ends)) }

func (h *Memory) newEnd(n *MemoryNode, remote quorum.SID) *memoryEnd {
	h.nextID++
	e := &memoryEnd{link: newLink(h.nextID, remote), node: n}
	h.ends[e.id] = e
	return e
}

// Connect is Transport.Connect.
func (n *MemoryNode) Connect(leader quorum.SID) (link uint64) {
	h := n.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.newEnd(n, leader)
	h.establish(e)
	return e.id
}

// establish opens a link that Connect asked for, or lets it wait.
func (h *Memory) establish(e *memoryEnd) {
	self := e.node.cfg.Self
	switch {
	case e.reason() != nil:
		return
	case self == e.peer || h.nodes[self] != e.node || !h.open(self, e.peer) || !h.open(e.peer, self),
		!e.node.members.SIDs().Has(e.peer), !h.nodes[e.peer].admits(self):
		h.waiting = append(h.waiting, e)
		return
	}
	target := h.nodes[e.peer]
	for _, id := range h.linksInOrder() { // a learner has one link to a leader
		if old := h.ends[id]; old != nil && old.node == target && old.peer == self && old.inbound() {
			h.end(old.other, io.EOF)
			h.end(old, ErrReplaced)
		}
	}
	e.other = h.newEnd(target, self)
	e.other.other = e
	e.node.post(memoryEvent{kind: memoryLinkUp, end: e, sid: e.peer})
	target.post(memoryEvent{kind: memoryLinkUp, end: e.other, sid: self})
	h.flush(e)
}

// admits reports whether a server may connect to this one. The caller holds hub.mu.
func (n *MemoryNode) admits(sid quorum.SID) bool { return n.cfg.Strangers || n.members.SIDs().Has(sid) }

// inbound reports whether the other side asked for the link: its end was made first.
func (e *memoryEnd) inbound() bool { return e.other != nil && e.other.id < e.id }

// Hangup is Transport.Hangup.
func (n *MemoryNode) Hangup(link uint64) {
	h := n.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.ends[link]; e != nil && e.node == n {
		h.shut(e, ErrHungUp)
	}
}

// shut closes an end from its own side; the other side hears of it when it can.
func (h *Memory) shut(e *memoryEnd, why error) {
	e.goodbye = e.other != nil
	h.end(e, why)
	h.flush(e)
}

// end closes one end. Its handler hears of that, unless it hung up or the link was never up.
func (h *Memory) end(e *memoryEnd, why error) {
	if e.reason() != nil {
		return
	}
	e.close(why)
	if !e.goodbye {
		delete(h.ends, e.id)
	}
	if e.other != nil && !errors.Is(why, ErrHungUp) {
		e.node.post(memoryEvent{kind: memoryLinkDown, end: e, err: why})
	}
}

// flush moves what an end has sent, or that it was closed, to the other side.
func (h *Memory) flush(e *memoryEnd) {
	if e.other == nil || !h.open(e.node.cfg.Self, e.peer) {
		return
	}
	if e.goodbye {
		e.goodbye = false
		delete(h.ends, e.id)
		h.end(e.other, io.EOF)
		return
	}
	e.mu.Lock()
	batch := e.queue
	e.queue = nil
	e.mu.Unlock()
	if len(batch) == 0 || e.other.reason() != nil {
		return
	}
	ev := memoryEvent{kind: memoryReceived, end: e.other}
	for i := range batch {
		m, err := peerwire.DecodeMessage(peerwire.AppendMessage(nil, &batch[i].m))
		if err != nil {
			panic(fmt.Sprintf("transport: server %v sent a message that nobody can read: %v", e.node.cfg.Self, err))
		}
		ev.msgs = append(ev.msgs, m)
		ev.bytes += batch[i].cost
	}
	e.other.node.post(ev)
}

// delivered gives the bytes of messages that a handler has taken back to the end that sent them.
func (h *Memory) delivered(from *memoryEnd, bytes int) { from.sent(bytes, from.node.cfg.StreamBytes) }

// hungUp reports whether the events of an end are of no interest any more.
func (h *Memory) hungUp(e *memoryEnd) bool { return errors.Is(e.reason(), ErrHungUp) }

// Send is Transport.Send.
func (n *MemoryNode) Send(link uint64, msgs []zab.Message) {
	h := n.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.ends[link]
	if e == nil || e.node != n {
		return
	}
	n.send(e, msgs)
}

// send queues messages and moves them on. The caller holds hub.mu.
func (n *MemoryNode) send(e *memoryEnd, msgs []zab.Message) {
	if full := e.enqueue(n.cfg.Self, msgs); full > n.cfg.QueueBytes {
		n.hub.shut(e, ErrQueueFull)
		return
	}
	n.hub.flush(e)
}

// SendWait is Transport.SendWait.
func (n *MemoryNode) SendWait(ctx context.Context, link uint64, msgs []zab.Message) error {
	h := n.hub
	h.mu.Lock()
	e := h.ends[link]
	h.mu.Unlock()
	if e == nil || e.node != n {
		return ErrNoLink
	}
	if err := e.await(ctx, n.cfg.StreamBytes); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := e.reason(); err != nil {
		return err
	}
	n.send(e, msgs)
	return nil
}
