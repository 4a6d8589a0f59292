package zab_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// hashOf is the hash that the tables give to a zxid, unless they say otherwise.
func hashOf(id zxid.ID) uint64 { return uint64(id)*31 + 7 }

func point(e zxid.Epoch, c zxid.Counter) zxid.Point {
	id := zxid.Make(e, c)
	return zxid.Point{ID: id, Hash: hashOf(id)}
}

// sum builds a summary from a base and the ends of runs.
func sum(base zxid.Point, ends ...zxid.Point) zab.Summary {
	s := zab.Summary{Base: base}
	for _, p := range ends {
		s.Runs = append(s.Runs, zab.Run{Epoch: p.ID.Epoch(), Last: p.ID.Counter(), Hash: p.Hash})
	}
	return s
}

// TestPlanSync holds hazard H-32.
func TestPlanSync(t *testing.T) {
	var zero zxid.Point
	other := zxid.Point{ID: zxid.Make(1, 5), Hash: 1}
	for _, c := range []struct {
		name            string
		leader, learner zab.Summary
		window          zxid.ID
		needSnap        bool
		want            string
	}{
		{name: "both empty", leader: sum(zero), learner: sum(zero), want: "DIFF 0x0 0"},
		{name: "equal", leader: sum(zero, point(1, 5)), learner: sum(zero, point(1, 5)), want: "DIFF 0x100000005 0"},
		{name: "empty learner", leader: sum(zero, point(1, 5), point(3, 2)), learner: sum(zero), want: "DIFF 0x0 7"},
		{name: "behind in an epoch", leader: sum(zero, point(1, 9)), learner: sum(zero, point(1, 5)), want: "DIFF 0x100000005 4"},
		{name: "behind by epochs", leader: sum(zero, point(1, 9), point(4, 3)), learner: sum(zero, point(1, 9)), want: "DIFF 0x100000009 3"},
		{name: "ahead in an epoch", leader: sum(zero, point(1, 5)), learner: sum(zero, point(1, 9)), want: "TRUNC 0x100000005 0"},
		{name: "tail of a lost leader, epoch crossed", leader: sum(zero, point(1, 7), point(3, 1)), learner: sum(zero, point(1, 5), point(2, 3)), want: "TRUNC 0x100000005 3"},
		{name: "tail in the same epoch, then another", leader: sum(zero, point(1, 5), point(2, 2)), learner: sum(zero, point(1, 8)), want: "TRUNC 0x100000005 2"},
		{name: "nothing in common but the beginning", leader: sum(zero, point(2, 2)), learner: sum(zero, point(1, 3)), want: "TRUNC 0x0 2"},
		{name: "leader empty", leader: sum(zero), learner: sum(zero, point(1, 3)), want: "TRUNC 0x0 0"},

		// H-02: the target must be one that the learner is known to hold.
		{name: "target below the learner's base", leader: sum(zero, point(1, 2), point(3, 4)), learner: sum(point(1, 4), point(2, 1)), want: "SNAP 0x0 0"},
		{name: "target is the learner's base", leader: sum(zero, point(1, 2), point(3, 4)), learner: sum(point(1, 2), point(2, 1)), want: "TRUNC 0x100000002 4"},
		{name: "target in the run of the learner's base", leader: sum(zero, point(1, 6)), learner: sum(point(1, 4), point(1, 9)), want: "TRUNC 0x100000006 0"},
		// H-13: nothing is read below the leader's base.
		{name: "learner below the leader's base", leader: sum(point(1, 90), point(1, 95)), learner: sum(zero, point(1, 40)), want: "SNAP 0x0 0"},
		{name: "learner at the leader's base", leader: sum(point(1, 90), point(1, 95)), learner: sum(zero, point(1, 90)), want: "DIFF 0x10000005a 5"},
		{name: "learner beyond the leader's base, in its tail", leader: sum(point(1, 90), point(3, 5)), learner: sum(zero, point(1, 90), point(2, 2)), want: "TRUNC 0x10000005a 5"},
		{name: "bases only, equal", leader: sum(point(1, 90)), learner: sum(point(1, 90)), want: "DIFF 0x10000005a 0"},
		{name: "bases only, different", leader: sum(point(1, 90)), learner: sum(point(1, 80)), want: "SNAP 0x0 0"},
		{name: "empty learner, leader with a base", leader: sum(point(1, 90), point(1, 95)), learner: sum(zero), want: "SNAP 0x0 0"},

		// H-34, H-41: one zxid, two histories.
		{name: "same last zxid, other hash", leader: sum(zero, point(1, 5)), learner: sum(zero, other), want: "SNAP 0x0 0 diverged"},
		{name: "same base zxid, other hash", leader: sum(other, point(1, 7)), learner: sum(zero, point(1, 5)), want: "SNAP 0x0 0 diverged"},

		{name: "asked for", leader: sum(zero, point(1, 5)), learner: sum(zero, point(1, 5)), needSnap: true, want: "SNAP 0x0 0"},
		{name: "much to send from disk", leader: sum(zero, point(1, 30)), learner: sum(zero, point(1, 9)), window: zxid.Make(1, 12), want: "SNAP 0x0 0"},
		{name: "not too much from disk", leader: sum(zero, point(1, 30)), learner: sum(zero, point(1, 10)), window: zxid.Make(1, 12), want: "DIFF 0x10000000a 20"},
		{name: "much to send from memory", leader: sum(zero, point(1, 90)), learner: sum(zero, point(1, 12)), window: zxid.Make(1, 12), want: "DIFF 0x10000000c 78"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := zab.PlanSync(c.leader, c.learner, c.window, c.needSnap, 20)
			got := fmt.Sprintf("%v %v %d", p.Mode, p.Common.ID, p.Missing)
			if p.Diverged {
				got += " diverged"
			}
			if got != c.want {
				t.Errorf("leader %v, learner %v: got %s, want %s", c.leader, c.learner, got, c.want)
			}
			if p.Mode != zab.SyncSnap && p.Common.ID != 0 && p.Common.Hash != hashOf(p.Common.ID) {
				t.Errorf("the hash at %v is %x", p.Common.ID, p.Common.Hash)
			}
		})
	}
}

