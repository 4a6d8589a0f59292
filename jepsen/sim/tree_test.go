package sim_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// TestTreeFaults holds that whatever the disk does to a tree is survived, that each of it happens, and that it
// happens again under the same seed, whatever Pebble does in the background (hazards H-05, H-07, H-08, H-10,
// H-16, H-92, H-94).
func TestTreeFaults(t *testing.T) {
	t.Parallel()
	const seeds = 12
	var all sim.Counts
	for seed := uint64(1); seed <= seeds; seed++ {
		for _, cfg := range []sim.Config{
			{Seed: seed, Shape: "3", Members: "fixed", Tree: "store"},
			{Seed: seed, Shape: "5+1", Members: "fixed", Tree: "store"},
			{Seed: seed, Shape: "3~1", Members: "change", Tree: "store"},
		} {
			a, b := run(t, cfg), run(t, cfg)
			if a.TraceHash != b.TraceHash || a.Counts != b.Counts {
				t.Errorf("seed %d, shape %s: two runs differ: %x and %x, %+v and %+v", seed, cfg.Shape, a.TraceHash, b.TraceHash, &a.Counts, &b.Counts)
			}
			all.Add(&a.Counts)
		}
	}
	for _, f := range []sim.Fault{sim.FaultTreeFlush, sim.FaultTreeStage, sim.FaultTreeRead, sim.FaultTreeBits, sim.FaultTreeOld} {
		if all.Faults[f] < 3 {
			t.Errorf("fault %v hardly happened: %v", f, &all)
		}
	}
	if all.Refusals <= all.Faults[sim.FaultTreeBits] {
		t.Errorf("no tree that is too old was refused: %v", &all)
	}
	if all.Refusals >= all.Faults[sim.FaultTreeBits]+all.Faults[sim.FaultTreeOld] {
		t.Errorf("no tree that is older than the log was brought up to date: %v", &all)
	}
}
