package txnlog_test

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestWriterGroups(t *testing.T) {
	cfg := txnlog.Config{Dir: t.TempDir(), SID: 1, WatermarkBytes: 64 << 10}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var reported []uint64 // by the writer's goroutine, until Close
	w, err := l.NewWriter(func(token uint64) { reported = append(reported, token) })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Submit(&zab.Persist{Token: 1, Promise: promise(1, 1), Current: epochPtr(1)}); err != nil {
		t.Fatal(err)
	}
	g := newGenerator(zxid.Point{})
	var want []zxid.ID
	const steps = 2000
	for token := uint64(2); token <= steps; token++ {
		es := g.small(3)
		want = append(want, ids(es)...)
		p := &zab.Persist{Token: token, Append: es}
		if token%97 == 0 { // take the last two back
			p.Truncate, p.Append = pointPtr(es[0].Point()), nil
			if err := w.Submit(&zab.Persist{Token: token, Append: es}); err != nil {
				t.Fatal(err)
			}
			g.last, want = es[0].Point(), want[:len(want)-2]
		}
		if err := w.Submit(p); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if !slices.IsSorted(reported) || reported[len(reported)-1] != steps {
		t.Fatalf("reported %v", reported)
	}
	if err := w.Submit(&zab.Persist{}); !errors.Is(err, txnlog.ErrFenced) {
		t.Fatalf("submit after close: %v", err)
	}
	if st := l.Stats(); st.Syncs == 0 || st.Syncs >= steps || st.Entries < uint64(len(want)) || st.SlowSync > st.SyncTime {
		t.Fatalf("stats %+v", st)
	}
	if got := ids(contents(t, l)); !slices.Equal(got, want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	before := observe(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, cfg)
	if after := observe(t, l); !after.equal(before) {
		t.Fatalf("reopened:\n%v\nwant\n%v", after, before)
	}
}

// Staged entries, the installation and what follows may fall into one group [H-30].
func TestWriterInstallInOneGroup(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 2)
	g := newGenerator(zxid.Point{})
	if err := l.Apply(&zab.Persist{Append: g.small(9)}); err != nil {
		t.Fatal(err)
	}
	stall := make(chan struct{})
	var last atomic.Uint64
	w, err := l.NewWriter(func(token uint64) {
		if last.Swap(token) == 0 {
			<-stall // so that everything below is one group
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	base := zxid.Point{ID: zxid.Make(2, 90), Hash: 5}
	h := newGenerator(base)
	staged, appended, more := h.small(3), h.small(2), h.small(2)
	for _, err := range []error{
		w.Submit(&zab.Persist{Token: 1, Append: g.small(2)}),
		w.Stage(staged[:2]), w.Stage(staged[2:]), w.Stage(nil),
		w.Submit(&zab.Persist{Token: 2, Install: &base, Append: appended}),
		w.Submit(&zab.Persist{Token: 3, Append: more}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stall)
	w.Close()
	want := ids(slices.Concat(staged, appended, more))
	if got := ids(contents(t, l)); !slices.Equal(got, want) || last.Load() != 3 {
		t.Fatalf("entries %v, want %v; last token %d", got, want, last.Load())
	}
	if err := l.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A superseded writer writes and reports nothing more, and what it had queued is not part
// of the history that the next one continues [H-28].
func TestFencing(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 1)
	var fenced atomic.Bool
	for range 50 {
		fenced.Store(false)
		w, err := l.NewWriter(func(uint64) {
			if fenced.Load() {
				t.Error("the callback of a fenced writer was called")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Apply(&zab.Persist{}); !errors.Is(err, txnlog.ErrBusy) {
			t.Fatalf("apply beside a writer: %v", err)
		}
		g := newGenerator(l.Durable().History.Last())
		for token := uint64(1); token <= 20; token++ {
			if err := w.Submit(&zab.Persist{Token: token, Append: g.small(1)}); err != nil {
				t.Fatal(err)
			}
		}
		next, err := l.NewWriter(func(uint64) {})
		if err != nil {
			t.Fatal(err)
		}
		fenced.Store(true)
		if err := w.Submit(&zab.Persist{Append: g.small(1)}); !errors.Is(err, txnlog.ErrFenced) {
			t.Fatalf("fenced writer took a step: %v", err)
		}
		if err := w.Stage(g.small(1)); !errors.Is(err, txnlog.ErrFenced) {
			t.Fatalf("fenced writer staged: %v", err)
		}
		w.Close()
		h := newGenerator(l.Durable().History.Last())
		if err := next.Submit(&zab.Persist{Token: 1, Append: h.small(2)}); err != nil {
			t.Fatal(err)
		}
		next.Close()
		if got := l.Durable().History.Last(); got != h.last {
			t.Fatalf("log ends at %v, want %v", got, h.last)
		}
		if err := l.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// NewWriter returns only when what its predecessor had begun to write is on disk: nothing of
// it can surface later [H-28].
func TestFencingWaitsForTheDisk(t *testing.T) {
	syncing, release := make(chan struct{}), make(chan struct{})
	var armed, released atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if sync && armed.CompareAndSwap(true, false) {
			close(syncing)
			<-release
		}
		return nil
	}))
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: fs, SID: 1})
	begin(t, l, 1)
	var late atomic.Bool
	w, err := l.NewWriter(func(uint64) { late.Store(true) })
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(zxid.Point{})
	armed.Store(true)
	if err := w.Submit(&zab.Persist{Token: 1, Append: g.small(2)}); err != nil {
		t.Fatal(err)
	}
	<-syncing
	begun := g.last
	if err := w.Submit(&zab.Persist{Token: 2, Append: g.small(2)}); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		_, err := l.NewWriter(func(uint64) {})
		if !released.Load() {
			err = errors.New("the new writer did not wait")
		}
		opened <- err
	}()
	for w.Submit(&zab.Persist{}) == nil { // until the new writer has fenced this one
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
	released.Store(true)
	close(release)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if late.Load() {
		t.Error("a fenced writer reported")
	}
	if got := l.Durable().History.Last(); got != begun {
		t.Errorf("log ends at %v, want %v: what was begun and nothing of what was queued", got, begun)
	}
}

// Readers, trims and hints run beside the writer.
func TestConcurrentUse(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1, TrimStep: 50})
	begin(t, l, 1)
	var durable atomic.Uint64
	w, err := l.NewWriter(func(token uint64) { durable.Store(token) })
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		for durable.Load() < 3000 {
			d := l.Durable().History
			l.NoteCommitted(d.Last().ID)
			if _, err := l.Entries(d.Base.ID, d.Last().ID, 4096); err != nil && !errors.Is(err, txnlog.ErrTrimmed) {
				t.Errorf("read: %v", err)
				return
			}
		}
	})
	others.Go(func() {
		for durable.Load() < 3000 {
			if err := l.Trim(generation(l), l.Durable().History.Last().ID); err != nil {
				t.Errorf("trim: %v", err)
				return
			}
			if err := l.Verify(t.Context()); err != nil {
				t.Errorf("verify: %v", err)
				return
			}
		}
	})
	g := newGenerator(zxid.Point{})
	for token := uint64(1); token <= 3000; token++ {
		if err := w.Submit(&zab.Persist{Token: token, Append: g.small(2)}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	others.Wait()
	if err := l.Trim(generation(l), g.last.ID); err != nil {
		t.Fatal(err)
	}
	if d := l.Durable().History; d.Last() != g.last || d.Base.ID == 0 {
		t.Fatalf("log %v, want it to end at %v and to be trimmed", d, g.last)
	}
}

// diskError is an operation that fails once, how, and what the log makes of it.
type diskError struct {
	name string
	op   func(errorfs.Op) bool
	err  error
	kind error
}

func diskErrors() []diskError {
	return []diskError{
		{"sync", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		}, syscall.EIO, syscall.EIO},
		{"write", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite }, syscall.ENOSPC, txnlog.ErrDiskFull},
		{
			"create or reuse a file", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite },
			syscall.EROFS, txnlog.ErrNotWritable,
		},
		{"create a WAL", func(op errorfs.Op) bool {
			return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) && strings.HasSuffix(op.Path, ".log")
		}, syscall.ENOSPC, txnlog.ErrDiskFull},
		{
			"create a table", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") },
			syscall.EROFS, txnlog.ErrNotWritable,
		},
		{"write the watermark", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "WATERMARK")
		}, syscall.ENOSPC, txnlog.ErrDiskFull},
		{
			"rename the watermark", func(op errorfs.Op) bool { return op.Kind == errorfs.OpRename },
			syscall.EIO, syscall.EIO,
		},
	}
}

