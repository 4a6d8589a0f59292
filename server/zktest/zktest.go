package zktest

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/node"
)

// Patience is how long the package waits for what must come to pass sooner or later. It
// is generous: a test that waits for it has failed.
const Patience = 60 * time.Second

// Option changes how an ensemble is made.
type Option func(*options)

type options struct {
	settings  map[string]string
	own       map[int]map[string]string // of one server, by id
	observers int
	spares    int
	level     zerolog.Level
}

// Set gives every server a setting of zoo.cfg.
func Set(key, value string) Option { return func(o *options) { o.settings[key] = value } }

// SetOn gives one server, by id, a setting of its own.
func SetOn(id int, key, value string) Option {
	return func(o *options) {
		if o.own[id] == nil {
			o.own[id] = map[string]string{}
		}
		o.own[id][key] = value
	}
}

// Observers makes the last n servers observers.
func Observers(n int) Option { return func(o *options) { o.observers = n } }

// Verbose lets the servers log more than warnings.
func Verbose() Option { return func(o *options) { o.level = zerolog.InfoLevel } }

// Ensemble is a set of servers that know each other.
type Ensemble struct {
	tb      testing.TB
	servers []*Server
	net     *network
	damaged atomic.Bool // see Damage
}

// Server is one member, running or not.
type Server struct {
	ID int

	ensemble *Ensemble
	options  options
	config   string // zoo.cfg
	addrs    addresses
	log      zerolog.Logger

	free   atomic.Int64 // see SetFree
	ending atomic.Bool  // the node may end by itself
	damage damage
	stall  Stall

	mu   sync.Mutex
	disk *vfs.MemFS
	node *node.Node // nil: not running
}

// addresses are where a server listens.
type addresses struct{ client, quorum, election string }

// Start starts n servers and waits until all of them serve.
func Start(tb testing.TB, n int, opts ...Option) *Ensemble {
	tb.Helper()
	o := options{own: map[int]map[string]string{}, settings: map[string]string{
		"tickTime": "200", "initLimit": "50", "syncLimit": "10", "maxClientCnxns": "0",
		"dataDir": "/data",
	}, level: zerolog.WarnLevel}
	for _, opt := range opts {
		opt(&o)
	}
	e := &Ensemble{tb: tb, net: newNetwork()}
	for i := range n {
		s := &Server{
			ID: i + 1, ensemble: e, disk: vfs.NewCrashableMem(),
			addrs: addresses{reserve(tb), reserve(tb), reserve(tb)},
		}
		s.log = newLogger(tb, o.level, s).With().Int("server", s.ID).Logger()
		e.servers = append(e.servers, s)
	}
	for i, s := range e.servers {
		s.options = o
		if i < n-o.spares {
			s.config = e.zooCfg(i, o)
			s.start(tb)
		}
	}
	tb.Cleanup(func() {
		for _, s := range e.servers {
			s.stop()
		}
	})
	e.WaitServing(tb)
	return e
}

// zooCfg writes the configuration of the i-th server.
func (e *Ensemble) zooCfg(i int, o options) string {
	var b strings.Builder
	settings := maps.Clone(o.settings)
	maps.Copy(settings, o.own[i+1])
	for k, v := range settings {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	if len(e.servers) == 1 {
		_, port, _ := net.SplitHostPort(e.servers[0].addrs.client)
		fmt.Fprintf(&b, "clientPort=%s\nclientPortAddress=127.0.0.1\n", port)
		return b.String()
	}
	members := e.servers[:len(e.servers)-o.spares]
	for j, s := range members {
		role := "participant"
		if j >= len(members)-o.observers {
			role = "observer"
		}
		fmt.Fprintln(&b, s.Spec(role))
	}
	if i >= len(members)-o.observers {
		b.WriteString("peerType=observer\n")
	}
	return b.String()
}

func (s *Server) start(tb testing.TB) {
	tb.Helper()
	s.ending.Store(false)
	if err := s.tryStart(tb); err != nil {
		tb.Fatal(err)
	}
}

// tryStart is start for servers that may refuse to.
func (s *Server) tryStart(tb testing.TB) error {
	tb.Helper()
	cfg, err := conf.Load(conf.Input{
		Name: "zoo.cfg", Text: []byte(s.config),
		ReadFile: func(string) ([]byte, error) { return fmt.Appendf(nil, "%d\n", s.ID), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	nc := node.Config{
		Conf: cfg, Logger: s.log, FS: roomyFS{s.stall.On(s.disk), s},
		Revision: strings.Repeat("0", 40), Built: time.Unix(0, 0),
		MaintainEvery: 50 * time.Millisecond, SpaceEvery: 10 * time.Millisecond, CertificatesEvery: 20 * time.Millisecond,
		LogReturnsAfter: 150 * time.Millisecond,
		Fatal:           s.fatal,
		Tree:            func(t server.Store) server.Store { return damagedTree{t, &s.damage} },
		ClientListener:  listen(tb, s.addrs.client),
		Dial:            s.ensemble.net.dialer(s),
	}
	if !cfg.Standalone {
		nc.QuorumListener, nc.ElectionListener = listen(tb, s.addrs.quorum), listen(tb, s.addrs.election)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := node.Start(nc)
	if err != nil {
		return err
	}
	s.node = n
	go s.watch(n)
	return nil
}

// watch fails the test when the server ends without having been told to.
func (s *Server) watch(n *node.Node) {
	err := n.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node == n && !s.ending.Load() {
		s.ensemble.tb.Errorf("server %d ended by itself: %v", s.ID, err)
	}
}

func listen(tb testing.TB, addr string) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", addr)
	must(tb, err) // a server that has ended has left its ports
	return l
}

// take removes the running node, so that its end is expected.
func (s *Server) take() *node.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.node
	s.node = nil
	s.ending.Store(true)
	return n
}

func (s *Server) stop() {
	s.stall.End()
	if n := s.take(); n != nil {
		if err := n.Stop(); err != nil {
			s.ensemble.tb.Errorf("stop server %d: %v", s.ID, err)
		}
	}
}

// Stop stops the server in order.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	s.stop()
}

// Kill ends the server as a power failure would: its disk keeps what was synced and nothing
// else, and its connections end.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	n := s.take()
	if n == nil {
		tb.Fatalf("server %d is not running", s.ID)
	}
	disk := s.disk.CrashClone(vfs.CrashCloneCfg{})
	s.stall.End()
	if err := n.Stop(); err != nil {
		tb.Errorf("stop server %d: %v", s.ID, err)
	}
	s.disk = disk
}

// Wipe removes the data of a server that is not running.
func (s *Server) Wipe(tb testing.TB) {
	tb.Helper()
	if s.Running() {
		tb.Fatalf("server %d is running", s.ID)
	}
	s.disk = vfs.NewCrashableMem()
}

// Restart starts a server that was stopped or killed, on the disk that it left.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.start(tb)
}

