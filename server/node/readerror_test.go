package node_test

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// failingReads is a disk whose n-th read fails, counted from 1, and after it none or every one of
// that file.
type failingReads struct {
	n     int64
	again bool
	reads atomic.Int64
	path  atomic.Pointer[string] // of the read that failed
}

func (f *failingReads) inject(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileRead && op.Kind != errorfs.OpFileReadAt {
		return nil
	}
	switch failed := f.path.Load(); {
	case f.reads.Add(1) == f.n:
		f.path.Store(&op.Path)
		return syscall.EIO
	case failed != nil && f.again && *failed == op.Path:
		return syscall.EIO
	}
	return nil
}

// Whichever read of a disk fails, at a start or later, for once or for ever: the server does not start,
// or ends, with the file and a remedy in one line. It never takes what it could not read for
// missing, and when the disk is well again everything is there [H-03, H-04, H-94].
func TestReadErrors(t *testing.T) {
	golden := worn(t)
	r := startStandalone(t, golden.CrashClone(vfs.CrashCloneCfg{}))
	r.awaitReplayed()
	digest := r.Digest()
	r.stop()
	outcomes := map[string]map[string]int{}
	for _, again := range []bool{false, true} {
		for n := int64(1); ; n++ {
			disk := golden.CrashClone(vfs.CrashCloneCfg{})
			f := &failingReads{n: n, again: again}
			got := afterDamage(t, errorfs.Wrap(disk, errorfs.InjectorFunc(f.inject)), digest, "EIO")
			path := f.path.Load()
			if path == nil {
				if got != "whole" {
					t.Fatalf("without an error it is %s", got)
				}
				break
			}
			kind := fileKind(*path)
			if outcomes[kind] == nil {
				outcomes[kind] = map[string]int{}
			}
			outcomes[kind][got]++
			r := startStandalone(t, disk.CrashClone(vfs.CrashCloneCfg{}))
			r.awaitReplayed()
			if err := r.missing(digest); err != nil {
				t.Fatalf("read %d, of %s: %s, afterwards %v", n, *path, got, err)
			}
			r.stop()
		}
	}
	t.Logf("outcomes %v", outcomes)
	for kind, want := range map[string][]string{
		// Whether the tables are read once more in service depends on what is cached by then.
		"log/.log": {"refused"}, "log/.sst": {"refused"}, "log/MANIFEST": {"refused"},
		"tree/.sst": {"refused"}, "tree/.blob": {"ended"}, "tree/MANIFEST": {"refused"},
	} {
		for _, outcome := range want {
			if outcomes[kind][outcome] == 0 {
				t.Errorf("no read error of %s was %s: the test does not reach it", kind, outcome)
			}
		}
	}
}
