package node_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"orderly stop", nil, 0},
		{"anything else", errors.New("x"), node.ExitUnexpected},
		{"configuration", fmt.Errorf("wrapped: %w", &conf.Error{Reason: "x"}), node.ExitConfig},
		{"data directory", fmt.Errorf("wrapped: %w: %w", node.ErrDataDir, errors.New("x")), node.ExitDataDir},
		{"damaged log at the start", errors.Join(fmt.Errorf("%w: %w", node.ErrDataDir, txnlog.ErrDamaged), errors.New("close")), node.ExitDataDir},
		{"quorum port", fmt.Errorf("transport: %w", &transport.BindError{Address: ":1"}), node.ExitPortBind},
		{"client port", fmt.Errorf("%w: in use", node.ErrClientPort), node.ExitUnexpected},
	} {
		if got := node.ExitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
	for name, code := range map[string][2]int{ // the numbers are ZooKeeper's: scripts know them
		"unexpected": {node.ExitUnexpected, 1}, "config": {node.ExitConfig, 2},
		"data directory": {node.ExitDataDir, 3}, "port": {node.ExitPortBind, 14},
	} {
		if code[0] != code[1] {
			t.Errorf("%s: %d, want %d", name, code[0], code[1])
		}
	}
}

func TestConfigNeedsConfAndFatal(t *testing.T) {
	for name, cfg := range map[string]node.Config{
		"no Conf":  {Fatal: func(error) {}},
		"no Fatal": {Conf: config(t, "", "clientPort=1")},
	} {
		if _, err := node.Start(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMissingMyIDIsAConfigurationError(t *testing.T) {
	_, err := loadConfig("", "server.1=h:1:2;3", "server.2=h:4:5;6", "server.3=h:7:8;9")
	if got := node.ExitCode(err); err == nil || got != node.ExitConfig || !strings.Contains(err.Error(), "myid") {
		t.Errorf("exit code %d: %v, want %d and a word about myid", got, err, node.ExitConfig)
	}
}

func TestClientPortInUseIsRefusedBeforeAnythingIsOpened(t *testing.T) {
	taken, disk := reserve(t), vfs.NewMem()
	err := refused(t, node.Config{
		Conf: config(t, "", "clientPortAddress=127.0.0.1", "clientPort="+port(taken)), FS: disk,
	})
	if !errors.Is(err, node.ErrClientPort) || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v, want one that names the port", err)
	}
	if names, err := disk.List("/"); err != nil || len(names) > 0 {
		t.Errorf("%q (%v) was made in spite of the refusal", names, err)
	}
}

// servers are the lines of zoo.cfg for three servers whose ports are those of listeners.
func serverLines(listeners [][3]net.Listener) []string {
	var lines []string
	for i, l := range listeners {
		lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%s:%s;127.0.0.1:%s", i+1, port(l[1]), port(l[2]), port(l[0])))
	}
	return lines
}

func reserveServers(tb testing.TB, n int) [][3]net.Listener {
	tb.Helper()
	out := make([][3]net.Listener, n)
	for i := range out {
		out[i] = [3]net.Listener{reserve(tb), reserve(tb), reserve(tb)}
	}
	return out
}

// member is the configuration of a server of an ensemble.
func member(tb testing.TB, id int, disk vfs.FS, listeners [][3]net.Listener) node.Config {
	tb.Helper()
	l := listeners[id-1]
	return node.Config{
		Conf: config(tb, fmt.Sprint(id), serverLines(listeners)...), FS: disk,
		ClientListener: l[0], QuorumListener: l[1], ElectionListener: l[2],
	}
}

func TestQuorumPortInUseEndsTheServer(t *testing.T) {
	listeners := reserveServers(t, 3)
	cfg := member(t, 1, vfs.NewMem(), listeners)
	cfg.Conf = config(t, "1", append(serverLines(listeners), "electionPortBindRetry=1")...)
	cfg.QuorumListener, cfg.ElectionListener = nil, nil // they are taken, by this test
	cfg.Logger = zerolog.Nop()
	cfg.Fatal = func(err error) { t.Errorf("a port is not a store: %v", err) }
	n, err := node.Start(cfg)
	must(t, err)
	err = n.Wait()
	var bind *transport.BindError
	if !errors.As(err, &bind) || node.ExitCode(err) != node.ExitPortBind {
		t.Fatalf("exit code %d: %v", node.ExitCode(err), err)
	}
	if a := listeners[0]; bind.Address != a[1].Addr().String() && bind.Address != a[2].Addr().String() {
		t.Errorf("the error names %s, want a port of server 1", bind.Address)
	}
}

// A refusal leaves no port behind that a second try would find in use.
func TestRefusalClosesEveryListener(t *testing.T) {
	listeners := reserveServers(t, 3)
	disk := served(t, "a", 1)
	must(t, disk.RemoveAll(logPath))
	if err := refused(t, member(t, 1, disk, listeners)); !errors.Is(err, node.ErrDataDir) {
		t.Fatal(err)
	}
	for i, l := range listeners[0] {
		if _, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
			t.Errorf("listener %d is open", i)
		}
	}
}

func TestDirectoryOfAnotherServerIsRefused(t *testing.T) {
	disk := vfs.NewMem()
	n := start(t, member(t, 1, disk, reserveServers(t, 3))) // alone, and so without a leader
	n.stop()
	for name, cfg := range map[string]node.Config{
		"another member":      member(t, 2, disk, reserveServers(t, 3)),
		"a standalone server": {Conf: config(t, "", "clientPort=1"), FS: disk, ClientListener: reserve(t)},
	} {
		err := refused(t, cfg)
		if !errors.Is(err, txnlog.ErrWrongSID) || node.ExitCode(err) != node.ExitDataDir || !strings.Contains(err.Error(), logPath) {
			t.Errorf("%s: exit code %d: %v", name, node.ExitCode(err), err)
		}
	}
	start(t, member(t, 1, disk, reserveServers(t, 3))).stop() // still its own
}

// A standalone server's directory can become that of any member of an ensemble: what it
// holds is the history of the ensemble, and the empty members get it.
func TestStandaloneServerGrowsToAnEnsemble(t *testing.T) {
	for _, c := range []struct{ id, size int }{{1, 3}, {2, 3}, {3, 3}, {2, 2}} {
		t.Run(fmt.Sprintf("as server %d of %d", c.id, c.size), func(t *testing.T) {
			old := vfs.NewCrashableMem()
			r := startStandalone(t, old)
			r.create("kept", paths("n", 30)...)
			digest := r.Digest()
			r.stop()

			// The one with the history comes first: empty members that are a quorum among
			// themselves would begin a history of their own.
			listeners := reserveServers(t, c.size)
			members := make([]*running, c.size)
			members[c.id-1] = start(t, member(t, c.id, old, listeners))
			for i := range members {
				if i == c.id-1 {
					continue
				}
				members[i] = start(t, member(t, i+1, vfs.NewMem(), listeners)) // with it there is a quorum
				members[i].awaitServing()
				members[i].holds("kept", paths("n", 30)...)
			}
			if got := members[c.id-1].Digest(); got != digest {
				t.Errorf("the tree has digest %x, as a standalone server's it had %x", got, digest)
			}
			if s := members[c.id-1].Status(); s.State != fle.Leading {
				t.Errorf("the server with the history is %v, want the leader", s.State)
			}
			members[0].create("new", "/new")
			zktest.Eventually(t, "everybody has everything", func() error {
				for i, m := range members {
					if m.Applied() != members[0].Applied() || m.Digest() != members[0].Digest() {
						return fmt.Errorf("server %d is at %v, server 1 at %v", i+1, m.Applied(), members[0].Applied())
					}
				}
				return nil
			})
		})
	}
}

// Maintenance flushes the tree and gives the beginning of the log back, while clients write.
func TestMaintenanceFlushesAndTrims(t *testing.T) {
	disk := vfs.NewCrashableMem()
	r := start(t, node.Config{
		Conf: config(t, "", "clientPort=1", "snapCount=100", "commitLogCount=100"),
		FS:   disk, ClientListener: reserve(t), MaintainEvery: 10 * time.Millisecond,
	})
	r.awaitServing()
	r.create("0", "/n")
	const writes = 1150 // of each client: the log gives back 16384 entries at a time
	var wg sync.WaitGroup
	for range 16 {
		conn := r.connect()
		wg.Go(func() {
			for i := range writes {
				if _, err := conn.Set("/n", fmt.Appendf(nil, "%d", i), -1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	zktest.Eventually(t, "the log is trimmed", func() error {
		if h := r.Durable().History; h.Base.ID == 0 {
			return fmt.Errorf("it is %v", h)
		}
		return nil
	})
	h := r.Durable().History
	if kept := int(h.Last().ID - h.Base.ID); kept < 100 {
		t.Errorf("%d entries are kept, want 100 at least", kept)
	}
	// What was trimmed is in the tree, durably.
	digest, applied := r.Digest(), r.Applied()
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	r.stop()
	_, tree, shut := openStores(t, after)
	if at := tree.Applied().ID; at < h.Base.ID {
		t.Errorf("the tree holds %v durably, the log begins after %v", at, h.Base.ID)
	}
	shut()
	r = startStandalone(t, after)
	if r.Applied() == applied && r.Digest() != digest {
		t.Errorf("the tree has digest %x at %v, before the crash %x", r.Digest(), applied, digest)
	}
	r.holds(fmt.Sprint(writes-1), "/n")
}

// A standalone server whose log has lost what it had acknowledged must say so: it would
// wait for a leader that never comes.
func TestUntrustedStandaloneServerIsRefused(t *testing.T) {
	disk := served(t, "a", 5)
	must(t, disk.RemoveAll(treePath))
	names, err := disk.List(logPath)
	must(t, err)
	for _, name := range names {
		if name != "WATERMARK" {
			must(t, disk.RemoveAll(logPath+"/"+name))
		}
	}
	for range 2 { // it does not go away by itself
		refusedData(t, disk, "lost", logPath+"/WATERMARK")
	}
	must(t, disk.Remove(logPath+"/WATERMARK")) // as the message says
	r := startStandalone(t, disk)
	r.create("v", "/new")
	r.stop()
	startStandalone(t, disk).holds("v", "/new")
}
