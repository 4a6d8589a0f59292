package transport

import (
	"sync"
	"time"

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

// quietKey names a log line that may repeat. Kinds are few and sids at most 256, which bounds
// the table.
type quietKey struct {
	sid  quorum.SID
	kind string
}

// quiet suppresses repeated log lines.
type quiet struct {
	mu    sync.Mutex
	lines map[quietKey]*quietLine
}

type quietLine struct {
	last       time.Time
	suppressed int
}

// allow reports whether the line may be written now, and how often it was suppressed since
// it last was.
func (q *quiet) allow(key quietKey) (suppressed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lines == nil {
		q.lines = make(map[quietKey]*quietLine)
	}
	l := q.lines[key]
	now := time.Now()
	switch {
	case l == nil:
		q.lines[key] = &quietLine{last: now}
		return 0, true
	case now.Sub(l.last) < quietPeriod:
		l.suppressed++
		return 0, false
	}
	suppressed = l.suppressed
	*l = quietLine{last: now}
	return suppressed, true
}
