package txnlog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// filled makes a closed log of n entries in epochs 1 and 3 and returns its entries. It
// has been opened twice, so that its first half lies in tables and its second in the WAL.
func filled(tb testing.TB, fs vfs.FS, n int) []zab.Entry {
	tb.Helper()
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	g := newGenerator(zxid.Point{})
	var all []zab.Entry
	for _, epoch := range []zxid.Epoch{1, 3} {
		l, err := tryOpen(tb, cfg)
		if err != nil {
			tb.Fatal(err)
		}
		begin(tb, l, epoch)
		g.epoch = epoch
		for range n / 20 {
			es := g.small(10)
			all = append(all, es...)
			if err := l.Apply(&zab.Persist{Append: es}); err != nil {
				tb.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

func key(gen byte, id zxid.ID) []byte {
	k := []byte{'l', 0, 0, 0, gen}
	for shift := 56; shift >= 0; shift -= 8 {
		k = append(k, byte(uint64(id)>>shift))
	}
	return k
}

// Damage done to the store behind Pebble's checksums.
func TestDamagedRecords(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(db *pebble.DB, all []zab.Entry) error
		open   error // of Open
		verify error // of Verify, if Open accepts
	}{
		{"nothing", func(*pebble.DB, []zab.Entry) error { return nil }, nil, nil},
		{"epochs lost [H-36]", func(db *pebble.DB, _ []zab.Entry) error { return db.Delete([]byte("me"), nil) }, txnlog.ErrEpochs, nil},
		{"identity lost", func(db *pebble.DB, _ []zab.Entry) error { return db.Delete([]byte("mi"), nil) }, txnlog.ErrDamaged, nil},
		{"history lost", func(db *pebble.DB, _ []zab.Entry) error { return db.Delete([]byte("mh"), nil) }, txnlog.ErrDamaged, nil},
		{"record cut", func(db *pebble.DB, _ []zab.Entry) error { return db.Set([]byte("mh"), []byte{1, 0}, nil) }, txnlog.ErrDamaged, nil},
		{"record of another family", func(db *pebble.DB, _ []zab.Entry) error {
			v, closer, err := db.Get([]byte("me"))
			return errors.Join(err, db.Set([]byte("mi"), v, nil), closer.Close())
		}, txnlog.ErrDamaged, nil},
		{"first entry lost [H-09]", func(db *pebble.DB, all []zab.Entry) error { return db.Delete(key(0, all[0].ID), nil) }, txnlog.ErrDamaged, nil},
		{"end of an epoch lost [H-09]", func(db *pebble.DB, all []zab.Entry) error {
			return db.Delete(key(0, all[len(all)/2-1].ID), nil)
		}, txnlog.ErrDamaged, nil},
		{"an epoch lost [H-09]", func(db *pebble.DB, _ []zab.Entry) error {
			return db.DeleteRange(key(0, 0), key(0, zxid.Make(2, 0)), nil)
		}, txnlog.ErrDamaged, nil},
		{"entry of the tail lost", func(db *pebble.DB, all []zab.Entry) error {
			return db.Delete(key(0, all[len(all)-500].ID), nil)
		}, txnlog.ErrDamaged, nil},
		{"entry of the tail changed", func(db *pebble.DB, all []zab.Entry) error {
			return change(db, all[len(all)-500].ID)
		}, txnlog.ErrDamaged, nil},
		{"old entry lost [H-04]", func(db *pebble.DB, all []zab.Entry) error { return db.Delete(key(0, all[7].ID), nil) }, nil, txnlog.ErrDamaged},
		{"old entry changed", func(db *pebble.DB, all []zab.Entry) error { return change(db, all[7].ID) }, nil, txnlog.ErrDamaged},
		{"entry of a newer format", func(db *pebble.DB, all []zab.Entry) error {
			return db.Set(key(0, all[len(all)-1].ID), bytes.Repeat([]byte{9}, 40), nil)
		}, txnlog.ErrFormat, nil},
		{"key that is none", func(db *pebble.DB, all []zab.Entry) error { return db.Set(key(0, all[1].ID)[:9], nil, nil) }, txnlog.ErrDamaged, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewMem()
			all := filled(t, fs, 4000)
			raw(t, fs, func(db *pebble.DB) {
				if err := c.damage(db, all); err != nil {
					t.Fatal(err)
				}
			})
			l, err := tryOpen(t, txnlog.Config{Dir: "log", FS: fs, SID: 1})
			if !errors.Is(err, c.open) {
				t.Fatalf("open: %v, want %v", err, c.open)
			}
			if err != nil {
				return
			}
			if err := l.Verify(t.Context()); !errors.Is(err, c.verify) {
				t.Errorf("verify: %v, want %v", err, c.verify)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// change flips one bit of the data of an entry.
func change(db *pebble.DB, id zxid.ID) error {
	v, closer, err := db.Get(key(0, id))
	if err != nil {
		return err
	}
	v = bytes.Clone(v)
	v[len(v)-1] ^= 1
	return errors.Join(closer.Close(), db.Set(key(0, id), v, nil))
}

// An entry that does not fit ends the server when it is read [H-04].
func TestReadingDamageIsFatal(t *testing.T) {
	fs := vfs.NewMem()
	all := filled(t, fs, 4000)
	raw(t, fs, func(db *pebble.DB) {
		if err := change(db, all[7].ID); err != nil {
			t.Fatal(err)
		}
	})
	var fatal error
	l, err := tryOpen(t, txnlog.Config{Dir: "log", FS: fs, SID: 1, Fatal: func(err error) { fatal = err }})
	if err != nil {
		t.Fatal(err)
	}
	if es, err := l.Entries(0, all[20].ID, 1<<20); !errors.Is(err, txnlog.ErrDamaged) || !errors.Is(fatal, txnlog.ErrDamaged) {
		t.Fatalf("read %v, %v; fatal %v", ids(es), err, fatal)
	}
}

// The epochs must not be older than the log (R3): here they were restored from a backup [H-36].
func TestEpochsOlderThanLog(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	var backup []byte
	for _, epoch := range []zxid.Epoch{1, 3} {
		l, err := tryOpen(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		begin(t, l, epoch)
		g := newGenerator(l.Durable().History.Last())
		g.epoch = epoch
		if err := l.Apply(&zab.Persist{Append: g.small(2)}); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		raw(t, fs, func(db *pebble.DB) {
			if backup != nil {
				if err := db.Set([]byte("me"), backup, nil); err != nil {
					t.Fatal(err)
				}
				return
			}
			v, closer, err := db.Get([]byte("me"))
			if err != nil {
				t.Fatal(err)
			}
			backup = bytes.Clone(v)
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if _, err := tryOpen(t, cfg); !errors.Is(err, txnlog.ErrEpochs) {
		t.Fatalf("open: %v, want ErrEpochs", err)
	}
}

// A promise is not guessed anew when it is lost, not even where the log would allow it [H-36].
func TestEpochsLostBesideEmptyLog(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Apply(&zab.Persist{Promise: promise(6, 2)}), l.Close()); err != nil {
		t.Fatal(err)
	}
	raw(t, fs, func(db *pebble.DB) {
		if err := db.Delete([]byte("me"), nil); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := tryOpen(t, cfg); !errors.Is(err, txnlog.ErrEpochs) {
		t.Fatalf("open: %v, want ErrEpochs", err)
	}
}

// One bit flipped anywhere in any file: the log is refused, or it is whole, or it knows
// that it is not to be trusted. It never comes back shorter and says nothing [H-04, H-17, H-94].
func TestBitFlips(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	golden := vfs.NewCrashableMem()
	all := filled(t, golden, 400)
	names, err := golden.List("log")
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for _, name := range names {
		if name == "WATERMARK" || strings.HasPrefix(name, "OPTIONS") || name == "LOCK" {
			continue
		}
		for range 40 {
			fs := golden.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
			if !flipBit(t, fs, "log/"+name, rng) {
				break
			}
			outcomes[afterFlip(t, fs, name, all)]++
		}
	}
	t.Logf("outcomes %v", outcomes)
	for _, want := range []string{"refused", "whole"} {
		if outcomes[want] == 0 {
			t.Errorf("no flip was %s: the test does not reach it", want)
		}
	}
}

func flipBit(t *testing.T, fs vfs.FS, path string, rng *rand.Rand) bool {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 {
		return false
	}
	b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	if f, err = fs.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return true
}

// afterFlip opens the log as a process does that really ends when it must.
func afterFlip(t *testing.T, fs vfs.FS, name string, all []zab.Entry) string {
	t.Helper()
	outcome := make(chan string, 2)
	cfg := txnlog.Config{Dir: "log", FS: fs, SID: 1, Fatal: func(error) {
		outcome <- "refused"
		select {}
	}}
	go func() {
		l, err := tryOpen(t, cfg)
		if err != nil {
			outcome <- "refused"
			return
		}
		d := l.Durable()
		if d.Untrusted {
			outcome <- "untrusted"
			return
		}
		es, err := l.Entries(0, 1<<62, 1<<20)
		if err = errors.Join(err, l.Verify(context.Background()), l.Close()); err != nil {
			outcome <- "refused"
			return
		}
		if len(es) != len(all) || d.History.Last() != all[len(all)-1].Point() || d.Current != 3 {
			t.Errorf("a flip in %s left %d of %d entries, unnoticed: %+v", name, len(es), len(all), d)
		}
		outcome <- "whole"
	}()
	return <-outcome
}

// A log that ends below its watermark is not trusted until a snapshot is installed, whatever
// else happens in between [H-17, H-18].
func TestLostTail(t *testing.T) {
	mem := vfs.NewCrashableMem()
	cfg := txnlog.Config{Dir: "log", FS: mem, SID: 1, WatermarkBytes: 1}
	l := mustOpen(t, cfg)
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	if err := l.Apply(&zab.Persist{Append: g.small(5)}); err != nil {
		t.Fatal(err)
	}
	short := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Apply(&zab.Persist{Append: g.small(5)}); err != nil {
		t.Fatal(err)
	}
	copyFile(t, mem, short, "log/WATERMARK")

	cfg.FS = short
	reopen := func(untrusted bool, last zxid.Counter) *txnlog.Log {
		t.Helper()
		l, err := tryOpen(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		d := l.Durable()
		if d.Untrusted != untrusted || d.History.Last().ID != zxid.Make(1, last) {
			t.Fatalf("untrusted %v at %v, want %v at counter %d", d.Untrusted, d.History.Last(), untrusted, last)
		}
		return l
	}
	abandoned := reopen(true, 5)
	cfg.FS = short.CrashClone(vfs.CrashCloneCfg{}) // the loss is remembered although the watermark is lowered
	if err := abandoned.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reopen(true, 5).Close(); err != nil {
		t.Fatal(err)
	}
	l2 := reopen(true, 5)
	h := newGenerator(l2.Durable().History.Last())
	if err := l2.Apply(&zab.Persist{Append: h.small(9)}); err != nil {
		t.Fatal(err)
	}
	if err := l2.Close(); err != nil {
		t.Fatal(err)
	}
	l2 = reopen(true, 14)
	base := zxid.Point{ID: zxid.Make(1, 20), Hash: 1}
	if err := l2.Apply(&zab.Persist{Install: &base}); err != nil {
		t.Fatal(err)
	}
	if l2.Durable().Untrusted {
		t.Fatal("still untrusted after an installation")
	}
	if err := l2.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reopen(false, 20).Close(); err != nil {
		t.Fatal(err)
	}
}

// A promise that was given and is forgotten makes the log untrusted, too [H-34].
func TestLostPromise(t *testing.T) {
	mem := vfs.NewCrashableMem()
	cfg := txnlog.Config{Dir: "log", FS: mem, SID: 1}
	l := mustOpen(t, cfg)
	begin(t, l, 1)
	old := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := l.Apply(&zab.Persist{Promise: promise(2, 3)}); err != nil {
		t.Fatal(err)
	}
	copyFile(t, mem, old, "log/WATERMARK")
	cfg.FS = old
	if d := mustOpen(t, cfg).Durable(); !d.Untrusted || d.Promise.Epoch != 1 {
		t.Fatalf("a forgotten promise is not noticed: %+v", d)
	}
}

// A store that was removed from under its watermark is a store that lost everything [H-20].
func TestWipedBesideWatermark(t *testing.T) {
	old, wiped := vfs.NewMem(), vfs.NewMem()
	filled(t, old, 40)
	if err := wiped.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, old, wiped, "log/WATERMARK")
	l := mustOpen(t, txnlog.Config{Dir: "log", FS: wiped, SID: 1})
	if d := l.Durable(); !d.Untrusted {
		t.Fatalf("a wiped store is trusted: %+v", d)
	}
}

// Without the file that names the manifest the rest must not be taken for a new store [H-20].
func TestManifestLost(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs, 40)
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest") {
			if err := fs.Remove("log/" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := tryOpen(t, txnlog.Config{Dir: "log", FS: fs, SID: 1}); !errors.Is(err, txnlog.ErrDamaged) {
		t.Fatalf("open: %v, want ErrDamaged", err)
	}
}

func copyFile(t *testing.T, from, to vfs.FS, path string) {
	t.Helper()
	src, err := from.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(src)
	if err = errors.Join(err, src.Close()); err != nil {
		t.Fatal(err)
	}
	dst, err := to.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dst.Write(b)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		t.Fatal(err)
	}
}
