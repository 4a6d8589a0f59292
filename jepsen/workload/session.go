package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
)

// errDead ends all dialling of a session that is over.
var errDead = errors.New("workload: the session is over")

// lostAfter is how many rounds of a session's servers are tried before it goes back to those that it began with.
const lostAfter = 3

// redial is the pause between two tries to reach any server: short, so that a failover is not
// hidden behind the client's own patience.
const redial = 20 * time.Millisecond

// Session is one session of one client. Its methods may be called from one goroutine at a time,
// except Dead; pipelined operations are made with together.
type Session struct {
	conn  *zk.Conn
	hosts *hosts
	state tapState
	dead  atomic.Bool

	mu  sync.Mutex
	raw net.Conn // the last connection
}

// Open begins a session with any of the servers. It returns at once; the first operation waits
// for the session. What the tap finds wrong goes to the recorder, if there is one.
func Open(servers []string, timeout time.Duration, seed uint64, r *Recorder) (*Session, error) {
	s := &Session{hosts: &hosts{rand: rand.New(rand.NewPCG(seed, 0x686f737473)), quit: make(chan struct{})}}
	s.state.recorder = r
	patience := max(timeout/4, 200*time.Millisecond)
	dial := func(network, addr string, _ time.Duration) (net.Conn, error) {
		if s.dead.Load() {
			return nil, errDead
		}
		c, err := net.DialTimeout(network, addr, patience)
		if err != nil {
			return nil, err
		}
		s.state.mu.Lock()
		s.state.generation++
		s.state.server = addr
		s.state.mu.Unlock()
		t := newTap(c, addr, &s.state, patience)
		s.mu.Lock()
		s.raw = t
		s.mu.Unlock()
		return t, nil
	}
	event := func(e zk.Event) {
		if e.Type == zk.EventSession && e.State == zk.StateExpired {
			s.end()
		}
	}
	conn, _, err := zk.Connect(servers, timeout, zk.WithDialer(dial), zk.WithEventCallback(event),
		zk.WithHostProvider(s.hosts), zk.WithLogger(silent{}), zk.WithLogInfo(false))
	if err != nil {
		return nil, fmt.Errorf("workload: open session: %w", err)
	}
	s.conn = conn
	return s, nil
}

// end stops all reconnecting; operations then fail without being sent.
func (s *Session) end() {
	if !s.dead.Swap(true) {
		close(s.hosts.quit)
	}
}

// Dead reports whether the session has expired or was ended.
func (s *Session) Dead() bool { return s.dead.Load() }

// ID returns the session id, 0 as long as there is none. It stays when the session is over.
func (s *Session) ID() int64 {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.session
}

// Close closes the session and reports whether a server acknowledged it.
func (s *Session) Close() bool {
	s.conn.Close()
	s.end()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.closed
}

// Abandon lets go of the session without a word, as a client does whose machine dies.
func (s *Session) Abandon() {
	s.end()
	s.mu.Lock()
	raw := s.raw
	s.mu.Unlock()
	if raw != nil {
		raw.Close() // the point is to hang up
	}
	s.conn.Close()
}

// Config returns the list of the ensemble's servers, as it stands in /zookeeper/config.
func (s *Session) Config() (string, error) {
	data, _, err := s.conn.Get(ConfigPath)
	if err != nil {
		return "", fmt.Errorf("workload: %s: %w", ConfigPath, err)
	}
	return string(data), nil
}

// generation returns how many connections the session has had.
func (s *Session) generation() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.generation
}

// do runs one operation and completes o: times, outcome, zxid and who answered. What f fills of o
// are the reply's fields.
func (s *Session) do(r *Recorder, o check.Op, f func(o *check.Op) error) check.Op {
	s.state.mu.Lock()
	s.state.zxid = 0
	s.state.mu.Unlock()
	return s.record(r, o, f, true)
}

