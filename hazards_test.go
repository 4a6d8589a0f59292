package zabkeeper_test

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lastHazard, lastSafety and lastLiveness are the numbers at which the catalogue of docs/correctness.md ends.
const (
	lastHazard   = 96
	lastSafety   = 20
	lastLiveness = 3
)

// openHazards are the rows that no test settles yet, and what they wait for. A row is removed from here
// with the words "open: ..." in the table, and not otherwise.
var openHazards = map[int]string{}

// faults is the fault matrix: what is made to happen, one row each.
var faults = map[string][]string{
	"server": {
		"kill", "power cut", "power cut with a part of what was not synced", "pause", "slow processor", "slow disk", "disk error",
		"full disk", "flipped bits", "lost or zeroed records", "lost directory entry", "wiped disk", "rolled back disk", "one id twice",
	},
	"point": {
		"between any two effects of a turn", "each step of the log", "creation and trimming of the log", "each part of a snapshot",
		"between log and tree", "discovery and synchronisation", "reconfiguration",
	},
	"network": {
		"full partition", "partial partition", "one direction", "delay and order between pairs", "duplicate connection",
		"half-open connection", "a receiver that takes nothing", "changed address",
	},
	"topology": {"one server", "three and five voters", "groups and weights", "observers", "quorum oracle", "observer master", "reconfiguration"},
	"load": {
		"single writes", "pipelined writes", "multi", "ephemerals and sessions that come and go", "watches", "large transactions", "sync and read",
	},
	"start": {
		"empty", "equal", "behind in the window", "behind on disk", "behind the log", "divergent tail of the same epoch",
		"divergent tail of another epoch", "an epoch without transactions",
	},
}

// row is one line of a table: its cells.
type row []string

// tableRows returns the rows of all tables whose first cell matches.
func tableRows(text string, first *regexp.Regexp) []row {
	var out []row
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if strings.HasPrefix(line, "| ") && first.MatchString(cells[0]) {
			out = append(out, cells)
		}
	}
	return out
}

// citations finds what a test is about: the text of test functions with their comments, by
// "package.Test", and that of scripts, by path.
func citations(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	fset, files := sources(t)
	for _, s := range files {
		if !s.test {
			continue
		}
		text := read(t, s.file)
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") && !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			from := f.Pos()
			if f.Doc != nil {
				from = f.Doc.Pos()
			}
			found[s.pkg+"."+f.Name.Name] = text[fset.Position(from).Offset:fset.Position(f.End()).Offset]
		}
	}
	for _, pattern := range []string{"*/testdata/*", "*/testdata/scripts/*", "*/*/testdata/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
				found[filepath.ToSlash(name)] = read(t, name)
			}
		}
	}
	return found
}

// sourceOf is the source of a package, tests included.
func sourceOf(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(pkg + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		all.WriteString(read(t, f))
	}
	return all.String()
}

var mutantName = regexp.MustCompile("mutants? ((?:`[a-z-]+`(?:, )?)+)")

// named returns the tests and scripts that a cell names, and reports those that do not exist.
func (c *catalogue) named(t *testing.T, what, cell string) []string {
	t.Helper()
	for _, m := range mutantName.FindAllStringSubmatch(cell, -1) {
		for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
			if !strings.Contains(c.sim+c.mutants, strconv.Quote(name[1])) {
				t.Errorf("%s: there is no mutant %s", what, name[1])
			}
		}
	}
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(mutantName.ReplaceAllString(cell, ""), -1) {
		if _, ok := c.found[m[1]]; !ok {
			t.Errorf("%s: there is no test or script %s", what, m[1])
			continue
		}
		out = append(out, m[1])
	}
	return out
}

