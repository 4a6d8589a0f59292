package txnlog_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestEntries(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1})
	begin(t, l, 3)
	g := newGenerator(zxid.Point{})
	all := g.small(5)
	g.epoch = 3
	all = append(all, g.small(5)...)
	if err := l.Apply(&zab.Persist{Append: all}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after, upTo zxid.ID
		max         int
		want        []zab.Entry
		err         error
	}{
		{0, all[9].ID, 1 << 20, all, nil},
		{0, 1 << 62, 1 << 20, all, nil},
		{all[1].ID, all[6].ID, 1 << 20, all[2:7], nil},
		{all[4].ID, all[9].ID, 1 << 20, all[5:], nil},
		{all[4].ID, all[9].ID, 0, all[5:6], nil},
		{all[4].ID, all[9].ID, len(all[5].Data) + 1, all[5:7], nil},
		{all[9].ID, 1 << 62, 1, nil, nil},
		{all[5].ID, all[2].ID, 1, nil, nil},
		{all[4].ID + 1, all[9].ID, 1, nil, txnlog.ErrNoPoint},
		{zxid.Make(2, 7), all[9].ID, 1, nil, txnlog.ErrNoPoint},
		{all[9].ID + 1, 1 << 62, 1, nil, txnlog.ErrNoPoint},
	} {
		got, err := l.Entries(c.after, c.upTo, c.max)
		if !errors.Is(err, c.err) || !slices.EqualFunc(got, c.want, func(a, b zab.Entry) bool {
			return a.ID == b.ID && a.Prev == b.Prev && a.Hash == b.Hash && bytes.Equal(a.Data, b.Data)
		}) {
			t.Errorf("(%v, %v] max %d: %v, %v; want %v, %v", c.after, c.upTo, c.max, ids(got), err, ids(c.want), c.err)
		}
	}
}

// TestTrimAndPins holds hazard H-19.
func TestTrimAndPins(t *testing.T) {
	cfg := txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1, TrimStep: 3}
	l := mustOpen(t, cfg)
	begin(t, l, 3)
	g := newGenerator(zxid.Point{})
	all := g.small(6)
	g.epoch = 3
	all = append(all, g.small(4)...)
	if err := l.Apply(&zab.Persist{Append: all}); err != nil {
		t.Fatal(err)
	}
	release := l.Pin(all[4].ID)
	for _, c := range []struct {
		name string
		upTo zxid.ID
		base zxid.Point
	}{
		{"too little", all[1].ID, zxid.Point{}},
		{"enough", all[3].ID, all[3].Point()},
		{"below the base", all[0].ID, all[3].Point()},
		{"pinned", all[9].ID, all[3].Point()},
	} {
		if err := l.Trim(generation(l), c.upTo); err != nil {
			t.Fatal(err)
		}
		if got := l.Durable().History.Base; got != c.base {
			t.Errorf("%s: base %v, want %v", c.name, got, c.base)
		}
	}
	release()
	release()
	if err := l.Trim(generation(l), zxid.Make(2, 0)); err != nil { // between two epochs
		t.Fatal(err)
	}
	if got, want := l.Durable().History.Base, all[3].Point(); got != want {
		t.Errorf("two entries were worth a trim: base %v, want %v", got, want)
	}
	if err := l.Trim(generation(l), all[7].ID); err != nil {
		t.Fatal(err)
	}
	d := l.Durable()
	if d.History.Base != all[7].Point() || d.Committed != all[7].ID {
		t.Errorf("after the trim: %+v", d)
	}
	if got := ids(contents(t, l)); !slices.Equal(got, ids(all[8:])) {
		t.Errorf("entries %v, want %v", got, ids(all[8:]))
	}
	if err := l.Apply(&zab.Persist{Truncate: pointPtr(all[5].Point())}); !errors.Is(err, txnlog.ErrNoPoint) {
		t.Errorf("truncation below the base: got %v, want ErrNoPoint", err)
	}
	if l.Size() <= 0 {
		t.Errorf("size %d", l.Size())
	}
}

// More epochs than a summary may hold raise the base that is reported, not the one that
// can be read from.
func TestManyEpochs(t *testing.T) {
	cfg := txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l, 300)
	g := newGenerator(zxid.Point{})
	var all []zab.Entry
	for e := zxid.Epoch(1); e <= 300; e++ {
		g.epoch = e
		all = append(all, g.small(2)...)
	}
	if err := l.Apply(&zab.Persist{Append: all}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h := l.Durable().History
		if len(h.Runs) != 256 || h.Base != all[2*44-1].Point() || h.Last() != all[599].Point() {
			t.Fatalf("summary of %d runs from %v to %v", len(h.Runs), h.Base, h.Last())
		}
		if es, err := l.Entries(0, 1<<62, 1<<20); err != nil || len(es) != 600 {
			t.Fatalf("%d entries, %v", len(es), err)
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
	if err := l.Apply(&zab.Persist{Promise: promise(301, 1)}); !errors.Is(err, txnlog.ErrClosed) {
		t.Errorf("apply on a closed log: %v", err)
	}
	if _, err := l.Entries(0, 1, 1); !errors.Is(err, txnlog.ErrClosed) {
		t.Errorf("read of a closed log: %v", err)
	}
}

func TestWALFailoverDirectory(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", BackupDir: "backup", FS: fs, SID: 1}
	for i := range 3 {
		l, err := tryOpen(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		begin(t, l, 1)
		g := newGenerator(l.Durable().History.Last())
		if err := l.Apply(&zab.Persist{Append: g.small(4)}); err != nil {
			t.Fatal(err)
		}
		if n := len(contents(t, l)); n != 4*(i+1) {
			t.Fatalf("round %d: %d entries", i, n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What was true of the tree before a snapshot replaced history and tree must not trim the
// new history: the snapshot may be older than the tree was, and the entries behind it are all
// that leads from there to the end [H-19].
func TestTrimSparesAnInstalledHistory(t *testing.T) {
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: vfs.NewMem(), SID: 1, TrimStep: 1})
	begin(t, l, 2)
	g := newGenerator(zxid.Point{})
	old := g.small(20)
	if err := l.Apply(&zab.Persist{Append: old}); err != nil {
		t.Fatal(err)
	}
	before, ok := l.Generation()
	if !ok {
		t.Fatal("an installation is pending in a new log")
	}
	base := old[4].Point()
	if err := l.Apply(&zab.Persist{Install: &base, Append: old[5:]}); err != nil {
		t.Fatal(err)
	}
	during, ok := l.Generation()
	if ok {
		t.Fatal("no installation is pending behind one")
	}
	for _, generation := range []uint32{before, during} {
		if err := l.Trim(generation, old[15].ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.InstallDone(); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(before, old[15].ID); err != nil {
		t.Fatal(err)
	}
	if got := l.Durable().History.Base; got != base {
		t.Fatalf("the history begins after %v, want %v", got, base)
	}
	if err := l.Trim(generation(l), old[15].ID); err != nil {
		t.Fatal(err)
	}
	if got := l.Durable().History.Base; got != old[15].Point() {
		t.Fatalf("trimmed in its own right the history begins after %v, want %v", got, old[15].Point())
	}
}
