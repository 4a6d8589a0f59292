package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// assault is what some clients do to a server, and what that may cost it.
type assault struct {
	name    string
	adjust  func(*server.Config)
	clients int
	// bound is the heap in bytes that all attackers together may make the server hold.
	bound int64
	// reads is set if nobody can write meanwhile.
	reads bool
	// prepare is called before anything is measured.
	prepare func(s *siege)
	// strike is what attacker i does. It returns when the server has closed the connection or
	// takes no more of it.
	strike func(s *siege, i int, c *client)
	// relief is called once the memory was measured.
	relief func(s *siege, attackers []*client)
	// ends is how the attackers end.
	ends ending
}

type ending uint8

const (
	leave   ending = iota // by themselves
	closed                // by the server, at once, and the client sees it
	dropped               // by the server, at once, whether the client reads or not
	era                   // by the server's housekeeping
)

// siege is a server under attack with a client that behaves.
type siege struct {
	t      *testing.T
	w      *twin
	m      *member
	rounds atomic.Int64
	reads  atomic.Bool
}

// The limits of a server under attack: small, so that a few attackers reach them.
const (
	siegeFrame  = 64 << 10
	siegeOutput = 1 << 20
)

func siegeConfig(c *server.Config) {
	c.MaxFrame, c.MaxOutput, c.MaxAnswer, c.MaxList, c.MaxWatchBytes = siegeFrame, siegeOutput, siegeOutput, siegeOutput, siegeOutput
	c.SessionlessTimeout, c.WriteTimeout = tick, tick
	c.GlobalOutstanding = 1 << 20 // no attacker is held back for what others do
}

// TestHostileClients lets clients do what costs a server most. Each of them is closed or held
// back, and only it; together they hold no more memory than is said; and when they are gone
// nothing is left of them.
func TestHostileClients(t *testing.T) {
	for _, a := range assaults() {
		t.Run(a.name, a.run)
	}
}

func (a *assault) run(t *testing.T) {
	s := &siege{t: t}
	s.w = newTwin(t, 1, func(c *server.Config) {
		siegeConfig(c)
		if a.adjust != nil {
			a.adjust(c)
		}
	})
	s.m = s.w.members[0]
	good := s.m.connect(t)
	good.create("/good", "x", proto.ModePersistent)
	if a.prepare != nil {
		a.prepare(s)
	}
	heap, routines := liveHeap(), runtime.NumGoroutine()
	stop := s.behave(good)
	defer stop()

	attackers := make([]*client, a.clients)
	for i := range attackers {
		attackers[i] = s.m.dial(t)
	}
	s.reads.Store(a.reads)
	s.answered()
	var all sync.WaitGroup
	for i, c := range attackers {
		all.Go(func() { a.strike(s, i, c) })
	}
	all.Wait()
	s.answered()
	// The leader may still be making transactions of what was written, and has both for a moment.
	held := int64(math.MaxInt64)
	within := func() bool {
		held = min(held, liveHeap()-heap)
		return held <= a.bound
	}
	eventually(t, fmt.Sprintf("%d attackers hold no more than %d KiB", a.clients, a.bound>>10), within)
	t.Logf("%d attackers hold %d KiB, at most %d are theirs", a.clients, held>>10, a.bound>>10)
	if a.relief != nil {
		a.relief(s, attackers)
	}
	s.reads.Store(false)
	for _, c := range attackers {
		switch a.ends {
		case closed:
			c.closed()
			c.nc.Close()
		case leave:
			c.nc.Close()
		case dropped, era:
		}
	}
	eventually(t, "the attackers are gone", func() bool {
		if a.ends == era {
			s.m.eras <- time.Now()
			s.answered()
		}
		return s.m.srv.Stats().Connections == 1
	})
	s.answered()
	stop()
	eventually(t, "nothing of what they asked for is left", func() bool {
		st := s.m.srv.Stats()
		return st.Watches == 0 && st.Outstanding == 0 && s.m.srv.Heavy() == 0 && s.m.srv.OpenCensuses() == 0
	})
	const few = 10 // of the test and of Pebble
	eventually(t, "their goroutines have ended", func() bool { return runtime.NumGoroutine() <= routines+few })
	const little = 8 << 20
	eventually(t, "their memory is free", func() bool { return liveHeap() <= heap+little })
}

