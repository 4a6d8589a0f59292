package mutants_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/mutants"
	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// listed is the list of mutations of spec hazards 12.3, each of which needs a mutant.
var listed = []string{
	"ack before fsync", "currentEpoch before history", "NEWLEADER before backlog", "no prevZxid check on first proposal",
	"TRUNC keeps base", "SNAP keeps old log", "majority computed with >=", "observer counted", "leader's ack without fsync",
	"accept LEADERINFO of lower epoch", "reuse epoch on equal accepted", "apply on PROPOSAL", "release read before own write",
	"COMMIT order by ack arrival", "touch after close", "session deadline by wall clock", "directory fsync removed",
	"generation fencing removed", "exit-on-EIO replaced by retry", "zxid -1 server votes",
}

var (
	mutantName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	issueID    = regexp.MustCompile(`^ZK-[0-9]{2,4}$`)
	catalogued = regexp.MustCompile(`^(H-[0-9]{2}|I[0-9]{1,2}|L[0-9])$`)
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := mutants.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Names are unique, what is cited exists, and the list of the specification is answered.
func TestListIsWhole(t *testing.T) {
	catalogue := read(t, "docs/correctness.md")
	seen := map[string]bool{}
	for _, name := range sim.Mutants() {
		seen[name] = true
	}
	answered := map[string]bool{}
	for _, m := range mutants.All() {
		if !mutantName.MatchString(m.Name) || seen[m.Name] {
			t.Errorf("mutant %q has no name of its own", m.Name)
		}
		seen[m.Name] = true
		if m.Bug == "" || strings.ContainsAny(m.Bug, "|\n") || len(m.IDs) == 0 || len(m.Killers) == 0 {
			t.Errorf("mutant %s lacks its story, what it stands for, or killers", m.Name)
		}
		for _, id := range m.IDs {
			if catalogued.MatchString(id) && strings.Contains(catalogue, "\n| "+id+" ") || issueID.MatchString(id) {
				continue
			}
			t.Errorf("mutant %s: there is no %s", m.Name, id)
		}
		for _, k := range m.Killers {
			if !slices.ContainsFunc(mutants.Suites(), func(s mutants.Suite) bool { return s.Name == k.Suite }) {
				t.Errorf("mutant %s: there is no suite %q", m.Name, k.Suite)
			}
		}
		if m.Listed != "" && !slices.Contains(listed, m.Listed) {
			t.Errorf("mutant %s: %q is not in the list", m.Name, m.Listed)
		}
		answered[m.Listed] = true
	}
	for _, entry := range listed {
		if !answered[entry] {
			t.Errorf("no mutant for %q", entry)
		}
	}
}

// No suite leaves anything in the checkout.
func TestSuitesLeaveNothing(t *testing.T) {
	for _, s := range mutants.Suites() {
		files, err := filepath.Glob(filepath.Join(root(t), s.Package, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("suite %s has no tests: %v", s.Name, err)
		}
		uses := slices.ContainsFunc(files, func(f string) bool {
			text, err := os.ReadFile(f)
			return err != nil || strings.Contains(string(text), `"pgregory.net/rapid"`)
		})
		if uses != s.Rapid {
			t.Errorf("suite %s: uses rapid: %v, and is known as one that does: %v", s.Name, uses, s.Rapid)
		}
	}
}

// Every mutant applies to the source as it is, changes it, and can be parsed.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants.All() {
		changed, err := m.Apply(root(t))
		if err != nil {
			t.Error(err)
			continue
		}
		for file, text := range changed {
			if strings.HasSuffix(file, "_test.go") || !strings.HasSuffix(file, ".go") || strings.HasPrefix(file, "jepsen/") {
				t.Errorf("mutant %s: %s is no source of the server", m.Name, file)
			}
			if text == read(t, file) {
				t.Errorf("mutant %s changes nothing in %s", m.Name, file)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), file, text, 0); err != nil {
				t.Errorf("mutant %s: %v", m.Name, err)
			}
		}
	}
}

