package zab_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// reconfigActions are what happens to an ensemble whose members change.
var reconfigActions = append(slices.Clone(actions),
	action{6, "reconfigure", (*fuzz).reconfigure},
	action{4, "inherit", (*fuzz).inherit},
	action{2, "gossip", (*fuzz).tellOne},
)

// reconfigure proposes a random membership at a leader, one server more or less at times and
// anything at all at others.
func (f *fuzz) reconfigure() {
	n := f.pick("leader", func(n *node) bool { return n.leader != nil && n.leader.CanPropose() })
	if n == nil {
		return
	}
	now := n.leader.Membership().Seen
	voters, observers := now.Voters(), now.Observers()
	for k := f.n(1, 3, "changes"); k > 0; k-- {
		sid := f.nodes[f.n(0, len(f.nodes)-1, "server")].sid
		voters.Remove(sid)
		observers.Remove(sid)
		switch f.n(0, 4, "role") {
		case 0:
		case 1:
			observers.Add(sid)
		default:
			voters.Add(sid)
		}
	}
	if voters.Len() == 0 {
		return
	}
	next := ensemble(slices.Collect(voters.All()), slices.Collect(observers.All()))
	switch err := n.reconfigure(next); {
	case err == nil:
		f.trace("%v: reconfigures to %v and observers %v", n.sid, voters, observers)
		f.seen("reconfig proposed")
	case errors.Is(err, zab.ErrReconfigInProgress), errors.Is(err, zab.ErrNewConfigNoQuorum):
		f.seen(err.Error()[:len("zab: no quorum")])
	default:
		f.t.Fatalf("reconfigure %v: %v", n.sid, err)
	}
	f.some(n)
}

// inherit lets a server act on the heir that its last role named.
func (f *fuzz) inherit() {
	n := f.pick("heir", func(n *node) bool { return n.idle() && n.heir != quorum.None })
	if n == nil {
		return
	}
	heir := n.heir
	n.heir = quorum.None
	switch {
	case heir == n.sid:
		n.lead()
		f.seen("inherited")
	case f.node(heir).leader != nil:
		n.follow(f.node(heir))
	default:
		return
	}
	n.settle()
}

// tellOne lets one server that is looking hear what another one knows.
func (f *fuzz) tellOne() {
	n := f.pick("looking", (*node).idle)
	if n != nil {
		n.hear(f.nodes[f.n(0, len(f.nodes)-1, "from")].membership().Committed)
	}
}

// electAnyone makes a random set of servers follow one of them that believes to be a voter.
func (f *fuzz) electAnyone() {
	var electors []*node
	for _, n := range f.nodes {
		if f.n(0, 3, "present") > 0 {
			electors = append(electors, n)
		}
	}
	candidates := slices.DeleteFunc(slices.Clone(electors), func(n *node) bool { return !n.voter() })
	if len(candidates) == 0 {
		return
	}
	best := slices.MaxFunc(candidates, recency)
	if f.n(0, 6, "wrong") == 0 {
		best = candidates[f.n(0, len(candidates)-1, "which")]
	}
	f.start(best, electors)
}

// runReconfig is one life of an ensemble of three that two servers want to join: 4 as a voter, 5
// as an observer. Their files say so; the files of the others know nothing of them.
func runReconfig(rt *rapid.T, limits zab.Limits, seen map[string]int) {
	f := &fuzz{rt: rt, counts: seen}
	three := []quorum.SID{1, 2, 3}
	f.world = newWorld(rt, ensemble(three, nil))
	f.join(4, ensemble([]quorum.SID{1, 2, 3, 4}, nil))
	f.join(5, ensemble(three, []quorum.SID{5}))
	f.trace = func(format string, args ...any) { rt.Logf(format, args...) }
	f.cfg, f.honest = zab.Config{InitTicks: 40, SyncTicks: 20, Limits: limits, Versioned: true}, true
	f.cfg.DeliverDurable = rapid.Bool().Draw(rt, "deliverDurable")
	var bag []int
	for i, a := range reconfigActions {
		for range a.weight {
			bag = append(bag, i)
		}
	}
	// Until a configuration is established, that of a joiner's file is as good as any other.
	f.start(f.node(3), f.nodes)
	f.calm()
	for range f.n(0, 800, "length") {
		a := reconfigActions[bag[f.n(0, len(bag)-1, "action")]]
		f.trace("# %s", a.name)
		if a.name == "elect" {
			f.electAnyone()
		} else {
			a.do(f)
		}
	}
	f.heal()
	f.count(seen)
	for _, n := range f.nodes {
		if got := n.membership(); got.Pending() || got.Committed.String() != f.inForce.String() {
			rt.Fatalf("server %v ends with %s, in force is %v", n.sid, formatMembership(got), f.inForce.Voters())
		}
	}
}

// TestReconfigurations: whole ensembles whose members come, go and change roles under random
// schedules, with everything that TestEnsembles does to them: no two leaders of an epoch, nothing
// committed without quorums of both configurations, nothing lost, and in the end all agree on
// history and membership (hazards H-79, H-80, H-81, H-82, H-86; invariants I16, I19).
func TestReconfigurations(t *testing.T) {
	small := zab.Limits{WindowEntries: 3, WindowBytes: 1 << 20, MaxDiff: 6, MessageBytes: 200, StageBytes: 1 << 20}
	seen := make(map[string]int)
	for name, limits := range map[string]zab.Limits{"wide": {}, "small": small} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { runReconfig(rt, limits, seen) })
		})
	}
	t.Log(seen)
	for _, k := range []string{"reconfig proposed", "in force", "inherited", "has left the ensemble", "zab: no quorum", "zab: a reconfi", "is observer now", "is participant now", "needs the vote"} {
		if seen[k] == 0 && seen["lives"] >= 1000 {
			t.Errorf("%d lives, and never %q: the schedules are too tame", seen["lives"], k)
		}
	}
}

func (f *fuzz) seen(what string) { f.counts[strings.TrimSpace(what)]++ }
