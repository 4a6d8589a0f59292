package zab_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// calm lets everything that is on its way arrive, without time passing.
func (f *fuzz) calm() {
	for range 1000 {
		if !f.round() {
			return
		}
	}
	f.t.Fatalf("the ensemble does not come to rest")
}

// round does everything that can be done, once, and reports whether there was anything.
func (f *fuzz) round() bool {
	busy := false
	for _, n := range f.nodes {
		n.settle()
		if len(n.queue) > 0 && !n.idle() {
			n.sync(len(n.queue), true)
			busy = true
		}
		for len(n.streams) > 0 {
			n.stream(0, 100)
			busy = true
		}
		f.reply(n)
		if n.staging() {
			n.verify(true)
			busy = true
		}
		n.settle()
		for l := n.link; l != nil && l.open && len(l.toLeader) > 0; busy = true {
			l.deliverToLeader()
		}
		for l := n.link; l != nil && l.open && len(l.toLearner) > 0; busy = true {
			l.deliverToLearner()
		}
		n.settle()
	}
	return busy
}

// heal elects the best server that a quorum trusts, with everybody present, and requires that
// all end with one history that holds everything committed (I4, L1, L2, L3).
func (f *fuzz) heal() {
	for range 8 {
		f.gossip()
		var fit []*node
		for _, n := range f.nodes {
			if n.voter() && n.membership().HasQuorum(f.trusting(n)) && !n.disk.untrusted {
				fit = append(fit, n)
			}
		}
		if len(fit) == 0 {
			f.t.Fatalf("nobody is trusted by a quorum: %s", f.state())
		}
		f.start(slices.MaxFunc(fit, recency), f.nodes)
		for tick := 0; tick < 12; tick++ {
			f.calm()
			for _, n := range f.nodes {
				if !n.idle() {
					n.role().Tick()
				}
			}
			for _, n := range f.nodes {
				if n.idle() { // dropped once, for instance to be sent a snapshot
					if l := f.leader(); l != nil && l != n {
						n.follow(l)
					}
				}
			}
		}
		if f.converged() {
			return
		}
	}
	f.t.Fatalf("the ensemble does not converge: %s", f.state())
}

// gossip ends all roles and tells every server the newest configuration that any of them knows
// to be committed, as the notifications of an election do.
func (f *fuzz) gossip() {
	newest := f.ens
	for _, n := range f.nodes {
		n.end("election")
		if c := n.membership().Committed; c.Version() > newest.Version() {
			newest = c
		}
	}
	for _, n := range f.nodes {
		n.hear(newest)
	}
}

// hear adopts a configuration that another server knows to be committed.
func (n *node) hear(c *quorum.Ensemble) {
	m := n.membership()
	if m.Committed.Version() >= c.Version() {
		return
	}
	next := quorum.Stable(c)
	if m.Seen.Version() > c.Version() {
		next.Seen = m.Seen
	}
	n.disk.membership = next
	n.view = n.disk.clone()
}

// trusting returns the voters, as n knows them, that trust it and that it trusts.
func (f *fuzz) trusting(n *node) quorum.Set {
	s := quorum.SetOf(n.sid)
	for _, o := range f.nodes {
		if n.membership().Voters().Has(o.sid) && !stranger(o, n) && !stranger(n, o) {
			s.Add(o.sid)
		}
	}
	return s
}

func stranger(to, n *node) bool {
	for _, k := range to.disk.known {
		if k.SID == n.sid && !k.Gone && k.Incarnation != n.disk.incarnation {
			return true
		}
	}
	return false
}

func (f *fuzz) leader() *node {
	for _, n := range f.nodes {
		if n.leader != nil {
			return n
		}
	}
	return nil
}

// converged proposes one more transaction and sees whether it arrives everywhere.
func (f *fuzz) converged() bool {
	l := f.leader()
	if l == nil || l.leader.Phase() != zab.Broadcast {
		return false
	}
	l.propose("last")
	f.calm()
	for _, n := range f.nodes {
		if n.idle() || n.role().Phase() != zab.Broadcast || n.applied() != l.applied() || n.disk.last() != l.disk.last() {
			return false
		}
	}
	return len(l.tree) == len(f.committed) && l.applied().ID == l.leader.LastProposed()
}

func (f *fuzz) state() string {
	var b strings.Builder
	for _, n := range f.nodes {
		fmt.Fprintf(&b, "\n  %s life=%v known=%s", n, n.disk.incarnation, formatKnown(n.disk.known))
	}
	return b.String()
}

func (n *node) String() string {
	phase, name := "-", "idle"
	switch {
	case n.leader != nil:
		name, phase = "leader", n.leader.Phase().String()
	case n.learner != nil:
		name, phase = "learner of "+n.link.leader.sid.String(), n.learner.Phase().String()
	}
	line := fmt.Sprintf("%v: %s %s promise=%d current=%d history=%v applied=%v", n.sid, name, phase,
		n.disk.promise.Epoch, n.disk.current, n.disk.summary(), n.applied().ID)
	if m := n.disk.membership; !m.IsZero() {
		line += " membership=" + formatMembership(m)
	}
	return line
}
