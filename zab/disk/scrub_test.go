package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// deaf is an owner that must not be told anything.
type deaf struct{ t *testing.T }

func (d deaf) Fail(err *disk.FileError) { d.t.Errorf("the owner is told: %v", err) }
func (deaf) Failed() bool               { return false }
func (deaf) Survives(string) bool       { return false }

// silent keeps Pebble quiet.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func free(int) error { return nil }

// nothing is to be deleted.
func nothing() bool { return false }

// writeStore makes a store with tables of two levels of index, filters, range deletions, older versions
// of keys, and blob files.
func writeStore(t *testing.T, fs vfs.FS) *pebble.DB {
	t.Helper()
	o := &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, DisableAutomaticCompactions: true, Logger: silent{}}
	for i := range o.Levels {
		o.Levels[i].BlockSize, o.Levels[i].IndexBlockSize = 256, 256
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: 512, MaxBlobReferenceDepth: 10}
	}
	db, err := pebble.Open("db", o)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	old := db.NewSnapshot()
	for i := range 18 {
		key := fmt.Appendf(nil, "key %03d", i)
		must(t, db.Set(key, noise(40), pebble.NoSync))
		must(t, db.Set(key, noise(20+600*(i%2)), pebble.NoSync))
	}
	must(t, db.DeleteRange([]byte("key 010"), []byte("key 012"), pebble.NoSync))
	must(t, db.Flush())
	must(t, old.Close())
	return db
}

// A flipped bit in any byte of any table or blob file is found, with the file and a place in it, though
// Pebble has all of it in its cache. Without one there is nothing to be found [H-94].
func TestScrubFindsEveryFlippedBit(t *testing.T) {
	mem := vfs.NewMem()
	db := writeStore(t, mem)
	defer func() { _ = db.Close() }()
	g := disk.NewGuard(mem, deaf{t})
	g.Arm()
	var read int
	must(t, g.Scrub("db", nothing, func(n int) error { read += n; return nil }))

	names, err := mem.List("db")
	must(t, err)
	kinds := map[string]int{}
	var total int
	for _, name := range names {
		ext := name[strings.LastIndex(name, ".")+1:]
		if ext != "sst" && ext != "blob" {
			continue
		}
		path := "db/" + name
		f, err := mem.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		must(t, err)
		info, err := f.Stat()
		must(t, err)
		total += int(info.Size())
		content := make([]byte, info.Size())
		_, err = f.ReadAt(content, 0)
		must(t, err)
		for at := range content {
			flipped := []byte{content[at] ^ 1<<(at%8)}
			_, err := f.WriteAt(flipped, int64(at))
			must(t, err)
			err = g.Scrub("db", nothing, free)
			var where *disk.FileError
			if !errors.Is(err, disk.ErrDamaged) || !errors.As(err, &where) || where.Path != path || where.Offset > int64(at) {
				t.Fatalf("a bit of byte %d of %s is flipped: %v", at, path, err)
			}
			_, err = f.WriteAt(content[at:at+1], int64(at))
			must(t, err)
			kinds[ext]++
		}
		must(t, f.Close())
	}
	if kinds["sst"] == 0 || kinds["blob"] == 0 {
		t.Errorf("files of %v were read, want tables and blob files", kinds)
	}
	if read < total {
		t.Errorf("%d bytes were accounted for, want %d at least", read, total)
	}
	must(t, g.Scrub("db", nothing, free))
}

// What is being written is not judged; what was cut short is, when the writer is done.
func TestScrubLeavesOutWhatIsBeingWritten(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("db", 0o755))
	g := disk.NewGuard(mem, deaf{t})
	g.Arm()
	f, err := g.Create("db/000001.sst", vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(bytes.Repeat([]byte("half of a table"), 100))
	must(t, err)
	if err := g.Scrub("db", nothing, free); err != nil {
		t.Errorf("while the file is written: %v", err)
	}
	must(t, f.Close())
	if err := g.Scrub("db", nothing, free); !errors.Is(err, disk.ErrDamaged) {
		t.Errorf("when it is written: %v, want damage", err)
	}
}