// Every mutant builds. Mutants of different files are built together.
func TestMutantsBuild(t *testing.T) {
	for i, round := range rounds() {
		changed := map[string]string{}
		var names, pkgs []string
		for _, m := range round {
			text, err := m.Apply(root(t))
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(changed, text)
			names = append(names, m.Name)
			for _, f := range m.Files() {
				pkgs = append(pkgs, "./"+path.Dir(f))
			}
		}
		slices.Sort(pkgs)
		overlay, err := mutants.WriteOverlay(root(t), t.TempDir(), changed)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", slices.Concat([]string{"build", "-overlay", overlay}, slices.Compact(pkgs))...)
		cmd.Dir = root(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("round %d: %v\n%s\none of %s does not build", i, err, out, strings.Join(names, ", "))
		}
	}
}

// rounds parts the mutants so that no two of a round change the same file.
func rounds() [][]mutants.Mutant {
	var out [][]mutants.Mutant
	taken := []map[string]bool{}
next:
	for _, m := range mutants.All() {
		for i := range out {
			if !slices.ContainsFunc(m.Files(), func(f string) bool { return taken[i][f] }) {
				out[i] = append(out[i], m)
				for _, f := range m.Files() {
					taken[i][f] = true
				}
				continue next
			}
		}
		out = append(out, []mutants.Mutant{m})
		taken = append(taken, map[string]bool{})
		for _, f := range m.Files() {
			taken[len(taken)-1][f] = true
		}
	}
	return out
}

// Each mutant, as it is now, was killed by all its killers when they were last run, and the document says so.
func TestAllAreKilled(t *testing.T) {
	kept, err := mutants.ReadResults(root(t))
	if err != nil {
		t.Fatal(err)
	}
	results := mutants.Merge(kept, nil)
	if len(results) != len(kept) {
		t.Errorf("%d of %d results are of mutants that have changed or are no more: run the mutants again", len(kept)-len(results), len(kept))
	}
	for _, m := range mutants.All() {
		for _, k := range m.Killers {
			if !mutants.Killed(results, &m, k.Suite) {
				t.Errorf("it is not known that mutant %s is killed by %s: go run ./jepsen/mutants/cmd/mutate run -due -keep", m.Name, k.Suite)
			}
		}
	}
	for _, name := range sim.Mutants() {
		if !slices.ContainsFunc(results, func(r mutants.Result) bool { return r.Mutant == name && r.Killed }) {
			t.Errorf("it is not known that mutant %s is killed by sim: go run ./jepsen/mutants/cmd/mutate run -keep %s", name, name)
		}
	}
	if mutants.Table(results) != read(t, mutants.TableFile) {
		t.Errorf("%s is not what the results say: go run ./jepsen/mutants/cmd/mutate table", mutants.TableFile)
	}
}

// A text that is there twice, or not at all, is no place for a mutant.
func TestApplyWantsOnePlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two two"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		old, want string
	}{{"one", "ONE two two"}, {"two", ""}, {"three", ""}} {
		m := mutants.Mutant{Name: "x", Edits: []mutants.Edit{{File: "a.go", Old: tt.old, New: strings.ToUpper(tt.old)}}}
		changed, err := m.Apply(dir)
		if (err == nil) != (tt.want != "") || changed["a.go"] != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.old, changed["a.go"], err, tt.want)
		}
	}
	both := mutants.Mutant{Name: "x", Edits: []mutants.Edit{{"a.go", "one", "1"}, {"a.go", "1 two", "2"}}}
	if changed, err := both.Apply(dir); err != nil || changed["a.go"] != "2 two" {
		t.Errorf("two edits: %q, %v", changed["a.go"], err)
	}
}

// The short form comes to every mutant that a quick suite kills.
func TestQuickComesToAll(t *testing.T) {
	const n = 6
	all := map[string]bool{}
	for _, m := range mutants.Quick(1000, 0) {
		all[m.Name] = true
		if len(m.Killers) != 1 {
			t.Errorf("mutant %s: %d trials in the short form", m.Name, len(m.Killers))
		}
	}
	if len(all) < 2*n {
		t.Fatalf("only %d mutants die quickly", len(all))
	}
	seen := map[string]bool{}
	for seed := range len(all)/n + 1 {
		round := mutants.Quick(n, seed)
		if again := mutants.Quick(n, seed); fmt.Sprint(again) != fmt.Sprint(round) || len(round) != n {
			t.Errorf("seed %d: %d mutants, not always the same", seed, len(round))
		}
		for _, m := range round {
			seen[m.Name] = true
		}
	}
	if len(seen) != len(all) {
		t.Errorf("the short form comes to %d of %d", len(seen), len(all))
	}
}
