package transport

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// register remembers under which incarnation each server is connected, so that a second server
// with the same sid is refused while the first is there (hazard H-39).
type register struct {
	mu   sync.Mutex
	here map[quorum.SID]*presence
}

type presence struct {
	incarnation quorum.Incarnation
	connections int
}

// enter counts a connection; false if another incarnation is connected. An unknown
// incarnation agrees with every other.
func (r *register) enter(sid quorum.SID, incarnation quorum.Incarnation) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.here[sid]
	if p == nil {
		if r.here == nil {
			r.here = make(map[quorum.SID]*presence)
		}
		p = new(presence)
		r.here[sid] = p
	}
	if p.incarnation.IsZero() {
		p.incarnation = incarnation
	}
	if !incarnation.IsZero() && p.incarnation != incarnation {
		return false
	}
	p.connections++
	return true
}

// leave takes back one enter.
func (r *register) leave(sid quorum.SID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.here[sid]
	if p.connections--; p.connections == 0 {
		delete(r.here, sid)
	}
}
