package node_test

import (
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

func TestMain(m *testing.M) {
	// The client library's goroutines end some time after Close. A log that failed leaves Pebble to
	// the end of the process.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*cleanupManager).mainLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).collectTableStats"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).maybeCollectTableStatsLocked.gowrap1"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/genericcache.(*shard[...]).releaseLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop"),
		goleak.IgnoreAnyFunction("github.com/go-zookeeper/zk.(*Conn).loop"),
		goleak.IgnoreAnyFunction("github.com/go-zookeeper/zk.(*Conn).sendLoop"),
		goleak.IgnoreAnyFunction("github.com/go-zookeeper/zk.(*Conn).recvLoop"))
}

// Where the servers of these tests keep their stores.
const (
	dataDir  = "/data"
	treePath = dataDir + "/zabkeeper/tree"
	logPath  = dataDir + "/zabkeeper/log"
)

var open = zk.WorldACL(zk.PermAll)

// must fails the test on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// config reads a configuration; myid is the server's id, empty: none.
func config(tb testing.TB, myid string, lines ...string) *conf.Config {
	tb.Helper()
	c, err := loadConfig(myid, lines...)
	must(tb, err)
	return c
}

func loadConfig(myid string, lines ...string) (*conf.Config, error) {
	text := append([]string{"tickTime=200", "initLimit=50", "syncLimit=10", "maxClientCnxns=0", "dataDir=" + dataDir}, lines...)
	return conf.Load(conf.Input{
		Name: "zoo.cfg", Text: []byte(strings.Join(text, "\n")),
		ReadFile: func(name string) ([]byte, error) {
			if myid == "" || filepath.Base(name) != "myid" {
				return nil, fs.ErrNotExist
			}
			return []byte(myid + "\n"), nil
		},
	})
}

// reserve listens on a free port. A node that is given the listener closes it.
func reserve(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	tb.Cleanup(func() { _ = l.Close() }) // already closed by the node, as a rule
	return l
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

// running is a node that ends with its test.
type running struct {
	*node.Node
	t    testing.TB
	stop func()
}

// start runs a node; it fails the test if the node ends by itself.
func start(tb testing.TB, cfg node.Config) *running {
	tb.Helper()
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(tb)).Level(zerolog.WarnLevel)
	if cfg.Fatal == nil {
		cfg.Fatal = func(err error) { tb.Errorf("fatal: %v", err) }
	}
	n, err := node.Start(cfg)
	must(tb, err)
	r := &running{Node: n, t: tb}
	r.stop = sync.OnceFunc(func() {
		if err := n.Stop(); err != nil {
			tb.Errorf("stop: %v", err)
		}
	})
	tb.Cleanup(r.stop)
	return r
}

// startStandalone runs a standalone server on a disk.
func startStandalone(tb testing.TB, disk vfs.FS, lines ...string) *running {
	tb.Helper()
	r := start(tb, node.Config{
		Conf: config(tb, "", append(lines, "clientPort=1", "clientPortAddress=127.0.0.1")...),
		FS:   disk, ClientListener: reserve(tb),
	})
	r.awaitServing()
	return r
}

func (r *running) awaitServing() {
	r.t.Helper()
	zktest.Eventually(r.t, "the server serves", func() error {
		if s := r.Status(); !r.Serving() {
			return fmt.Errorf("it is %v in %v", s.State, s.Phase)
		}
		return nil
	})
}

// connect opens a client that has a session.
func (r *running) connect() *zk.Conn {
	r.t.Helper()
	conn, events, err := zk.Connect([]string{r.ClientAddr().String()}, 10*time.Second, zk.WithLogger(silent{}))
	must(r.t, err)
	r.t.Cleanup(conn.Close)
	deadline := time.After(zktest.Patience)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			r.t.Fatal("no session")
		}
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// create makes nodes with the given data.
func (r *running) create(data string, paths ...string) {
	r.t.Helper()
	conn := r.connect()
	defer conn.Close()
	for _, p := range paths {
		_, err := conn.Create(p, []byte(data), 0, open)
		must(r.t, err)
	}
}

// holds checks that nodes exist, with the given data.
func (r *running) holds(data string, paths ...string) {
	r.t.Helper()
	conn := r.connect()
	defer conn.Close()
	for _, p := range paths {
		if got, _, err := conn.Get(p); err != nil || string(got) != data {
			r.t.Errorf("%s: %q, %v, want %q", p, got, err, data)
		}
	}
}

// openStores opens the stores of a server that does not run.
func openStores(tb testing.TB, disk vfs.FS) (log *txnlog.Log, tree *store.Store, shut func()) {
	tb.Helper()
	log, err := txnlog.Open(txnlog.Config{
		Dir: logPath, FS: disk, Standalone: true, SID: quorum.None, TrimStep: 1,
		Logger: zerolog.Nop(), Fatal: func(err error) { tb.Errorf("log: %v", err) },
	})
	must(tb, err)
	tree, err = store.Open(store.Config{
		Dir: treePath, FS: disk, Logger: zerolog.Nop(), Fatal: func(err error) { tb.Errorf("tree: %v", err) },
	})
	must(tb, err)
	return log, tree, func() {
		tb.Helper()
		must(tb, tree.Close())
		must(tb, log.Close())
	}
}

// copyDir replaces a directory of one disk by that of another.
func copyDir(tb testing.TB, from, to vfs.FS, dir string) {
	tb.Helper()
	must(tb, to.RemoveAll(dir))
	ok, err := vfs.Clone(from, to, dir, dir)
	must(tb, err)
	if !ok {
		tb.Fatalf("there is no %s to copy", dir)
	}
}

func paths(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("/%s-%d", prefix, i)
	}
	return out
}

// generation names the history of a log that no snapshot is being installed in.
func generation(tb testing.TB, log *txnlog.Log) uint32 {
	tb.Helper()
	g, ok := log.Generation()
	if !ok {
		tb.Fatal("a snapshot is being installed")
	}
	return g
}