// The first error of the disk is the last thing that happens: no acknowledgement after
// it, no retry that could succeed by accident [H-03, H-05, H-16].
func TestDiskErrors(t *testing.T) {
	for _, c := range diskErrors() {
		t.Run(c.name, func(t *testing.T) {
			var armed atomic.Bool // one error, then the disk is well again
			mem := vfs.NewCrashableMem()
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if c.op(op) && armed.CompareAndSwap(true, false) {
					return c.err
				}
				return nil
			}))
			fatal := make(chan error, 2)
			l, err := tryOpen(t, txnlog.Config{
				Dir: "log", FS: fs, SID: 1, WatermarkBytes: 1,
				Fatal: func(err error) { fatal <- err },
			})
			if err != nil {
				t.Fatal(err)
			}
			begin(t, l, 1)
			var failing atomic.Bool
			w, err := l.NewWriter(func(token uint64) {
				if failing.Load() {
					t.Errorf("token %d was reported after the failure", token)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			g := newGenerator(zxid.Point{})
			armed.Store(true)
			for token := uint64(1); err == nil; token++ {
				err = w.Submit(&zab.Persist{Token: token, Append: g.next(100)})
			}
			failure := <-fatal
			failing.Store(true)
			if !errors.Is(failure, c.kind) || !errors.Is(err, c.kind) {
				t.Errorf("failure %v, submit said %v; want %v", failure, err, c.kind)
			}
			w.Close()
			checkRefuses(t, l, c.kind)
			claimed := l.Durable().History.Last()
			cut := mustOpen(t, txnlog.Config{Dir: "log", FS: mem.CrashClone(vfs.CrashCloneCfg{}), SID: 1})
			if d := cut.Durable(); d.Untrusted || d.History.Last().ID < claimed.ID {
				t.Errorf("the failed log claims %v, on disk is %+v", claimed, d)
			}
			if len(fatal) != 0 {
				t.Errorf("Fatal was called again: %v", <-fatal)
			}
		})
	}
}

