package sim_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// run simulates a seed and fails the test with what replays it.
func run(t *testing.T, cfg sim.Config) sim.Result {
	t.Helper()
	r, err := sim.Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Violation != nil {
		t.Errorf("seed %d: %v\nreplay: go run ./jepsen/sim/cmd/simulate -seed %d -servers %d -observers %d -steps %d -trace",
			cfg.Seed, r.Violation, cfg.Seed, cfg.Servers, cfg.Observers, cfg.Steps)
	}
	return r
}

// TestSeeds runs ensembles of several shapes under a few dozen seeds and checks that what is
// meant to be exercised was exercised.
func TestSeeds(t *testing.T) {
	for _, shape := range []struct {
		servers, observers, seeds, steps int
	}{
		{servers: 3, seeds: 40, steps: 8000},
		{servers: 5, seeds: 10, steps: 10000},
		{servers: 3, observers: 1, seeds: 10, steps: 8000},
		{servers: 1, seeds: 4, steps: 1500},
	} {
		t.Run(fmt.Sprintf("%d+%d", shape.servers, shape.observers), func(t *testing.T) {
			t.Parallel()
			var all sim.Counts
			for seed := range uint64(shape.seeds) {
				r := run(t, sim.Config{Seed: seed, Servers: shape.servers, Observers: shape.observers, Steps: shape.steps})
				all.Add(r.Counts)
			}
			if all.Epochs < shape.seeds || all.Acked == 0 || all.Crashes == 0 {
				t.Errorf("hardly anything happened: %+v", all)
			}
			if shape.servers == 3 && shape.observers == 0 &&
				(all.Diffs == 0 || all.Truncs == 0 || all.Snaps == 0 || all.Torn == 0 || all.Wipes == 0 || all.Partitions == 0) {
				t.Errorf("some fault or some way of synchronising never occurred: %+v", all)
			}
		})
	}
}

// TestSameSeedSameTrace holds that a seed replays exactly, torn disks and all.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	for seed := uint64(100); seed < 104; seed++ {
		var first, second bytes.Buffer
		a := run(t, sim.Config{Seed: seed, Servers: 3, Observers: 1, Steps: 8000, Trace: &first})
		b := run(t, sim.Config{Seed: seed, Servers: 3, Observers: 1, Steps: 8000, Trace: &second})
		if a.TraceHash != b.TraceHash || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("seed %d: two runs differ at byte %d", seed, common(first.Bytes(), second.Bytes()))
		}
		if a.Counts != b.Counts || a.Steps != b.Steps || a.Virtual != b.Virtual {
			t.Errorf("seed %d: two runs report %+v and %+v", seed, a, b)
		}
	}
}

// common counts the bytes that two traces have in common.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TestMutants holds that the checkers bite: each deliberate bug of the driver is caught, and by
// which invariants. A mutant that none of its seeds betrays means a gate that nothing trips.
func TestMutants(t *testing.T) {
	tests := []struct {
		name string
		// from and seeds bound the search. The rarer a bug shows, the more seeds it gets.
		from, seeds uint64
		by          []string
	}{
		{"ack-early", 1, 5, []string{"AckMeansDurable"}},
		{"deliver-early", 1, 5, []string{"NoReplyWithoutCommit", "PrefixConsistency", "CommittedDurability"}},
		{"lose-epoch", 1, 20, []string{"EpochMonotony", "LeaderUniqueness"}},
		{"apply-twice", 1, 30, []string{"StateIsFold"}},
		{"no-fence", 1, 150, []string{"AckMeansDurable", "ProcessConsistency", "StepRefused", "CommittedDurability"}},
		{"drop-truncation", 1, 300, []string{"ProcessConsistency", "AckMeansDurable"}},
		{"forget-intent", 1, 300, []string{"StateIsFold"}},
		{"trust-wiped", 1, 400, []string{"LeaderCompleteness", "CommittedDurability", "QuorumIntersection", "PrefixConsistency"}},
		{"epoch-first", 1300, 600, []string{"CommittedDurability", "LeaderCompleteness"}},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := tt.from; seed < tt.from+tt.seeds; seed++ {
				r, err := sim.Run(sim.Config{Seed: seed, Servers: 3, Steps: 12000, Mutant: tt.name})
				if err != nil {
					t.Fatal(err)
				}
				if r.Violation == nil {
					continue
				}
				for _, name := range tt.by {
					if name == r.Violation.Invariant {
						t.Logf("seed %d, event %d: %v", seed, r.Steps, r.Violation)
						return
					}
				}
				t.Fatalf("seed %d: caught by %v, expected one of %v", seed, r.Violation, tt.by)
			}
			t.Errorf("not caught by any of %d seeds", tt.seeds)
		})
	}
	for _, name := range sim.Mutants() {
		if !covered[name] {
			t.Errorf("mutant %s has no test", name)
		}
	}
}

// TestConfig holds that nonsense is refused.
func TestConfig(t *testing.T) {
	for _, cfg := range []sim.Config{{}, {Servers: 3, Observers: -1}, {Servers: 10}, {Servers: 3, Mutant: "none"}} {
		if _, err := sim.Run(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
