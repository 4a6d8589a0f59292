package node_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// volume is a disk of 20 GiB that says how much of it is free, and that fails when it is full.
type volume struct {
	vfs.FS
	free atomic.Int64
	full atomic.Bool
}

func newVolume(below vfs.FS) *volume {
	v := &volume{}
	v.free.Store(10 << 30)
	v.FS = errorfs.Wrap(below, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if v.full.Load() && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	return v
}

func (v *volume) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(v.free.Load()), TotalBytes: 20 << 30}, nil
}

const ballast = dataDir + "/zabkeeper/BALLAST"

// A disk that becomes full from one moment to the next ends the server, and the ballast is given
// back, so that the server can be started again; it is kept anew when there is room [H-16].
func TestFullDiskReleasesTheBallast(t *testing.T) {
	mem := vfs.NewCrashableMem()
	v := newVolume(mem)
	fatal := make(chan error, 1)
	cfg := node.Config{
		Conf: config(t, "", "clientPort=1", "diskBallastMb=1"), FS: v, ClientListener: reserve(t), SpaceEvery: 10 * time.Millisecond,
		Logger: zerolog.Nop(), Fatal: func(err error) { fatal <- err },
	}
	n, err := node.Start(cfg)
	must(t, err)
	r := &running{Node: n, t: t}
	r.awaitServing()
	r.create("v", "/a")
	kept := func() error {
		info, err := mem.Stat(ballast)
		if err == nil && info.Size() != 1<<20 {
			return fmt.Errorf("%s has %d bytes", ballast, info.Size())
		}
		return err
	}
	zktest.Eventually(t, "there is a ballast", kept)

	v.full.Store(true)
	conn, _, err := zk.Connect([]string{r.ClientAddr().String()}, 10*time.Second, zk.WithLogger(silent{})) // a session is a write
	must(t, err)
	defer conn.Close()
	err = <-fatal
	if !errors.Is(err, disk.ErrFull) || node.ExitCode(err) != node.ExitStore || !strings.Contains(err.Error(), "write "+logPath) ||
		!strings.Contains(err.Error(), " at ") || !strings.Contains(err.Error(), "free space") {
		t.Errorf("fatal: %v, exit code %d", err, node.ExitCode(err))
	}
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := n.Wait(); err == nil {
		t.Error("the server ended without an error")
	}
	if _, err := mem.Stat(ballast); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ballast is still there: %v", err)
	}
	v = newVolume(after)
	v.free.Store(100 << 20) // low, and enough to start
	r = startStandalone(t, v)
	r.holds("v", "/a")
}

func TestBallastOnARealDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "BALLAST")
	for _, size := range []int64{1 << 20, 3 << 20, 3 << 20} {
		must(t, disk.KeepBallast(vfs.Default, path, size))
		info, err := os.Stat(path)
		must(t, err)
		if stat, ok := info.Sys().(*syscall.Stat_t); info.Size() != size || ok && stat.Blocks*512 < size {
			t.Errorf("a ballast of %d bytes has %d", size, info.Size())
		}
	}
	if freed, err := disk.ReleaseBallast(vfs.Default, path); freed != 3<<20 || err != nil {
		t.Errorf("given back %d, %v", freed, err)
	}
	if freed, err := disk.ReleaseBallast(vfs.Default, path); freed != 0 || err != nil {
		t.Errorf("given back again %d, %v", freed, err)
	}
}

// mntr asks for the server's metrics.
func mntr(tb testing.TB, r *running) string {
	tb.Helper()
	c, err := net.Dial("tcp", r.ClientAddr().String())
	must(tb, err)
	defer func() { _ = c.Close() }() // the server closes it
	_, err = c.Write([]byte("mntr"))
	must(tb, err)
	text, err := io.ReadAll(c)
	must(tb, err)
	return string(text)
}

// A standalone server on a disk that is low refuses to grow, tells, and goes on reading and deleting.
func TestStandaloneServerOnALowDisk(t *testing.T) {
	v := newVolume(vfs.NewMem())
	r := start(t, node.Config{
		Conf: config(t, "", "clientPort=1", "diskBallastMb=0"), FS: v, ClientListener: reserve(t), SpaceEvery: 10 * time.Millisecond,
	})
	r.awaitServing()
	r.create("v", "/a", "/b")
	v.free.Store(200 << 20)
	conn := r.connect()
	zktest.Eventually(t, "it refuses to grow", func() error {
		if _, err := conn.Set("/a", []byte("v"), -1); err == nil {
			return errors.New("set")
		}
		return nil
	})
	must(t, conn.Delete("/b", -1))
	r.holds("v", "/a")
	if text := mntr(t, r); !strings.Contains(text, "zk_disk_low\t1") || !strings.Contains(text, "zk_log_disk_free\t209715200") {
		t.Errorf("mntr does not tell:\n%s", text)
	}
}
