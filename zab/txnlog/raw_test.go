package txnlog_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// raw opens the Pebble store of a closed log, to look at it or to damage it.
func raw(tb testing.TB, fs vfs.FS, f func(db *pebble.DB)) {
	tb.Helper()
	db, err := pebble.Open("log", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		tb.Fatal(err)
	}
	f(db)
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, _ ...any) { panic(format) }

// rawLogKeys counts the keys of entries, of whatever generation.
func rawLogKeys(tb testing.TB, fs vfs.FS) int {
	tb.Helper()
	n := 0
	raw(tb, fs, func(db *pebble.DB) {
		iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("l"), UpperBound: []byte("m")})
		if err != nil {
			tb.Fatal(err)
		}
		for ok := iter.First(); ok; ok = iter.Next() {
			n++
		}
		if err := iter.Close(); err != nil {
			tb.Fatal(err)
		}
	})
	return n
}