// The pace ends it, in a file that is deleted at that moment as well, and such a file is no damage.
func TestScrubIsEndedByItsPace(t *testing.T) {
	mem := vfs.NewMem()
	db := writeStore(t, mem)
	defer func() { _ = db.Close() }()
	g := disk.NewGuard(mem, deaf{t})
	g.Arm()
	enough := errors.New("enough")
	calls := 0
	if err := g.Scrub("db", nothing, func(int) error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
		t.Errorf("after %d pieces: %v, want the error of the pace at the first", calls, err)
	}
	names, err := mem.List("db")
	must(t, err)
	gone := slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".sst") })
	var verdict error
	remove := func(int) error {
		for _, name := range gone {
			must(t, mem.Remove("db/"+name))
		}
		ended := verdict
		gone, verdict = nil, nil // it is said once
		return ended
	}
	must(t, g.Scrub("db", nothing, remove))

	mem = vfs.NewMem()
	again := writeStore(t, mem)
	defer func() { _ = again.Close() }()
	g = disk.NewGuard(mem, deaf{t})
	g.Arm()
	names, err = mem.List("db")
	must(t, err)
	gone, verdict = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".sst") }), enough
	if err := g.Scrub("db", nothing, remove); !errors.Is(err, enough) {
		t.Errorf("with the file deleted at the end: %v, want the error of the pace", err)
	}
}

// observed is a file system in which something is done behind the creation of a file, before
// whoever creates it goes on.
type observed struct {
	vfs.FS
	created func() error
}

func (o observed) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := o.FS.Create(name, c)
	if err == nil {
		err = o.created()
	}
	return f, err
}

// A file is being written from the moment it is there: a scrub that comes upon it before its writer knows
// leaves it out, and does not end the server over an empty table [H-94].
func TestScrubLeavesOutWhatIsBeingCreated(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("db", 0o755))
	refused := errors.New("refused")
	for _, outcome := range []error{refused, nil} {
		scrubs := 0
		var g *disk.Guard
		g = disk.NewGuard(observed{mem, func() error {
			scrubs++
			if err := g.Scrub("db", nothing, free); err != nil {
				t.Errorf("while the file is created: %v", err)
			}
			return outcome
		}}, deaf{t})
		f, err := g.Create("db/000001.sst", vfs.WriteCategoryUnspecified)
		if !errors.Is(err, outcome) || scrubs != 1 {
			t.Errorf("%d scrubs, created with %v, want %v", scrubs, err, outcome)
		}
		if err == nil {
			must(t, f.Close())
		}
		if err := g.Scrub("db", nothing, free); !errors.Is(err, disk.ErrDamaged) {
			t.Errorf("with nobody who writes: %v, want damage", err)
		}
	}
}

// What a crash left half written is no damage while it waits for its deletion. What is there when nothing is to be
// deleted any more is [H-94].
func TestScrubWaitsForDeletions(t *testing.T) {
	mem := vfs.NewMem()
	must(t, mem.MkdirAll("db", 0o755))
	const name = "db/000001.sst"
	f, err := mem.Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(bytes.Repeat([]byte("half of a table"), 100))
	must(t, errors.Join(err, f.Close()))
	g := disk.NewGuard(mem, deaf{t})
	g.Arm()

	asked := 0
	others := func() bool { asked++; return asked < 3 } // are deleted
	if err := g.Scrub("db", others, free); !errors.Is(err, disk.ErrDamaged) || asked != 3 {
		t.Errorf("a file that stays, asked %d times: %v, want damage at the third", asked, err)
	}
	asked = 0
	enough := errors.New("enough")
	if err := g.Scrub("db", func() bool { return true }, func(n int) error {
		if n == 0 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("while it waits: %v, want the error of the pace", err)
	}
	if err := g.Scrub("db", func() bool {
		if asked++; asked == 3 {
			must(t, mem.Remove(name))
		}
		return true
	}, free); err != nil || asked != 3 {
		t.Errorf("a file that goes, asked %d times: %v", asked, err)
	}
}
