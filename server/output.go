package server

import (
	"maps"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

const (
	// softOutput is the amount of unsent output at which a connection is neither read nor
	// has its queued reads answered, until the client has taken some.
	softOutput = 256 << 10
	// keptBuffer is the largest buffer that is used again. Housekeeping takes it away from
	// a connection that is idle.
	keptBuffer = 64 << 10
)

// flush writes the output unless somebody else is at it, who then writes this too. It
// returns when the output is empty or another writer has taken over.
func (c *conn) flush() {
	c.mu.Lock()
	c.flushLocked()
}

// flushLocked is flush for a caller that holds c.mu; it does not when flushLocked returns.
func (c *conn) flushLocked() {
	for !c.closed && !c.flushing {
		if len(c.out) == 0 {
			if !c.stalled {
				break
			}
			c.mu.Unlock()
			c.resume()
			c.mu.Lock()
			continue
		}
		c.writeOnce()
	}
	if c.finishing && !c.closed && !c.flushing {
		c.finish()
	}
	c.mu.Unlock()
}

// writeOnce writes what is there, without the lock. The caller holds c.mu.
func (c *conn) writeOnce() {
	buf := c.out
	c.out, c.spare = c.spare[:0], nil
	c.flushing = true
	c.mu.Unlock()
	c.writing.Store(c.s.era.Load())
	_, err := c.nc.Write(buf)
	c.writing.Store(0)
	c.mu.Lock()
	c.flushing = false
	if cap(buf) <= keptBuffer {
		c.spare = buf[:0]
	}
	if err != nil {
		c.killLocked("write failed")
	}
	if c.waiting {
		c.room.Signal()
	}
}

// awaitWritten waits until what connections have for their clients now is written, or until late. It
// looks now and then: writers have nobody to tell in all the time that nobody waits.
func (s *Server) awaitWritten(late <-chan time.Time) {
	s.mu.Lock()
	waiting := slices.Collect(maps.Values(s.conns))
	s.mu.Unlock()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		waiting = slices.DeleteFunc(waiting, (*conn).written)
		if len(waiting) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-late:
			return
		}
	}
}

// written reports whether nothing waits to be written, or never will be.
func (c *conn) written() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || len(c.out) == 0 && !c.flushing
}

// slim gives up the buffers of an idle connection.
func (c *conn) slim() {
	c.mu.Lock()
	if len(c.out) == 0 && !c.flushing {
		c.out, c.spare = nil, nil
	}
	if c.queue.len() == 0 {
		c.queue = queue{}
	}
	c.mu.Unlock()
}

// finish tells the client that nothing more will come. The caller holds c.mu, which is
// released meanwhile: the farewell of TLS may block.
func (c *conn) finish() {
	if !c.linger() {
		return
	}
	nc := c.nc
	c.mu.Unlock()
	half, ok := nc.(closeWriter)
	ok = ok && half.CloseWrite() == nil
	c.mu.Lock()
	if !ok {
		c.killLocked("answered for the last time")
	}
}

// linger notes that the connection, though not closed yet, has had its last answer, and returns
// false if that was noted before. Until it is forgotten it counts no more.
func (c *conn) linger() bool {
	if !c.finished.CompareAndSwap(0, c.s.era.Load()) {
		return false
	}
	c.s.stats.lingering.Add(1)
	return true
}

// resume answers reads that waited for the output to drain.
func (c *conn) resume() {
	c.s.tree.mu.RLock()
	defer c.s.tree.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled = false
	c.runReady(softOutput)
}

// runReady answers the requests at the head of the queue that wait for nothing, as long as
// there are less than limit bytes of output. The caller holds the tree's lock and c.mu.
func (c *conn) runReady(limit int) {
	var l latencies
	var now int64
	for c.queue.len() > 0 && !c.finishing && !c.closed {
		r := c.queue.at(0)
		if r.wait != ready {
			break
		}
		if len(c.out) >= limit {
			c.stalled = true
			break
		}
		c.answer(r)
		if now = c.s.now(); !r.silent {
			l.add(1, now-r.since)
		}
		c.dequeue()
	}
	c.s.stats.sent.Add(l.count)
	c.tally.book(&l, now)
	c.s.stats.book(&l)
}

// event appends the frame of a watch event. A connection that lets events pile up is
// closed. The caller holds c.mu.
func (c *conn) event(frame []byte) {
	if c.closed || c.finishing {
		return
	}
	if len(c.out)+len(frame) > c.s.cfg.MaxOutput {
		c.s.quiet.Warn("closing a connection that does not read its watch events").
			Str("client", c.remote).Stringer("session", c.session).Int("bytes", len(c.out)).Send()
		c.killLocked("output limit")
		return
	}
	c.out = append(c.out, frame...)
	c.sent++
}

// bare appends a reply without a body. The caller holds c.mu.
func (c *conn) bare(h proto.ReplyHeader) {
	c.out = proto.AppendBareReply(c.out, h)
}

// lastAnswer makes the connection close behind its output. The caller holds c.mu.
func (c *conn) lastAnswer() { c.finishing = true }
