package zktest

import (
	"context"
	"net"
	"sync"
)

// network lets servers dial each other, and lets packets between some of them vanish. Only
// the dialling end is wrapped: both directions of a connection pass through it.
type network struct {
	mu    sync.Mutex
	cut   map[[2]int]bool // pairs, smaller id first
	owner map[string]int  // listening address → server
}

func newNetwork() *network {
	return &network{cut: map[[2]int]bool{}, owner: map[string]int{}}
}

func pair(a, b int) [2]int { return [2]int{min(a, b), max(a, b)} }

func (n *network) isCut(a, b int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[pair(a, b)]
}

// Partition lets everything between two servers vanish, without a word to either, until Heal.
func (e *Ensemble) Partition(a, b *Server) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.net.cut[pair(a.ID, b.ID)] = true
}

// Isolate partitions a server from all others.
func (e *Ensemble) Isolate(s *Server) {
	for _, other := range e.servers {
		if other != s {
			e.Partition(s, other)
		}
	}
}

// Heal ends all partitions.
func (e *Ensemble) Heal() {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	clear(e.net.cut)
}

// dialer is how a server reaches others.
func (n *network) dialer(s *Server) func(context.Context, string) (net.Conn, error) {
	n.mu.Lock()
	n.owner[s.addrs.quorum], n.owner[s.addrs.election] = s.ID, s.ID
	n.mu.Unlock()
	var d net.Dialer
	return func(ctx context.Context, addr string) (net.Conn, error) {
		n.mu.Lock()
		to := n.owner[addr]
		n.mu.Unlock()
		if n.isCut(s.ID, to) {
			<-ctx.Done() // the handshake's packets vanish
			return nil, ctx.Err()
		}
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &wire{Conn: c, net: n, from: s.ID, to: to}, nil
	}
}

// wire is a connection through the network. What vanished once leaves a hole in the stream, as
// if it had been dropped for longer than TCP repeats it; the frames' sequence numbers notice.
type wire struct {
	net.Conn
	net      *network
	from, to int
}

// Read drops what arrives while the pair is cut.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || !w.net.isCut(w.from, w.to) {
			return n, err
		}
	}
}

// Write pretends to send while the pair is cut.
func (w *wire) Write(p []byte) (int, error) {
	if w.net.isCut(w.from, w.to) {
		return len(p), nil
	}
	return w.Conn.Write(p)
}
