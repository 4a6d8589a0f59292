package txnlog_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// A scrub reads what stands in tables and what stood in the write-ahead log alone, and ends where its
// pace says.
func TestScrub(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, txnlog.Config{Dir: "/log", FS: fs, SID: 1})
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	const n = 3000
	if err := l.Apply(&zab.Persist{Append: g.next(n)}); err != nil {
		t.Fatal(err)
	}
	read := 0
	pace := func(bytes int) error { read += bytes; return nil }
	if err := l.Scrub(t.Context(), pace); err != nil {
		t.Fatal(err)
	}
	if want := n * benchEntryBytes; read < want {
		t.Errorf("accounts for %d bytes, want %d at least", read, want)
	}
	enough := errors.New("enough")
	if err := l.Scrub(t.Context(), func(int) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended by its pace: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Scrub(ctx, pace); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
}

// A flipped bit in a table that is not read otherwise is found, with the place and what to do [H-94].
func TestScrubFindsAColdBlock(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, txnlog.Config{Dir: "/log", FS: fs, SID: 1})
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	if err := l.Apply(&zab.Persist{Append: g.next(3000)}); err != nil {
		t.Fatal(err)
	}
	var table string
	for table == "" { // the first scrub has it written
		if err := l.Scrub(t.Context(), func(int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		names, err := fs.List("/log")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := fs.Stat("/log/" + name); err == nil && strings.HasSuffix(name, ".sst") && info.Size() > 4000 {
				table = "/log/" + name
			}
		}
	}
	f, err := fs.OpenReadWrite(table, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, 2000)
	b[0] ^= 1
	_, writeErr := f.WriteAt(b, 2000)
	if err := errors.Join(err, writeErr, f.Close()); err != nil {
		t.Fatal(err)
	}
	err = l.Scrub(t.Context(), func(int) error { return nil })
	if !errors.Is(err, txnlog.ErrDamaged) || !strings.Contains(err.Error(), table+" at ") || !strings.Contains(err.Error(), "keep a copy") {
		t.Errorf("%v, want ErrDamaged, the place and a remedy", err)
	}
}
