package node_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
)

// twoDisks is a standalone server whose log has a second disk, and whose tree is on neither of the two.
type twoDisks struct {
	*running
	t     *testing.T
	mem   *vfs.MemFS
	stall zktest.Stall
	made  []string // acknowledged
}

// bothLogs are the settings of its log.
var bothLogs = []string{"clientPort=1", "dataLogDir=/primary", "dataLogDirSecondary=/secondary"}

func startTwoDisks(t *testing.T) *twoDisks {
	t.Helper()
	d := &twoDisks{t: t, mem: vfs.NewCrashableMem()}
	t.Cleanup(d.stall.End)
	d.run(t)
	return d
}

func (d *twoDisks) run(t *testing.T) {
	t.Helper()
	d.running = start(t, node.Config{
		Conf: config(t, "", bothLogs...), FS: d.stall.On(d.mem), ClientListener: reserve(t),
		LogReturnsAfter: 150 * time.Millisecond, MaintainEvery: 10 * time.Millisecond,
	})
	d.awaitServing()
}

// write creates so many nodes more, each of which is acknowledged.
func (d *twoDisks) write(n int, data string) {
	d.t.Helper()
	first := len(d.made)
	for i := range n {
		d.made = append(d.made, fmt.Sprintf("/n%d", first+i))
	}
	d.create(data, d.made[first:]...)
}

// exist checks that nodes are there.
func (r *running) exist(paths ...string) {
	r.t.Helper()
	conn := r.connect()
	defer conn.Close()
	for _, p := range paths {
		if found, _, err := conn.Exists(p); err != nil || !found {
			r.t.Errorf("%s is lost: %v, %v", p, found, err)
		}
	}
}

// goesTo waits until the log goes to the second disk, or back.
func (d *twoDisks) goesTo(second bool, switches int64) {
	d.t.Helper()
	want := int64(0)
	if second {
		want = 1
	}
	metric(d.t, d.running, "log_diverted", func(n int64) bool { return n == want })
	metric(d.t, d.running, "log_dir_switches", func(n int64) bool { return n == switches })
}

// crash ends the server as a power failure does: the disks keep what was synced, and nothing stalls any more.
func (d *twoDisks) crash() {
	after := d.mem.CrashClone(vfs.CrashCloneCfg{})
	d.stall.End()
	d.stop()
	d.mem = after
}

// walsIn counts the write-ahead logs in a directory.
func (d *twoDisks) walsIn(dir string) (wals int) {
	d.t.Helper()
	names, err := d.mem.List(dir + "/zabkeeper/log")
	must(d.t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			wals++
		}
	}
	return wals
}

// A server whose log stalls acknowledges on by its second disk, goes back when the first one is well, and has all
// that it acknowledged after a power failure in whichever phase of that, by itself [H-74].
func TestPowerFailsWhileTheLogIsDiverted(t *testing.T) {
	for name, phase := range map[string]func(d *twoDisks){
		"stalled":  func(d *twoDisks) { d.write(1, "v") }, // the one that waited for the switch
		"diverted": func(d *twoDisks) { d.write(40, "v"); d.goesTo(true, 1) },
		// More than memtables may hold while their disk is well.
		"much": func(d *twoDisks) { d.write(40, strings.Repeat("0123456789abcdef", 50<<10)); d.goesTo(true, 1) },
		"returned": func(d *twoDisks) {
			d.write(20, "v")
			d.stall.End()
			d.goesTo(false, 2)
			d.write(20, "v")
		},
		"again": func(d *twoDisks) {
			d.write(20, "v")
			d.stall.End()
			d.goesTo(false, 2)
			d.write(20, "v")
			d.stall.Begin("/primary")
			d.write(20, "v")
			d.goesTo(true, 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := startTwoDisks(t)
			d.write(20, "v")
			d.stall.Begin("/primary")
			phase(d)
			d.crash()
			if d.walsIn("/primary") == 0 || d.walsIn("/secondary") == 0 && name != "returned" {
				t.Errorf("write-ahead logs: %d, and %d on the second disk", d.walsIn("/primary"), d.walsIn("/secondary"))
			}
			for range 2 { // the second time there is nothing to recover
				d.run(t)
				d.awaitReplayed()
				d.exist(d.made...)
				d.write(1, "v")
				d.stop()
			}
			if n := d.walsIn("/secondary"); n != 0 {
				t.Errorf("%d write-ahead logs stay on the second disk", n)
			}
			startStandalone(t, d.mem, "dataLogDir=/primary").exist(d.made...) // without the second disk
		})
	}
}

