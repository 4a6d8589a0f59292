package sim_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// run simulates a seed and fails the test with what replays it.
func run(t *testing.T, cfg sim.Config) sim.Result {
	t.Helper()
	r, err := sim.Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Violation != nil {
		t.Errorf("seed %d: %v\nreplay: go run ./jepsen/sim/cmd/simulate -seed %d -shape %s -tree %s -members %s -steps %d -trace",
			cfg.Seed, r.Violation, cfg.Seed, r.Shape, r.Tree, r.Members, cfg.Steps)
	}
	return r
}

// TestSeeds runs ensembles of every shape, drawn from the seeds, and checks that what is meant to be
// exercised was exercised.
func TestSeeds(t *testing.T) {
	const seeds, parts = 240, 4
	results := make([]sim.Counts, parts)
	shapes := make([]map[string]bool, parts)
	t.Run("all", func(t *testing.T) {
		for part := range uint64(parts) {
			shapes[part] = map[string]bool{}
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for seed := part; seed < seeds; seed += parts {
					r := run(t, sim.Config{Seed: seed})
					results[part].Add(&r.Counts)
					shapes[part][r.Shape], shapes[part][r.Tree], shapes[part][r.Members] = true, true, true
				}
			})
		}
	})
	var all sim.Counts
	seen := map[string]bool{}
	for part := range results {
		all.Add(&results[part])
		maps.Copy(seen, shapes[part])
	}
	if all.Epochs < seeds || all.Acked == 0 || all.Diffs == 0 || all.Truncs == 0 || all.Snaps == 0 || all.Cuts == 0 ||
		all.Moved == 0 || all.Expired == 0 || all.Reconfigurations == 0 || all.Refused == 0 || all.Inherited == 0 ||
		all.Suspects == 0 || all.Repairs == 0 || all.Refusals == 0 {
		t.Errorf("hardly anything happened: %v", &all)
	}
	if all.Lost > 0 {
		t.Errorf("%d ensembles were lost to wipes", all.Lost)
	}
	if all.Contested > all.Faults[sim.FaultRot]/8 {
		t.Errorf("%d of %d times a tree went wrong nobody could tell", all.Contested, all.Faults[sim.FaultRot])
	}
	for _, f := range sim.Faults() {
		if all.Faults[f] == 0 {
			t.Errorf("fault %v never happened: %v", f, &all)
		}
	}
	for _, what := range []string{"1", "3", "5", "7", "3+1", "5+1", "3~1", "store", "twin", "change", "fixed"} {
		if !seen[what] {
			t.Errorf("no seed had %s: %v", what, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// TestSameSeedSameTrace holds that a seed replays exactly, torn disks, broken disks and real trees
// included, and that whoever watches changes nothing.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	for i, cfg := range []sim.Config{
		{Shape: "3"},
		{Shape: "5"},
		{Shape: "7"},
		{Shape: "3+1", Tree: "store"},
		{Shape: "1,1,1/2,1,0/1,1"},
		{Shape: "3", Tree: "store"},
		{},
		{Shape: "3+1~1", Members: "change"},
		{Shape: "3~2", Members: "change", Tree: "store"},
		{Shape: "1,1,1/1,1,0~1"},
	} {
		cfg.Seed = uint64(100 + i)
		unwatched := run(t, cfg)
		var first, second bytes.Buffer
		cfg.Trace = &first
		a := run(t, cfg)
		cfg.Trace = &second
		b := run(t, cfg)
		if a.TraceHash != b.TraceHash || a.TraceHash != unwatched.TraceHash || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("seed %d: runs differ: %x, %x, unwatched %x; first at byte %d of the trace",
				cfg.Seed, a.TraceHash, b.TraceHash, unwatched.TraceHash, common(first.Bytes(), second.Bytes()))
		}
		if a.Counts != b.Counts || a.Steps != b.Steps || a.Virtual != b.Virtual {
			t.Errorf("seed %d: two runs report %+v and %+v", cfg.Seed, a, b)
		}
	}
}

// TestMembers reconfigures ensembles of many shapes under all faults and checks that there was something
// to hold (hazards H-79, H-80, H-81, H-82, H-83; invariants I-16, I-19, L-1 to L-3).
func TestMembers(t *testing.T) {
	t.Parallel()
	for _, shape := range []string{"1~2", "3~2", "3+1~1", "4+2", "5~1", "2,1,1,0~1", "1,1,1/1,1,0/1,1~1"} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			var all sim.Counts
			for seed := uint64(1); seed <= 12; seed++ {
				r := run(t, sim.Config{Seed: seed, Shape: shape, Members: "change"})
				all.Add(&r.Counts)
			}
			if all.Lost > 0 {
				t.Errorf("%d ensembles were lost to wipes", all.Lost)
			}
			if all.Reconfigurations < 5 || all.Faults[sim.FaultMembers] < 15 {
				t.Errorf("the members hardly changed: %v", &all)
			}
		})
	}
}

