package node_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// The servers of an ensemble scrub once in each interval, at even distances, whenever they were started.
func TestScrubsAreSpread(t *testing.T) {
	const every = 24 * time.Hour
	for _, phase := range []uint64{0, 1, 1 << 63, ^uint64(0), uint64(every), uint64(every) - 1} {
		for servers := 1; servers <= 7; servers++ {
			var starts []time.Time
			began := time.Unix(1_700_000_000, 12345)
			for rank := range servers {
				first := node.NextScrub(began, every, phase, rank, servers)
				if wait := first.Sub(began); wait <= 0 || wait > every {
					t.Errorf("phase %d, server %d of %d: the first scrub is after %v", phase, rank, servers, wait)
				}
				if again := node.NextScrub(first, every, phase, rank, servers); again.Sub(first) != every {
					t.Errorf("phase %d, server %d of %d: %v after a scrub comes the next one", phase, rank, servers, again.Sub(first))
				}
				for _, later := range []time.Duration{1, time.Hour, first.Sub(began) - 1} {
					if got := node.NextScrub(began.Add(later), every, phase, rank, servers); later < first.Sub(began) && !got.Equal(first) {
						t.Errorf("phase %d, server %d of %d: a restart moves the scrub from %v to %v", phase, rank, servers, first, got)
					}
				}
				starts = append(starts, first)
			}
			slices.SortFunc(starts, time.Time.Compare)
			for i := 1; i < servers; i++ {
				if apart := starts[i].Sub(starts[i-1]); apart < every/time.Duration(servers)-time.Second {
					t.Errorf("phase %d: two of %d servers scrub within %v", phase, servers, apart)
				}
			}
		}
	}
}

// end waits until a server says why it ends.
func end(t *testing.T, fatal <-chan error) error {
	t.Helper()
	select {
	case err := <-fatal:
		return err
	case <-time.After(zktest.Patience):
		t.Fatal("the server does not end")
		return nil
	}
}

// metric waits until a line of mntr is as wanted.
func metric(t *testing.T, r *running, name string, wanted func(value int64) bool) {
	t.Helper()
	zktest.Eventually(t, name, func() error {
		for line := range strings.Lines(mntr(t, r)) {
			var value int64
			if n, _ := fmt.Sscanf(line, "zk_"+name+"\t%d", &value); n == 1 {
				if wanted(value) {
					return nil
				}
				return fmt.Errorf("it is %d", value)
			}
		}
		return errors.New("there is no such line")
	})
}

// A server scrubs again and again by itself, and tells of it.
func TestScrubsOnSchedule(t *testing.T) {
	r := start(t, node.Config{
		Conf: config(t, "", "clientPort=1"), FS: vfs.NewCrashableMem(), ClientListener: reserve(t), ScrubEvery: 20 * time.Millisecond,
	})
	r.awaitServing()
	r.create(wornData, paths("a", 20)...)
	metric(t, r, "scrub_count", func(n int64) bool { return n >= 3 })
	metric(t, r, "scrub_damage_count", func(n int64) bool { return n == 0 })
	metric(t, r, "scrub_last_end", func(ms int64) bool { return time.Since(time.UnixMilli(ms)) < time.Minute })
	metric(t, r, "scrub_bytes", func(n int64) bool { return n >= int64(20*len(wornData)) })
	r.holds(wornData, paths("a", 20)...)
}

// doomed is a server that may end by itself.
func doomed(t *testing.T, fs vfs.FS, lines ...string) (n *node.Node, fatal chan error) {
	t.Helper()
	fatal = make(chan error, 1)
	n, err := node.Start(node.Config{
		Conf: config(t, "", append(lines, "clientPort=1")...), FS: fs, ClientListener: reserve(t), Logger: zerolog.Nop(),
		ScrubEvery: 20 * time.Millisecond, Fatal: func(err error) { fatal <- err },
	})
	must(t, err)
	return n, fatal
}

