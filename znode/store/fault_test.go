package store_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// faults collects what a store reports.
type faults struct {
	mu   sync.Mutex
	errs []error
	come chan struct{} // closed by the first
}

func newFaults() *faults { return &faults{come: make(chan struct{})} }

func (f *faults) fatal(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.errs = append(f.errs, err); len(f.errs) == 1 {
		close(f.come)
	}
}

// one returns the fault, and fails the test unless there is exactly one.
func (f *faults) one(t *testing.T) error {
	t.Helper()
	<-f.come
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) != 1 {
		t.Fatalf("%d faults were reported, want one: %v", len(f.errs), f.errs)
	}
	return f.errs[0]
}

// panics reports whether f does not return.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// A flipped bit in a table file ends the process; no read returns the damage [H-94].
func TestCorruptTable(t *testing.T) {
	mem := vfs.NewMem()
	s, m := open(t, mem), newModel()
	grow(t, s, m, 400, 100)
	closeStore(t, s)
	damage(t, mem, "/data/tree", ".sst")

	f := newFaults()
	cfg := config(t, mem)
	cfg.Fatal = f.fatal
	s, err := store.Open(cfg)
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "/data") {
			t.Fatalf("open: %v, want ErrCorrupt and the directory", err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	failed := false
	for path, want := range m.nodes {
		failed = panics(func() {
			if got := s.Node(path); !sameNode(got, want) {
				t.Errorf("node %q: %+v, want %+v or the end", path, got, want)
			}
		}) || failed
	}
	if !failed {
		t.Fatal("the damage was not noticed")
	}
	if err := f.one(t); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("fault %v, want ErrCorrupt", err)
	}
	c := znode.NewChanges(newView(m))
	c.Apply(createTxn(m.at.ID+1, "/more", nil))
	if err := s.Install(c, point(m.at.ID+1)); !errors.Is(err, store.ErrFailed) {
		t.Errorf("install after the fault: %v, want ErrFailed", err)
	}
}

// damage flips a bit in the first third of the largest file with that ending.
func damage(t *testing.T, fs *vfs.MemFS, dir, ending string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var largest string
	var size int64
	for _, name := range names {
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err == nil && strings.HasSuffix(name, ending) && info.Size() > size {
			largest, size = fs.PathJoin(dir, name), info.Size()
		}
	}
	f, err := fs.OpenReadWrite(largest, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, size/3); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x04
	if _, err := f.WriteAt(b, size/3); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// view is the model as a znode.View, for changes on top of a store that cannot be read.
type view struct{ m *model }

func newView(m *model) znode.View { return view{m} }

func (v view) Node(path string) *znode.Node { return v.m.nodes[path] }

func (v view) Children(path string, yield func(string) bool) {
	for _, name := range v.m.children(path) {
		if !yield(name) {
			return
		}
	}
}

func (v view) Ephemerals(owner sessionID, yield func(string) bool) {
	for _, path := range v.m.ephemerals(owner) {
		if !yield(path) {
			return
		}
	}
}

func (v view) Session(id sessionID) (int32, bool) {
	timeout, ok := v.m.sessions[id]
	return timeout, ok
}

func (v view) Subtree(path string) (int, int64) { return v.m.subtree(path) }

// A disk that is full when a table is to be written ends the process. What was installed
// was never called durable [H-16].
func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewCrashableMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	f := newFaults()
	cfg := config(t, fs)
	cfg.Fatal = f.fatal
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel()
	grow(t, s, m, 20, 100)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	durable := m.clone()
	grow(t, s, m, 20, 100)
	stream := chunks(t, s, 1000)
	full.Store(true)
	if _, err := stage(s, "snap", stream); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, store.ErrBadStream) {
		t.Errorf("staging on a full disk: %v, want ENOSPC and no blame on the stream", err)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- s.Flush() }()
	if err := f.one(t); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fault %v, want ENOSPC", err)
	}
	c := znode.NewChanges(s)
	c.Apply(createTxn(m.at.ID+1, "/more", nil))
	if err := s.Install(c, point(m.at.ID+1)); !errors.Is(err, store.ErrFailed) {
		t.Errorf("install after the fault: %v, want ErrFailed", err)
	}
	if err := s.ReplaceFrom("snap"); !errors.Is(err, store.ErrFailed) {
		t.Errorf("replace after the fault: %v, want ErrFailed", err)
	}
	if at, err := s.Durable(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("durable point after the fault: %v %v, want ErrFailed", at, err)
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	full.Store(false)
	<-flushed
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s = open(t, disk)
	defer closeStore(t, s)
	durable.check(t, s)
}

// An operator reads which directory it is.
func TestUnwritableDirectory(t *testing.T) {
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpMkdirAll {
			return syscall.EACCES
		}
		return nil
	}))
	_, err := store.Open(config(t, fs))
	if !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "/data/tree") {
		t.Errorf("open: %v, want EACCES and the directory", err)
	}
}
