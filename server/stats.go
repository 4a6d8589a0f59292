package server

import (
	"sync"
	"sync/atomic"
)

// stats are the counters that operators ask for. They are written once per burst or batch,
// not once per request.
type stats struct {
	received, sent atomic.Int64 // packets, events included
	outstanding    atomic.Int64 // requests in the connections' queues
	heavy          atomic.Int64 // bytes: their costs, of those that weigh
	rejected       atomic.Int64 // connections refused for a limit
	diverged       atomic.Int64 // times that the tree's digest has moved away from the announced one
	lingering      atomic.Int64 // connections that were answered for the last time

	handshakesFailed, handshakesRefused atomic.Int64 // of TLS

	latencyCount, latencySum atomic.Int64 // ms
	// latencyMin holds the minimum plus one, so that zero is "none yet".
	latencyMin, latencyMax atomic.Int64

	proposals proposalSizes
	traceMask atomic.Int64 // of the words gtmk and stmk; nothing else asks for it
}

// firstTraceMask is what ZooKeeper begins with.
const firstTraceMask = 306

// reset begins to count afresh what srst does in ZooKeeper.
func (s *stats) reset() {
	for _, n := range []*atomic.Int64{
		&s.received, &s.sent, &s.rejected, &s.handshakesFailed, &s.handshakesRefused,
		&s.latencyCount, &s.latencySum, &s.latencyMin, &s.latencyMax,
	} {
		n.Store(0)
	}
	s.proposals.reset()
}

// proposalSizes are bytes of the transactions that this server has proposed.
type proposalSizes struct {
	mu             sync.Mutex
	some           bool
	last, low, top int
}

// add notes a batch, of which ends says where its transactions end. There is at least one.
func (p *proposalSizes) add(ends []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := 0
	for _, end := range ends {
		p.last = end - start
		start = end
		if !p.some || p.last < p.low {
			p.low = p.last
		}
		p.top = max(p.top, p.last)
		p.some = true
	}
}

func (p *proposalSizes) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.some, p.last, p.low, p.top = false, 0, 0, 0
}

// get returns -1 for each before the first proposal.
func (p *proposalSizes) get() (last, low, top int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.some {
		return -1, -1, -1
	}
	return int64(p.last), int64(p.low), int64(p.top)
}

const (
	// light is the cost up to which a request does not weigh: the bound on their number does
	// for these.
	light = 16 << 10
	// maxHeavy is the sum of the costs of all connections above which only those without
	// unanswered requests are read. It is below what a follower's link to its leader may
	// queue, so that a few clients that write much at once do not break that.
	maxHeavy = 48 << 20
)

// weigh books the cost of a request that enters a queue, or, negative, of one that leaves it.
func (s *stats) weigh(cost int) {
	if cost > light || cost < -light {
		s.heavy.Add(int64(cost))
	}
}

// latencies collects answers before they are added to stats.
type latencies struct{ count, sum, low, high, last int64 }

// add notes n answers that took ns nanoseconds.
func (l *latencies) add(n, ns int64) {
	if n == 0 {
		return
	}
	ms := max(ns, 0) / 1e6
	if l.count == 0 || ms < l.low {
		l.low = ms
	}
	l.high, l.last = max(l.high, ms), ms
	l.count += n
	l.sum += n * ms
}

// book adds what was collected, and forgets it.
func (s *stats) book(l *latencies) {
	if l.count == 0 {
		return
	}
	s.latencyCount.Add(l.count)
	s.latencySum.Add(l.sum)
	for old := s.latencyMin.Load(); old == 0 || l.low+1 < old; old = s.latencyMin.Load() {
		if s.latencyMin.CompareAndSwap(old, l.low+1) {
			break
		}
	}
	for old := s.latencyMax.Load(); l.high > old; old = s.latencyMax.Load() {
		if s.latencyMax.CompareAndSwap(old, l.high) {
			break
		}
	}
	*l = latencies{}
}

// Stats is a reading of the counters. Latencies are in ms.
type Stats struct {
	Received, Sent, Outstanding, Rejected int64
	LatencyMin, LatencyMax                int64
	LatencyAvg                            float64
	Connections, Watches                  int
}

// Stats returns the counters; it is cheap and safe to call from anywhere.
func (s *Server) Stats() Stats {
	st := Stats{
		Received:    s.stats.received.Load(),
		Sent:        s.stats.sent.Load(),
		Outstanding: s.stats.outstanding.Load(),
		Rejected:    s.stats.rejected.Load(),
		LatencyMin:  max(s.stats.latencyMin.Load()-1, 0),
		LatencyMax:  s.stats.latencyMax.Load(),
		Watches:     s.watches.Counts().Watches,
	}
	if n := s.stats.latencyCount.Load(); n > 0 {
		st.LatencyAvg = float64(s.stats.latencySum.Load()) / float64(n)
	}
	s.mu.Lock()
	st.Connections = len(s.conns) - int(s.stats.lingering.Load())
	s.mu.Unlock()
	return st
}