// A block of the tree or of the log that nobody reads is damaged while the server runs: the scrub finds it,
// and a standalone server ends with what was found, where, and what to do [H-94].
func TestScrubFindsDamageNobodyReads(t *testing.T) {
	for _, c := range []struct {
		dir, ending string
		kind        error
	}{
		{treePath + "/tree", ".blob", server.ErrDiverged},
		{treePath + "/tree", ".sst", disk.ErrDamaged}, // Pebble may look into a table by itself
		{logPath, ".sst", node.ErrStore},
	} {
		t.Run(fileKind(c.dir+"/x"+c.ending), func(t *testing.T) {
			mem := worn(t)
			n, fatal := doomed(t, mem)
			r := &running{Node: n, t: t}
			zktest.Eventually(t, "a scrub is done", func() error {
				if zktest.FlipBits(t, mem, c.dir, c.ending) > 0 {
					return nil
				}
				return errors.New("there is no such file yet")
			})
			err := end(t, fatal)
			if !errors.Is(err, c.kind) || !errors.Is(err, disk.ErrDamaged) || node.ExitCode(err) != node.ExitStore {
				t.Errorf("it ends with %v, exit code %d", err, node.ExitCode(err))
			}
			if !strings.Contains(err.Error(), c.ending) && !strings.Contains(err.Error(), "file 0") {
				t.Errorf("%q does not name the file", err)
			}
			hasRemedy(t, c.ending, err)
			_ = r.Stop() // says it again
		})
	}
}

// A node that is not what was installed, in blocks whose checksums are right, is found likewise; and a server
// that does not compare digests goes on with it, and says so once [H-94].
func TestScrubFindsAForgedNode(t *testing.T) {
	mem := vfs.NewCrashableMem()
	r := startStandalone(t, mem)
	r.create("what was written", "/node")
	r.stop()
	zktest.Forge(t, mem, treePath+"/tree", "what was written", "what was forged ")

	n, fatal := doomed(t, mem.CrashClone(vfs.CrashCloneCfg{}))
	err := end(t, fatal)
	if !errors.Is(err, server.ErrDiverged) || node.ExitCode(err) != node.ExitStore {
		t.Errorf("it ends with %v, exit code %d", err, node.ExitCode(err))
	}
	hasRemedy(t, "a forged node", err)
	_ = n.Stop()

	n, fatal = doomed(t, mem, "digest.enabled=false")
	r = &running{Node: n, t: t}
	r.awaitServing()
	metric(t, r, "scrub_damage_count", func(n int64) bool { return n == 1 })
	metric(t, r, "scrub_count", func(n int64) bool { return n >= 2 })
	metric(t, r, "scrub_damage_count", func(n int64) bool { return n == 1 })
	must(t, n.Stop())
	if len(fatal) > 0 {
		t.Errorf("it ends by itself: %v", <-fatal)
	}
	startStandalone(t, mem).holds("what was forged ", "/node") // as it is now, by decision
}

// A scrub that would take a minute at its rate does not hold up the end of the server.
func TestStopDuringAScrub(t *testing.T) {
	r := start(t, node.Config{
		Conf: config(t, "", "clientPort=1", "scrubMbPerSecond=1"), FS: vfs.NewCrashableMem(), ClientListener: reserve(t),
		ScrubEvery: 500 * time.Millisecond,
	})
	r.awaitServing()
	data := strings.Repeat("0123456789abcdef", 60<<10)
	r.create(data, paths("large", 30)...)
	metric(t, r, "scrub_running", func(n int64) bool { return n == 1 })
	metric(t, r, "scrub_bytes", func(n int64) bool { return n > 2<<20 }) // of 30 and more
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the server took %v to stop", took)
	}
}

// A file that a crash left half written is deleted behind the next start, not at once. A scrub that comes upon it
// before that passes it over, in the log as in the tree [H-94].
func TestScrubPassesLeftoversOver(t *testing.T) {
	for _, name := range []string{logPath + "/100000.sst", treePath + "/tree/100000.sst", treePath + "/tree/100000.blob"} {
		mem := vfs.NewMem()
		r := startStandalone(t, mem)
		r.create(wornData, paths("a", 6)...)
		digest := r.Digest()
		r.stop()
		f, err := mem.Create(name, vfs.WriteCategoryUnspecified)
		must(t, err)
		_, err = f.Write([]byte(wornData))
		must(t, errors.Join(err, f.Close()))

		// The deletion waits until the scrub has read the file and has found it in its place twice.
		var opened atomic.Bool
		var looks atomic.Int64
		seen := make(chan struct{})
		goOn := sync.OnceFunc(func() { close(seen) })
		t.Cleanup(goOn)
		again := startStandalone(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch {
			case op.Path != name:
			case op.Kind == errorfs.OpRemove:
				<-seen
			case op.Kind == errorfs.OpOpen:
				opened.Store(true)
			case op.Kind == errorfs.OpStat && opened.Load() && looks.Add(1) == 2:
				goOn()
			}
			return nil
		})))
		again.awaitReplayed()
		if err := again.missing(digest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if looks.Load() < 2 {
			t.Errorf("%s was looked at %d times: the test does not reach it", name, looks.Load())
		}
		goOn()
		again.stop()
		if _, err := mem.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}