// checkRefuses asks everything of a failed log.
func checkRefuses(t *testing.T, l *txnlog.Log, kind error) {
	t.Helper()
	for name, err := range map[string]error{
		"apply": l.Apply(&zab.Persist{Promise: promise(2, 2)}),
		"stage": l.StageNow(newGenerator(zxid.Point{}).small(1)),
		"trim":  l.Trim(generation(l), 1),
		"done":  l.InstallDone(),
		"close": l.Close(),
	} {
		if !errors.Is(err, kind) {
			t.Errorf("%s after the failure: %v", name, err)
		}
	}
	if _, err := l.Entries(0, 100, 1); err == nil {
		t.Error("a failed log was read")
	}
	if _, err := l.NewWriter(nil); !errors.Is(err, kind) {
		t.Errorf("new writer after the failure: %v", err)
	}
}

// What cannot be opened says why.
func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind error
	}{{syscall.EACCES, txnlog.ErrNotWritable}, {syscall.EROFS, txnlog.ErrNotWritable}, {syscall.ENOSPC, txnlog.ErrDiskFull}} {
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpMkdirAll {
				return c.err
			}
			return nil
		}))
		_, err := tryOpen(t, txnlog.Config{Dir: "some/log", FS: fs, SID: 1})
		var e *txnlog.Error
		if !errors.Is(err, c.kind) || !errors.As(err, &e) || e.Dir != "some/log" || e.Remedy == "" {
			t.Errorf("%v: got %v", c.err, err)
		}
	}
}

func TestNoSync(t *testing.T) {
	mem := vfs.NewCrashableMem()
	cfg := txnlog.Config{Dir: "log", FS: mem, Standalone: true, WatermarkBytes: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	if err := l.Apply(&zab.Persist{Append: g.small(5)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.NoSync = true
	l = mustOpen(t, cfg)
	if err := l.Apply(&zab.Persist{Append: g.small(5)}); err != nil {
		t.Fatal(err)
	}
	cfg.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	l = mustOpen(t, cfg)
	if d := l.Durable(); d.Untrusted || d.History.Last().ID < zxid.Make(1, 5) {
		t.Fatalf("after a crash that may lose entries by the operator's choice: %+v", d)
	}
}

// A disk that does not keep up makes Submit wait rather than memory grow (hazards H-66, H-74).
func TestWriterQueueIsBounded(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 1)
	stall := make(chan struct{})
	var stalled, submitted atomic.Uint64
	w, err := l.NewWriter(func(uint64) {
		if stalled.Add(1) == 1 {
			<-stall
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	const steps, size = 100, 1 << 20
	data := make([]byte, size)
	last := zxid.Point{}
	step := func(token uint64) *zab.Persist {
		e := zab.NewEntry(last, zxid.Make(1, zxid.Counter(token)), data)
		last = e.Point()
		return &zab.Persist{Token: token, Append: []zab.Entry{e}}
	}
	if err := w.Submit(step(1)); err != nil {
		t.Fatal(err)
	}
	for stalled.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	done := make(chan error, 1)
	go func() {
		for token := uint64(2); token <= steps; token++ {
			if err := w.Submit(step(token)); err != nil {
				done <- err
				return
			}
			submitted.Add(1)
		}
		done <- nil
	}()
	for submitted.Load() < 60 {
		<-time.After(time.Millisecond)
	}
	if n := submitted.Load(); n > 64 {
		t.Errorf("%d MiB are queued", n)
	}
	select {
	case err := <-done:
		t.Fatalf("all was queued at once: %v", err)
	default:
	}
	close(stall)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := contents(t, l); len(got) != steps {
		t.Fatalf("%d entries, want %d", len(got), steps)
	}
}
