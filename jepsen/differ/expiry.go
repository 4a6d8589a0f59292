package differ

import (
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Sessions of scripts are long, so that none expires by itself while a server is slow. One that
// is to expire is renewed with a short timeout first, of which nothing is in the transcript.

// shortTimeout is the timeout of a session that is to expire, ms; expiryLimit is how long servers
// may take for it.
const (
	shortTimeout = 400
	expiryLimit  = 60 * time.Second
	pollEvery    = 10 * time.Millisecond
	// On a busy machine the reference was seen not to expire a session at all, probably when a
	// touch took longer than the timeout to be noted. Another touch, on both sides, ends that; an
	// expiry that ZabKeeper missed would be hidden by it, and is for the tests of server to find.
	touchAgain = 3 * time.Second
)

// expire makes c's session expire, and shows the end of its connection if it stays connected.
func (s *Side) expire(c *client, connected bool) {
	if !c.live || c.id == 0 {
		return
	}
	before := s.applied()
	expired := func() bool { return s.applied() > before }
	if !s.shorten(c) {
		s.add(c, "cannot be renewed")
		return
	}
	last := c.conn
	for range expiryLimit / touchAgain {
		if !connected {
			s.hangUp(c)
		}
		if s.poll(touchAgain, expired) {
			break
		}
		if s.shorten(c) {
			last = c.conn
		}
	}
	if !expired() {
		s.add(c, "does not expire")
		return
	}
	c.live = false
	if connected {
		// The connection may end before the nodes of its session are deleted, or behind that.
		n := len(s.lines)
		s.awaitClose(c, last)
		s.lines = slices.Delete(s.lines, n, len(s.lines)-1)
	}
}

// shorten gives c's session a short timeout, where it is. The ping leaves no older one behind that a learner
// might still have to tell its leader.
func (s *Side) shorten(c *client) (done bool) {
	s.unseen(func() {
		s.hangUp(c)
		s.renew(c, Step{Act: Renew, Timeout: shortTimeout, At: c.at})
		if c.conn != nil {
			done = true
			c.conn.send([]Request{{Op: proto.OpPing}}, c.zxids)
			if frame, err := c.conn.frame(answerLimit); err == nil {
				s.see(c, c.conn, frame)
			}
		}
	})
	return done
}

// poll waits for a condition.
func (s *Side) poll(limit time.Duration, holds func() bool) bool {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-t.C {
		if holds() {
			return true
		}
	}
	return false
}
