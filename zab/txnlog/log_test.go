package txnlog_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestCreateAndReopen(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "a/b/log", FS: fs, SID: 3, Rand: bytes.NewReader(bytes.Repeat([]byte{7}, 16))}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := l.Durable()
	if d.Untrusted || d.History.Last() != (zxid.Point{}) || d.Current != 0 || d.Promise.Leader != quorum.None ||
		d.Incarnation != quorum.Incarnation(bytes.Repeat([]byte{7}, 16)) || !d.Cluster.IsZero() {
		t.Fatalf("a new store says %+v", d)
	}
	cluster := quorum.ClusterID{1, 2}
	known := []zab.Known{{SID: 9, Incarnation: quorum.Incarnation{9}}, {SID: 2, Incarnation: quorum.Incarnation{2}}}
	g := newGenerator(zxid.Point{})
	err = l.Apply(&zab.Persist{Promise: promise(4, 2), Current: epochPtr(4), Append: g.small(3), Cluster: cluster, Known: known})
	if err != nil {
		t.Fatal(err)
	}
	l.NoteCommitted(zxid.Make(1, 2))
	before := observe(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Rand = bytes.NewReader(nil) // an existing store draws nothing
	l = mustOpen(t, cfg)
	if after := observe(t, l); !after.equal(before) {
		t.Fatalf("reopened:\n%vwant:\n%v", after, before)
	}
	d = l.Durable()
	if d.Committed != zxid.Make(1, 2) || d.Cluster != cluster || len(d.Known) != 2 || d.Known[0].SID != 2 {
		t.Fatalf("reopened store says %+v", d)
	}
}

