package sim_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// TestHopeless holds when an ensemble need not recover: if nobody could lead it, and not otherwise.
func TestHopeless(t *testing.T) {
	t.Parallel()
	type servers = []sim.Standing
	gone, wiped := sim.Standing{Gone: true}, sim.Standing{Wiped: true}
	at := func(epoch zxid.Epoch, last zxid.Counter) sim.Standing { return sim.Standing{Epoch: epoch, Last: last} }
	seen := func(s sim.Standing) sim.Standing { s.Seen = 1; return s }
	goes := func(s sim.Standing) sim.Standing { s.Committed, s.Seen = 1, 1; return s }
	for _, tt := range []struct {
		name           string
		configurations []string
		servers        servers
		want           bool
	}{
		{"all are there", []string{"3"}, servers{at(1, 5), at(1, 5), at(1, 5)}, false},
		{"a majority is there", []string{"3"}, servers{at(1, 5), at(1, 4), gone}, false},
		{"a majority is gone", []string{"3"}, servers{at(1, 5), gone, gone}, true},
		{"a majority was wiped", []string{"3"}, servers{at(1, 5), wiped, wiped}, true},
		{"one is gone, one was wiped", []string{"3"}, servers{gone, at(1, 5), wiped}, true},
		{"one was wiped", []string{"3"}, servers{at(1, 5), at(1, 5), wiped}, false},

		// What a reconfiguration needs that is not committed, and whether the others can do without it.
		{
			"all have seen what needs server 4, which is gone",
			[]string{"2,1,0,2", "1,1,2/1"},
			servers{seen(at(2, 9)), seen(at(2, 9)), seen(at(2, 9)), gone},
			true,
		},
		{
			"a minority has seen it",
			[]string{"2,1,0,2", "1,1,2/1"},
			servers{at(2, 8), at(2, 8), seen(at(2, 9)), gone},
			false,
		},
		{
			"those who have not are too few",
			[]string{"1,1,1,1", "1,1,1/1"},
			servers{at(2, 8), at(2, 8), seen(at(2, 9)), gone},
			true,
		},
		{
			"server 4 is back",
			[]string{"2,1,0,2", "1,1,2/1"},
			servers{seen(at(2, 9)), seen(at(2, 9)), seen(at(2, 9)), at(1, 3)},
			false,
		},
		{
			"server 4 is back and was wiped",
			[]string{"2,1,0,2", "1,1,2/1"},
			servers{seen(at(2, 9)), seen(at(2, 9)), seen(at(2, 9)), wiped},
			true,
		},

		// What somebody knows to be committed all hear of.
		{
			"it is committed, and needs less",
			[]string{"5", "3"},
			servers{goes(at(1, 5)), at(1, 4), at(1, 4), gone, gone},
			false,
		},
		{
			"it is committed, and those it needs are gone",
			[]string{"5", "1"},
			servers{gone, goes(at(1, 5)), at(1, 4), at(1, 4), at(1, 4)},
			true,
		},

		// A newer history must not be lost, be it short.
		{"who has the newest has weight 0", []string{"1,1,1,0"}, servers{at(1, 5), at(1, 5), gone, at(2, 1)}, false},
		{"who has the newest is needed", []string{"3,3,1,0"}, servers{at(1, 5), at(2, 1), gone, gone}, false},
		{"the newest of all has no vote any more", []string{"4", "3"}, servers{goes(at(1, 5)), gone, gone, at(2, 1)}, true},
	} {
		got, err := sim.Hopeless(tt.configurations, tt.servers)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got != tt.want {
			t.Errorf("%s: hopeless: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestWipedVoters holds that a voter that was wiped counts with what it has said before and with nothing
// else, and a server without a vote just the other way round: it has said nothing that counts.
func TestWipedVoters(t *testing.T) {
	t.Parallel()
	for _, votes := range []bool{true, false} {
		mute, held, promised, err := sim.Wipe(votes)
		if err != nil {
			t.Fatal(err)
		}
		if mute != votes || held != votes || promised != votes {
			t.Errorf("a vote: %v; counts for nothing: %v, with what it held: %v, promised: %v", votes, mute, held, promised)
		}
	}
}

// A vote that is on its way to the disks counts as well: the leader remembers the store, and a new one is nobody to it
// until it was taken in.
func TestWipedOnTheWay(t *testing.T) {
	t.Parallel()
	found := 0
	for seed := uint64(1); seed <= 100; seed++ {
		reached, mute, err := sim.WipeOnTheWay(seed)
		if err != nil {
			t.Fatal(err)
		}
		if !reached {
			continue
		}
		if found++; !mute {
			t.Errorf("seed %d: what it says counts, as if it had not been wiped", seed)
		}
	}
	if found == 0 {
		t.Error("no seed has such a moment")
	}
	t.Logf("%d seeds have such a moment", found)
}