// The disk of the log fails for good. What is acknowledged goes to the second one until something is needed that
// is not diverted; then the server ends, and nothing that was acknowledged is lost [H-03, H-74].
func TestLogDiskFailsForGood(t *testing.T) {
	mem, broken := vfs.NewCrashableMem(), atomic.Bool{}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasPrefix(op.Path, "/primary/") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("the disk is broken")
		}
		return nil
	}))
	fatal := make(chan error, 1)
	n, err := node.Start(node.Config{
		Conf: config(t, "", bothLogs...), FS: fs, ClientListener: reserve(t), Logger: zerolog.Nop(),
		MaintainEvery: 10 * time.Millisecond, Fatal: func(err error) { fatal <- err },
	})
	must(t, err)
	r := &running{Node: n, t: t}
	r.awaitServing()
	conn := r.connect()
	var made []string
	for i := 0; ; i++ {
		if i == 20 {
			broken.Store(true)
		}
		p := fmt.Sprintf("/n%d", i)
		if _, err := conn.Create(p, []byte("v"), 0, open); err != nil {
			break
		}
		made = append(made, p)
	}
	if err := end(t, fatal); !errors.Is(err, node.ErrStore) || node.ExitCode(err) != node.ExitStore {
		t.Errorf("it ends with %v, exit code %d", err, node.ExitCode(err))
	} else if !strings.Contains(err.Error(), "/primary/") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q does not name the disk in one line", err)
	}
	conn.Close()
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	_ = n.Stop() // says it again
	again := startStandalone(t, after, bothLogs[1:]...)
	again.awaitReplayed()
	again.exist(made...)
}

// What was diverted is needed: without its directory, or with an empty one, the server does not start, and says
// why in one line. With it all is there, wherever it is mounted now [H-74].
func TestSecondDiskIsNeeded(t *testing.T) {
	d := startTwoDisks(t)
	d.write(5, "v")
	d.stall.Begin("/primary")
	d.write(5, "v")
	d.crash()
	refuses := func(mem *vfs.MemFS, setting, says string) {
		t.Helper()
		lines := append([]string{"clientPort=1", "dataLogDir=/primary"}, setting)
		err := refused(t, node.Config{Conf: config(t, "", lines...), FS: mem, ClientListener: reserve(t), Logger: zerolog.Nop()})
		if !errors.Is(err, txnlog.ErrBackup) || node.ExitCode(err) != node.ExitDataDir ||
			!strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "dataLogDirSecondary") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, exit code %d, want one line that says %q", setting, err, node.ExitCode(err), says)
		}
	}
	lost := d.mem.CrashClone(vfs.CrashCloneCfg{})
	must(t, lost.RemoveAll("/secondary"))
	refuses(lost, "", "is not configured")
	refuses(lost, "dataLogDirSecondary=/secondary", "PRIMARY is missing")
	refuses(d.mem, "", "configure it, start the server")
	refuses(d.mem, "dataLogDirSecondary=/elsewhere", "PRIMARY is missing")

	replaced := d.mem.CrashClone(vfs.CrashCloneCfg{})
	must(t, replaced.RemoveAll("/primary"))
	refuses(replaced, "dataLogDirSecondary=/secondary", "is gone")

	must(t, d.mem.Rename("/secondary", "/elsewhere"))
	r := startStandalone(t, d.mem, "dataLogDir=/primary", "dataLogDirSecondary=/elsewhere")
	r.exist(d.made...)
}