// behave lets the good client ask for things until it is stopped.
func (s *siege) behave(c *client) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
			}
			if !s.reads.Load() {
				c.must(proto.OpSetData, proto.SetDataRequest{Path: "/good", Data: []byte("x"), Version: -1})
			}
			c.must(proto.OpGetData, proto.ReadRequest{Path: "/good"})
			s.rounds.Add(1)
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
	})
}

// answered waits until the good client was answered some more times.
func (s *siege) answered() {
	s.t.Helper()
	want := s.rounds.Load() + 3
	eventually(s.t, "a client that behaves is answered", func() bool { return s.rounds.Load() >= want })
}

// liveHeap returns the bytes that are in use.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what had a finalizer or was in a pool
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	return int64(st.HeapAlloc)
}

// flood writes b again and again until the server takes no more of it or has closed the
// connection. What the sockets hold is a few megabytes.
func (s *siege) flood(c *client, b []byte) {
	const tooMuch = 96 << 20
	s.narrow(c)
	for taken := 0; taken < tooMuch; {
		// Giving up too early on a busy machine makes the attack smaller, nothing else.
		if err := c.nc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return
		}
		n, err := c.nc.Write(b[taken%len(b):])
		if taken += n; err != nil && (n == 0 || !isTimeout(err)) {
			return
		}
	}
	s.t.Errorf("the server takes %d bytes of a client that does not read", tooMuch)
}

// narrow makes the client's socket hold as little as possible.
func (s *siege) narrow(c *client) {
	tcp := c.nc.(*net.TCPConn)
	for _, err := range []error{tcp.SetReadBuffer(4 << 10), tcp.SetWriteBuffer(4 << 10)} {
		if err != nil {
			s.t.Error(err)
		}
	}
}

// times returns n copies of a request in a row.
func times(n int, op proto.Op, body proto.Appender) []byte {
	one := proto.AppendRequest(nil, proto.RequestHeader{Xid: 1, Op: op}, body)
	return []byte(strings.Repeat(string(one), n))
}

// longPath is a path that fills most of a frame.
func longPath(i int) string { return fmt.Sprintf("/%05d%s", i, strings.Repeat("p", 50<<10)) }

func assaults() []assault {
	return append(append(floods(), hoards()...), intruders()...)
}

// intruders do not get far.
func intruders() []assault {
	connect, mark := proto.BeginFrame(nil)
	connect = proto.EndFrame(proto.ConnectRequest{TimeOut: 1000, Passwd: make([]byte, 16)}.Append(connect), mark)
	return []assault{
		{
			name: "garbage", clients: 100, bound: 4 << 20, ends: closed,
			strike: func(_ *siege, i int, c *client) {
				garbage := []string{
					"GET / HTTP/1.1\r\nHost: zookeeper\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
					"\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\x00\x00\x40\x01", "\x00\x00\x00\x00", "\x00\x00\x00\x03abc",
				}
				c.write([]byte(garbage[i%len(garbage)]))
			},
		},
		{
			name: "garbage in a session", clients: 100, bound: 4 << 20, ends: closed,
			strike: func(_ *siege, i int, c *client) {
				garbage := []string{"\xff\xff\xff\xff", "\x80\x00\x00\x00", "\x00\x01\x00\x01", "\x00\x00\x00\x07sevenby"}
				c.open(proto.ConnectRequest{TimeOut: 1000})
				c.write([]byte(garbage[i%len(garbage)]))
			},
		},
		{
			name: "nothing, or the beginning of a handshake", clients: 200, bound: 200 * 8 << 10, ends: era,
			strike: func(_ *siege, i int, c *client) { c.write(connect[:i%len(connect)]) },
		},
		{
			name: "a long first frame, announced", clients: 200, bound: 200 * 8 << 10, ends: era,
			strike: func(_ *siege, _ int, c *client) { c.write(append([]byte{0, 0, 0x3f, 0xff}, connect...)) },
		},
		{
			name: "a long request, announced", clients: 200, bound: 200 * 8 << 10, ends: era,
			strike: func(_ *siege, _ int, c *client) {
				c.open(proto.ConnectRequest{TimeOut: 200})
				c.write([]byte{0, 0, 0xff, 0xff, 0, 0, 0, 1})
			},
		},
		{
			name: "half a TLS handshake", clients: 100, bound: 100 * 128 << 10, ends: closed,
			adjust: func(c *server.Config) {
				c.Secure = &server.Secure{TLS: selfSigned(), Unified: true}
				c.SessionlessTimeout = time.Second // the handshake's deadline is a real one
			},
			strike: func(_ *siege, _ int, c *client) { c.write([]byte("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03")) },
		},
		{
			name: "long identities", clients: 50, bound: 50 * 256 << 10, ends: closed,
			strike: func(s *siege, _ int, c *client) {
				c.open(proto.ConnectRequest{TimeOut: 1000})
				name := strings.Repeat("n", 30<<10)
				for n, want := range []proto.Code{proto.CodeOK, proto.CodeOK, proto.CodeAuthFailed} {
					r := c.call(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: fmt.Appendf(nil, "%s%d:x", name, n)})
					if r.Err != want {
						s.t.Errorf("identity %d is answered with %v, want %v", n, r.Err, want)
					}
				}
			},
		},
		{
			name: "vanishing at every stage", clients: 120, bound: 4 << 20,
			strike: func(s *siege, i int, c *client) { vanish(s, i%6, c, connect) },
		},
	}
}

