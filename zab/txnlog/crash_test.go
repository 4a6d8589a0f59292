package txnlog_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// crashFS takes pictures of what crashes would leave, just before every operation that
// changes the disk, or before one of so many.
type crashFS struct {
	mem   *vfs.MemFS
	rng   *rand.Rand
	few   bool // one picture per operation instead of one of each kind
	every int  // 0: all operations

	mu       sync.Mutex
	on       bool
	ops      int
	pictures []*vfs.MemFS
}

// MaybeError implements errorfs.Injector.
func (c *crashFS) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && c.next() {
		c.picture(!c.few)
	}
	return nil
}

// next counts an operation and reports whether its picture is taken.
func (c *crashFS) next() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops++
	return c.ops%max(c.every, 1) == 0
}

func (c *crashFS) String() string { return "crash" }

// picture keeps how much of what is not synced: nothing, some and everything.
func (c *crashFS) picture(all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return
	}
	percents := []int{0, 50, 100}
	if !all {
		n := c.rng.IntN(3)
		percents = percents[n : n+1]
	}
	for _, percent := range percents {
		c.pictures = append(c.pictures, c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}))
	}
}

// during runs f and returns the pictures of the crashes possible meanwhile.
func (c *crashFS) during(f func()) []*vfs.MemFS {
	c.mu.Lock()
	c.on, c.pictures = true, nil
	c.mu.Unlock()
	f()
	c.picture(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	return c.pictures
}

func newCrashFS(tb testing.TB) (*crashFS, vfs.FS) {
	tb.Helper()
	seed := rand.Uint64()
	tb.Logf("seed %d", seed)
	c := &crashFS{mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 0))}
	return c, errorfs.Wrap(c.mem, c)
}

// crashScript exercises every kind of step. Data of a size that rotates Pebble's
// memtables puts flushes and compactions among the crash points.
func crashScript(size int) []func(l *txnlog.Log) error {
	g := newGenerator(zxid.Point{})
	g.data = make([]byte, size)
	apply := func(p zab.Persist) func(l *txnlog.Log) error {
		return func(l *txnlog.Log) error { return l.Apply(&p) }
	}
	a := g.next(3)
	cut := a[1].Point()
	b := newGenerator(cut)
	b.epoch, b.data = 2, g.data
	second := b.next(3)
	base := zxid.Point{ID: zxid.Make(4, 17), Hash: 4711}
	c := newGenerator(base)
	c.epoch, c.data = 4, g.data
	abandoned := c.next(4)
	c = newGenerator(base)
	c.epoch, c.data = 5, g.data
	staged, appended, more := c.next(2), c.next(1), c.next(2)
	return []func(l *txnlog.Log) error{
		apply(zab.Persist{Promise: promise(1, 1), Cluster: quorum.ClusterID{1}}),
		apply(zab.Persist{Current: epochPtr(1), Known: []zab.Known{{SID: 2, Incarnation: quorum.Incarnation{3}}}}),
		apply(zab.Persist{Append: a}),
		apply(zab.Persist{Promise: promise(2, 2)}),
		apply(zab.Persist{Truncate: &cut, Append: second, Current: epochPtr(2)}),
		apply(zab.Persist{Promise: promise(5, 3)}),
		func(l *txnlog.Log) error { return l.Reserve(7) },
		func(l *txnlog.Log) error { return l.StageNow(abandoned) },
		func(l *txnlog.Log) error { return l.DropStaged() },
		func(l *txnlog.Log) error { return l.StageNow(staged) },
		apply(zab.Persist{Install: &base, Append: appended, Current: epochPtr(5), Known: []zab.Known{}}),
		func(l *txnlog.Log) error { return l.InstallDone() },
		func(l *txnlog.Log) error { return l.Reserve(1<<64 - 1) },
		apply(zab.Persist{Append: more}),
		apply(zab.Persist{Truncate: pointPtr(appended[0].Point())}),
	}
}

