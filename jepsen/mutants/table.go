package mutants

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

const tableHead = `# Mutants

Tests that never fail prove nothing. This is the list of deliberate bugs that the project's tests are held to
notice, and which of them do. The file is made by ` + "`make mutants`" + `: change ` + "`jepsen/mutants`" + ` and run it again.

A mutant replaces a few words in the source of the server while the tests are built; the server itself knows
nothing of it. It is killed by a suite when a test of that suite fails, by name, and does not fail without the
mutant. "H-" and "I" are the hazards and invariants of [correctness.md](correctness.md), "ZK-" issues of Apache
ZooKeeper in which the like happened. Suites are run until their first failure, so others of their tests
may notice as well.

    go run ./jepsen/mutants/cmd/mutate list
    go run ./jepsen/mutants/cmd/mutate run skip-trunc

`

// Table renders results as a document.
func Table(results []Result) string {
	var b strings.Builder
	b.WriteString(tableHead)
	all := All()
	fmt.Fprintf(&b, "## The server's\n\n%d mutants. Where a suite is in the last column, it was tried and has not noticed.\n\n", len(all))
	b.WriteString("| mutant | the bug | stands for | in | killed by | not by |\n|---|---|---|---|---|---|\n")
	for i := range all {
		m := &all[i]
		killed, spared := verdicts(results, m.Name)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", m.Name, m.Bug, strings.Join(m.IDs, ", "), code(m.Files()), killed, spared)
	}
	b.WriteString("\n## The simulator's\n\nThese are bugs of the driver that `jepsen/sim` plays around the real cores.\n\n")
	b.WriteString("| mutant | killed by |\n|---|---|\n")
	for _, name := range sim.Mutants() {
		killed, _ := verdicts(results, name)
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, killed)
	}
	b.WriteString("\n## By hazard\n\n| id | mutants |\n|---|---|\n")
	for _, id := range ids() {
		var names []string
		for i := range all {
			if slices.Contains(all[i].IDs, id) {
				names = append(names, all[i].Name)
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", id, code(names))
	}
	b.WriteString("\n## The suites\n\n| suite | what | command | tried on | kills |\n|---|---|---|---|---|\n")
	for _, s := range suites {
		tried, kills := 0, 0
		for _, r := range results {
			if r.Suite == s.Name {
				tried++
				if r.Killed {
					kills++
				}
			}
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %d | %d |\n", s.Name, s.What, s.command(), tried, kills)
	}
	return b.String()
}

// command is how the suite is run by hand.
func (s *Suite) command() string {
	c := "go test ./" + s.Package
	if s.Run != "" {
		c += " -run '" + strings.ReplaceAll(s.Run, "|", "\\|") + "'"
	}
	if s.Skip != "" {
		c += " -skip '" + strings.ReplaceAll(s.Skip, "|", "\\|") + "'"
	}
	return c
}

// verdicts renders who kills a mutant, and who does not.
func verdicts(results []Result, mutant string) (killed, spared string) {
	var yes, no []string
	for _, r := range results {
		switch {
		case r.Mutant != mutant:
		case r.Killed:
			yes = append(yes, r.Suite+": "+strings.Join(testNames(&r), ", "))
		default:
			no = append(no, r.Suite)
		}
	}
	return strings.Join(yes, "; "), strings.Join(no, ", ")
}

// testNames names tests as the other documents do, with the part that failed behind.
func testNames(r *Result) []string {
	s, err := findSuite(r.Suite)
	if err != nil {
		return r.Tests
	}
	var out []string
	for _, name := range r.Tests {
		if !strings.HasPrefix(name, "Test") {
			out = append(out, name) // an invariant of the simulator
			continue
		}
		test, part, _ := strings.Cut(name, "/")
		name = "`" + s.Package + "." + test + "`"
		if part != "" {
			name += " " + path.Base(part)
		}
		out = append(out, name)
	}
	return slices.Compact(out)
}

// ids lists what mutants stand for: hazards, invariants, issues.
func ids() []string {
	var out []string
	for _, m := range All() {
		out = append(out, m.IDs...)
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(letters(a), letters(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return slices.Compact(out)
}

// letters is an id without its number.
func letters(id string) string { return strings.TrimRight(id, "0123456789") }

func code(files []string) string {
	return "`" + strings.Join(files, "`, `") + "`"
}
