package sim_test

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// TestNothingIsLeft holds that a run gives everything back, whatever has ended its processes: what one
// seed keeps, a hundred thousand make unbearable. It is not parallel to others, which would be seen.
func TestNothingIsLeft(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	before := liveObjects()
	var faults sim.Counts
	for seed := uint64(1); seed <= 24; seed++ {
		cfg := sim.Config{Seed: seed, Shape: "3", Tree: "twin"}
		if seed%2 == 0 {
			cfg.Tree = "store"
		}
		r := run(t, cfg)
		faults.Add(&r.Counts)
	}
	for _, f := range []sim.Fault{sim.FaultKill, sim.FaultPower, sim.FaultTorn, sim.FaultWrite, sim.FaultFsync, sim.FaultFull, sim.FaultRead, sim.FaultWipe} {
		if faults.Faults[f] == 0 {
			t.Errorf("no fault %v in any run", f)
		}
	}
	goleak.VerifyNone(t, ignore)
	// What pools keep is gone with the second collection. A seed that keeps one log keeps thousands.
	if after := liveObjects(); after > before+4000 {
		t.Errorf("%d objects are left, %d were there before", after, before)
	}
}

// liveObjects counts what a garbage collection leaves.
func liveObjects() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapObjects
}
