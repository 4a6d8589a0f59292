package transport_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

// moved is the ensemble of a cluster with server sid at other addresses.
func (c *cluster) moved(sid quorum.SID, quorumAddr, electionAddr string) *quorum.Ensemble {
	c.t.Helper()
	return ensembleOf(c.t, append(c.ensemble.Others(sid), member(c.t, sid, quorumAddr, electionAddr))...)
}

// freeAddress returns a loopback address at which nobody listens.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	ln := listen(tb, "127.0.0.1:0")
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// trace remembers which addresses were dialled with success.
type trace struct {
	mu      sync.Mutex
	reached []string
}

func (tr *trace) attach(cfg *transport.Config) {
	cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			tr.mu.Lock()
			tr.reached = append(tr.reached, address)
			tr.mu.Unlock()
		}
		return conn, err
	}
}

func (tr *trace) has(address string) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Contains(tr.reached, address)
}

// eventually waits for a condition that no event announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// listens reports whether somebody accepts connections at an address.
func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// ownPorts makes a server open its ports itself, in place of being given listeners.
func ownPorts(cfg *transport.Config) {
	_, _ = cfg.QuorumListeners[0].Close(), cfg.ElectionListeners[0].Close()
	cfg.QuorumListeners, cfg.ElectionListeners = nil, nil
}

// Hazard H-48: a member moves to other ports. It listens there before it leaves the old ones, the others dial it there,
// also to replace what they have, and nobody loses sight of anybody.
func TestMemberMoves(t *testing.T) {
	for _, given := range []bool{true, false} {
		for _, all := range []bool{true, false} {
			t.Run(fmt.Sprintf("given=%v/allIPs=%v", given, all), func(t *testing.T) {
				c := newCluster(t, 1, 2, 3)
				var calls trace
				servers := make(map[quorum.SID]*server)
				for _, sid := range []quorum.SID{1, 2, 3} {
					tweaks := []func(*transport.Config){func(cfg *transport.Config) { cfg.ListenOnAllIPs = all }}
					if !given {
						tweaks = append(tweaks, ownPorts)
					}
					if sid == 3 {
						tweaks = append(tweaks, calls.attach)
					}
					servers[sid] = c.start(sid, tweaks...)
				}
				for _, pair := range [][2]quorum.SID{{1, 2}, {1, 3}, {2, 3}} {
					exchange(t, 1, pair[0], pair[1], servers)
				}
				servers[3].Connect(2)
				servers[3].awaitLink(t, 1)

				to := [2]string{freeAddress(t), freeAddress(t)}
				after := c.moved(2, to[0], to[1]).WithVersion(1)
				both := quorum.Membership{Committed: c.ensemble, Seen: after}
				servers[2].SetMembers(both)
				eventually(t, "server 2 listens at both places", func() bool {
					return listens(to[0]) && listens(to[1]) && listens(c.addresses[2][0]) && listens(c.addresses[2][1])
				})
				servers[3].SetMembers(both)
				for _, sid := range []quorum.SID{3, 1, 2} {
					servers[sid].SetMembers(both.Settled())
				}
				eventually(t, "server 2 has left its old ports", func() bool {
					return !listens(c.addresses[2][0]) && !listens(c.addresses[2][1])
				})
				eventually(t, "server 3 has dialled the new election port", func() bool { return calls.has(to[1]) })
				servers[3].Connect(2)
				servers[3].awaitLink(t, 2)
				if !calls.has(to[0]) {
					t.Error("a link was made without the new quorum port")
				}
				for i, pair := range [][2]quorum.SID{{1, 2}, {1, 3}, {2, 3}} {
					exchange(t, 2+uint64(i), pair[0], pair[1], servers)
					servers[pair[0]].steady(t, pair[1])
					servers[pair[1]].steady(t, pair[0])
				}

				// And back, without having been told of it as a proposal; a restart finds it, too.
				for _, s := range servers {
					s.SetMembers(quorum.Stable(c.ensemble.WithVersion(2)))
				}
				eventually(t, "server 2 is back", func() bool {
					return listens(c.addresses[2][0]) && listens(c.addresses[2][1]) && !listens(to[0]) && !listens(to[1])
				})
				exchange(t, 9, 2, 3, servers)
				servers[2].steady(t, 3)
				servers[3].steady(t, 2)
			})
		}
	}
}

