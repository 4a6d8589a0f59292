package zabkeeper_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A numbered test is a function TestPitfall07..., a row {"Pitfall07...", f} of a table of tests, or a script
// Pitfall07... of package server; likewise with Defect.
var numbered = regexp.MustCompile(`^(Pitfall|Defect)([0-9]{2})[A-Z][A-Za-z0-9]*$`)

// numberedTests collects the names of all numbered tests.
func numberedTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	note := func(name string) {
		if numbered.MatchString(name) {
			found[name] = true
		}
	}
	_, files := sources(t)
	for _, s := range files {
		if !s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if name, ok := strings.CutPrefix(n.Name.Name, "Test"); ok {
					note(name)
				}
			case *ast.CompositeLit:
				if len(n.Elts) != 2 {
					return true
				}
				name, isName := n.Elts[0].(*ast.BasicLit)
				if _, isTest := n.Elts[1].(*ast.Ident); isName && isTest && name.Kind == token.STRING {
					unquoted, _ := strconv.Unquote(name.Value)
					note(unquoted)
				}
			}
			return true
		})
	}
	scripts, err := filepath.Glob("server/testdata/scripts/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		note(filepath.Base(path))
	}
	return found
}

// Everything that docs/correctness.md says others got wrong is there under its number, and the tests
// that it names are there and carry that number.
func TestPitfallsAreTested(t *testing.T) {
	found := numberedTests(t)
	text := read(t, "docs/correctness.md")
	for kind, last := range map[string]int{"Pitfall": 62, "Defect": 11} {
		for n := 1; n <= last; n++ {
			prefix := fmt.Sprintf("%s%02d", kind, n)
			row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %s %d \| ([^|]{10,}) \| ([^|]+) \|$`, strings.ToLower(kind), n)).FindAllStringSubmatch(text, -1)
			if len(row) != 1 {
				t.Errorf("docs/correctness.md has %d rows for %s", len(row), prefix)
				continue
			}
			names := quoted.FindAllStringSubmatch(row[0][2], -1)
			if len(names) == 0 {
				t.Errorf("docs/correctness.md names no test for %s", prefix)
			}
			for _, name := range names {
				if !found[name[1]] || !strings.HasPrefix(name[1], prefix) {
					t.Errorf("%s: there is no test %s", prefix, name[1])
				}
			}
		}
	}
}
