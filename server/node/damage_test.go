package node_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// harm is something that happens to a file while its server is down.
type harm struct {
	name string
	do   func(content []byte) []byte // nil: the file is removed
}

func harms() []harm {
	flip := func(at func(size int) int) func([]byte) []byte {
		return func(b []byte) []byte { b[at(len(b))] ^= 0x10; return b }
	}
	return []harm{
		{"a bit flipped at the beginning", flip(func(int) int { return 0 })},
		{"a bit flipped in the middle", flip(func(n int) int { return n / 2 })},
		{"a bit flipped at the end", flip(func(n int) int { return n - 1 })},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"cut to nothing", func(b []byte) []byte { return b[:0] }},
		{"zeroed in the middle", func(b []byte) []byte { clear(b[len(b)/3 : 2*len(b)/3]); return b }},
		{"removed", nil},
	}
}

// worn is the disk of a standalone server that has run three times, the last time until it was
// killed, so that there are tables, blob files, an older manifest and a log to be replayed.
func worn(tb testing.TB) *vfs.MemFS {
	tb.Helper()
	mem := vfs.NewCrashableMem()
	for _, prefix := range []string{"a", "b"} {
		r := startStandalone(tb, mem)
		r.create(wornData, paths(prefix, 6)...)
		r.stop()
	}
	r := start(tb, node.Config{
		Conf: config(tb, "", "clientPort=1"), FS: mem, ClientListener: reserve(tb), MaintainEvery: 10 * time.Millisecond,
	})
	r.awaitServing()
	r.create(wornData, paths("c", 6)...)
	zktest.Eventually(tb, "the end of the log is noted", func() error { return marked(mem, r.Durable().History.Last().ID) })
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	r.stop()
	return after
}