// branches draws histories such as leaders of rising epochs leave behind: each continues a
// prefix of some earlier one.
func branches(t *rapid.T) [][]zab.Entry {
	all := [][]zab.Entry{nil}
	epoch := zxid.Epoch(0)
	for range rapid.IntRange(1, 6).Draw(t, "epochs") {
		epoch += zxid.Epoch(rapid.IntRange(1, 3).Draw(t, "gap"))
		from := all[rapid.IntRange(0, len(all)-1).Draw(t, "parent")]
		h := append([]zab.Entry(nil), from[:rapid.IntRange(0, len(from)).Draw(t, "prefix")]...)
		for c := range rapid.IntRange(0, 4).Draw(t, "txns") {
			var last zxid.Point
			if len(h) > 0 {
				last = h[len(h)-1].Point()
			}
			h = append(h, zab.NewEntry(last, zxid.Make(epoch, zxid.Counter(c+1)), []byte{byte(c)}))
		}
		all = append(all, h)
	}
	return all
}

// cutOut makes the log of a server that holds h[base:end].
func cutOut(t *rapid.T, h []zab.Entry) *disk {
	d := &disk{}
	d.entries = append(d.entries, h[:rapid.IntRange(0, len(h)).Draw(t, "end")]...)
	if n := rapid.IntRange(0, len(d.entries)).Draw(t, "base"); n > 0 {
		d.trim(d.entries[n-1].ID)
	}
	return d
}

// PlanSync agrees with a search through the histories themselves, and carrying out the plan
// makes them equal [H-14, H-32].
func TestPlanSyncAgainstHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := branches(t)
		draw := func(who string) *disk { return cutOut(t, all[rapid.IntRange(0, len(all)-1).Draw(t, who)]) }
		leader, learner := draw("leader"), draw("learner")
		window := leader.base().ID
		if n := len(leader.entries); n > 0 {
			window = leader.entries[rapid.IntRange(0, n-1).Draw(t, "window")].ID
		}
		maxDiff := rapid.IntRange(0, 6).Draw(t, "maxDiff")
		p := zab.PlanSync(leader.summary(), learner.summary(), window, false, maxDiff)

		var best *zxid.Point
		for _, at := range stands(leader) {
			for _, q := range stands(learner) {
				if at == q && (best == nil || at.ID > best.ID) {
					best = &at
				}
			}
		}
		if p.Diverged {
			t.Fatalf("histories with one origin are said to have diverged")
		}
		if best == nil {
			if p.Mode != zab.SyncSnap {
				t.Fatalf("%v at %v, but nothing is in common", p.Mode, p.Common)
			}
			return
		}
		missing, _ := leader.read(best.ID, leader.last().ID)
		if best.ID < window && len(missing) > maxDiff {
			if p.Mode != zab.SyncSnap {
				t.Fatalf("%v of %d entries from disk, limit %d", p.Mode, len(missing), maxDiff)
			}
			return
		}
		want := zab.SyncDiff
		if learner.last().ID > best.ID {
			want = zab.SyncTrunc
		}
		if p.Mode != want || p.Common != *best || p.Missing != uint64(len(missing)) {
			t.Fatalf("got %+v, want %v at %v with %d", p, want, *best, len(missing))
		}
		learner.write(&zab.Persist{Truncate: &p.Common, Append: missing}, nil, nil)
		if learner.last() != leader.last() {
			t.Fatalf("after the sync the learner ends at %v, the leader at %v", learner.last(), leader.last())
		}
	})
}

// stands lists the points at which a log can stand: its base and its entries.
func stands(d *disk) []zxid.Point {
	out := []zxid.Point{d.base()}
	for _, e := range d.entries {
		out = append(out, e.Point())
	}
	return out
}

// A summary tells of its history exactly what is in it.
func TestSummaryHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := branches(t)
		d := cutOut(t, all[rapid.IntRange(0, len(all)-1).Draw(t, "history")])
		s := d.summary()
		if s.Last() != d.last() {
			t.Fatalf("%v ends at %v, want %v", s, s.Last(), d.last())
		}
		held := make(map[zxid.ID]bool)
		for _, p := range stands(d) {
			held[p.ID] = true
		}
		for e := zxid.Epoch(0); e < 20; e++ {
			for c := zxid.Counter(0); c < 6; c++ {
				if id := zxid.Make(e, c); s.Holds(id) != held[id] {
					t.Fatalf("%v: Holds(%v) = %v", s, id, s.Holds(id))
				}
			}
		}
	})
}
