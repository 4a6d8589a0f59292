package node_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// served returns the disk of a standalone server that has created n nodes and stopped.
func served(tb testing.TB, prefix string, n int) *vfs.MemFS {
	tb.Helper()
	disk := vfs.NewCrashableMem()
	r := startStandalone(tb, disk)
	r.create("v", paths(prefix, n)...)
	r.stop()
	return disk
}

// refused starts a server that must not start, and returns why it did not.
func refused(tb testing.TB, cfg node.Config) error {
	tb.Helper()
	cfg.Logger = zerolog.Nop()
	cfg.Fatal = func(err error) { tb.Errorf("fatal: %v", err) }
	n, err := node.Start(cfg)
	if err == nil {
		_ = n.Stop() // the test has failed already
		tb.Fatal("the server started")
	}
	return err
}

// refusedData is refused for a standalone server whose data cannot be used.
func refusedData(tb testing.TB, disk vfs.FS, reasons ...string) {
	tb.Helper()
	l := reserve(tb)
	err := refused(tb, node.Config{Conf: config(tb, "", "clientPort=1"), FS: disk, ClientListener: l})
	if !errors.Is(err, node.ErrDataDir) || node.ExitCode(err) != node.ExitDataDir {
		tb.Errorf("error %v with exit code %d, want one about the data directory and 3", err, node.ExitCode(err))
	}
	for _, reason := range append(reasons, dataDir) {
		if !strings.Contains(err.Error(), reason) {
			tb.Errorf("error %q does not say %q", err, reason)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		tb.Errorf("the client port was left open: %v", err)
	}
}

// TestTreeAheadOfTheLogIsRefused holds hazard H-10 [H-87].
func TestTreeAheadOfTheLogIsRefused(t *testing.T) {
	disk := served(t, "a", 5)
	must(t, disk.RemoveAll(logPath))
	refusedData(t, disk, "beyond the end", "resynchronised")
}

// TestHoleBetweenTreeAndLogIsRefused holds hazard H-10 [H-87].
func TestHoleBetweenTreeAndLogIsRefused(t *testing.T) {
	disk := served(t, "a", 5)
	old := vfs.NewMem()
	copyDir(t, disk, old, treePath)
	r := startStandalone(t, disk)
	r.create("v", paths("b", 20)...)
	r.stop()
	log, _, shut := openStores(t, disk)
	last := log.Durable().History.Last().ID
	must(t, log.Trim(generation(t, log), last))
	if base := log.Durable().History.Base.ID; base != last {
		t.Fatalf("the log begins after %v, want %v", base, last)
	}
	shut()
	copyDir(t, old, disk, treePath)
	refusedData(t, disk, "begins only after "+last.String(), "resynchronised")
}

// TestStoresOfDifferentHistoriesAreRefused holds hazard H-87.
func TestStoresOfDifferentHistoriesAreRefused(t *testing.T) {
	one, other := served(t, "a", 5), served(t, "b", 5)
	logOne, treeOne, shutOne := openStores(t, one)
	logOther, _, shutOther := openStores(t, other)
	if treeOne.Applied().ID != logOther.Durable().History.Last().ID || logOne.Durable().History.Last() == logOther.Durable().History.Last() {
		t.Fatal("the two histories must end at one zxid and differ")
	}
	shutOne()
	shutOther()
	copyDir(t, other, one, logPath)
	refusedData(t, one, "not of the same history")
}

// stage puts a snapshot of another server's tree beside the tree, finished, and returns its point.
func stage(tb testing.TB, tree *store.Store, of vfs.FS) zxid.Point {
	tb.Helper()
	_, source, shut := openStores(tb, of)
	defer shut()
	snap, err := source.Snapshot()
	must(tb, err)
	st, err := tree.Stage("incoming")
	must(tb, err)
	for done := false; !done; {
		var chunk []byte
		chunk, done, err = snap.Next(1 << 10)
		must(tb, err)
		must(tb, st.Write(chunk))
	}
	point, err := st.Finish()
	must(tb, err)
	must(tb, snap.Close())
	return point
}

// received returns a disk as a crash leaves it after the log has begun the history of a
// snapshot, which is what another server, whose disk is of, holds.
func received(tb testing.TB, of vfs.FS) (disk *vfs.MemFS, at zxid.Point) {
	tb.Helper()
	disk = served(tb, "old", 2)
	log, tree, shut := openStores(tb, disk)
	defer shut()
	at = stage(tb, tree, of)
	epoch := at.ID.Epoch() + 1
	must(tb, log.Apply(&zab.Persist{Promise: &zab.Promise{Epoch: epoch, Leader: 1}, Install: &at, Current: &epoch}))
	if got, pending := log.Intent(); !pending || got != at {
		tb.Fatalf("intent %v (%v), want %v", got, pending, at)
	}
	return disk, at
}

// settled checks that a disk has the tree of the snapshot, and nothing left to be done.
func settled(tb testing.TB, disk vfs.FS, at zxid.Point) {
	tb.Helper()
	r := startStandalone(tb, disk)
	r.holds("v", paths("new", 7)...)
	conn := r.connect()
	if ok, _, err := conn.Exists("/old-0"); ok || err != nil {
		tb.Errorf("/old-0 exists %v (%v): the tree was not replaced", ok, err)
	}
	conn.Close()
	r.stop()
	log, tree, shut := openStores(tb, disk)
	defer shut()
	if _, pending := log.Intent(); pending {
		tb.Error("the intent is still there")
	}
	if base := log.Durable().History.Base; base != at {
		tb.Errorf("the log begins after %v, want %v", base, at)
	}
	if at, err := tree.Staged("incoming"); err == nil {
		tb.Errorf("a snapshot at %v is still staged", at)
	}
}

// TestInterruptedSnapshotIsCompleted holds hazard H-92.
func TestInterruptedSnapshotIsCompleted(t *testing.T) {
	source := served(t, "new", 7)
	disk, at := received(t, source)
	settled(t, disk, at)
}

func TestSnapshotThatTheTreeHasAlreadyIsNotedInTheLog(t *testing.T) {
	source := served(t, "new", 7)
	disk, at := received(t, source)
	_, tree, shut := openStores(t, disk)
	must(t, tree.ReplaceFrom("incoming"))
	shut()
	settled(t, disk, at)
}

func TestInterruptedSnapshotThatIsGoneIsRefused(t *testing.T) {
	source := served(t, "new", 7)
	disk, at := received(t, source)
	_, tree, shut := openStores(t, disk)
	must(t, tree.DiscardStaged(""))
	shut()
	refusedData(t, disk, "complete the snapshot at "+at.ID.String())
}

func TestLeftoversOfASnapshotAreRemoved(t *testing.T) {
	source := served(t, "new", 7)
	disk := served(t, "old", 3)
	_, tree, shut := openStores(t, disk)
	stage(t, tree, source)
	shut()
	r := startStandalone(t, disk)
	r.holds("v", paths("old", 3)...)
	r.stop()
	_, tree, shut = openStores(t, disk)
	defer shut()
	if at, err := tree.Staged("incoming"); !errors.Is(err, store.ErrNotStaged) {
		t.Errorf("staged %v (%v), want nothing", at, err)
	}
}

// What was logged and is known to be committed is applied before anything else; the tree of a
// killed server is never flushed and comes back from the log alone.
func TestTreeIsRebuiltFromTheLog(t *testing.T) {
	disk := vfs.NewCrashableMem()
	r := startStandalone(t, disk)
	r.create("v", paths("a", 50)...)
	digest, applied := r.Digest(), r.Applied()
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	r.stop()
	_, tree, shut := openStores(t, after)
	if tree.Applied() == applied {
		t.Fatal("the tree survived: nothing to be proved")
	}
	shut()
	r = startStandalone(t, after)
	r.holds("v", paths("a", 50)...)
	if r.Applied().ID < applied.ID {
		t.Errorf("applied %v, before the crash %v", r.Applied(), applied)
	}
	if r.Applied() == applied && r.Digest() != digest {
		t.Errorf("the tree has digest %x at %v, before the crash %x", r.Digest(), applied, digest)
	}
}

// onDisk is the configuration of a standalone server in real directories.
func onDisk(tb testing.TB, dataDir, dataLogDir string, lines ...string) node.Config {
	tb.Helper()
	c, err := loadConfig("", append([]string{"clientPort=1", "dataDir=" + dataDir, "dataLogDir=" + dataLogDir}, lines...)...)
	must(tb, err)
	return node.Config{Conf: c, ClientListener: reserve(tb)}
}

func TestApacheDataIsRefused(t *testing.T) {
	for _, file := range []string{"data/version-2/snapshot.0", "log/version-2/log.1", "log/version-2/snapshot.1f"} {
		root := t.TempDir()
		name := filepath.Join(root, filepath.FromSlash(file))
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, []byte("ZKLG"), 0o600))
		err := refused(t, onDisk(t, filepath.Join(root, "data"), filepath.Join(root, "log")))
		if node.ExitCode(err) != node.ExitDataDir || !strings.Contains(err.Error(), "Apache ZooKeeper") ||
			!strings.Contains(err.Error(), filepath.Dir(name)) {
			t.Errorf("%s: exit code %d, %v", file, node.ExitCode(err), err)
		}
		found, err := filepath.Glob(filepath.Join(root, "*", "zabkeeper"))
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %q was made in spite of the refusal", file, found)
		}
	}
}

