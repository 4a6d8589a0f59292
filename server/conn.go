package server

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/watch"
)

// conn is one client connection. Its reader (run) decodes requests, answers those that wait
// for nothing and queues the others; the applier answers what was queued.
type conn struct {
	s        *Server
	nc       net.Conn
	id       uint64
	remote   string // ip:port
	peer     auth.Peer
	in       input
	entrance entrance

	// Of the reader alone.
	forwards []Forward // of this burst, not submitted yet
	slab     []byte    // payloads of this burst are cut from it
	slabSize int       // of the last slab
	burst    int64     // when it was read, see Server.now
	handled  int64     // requests of this burst
	answered int64     // of these, by the reader itself
	tickets  uint64
	exchange *auth.Exchange // nil before the first SASL token
	holds    holding        // what the request being handled has taken of the throttle
	indexing bool           // this burst has linearizable reads
	full     bool           // the queue or the output is so full that reading must wait

	// Set by the reader before the connection is registered or a question about it
	// submitted, then read by everybody.
	session     proto.SessionID
	timeout     int32 // ms, negotiated
	hasReadOnly bool
	accepted    int64 // ms since 1970
	// readOnly is set if the server served only reads when the connection asked for a session;
	// the connection does not outlive that.
	readOnly bool

	// joining is set once the connection has asked for a session. Guarded by Server.mu.
	joining bool
	// local is set while no transaction has created the session, or is about to. Written by the
	// reader, and by the applier while the reader waits for it.
	local atomic.Bool
	// active is the era of the accept, of the connect request, and then of the last input; written
	// by the reader.
	active atomic.Int64
	// touched is set by input and taken back when the session is reported as alive.
	touched atomic.Bool
	// writing since this era, 0 while no write is under way.
	writing atomic.Int64
	// finished is the era in which the last answer was sent, 0 before.
	finished atomic.Int64
	received atomic.Int64
	who      atomic.Pointer[identity]

	// opened is closed when the session is established or refused, dead when the
	// connection ends.
	opened, dead chan struct{}

	// Of the applier alone.
	claimed  int  // requests at the head of the queue whose transactions are staged
	proven   int  // syncs that were answered before the leader's answer came
	flagged  bool // in the applier's list of connections to flush
	affected bool // in the applier's list of connections whose reads may go on

	mu sync.Mutex // guards what follows
	// room is signalled when a waiting reader may look again.
	room    sync.Cond
	waiting bool
	queue   queue
	joined  uint64 // the last sync that linearizable reads wait for
	owed    int    // the costs in queue
	// queued is the length of queue, for the reader: only it adds.
	queued atomic.Int32
	out    []byte // not yet handed to a write
	spare  []byte // the other buffer, while none is being written
	sent   int64
	tally  tally
	// flushing is set while somebody writes; output of others goes with its next write.
	flushing bool
	// stalled is set when reads wait for output to drain.
	stalled bool
	// finishing is set when nothing more will be answered: close behind the output.
	finishing bool
	closed    bool
	watcher   watch.ID
	watching  bool // watcher is valid
	// heard is the number of the last broadcast that the connection was looked up for,
	// reached that of the last trigger of any kind that reached it.
	heard, reached uint64
}

func newConn(s *Server, nc net.Conn, id uint64, ip string, e entrance) *conn {
	c := &conn{
		s: s, nc: nc, id: id, entrance: e, peer: auth.Peer{IP: ip}, remote: nc.RemoteAddr().String(),
		opened: make(chan struct{}), dead: make(chan struct{}),
		accepted: s.cfg.Now().UnixMilli(), tally: fresh(),
	}
	c.room.L = &c.mu
	c.active.Store(s.era.Load())
	c.who.Store(s.identity(s.auth.Initial(&c.peer)))
	return c
}

// run is the connection's reader.
func (c *conn) run() {
	defer c.end()
	if !c.enter() {
		return
	}
	if c.handshake() {
		c.serve()
	}
	c.drain()
}

// serve handles requests until the input ends or the connection is not to be read any more.
func (c *conn) serve() {
	for {
		c.burst = c.s.now()
		more := c.frames()
		c.endBurst()
		if !more {
			return
		}
		if c.full {
			c.awaitRoom()
			continue // with the frames that are left
		}
		if c.in.fill(c.nc) != nil {
			return
		}
	}
}

// frames handles the complete frames in the input. It returns false when no further
// frame may be handled.
func (c *conn) frames() bool {
	c.active.Store(c.s.era.Load())
	c.touched.Store(true)
	for !c.full {
		frame, ok, err := c.in.frame(c.s.cfg.MaxFrame)
		if err != nil {
			c.s.log.Debug().Str("client", c.remote).Err(err).Msg("closing a connection with a bad frame")
			c.kill("bad frame")
			return false
		}
		if !ok {
			return c.roomFor(c.in.announced())
		}
		c.handled++
		if !c.admit(frame) {
			return false
		}
		if len(c.forwards) >= maxBurst {
			c.submit()
		}
	}
	return true
}

// admit handles a frame once the throttle, if there is one, has a place for it.
func (c *conn) admit(frame []byte) bool {
	t := c.s.throttle
	if t == nil {
		return c.handle(frame)
	}
	late, ok := c.letIn(t, frame)
	switch {
	case !ok:
	case late:
		ok = c.refuseLate(frame)
	default:
		ok = c.handle(frame)
	}
	c.letGo(t)
	return ok
}

