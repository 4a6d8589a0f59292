package mutants

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mutant is a deliberate bug.
type Mutant struct {
	Name string
	// Bug says what goes wrong, in a line.
	Bug string
	// IDs are what it stands for: hazards (H-23) and invariants (I13) of docs/correctness.md, issues of
	// Apache ZooKeeper (ZK-3911).
	IDs []string
	// Listed is the entry of the list of mutations of spec hazards 12.3 that it answers, or "".
	Listed string
	Edits  []Edit
	// Killers are the trials that must kill it, the quickest first.
	Killers []Trial
}

// Edit replaces a text.
type Edit struct {
	File string // from the root of the module
	Old  string // occurs once
	New  string
}

// Trial is a suite, or the tests of it whose names match Run.
type Trial struct {
	Suite string
	Run   string
}

// Suite is a package's tests, or some of them.
type Suite struct {
	Name    string
	Package string // from the root of the module
	Run     string // as of go test; "": all
	Skip    string
	// Rapid says that its tests use rapid, which would leave files of what failed in the checkout.
	Rapid bool
	// Limit is the time that its tests have together.
	Limit time.Duration
	What  string
}

// suites are the columns of the matrix, from the cores outwards.
var suites = []Suite{
	{Name: "quorum", Package: "quorum", Rapid: true, Limit: time.Minute, What: "verifiers and configurations: tables, comparison with brute force"},
	{Name: "fle", Package: "fle", Rapid: true, Limit: time.Minute, What: "the election: scripts, properties"},
	{Name: "zab", Package: "zab", Rapid: true, Skip: "TestEnsembles|TestReconfigurations|TestHeal", Limit: time.Minute, What: "the roles: scripts, tables"},
	{Name: "ensembles", Package: "zab", Rapid: true, Run: "TestEnsembles|TestReconfigurations", Limit: 2 * time.Minute, What: "ensembles of roles on model disks and links, every invariant after every step"},
	{Name: "znode", Package: "znode", Rapid: true, Limit: time.Minute, What: "the rules of the tree: tables, comparison with a naive tree"},
	{Name: "disk", Package: "zab/disk", Limit: time.Minute, What: "the guard below the stores, the scrub"},
	{Name: "txnlog", Package: "zab/txnlog", Rapid: true, Limit: 2 * time.Minute, What: "the log: crashes at every step, disk errors, damage"},
	{Name: "store", Package: "znode/store", Rapid: true, Limit: 2 * time.Minute, What: "the tree on disk: crashes, comparison with a model"},
	{Name: "session", Package: "server/session", Rapid: true, Limit: time.Minute, What: "the table of sessions: scripts, comparison with a naive table"},
	{Name: "watch", Package: "server/watch", Rapid: true, Limit: time.Minute, What: "the registry of watches"},
	{Name: "peer", Package: "quorum/peer", Limit: 2 * time.Minute, What: "the driver of the roles in virtual time"},
	{Name: "server", Package: "server", Rapid: true, Limit: 5 * time.Minute, What: "the face to clients: scripts of the protocol, golden bytes"},
	{Name: "node", Package: "server/node", Limit: 2 * time.Minute, What: "starts, damage and full disks of a whole server"},
	{Name: "zktest", Package: "server/zktest", Limit: 5 * time.Minute, What: "whole ensembles in one process"},
	{Name: "sim", Package: "jepsen/sim", Run: "TestSeeds$", Limit: 5 * time.Minute, What: "the real cores, log and tree under seeds, with faults"},
	{Name: "torture", Package: "jepsen/cmd/torture", Run: "TestShortRun$", Limit: 5 * time.Minute, What: "real processes, killed and paused under load, judged by their log"},
}

// Suites lists the suites.
func Suites() []Suite { return slices.Clone(suites) }

func findSuite(name string) (Suite, error) {
	for _, s := range suites {
		if s.Name == name {
			return s, nil
		}
	}
	return Suite{}, fmt.Errorf("there is no suite %q", name)
}

// All lists the mutants.
func All() []Mutant {
	return slices.Concat(election, epochs, synchronisation, broadcast, members, disks, trees, watches, sessions, reads)
}

// Find returns the mutants of these names, all without a name.
func Find(names []string) ([]Mutant, error) {
	if len(names) == 0 {
		return All(), nil
	}
	var out []Mutant
	for _, name := range names {
		i := slices.IndexFunc(All(), func(m Mutant) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q", name)
		}
		out = append(out, All()[i])
	}
	return out, nil
}

// Files lists the files that the mutant changes, sorted.
func (m *Mutant) Files() []string {
	var files []string
	for _, e := range m.Edits {
		files = append(files, e.File)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Apply returns the mutant's version of the files below root. It fails if a text to be replaced is not
// there once.
func (m *Mutant) Apply(root string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.Edits {
		text, ok := changed[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has this %d times, not once:\n%s", m.Name, e.File, n, e.Old)
		}
		changed[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return changed, nil
}

// fingerprint tells one version of a mutant from another.
func (m *Mutant) fingerprint() string {
	h := fnv.New64a()
	for _, e := range m.Edits {
		fmt.Fprintf(h, "%q %q %q\n", e.File, e.Old, e.New)
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// quick are the suites whose tests and builds take seconds.
var quick = []string{"quorum", "fle", "zab", "znode", "session", "watch", "peer"}

// Quick returns n of the mutants that a quick suite kills, each with the first such suite alone. The seed
// says which: consecutive seeds go through all of them.
func Quick(n, seed int) []Mutant {
	var some []Mutant
	for _, m := range All() {
		i := slices.IndexFunc(m.Killers, func(t Trial) bool { return slices.Contains(quick, t.Suite) })
		if i >= 0 {
			m.Killers = m.Killers[i : i+1]
			some = append(some, m)
		}
	}
	if len(some) == 0 {
		return nil
	}
	out := make([]Mutant, min(n, len(some)))
	for i := range out {
		// Neighbours are of the same package: go through the list in leaps, so that a run sees several.
		out[i] = some[((seed%len(some)+len(some))*len(out)+i)*stride(len(some))%len(some)]
	}
	return out
}

// stride is a step with which one comes to each of n places.
func stride(n int) int {
	for s := n * 3 / 8; s > 1; s-- {
		if gcd(s, n) == 1 {
			return s
		}
	}
	return 1
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