// vanish resets a connection at one of six stages.
func vanish(s *siege, stage int, c *client, connect []byte) {
	switch stage {
	case 0:
	case 1:
		c.write(connect[:7])
	case 2:
		c.write(connect) // the session may be under way
	default:
		c.open(proto.ConnectRequest{TimeOut: 1000})
		c.must(proto.OpAddWatch, proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchPersistentRecursive})
	}
	switch stage {
	case 4:
		c.write([]byte{0, 0, 0x10, 0})
	case 5:
		c.write(times(500, proto.OpSetData, proto.SetDataRequest{Path: "/good", Version: -1}))
	}
	if err := c.nc.(*net.TCPConn).SetLinger(0); err != nil {
		s.t.Error(err)
	}
	c.nc.Close()
}

// floods come from clients that do not read.
func floods() []assault {
	const clients = 12
	// What is written and what is next, each at most a soft limit and an answer, with room
	// to grow.
	const perClient = 2 << 20
	open := func(_ *siege, c *client) { c.open(proto.ConnectRequest{TimeOut: 1000}) }
	large := func(s *siege) {
		c := s.m.connect(s.t)
		c.create("/large", strings.Repeat("d", 60<<10), proto.ModePersistent)
		c.nc.Close()
		eventually(s.t, "the client is gone", func() bool { return s.m.srv.Stats().Connections == 1 })
	}
	return []assault{
		{
			name: "pings", clients: clients, bound: clients * perClient, ends: era,
			strike: func(s *siege, _ int, c *client) {
				open(s, c)
				s.flood(c, times(5000, proto.OpPing, nil))
			},
		},
		{
			name: "reads", clients: clients, bound: clients * perClient, ends: era, prepare: large,
			strike: func(s *siege, _ int, c *client) {
				open(s, c)
				s.flood(c, times(2000, proto.OpGetData, proto.ReadRequest{Path: "/large"}))
			},
		},
		{
			name: "many reads in one", clients: clients, bound: clients * (perClient + 4*siegeOutput), ends: era, prepare: large,
			strike: func(s *siege, _ int, c *client) {
				open(s, c)
				s.flood(c, times(4, proto.OpMultiRead, reads(2000, "/large")))
			},
		},
		{
			name: "tokens", clients: clients, bound: clients * perClient, ends: era,
			adjust: func(c *server.Config) {
				withSASL(c)
				c.Auth.AllowFailed = true
			},
			strike: func(s *siege, _ int, c *client) {
				open(s, c)
				s.flood(c, times(2000, proto.OpSASL, proto.GetSASLRequest{Token: []byte("token")}))
			},
		},
		{
			name: "events", clients: 8, bound: 8 * perClient, ends: dropped,
			strike: neverReads(8),
		},
	}
}

