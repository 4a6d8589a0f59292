package disk_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/disk"
)

// data makes a data directory.
func data(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for name, text := range map[string]string{"myid": "1\n", "zabkeeper/log/1.log": strings.Repeat("a", 1000), "zabkeeper/tree/LOCK": "", "zabkeeper/tree/1.sst": strings.Repeat("b", 1000)} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// picture returns all files of a directory and what is in them.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		out[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCorrupt(t *testing.T) {
	dir := data(t)
	hit := map[string]bool{}
	for seed := range uint64(40) {
		before := picture(t, dir)
		what, err := disk.Corrupt(dir, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatal(err)
		}
		changed := 0
		for name, text := range picture(t, dir) {
			if text == before[name] {
				continue
			}
			changed++
			hit[name] = true
			if len(text) != len(before[name]) || !strings.Contains(what, name) {
				t.Fatalf("%s: %d bytes of %d, said %q", name, len(text), len(before[name]), what)
			}
			if n := difference(text, before[name]); n < 1 || n > 16 {
				t.Fatalf("%s: %d bytes were flipped", name, n)
			}
		}
		if changed != 1 {
			t.Fatalf("%d files were hurt", changed)
		}
	}
	if len(hit) != 2 || hit["myid"] {
		t.Errorf("hit %v, want the log and the tree", hit)
	}
	if _, err := disk.Corrupt(t.TempDir(), rand.New(rand.NewPCG(1, 0))); err == nil {
		t.Error("an empty directory was corrupted")
	}
}

func difference(a, b string) int {
	n := 0
	for i := range len(a) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func TestWipeSaveRestore(t *testing.T) {
	dir, kept := data(t), filepath.Join(t.TempDir(), "copy")
	before := picture(t, dir)
	for range 2 { // a second copy replaces the first one
		if err := disk.Save(dir, kept); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "zabkeeper", "log", "2.log"), []byte("later"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := disk.Restore(kept, dir); err != nil {
		t.Fatal(err)
	}
	after := picture(t, dir)
	if len(after) != len(before) {
		t.Errorf("restored %v, want %v", after, before)
	}
	for name := range before {
		if !bytes.Equal([]byte(before[name]), []byte(after[name])) {
			t.Errorf("%s was not restored", name)
		}
	}
	if err := disk.Wipe(dir); err != nil {
		t.Fatal(err)
	}
	if left := picture(t, dir); len(left) != 1 || left["myid"] != "1\n" {
		t.Errorf("after wiping there is %v, want myid alone", left)
	}
}