// roomFor closes the connection if a request of n bytes, of which more is to come, will be
// refused.
func (c *conn) roomFor(n int) bool {
	if t := c.s.throttle; t == nil || t.fits(n) {
		return true
	}
	c.tooLarge(n)
	return false
}

// tooLarge closes the connection for a request of n bytes.
func (c *conn) tooLarge(n int) {
	c.s.quiet.Warn("refusing a large request: too many are in progress").Str("client", c.remote).Int("bytes", n).Send()
	c.kill("too many large requests")
}

// maxBurst bounds the writes that are collected before they are submitted.
const maxBurst = 256

// endBurst submits the writes of the burst and sends the answers.
func (c *conn) endBurst() {
	if c.handled == 0 {
		return
	}
	c.received.Add(c.handled) // ahead of all answers
	c.s.stats.received.Add(c.handled)
	c.submit()
	if c.answered > 0 {
		now := c.s.now()
		var l latencies
		l.add(c.answered, now-c.burst)
		c.s.stats.sent.Add(c.answered)
		c.mu.Lock()
		c.tally.book(&l, now)
		c.s.stats.book(&l)
		c.flushLocked()
	}
	c.handled, c.answered = 0, 0
	c.slab, c.slabSize = nil, 0
}

// submit hands the collected writes to the replicator. The requests are in the queue
// already: a commit may come back at once. A closed connection submits nothing, so that all
// it ever submitted is ahead of what a successor of it submits.
func (c *conn) submit() {
	if c.indexing {
		c.indexing = false
		c.s.index.ask()
	}
	if len(c.forwards) == 0 {
		return
	}
	c.mu.Lock()
	if !c.closed {
		c.s.cfg.Replicator.Submit(c.forwards)
	}
	c.mu.Unlock()
	clear(c.forwards)
	c.forwards = c.forwards[:0]
}

// enqueue puts a request into the queue. The caller holds c.mu.
func (c *conn) enqueue(r *request) {
	r.holds, c.holds = c.holds, holding{}
	c.queue.push(r)
	c.owed += r.cost
	c.s.stats.weigh(r.cost)
	c.queued.Store(int32(c.queue.len()))
	c.s.stats.outstanding.Add(1)
	c.full = c.hold()
}

// dequeue removes the head of the queue. The caller holds c.mu.
func (c *conn) dequeue() {
	c.owed -= c.queue.at(0).cost
	c.s.stats.weigh(-c.queue.at(0).cost)
	if t := c.s.throttle; t != nil {
		t.release(c.queue.at(0).holds)
	}
	c.queue.pop()
	c.queued.Store(int32(c.queue.len()))
	c.s.stats.outstanding.Add(-1)
	if c.waiting {
		c.room.Signal()
	}
}

// hold reports whether the connection must not be read for now: its own or everybody's
// unanswered requests are too many or too large, the answers to them promise to be too long, or
// it does not take its answers. The caller holds c.mu.
func (c *conn) hold() bool {
	n := c.queue.len()
	return n >= c.s.cfg.MaxOutstanding || len(c.out) > softOutput || c.owed > c.s.cfg.MaxOutput/2 ||
		n > 0 && (c.s.stats.outstanding.Load() > int64(c.s.cfg.GlobalOutstanding) ||
			c.s.stats.heavy.Load() > maxHeavy)
}

// awaitRoom blocks the reader until the connection may be read again.
func (c *conn) awaitRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.hold() && !c.closed {
		c.waiting = true
		c.room.Wait()
	}
	c.waiting, c.full = false, false
}

// end removes the connection, and everything that belongs to it, from the server.
func (c *conn) end() {
	c.kill("client left")
	c.s.forget(c)
	c.mu.Lock()
	watching := c.watching
	c.watching = false
	c.mu.Unlock()
	if watching { // without c.mu: this may take a while
		c.s.watches.Leave(c.watcher)
	}
	c.unfollow()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.stats.outstanding.Add(-int64(c.queue.len()))
	for i := range c.queue.len() {
		r := c.queue.at(i)
		c.s.stats.weigh(-r.cost)
		if t := c.s.throttle; t != nil {
			t.release(r.holds)
		}
	}
	c.queue = queue{}
	c.queued.Store(0)
	c.in, c.out, c.spare = input{}, nil, nil
}

// kill closes the connection at once. The session lives on.
func (c *conn) kill(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killLocked(reason)
}

func (c *conn) killLocked(reason string) {
	if c.closed {
		return
	}
	c.closed = true
	c.s.log.Debug().Str("client", c.remote).Stringer("session", c.session).Str("reason", reason).
		Msg("closing a connection")
	c.nc.Close()
	close(c.dead)
	c.room.Signal()
}

// drain reads and drops what the client still sends after its last answer: closing
// a socket with unread input would reset it, and the answer could get lost. Housekeeping ends
// it if the client does not.
func (c *conn) drain() {
	c.in = input{}
	c.flush()
	c.mu.Lock()
	// A refused or finished connection may still wait for the answer that ends it.
	graceful := !c.closed && (c.finishing || c.queue.len() > 0)
	c.mu.Unlock()
	if !graceful {
		return
	}
	c.sink()
}

// sink reads until the client has closed its direction.
func (c *conn) sink() {
	b := make([]byte, 512)
	for {
		if _, err := c.nc.Read(b); err != nil {
			return
		}
	}
}
