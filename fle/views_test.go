package fle_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// elector is a server of TestElectionSettlesInAnyView: its election, and as much of what drives one as
// decides whether it ends. The times are those of package peer, in ticks of 10 ms.
type elector struct {
	*fle.Machine
	self  quorum.SID
	last  zxid.ID
	view  quorum.Membership
	alive bool

	outcome  *fle.Outcome
	patience int // tick at which it looks again, if nothing comes of the outcome
	failures int // to lead, in a row
}

func (e *elector) own() fle.Vote { return fle.Vote{Leader: e.self, Zxid: e.last, Epoch: 1} }

func (e *elector) look() {
	e.outcome = nil
	e.Look(e.own())
}

// electorate is a handful of servers that know of different configurations.
type electorate struct {
	servers   []*elector // by sid; none is 0
	committed *quorum.Ensemble
	reached   map[[2]quorum.SID]bool
	now       int
}

// The versions of the three configurations that there may be: one after the other is proposed and committed.
const (
	firstConfig  = zxid.ID(0x100000001)
	secondConfig = zxid.ID(0x100000010)
	thirdConfig  = zxid.ID(0x100000020)
)

// drawElectorate makes servers with one history, which some hold more of than others, and with what
// they know of the configurations in it. Who holds none of it has not been told of later ones either: it could not
// pass that on (hearsay, of whichever ensemble), and while the only other server that knew is gone, its vote is missing
// to those that hold to what was before. t.Skip, here and in the property, discards a draw that is no electorate and has
// another one made in its place: no test is skipped by it, and too many such draws fail it.
func drawElectorate(t *rapid.T) *electorate {
	n := rapid.IntRange(1, 5).Draw(t, "servers")
	config := func(version zxid.ID) *quorum.Ensemble {
		var members []quorum.Member
		for sid := quorum.SID(1); int(sid) <= n; sid++ {
			m := quorum.Member{SID: sid, Quorum: []quorum.HostPorts{{Host: fmt.Sprintf("s%d", sid), QuorumPort: 2888, ElectionPort: 3888}}}
			switch rapid.IntRange(0, 5).Draw(t, "role") {
			case 0:
				continue
			case 1:
				m.Role = quorum.Observer
			}
			members = append(members, m)
		}
		var groups []quorum.Group
		if rapid.IntRange(0, 2).Draw(t, "weights") == 0 {
			groups = drawGroups(t, members)
		}
		e, err := quorum.NewEnsemble(version, members, groups...)
		if err != nil || e.Voters().Len() == 0 {
			t.Skip("no quorum")
		}
		return e
	}
	configs := []*quorum.Ensemble{config(firstConfig), config(secondConfig), config(thirdConfig)}
	proposed := rapid.IntRange(0, 2).Draw(t, "proposed")
	committed := proposed
	if proposed > 0 {
		committed -= rapid.IntRange(0, 1).Draw(t, "pending")
	}
	w := &electorate{servers: make([]*elector, n+1), committed: configs[committed], reached: map[[2]quorum.SID]bool{}}
	var holders quorum.Set // of the committed configuration
	for sid := 1; sid <= n; sid++ {
		e := &elector{self: quorum.SID(sid), alive: rapid.IntRange(0, 4).Draw(t, "alive") > 0}
		w.servers[sid] = e
		if rapid.IntRange(0, 9).Draw(t, "empty") > 0 {
			held := rapid.IntRange(0, proposed).Draw(t, "held")
			e.last = configs[held].Version() + zxid.ID(rapid.IntRange(0, 2).Draw(t, "behind"))
		}
		known := 0
		for i, c := range configs[:proposed+1] {
			if e.last >= c.Version() {
				known = i
			}
		}
		if known >= committed {
			holders.Add(e.self)
		}
		e.view = quorum.Stable(configs[known])
		if known > 0 && (known > committed || rapid.Bool().Draw(t, "saw no commit")) {
			e.view.Committed = configs[known-1]
		}
		if told := rapid.IntRange(known, max(known, committed)).Draw(t, "told of"); told > known && e.last > 0 {
			e.view = e.view.Learn(configs[told])
		}
	}
	for _, c := range configs[max(committed-1, 0) : committed+1] {
		if !c.Verifier().HasQuorum(holders) {
			t.Skip("not committed")
		}
	}
	return w
}

// drawGroups shares the voters out to two groups.
func drawGroups(t *rapid.T, members []quorum.Member) []quorum.Group {
	groups := []quorum.Group{{ID: 1}, {ID: 2}}
	for _, m := range members {
		if m.Role == quorum.Participant {
			g := &groups[rapid.IntRange(0, 1).Draw(t, "group")]
			g.Servers = append(g.Servers, quorum.Weighted{SID: m.SID, Weight: rapid.IntRange(0, 2).Draw(t, "weight")})
		}
	}
	return slices.DeleteFunc(groups, func(g quorum.Group) bool { return len(g.Servers) == 0 })
}

