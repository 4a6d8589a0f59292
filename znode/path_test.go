package znode_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/znode"
)

// TestValidatePath goes through the rows of spec semantics 1.2.
func TestValidatePath(t *testing.T) {
	for _, tc := range []struct {
		path  string
		valid bool
	}{
		{"/", true},
		{"/a", true},
		{"/a/b", true},
		{"/zookeeper/config", true},
		{"", false},        // 1
		{"a", false},       // 2
		{"a/b", false},     // 2
		{" /a", false},     // 2
		{"/a/", false},     // 3
		{"//", false},      // 3
		{"//a", false},     // 4
		{"/a//b", false},   // 4
		{"/.", false},      // 5
		{"/..", false},     // 5
		{"/a/.", false},    // 5
		{"/./a", false},    // 5
		{"/a/../b", false}, // 5
		{"/..", false},     // 5
		{"/...", true},
		{"/.b", true},
		{"/b.", true},
		{"/a../b", true},
		{"/..a", true},
		{"/a\x00b", false}, // 6
		{"/\x00", false},   // 6
		{"/a\x01", false},  // 7
		{"/a\x1f", false},  // 7
		{"/a\n", false},    // 7
		{"/\x7f", false},   // 7
		{"/\u0080", false},
		{"/\u009f", false},
		{"/\u00a0", true},
		{"/a b", true},
		{"/\u00e9", true},
		{"/\ud7ff", true},
		{"/\ue000", false}, // 8
		{"/\uf8ff", false}, // 8
		{"/\uf900", true},
		{"/\U0001f600", false},
		{"/\U00010000", false},
		{"/\U0010ffff", false},
		{"/\uffef", true},
		{"/\ufff0", false},                       // 9
		{"/\ufffd", false},                       // 9
		{"/\uffff", false},                       // 9
		{"/a\xff", false},                        // malformed UTF-8
		{"/\xed\xa0\x80", false},                 // malformed UTF-8
		{"/\xe2\x82", false},                     // malformed UTF-8
		{"/" + strings.Repeat("x", 1<<20), true}, // no limit on length
	} {
		if got := znode.ValidatePath(tc.path); got != tc.valid {
			t.Errorf("ValidatePath(%.40q) = %v, want %v", tc.path, got, tc.valid)
		}
	}
}

// naiveValid is the rule of the spec word by word, on UTF-16 code units.
func naiveValid(path string) bool {
	units := utf16.Encode([]rune(path))
	if len(units) == 0 || units[0] != '/' {
		return false
	}
	if len(units) == 1 {
		return true
	}
	if units[len(units)-1] == '/' || strings.Contains(path, "//") {
		return false
	}
	for _, name := range strings.Split(path[1:], "/") {
		if name == "." || name == ".." {
			return false
		}
	}
	for _, u := range units {
		if u <= 0x1f || u >= 0x7f && u <= 0x9f || u >= 0xd800 && u <= 0xf8ff || u >= 0xfff0 {
			return false
		}
	}
	return true
}

func TestValidatePathAgreesWithTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.OneOf(
			rapid.StringOfN(rapid.SampledFrom([]rune("//..ab\x00\x1f\x7f\u009f\u00a0\ud7ff\ue000\uf900\ufff0\U00010000")), 0, 8, -1),
			rapid.String(),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return "/" + string(b) }),
		).Draw(t, "path")
		if got, want := znode.ValidatePath(path), naiveValid(path); got != want {
			t.Fatalf("ValidatePath(%q) = %v, want %v", path, got, want)
		}
	})
}

func TestValidatePathDoesNotAllocate(t *testing.T) {
	path := "/services/käse/members/node-0000000001"
	if n := testing.AllocsPerRun(100, func() { _ = znode.ValidatePath(path) && znode.Parent(path) != "" }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParentNameJoin(t *testing.T) {
	for _, tc := range []struct{ path, parent, name string }{
		{"/a", "/", "a"},
		{"/a/b", "/a", "b"},
		{"/a/b/c", "/a/b", "c"},
	} {
		if p, n := znode.Parent(tc.path), znode.Name(tc.path); p != tc.parent || n != tc.name {
			t.Errorf("%q: parent %q, name %q", tc.path, p, n)
		}
		if got := znode.Join(tc.parent, tc.name); got != tc.path {
			t.Errorf("Join(%q, %q) = %q", tc.parent, tc.name, got)
		}
	}
	if p, n := znode.Parent("/"), znode.Name("/"); p != "/" || n != "" {
		t.Errorf("root: parent %q, name %q", p, n)
	}
}