// neverReads lets clients watch a node with a long name and read nothing, and one of them change
// it until the server has had enough of all.
func neverReads(clients int) func(s *siege, i int, c *client) {
	var watching sync.WaitGroup
	watching.Add(clients)
	return func(s *siege, i int, c *client) {
		s.narrow(c)
		c.open(proto.ConnectRequest{TimeOut: 1000})
		c.must(proto.OpAddWatch, proto.AddWatchRequest{Path: longPath(0)})
		watching.Done()
		watching.Wait()
		if i > 0 {
			return
		}
		busy := s.m.connect(s.t)
		busy.create(longPath(0), "", proto.ModePersistent)
		for n := 0; s.m.srv.Stats().Watches > 0; n++ {
			if n == 2000 {
				s.t.Fatal("the server keeps all events of clients that do not read")
			}
			busy.must(proto.OpSetData, proto.SetDataRequest{Path: longPath(0), Version: -1})
		}
		busy.nc.Close()
	}
}

// hoards are things that a server has to keep for a client.
func hoards() []assault {
	const clients = 30
	// A connection is not read when half of MaxOutput waits; what is decoded may be a little
	// larger than it was taken for.
	const perClient = 3 * siegeOutput / 2
	stuck := func(name string, op proto.Op, body proto.Appender, n int) assault {
		var connected sync.WaitGroup
		connected.Add(clients)
		return assault{
			name: name, clients: clients, bound: clients * perClient, reads: true,
			strike: func(s *siege, _ int, c *client) {
				c.open(proto.ConnectRequest{TimeOut: 1000})
				connected.Done()
				connected.Wait()
				s.w.hold()
				c.write(times(1, proto.OpSetData, proto.SetDataRequest{Path: "/good", Version: -1}))
				s.flood(c, times(n, op, body))
			},
			relief: func(s *siege, _ []*client) { s.w.release(true) },
		}
	}
	write := proto.SetDataRequest{Path: "/good", Data: make([]byte, 50<<10), Version: -1}
	// Each alone could have half of MaxOutput wait: all together 48 MiB.
	together := stuck("writes of all behind writes", proto.OpSetData, write, 50)
	together.adjust = func(c *server.Config) { c.MaxOutput = 64 << 20 }
	together.bound = 48<<20 + clients*siegeOutput/2
	return []assault{
		together,
		stuck("long reads behind a write", proto.OpExists, proto.ReadRequest{Path: longPath(0)}, 50),
		stuck("writes behind a write", proto.OpSetData, write, 50),
		stuck("empty reads in one behind a write", proto.OpMultiRead, reads(4000, ""), 50),
		stuck("empty watches behind a write", proto.OpSetWatches, proto.SetWatches{Data: make([]string, 15000)}, 50),
		stuck("counts behind a write", proto.OpGetAllChildrenNumber, proto.PathRequest{Path: "/good"}, 2000),
		{
			name: "watches", clients: clients, bound: clients * perClient, ends: dropped,
			strike: func(_ *siege, i int, c *client) {
				c.open(proto.ConnectRequest{TimeOut: 1000})
				for n := range 15 {
					c.must(proto.OpAddWatch, proto.AddWatchRequest{Path: longPath(20*i + n), Mode: proto.AddWatchPersistentRecursive})
				}
			},
			relief: func(_ *siege, attackers []*client) {
				for _, c := range attackers {
					for i := range 10 {
						c.write(times(1, proto.OpAddWatch, proto.AddWatchRequest{Path: longPath(-i - 1), Mode: proto.AddWatchPersistentRecursive}))
					}
				}
			},
		},
	}
}

// reads is a multiRead of one path again and again.
func reads(n int, path string) proto.MultiRequest {
	r := proto.MultiRequest{Read: true}
	for range n {
		r.Ops = append(r.Ops, proto.MultiOp{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: path}})
	}
	return r
}

// selfSigned returns a server's side of TLS.
func selfSigned() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}