func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	good := filepath.Join(root, "good")
	must(t, os.Mkdir(good, 0o755))
	for name, c := range map[string]struct {
		data, log string
		lines     []string
		reason    string
	}{
		"dataDir is a file":    {data: file, log: good, reason: "not a directory"},
		"dataLogDir is a file": {data: good, log: file, reason: "not a directory"},
		"below a file":         {data: filepath.Join(file, "x"), log: good, reason: "not a directory"},
		"missing, not to be made": {
			data: filepath.Join(root, "none"), log: good, lines: []string{"datadir.autocreate=false"}, reason: "create it",
		},
	} {
		err := refused(t, onDisk(t, c.data, c.log, c.lines...))
		if !errors.Is(err, node.ErrDataDir) || node.ExitCode(err) != node.ExitDataDir || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: exit code %d: %v", name, node.ExitCode(err), err)
		}
	}
}

// Two processes must not use one directory, whatever their ports are.
func TestDirectoryInUseIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	first := start(t, onDisk(t, dir, dir))
	first.awaitServing()
	err := refused(t, onDisk(t, dir, dir))
	if !errors.Is(err, txnlog.ErrLocked) || node.ExitCode(err) != node.ExitDataDir {
		t.Errorf("exit code %d: %v", node.ExitCode(err), err)
	}
	first.create("v", "/still-alive")
}
