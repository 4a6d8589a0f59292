package mutants

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// driverSeeds bounds the search for a seed that betrays a mutant of the simulator's driver.
const driverSeeds = 600

// TryDriver runs a mutant of the simulator's own driver under seeds, with members that stay and with members
// that change, until one of them shows it.
func TryDriver(name string) (Result, error) {
	result := Result{Mutant: name, Suite: "sim"}
	for seed := uint64(1); seed <= driverSeeds; seed++ {
		for _, cfg := range []sim.Config{{Shape: "3", Members: "fixed"}, {Shape: "3~2", Members: "change"}} {
			cfg.Seed, cfg.Tree, cfg.Steps, cfg.Mutant = seed, sim.MutantTree(name), 12000, name
			r, err := sim.Run(cfg)
			if err != nil {
				return result, err
			}
			if r.Violation != nil {
				result.Killed, result.Tests = true, []string{fmt.Sprintf("%s, seed %d, shape %s", r.Violation.Invariant, seed, cfg.Shape)}
				return result, nil
			}
		}
	}
	return result, nil
}
