package zab_test

import (
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// checkEstablished holds I1, I8 and I10 of spec hazards 12 when an epoch begins.
func (w *world) checkEstablished(n *node) {
	e := n.leader.Epoch()
	if other := w.established[e]; other != nil {
		w.t.Fatalf("epoch %d is established by %v and by %v [I1]", e, other.sid, n.sid)
	}
	w.established[e] = n
	if n.disk.promise.Epoch != e || n.disk.current != e {
		w.t.Fatalf("leader %v of epoch %d has promised %d and accepted %d [I1]", n.sid, e, n.disk.promise.Epoch, n.disk.current)
	}
	last := len(w.committed) - 1
	if last >= 0 && (n.view.len() <= last || n.view.at(last) != w.committed[last]) {
		w.t.Fatalf("leader %v of epoch %d lacks the committed %v, its history ends at %v [I10]",
			n.sid, e, w.committed[last], n.view.last())
	}
}

// checkCommit holds I2, I4, I5 and I16: what is delivered is what everybody else delivers
// at that place, and a quorum of voters has had it on stable storage.
func (w *world) checkCommit(n *node, i int, p zxid.Point) {
	if i < len(w.committed) {
		if w.committed[i] != p {
			w.t.Fatalf("server %v delivers %v where %v was committed [I2]", n.sid, p, w.committed[i])
		}
		return
	}
	force := quorum.Stable(w.inForce)
	if next := w.reconfigs[p]; next != nil {
		force.Seen = next
	}
	if holders := w.held[p]; !force.HasQuorum(holders) {
		w.t.Fatalf("server %v delivers %v, which only %v ever had on disk, of %s [I13 I16]", n.sid, p, holders, formatMembership(force))
	}
	w.inForce = force.Seen
	w.committed = append(w.committed, p)
}

// checkDisk holds I12 and R3.
func (w *world) checkDisk(n *node, d *disk) {
	if d.current > d.promise.Epoch || d.last().ID.Epoch() > d.current {
		w.t.Fatalf("server %v: history to %v, current epoch %d, promise %d [R3]", n.sid, d.last().ID, d.current, d.promise.Epoch)
	}
	if d.current < n.disk.current || d.promise.Epoch < n.disk.promise.Epoch {
		w.t.Fatalf("server %v: epochs went back from (%d, %d) to (%d, %d) [I12]",
			n.sid, n.disk.promise.Epoch, n.disk.current, d.promise.Epoch, d.current)
	}
	if m := d.membership; !m.IsZero() {
		was := n.disk.membership
		if !was.IsZero() && m.Committed.Version() < was.Committed.Version() || m.Seen.Version() < m.Committed.Version() {
			w.t.Fatalf("server %v: configurations went back from %s to %s [I19]", n.sid, formatMembership(was), formatMembership(m))
		}
		if m.Pending() && m.Seen.Version() > d.last().ID && m.Seen.Version().Counter() > 0 {
			w.t.Fatalf("server %v has seen configuration %v and holds history to %v [I19]", n.sid, m.Seen.Version(), d.last().ID)
		}
	}
	for i, e := range d.entries {
		prev := d.base()
		if i > 0 {
			prev = d.entries[i-1].Point()
		}
		if err := e.Check(prev); err != nil {
			w.t.Fatalf("server %v: its log is broken: %v [R1]", n.sid, err)
		}
	}
}

// checkPromise holds I13: whoever speaks about the disk speaks the truth.
func (n *node) checkPromise(m zab.Message) {
	ok := true
	switch d := n.disk; m.Kind {
	case zab.LeaderInfo:
		ok = d.promise == zab.Promise{Epoch: m.Epoch, Leader: n.sid}
	case zab.AckEpoch:
		ok = d.promise.Epoch >= m.Epoch && (d.promise == zab.Promise{Epoch: m.Epoch, Leader: m.To} || !m.Fresh) && d.current == m.Current && d.last() == m.History.Last()
	case zab.Ack:
		ok = d.current == m.Epoch && (d.promise.Epoch == m.Epoch || !n.voter()) && (m.Zxid.Counter() == 0 || d.holds(m.Zxid))
	default:
	}
	if !ok {
		n.w.t.Fatalf("server %v says %s; on disk: promise %v, epoch %d, history to %v [I13]",
			n.sid, formatMessage(m), n.disk.promise, n.disk.current, n.disk.last())
	}
}

// note records what a disk holds now.
func (w *world) note(n *node) {
	for i := n.disk.len() - 1; i >= 0; i-- {
		p := n.disk.at(i)
		s := w.held[p]
		if s.Has(n.sid) {
			break
		}
		s.Add(n.sid)
		w.held[p] = s
	}
}

// checkEvent holds I17 where nobody speaks but roles: nothing is out of place, nothing is
// missing or doubled in a stream, and histories never contradict each other.
func (n *node) checkEvent(e zab.Event) {
	if !n.w.honest {
		return
	}
	for _, bad := range []string{"protocol error", "cannot follow", "received ends at", "history ends at", "histories differ", "stream ended"} {
		if strings.Contains(e.Text, bad) {
			n.w.t.Fatalf("server %v: %s [I17]", n.sid, formatEvent(e))
		}
	}
	if e.Kind == zab.EventDivergence {
		n.w.t.Fatalf("server %v: %s [I2]", n.sid, formatEvent(e))
	}
}

// checkAnswer holds that who has the answer to a Sync has everything that was committed anywhere
// when it was asked for, whoever else leads by now (hazard H-63).
func (n *node) checkAnswer(m zab.Message) {
	committed, err := strconv.Atoi(string(m.Data))
	if m.Kind != zab.Sync || err != nil {
		return // of a script
	}
	n.w.answered++
	if len(n.tree) < committed {
		n.w.t.Fatalf("server %v: %d transactions were committed when a sync was asked for; the answer came at %v, behind %d of them [H-63]",
			n.sid, committed, n.applied(), len(n.tree))
	}
}
