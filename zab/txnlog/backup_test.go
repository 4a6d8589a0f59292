package txnlog_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// stalling is a disk on which changes below one directory take as long as the test wants.
type stalling struct {
	mem *vfs.MemFS

	mu   sync.Mutex
	cond sync.Cond
	on   bool
}

func newStalling(tb testing.TB) (*stalling, vfs.FS) {
	tb.Helper()
	s := &stalling{mem: vfs.NewCrashableMem()}
	s.cond.L = &s.mu
	tb.Cleanup(func() { s.stall(false) })
	return s, errorfs.Wrap(s.mem, s)
}

func (s *stalling) stall(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
	s.cond.Broadcast()
}

// MaybeError implements errorfs.Injector.
func (s *stalling) MaybeError(op errorfs.Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.on && strings.HasPrefix(op.Path, "log/") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		s.cond.Wait()
	}
	return nil
}

func (s *stalling) String() string { return "stall" }

// While the disk of the log stalls, what is acknowledged goes to the secondary directory. A crash then
// leaves it in both, and the log is not opened without either [H-74].
func TestAppendsGoOnWhileTheDiskStalls(t *testing.T) {
	disk, fs := newStalling(t)
	cfg := txnlog.Config{Dir: "log", BackupDir: "backup", FS: fs, SID: 1, WatermarkBytes: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l, 1)
	g := newGenerator(zxid.Point{})
	all := g.small(10)
	if err := l.Apply(&zab.Persist{Append: all}); err != nil {
		t.Fatal(err)
	}
	disk.stall(true)
	for range 50 {
		es := g.small(10)
		if err := l.Apply(&zab.Persist{Append: es}); err != nil {
			t.Fatal(err)
		}
		all = append(all, es...)
	}
	if err := l.Apply(&zab.Persist{Promise: promise(2, 3)}); err != nil {
		t.Fatal(err)
	}
	if away, switches := l.Diverted(); !away || switches != 1 {
		t.Errorf("diverted %v, %d switches, want one", away, switches)
	}
	crashed := disk.mem.CrashClone(vfs.CrashCloneCfg{})
	disk.stall(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	lost := crashed.CrashClone(vfs.CrashCloneCfg{})
	if err := lost.RemoveAll("backup"); err != nil {
		t.Fatal(err)
	}
	refuses(t, txnlog.Config{Dir: "log", BackupDir: "backup", FS: lost, SID: 1}, "PRIMARY is missing")
	refuses(t, txnlog.Config{Dir: "log", FS: lost, SID: 1}, "backup, which is not configured")
	refuses(t, txnlog.Config{Dir: "log", FS: crashed, SID: 1}, "configure it, start the server")
	other := txnlog.Config{Dir: "other", BackupDir: "backup", FS: crashed, SID: 1}
	refuses(t, other, "belongs to the log in log")

	cfg.FS = crashed
	again, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := again.Durable()
	if got := ids(contents(t, again)); d.Untrusted || d.Promise.Epoch != 2 || len(got) != len(all) || d.History.Last() != g.last {
		t.Errorf("after the crash %d entries of %d, %+v", len(got), len(all), d)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := crashed.Rename("backup", "moved"); err != nil {
		t.Fatal(err)
	}
	refuses(t, cfg, "PRIMARY is missing")
	cfg.BackupDir = "moved"
	if again, err = tryOpen(t, cfg); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	// In order again, nothing is left there: the directory can be given up.
	cfg.BackupDir = ""
	alone := mustOpen(t, cfg)
	if n := len(contents(t, alone)); n != len(all) {
		t.Errorf("without the secondary directory %d entries of %d", n, len(all))
	}
	if names, err := crashed.List("moved"); err != nil || strings.Contains(strings.Join(names, " "), "PRIMARY") {
		t.Errorf("the directory that was given up holds %q, %v", names, err)
	}
}

func refuses(t *testing.T, cfg txnlog.Config, why string) {
	t.Helper()
	l, err := tryOpen(t, cfg)
	if err == nil {
		_ = l.Close()
	}
	var e *txnlog.Error
	if !errors.Is(err, txnlog.ErrBackup) || !errors.As(err, &e) || e.Remedy == "" || !strings.Contains(err.Error(), why) {
		t.Errorf("open: %v, want ErrBackup that says %q", err, why)
	}
}

// A directory with somebody's write-ahead logs is not taken for a new one.
func TestForeignBackupDirectory(t *testing.T) {
	fs := vfs.NewMem()
	filled(t, fs, 40)
	refuses(t, txnlog.Config{Dir: "new", BackupDir: "log", FS: fs, SID: 2}, "which this log did not write")
}

// A marker that cannot be read is no reason to go on without the logs that it may tell of.
func TestDamagedBackupMarker(t *testing.T) {
	fs := vfs.NewMem()
	cfg := txnlog.Config{Dir: "log", BackupDir: "backup", FS: fs, SID: 1}
	l, err := tryOpen(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("log/SECONDARY", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("?"))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	refuses(t, cfg, "SECONDARY")
}

// An error of the disk, too, diverts the write-ahead log; nothing is lost with it.
func TestFailedWALIsDiverted(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	failing := false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if failing && strings.HasPrefix(op.Path, "log/") && strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("broken")
		}
		return nil
	}))
	cfg := txnlog.Config{Dir: "log", BackupDir: "backup", FS: fs, SID: 1}
	l := mustOpen(t, cfg)
	begin(t, l, 1)
	mu.Lock()
	failing = true
	mu.Unlock()
	g := newGenerator(zxid.Point{})
	for range 5 {
		if err := l.Apply(&zab.Persist{Append: g.small(3)}); err != nil {
			t.Fatal(err)
		}
	}
	cfg.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	if after := mustOpen(t, cfg); after.Durable().History.Last() != g.last || after.Durable().Untrusted {
		t.Errorf("after a crash %+v, want the end at %v", after.Durable(), g.last)
	}
}