// Running reports whether the server is running.
func (s *Server) Running() bool { return s.Node() != nil }

// Node returns the running server, or nil.
func (s *Server) Node() *node.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node
}

// Addr returns where clients connect.
func (s *Server) Addr() string { return s.addrs.client }

// State returns what the server is doing, fle.Looking when it is not running.
func (s *Server) State() fle.State {
	if n := s.Node(); n != nil && n.Serving() {
		return n.Status().State
	}
	return fle.Looking
}

// Servers returns all members.
func (e *Ensemble) Servers() []*Server { return e.servers }

// Server returns the member with that id.
func (e *Ensemble) Server(id int) *Server { return e.servers[id-1] }

// Leader waits until exactly one running server leads, and returns it.
func (e *Ensemble) Leader(tb testing.TB) *Server {
	tb.Helper()
	var leader *Server
	Eventually(tb, "a leader", func() error {
		leader = nil
		for _, s := range e.servers {
			if s.State() == fle.Leading {
				if leader != nil {
					return fmt.Errorf("%d and %d lead", leader.ID, s.ID)
				}
				leader = s
			}
		}
		if leader == nil {
			return fmt.Errorf("nobody leads")
		}
		return nil
	})
	return leader
}

// Followers returns the running servers that do not lead, once there is a leader.
func (e *Ensemble) Followers(tb testing.TB) []*Server {
	tb.Helper()
	leader := e.Leader(tb)
	var out []*Server
	for _, s := range e.servers {
		if s != leader && s.Running() {
			out = append(out, s)
		}
	}
	return out
}

// WaitServing waits until every running server serves.
func (e *Ensemble) WaitServing(tb testing.TB) {
	tb.Helper()
	Eventually(tb, "all servers serve", func() error {
		for _, s := range e.servers {
			if n := s.Node(); n != nil && !n.Serving() {
				return fmt.Errorf("server %d does not serve", s.ID)
			}
		}
		return nil
	})
}

// WaitEqual waits until all running servers have applied the same history, and checks that it made
// the same tree.
func (e *Ensemble) WaitEqual(tb testing.TB) {
	tb.Helper()
	Eventually(tb, "equal trees", func() error {
		var first *node.Node
		for _, s := range e.servers {
			n := s.Node()
			switch {
			case n == nil:
			case first == nil:
				first = n
			case n.Applied() != first.Applied():
				return fmt.Errorf("server %d is at %v, another at %v", s.ID, n.Applied(), first.Applied())
			case n.Digest() != first.Digest():
				return fmt.Errorf("server %d has digest %x at %v, another %x", s.ID, n.Digest(), n.Applied(), first.Digest())
			}
		}
		return nil
	})
}

// Addrs returns the client addresses of all servers.
func (e *Ensemble) Addrs() []string {
	var out []string
	for _, s := range e.servers {
		out = append(out, s.Addr())
	}
	return out
}

// Connect opens a client of the given servers, or of all, that has a session. It closes with the test.
func (e *Ensemble) Connect(tb testing.TB, servers ...*Server) *zk.Conn {
	tb.Helper()
	addrs := e.Addrs()
	if len(servers) > 0 {
		addrs = nil
		for _, s := range servers {
			addrs = append(addrs, s.Addr())
		}
	}
	conn, events, err := zk.Connect(addrs, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	deadline := time.After(Patience)
	for {
		select {
		case ev := <-events:
			if ev.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			tb.Fatal("no session within ", Patience)
		}
	}
}

// Eventually tries until ready returns nil, and fails the test with its last error when Patience
// is over.
func Eventually(tb testing.TB, what string, ready func() error) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(Patience)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v: %v", what, Patience, err)
		}
		<-tick.C
	}
}