// marked returns an error unless the watermark on a disk is at id or above.
func marked(fs vfs.FS, id zxid.ID) error {
	f, err := fs.Open(logPath + "/WATERMARK")
	if err != nil {
		return err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	const at = 3 + 16 // see zab/txnlog/doc.go
	if got := zxid.ID(binary.BigEndian.Uint64(b[at:])); got < id {
		return fmt.Errorf("it is at %v, the log at %v", got, id)
	}
	return nil
}

// wornNodes is what worn has created.
func wornNodes() []string { return slices.Concat(paths("a", 6), paths("b", 6), paths("c", 6)) }

// wornData is long enough for a blob file.
var wornData = strings.Repeat("0123456789abcdef", 128)

// files lists the files below a directory.
func files(tb testing.TB, fs vfs.FS, dir string) []string {
	tb.Helper()
	names, err := fs.List(dir)
	must(tb, err)
	slices.Sort(names)
	var out []string
	for _, name := range names {
		full := path.Join(dir, name)
		info, err := fs.Stat(full)
		must(tb, err)
		if info.IsDir() {
			out = append(out, files(tb, fs, full)...)
		} else {
			out = append(out, full)
		}
	}
	return out
}

// hurt does harm to a file; it reports false where there is nothing to be harmed.
func hurt(tb testing.TB, fs vfs.FS, name string, h harm) bool {
	tb.Helper()
	if h.do == nil {
		must(tb, fs.Remove(name))
		return true
	}
	f, err := fs.Open(name)
	must(tb, err)
	b, err := io.ReadAll(f)
	must(tb, errors.Join(err, f.Close()))
	if len(b) == 0 {
		return false
	}
	f, err = fs.Create(name, vfs.WriteCategoryUnspecified)
	must(tb, err)
	_, err = f.Write(h.do(b))
	must(tb, errors.Join(err, f.Sync(), f.Close()))
	return true
}

// Whatever happens to one file of a server's directories while it is down: it does not start,
// or it ends when it meets the damage, with the directory or file and a remedy in one line; or it has
// everything that it acknowledged [H-04, H-09, H-10, H-17, H-20, H-36, H-94].
func TestDamagedFiles(t *testing.T) {
	golden := worn(t)
	r := startStandalone(t, golden.CrashClone(vfs.CrashCloneCfg{}))
	r.holds(wornData, wornNodes()...)
	digest := r.Digest()
	r.stop()
	outcomes := map[string]map[string]int{}
	for _, name := range files(t, golden, dataDir+"/zabkeeper") {
		for _, h := range harms() {
			after := golden.CrashClone(vfs.CrashCloneCfg{})
			if !hurt(t, after, name, h) {
				continue
			}
			got := afterDamage(t, after, digest, name+" "+h.name)
			kind := fileKind(name)
			if outcomes[kind] == nil {
				outcomes[kind] = map[string]int{}
			}
			outcomes[kind][got]++
		}
	}
	t.Logf("outcomes %v", outcomes)
	for kind, want := range map[string][]string{
		"log/.log": {"refused"}, "log/.sst": {"refused"}, "log/MANIFEST": {"refused"}, "log/OPTIONS": {"refused", "whole"},
		"log/marker": {"refused"}, "log/WATERMARK": {"whole"},
		"tree/.sst": {"refused"}, "tree/.blob": {"refused", "ended"}, "tree/MANIFEST": {"refused"}, "tree/OPTIONS": {"refused", "whole"},
		"tree/marker": {"refused"},
	} {
		for _, outcome := range want {
			if outcomes[kind][outcome] == 0 {
				t.Errorf("no damage to %s was %s: the test does not reach it", kind, outcome)
			}
		}
	}
}

// fileKind is log or tree, and what sort of file it is.
func fileKind(name string) string {
	store := "tree"
	if strings.HasPrefix(name, logPath) {
		store = "log"
	}
	base := path.Base(name)
	for _, prefix := range []string{"MANIFEST", "OPTIONS", "marker", "WATERMARK", "LOCK"} {
		if strings.HasPrefix(base, prefix) {
			return store + "/" + prefix
		}
	}
	return store + "/" + path.Ext(base)
}

// afterDamage starts a server on a damaged disk as a process that really ends when it must, and
// says what came of it.
func afterDamage(t *testing.T, fs vfs.FS, digest uint64, what string) string {
	t.Helper()
	fatal := make(chan error, 1)
	n, err := node.Start(node.Config{
		Conf: config(t, "", "clientPort=1"), FS: fs, ClientListener: reserve(t), Logger: zerolog.Nop(),
		Fatal: func(err error) { fatal <- err },
	})
	if err != nil {
		if !errors.Is(err, node.ErrDataDir) || node.ExitCode(err) != node.ExitDataDir {
			t.Errorf("%s: refused with %v, exit code %d", what, err, node.ExitCode(err))
		}
		hasRemedy(t, what, err)
		return "refused"
	}
	defer func() { _ = n.Stop() }() // whatever it says has been said
	r := &running{Node: n, t: t}
	last := r.Durable().History.Last().ID
	zktest.Eventually(t, "the log is replayed and clients are served, or the server has ended", func() error {
		if at := r.Applied().ID; (at < last || !r.Serving()) && len(fatal) == 0 {
			return fmt.Errorf("applied %v of %v", at, last)
		}
		return nil
	})
	if lost := r.missing(digest); lost == nil {
		return "whole"
	} else if len(fatal) == 0 {
		t.Errorf("%s: nothing was said, but %v", what, lost)
		return "silent"
	}
	err = <-fatal
	if code := node.ExitCode(err); code != node.ExitStore && code != node.ExitDataDir {
		t.Errorf("%s: ended with %v, exit code %d", what, err, code)
	}
	hasRemedy(t, what, err)
	t.Logf("%s: ended with %v", what, err)
	return "ended"
}

// hasRemedy checks that an error names the place and what to do.
func hasRemedy(t *testing.T, what string, err error) {
	t.Helper()
	text := err.Error()
	if strings.Contains(text, "\n") || !strings.Contains(text, dataDir) ||
		!strings.Contains(text, "empty") && !strings.Contains(text, "restore") && !strings.Contains(text, "remove") {
		t.Errorf("%s: %q does not name the directory and a remedy in one line", what, text)
	}
}

// awaitReplayed waits until the tree shows all that the log held at the start.
func (r *running) awaitReplayed() {
	r.t.Helper()
	last := r.Durable().History.Last().ID
	zktest.Eventually(r.t, "the log is replayed", func() error {
		if at := r.Applied().ID; at < last {
			return fmt.Errorf("applied %v of %v", at, last)
		}
		return nil
	})
}

// missing reads everything, past all caches, and says what is not there.
func (r *running) missing(digest uint64) error {
	totals, err := r.Node.Verify(r.t.Context())
	if err == nil && (totals.Digest != digest || r.Digest() != digest) {
		err = fmt.Errorf("%d nodes with digest %x, want %x", totals.Nodes, totals.Digest, digest)
	}
	return err
}

// What Pebble itself does not notice before it is too late [H-20, H-94].
func TestDamageIsNamed(t *testing.T) {
	golden := worn(t)
	names := files(t, golden, dataDir+"/zabkeeper")
	find := func(dir, part string) string {
		for _, n := range slices.Backward(names) { // the newest one
			if strings.HasPrefix(n, dir) && (strings.HasPrefix(path.Base(n), part) || path.Ext(n) == part) {
				return n
			}
		}
		t.Fatalf("no %s in %q", part, names)
		return ""
	}
	flipped := harm{"a bit flipped in its first record", func(b []byte) []byte { b[20] ^= 1; return b }}
	for _, c := range []struct {
		file string
		harm harm
		want []string
	}{
		{find(treePath, "MANIFEST"), flipped, []string{"MANIFEST", " at "}},
		{find(treePath, "OPTIONS"), harm{"a bit flipped", func(b []byte) []byte { b[0] ^= 1; return b }}, []string{"OPTIONS", "may be removed"}},
		{find(treePath, ".blob"), harm{"removed", nil}, []string{"blob files are missing"}},
		{find(treePath, ".sst"), harm{"removed", nil}, []string{".sst"[1:], "not exist"}},
		{find(treePath, "marker.manifest"), harm{"removed", nil}, []string{"the manifest is not"}},
	} {
		after := golden.CrashClone(vfs.CrashCloneCfg{})
		t.Logf("%s %s", c.file, c.harm.name)
		hurt(t, after, c.file, c.harm)
		err := refused(t, node.Config{Conf: config(t, "", "clientPort=1"), FS: after, ClientListener: reserve(t)})
		if !errors.Is(err, disk.ErrDamaged) {
			t.Errorf("%s %s: %v, want ErrDamaged", c.file, c.harm.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %q does not say %q", c.file, c.harm.name, err, want)
			}
		}
	}
}
