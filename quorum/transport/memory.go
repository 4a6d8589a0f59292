package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// ErrReset is what Memory.Reset does to links, and a node that stops.
var ErrReset = errors.New("transport: connection reset")

// Memory is the network of an ensemble inside one process, for tests: its nodes have the methods of
// Transport and keep its promises to handlers, without sockets, timers or waiting. What is sent goes through
// peerwire, so that nothing is shared between servers. It does not compare identities.
//
// A blocked direction behaves like TCP whose packets are lost: what is sent waits, nothing is reported
// on links, and a side that hangs up is not heard; election connections, which have heartbeats, are lost
// at once when either direction is blocked, and come back when both are open.
//
// All methods are safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	nodes   map[quorum.SID]*MemoryNode // those that run
	blocked map[direction]bool
	talking map[direction]bool // from < to: there is an election connection
	ends    map[uint64]*memoryEnd
	waiting []*memoryEnd // asked for by Connect and not up yet, oldest first
	nextID  uint64
}

// direction is one way between two servers.
type direction struct{ from, to quorum.SID }

// MemoryNode is one server's access to a Memory: a twin of Transport.
type MemoryNode struct {
	hub         *Memory
	cfg         Config
	incarnation quorum.Incarnation

	// The rest is guarded by hub.mu.
	members quorum.Membership
	talks   quorum.Set            // with whom this server wants an election connection
	said    map[quorum.SID][]byte // the last notification to each server, encoded
	inbox   []memoryEvent
	wake    chan struct{}
}

// memoryEvent is something to tell a node's handler.
type memoryEvent struct {
	kind  memoryEventKind
	sid   quorum.SID
	up    bool
	other quorum.Incarnation
	note  fle.Notification
	end   *memoryEnd
	msgs  []zab.Message
	bytes int // to be given back to the sender
	err   error
}

type memoryEventKind uint8

const (
	memoryNotified memoryEventKind = iota
	memoryReachable
	memoryLinkUp
	memoryReceived
	memoryLinkDown
)

// NewMemory returns a network without nodes.
func NewMemory() *Memory {
	return &Memory{
		nodes: make(map[quorum.SID]*MemoryNode), blocked: make(map[direction]bool),
		talking: make(map[direction]bool), ends: make(map[uint64]*memoryEnd),
	}
}

// Node makes a node for the server cfg.Self. Of cfg only Self, Membership, Own, Strangers, Identity,
// Handler and the sizes of queues are used; addresses mean nothing here. It takes part while its Run runs; a server that restarts is a new node.
func (h *Memory) Node(cfg Config) (*MemoryNode, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &MemoryNode{
		hub: h, cfg: cfg, members: cfg.Membership, talks: cfg.Membership.Partners(cfg.Self),
		said: make(map[quorum.SID][]byte), wake: make(chan struct{}, 1),
	}, nil
}

// SetMembers is Transport.SetMembers.
func (n *MemoryNode) SetMembers(m quorum.Membership) {
	h := n.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.members.Equal(m) {
		return
	}
	n.members, n.talks = m, m.Partners(n.cfg.Self)
	h.settle()
	for sid := range n.said {
		if !n.talks.Has(sid) && !h.talking[pair(n.cfg.Self, sid)] {
			delete(n.said, sid)
		}
	}
}

// Run takes part in the network until ctx ends; then all of the node's connections are reset,
// which its own handler does not hear.
// It fails if a node of the same server runs already.
func (n *MemoryNode) Run(ctx context.Context) error {
	_, incarnation := n.cfg.Identity()
	h := n.hub
	h.mu.Lock()
	if h.nodes[n.cfg.Self] != nil {
		h.mu.Unlock()
		return fmt.Errorf("transport: server %v runs already", n.cfg.Self)
	}
	n.incarnation = incarnation
	h.nodes[n.cfg.Self] = n
	h.settle()
	h.mu.Unlock()

	for ctx.Err() == nil {
		h.mu.Lock()
		batch := n.inbox
		n.inbox = nil
		h.mu.Unlock()
		for i := range batch {
			n.deliver(&batch[i])
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-n.wake:
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for sid := range h.running().All() {
		h.reset(n.cfg.Self, sid)
	}
	for _, e := range h.waiting {
		if e.node == n {
			h.end(e, ErrStopped)
		}
	}
	delete(h.nodes, n.cfg.Self)
	h.settle()
	return nil
}

// deliver calls the handler, without a lock.
func (n *MemoryNode) deliver(e *memoryEvent) {
	handler := n.cfg.Handler
	if e.end != nil && n.hub.hungUp(e.end) {
		return
	}
	switch e.kind {
	case memoryNotified:
		handler.Notified(e.note)
	case memoryReachable:
		handler.Reachable(e.sid, e.up, e.other)
	case memoryLinkUp:
		handler.LinkUp(e.end.id, e.sid)
	case memoryReceived:
		handler.Received(e.end.id, e.msgs)
		n.hub.delivered(e.end.other, e.bytes)
	case memoryLinkDown:
		handler.LinkDown(e.end.id, e.err)
	}
}

// post queues an event. The caller holds hub.mu.
func (n *MemoryNode) post(e memoryEvent) {
	n.inbox = append(n.inbox, e)
	signal(n.wake)
}

// Notify is Transport.Notify.
func (n *MemoryNode) Notify(note fle.Notification) {
	self, to := n.cfg.Self, note.To
	note.From = self
	h := n.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	connected := h.nodes[self] == n && h.talking[pair(self, to)]
	if !connected && !n.talks.Has(to) {
		return
	}
	n.said[to] = peerwire.AppendNotification(nil, &note)
	if connected {
		h.say(n, to)
	}
}

// say delivers the last notification of a node to a server that it has a connection with, in place of
// one that has not been delivered yet.
func (h *Memory) say(from *MemoryNode, to quorum.SID) {
	if from.said[to] == nil {
		return
	}
	note, err := peerwire.DecodeNotification(from.said[to])
	if err != nil {
		panic(fmt.Sprintf("transport: server %v sent a notification that nobody can read: %v", from.cfg.Self, err))
	}
	target := h.nodes[to]
	for i := range target.inbox {
		if e := &target.inbox[i]; e.kind == memoryNotified && e.note.From == from.cfg.Self {
			e.note = note
			return
		}
	}
	target.post(memoryEvent{kind: memoryNotified, note: note})
}

// Block makes everything that from sends to to wait.
func (h *Memory) Block(from, to quorum.SID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocked[direction{from, to}] = true
	h.settle()
}

// Unblock ends Block.
func (h *Memory) Unblock(from, to quorum.SID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.blocked, direction{from, to})
	h.settle()
}

// Partition blocks both directions between every server of a and every one of b.
func (h *Memory) Partition(a, b quorum.Set) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for x := range a.All() {
		for y := range b.All() {
			h.blocked[direction{x, y}], h.blocked[direction{y, x}] = true, true
		}
	}
	h.settle()
}

