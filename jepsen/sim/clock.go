package sim

import (
	"math/rand/v2"
	"time"
)

// drawClocks gives servers clocks that are off, in a share of the runs: timers that run up to a
// fifth too fast or too slow, and any time of day. They stay so when the faults are over.
func (s *simulation) drawClocks(rng *rand.Rand) {
	if rng.IntN(3) > 0 {
		return
	}
	for _, srv := range s.servers {
		srv.rate = 0.83 + rng.Float64()*(1.25-0.83)
		srv.wall = time.Duration(rng.IntN(7200)-3600) * time.Second
	}
}
