package txnlog_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// model is a history kept the dumb way.
type model struct {
	promise   zab.Promise
	current   zxid.Epoch
	base      zxid.Point
	entries   []zab.Entry
	committed zxid.ID
	trimmed   []zab.Entry // by trims that a crash may take back, oldest first
	oldBase   zxid.Point  // the base before them
}

func (m *model) last() zxid.Point {
	if n := len(m.entries); n > 0 {
		return m.entries[n-1].Point()
	}
	return m.base
}

func (m *model) synced() { m.trimmed, m.oldBase = nil, m.base }

// machine drives a log and its model.
type machine struct {
	tb   testing.TB
	fs   *vfs.MemFS
	log  *txnlog.Log
	m    model
	salt byte
}

func (x *machine) open(t *rapid.T) {
	l, err := txnlog.Open(txnlog.Config{
		Dir: "log", FS: x.fs, SID: 1, TrimStep: 1, WatermarkBytes: 200,
		Logger: zerolog.Nop(), Fatal: func(err error) { x.tb.Errorf("the log failed: %v", err) },
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	x.log = l
}

func (x *machine) apply(t *rapid.T, p *zab.Persist) {
	if err := x.log.Apply(p); err != nil {
		t.Fatalf("apply %+v: %v", p, err)
	}
	if !p.Empty() {
		x.m.synced()
	}
}

// some makes entries behind last, perhaps reaching into a later epoch.
func (x *machine) some(t *rapid.T, last zxid.Point, most int) []zab.Entry {
	x.salt++
	g := newGenerator(last)
	g.salt = x.salt % 26
	es := g.small(rapid.IntRange(0, most).Draw(t, "entries"))
	if g.epoch < x.m.current && rapid.Bool().Draw(t, "next epoch") {
		g.epoch = x.m.current
		es = append(es, g.small(rapid.IntRange(1, most).Draw(t, "entries of it"))...)
	}
	return es
}

func (x *machine) Epoch(t *rapid.T) {
	e := x.m.promise.Epoch + zxid.Epoch(rapid.IntRange(1, 3).Draw(t, "epochs"))
	p := &zab.Persist{Promise: promise(e, 2)}
	x.m.promise = *p.Promise
	if rapid.Bool().Draw(t, "current") {
		p.Current, x.m.current = &e, e
	}
	x.apply(t, p)
}

func (x *machine) Append(t *rapid.T) {
	es := x.some(t, x.m.last(), 5)
	x.apply(t, &zab.Persist{Append: es})
	x.m.entries = append(x.m.entries, es...)
}

func (x *machine) Truncate(t *rapid.T) {
	n := rapid.IntRange(0, len(x.m.entries)).Draw(t, "kept")
	to := x.m.base
	if n > 0 {
		to = x.m.entries[n-1].Point()
	}
	if to.ID < x.m.committed {
		return
	}
	es := x.some(t, to, 3)
	x.apply(t, &zab.Persist{Truncate: &to, Append: es})
	x.m.entries = append(slices.Clone(x.m.entries[:n]), es...)
}

func (x *machine) Stage(t *rapid.T) {
	es := x.some(t, zxid.Point{ID: zxid.Make(1, 5), Hash: 9}, 4)
	if err := x.log.StageNow(es); err != nil {
		t.Fatal(err)
	}
	if err := x.log.DropStaged(); err != nil {
		t.Fatal(err)
	}
}

func (x *machine) Install(t *rapid.T) {
	at := x.m.last()
	epoch := rapid.SampledFrom([]zxid.Epoch{at.ID.Epoch(), x.m.current}).Draw(t, "epoch")
	base := zxid.Point{ID: zxid.Make(epoch, at.ID.Counter()+3), Hash: rapid.Uint64().Draw(t, "hash")}
	staged := x.some(t, base, 4)
	if err := x.log.StageNow(staged); err != nil {
		t.Fatal(err)
	}
	end := base
	if n := len(staged); n > 0 {
		end = staged[n-1].Point()
	}
	more := x.some(t, end, 3)
	x.apply(t, &zab.Persist{Install: &base, Append: more})
	x.m.base, x.m.entries, x.m.committed = base, append(staged, more...), base.ID
	x.m.synced()
}

func (x *machine) Commit(t *rapid.T) {
	if n := len(x.m.entries); n > 0 {
		id := x.m.entries[rapid.IntRange(0, n-1).Draw(t, "committed")].ID
		x.log.NoteCommitted(id)
		x.m.committed = max(x.m.committed, id)
	}
}

func (x *machine) Trim(t *rapid.T) {
	n := rapid.IntRange(0, len(x.m.entries)).Draw(t, "trimmed")
	if n == 0 {
		return
	}
	to := x.m.entries[n-1].Point()
	if _, ok := x.log.Generation(); !ok {
		if err := x.log.Trim(generation(x.log), to.ID); err != nil { // does nothing
			t.Fatal(err)
		}
		x.Check(t)
		if err := x.log.InstallDone(); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.log.Trim(generation(x.log), to.ID); err != nil {
		t.Fatal(err)
	}
	if n >= max(1, len(x.m.entries)/4) {
		x.m.trimmed = append(x.m.trimmed, x.m.entries[:n]...)
		x.m.base, x.m.entries = to, slices.Clone(x.m.entries[n:])
		x.m.committed = max(x.m.committed, to.ID)
	}
}

func (x *machine) Reopen(t *rapid.T) {
	if err := x.log.Close(); err != nil {
		t.Fatal(err)
	}
	x.m.synced()
	x.open(t)
}

func (x *machine) Crash(t *rapid.T) {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "crash"), 0))
	next := x.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "percent"), RNG: rng})
	if err := x.log.Close(); err != nil {
		t.Fatal(err)
	}
	x.fs = next
	x.open(t)
	d := x.log.Durable()
	if d.Committed > x.m.committed {
		t.Fatalf("committed %v after a crash, was %v", d.Committed, x.m.committed)
	}
	x.m.committed = d.Committed
	// Lazy trims may be undone, each as a whole; the check below sees to the entries.
	for d.History.Base != x.m.base && len(x.m.trimmed) > 0 {
		n := len(x.m.trimmed) - 1
		x.m.entries = slices.Insert(x.m.entries, 0, x.m.trimmed[n])
		x.m.trimmed, x.m.base = x.m.trimmed[:n], x.m.oldBase
		if n > 0 {
			x.m.base = x.m.trimmed[n-1].Point()
		}
	}
	x.m.synced()
}