// Heal unblocks everything.
func (h *Memory) Heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.blocked)
	h.settle()
}

// Reset breaks every connection between two servers, even through a partition, as a RST would.
func (h *Memory) Reset(a, b quorum.SID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reset(a, b)
	h.settle()
}

// reset is Reset for a caller that holds mu and calls settle.
func (h *Memory) reset(a, b quorum.SID) {
	if h.talking[pair(a, b)] {
		h.hear(pair(a, b), false)
	}
	for _, id := range h.linksInOrder() {
		if e := h.ends[id]; e != nil && e.other != nil && pair(e.node.cfg.Self, e.peer) == pair(a, b) {
			h.end(e, ErrReset)
			h.end(e.other, ErrReset)
		}
	}
}

func pair(a, b quorum.SID) direction { return direction{min(a, b), max(a, b)} }

// open reports whether a message can go from one server to another now.
func (h *Memory) open(from, to quorum.SID) bool {
	return h.nodes[from] != nil && h.nodes[to] != nil && !h.blocked[direction{from, to}]
}

// running returns the servers that run. The caller holds mu.
func (h *Memory) running() quorum.Set {
	var all quorum.Set
	for sid := range h.nodes {
		all.Add(sid)
	}
	return all
}

// talk reports whether two servers that run have an election connection if nothing is blocked: one wants
// it, and the other does, too, or takes it from a stranger.
func (h *Memory) talk(a, b quorum.SID) bool {
	x, y := h.nodes[a], h.nodes[b]
	there, back := x.talks.Has(b), y.talks.Has(a)
	return there && (back || y.cfg.Strangers) || back && x.cfg.Strangers
}

// settle brings connections in line with who runs, who knows whom and what is blocked, in order of
// sids. The caller holds mu.
func (h *Memory) settle() {
	all := h.running()
	for d := range h.talking {
		all = all.Or(quorum.SetOf(d.from, d.to))
	}
	for a := range all.All() {
		for b := range all.All() {
			if a >= b {
				continue
			}
			if now := h.open(a, b) && h.open(b, a) && h.talk(a, b); now != h.talking[direction{a, b}] {
				h.hear(direction{a, b}, now)
			}
		}
	}
	waiting := h.waiting
	h.waiting = nil
	for _, e := range waiting {
		h.establish(e)
	}
	for _, id := range h.linksInOrder() {
		if e := h.ends[id]; e != nil {
			h.flush(e)
		}
	}
}

// hear makes or breaks the election connection between two servers.
func (h *Memory) hear(d direction, up bool) {
	a, b := h.nodes[d.from], h.nodes[d.to]
	if up {
		h.talking[d] = true
	} else {
		delete(h.talking, d)
	}
	for _, ends := range [...]struct{ n, other *MemoryNode }{{a, b}, {b, a}} {
		if ends.n == nil {
			continue
		}
		e := memoryEvent{kind: memoryReachable, sid: d.from + d.to - ends.n.cfg.Self, up: up}
		if ends.other != nil {
			e.other = ends.other.incarnation
		}
		ends.n.post(e)
		if !up && !ends.n.talks.Has(e.sid) {
			delete(ends.n.said, e.sid) // a stranger that comes again is another one
		}
	}
	if up {
		h.say(a, d.to)
		h.say(b, d.from)
	}
}