// together runs operations at the same time, so that the library pipelines them. Which reply's
// header belongs to which of them is not known.
func (s *Session) together(r *Recorder, ops []check.Op, f func(o *check.Op) error) {
	var wg sync.WaitGroup
	for _, o := range ops {
		wg.Go(func() { s.record(r, o, f, false) })
	}
	wg.Wait()
}

func (s *Session) record(r *Recorder, o check.Op, f func(o *check.Op) error, alone bool) check.Op {
	o.Call = r.now()
	err := f(&o)
	o.Return = r.now()
	s.state.mu.Lock()
	o.Server, o.Session = s.state.server, s.state.session
	if alone && o.Zxid == 0 && (err == nil || refused(err)) {
		o.Zxid = s.state.zxid
	}
	s.state.mu.Unlock()
	o.Outcome, o.Refused = outcome(err)
	if err != nil {
		o.Err = err.Error()
	}
	r.add(o)
	return o
}

// outcome says what an error means for the effect of the operation: refused by the server's
// state, never sent, or unknown (hazard H-72).
func outcome(err error) (check.Outcome, bool) {
	switch {
	case err == nil:
		return check.OK, false
	case refused(err):
		return check.Fail, true
	case errors.Is(err, zk.ErrNoServer):
		return check.Fail, false
	default:
		return check.Info, false
	}
}

// refused reports whether err is an answer that the server gave because of what it holds.
func refused(err error) bool {
	for _, e := range []error{zk.ErrNoNode, zk.ErrBadVersion, zk.ErrNodeExists, zk.ErrNotEmpty, zk.ErrNoAuth, zk.ErrNoChildrenForEphemerals} {
		if errors.Is(err, e) {
			return true
		}
	}
	var code proto.Code // what raw sessions get
	return errors.As(err, &code) && slices.Contains([]proto.Code{
		proto.CodeNoNode, proto.CodeBadVersion, proto.CodeNodeExists, proto.CodeNotEmpty, proto.CodeNoAuth, proto.CodeNoChildrenForEphemerals,
		proto.CodeReconfigInProgress, proto.CodeNewConfigNoQuorum, proto.CodeBadArguments, proto.CodeReconfigDisabled,
	}, code)
}

// silent is a logger for the library.
type silent struct{}

func (silent) Printf(string, ...any) {}

// hosts hands out servers in a shuffled ring. Unlike the library's own provider it pauses for
// milliseconds, not a second, after a round without success, and ends the library's dialling when
// the session is over.
type hosts struct {
	mu      sync.Mutex
	first   []string // what the session began with
	servers []string
	next    int
	failed  int // dials since the last success
	rand    *rand.Rand
	quit    chan struct{}
}

// Init takes the list of servers.
func (h *hosts) Init(servers []string) error {
	h.mu.Lock()
	h.first = slices.Clone(servers)
	h.mu.Unlock()
	h.use(servers)
	return nil
}

// use takes another list of servers.
func (h *hosts) use(servers []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers = slices.Clone(servers)
	h.rand.Shuffle(len(h.servers), func(i, j int) { h.servers[i], h.servers[j] = h.servers[j], h.servers[i] })
}

// Len returns the number of servers.
func (h *hosts) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.servers)
}

// Next returns the server to try. The flag makes the library give up what was not sent and look
// whether it was closed.
func (h *hosts) Next() (string, bool) {
	h.mu.Lock()
	list := h.servers
	if h.failed >= lostAfter*len(list) { // nobody of the list is where it says: ask everybody
		list = h.first
	}
	server := list[h.next%len(list)]
	h.next++
	h.failed++
	tired := h.failed > 1
	h.mu.Unlock()
	select {
	case <-h.quit:
		return server, true
	default:
	}
	if tired {
		t := time.NewTimer(redial)
		defer t.Stop()
		select {
		case <-h.quit:
			return server, true
		case <-t.C:
		}
	}
	return server, false
}

// Connected notes a success.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = 0
}