// led returns the server that a quorum follows, or nil.
func (w *electorate) led() *elector {
	for _, e := range w.servers[1:] {
		if e.alive && e.outcome != nil && e.outcome.State == fle.Leading && e.view.HasQuorum(w.followers(e)) {
			return e
		}
	}
	return nil
}

func (w *electorate) followers(leader *elector) quorum.Set {
	var s quorum.Set
	for _, e := range w.servers[1:] {
		if e.alive && e.outcome != nil && e.outcome.Vote.Leader == leader.self {
			s.Add(e.self)
		}
	}
	return s
}

// hopeful returns somebody who can lead: a quorum of its configurations is there, also when it has heard which one
// is committed, and nobody of those who stand for election has more than it.
func (w *electorate) hopeful() *elector {
	var there quorum.Set
	var most zxid.ID
	for _, e := range w.servers[1:] {
		if e.alive {
			there.Add(e.self)
			if e.view.Voters().Has(e.self) {
				most = max(most, e.last)
			}
		}
	}
	can := func(e *elector, view quorum.Membership) bool {
		return view.Weight(e.self) > 0 && view.HasQuorum(there.And(view.Voters()))
	}
	for _, e := range w.servers[1:] {
		later := e.view
		if later.Committed.Version() < w.committed.Version() {
			later = later.Learn(w.committed)
		}
		if e.alive && e.last == most && can(e, e.view) && can(e, later) {
			return e
		}
	}
	return nil
}

// connect tells servers of each other that have a connection, as one of them wants it.
func (w *electorate) connect() {
	for _, a := range w.servers[1:] {
		for sid := range a.view.Partners(a.self).All() {
			b := w.servers[sid]
			key := [2]quorum.SID{min(a.self, b.self), max(a.self, b.self)}
			if a.alive && b.alive && !w.reached[key] {
				w.reached[key] = true
				a.Reach(b.self, true)
				b.Reach(a.self, true)
			}
		}
	}
}

// tick lets 10 ms go by. What a server says arrives at once, or with the next tick.
func (w *electorate) tick(t *rapid.T) {
	w.now++
	w.connect()
	for _, e := range w.servers[1:] {
		if !e.alive {
			continue
		}
		e.Tick()
		w.drive(t, e)
		if e.outcome == nil {
			continue
		}
		switch over := w.now > e.patience; {
		case e.outcome.State != fle.Leading:
			l := w.servers[e.outcome.Vote.Leader]
			if leads := l.alive && l.outcome != nil && l.outcome.State == fle.Leading; over && !leads {
				e.look()
			}
		case e.view.HasQuorum(w.followers(e)):
		case over:
			if e.failures++; e.failures >= 2 {
				e.Abstain(20 + rapid.IntRange(0, 20*e.failures).Draw(t, "abstains"))
			}
			e.look()
		}
	}
}

// drive carries out what an election wants.
func (w *electorate) drive(t *rapid.T, e *elector) {
	for {
		rd := e.Ready()
		for _, n := range rd.Messages {
			to := w.servers[n.To]
			if e.last == 0 {
				n.Config, n.Pending = nil, nil // it knows of them by hearsay
			}
			if to.alive && w.reached[[2]quorum.SID{min(n.From, n.To), max(n.From, n.To)}] {
				to.Step(n)
			}
		}
		if rd.Newer == nil || e.outcome != nil {
			if rd.Outcome != nil {
				e.outcome, e.patience = rd.Outcome, w.now+100+rapid.IntRange(0, 10).Draw(t, "late")
				if e.outcome.State == fle.Leading {
					e.patience += 100
				}
			}
			return
		}
		e.view = e.view.Learn(rd.Newer)
		e.Reconfigure(e.view)
		w.connect()
		e.look()
	}
}

// Whatever each server knows of the configurations, and however often each has looked before: if somebody can
// lead, somebody is elected by a quorum within a minute of a quiet network (hazards H-82, H-83; L1).
func TestElectionSettlesInAnyView(t *testing.T) {
	const minute = 6000
	rapid.Check(t, func(t *rapid.T) {
		w := drawElectorate(t)
		hopeful := w.hopeful()
		if hopeful == nil {
			t.Skip("nobody can lead")
		}
		for _, e := range w.servers[1:] {
			e.Machine = fle.New(fle.Config{
				Self: e.self, Membership: e.view, FinalizeTicks: 20, MinNotifyTicks: 20, MaxNotifyTicks: 500, CutOffTicks: 100,
			})
			for range rapid.IntRange(1, 3).Draw(t, "looks") {
				e.look()
			}
		}
		for w.now < minute {
			if w.tick(t); w.led() != nil {
				return
			}
		}
		for _, e := range w.servers[1:] {
			t.Logf("server %v, alive %v: last %v, committed %v of %v, seen %v of %v: %v, round %d, vote %v",
				e.self, e.alive, e.last, e.view.Committed.Version(), e.view.Committed.Voters(), e.view.Seen.Version(), e.view.Seen.Voters(),
				e.State(), e.Round(), e.Vote())
		}
		t.Fatalf("nobody leads, though %v can", hopeful.self)
	})
}