// A connection to a place that a member has left is lost for good: it is looked for at the new one.
func TestMovedMemberIsFound(t *testing.T) {
	c := newCluster(t, 1, 2)
	s2 := c.start(2)
	s1 := c.start(1)
	s2.awaitReach(t, 1, true)
	s1.stop()
	s2.awaitReach(t, 1, false)
	c.elsewhere(1)
	at := [2]string{c.listeners[1][0].Addr().String(), c.listeners[1][1].Addr().String()}
	after := quorum.Stable(c.moved(1, at[0], at[1]))
	waiting := s2.Connect(1)
	s2.SetMembers(after)
	s1 = c.start(1, func(cfg *transport.Config) { cfg.Membership = after })
	if got := s2.awaitLink(t, 1); got != waiting {
		t.Errorf("link %d is up, asked for %d", got, waiting)
	}
	exchange(t, 1, 1, 2, map[quorum.SID]*server{1: s1, 2: s2})
}

// While a new port is taken the old ones stay, a line of the log says so, and the server moves as
// soon as it can.
func TestNewPortIsTaken(t *testing.T) {
	c := newCluster(t, 1, 2)
	book := newLogbook()
	s1 := c.start(1, book.attach)
	s2 := c.start(2)
	s2.awaitReach(t, 1, true)
	occupied := listen(t, "127.0.0.1:0")
	after := c.moved(1, freeAddress(t), occupied.Addr().String())
	s1.SetMembers(quorum.Stable(after))
	book.await(t, "cannot bind a new port for servers")
	if !listens(c.addresses[1][0]) || !listens(c.addresses[1][1]) {
		t.Error("a port was given up before there was a new one")
	}
	if err := occupied.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has moved", func() bool { return listens(occupied.Addr().String()) && !listens(c.addresses[1][1]) })
	s2.SetMembers(quorum.Stable(after))
	exchange(t, 1, 1, 2, map[quorum.SID]*server{1: s1, 2: s2})
	s1.steady(t, 2)
	s2.steady(t, 1)
}

// Ports that change places are in each other's way: the old one goes first.
func TestPortsChangePlaces(t *testing.T) {
	c := newCluster(t, 1, 2)
	s1, s2 := c.start(1, ownPorts), c.start(2)
	s2.awaitReach(t, 1, true)
	after := quorum.Stable(c.moved(1, c.addresses[1][1], c.addresses[1][0]))
	s1.SetMembers(after)
	s2.SetMembers(after)
	s2.Connect(1)
	s1.awaitLink(t, 1) // the quorum port serves learners where the election port was
	exchange(t, 1, 1, 2, map[quorum.SID]*server{1: s1, 2: s2})
}

// A server that no configuration lists listens where its own entry says, before it joins and after
// it was removed, and keeps the listeners that it was given as long as nothing changes.
func TestOwnEntry(t *testing.T) {
	for _, given := range []bool{true, false} {
		t.Run(fmt.Sprintf("given=%v", given), func(t *testing.T) {
			c := newCluster(t, 1, 2)
			g := &ground{t: t, all: c.ensemble, begin: c.start}
			one, two := quorum.Stable(g.of(2)), quorum.Stable(g.of(1, 2))
			tweaks := []func(*transport.Config){welcoming}
			if !given {
				tweaks = append(tweaks, ownPorts)
			}
			s1, s2 := g.start(1, one, tweaks...), g.start(2, one, welcoming)
			for round, m := range []quorum.Membership{two, one, quorum.Stable(c.moved(1, freeAddress(t), freeAddress(t))), one} {
				s1.SetMembers(m)
				s2.SetMembers(m)
				stays := round != 2
				eventually(t, "the own ports follow", func() bool {
					return listens(c.addresses[1][0]) == stays && listens(c.addresses[1][1]) == stays
				})
				s1.Notify(note(2, uint64(round)))
				s2.awaitNote(t, 1, uint64(round))
				s2.Notify(note(1, uint64(round)))
				s1.awaitNote(t, 2, uint64(round))
			}
		})
	}
}
