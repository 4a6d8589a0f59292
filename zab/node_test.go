package zab_test

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// settle works off what the role wants.
func (n *node) settle() {
	if n.idle() {
		return
	}
	var rd zab.Ready
	var err error
	if n.leader != nil {
		rd, err = n.leader.Ready(), n.leader.Check()
	} else {
		rd, err = n.learner.Ready(), n.learner.Check()
	}
	if err != nil {
		n.w.t.Fatalf("server %v: invariant broken: %v", n.sid, err)
	}
	n.work(rd)
}

func (n *node) work(rd zab.Ready) {
	for _, e := range rd.Events {
		n.w.trace("%v: %s", n.sid, formatEvent(e))
		n.events = append(n.events, e)
		n.checkEvent(e)
	}
	n.checkPhase()
	n.submit(rd.Persist)
	for _, m := range rd.Messages {
		n.w.trace("%v: -> %v %s", n.sid, m.To, formatMessage(m))
		n.checkPromise(m)
		if n.learner != nil {
			n.link.toLeader = append(n.link.toLeader, m)
		} else if l := n.links[m.To]; l != nil {
			l.toLearner = append(l.toLearner, m)
		}
	}
	for _, sid := range rd.Drop {
		n.w.trace("%v: drop %v", n.sid, sid)
		if l := n.links[sid]; l != nil {
			l.close()
		}
	}
	for _, s := range rd.Streams {
		n.w.trace("%v: %s", n.sid, formatStream(s))
		if l := n.links[s.To]; l != nil {
			n.streams = append(n.streams, &transfer{Stream: s, link: l, pos: s.From})
		}
	}
	if len(rd.Stage) > 0 {
		n.w.trace("%v: stage %s", n.sid, formatEntries(rd.Stage))
		n.staged = append(n.staged, rd.Stage...)
	}
	if rd.Commit != 0 {
		n.w.trace("%v: commit %v", n.sid, rd.Commit)
		n.apply(rd.Commit)
	}
	for _, m := range rd.Deliver {
		n.w.trace("%v: deliver %v %q", n.sid, m.Kind, m.Data)
		n.answers = append(n.answers, m)
		n.checkAnswer(m)
	}
	for _, m := range rd.Requests {
		n.w.trace("%v: request of %v: %v %q", n.sid, m.From, m.Kind, m.Data)
		n.requests = append(n.requests, m)
	}
	n.checkStopped()
}

// checkPhase notes establishment.
func (n *node) checkPhase() {
	before := n.phase
	n.phase = n.role().Phase()
	if n.leader != nil && before != zab.Broadcast && n.phase == zab.Broadcast {
		n.w.checkEstablished(n)
	}
}

func (n *node) checkStopped() {
	if n.idle() || n.role().Phase() != zab.Stopped {
		return
	}
	n.end("stopped")
}

type role interface {
	Phase() zab.Phase
	Epoch() zxid.Epoch
	Tick()
	Persisted(uint64)
}

func (n *node) role() role {
	if n.leader != nil {
		return n.leader
	}
	return n.learner
}

// submit queues a step for the disk.
func (n *node) submit(p *zab.Persist) {
	if p == nil {
		return
	}
	n.w.trace("%v: persist %s", n.sid, formatPersist(p))
	q := write{step: p}
	if p.Install != nil {
		if !n.verified {
			n.w.t.Fatalf("server %v installs a snapshot that is not staged", n.sid)
		}
		q.snap, q.staged = n.snapshot, n.staged
		n.staged = nil
	}
	if p.Truncate != nil && p.Truncate.ID < n.applied().ID {
		n.w.t.Fatalf("server %v cuts to %v what it applied up to %v [I11]", n.sid, p.Truncate.ID, n.applied().ID)
	}
	n.queue = append(n.queue, q)
	n.view.write(p, q.snap, q.staged)
	n.w.checkDisk(n, n.view)
}

// sync makes the first k queued steps durable and, if told so, lets the role know.
func (n *node) sync(k int, tell bool) {
	if k == 0 {
		return
	}
	for _, q := range n.queue[:k] {
		n.disk.write(q.step, q.snap, q.staged)
		if q.step.Install != nil {
			n.tree = slices.Clone(q.snap)
			n.flushed = len(n.tree)
		}
	}
	token := n.queue[k-1].step.Token
	n.queue = slices.Clone(n.queue[k:])
	n.w.note(n)
	if tell {
		n.role().Persisted(token)
	}
}

// apply brings the tree to what is committed.
func (n *node) apply(to zxid.ID) {
	for n.applied().ID < to {
		i := len(n.tree)
		if i >= n.view.len() {
			n.w.t.Fatalf("server %v is to commit %v, its history ends at %v", n.sid, to, n.view.last().ID)
		}
		p := n.view.at(i)
		n.w.checkCommit(n, i, p)
		n.tree = append(n.tree, p)
	}
}

// stream sends one piece of a transfer; at most max entries.
func (n *node) stream(i, maxEntries int) {
	s := n.streams[i]
	done := func() { n.streams = slices.Delete(n.streams, i, i+1) }
	push := func(m zab.Message) {
		m.From, m.To, m.Epoch = n.sid, s.To, s.Epoch
		s.link.toLearner = append(s.link.toLearner, m)
	}
	if s.Snapshot {
		push(zab.Message{Kind: zab.Snap, Point: n.applied()})
		push(encodeSnapshot(n.tree))
		done()
		n.leader.StreamDone(s.To, n.applied())
		return
	}
	entries, ok := n.disk.read(s.pos, s.UpTo)
	if !ok || len(entries) == 0 {
		done()
		n.leader.StreamFailed(s.To)
		return
	}
	entries = entries[:min(len(entries), maxEntries)]
	push(zab.Message{Kind: zab.Proposal, Entries: entries})
	last := entries[len(entries)-1]
	s.pos = last.ID
	if s.pos == s.UpTo {
		done()
		n.leader.StreamDone(s.To, last.Point())
	}
}

// propose orders transactions at a leader.
func (n *node) propose(txns ...string) {
	first := n.leader.Next()
	prev := n.leader.LastProposed()
	data := make([][]byte, len(txns))
	for i, s := range txns {
		data[i] = []byte(s)
	}
	if err := n.leader.Propose(first, data); err != nil {
		n.w.t.Fatalf("server %v: propose %v after %v: %v", n.sid, first, prev, err)
	}
}

// reconfigure orders a reconfiguration at a leader.
func (n *node) reconfigure(next *quorum.Ensemble) error {
	first := n.leader.Next()
	if err := n.leader.CheckReconfig(next); err != nil {
		return err
	}
	if err := n.leader.ProposeReconfig(first, []byte(next.String()), next); err != nil {
		return err
	}
	for _, e := range n.leader.Proposed() {
		n.w.reconfigs[e.Point()] = next.WithVersion(first)
	}
	return nil
}

// encodeSnapshot puts the points of a tree where the bytes of a snapshot would be.
func encodeSnapshot(tree []zxid.Point) zab.Message {
	m := zab.Message{Kind: zab.SnapChunk, Done: true}
	for _, p := range tree {
		m.Entries = append(m.Entries, zab.Entry{ID: p.ID, Hash: p.Hash})
	}
	return m
}

func decodeSnapshot(m zab.Message) []zxid.Point {
	tree := []zxid.Point{}
	for _, e := range m.Entries {
		tree = append(tree, e.Point())
	}
	return tree
}