// TestOwnership holds hazard H-41.
func TestOwnership(t *testing.T) {
	fs := vfs.NewMem()
	open := func(sid quorum.SID, standalone bool) error {
		l, err := tryOpen(t, txnlog.Config{Dir: "log", FS: fs, SID: sid, Standalone: standalone})
		if err == nil {
			err = l.Close()
		}
		return err
	}
	for _, step := range []struct {
		name       string
		sid        quorum.SID
		standalone bool
		want       error
	}{
		{"a standalone server creates it", 0, true, nil},
		{"and opens it again", 0, true, nil},
		{"a member takes it over", 2, false, nil},
		{"and keeps it", 2, false, nil},
		{"from another member", 3, false, txnlog.ErrWrongSID},
		{"and from a standalone server", 0, true, txnlog.ErrWrongSID},
	} {
		if err := open(step.sid, step.standalone); !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	for _, fs := range []vfs.FS{vfs.NewMem(), nil} {
		cfg := txnlog.Config{Dir: t.TempDir(), FS: fs, SID: 1}
		mustOpen(t, cfg)
		if _, err := tryOpen(t, cfg); !errors.Is(err, txnlog.ErrLocked) {
			t.Errorf("second open: got %v, want ErrLocked", err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []txnlog.Config{
		{Fatal: func(error) {}},
		{Dir: "x", FS: vfs.NewMem()},
		{Dir: "x", FS: vfs.NewMem(), Fatal: func(error) {}, SID: 256},
		{Dir: "x", FS: vfs.NewMem(), Fatal: func(error) {}, SID: -1},
	} {
		if _, err := txnlog.Open(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// A step that does not fit is refused as a whole [H-18].
func TestRefusedSteps(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 2)
	g := newGenerator(zxid.Point{})
	first := g.small(5)
	if err := l.Apply(&zab.Persist{Append: first}); err != nil {
		t.Fatal(err)
	}
	l.NoteCommitted(first[1].ID)
	follow := g.small(2)
	forged := first[4]
	forged.Hash++
	other := zab.NewEntry(first[0].Point(), first[1].ID, []byte("other"))
	another := zab.NewEntry(other.Point(), first[2].ID, []byte("another"))
	before := observe(t, l)
	for _, c := range []struct {
		name string
		p    zab.Persist
		want error
	}{
		{"gap", zab.Persist{Append: follow[1:]}, zab.ErrGap},
		{"again", zab.Persist{Append: first}, zab.ErrGap},
		{"hole inside", zab.Persist{Append: []zab.Entry{follow[0], {ID: follow[1].ID + 1, Prev: follow[1].ID}}}, zab.ErrGap},
		{"epoch not current", zab.Persist{Append: []zab.Entry{zab.NewEntry(first[4].Point(), zxid.Make(3, 1), nil)}}, txnlog.ErrEpochs},
		{"truncate above", zab.Persist{Truncate: pointPtr(follow[0].Point())}, txnlog.ErrNoPoint},
		{"truncate between epochs", zab.Persist{Truncate: &zxid.Point{ID: zxid.Make(1, 9)}}, txnlog.ErrNoPoint},
		{"truncate to (e,0)", zab.Persist{Truncate: &zxid.Point{ID: zxid.Make(1, 0)}}, txnlog.ErrNoPoint},
		{"truncate, other hash at the end", zab.Persist{Truncate: pointPtr(forged.Point())}, txnlog.ErrNoPoint},
		{"truncate, other hash inside", zab.Persist{Truncate: &zxid.Point{ID: first[2].ID, Hash: 1}}, txnlog.ErrNoPoint},
		{"truncate committed", zab.Persist{Truncate: pointPtr(first[0].Point())}, txnlog.ErrCommitted},
		{"truncate committed and go on", zab.Persist{Truncate: pointPtr(first[0].Point()), Append: []zab.Entry{other, another}}, txnlog.ErrCommitted},
		{"install below committed", zab.Persist{Install: pointPtr(first[0].Point())}, txnlog.ErrCommitted},
		{"older promise", zab.Persist{Promise: promise(1, 1)}, txnlog.ErrEpochs},
		{"same promise, other leader", zab.Persist{Promise: promise(2, 2)}, txnlog.ErrEpochs},
		{"older current", zab.Persist{Current: epochPtr(1)}, txnlog.ErrEpochs},
		{"current not promised", zab.Persist{Current: epochPtr(3)}, txnlog.ErrEpochs},
		{"promise and a gap", zab.Persist{Promise: promise(9, 1), Append: follow[1:]}, zab.ErrGap},
		{"absurd promise", zab.Persist{Promise: promise(zxid.MaxEpoch+1, 1)}, txnlog.ErrEpochs},
	} {
		if err := l.Apply(&c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := l.Apply(&zab.Persist{Known: []zab.Known{{SID: 1}, {SID: 1}}}); err == nil {
		t.Error("a server known twice was accepted")
	}
	if after := observe(t, l); !after.equal(before) {
		t.Fatalf("refused steps changed the log:\n%vwas:\n%v", after, before)
	}
	if err := l.Apply(&zab.Persist{Append: follow}); err != nil {
		t.Fatalf("the log does not go on after refusals: %v", err)
	}
}

// TestTruncate holds hazards H-01, H-02.
func TestTruncate(t *testing.T) {
	type cutTo struct {
		name string
		n    int // entries kept
	}
	for _, c := range []cutTo{{"nothing cut", 7}, {"inside the last epoch", 6}, {"end of an epoch", 4}, {"inside an older epoch", 2}, {"everything", 0}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1}
			l, err := tryOpen(t, cfg)
			if err != nil {
				t.Fatal(err)
			}
			begin(t, l, 9)
			g := newGenerator(zxid.Point{})
			all := g.small(4)
			g.epoch = 5
			all = append(all, g.small(3)...)
			if err := l.Apply(&zab.Persist{Append: all}); err != nil {
				t.Fatal(err)
			}
			var to zxid.Point
			if c.n > 0 {
				to = all[c.n-1].Point()
			}
			h := newGenerator(to)
			h.epoch, h.salt = 7, 1
			more := h.small(2)
			if err := l.Apply(&zab.Persist{Truncate: &to, Append: more}); err != nil {
				t.Fatal(err)
			}
			want := ids(append(slices.Clone(all[:c.n]), more...))
			for range 2 { // as cut, and as reopened
				if got := ids(contents(t, l)); !slices.Equal(got, want) {
					t.Fatalf("entries %v, want %v", got, want)
				}
				if err := l.Verify(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = tryOpen(t, cfg); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Nothing of the old history is left by an installation, in no generation [H-07, H-92].
func TestInstall(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l, 3)
	g := newGenerator(zxid.Point{})
	old := g.small(10)
	if err := l.Apply(&zab.Persist{Append: old}); err != nil {
		t.Fatal(err)
	}
	// An attempt that came to nothing, longer than the next one.
	if err := l.StageNow(g.small(20)); err != nil {
		t.Fatal(err)
	}
	if err := l.DropStaged(); err != nil {
		t.Fatal(err)
	}
	base := zxid.Point{ID: zxid.Make(2, 50), Hash: 77}
	h := newGenerator(base)
	staged, appended := h.small(3), h.small(2)
	if err := l.StageNow(staged[:1]); err != nil {
		t.Fatal(err)
	}
	if err := l.StageNow(staged[2:]); !errors.Is(err, zab.ErrGap) {
		t.Fatalf("staging with a hole: got %v, want ErrGap", err)
	}
	if err := l.StageNow(staged[1:]); err != nil {
		t.Fatal(err)
	}
	if got := ids(contents(t, l)); !slices.Equal(got, ids(old)) {
		t.Fatalf("staged entries are visible: %v", got)
	}
	wrong := zxid.Point{ID: base.ID, Hash: 78}
	if err := l.Apply(&zab.Persist{Install: &wrong}); !errors.Is(err, zab.ErrDiverged) {
		t.Fatalf("staged entries accepted behind another state: %v", err)
	}
	if err := l.Apply(&zab.Persist{Install: &base, Append: appended, Current: epochPtr(3)}); err != nil {
		t.Fatal(err)
	}
	checkInstalled(t, cfg, l, base, old, ids(append(staged, appended...)))
}

// checkInstalled looks at an installed log, reopens it several times, and ends the
// installation.
func checkInstalled(t *testing.T, cfg txnlog.Config, l *txnlog.Log, base zxid.Point, old []zab.Entry, want []zxid.ID) {
	t.Helper()
	for range 3 {
		d := l.Durable()
		if got := ids(contents(t, l)); !slices.Equal(got, want) || d.History.Base != base || d.Committed != base.ID {
			t.Fatalf("installed: entries %v, want %v; %+v", got, want, d)
		}
		if at, pending := l.Intent(); !pending || at != base {
			t.Fatalf("intent %v %v, want %v", at, pending, base)
		}
		if _, err := l.Entries(old[3].ID, old[9].ID, 1<<20); !errors.Is(err, txnlog.ErrTrimmed) {
			t.Fatalf("reading across the seam: got %v, want ErrTrimmed", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if keys := rawLogKeys(t, cfg.FS); keys != len(want) {
			t.Fatalf("%d keys of entries on disk, want %d", keys, len(want))
		}
		var err error
		if l, err = tryOpen(t, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.InstallDone(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, cfg)
	if at, pending := l.Intent(); pending {
		t.Fatalf("intent %v after InstallDone and reopening", at)
	}
}

// The leavings of an abandoned attempt are not part of a snapshot that comes without entries [H-08].
func TestInstallAfterAbandonedStaging(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 3)
	g := newGenerator(zxid.Point{ID: zxid.Make(2, 10)})
	if err := l.StageNow(g.small(20)); err != nil {
		t.Fatal(err)
	}
	if err := l.DropStaged(); err != nil {
		t.Fatal(err)
	}
	base := zxid.Point{ID: zxid.Make(2, 5), Hash: 1}
	if err := l.Apply(&zab.Persist{Install: &base}); err != nil {
		t.Fatal(err)
	}
	if es, err := l.Entries(base.ID, zxid.Make(9, 9), 1<<20); err != nil || len(es) != 0 {
		t.Fatalf("entries %v, %v behind an installation without any", ids(es), err)
	}
}

// What an unfinished synchronisation staged is gone at the next open [H-92].
func TestStagedIsDeletedAtOpen(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.StageNow(newGenerator(zxid.Point{}).small(20)), l.Close()); err != nil {
		t.Fatal(err)
	}
	if n := rawLogKeys(t, fs); n != 20 {
		t.Fatalf("%d entries were staged, want 20", n)
	}
	if l, err = tryOpen(t, cfg); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := rawLogKeys(t, fs); n != 0 {
		t.Fatalf("%d staged entries survived a reopening", n)
	}
}