// Check compares everything observable.
func (x *machine) Check(t *rapid.T) {
	d := x.log.Durable()
	if d.Promise != x.m.promise || d.Current != x.m.current || d.History.Base != x.m.base ||
		d.History.Last() != x.m.last() || d.Untrusted || d.Committed != x.m.committed {
		t.Fatalf("log says %+v, model %+v", d, x.m)
	}
	var got []zab.Entry
	for at := d.History.Base.ID; at < d.History.Last().ID; at = got[len(got)-1].ID {
		es, err := x.log.Entries(at, d.History.Last().ID, 100)
		if err != nil || len(es) == 0 {
			t.Fatalf("entries after %v: %v, %v", at, es, err)
		}
		got = append(got, es...)
	}
	if a, b := (image{entries: got}), (image{entries: x.m.entries}); !a.equal(b) {
		t.Fatalf("entries\n%vwant\n%v", a, b)
	}
	for _, r := range d.History.Runs {
		i := slices.IndexFunc(x.m.entries, func(e zab.Entry) bool { return e.ID == r.Point().ID })
		if i < 0 || x.m.entries[i].Point() != r.Point() || i+1 < len(x.m.entries) && x.m.entries[i+1].ID.Epoch() == r.Epoch {
			t.Fatalf("run %+v is not one of %v", r, ids(x.m.entries))
		}
	}
	if err := x.log.Verify(x.tb.Context()); err != nil {
		t.Fatal(err)
	}
}

// The log equals a slice of entries, whatever is done to both.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := &machine{tb: t, fs: vfs.NewCrashableMem()}
		x.open(rt)
		x.m.promise.Leader = -1
		defer func() {
			if err := x.log.Close(); err != nil {
				rt.Fatal(err)
			}
		}()
		x.Epoch(rt)
		x.apply(rt, &zab.Persist{Current: &x.m.promise.Epoch})
		x.m.current = x.m.promise.Epoch
		rt.Repeat(map[string]func(*rapid.T){
			"epoch": x.Epoch, "append": x.Append, "append more": x.Append, "truncate": x.Truncate, "stage": x.Stage,
			"install": x.Install, "commit": x.Commit, "trim": x.Trim, "reopen": x.Reopen, "crash": x.Crash, "": x.Check,
		})
	})
}
