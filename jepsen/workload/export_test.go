package workload

import (
	"net"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// Tap is a tap for tests, with what it has seen.
type Tap struct {
	net.Conn
	state *tapState
}

// NewTap taps a connection.
func NewTap(c net.Conn, patience time.Duration) *Tap {
	s := &tapState{}
	return &Tap{Conn: newTap(c, "", s, patience), state: s}
}

// Seen returns the session, the zxid of the last reply to an operation, and whether the session's
// close was acknowledged.
func (t *Tap) Seen() (session, zxid int64, closed bool) {
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	return t.state.session, t.state.zxid, t.state.closed
}

// Outcome is the classification of errors.
func Outcome(err error) (check.Outcome, bool) { return outcome(err) }
