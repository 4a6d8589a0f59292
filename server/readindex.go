package server

import (
	"sync"
	"sync/atomic"

	"github.com/zabkeeper/zabkeeper/proto"
)

// readIndex makes reads linearizable. A read waits for a sync that begins after it arrived: then
// the tree shows everything that was committed anywhere before, for a quorum has confirmed to the
// leader that it led. One sync is under way at a time and serves the reads of all connections that
// came before it began, so that its cost does not grow with the reads.
//
// No clock is asked, as a lease would. A server without a quorum behind it answers nothing, and
// its clients are closed with the role.
type readIndex struct {
	s *Server
	// begun is the number of the last sync; written under mu.
	begun atomic.Uint64

	mu      sync.Mutex // taken behind a connection's
	pending bool       // the sync number begun is not answered
	asked   []*conn    // have reads that wait for it
	next    []*conn    // have reads that wait for the one after it
}

// indexConn is what stands for a connection in the ticket of such a sync; connections count from 1.
const indexConn = 0

// linear reports whether the answer to a request depends on how much is applied.
func linear(op proto.Op) bool {
	switch op {
	case proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2, proto.OpGetACL,
		proto.OpGetAllChildrenNumber, proto.OpMultiRead, proto.OpGetEphemerals:
		return true
	default:
		return false
	}
}

// queueLinear queues a read that waits for the next sync. The reader calls it.
func (c *conn) queueLinear(r *request) {
	c.mu.Lock()
	r.wait, r.ticket = forIndex, c.s.index.join(c)
	c.enqueue(r)
	c.mu.Unlock()
	c.indexing = true
}

// join returns the number of the next sync, with which the reads of c will be answered. The caller
// holds c.mu until the read is queued.
func (x *readIndex) join(c *conn) uint64 {
	if next := x.begun.Load() + 1; next == c.joined {
		return next
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	c.joined = x.begun.Load() + 1
	x.next = append(x.next, c)
	return c.joined
}

// ask begins the next sync, unless one is under way or nobody waits for it.
func (x *readIndex) ask() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begin()
}

// begin is ask for a caller that holds x.mu.
func (x *readIndex) begin() {
	if x.pending || len(x.next) == 0 {
		return
	}
	x.pending = true
	x.asked, x.next = x.next, nil
	number := x.begun.Add(1)
	x.s.cfg.Replicator.Submit([]Forward{{Kind: KindSync, Payload: ticket{conn: indexConn, number: number}.encode()}})
}

// answered ends the sync under way, begins the next one, and returns the connections that waited
// for it. What an earlier reign was asked is nobody's answer any more.
func (x *readIndex) answered(number uint64) []*conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.pending || number != x.begun.Load() {
		return nil
	}
	x.pending = false
	done := x.asked
	x.asked = nil
	x.begin()
	return done
}

// reset forgets everything: nobody is served, and what was submitted may have been dropped.
func (x *readIndex) reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pending, x.asked, x.next = false, nil, nil
	x.begun.Add(1)
}

// indexed answers the reads that waited for a sync.
func (a *applier) indexed(number uint64) {
	conns := a.s.index.answered(number)
	if len(conns) == 0 {
		return
	}
	a.s.tree.mu.RLock()
	defer a.s.tree.mu.RUnlock()
	for _, c := range conns {
		c.mu.Lock()
		for i := range c.queue.len() {
			r := c.queue.at(i)
			if r.wait == forIndex && r.ticket > number {
				break
			}
			if r.wait == forIndex {
				r.wait = ready
			}
		}
		c.runReady(softOutput)
		a.flag(c)
		c.mu.Unlock()
	}
}

// proveReads lets the reads ahead of the first request of another kind be answered: the leader
// has handled that one after they arrived, and a quorum has confirmed it since. The caller holds
// c.mu.
func (c *conn) proveReads() {
	for i := range c.queue.len() {
		r := c.queue.at(i)
		if r.wait != ready && r.wait != forIndex {
			return
		}
		r.wait = ready
	}
}

// awaitIndex blocks the reader until everything before is answered and everything that was
// committed by now is applied. It returns false if the connection ends first.
func (c *conn) awaitIndex() bool {
	holds := c.holds // the request's, not this one's
	c.holds = holding{}
	c.queueLinear(&request{op: proto.OpPing, silent: true, since: c.burst, who: c.who.Load()})
	c.holds = holds
	c.submit()
	c.flush()
	return c.awaitAnswers()
}
