package mutants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// Where the results and the table are, from the root of the module.
const (
	ResultsFile = "jepsen/mutants/results.jsonl"
	TableFile   = "docs/mutants.md"
)

// ReadResults returns the results that are kept.
func ReadResults(root string) ([]Result, error) {
	b, err := os.ReadFile(filepath.Join(root, ResultsFile))
	if err != nil {
		return nil, err
	}
	var out []Result
	for line := range bytes.Lines(b) {
		var r Result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", ResultsFile, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// Merge puts new results in the place of older ones of the same mutant and suite, forgets those of
// mutants that are no more or have changed, and sorts them as All and Suites are sorted.
func Merge(kept, found []Result) []Result {
	out := slices.Concat(kept, found)
	slices.Reverse(out) // the newest first
	all, drivers := All(), sim.Mutants()
	place := func(r Result) (mutant, suite int) {
		mutant = slices.IndexFunc(all, func(m Mutant) bool { return m.Name == r.Mutant && m.fingerprint() == r.Of })
		if mutant < 0 && r.Of == "" {
			if i := slices.Index(drivers, r.Mutant); i >= 0 {
				mutant = len(all) + i
			}
		}
		return mutant, slices.IndexFunc(suites, func(s Suite) bool { return s.Name == r.Suite })
	}
	out = slices.DeleteFunc(out, func(r Result) bool {
		mutant, suite := place(r)
		return mutant < 0 || suite < 0
	})
	slices.SortStableFunc(out, func(a, b Result) int {
		am, as := place(a)
		bm, bs := place(b)
		return cmp.Or(cmp.Compare(am, bm), cmp.Compare(as, bs))
	})
	return slices.CompactFunc(out, func(a, b Result) bool { return a.Mutant == b.Mutant && a.Suite == b.Suite })
}

// Killed reports whether results say that a suite has killed the mutant as it is.
func Killed(results []Result, m *Mutant, suite string) bool {
	return slices.ContainsFunc(results, func(r Result) bool {
		return r.Mutant == m.Name && r.Of == m.fingerprint() && r.Suite == suite && r.Killed
	})
}

// WriteResults keeps results and makes the table of them.
func WriteResults(root string, results []Result) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, r := range results {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, ResultsFile), b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, TableFile), []byte(Table(results)), 0o644)
}
