package transport_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

func TestElectionExchange(t *testing.T) {
	c := newCluster(t, 1, 2, 200)
	servers := map[quorum.SID]*server{1: c.start(1), 2: c.start(2), 200: c.start(200)}
	for from, s := range servers {
		for to := range servers {
			if from != to {
				s.Notify(note(to, uint64(from)))
			}
		}
		s.Notify(note(from, 9)) // to itself: dropped
		s.Notify(note(77, 9))   // to nobody: dropped
	}
	for self, s := range servers {
		for other := range servers {
			if other != self {
				s.awaitReach(t, other, true)
				s.awaitNote(t, other, uint64(other))
			}
		}
		s.mu.Lock()
		for _, n := range s.notes {
			if n.To != self || n.Round == 9 {
				t.Errorf("server %v heard %+v", self, n)
			}
		}
		for sid, inc := range s.inc {
			if inc != (quorum.Incarnation{byte(sid)}) {
				t.Errorf("server %v met incarnation %v of %v", self, inc, sid)
			}
		}
		s.mu.Unlock()
	}
}

// Whoever restarts, the two meet again soon and the last notification is repeated.
func TestElectionRestart(t *testing.T) {
	for _, restarted := range []quorum.SID{1, 2} {
		t.Run(restarted.String(), func(t *testing.T) {
			c := newCluster(t, 1, 2)
			stays, again := c.start(3-restarted), c.start(restarted)
			stays.Notify(note(restarted, 5))
			again.awaitNote(t, 3-restarted, 5)
			stays.awaitReach(t, restarted, true)

			again.stop()
			stays.awaitReach(t, restarted, false)
			began := time.Now()
			again = c.start(restarted, func(cfg *transport.Config) { cfg.Identity = identity(1, 77) })
			again.awaitNote(t, 3-restarted, 5)
			t.Logf("contact after %v", time.Since(began))
			stays.await(t, "the new incarnation is seen", func() bool {
				return stays.reach[restarted] && stays.inc[restarted] == quorum.Incarnation{77}
			})
		})
	}
}

// While a server is away only the newest notification to it is kept.
func TestNewestNotificationReplaces(t *testing.T) {
	c := newCluster(t, 1, 2)
	s1 := c.start(1)
	for round := range uint64(100) {
		s1.Notify(note(2, round))
	}
	s2 := c.start(2)
	s2.awaitNote(t, 1, 99)
	s2.mu.Lock()
	defer s2.mu.Unlock()
	if len(s2.notes) != 1 {
		t.Errorf("got %d notifications, want the newest alone", len(s2.notes))
	}
}

// Hazard H-46: a server whose address swallows packets delays nobody else.
func TestBlackHoledDial(t *testing.T) {
	c := newCluster(t, 1, 2, 3)
	var dials atomic.Int32
	s3 := c.start(3, func(cfg *transport.Config) {
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			if address == c.addresses[1][1] {
				dials.Add(1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	})
	s2 := c.start(2)
	for round := range uint64(20) {
		s3.Notify(note(1, round))
		s3.Notify(note(2, round))
		s2.awaitNote(t, 3, round)
	}
	if n := dials.Load(); n > 1 {
		t.Errorf("%d dials in flight to one server", n)
	}
}

// proxy forwards a port until it is frozen: then both connections stay open and nothing moves,
// like a link whose packets are dropped.
type proxy struct {
	ln     net.Listener
	target string
	mu     sync.Mutex
	thawed chan struct{} // closed while data flows
	wg     sync.WaitGroup
	conns  []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{ln: listen(t, "127.0.0.1:0"), target: target, thawed: make(chan struct{})}
	close(p.thawed)
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		_ = p.ln.Close()
		p.thaw()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(in, out) })
		p.wg.Go(func() { p.copy(out, in) })
	}
}

func (p *proxy) copy(from, to net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		gate := p.thawed
		p.mu.Unlock()
		<-gate
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thawed = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
	default:
		close(p.thawed)
	}
}

// through makes a server reach an address by way of a proxy.
func through(address string, p *proxy) func(*transport.Config) {
	return func(cfg *transport.Config) {
		cfg.Dial = func(ctx context.Context, to string) (net.Conn, error) {
			if to == address {
				to = p.ln.Addr().String()
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to)
		}
	}
}

func impatient(cfg *transport.Config) { cfg.Heartbeat = 20 * time.Millisecond }

// Hazards H-53, H-56: a connection that is open and brings nothing is noticed by both ends,
// and replaced when packets flow again.
func TestHalfOpenElectionConnection(t *testing.T) {
	c := newCluster(t, 1, 2)
	p := newProxy(t, c.addresses[1][1])
	s1, s2 := c.start(1, impatient), c.start(2, impatient, through(c.addresses[1][1], p))
	s1.awaitReach(t, 2, true)
	s2.awaitReach(t, 1, true)
	p.freeze()
	s1.awaitReach(t, 2, false)
	s2.awaitReach(t, 1, false)
	p.thaw()
	s1.awaitReach(t, 2, true)
	s2.awaitReach(t, 1, true)
	s1.Notify(note(2, 7))
	s2.awaitNote(t, 1, 7)
}

// readCounter counts the reads that brought something.
type readCounter struct {
	net.Conn
	reads *atomic.Int32
	done  chan struct{} // closed at the sixth
}

func (c readCounter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.reads.Add(1) == 6 {
		close(c.done)
	}
	return n, err
}

// An idle connection stays, because both ends show signs of life.
func TestHeartbeatsKeepIdleConnection(t *testing.T) {
	c := newCluster(t, 1, 2)
	calm := func(cfg *transport.Config) { cfg.Heartbeat = 250 * time.Millisecond }
	var reads atomic.Int32
	done := make(chan struct{})
	s1 := c.start(1, calm)
	s2 := c.start(2, calm, func(cfg *transport.Config) {
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return readCounter{conn, &reads, done}, nil
		}
	})
	s1.awaitReach(t, 2, true)
	select {
	case <-done: // longer than an idle connection may last
	case <-time.After(patience):
		t.Fatal("no signs of life")
	}
	for _, s := range []*server{s1, s2} {
		s.mu.Lock()
		if len(s.flaps) != 0 {
			t.Errorf("the idle connection was lost: %v", s.flaps)
		}
		s.mu.Unlock()
	}
}