// The tables of docs/correctness.md are whole, and what they name is there.
func TestHazardsAreTested(t *testing.T) {
	c := catalogue{text: read(t, "docs/correctness.md"), found: citations(t), sim: sourceOf(t, "jepsen/sim"), mutants: sourceOf(t, "jepsen/mutants")}
	t.Run("hazards", c.hazards)
	t.Run("invariants", c.invariants)
	t.Run("faults", c.faults)
}

// catalogue is docs/correctness.md and what it may name.
type catalogue struct {
	text    string
	found   map[string]string // tests and scripts, see citations
	sim     string            // source of the simulator
	mutants string            // source of the list of mutants
}

// hazards checks that every hazard has one row, and that its tests exist and cite its number, or that it
// is known to be open.
func (c *catalogue) hazards(t *testing.T) {
	for n := 1; n <= lastHazard; n++ {
		id := fmt.Sprintf("H-%02d", n)
		rows := tableRows(c.text, regexp.MustCompile("^"+id+" "))
		if len(rows) != 1 || len(rows[0]) != 3 {
			t.Errorf("docs/correctness.md has %d rows for %s: %q", len(rows), id, rows)
			continue
		}
		cell := rows[0][2]
		tests := c.named(t, id, cell)
		why, open := openHazards[n]
		if says := strings.HasPrefix(cell, "*open: "+why+"*"); open != says || open != strings.Contains(cell, "open") {
			t.Errorf("%s: known as open: %v (%s), the table says %q", id, open, why, cell)
		}
		if !open && len(tests) == 0 {
			t.Errorf("%s: docs/correctness.md names no test", id)
		}
		for _, name := range tests {
			if !strings.Contains(c.found[name], id) {
				t.Errorf("%s: %s does not cite it", id, name)
			}
		}
	}
}

var simInvariant = regexp.MustCompile("`jepsen/sim` \\(([A-Za-z]+)\\)")

// invariants checks that every invariant has one row; TestNamedTestsAndFilesExist looks for the files and
// tests in it, this for what the simulator calls it.
func (c *catalogue) invariants(t *testing.T) {
	var ids []string
	for n := 1; n <= lastSafety; n++ {
		ids = append(ids, fmt.Sprintf("I%d", n))
	}
	for n := 1; n <= lastLiveness; n++ {
		ids = append(ids, fmt.Sprintf("L%d", n))
	}
	for _, id := range ids {
		rows := tableRows(c.text, regexp.MustCompile("^"+id+" "))
		if len(rows) != 1 || len(rows[0]) != 3 || rows[0][1] == "" || rows[0][2] == "" {
			t.Errorf("docs/correctness.md has %d rows for %s: %q", len(rows), id, rows)
			continue
		}
		for _, m := range simInvariant.FindAllStringSubmatch(rows[0][2], -1) {
			if !strings.Contains(c.sim, strconv.Quote(m[1])) {
				t.Errorf("%s: the simulator does not check %s", id, m[1])
			}
		}
	}
}

// faults checks that every cell of the fault matrix has one row, and that the tests in it exist.
func (c *catalogue) faults(t *testing.T) {
	known := 0
	for dimension, values := range faults {
		known += len(values)
		rows := tableRows(c.text, regexp.MustCompile("^"+dimension+"$"))
		for _, value := range values {
			i := slices.IndexFunc(rows, func(r row) bool { return len(r) == 3 && r[1] == value })
			if i < 0 {
				t.Errorf("docs/correctness.md has no row %s, %s", dimension, value)
				continue
			}
			cell := rows[i][2]
			if len(c.named(t, dimension+", "+value, cell)) == 0 && !strings.HasPrefix(cell, "*open: ") && !strings.HasPrefix(cell, "none: ") {
				t.Errorf("%s, %s: docs/correctness.md names no test", dimension, value)
			}
		}
		if len(rows) != len(values) {
			t.Errorf("docs/correctness.md has %d rows for %s, the matrix %d", len(rows), dimension, len(values))
		}
	}
	if known < 40 {
		t.Fatalf("the fault matrix has %d cells", known)
	}
}
