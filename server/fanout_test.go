package server_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// memListener accepts connections that are made inside the process.
type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memListener) Addr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "mem" }
func (memAddr) String() string  { return "mem" }

// audience counts what its spectators were told.
type audience struct {
	answered, events atomic.Int64
	seats            []*spectator
}

// spectator is the server's side of a connection whose client says a few things and
// listens. It costs no more than itself: nobody has to be woken to read what is written.
type spectator struct {
	net.Conn // nil: other methods are not called
	of       *audience
	says     chan []byte
	rest     []byte // of what is being said
	done     chan struct{}
	once     sync.Once
}

func (c *spectator) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case c.rest = <-c.says:
		case <-c.done:
			return 0, io.EOF
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write counts the frames of b: what a server writes at once is whole frames.
func (c *spectator) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; rest = rest[4+binary.BigEndian.Uint32(rest):] {
		if proto.Xid(binary.BigEndian.Uint32(rest[4:])) == proto.XidNotification {
			c.of.events.Add(1)
		} else {
			c.of.answered.Add(1)
		}
	}
	return len(b), nil
}

func (c *spectator) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

func (c *spectator) RemoteAddr() net.Addr { return memAddr{} }

// opening is a handshake and one request.
func opening(op proto.Op, body proto.Appender) []byte {
	out, mark := proto.BeginFrame(nil)
	out = proto.EndFrame(proto.ConnectRequest{TimeOut: 1000}.Append(out), mark)
	return proto.AppendRequest(out, proto.RequestHeader{Xid: 1, Op: op}, body)
}

// seat connects n spectators.
func seat(tb testing.TB, l *memListener, n int, says []byte) *audience {
	tb.Helper()
	a := new(audience)
	for i := range n {
		c := &spectator{of: a, says: make(chan []byte, 1), done: make(chan struct{})}
		a.seats = append(a.seats, c)
		c.says <- says
		l.conns <- c
		for i-int(a.answered.Load()/2) > 500 {
			runtime.Gosched()
		}
	}
	eventually(tb, "everybody is seated", func() bool { return a.answered.Load() == 2*int64(n) })
	return a
}

// ask lets every spectator send a request, and waits for the answers.
func (a *audience) ask(tb testing.TB, request []byte) {
	tb.Helper()
	want := a.answered.Load() + int64(len(a.seats))
	for _, c := range a.seats {
		c.says <- request
	}
	eventually(tb, "everybody is answered", func() bool { return a.answered.Load() == want })
}

// memClient connects a client inside the process.
func (m *member) memClient(tb testing.TB, l *memListener) *client {
	tb.Helper()
	mine, theirs := net.Pipe()
	tb.Cleanup(func() { mine.Close() })
	l.conns <- theirs
	c := &client{t: tb, nc: mine}
	c.open(proto.ConnectRequest{TimeOut: 1000})
	return c
}

// BenchmarkFanOut measures what one change with many one-shot watchers does to others: how long
// a session that reads, and one that writes, have to wait while the events go out, and how long
// it takes until the last event has gone. The zero case is the noise of the machine.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{0, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := newMemListener()
			w := newTwinOn(b, 1, nil, func() (net.Listener, error) { return l, nil })
			m := w.members[0]
			changer := m.memClient(b, l)
			reader, writer := newProbe(m.memClient(b, l)), newProbe(m.memClient(b, l))
			changer.create("/hot", "", proto.ModePersistent)
			changer.create("/other", "", proto.ModePersistent)
			exists := proto.ReadRequest{Path: "/hot", Watch: true}
			a := seat(b, l, n, opening(proto.OpExists, exists))
			var all time.Duration
			rounds := 0
			for b.Loop() {
				b.StopTimer()
				if rounds++; rounds > 1 {
					a.ask(b, proto.AppendRequest(nil, proto.RequestHeader{Xid: 2, Op: proto.OpExists}, exists))
				}
				runtime.GC()
				b.StartTimer()
				reader.start(proto.OpGetData, proto.ReadRequest{Path: "/other"})
				writer.start(proto.OpSetData, proto.SetDataRequest{Path: "/other", Version: -1})
				begin := time.Now()
				changer.must(proto.OpSetData, proto.SetDataRequest{Path: "/hot", Version: -1})
				eventually(b, "all are told", func() bool { return a.events.Load() == int64(rounds*n) })
				all += time.Since(begin)
				reader.end()
				writer.end()
			}
			b.ReportMetric(float64(all.Microseconds())/1000/float64(rounds), "all-ms")
			reader.report(b, "read")
			writer.report(b, "write")
		})
	}
}

// probe repeats a request and notes how long each took.
type probe struct {
	c    *client
	took []time.Duration
	stop chan struct{}
	wg   sync.WaitGroup
}

func newProbe(c *client) *probe { return &probe{c: c} }

func (p *probe) start(op proto.Op, body proto.Appender) {
	p.stop = make(chan struct{})
	p.wg.Go(func() {
		for {
			begin := time.Now()
			if r := p.c.call(op, body); r.Err != proto.CodeOK {
				p.c.t.Errorf("%v", r)
			}
			p.took = append(p.took, time.Since(begin))
			select {
			case <-p.stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	})
}

func (p *probe) end() {
	close(p.stop)
	p.wg.Wait()
}

func (p *probe) report(b *testing.B, what string) {
	b.Helper()
	slices.Sort(p.took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(p.took[len(p.took)*99/100]), what+"-p99-ms")
	b.ReportMetric(ms(p.took[len(p.took)-1]), what+"-max-ms")
}
