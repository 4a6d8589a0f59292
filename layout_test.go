// Package zabkeeper_test holds the rules of the house that no linter can say: the layers
// of ARCHITECTURE.md, what "pure" means, that every package tells its story, and that files and
// functions do not grow without end.
package zabkeeper_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/zabkeeper/zabkeeper/"

// layer says what a package may import of ours, and whether it is pure: no goroutine,
// channel, lock, clock, socket, file, log or global random source.
type layer struct {
	pure    bool
	imports []string
	// allowed lifts single rules of impure from a pure package: what it takes from there
	// are types and sentinels, not effects.
	allowed []string
}

// layers is the map of ARCHITECTURE.md. A package that is not in it does not belong to
// the house.
var layers = map[string]layer{
	"zab/zxid":    {pure: true},
	"proto/jute":  {pure: true},
	"proto/zabpb": {pure: true},

	"quorum": {pure: true, imports: []string{"zab/zxid"}},
	"proto":  {pure: true, imports: []string{"proto/jute", "zab/zxid"}},

	"fle":            {pure: true, imports: []string{"quorum", "zab/zxid"}},
	"zab":            {pure: true, imports: []string{"quorum", "zab/zxid"}},
	"znode":          {pure: true, imports: []string{"proto", "proto/jute", "zab/zxid"}},
	"server/session": {pure: true, imports: []string{"proto", "zab/zxid"}},
	"conf":           {pure: true, imports: []string{"quorum"}, allowed: []string{"time", "io/fs"}}, // Duration, ErrNotExist

	"zab/disk":             {},
	"quorum/quiet":         {},
	"quorum/quiet/logbook": {},
	"zab/txnlog":           {imports: []string{"zab", "quorum", "zab/disk", "zab/zxid", "proto/zabpb"}},
	"znode/store":          {imports: []string{"znode", "proto", "proto/jute", "zab/disk", "zab/zxid", "proto/zabpb"}},
	"proto/peerwire":       {pure: true, imports: []string{"fle", "zab", "quorum", "zab/zxid", "proto/zabpb"}},

	"quorum/transport":  {imports: []string{"proto/peerwire", "fle", "zab", "quorum", "zab/zxid", "quorum/quiet"}},
	"quorum/peer":       {imports: []string{"fle", "zab", "quorum", "zab/zxid", "quorum/quiet"}},
	"server/watch":      {imports: []string{"znode", "proto"}},
	"server/auth":       {imports: []string{"znode", "proto"}},
	"server/fourletter": {imports: []string{"proto", "zab/zxid"}},
	"server/keystore":   {imports: []string{"conf"}},
	"server": {imports: []string{
		"proto", "proto/jute", "znode", "server/session", "server/watch", "server/auth",
		"server/fourletter", "conf", "zab/zxid", "quorum/quiet",
	}},

	"server/node": {imports: []string{
		"conf", "fle", "quorum", "quorum/peer", "quorum/transport", "proto/peerwire",
		"server", "server/auth", "server/fourletter", "server/keystore", "zab", "zab/disk", "zab/txnlog", "zab/zxid", "znode", "znode/store", "proto",
	}},
	"server/zktest": {imports: []string{"conf", "fle", "quorum", "server", "server/node", "zab/zxid", "znode", "znode/store"}},

	"cmd/zabkeeper":       {imports: []string{"conf", "server/node", "quorum", "proto", "cmd/zabkeeper/bench"}},
	"cmd/zabkeeper/bench": {imports: []string{"proto", "proto/jute", "zab/zxid"}},
}

// tests lists packages that exist to test the others, or to show their use, and may import anything.
var tests = []string{"jepsen", "docs"}

// tops are the directories at the root that hold packages. What comes new belongs below one of them.
var tops = []string{".", "cmd", "conf", "docs", "fle", "jepsen", "proto", "quorum", "server", "zab", "znode"}

// impure names what a pure package may not import.
var impure = []string{
	"context", "crypto/rand", "io/fs", "log", "log/slog", "math/rand", "net", "os", "runtime",
	"sync", "sync/atomic", "syscall", "time", "github.com/rs/zerolog",
}

// Ratchets: how long a function and a file may be. They may be lowered, not raised.
const (
	maxFunctionLines = 70
	maxFileLines     = 450
)

type source struct {
	pkg, file string
	test      bool
	ast       *ast.File
	lines     int
}

func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	var out []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		out = append(out, source{
			pkg: filepath.ToSlash(filepath.Dir(name)), file: name, test: strings.HasSuffix(name, "_test.go"),
			ast: f, lines: strings.Count(string(text), "\n"),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d source files found: the walk is broken", len(out))
	}
	return fset, out
}

func isTestPackage(pkg string) bool {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Contains(tests, top)
}

func TestLayers(t *testing.T) {
	_, files := sources(t)
	seen := map[string]bool{}
	for _, s := range files {
		seen[s.pkg] = true
		if top, _, _ := strings.Cut(s.pkg, "/"); !slices.Contains(tops, top) {
			t.Errorf("%s: the root has no place for a directory %s", s.file, top)
		}
		if s.pkg == "." || s.test || isTestPackage(s.pkg) {
			continue
		}
		l, ok := layers[s.pkg]
		if !ok {
			t.Errorf("%s: package %s is not on the map: add it to ARCHITECTURE.md and to layers, or put it elsewhere", s.file, s.pkg)
			continue
		}
		for _, imp := range s.ast.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			own, isOwn := strings.CutPrefix(p, module)
			switch {
			case isOwn && !slices.Contains(l.imports, own):
				t.Errorf("%s: %s may not import %s", s.file, s.pkg, own)
			case l.pure && slices.Contains(impure, p) && !slices.Contains(l.allowed, p) && s.pkg != "proto/zabpb":
				t.Errorf("%s: %s is pure and may not import %s", s.file, s.pkg, p)
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(layers)) {
		if !seen[pkg] {
			t.Errorf("package %s is on the map and does not exist", pkg)
		}
	}
}

func TestPurePackagesHaveNoConcurrency(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if s.test || !layers[s.pkg].pure || s.pkg == "proto/zabpb" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
				t.Errorf("%v: %s is pure: no goroutines and channels", fset.Position(n.Pos()), s.pkg)
			}
			return true
		})
	}
}

func TestEveryPackageTellsItsStory(t *testing.T) {
	_, files := sources(t)
	documented := map[string]bool{}
	for _, s := range files {
		if s.test || s.pkg == "." {
			continue
		}
		if _, ok := documented[s.pkg]; !ok {
			documented[s.pkg] = false
		}
		if s.ast.Doc != nil && (path.Base(s.file) == "doc.go" || s.ast.Name.Name == "main" || s.pkg == "proto/zabpb") {
			documented[s.pkg] = true
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(documented)) {
		if !documented[pkg] {
			t.Errorf("package %s has no doc.go with a package comment", pkg)
		}
	}
}

func TestLengths(t *testing.T) {
	fset, files := sources(t)
	for _, s := range files {
		if strings.HasSuffix(s.file, ".pb.go") {
			continue
		}
		if s.lines > maxFileLines && !s.test {
			t.Errorf("%s has %d lines, more than %d", s.file, s.lines, maxFileLines)
		}
		for _, d := range s.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%v: %s has %d lines, more than %d", fset.Position(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}
