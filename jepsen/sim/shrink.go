package sim

import (
	"slices"
)

// Shrink looks for fewer acts of the nemesis that violate the same invariant as r, which is what cfg
// gave, in a bounded number of runs. It returns the Config, and how many runs it took. What happens
// between the acts changes with every act that is left out, so that the smallest set may not be found.
func Shrink(cfg Config, r *Result, runs int) (Config, int) {
	cfg.Trace = nil
	used := 0
	fails := func(skip []int) bool {
		if used >= runs {
			return false
		}
		used++
		try := cfg
		try.Skip = skip
		got, err := Run(try)
		return err == nil && got.Violation != nil && got.Violation.ID == r.Violation.ID
	}
	var left []int
	for i := range r.Acts {
		if !slices.Contains(cfg.Skip, i) {
			left = append(left, i)
		}
	}
	for size := len(left) / 2; size > 0; size /= 2 {
		for at := 0; at < len(left); {
			end := min(at+size, len(left))
			skip := append(slices.Clone(cfg.Skip), left[at:end]...)
			if !fails(skip) {
				at = end
				continue
			}
			cfg.Skip = skip
			left = slices.Delete(left, at, end)
		}
	}
	slices.Sort(cfg.Skip)
	return cfg, used
}