// TestTraceOfOneServer holds that a filtered trace is made of lines of the whole one.
func TestTraceOfOneServer(t *testing.T) {
	t.Parallel()
	var whole, part bytes.Buffer
	cfg := sim.Config{Seed: 7, Shape: "3", Trace: &whole}
	run(t, cfg)
	cfg.Trace, cfg.TraceServers = &part, quorum.SetOf(2)
	run(t, cfg)
	var want []string
	for l := range strings.Lines(whole.String()) {
		if !strings.Contains(l, "ms s1.") && !strings.Contains(l, "ms s3.") {
			want = append(want, l)
		}
	}
	if got := slices.Collect(strings.Lines(part.String())); !slices.Equal(got, want) || len(want) < 100 {
		t.Errorf("the trace of server 2 has %d lines, the whole one %d of it", len(got), len(want))
	}
}

// TestShrink holds that a failing seed is made smaller, and fails in the same way.
func TestShrink(t *testing.T) {
	t.Parallel()
	cfg := sim.Config{Shape: "3", Members: "fixed", Tree: "twin", Steps: 12000, Mutant: "drop-truncation"}
	var r sim.Result
	for r.Violation == nil || r.Acts < 8 {
		if cfg.Seed++; cfg.Seed > 300 {
			t.Fatal("no seed finds the mutant")
		}
		var err error
		if r, err = sim.Run(cfg); err != nil {
			t.Fatal(err)
		}
	}
	small, runs := sim.Shrink(cfg, &r, 20)
	if runs == 0 || runs > 20 {
		t.Errorf("shrunk in %d runs, allowed are 20", runs)
	}
	again, err := sim.Run(small)
	if err != nil || again.Violation == nil || again.Violation.ID != r.Violation.ID {
		t.Errorf("%v became %v", r.Violation, again.Violation)
	}
}

// TestInvariants holds that every invariant of the specification has one name.
func TestInvariants(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range sim.Invariants() {
		if seen[i.ID] || seen[i.Name] || i.Holds == "" {
			t.Errorf("%+v is there twice, or is checked nowhere", i)
		}
		seen[i.ID], seen[i.Name] = true, true
	}
	for n := 1; n <= 20; n++ {
		if id := fmt.Sprintf("I-%02d", n); !seen[id] {
			t.Errorf("%s is missing", id)
		}
	}
	for n := 1; n <= 3; n++ {
		if id := fmt.Sprintf("L-%d", n); !seen[id] {
			t.Errorf("%s is missing", id)
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
		// members says that the ensemble is reconfigured.
		members bool
	}{
		{"ack-early", 1, 5, []string{"AckMeansDurable"}, false},
		{"deliver-early", 1, 5, []string{"NoReplyWithoutCommit", "PrefixConsistency", "CommittedDurability"}, false},
		{"lose-epoch", 1, 20, []string{"EpochMonotony", "LeaderUniqueness"}, false},
		{"apply-twice", 1, 30, []string{"StateIsFold"}, false},
		{"no-fence", 1, 150, []string{"AckMeansDurable", "ProcessConsistency", "StepRefused", "CommittedDurability"}, false},
		{"drop-truncation", 1, 300, []string{"ProcessConsistency", "AckMeansDurable"}, false},
		{"forget-intent", 1, 300, []string{"StateIsFold"}, false},
		{"trust-wiped", 1, 400, []string{"LeaderCompleteness", "CommittedDurability", "QuorumIntersection", "PrefixConsistency"}, false},
		{"epoch-first", 1, 600, []string{"CommittedDurability", "LeaderCompleteness", "PrimaryIntegrity", "ElectionSettles"}, false},
		{"no-repair", 101, 150, []string{"Rejoin", "Progress", "Agreement"}, false},
		{"forget-doubt", 1, 300, []string{"StateIsFold", "Rejoin"}, false},
		{"trim-unflushed", 1, 60, []string{"StateIsFold"}, false},
		{"count-joiner", 1, 60, []string{"QuorumIntersection"}, true},
		{"forget-pending", 1, 150, []string{"QuorumIntersection", "ConfigMonotony"}, true},
		{"config-early", 1, 150, []string{"QuorumIntersection", "ConfigMonotony"}, true},
		{"config-file", 1, 20, []string{"QuorumIntersection", "ConfigMonotony", "LeaderUniqueness"}, true},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := tt.from; seed < tt.from+tt.seeds; seed++ {
				cfg := sim.Config{Seed: seed, Shape: "3", Members: "fixed", Tree: sim.MutantTree(tt.name), Steps: 12000, Mutant: tt.name}
				if tt.members {
					cfg.Shape, cfg.Members = "3~2", "change"
				}
				r, err := sim.Run(cfg)
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
	for _, cfg := range []sim.Config{
		{Shape: "0"},
		{Shape: "3+9"},
		{Shape: "10"},
		{Shape: "1,x"},
		{Shape: "1,-1"},
		{Shape: "1,1,1,1,1/1,1,1,1,1"},
		{Shape: "0,0"},
		{Shape: "3", Mutant: "none"},
		{Tree: "oak"},
		{Members: "some"},
		{Shape: "3~0"},
		{Shape: "3~4"},
		{Shape: "3~1", Members: "fixed"},
	} {
		if _, err := sim.Run(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