// A crash anywhere leaves the state before a step or the state after it, and what was
// acknowledged is never taken for lost [H-01, H-06, H-07, H-08, H-12, H-24, H-35, H-69, H-92].
func TestCrashDuringEveryStep(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "rotating": 90 << 10} {
		t.Run(name, func(t *testing.T) {
			crash, fs := newCrashFS(t)
			if crash.few = size > 1000; testing.Short() {
				crash.every = 5
			}
			cfg := txnlog.Config{Dir: "dir/log", FS: fs, SID: 1, WatermarkBytes: 1}
			l := mustOpen(t, cfg)
			before := observe(t, l)
			for i, step := range crashScript(size) {
				pictures := crash.during(func() {
					if err := step(l); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
				})
				after := observe(t, l)
				for n, picture := range pictures {
					got := reopened(t, picture, cfg)
					if n >= len(pictures)-3 && !got.equal(after) {
						t.Fatalf("step %d is not durable when it returns, picture %d:\n%vwant\n%v", i, n, got, after)
					}
					if !got.equal(before) && !got.equal(after) {
						t.Fatalf("step %d, picture %d of %d: crash left\n%vneither\n%vnor\n%v", i, n, len(pictures), got, before, after)
					}
				}
				before = after
			}
		})
	}
}

// reopened is what a log says after a crash, twice: what was read once stays.
func reopened(t *testing.T, picture *vfs.MemFS, cfg txnlog.Config) image {
	t.Helper()
	cfg.FS = picture
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatalf("open after a crash: %v", err)
	}
	first := observe(t, l)
	cfg.FS = picture.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = tryOpen(t, cfg); err != nil {
		t.Fatalf("open after a second crash: %v", err)
	}
	second := observe(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !second.equal(first) {
		t.Fatalf("a power cut took back what was read at open [H-15]:\n%vwas\n%v", second, first)
	}
	return first
}

// A crash while a store is created leaves no store or a usable one [H-21].
func TestCrashDuringCreation(t *testing.T) {
	crash, fs := newCrashFS(t)
	cfg := txnlog.Config{Dir: "dir/log", FS: fs, SID: 1}
	var l *txnlog.Log
	pictures := crash.during(func() { l = mustOpen(t, cfg) })
	for _, picture := range pictures {
		if got := reopened(t, picture, cfg); got.durable.Untrusted || got.durable.Incarnation.IsZero() {
			t.Fatalf("crash left %v", got)
		}
	}
	if len(pictures) < 10 {
		t.Fatalf("only %d pictures", len(pictures))
	}
	last := reopened(t, pictures[len(pictures)-3], cfg)
	if last.durable.Incarnation != l.Durable().Incarnation {
		t.Fatal("the incarnation was not durable when Open returned")
	}
}

// A killed process leaves written and unsynced entries in the page cache. They are read by
// the next one, so they must survive a power cut after it [H-15].
func TestUnsyncedTailIsMadeDurable(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var killed *vfs.MemFS // the disk when the sync of the step began
	armed := false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if armed && sync && strings.HasSuffix(op.Path, ".log") && killed == nil {
			killed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		}
		return nil
	}))
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	l := mustOpen(t, cfg)
	begin(t, l, 1)
	mu.Lock()
	armed = true
	mu.Unlock()
	g := newGenerator(zxid.Point{})
	if err := l.Apply(&zab.Persist{Append: g.small(3)}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	picture := killed
	mu.Unlock()
	if picture == nil {
		t.Fatal("the step was not synced")
	}
	if got := reopened(t, picture, cfg); got.durable.History.Last() != g.last {
		t.Fatalf("log ends at %v; the tail that was in the page cache, %v, was not read", got.durable.History.Last(), g.last)
	}
}

// A trim is lazy: after a crash the entries are gone or back, never some of them [H-19].
func TestCrashDuringTrim(t *testing.T) {
	crash, fs := newCrashFS(t)
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1, TrimStep: 1}
	l := mustOpen(t, cfg)
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	all := g.small(20)
	if err := l.Apply(&zab.Persist{Append: all}); err != nil {
		t.Fatal(err)
	}
	before := observe(t, l)
	pictures := crash.during(func() {
		if err := l.Trim(generation(l), all[11].ID); err != nil {
			t.Fatal(err)
		}
	})
	after := observe(t, l)
	pictures = append(pictures, crash.during(func() {
		if err := l.Apply(&zab.Persist{Promise: promise(2, 1)}); err != nil {
			t.Fatal(err)
		}
	})...)
	final := observe(t, l)
	for _, picture := range pictures {
		got := reopened(t, picture, cfg)
		if !got.equal(before) && !got.equal(after) && !got.equal(final) {
			t.Fatalf("crash left\n%v", got)
		}
	}
	if len(after.entries) != 8 {
		t.Fatalf("%d entries after the trim", len(after.entries))
	}
}
