package zktest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// treeFiles is where the servers of this package keep their trees.
const treeFiles = "/data/zabkeeper/tree/tree"

// FlipBits flips a bit in the first block of every file below dir whose name ends so, where it lies, and
// returns how many there were.
func FlipBits(tb testing.TB, fs vfs.FS, dir, ending string) (files int) {
	tb.Helper()
	const at = 10
	names, err := fs.List(dir)
	must(tb, err)
	for _, name := range names {
		if !strings.HasSuffix(name, ending) {
			continue
		}
		f, err := fs.OpenReadWrite(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		must(tb, err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, at)
		must(tb, err)
		b[0] ^= 0x40
		_, err = f.WriteAt(b, at)
		must(tb, errors.Join(err, f.Close()))
		files++
	}
	return files
}

// Forge replaces data of nodes in the Pebble store in dir, which nobody has open, by other data of the same
// length: all checksums are right.
func Forge(tb testing.TB, fs vfs.FS, dir, data, by string) {
	tb.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: mute{}})
	must(tb, err)
	it, err := db.NewIter(nil)
	must(tb, err)
	forged := 0
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		must(tb, err)
		if bytes.Contains(value, []byte(data)) {
			must(tb, db.Set(it.Key(), bytes.ReplaceAll(value, []byte(data), []byte(by)), pebble.Sync))
			forged++
		}
	}
	must(tb, errors.Join(it.Close(), db.Flush(), db.Close()))
	if forged == 0 {
		tb.Fatalf("no node holds %q", data)
	}
}

type mute struct{}

func (mute) Infof(string, ...any)  {}
func (mute) Errorf(string, ...any) {}
func (mute) Fatalf(string, ...any) {}

// FlipBits lets bits of the tree's files flip on the server's disk.
func (s *Server) FlipBits(tb testing.TB, ending string) (files int) {
	tb.Helper()
	s.ensemble.damaged.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	return FlipBits(tb, s.disk, treeFiles, ending)
}

// Forge changes data in the tree of the server, which is stopped.
func (s *Server) Forge(tb testing.TB, data, by string) {
	tb.Helper()
	s.ensemble.damaged.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	Forge(tb, s.disk, treeFiles, data, by)
}
