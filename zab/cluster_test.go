package zab_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// fuzz drives a world by random choices.
type fuzz struct {
	*world
	rt    *rapid.T
	names int // transactions proposed
	// counts adds up what happened, over lives.
	counts map[string]int
}

// n draws a number of lo..hi, all equally likely: rapid's own ranges prefer small
// numbers, which would make for short and uniform lives.
func (f *fuzz) n(lo, hi int, what string) int {
	x := rapid.Uint64().Draw(f.rt, what) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return lo + int((x^x>>31)%uint64(hi-lo+1))
}

// pick draws one of the nodes that satisfy a condition, nil if none does.
func (f *fuzz) pick(what string, ok func(*node) bool) *node {
	var some []*node
	for _, n := range f.nodes {
		if ok(n) {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[f.n(0, len(some)-1, what)]
}

// links returns the open links, by learner.
func (f *fuzz) links(ok func(*link) bool) []*link {
	var out []*link
	for _, n := range f.nodes {
		if n.link != nil && n.link.open && ok(n.link) {
			out = append(out, n.link)
		}
	}
	return out
}

// some settles a server now, or leaves it for later so that inputs pile up.
func (f *fuzz) some(n *node) {
	if f.n(0, 3, "settle") > 0 {
		n.settle()
	}
}

type action struct {
	weight int
	name   string
	do     func(*fuzz)
}

var actions = []action{
	{30, "toLearner", (*fuzz).toLearner},
	{30, "toLeader", (*fuzz).toLeader},
	{14, "sync", (*fuzz).sync},
	{10, "propose", (*fuzz).propose},
	{8, "stream", (*fuzz).stream},
	{4, "verify", (*fuzz).verify},
	{6, "settle", func(f *fuzz) { f.pick("node", func(n *node) bool { return !n.idle() }).settleIf() }},
	{3, "rejoin", (*fuzz).rejoin},
	{3, "tick", (*fuzz).tick},
	{1, "wait", (*fuzz).wait},
	{2, "elect", (*fuzz).elect},
	{2, "flush", (*fuzz).flush},
	{1, "crash", (*fuzz).crash},
	{1, "disconnect", (*fuzz).disconnect},
	{1, "calm", (*fuzz).calm},
	{1, "calm and trim", func(f *fuzz) { f.flush(); f.trim() }},
	{1, "wipe", (*fuzz).wipe},
	{10, "ask", (*fuzz).ask},
	{1, "coup", (*fuzz).coup},
}

func (n *node) settleIf() {
	if n != nil {
		n.settle()
	}
}

func (f *fuzz) toLearner() {
	ls := f.links(func(l *link) bool { return len(l.toLearner) > 0 })
	if len(ls) == 0 {
		return
	}
	l := ls[f.n(0, len(ls)-1, "link")]
	for k := f.n(1, 4, "messages"); k > 0 && l.open && len(l.toLearner) > 0; k-- {
		l.deliverToLearner()
	}
	f.some(l.learner)
}

func (f *fuzz) toLeader() {
	ls := f.links(func(l *link) bool { return len(l.toLeader) > 0 })
	if len(ls) == 0 {
		return
	}
	l := ls[f.n(0, len(ls)-1, "link")]
	for k := f.n(1, 4, "messages"); k > 0 && l.open && len(l.toLeader) > 0; k-- {
		l.deliverToLeader()
	}
	f.some(l.leader)
}

func (f *fuzz) sync() {
	if n := f.pick("node", func(n *node) bool { return len(n.queue) > 0 }); n != nil {
		n.sync(f.n(1, len(n.queue), "steps"), true)
		f.some(n)
	}
}

func (f *fuzz) propose() {
	n := f.pick("leader", func(n *node) bool { return n.leader != nil && n.leader.CanPropose() })
	if n == nil {
		return
	}
	var txns []string
	for range f.n(1, 3, "txns") {
		f.names++
		txns = append(txns, fmt.Sprintf("%v-%d", n.sid, f.names))
	}
	n.propose(txns...)
	f.some(n)
}

func (f *fuzz) stream() {
	if n := f.pick("leader", func(n *node) bool { return len(n.streams) > 0 }); n != nil {
		n.stream(f.n(0, len(n.streams)-1, "stream"), f.n(1, 3, "entries"))
		f.some(n)
	}
}

// verify ends the verification of a snapshot, at times with a bad result.
func (f *fuzz) verify() {
	if n := f.pick("learner", (*node).staging); n != nil {
		n.verify(f.n(0, 9, "bad") > 0)
		f.some(n)
	}
}

func (f *fuzz) tick() {
	if n := f.pick("node", func(n *node) bool { return !n.idle() }); n != nil {
		n.role().Tick()
		f.some(n)
	}
}

// wait lets much time pass at one server, while the others are slow: it gives up.
func (f *fuzz) wait() {
	n := f.pick("node", func(n *node) bool { return !n.idle() })
	for k := f.n(1, 60, "ticks"); k > 0 && n != nil && !n.idle(); k-- {
		n.role().Tick()
		n.settle()
	}
}

// rejoin lets a server follow one that leads, whether or not it should.
func (f *fuzz) rejoin() {
	l := f.pick("leader", func(n *node) bool { return n.leader != nil })
	n := f.pick("idle", (*node).idle)
	if l != nil && n != nil {
		n.follow(l)
		n.settle()
	}
}

// elect makes a random majority choose a leader: mostly the best, as an election
// does, at times another, as an election must not.
func (f *fuzz) elect() {
	var voters, rest []*node
	for _, n := range f.nodes {
		if n.voter() {
			voters = append(voters, n)
		} else {
			rest = append(rest, n)
		}
	}
	electors := slices.Clone(voters)
	for size := f.n(len(voters)/2+1, len(voters), "size"); len(electors) > size; {
		i := f.n(0, len(electors)-1, "absent")
		electors = slices.Delete(electors, i, i+1)
	}
	best := slices.MaxFunc(electors, recency)
	if f.n(0, 6, "wrong") == 0 {
		best = electors[f.n(0, len(electors)-1, "which")]
	}
	f.start(best, append(slices.Clone(electors), rest...))
}

// recency is the order of votes.
func recency(a, b *node) int {
	return cmp.Or(cmp.Compare(a.disk.current, b.disk.current), cmp.Compare(a.view.last().ID, b.view.last().ID), cmp.Compare(a.sid, b.sid))
}

func (f *fuzz) start(leader *node, members []*node) {
	for _, n := range members {
		n.end("election")
	}
	leader.lead()
	leader.settle()
	for _, n := range members {
		if n != leader {
			n.follow(leader)
			n.settle()
		}
	}
}

func (f *fuzz) crash() {
	if n := f.pick("node", func(*node) bool { return true }); n != nil {
		n.crash(f.n(0, len(n.queue), "written"))
	}
}

func (f *fuzz) disconnect() {
	if ls := f.links(func(*link) bool { return true }); len(ls) > 0 {
		ls[f.n(0, len(ls)-1, "link")].close()
	}
}

// flush makes a part of some tree survive crashes, as far as the log is durable.
func (f *fuzz) flush() {
	if n := f.pick("node", func(n *node) bool { return len(n.tree) > n.flushed }); n != nil {
		k := f.n(n.flushed+1, len(n.tree), "flushed")
		for k > 0 && n.tree[k-1].ID > n.disk.last().ID {
			k--
		}
		n.flushed = max(n.flushed, k)
	}
}

// trim cuts the beginning of a log, below what the tree would recover to and below what any
// transfer reads.
func (f *fuzz) trim() {
	n := f.pick("node", func(n *node) bool { return n.flushed > len(n.disk.below) && len(n.queue) == 0 })
	if n == nil {
		return
	}
	to := n.tree[f.n(len(n.disk.below), n.flushed-1, "base")]
	for _, s := range n.streams {
		to.ID = min(to.ID, s.pos)
	}
	n.disk.trim(to.ID)
	n.view.trim(to.ID)
	if n.leader != nil {
		n.leader.Trimmed(n.disk.base())
	}
}

// doubts reports whether anybody remembers another life of any server.
func (f *fuzz) doubts() bool {
	for _, a := range f.nodes {
		for _, k := range a.disk.known {
			if !k.Gone && f.node(k.SID).disk.incarnation != k.Incarnation {
				return true
			}
		}
	}
	return false
}

// wipe takes the store of a voter whom every other voter remembers: that memory is what
// the design relies on.
func (f *fuzz) wipe() {
	// Of fewer than three voters none may lose its disk.
	small := slices.ContainsFunc(f.nodes, func(n *node) bool {
		m := n.membership()
		if n.leader != nil {
			m = n.leader.Membership()
		}
		return min(m.Committed.Voters().Len(), m.Seen.Voters().Len()) < 3
	})
	if small || f.doubts() {
		return
	}
	n := f.pick("victim", func(n *node) bool {
		if !n.voter() {
			return false
		}
		for _, o := range f.nodes {
			if o.voter() && o != n && !o.remembers(n) {
				return false
			}
		}
		return true
	})
	if n != nil {
		n.wipe()
	}
}

func (n *node) remembers(o *node) bool {
	return slices.ContainsFunc(n.disk.known, func(k zab.Known) bool { return k.SID == o.sid && k.Incarnation == o.disk.incarnation })
}

// ask sends a Sync request, which says what is committed at this moment, and lets the leaders
// answer what they have.
func (f *fuzz) ask() {
	if n := f.pick("asker", func(n *node) bool { return !n.idle() && n.role().Phase() == zab.Broadcast }); n != nil {
		question := fmt.Appendf(nil, "%d", len(f.committed))
		if n.learner != nil {
			n.learner.Submit(zab.Sync, question)
		} else {
			n.leader.Answer(n.sid, zab.Sync, question)
		}
		f.some(n)
	}
	for _, n := range f.nodes {
		f.reply(n)
	}
}

// coup lets the others elect somebody while a server leads and hears nothing of it but the end of
// links, and asks it when they may have committed something.
func (f *fuzz) coup() {
	old := f.pick("leader", func(n *node) bool { return n.leader != nil && n.role().Phase() == zab.Broadcast })
	if old == nil {
		return
	}
	var electors []*node
	for _, n := range f.nodes {
		if n != old && n.voter() {
			electors = append(electors, n)
		}
	}
	if len(electors) == 0 {
		return
	}
	f.start(slices.MaxFunc(electors, recency), electors)
	f.calm()
	f.propose()
	f.calm()
	if old.leader != nil {
		old.leader.Answer(old.sid, zab.Sync, fmt.Appendf(nil, "%d", len(f.committed)))
		f.some(old)
	}
}

func (f *fuzz) reply(n *node) {
	for _, m := range n.requests {
		if n.leader != nil {
			n.leader.Answer(m.From, zab.Sync, m.Data)
		}
	}
	n.requests = nil
}

// run is one case: a random life, then healing.
func run(rt *rapid.T, ens *quorum.Ensemble, cfg zab.Config, seen map[string]int) {
	f := &fuzz{rt: rt}
	f.world = newWorld(rt, ens)
	f.trace = func(format string, args ...any) { rt.Logf(format, args...) }
	f.cfg, f.honest = cfg, true
	f.cfg.DeliverDurable = rapid.Bool().Draw(rt, "deliverDurable")
	var bag []int
	for i, a := range actions {
		for range a.weight {
			bag = append(bag, i)
		}
	}
	f.elect()
	for range f.n(0, 800, "length") {
		a := actions[bag[f.n(0, len(bag)-1, "action")]]
		f.trace("# %s", a.name)
		a.do(f)
	}
	f.heal()
	f.count(seen)
}

// count adds up what happened in a life, so that the test can tell that it tests.
func (f *fuzz) count(seen map[string]int) {
	seen["lives"]++
	seen["committed"] += len(f.committed)
	seen["epochs"] += len(f.established)
	seen["answers"] += f.answered
	for _, n := range f.nodes {
		for _, e := range n.events {
			key, _, _ := strings.Cut(formatEvent(zab.Event{Kind: e.Kind, Peer: quorum.None, Text: e.Text}), " to ")
			for _, k := range []string{
				"sync: DIFF", "sync: TRUNC", "sync: SNAP", "newer than", "counts from now on",
				"not counted", "not helped", "quorum lost", "silent", "bytes of history",
				"stream failed", "snapshot failed", "no quorum in", "in force", "has left the ensemble", "needs the vote",
				"is observer now", "is participant now",
			} {
				if strings.Contains(key, k) {
					seen[k]++
				}
			}
		}
	}
}

// Whole ensembles of real roles under random schedules with lost links, crashes that lose
// what was not synced, wrong elections and wiped stores: every invariant holds at every step, and
// in the end everybody agrees. A sync shows what was committed before it [H-63], and a learner that joins gets each entry once [H-59].
func TestEnsembles(t *testing.T) {
	small := zab.Limits{WindowEntries: 3, WindowBytes: 1 << 20, MaxDiff: 6, MessageBytes: 200, StageBytes: 1 << 20}
	tight := zab.Limits{WindowEntries: 1, WindowBytes: 200, MaxDiff: 2, MessageBytes: 1, StageBytes: 300, Outstanding: 4}
	seen := make(map[string]int)
	for _, c := range []struct {
		name              string
		voters, observers []quorum.SID
		limits            zab.Limits
		groups            []quorum.Group
	}{
		{"one voter", []quorum.SID{1}, nil, zab.Limits{}, nil},
		{"three voters", []quorum.SID{1, 2, 3}, nil, zab.Limits{}, nil},
		{"three voters, small limits", []quorum.SID{1, 2, 3}, nil, small, nil},
		{"three voters, tight limits", []quorum.SID{1, 2, 3}, nil, tight, nil},
		{"three voters and an observer", []quorum.SID{1, 2, 3}, []quorum.SID{4}, small, nil},
		{"five voters", []quorum.SID{1, 2, 3, 4, 5}, nil, small, nil},
		{"two groups of three", []quorum.SID{1, 2, 3, 4, 5, 6}, nil, small, []quorum.Group{group(1, 1, 2, 3), group(2, 4, 5, 6)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ens := ensemble(c.voters, c.observers, c.groups...)
			rapid.Check(t, func(rt *rapid.T) {
				run(rt, ens, zab.Config{InitTicks: 40, SyncTicks: 20, Limits: c.limits}, seen)
			})
		})
	}
	t.Log(seen)
	for _, k := range []string{"committed", "answers", "sync: DIFF", "sync: TRUNC", "sync: SNAP", "counts from now on", "quorum lost", "newer than"} {
		if seen[k] == 0 && seen["lives"] >= 500 {
			t.Errorf("%d lives, and never %q: the schedules are too tame", seen["lives"], k)
		}
	}
}

// The same choices give the same outputs, byte for byte.
func TestDeterminism(t *testing.T) {
	ens := ensemble([]quorum.SID{1, 2, 3}, []quorum.SID{4})
	life := func(seed int) string {
		var trace strings.Builder
		gen := rapid.Custom(func(rt *rapid.T) string {
			f := &fuzz{rt: rt}
			f.world = newWorld(rt, ens)
			f.trace = func(format string, args ...any) { fmt.Fprintf(&trace, format+"\n", args...) }
			f.cfg = zab.Config{InitTicks: 40, SyncTicks: 20}
			f.elect()
			for range 300 {
				actions[f.n(0, len(actions)-1, "action")].do(f)
			}
			return ""
		})
		gen.Example(seed)
		return trace.String()
	}
	for seed := range 5 {
		if a, b := life(seed), life(seed); a != b || a == "" {
			t.Fatalf("seed %d: two runs differ", seed)
		}
	}
}
