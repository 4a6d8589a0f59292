package zabkeeper_test

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
)

// documents are the project's texts, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "jepsen/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			docs[filepath.ToSlash(name)] = read(t, name)
		}
	}
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/correctness.md"} {
		if docs[name] == "" {
			t.Fatalf("%s is missing", name)
		}
	}
	return docs
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	quoted  = regexp.MustCompile("`([^`\n]+)`")
)

// anchors are the names that a renderer gives to the headings of a text.
func anchors(text string) []string {
	var out []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(h[1])))
		out = append(out, name)
	}
	return out
}

// A link leads to a file, and to a heading, that exists.
func TestLinks(t *testing.T) {
	docs := documents(t)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(docs[name], ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: %s has no heading #%s", name, file, anchor)
			}
		}
	}
}

// The map of ARCHITECTURE.md is the one that TestLayers enforces.
func TestMapAgreesWithLayers(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "ARCHITECTURE.md"), "| package | kind |")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no map")
	}
	section, _, _ = strings.Cut(section, "\n\n")
	seen := map[string]bool{}
	for _, row := range strings.Split(section, "\n")[2:] {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != 4 {
			t.Fatalf("a row of the map has %d cells: %s", len(cells), row)
		}
		pkg := strings.Trim(cells[0], "`")
		l, ok := layers[pkg]
		if !ok {
			t.Errorf("%s is on the map of ARCHITECTURE.md and not in layers", pkg)
			continue
		}
		seen[pkg] = true
		if kind := map[bool]string{true: "pure", false: "driver"}[l.pure]; cells[1] != kind {
			t.Errorf("%s is called %s in ARCHITECTURE.md and is %s", pkg, cells[1], kind)
		}
		var imports []string
		for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
			imports = append(imports, m[1])
		}
		if want := slices.Sorted(slices.Values(l.imports)); !slices.Equal(slices.Sorted(slices.Values(imports)), want) {
			t.Errorf("%s may import %v says ARCHITECTURE.md, %v say the layers", pkg, imports, want)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(layers)) {
		if !seen[pkg] {
			t.Errorf("%s is missing on the map of ARCHITECTURE.md", pkg)
		}
	}
}

var (
	testName = regexp.MustCompile(`^([a-z/]+)\.((?:Test|Fuzz)[A-Za-z0-9_]+)$`)
	repoPath = regexp.MustCompile(`^(?:fle|zab|znode|server|quorum|proto|conf|jepsen|cmd|docs)(?:/[A-Za-z0-9_.-]+)+/?$`)
	// exported is the end of package.Name, which is no file.
	exported = regexp.MustCompile(`\.[A-Z][A-Za-z0-9]*$`)
)

// Tests, scripts and files that the texts name exist.
func TestNamedTestsAndFilesExist(t *testing.T) {
	docs := documents(t)
	tests := map[string]string{} // source of a package's tests
	named := 0
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		for _, m := range quoted.FindAllStringSubmatch(fence.ReplaceAllString(docs[name], ""), -1) {
			if p := testName.FindStringSubmatch(m[1]); p != nil {
				named++
				if _, ok := tests[p[1]]; !ok {
					tests[p[1]] = testSource(t, p[1])
				}
				if !strings.Contains(tests[p[1]], "\nfunc "+p[2]+"(") {
					t.Errorf("%s names %s, which does not exist", name, m[1])
				}
				continue
			}
			if !repoPath.MatchString(m[1]) || exported.MatchString(m[1]) || strings.Contains(m[1], "...") {
				continue
			}
			_, fromRoot := os.Stat(m[1])
			if _, err := os.Stat(path.Join(path.Dir(name), m[1])); err != nil && fromRoot != nil {
				t.Errorf("%s names %s, which does not exist", name, m[1])
			}
		}
	}
	if named < 50 {
		t.Fatalf("only %d names of tests found: the search is broken", named)
	}
}

func testSource(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(pkg + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		all.WriteString(read(t, f))
	}
	return all.String()
}

var (
	command = regexp.MustCompile(`(?m)^ *(?:go run \./cmd/zabkeeper|\./zabkeeper|zabkeeper)((?: +[a-z]+)+)(.*)$`)
	option  = regexp.MustCompile(`--([a-z-]+)`)
	makeRun = regexp.MustCompile("`make ([a-z]+)")
)

// Commands in the texts name subcommands, flags and make targets that exist.
func TestNamedCommandsExist(t *testing.T) {
	files, err := filepath.Glob("cmd/zabkeeper/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, f := range files {
		source.WriteString(read(t, f))
	}
	makefile := read(t, "Makefile")
	docs := documents(t)
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		for _, block := range fence.FindAllString(docs[name], -1) {
			for _, m := range command.FindAllStringSubmatch(block, -1) {
				for _, word := range strings.Fields(m[1]) {
					if !regexp.MustCompile(`Use: +"` + word + `[ "]`).MatchString(source.String()) {
						t.Errorf("%s: there is no subcommand %q: %s", name, word, m[0])
					}
				}
				for _, o := range option.FindAllStringSubmatch(m[2], -1) {
					if !strings.Contains(source.String(), `"`+o[1]+`"`) {
						t.Errorf("%s: there is no flag --%s: %s", name, o[1], m[0])
					}
				}
			}
		}
		for _, m := range makeRun.FindAllStringSubmatch(docs[name], -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no make target %q", name, m[1])
			}
		}
	}
	for _, want := range []string{"\ngo run ./cmd/zabkeeper server\n", "\ngo test ./...\n"} {
		if !strings.Contains(docs["README.md"], want) {
			t.Errorf("README.md lacks the set-up command %q", strings.TrimSpace(want))
		}
	}
}

// Every setting that is read stands in docs/configuration.md with its default.
func TestSettingsAreDocumented(t *testing.T) {
	text := read(t, "docs/configuration.md")
	cfg, err := conf.Load(conf.Input{Name: "zoo.cfg", Text: []byte("dataDir=/data\nclientPort=2181\n")})
	if err != nil {
		t.Fatal(err)
	}
	derived := []string{"clientPort", "dataDir", "dataLogDir", "maxSessionTimeout", "minSessionTimeout"}
	for _, s := range cfg.Effective() {
		row := "\n| `" + s.Key + "` | "
		if !slices.Contains(derived, s.Key) {
			row += s.Value + " |"
		}
		if !strings.Contains(text, row) {
			t.Errorf("docs/configuration.md has no row %q", strings.TrimSpace(row))
		}
	}
}

// The code that docs/recipes.md shows is code of docs/recipes, which its tests run.
func TestRecipesShowTestedCode(t *testing.T) {
	files, err := filepath.Glob("docs/recipes/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, f := range files {
		source.WriteString(read(t, f))
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, "docs/recipes.md"), -1)
	if len(blocks) < 4 {
		t.Fatalf("docs/recipes.md shows %d pieces of code: the search is broken", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(source.String(), b[1]) {
			t.Errorf("docs/recipes.md shows code that is not in docs/recipes:\n%s", b[1])
		}
	}
}
