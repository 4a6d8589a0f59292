package server

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// throttle holds back requests while too many are in progress (spec semantics 15). A request
// is in progress from the moment it is let in until it is answered or its connection ends.
type throttle struct {
	cfg   conf.Throttle
	gate  gate
	large atomic.Int64 // bytes of the large requests in progress
}

// newThrottle returns nil if nothing is to be held back.
func newThrottle(cfg conf.Throttle) *throttle {
	if cfg.Requests == 0 && cfg.LargeRequest < 0 {
		return nil
	}
	return &throttle{cfg: cfg, gate: gate{limit: cfg.Requests}}
}

// holding is what a request has taken of a throttle.
type holding struct {
	large int32 // bytes
	place bool  // in the gate
}

// release gives back what a request has taken.
func (t *throttle) release(h holding) {
	if h.large > 0 {
		t.large.Add(-int64(h.large))
	}
	if h.place {
		t.gate.leave()
	}
}

// fits reports whether a request of n bytes may be in progress beside those that are.
func (t *throttle) fits(n int) bool {
	return t.cfg.LargeRequest < 0 || n <= t.cfg.LargeRequest ||
		t.large.Load()+int64(n) <= int64(t.cfg.LargeRequestBytes)
}

// reserve books a request of n bytes; false if it is too much.
func (t *throttle) reserve(n int) (large int32, ok bool) {
	if t.cfg.LargeRequest < 0 || n <= t.cfg.LargeRequest {
		return 0, true
	}
	if t.large.Add(int64(n)) > int64(t.cfg.LargeRequestBytes) {
		t.large.Add(-int64(n))
		return 0, false
	}
	return int32(n), true
}

// letIn waits until the throttle has a place for the frame's request, and notes in c.holds what
// it took. It returns false if the connection must not go on, which is closed then. late is
// set when the wait was so long that the request is only to be refused.
func (c *conn) letIn(t *throttle, frame []byte) (late, ok bool) {
	large, ok := t.reserve(len(frame))
	if !ok {
		c.tooLarge(len(frame))
		return false, false
	}
	c.holds = holding{large: large}
	h, whole := header(frame)
	op := h.Op
	if t.gate.limit == 0 || !whole || op == proto.OpAuth || op == proto.OpSASL {
		return false, true
	}
	if t.gate.enter() {
		c.holds.place = true
		return false, true
	}
	// What this burst has collected before is in progress itself, and must get on.
	c.handled--
	c.endBurst()
	c.handled++
	began := time.Now()
	var stale <-chan time.Time
	if t.cfg.StaleLatency && op != proto.OpCloseSession {
		timer := time.NewTimer(time.Duration(c.timeout) * time.Millisecond)
		defer timer.Stop()
		stale = timer.C
	}
	if !t.gate.wait(c.dead, stale) {
		c.kill("a request waited for longer than the session lives")
		return false, false
	}
	c.holds.place = true
	c.burst = c.s.now()
	late = t.cfg.OpWait > 0 && time.Since(began) > t.cfg.OpWait && op != proto.OpPing && op != proto.OpCloseSession
	// What is refused anyhow is refused as ever, and its connection closed.
	return late && op.Known() && !c.who.Load().stranger, true
}

// refuseLate answers a request that has waited for too long without doing it.
func (c *conn) refuseLate(frame []byte) bool {
	h, _ := header(frame)
	return c.refuse(&request{xid: h.Xid, op: h.Op, since: c.burst, who: c.who.Load()}, proto.CodeThrottledOp)
}

// header reads a request's header, false if the frame is too short for one.
func header(frame []byte) (h proto.RequestHeader, ok bool) {
	cur := jute.NewCursor(frame)
	h.Decode(&cur)
	return h, cur.Err() == nil
}

// letGo gives back what the request that was just handled holds, if it was answered at once.
func (c *conn) letGo(t *throttle) {
	t.release(c.holds)
	c.holds = holding{}
}

// gate lets a limited number of requests in, those that wait in the order of their coming. A
// place that comes free is handed on, so that nobody who comes later can take it.
type gate struct {
	limit int // 0: none

	mu      sync.Mutex
	inside  int
	waiting list.List // of chan struct{}, closed when its owner is in
}

// enter takes a place if one is free and nobody waits for it.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= g.limit || g.waiting.Len() > 0 {
		return false
	}
	g.inside++
	return true
}

// wait takes a place in its turn. It gives up, false, when dead is closed or stale fires.
func (g *gate) wait(dead <-chan struct{}, stale <-chan time.Time) bool {
	turn := make(chan struct{})
	g.mu.Lock()
	if g.inside < g.limit && g.waiting.Len() == 0 {
		g.inside++
		g.mu.Unlock()
		return true
	}
	mine := g.waiting.PushBack(turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-dead:
	case <-stale:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // handed over in the last moment
		g.next()
	default:
		g.waiting.Remove(mine)
	}
	return false
}

// leave gives a place back.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next()
}

// next hands a place on. The caller holds g.mu.
func (g *gate) next() {
	first := g.waiting.Front()
	if first == nil {
		g.inside--
		return
	}
	if turn, ok := g.waiting.Remove(first).(chan struct{}); ok {
		close(turn)
	}
}
