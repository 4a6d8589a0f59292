package transport_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

// ground is where the servers of a test live: on sockets, or in memory.
type ground struct {
	t     *testing.T
	all   *quorum.Ensemble // everybody that may ever be a member
	begin func(sid quorum.SID, tweaks ...func(*transport.Config)) *server
}

// grounds runs a test over sockets and over the twin in memory.
func grounds(t *testing.T, test func(g *ground), sids ...quorum.SID) {
	t.Helper()
	t.Run("tcp", func(t *testing.T) {
		c := newCluster(t, sids...)
		test(&ground{t: t, all: c.ensemble, begin: c.start})
	})
	t.Run("memory", func(t *testing.T) {
		m := newMemory(t, sids...)
		test(&ground{t: t, all: m.ensemble, begin: m.start})
	})
}

// of returns a configuration with some of the servers.
func (g *ground) of(sids ...quorum.SID) *quorum.Ensemble { return g.with(quorum.Set{}, sids...) }

// with is of, some of the servers being observers.
func (g *ground) with(observers quorum.Set, sids ...quorum.SID) *quorum.Ensemble {
	g.t.Helper()
	var members []quorum.Member
	for _, sid := range sids {
		m, ok := g.all.Member(sid)
		if !ok {
			g.t.Fatalf("no server %v", sid)
		}
		if observers.Has(sid) {
			m.Role = quorum.Observer
		}
		members = append(members, m)
	}
	return ensembleOf(g.t, members...)
}

// start runs a server that knows a membership and has its own entry beside it.
func (g *ground) start(sid quorum.SID, m quorum.Membership, tweaks ...func(*transport.Config)) *server {
	g.t.Helper()
	own, _ := g.all.Member(sid)
	return g.begin(sid, append([]func(*transport.Config){func(cfg *transport.Config) {
		cfg.Membership, cfg.Own = m, own
	}}, tweaks...)...)
}

func welcoming(cfg *transport.Config) { cfg.Strangers = true }

// exchange sees that notifications flow both ways.
func exchange(t *testing.T, round uint64, a, b quorum.SID, servers map[quorum.SID]*server) {
	t.Helper()
	servers[a].awaitReach(t, b, true)
	servers[b].awaitReach(t, a, true)
	servers[a].Notify(note(b, round))
	servers[b].Notify(note(a, round))
	servers[a].awaitNote(t, b, round)
	servers[b].awaitNote(t, a, round)
}

// steady checks that a server never lost sight of another.
func (r *recorder) steady(t *testing.T, sid quorum.SID) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flaps[sid] != 0 || !r.reach[sid] {
		t.Errorf("the connection with server %v was lost %d times", sid, r.flaps[sid])
	}
}

// A server is talked to while it is a member, whatever its id, and those that stay do not notice.
func TestMemberComesAndGoes(t *testing.T) {
	for _, third := range []quorum.SID{1, 3, 5} {
		t.Run(third.String(), func(t *testing.T) {
			grounds(t, func(g *ground) {
				two, three := quorum.Stable(g.of(2, 4)), quorum.Stable(g.of(2, 4, third))
				servers := map[quorum.SID]*server{
					2: g.start(2, two), 4: g.start(4, two), third: g.start(third, three),
				}
				exchange(g.t, 1, 2, 4, servers)
				for round := range uint64(3) {
					for _, sid := range []quorum.SID{2, 4} {
						servers[sid].SetMembers(three)
						servers[sid].SetMembers(three)
						exchange(g.t, 10+round, sid, third, servers)
					}
					for _, sid := range []quorum.SID{2, 4} {
						servers[sid].Notify(note(third, 99)) // not for it when it comes again
						servers[third].awaitNote(g.t, sid, 99)
						servers[sid].SetMembers(two)
						servers[sid].Notify(note(third, 100+round))
						servers[sid].awaitReach(g.t, third, false)
						servers[third].awaitReach(g.t, sid, false)
					}
				}
				servers[2].steady(g.t, 4)
				servers[4].steady(g.t, 2)
				servers[third].stop()
				for _, n := range servers[third].notes {
					if n.Round >= 100 {
						t.Errorf("heard of round %d, which was said when it was no member", n.Round)
					}
				}
			}, 1, 2, 3, 4, 5)
		})
	}
}

// While a configuration is not committed the servers of both belong to the ensemble.
func TestBothConfigurations(t *testing.T) {
	grounds(t, func(g *ground) {
		older, newer := g.of(1, 2), g.of(2, 3)
		both := quorum.Membership{Committed: older, Seen: newer.WithVersion(7)}
		servers := map[quorum.SID]*server{
			1: g.start(1, quorum.Stable(older)), 2: g.start(2, quorum.Stable(older)), 3: g.start(3, both),
		}
		exchange(g.t, 1, 1, 2, servers)
		servers[2].SetMembers(both)
		exchange(g.t, 2, 2, 3, servers)
		servers[1].SetMembers(both)
		exchange(g.t, 3, 1, 3, servers)
		servers[2].steady(g.t, 1)
		servers[2].SetMembers(both.Settled())
		servers[2].awaitReach(g.t, 1, false)
		servers[2].steady(g.t, 3)
	}, 1, 2, 3)
}

// Two servers of which neither votes have nothing to elect between them, until one does.
func TestObserversTalkToVoters(t *testing.T) {
	grounds(t, func(g *ground) {
		before := quorum.Stable(g.with(quorum.SetOf(2, 3), 1, 2, 3))
		after := quorum.Stable(g.with(quorum.SetOf(3), 1, 2, 3))
		servers := map[quorum.SID]*server{1: g.start(1, before), 2: g.start(2, before), 3: g.start(3, before)}
		exchange(g.t, 1, 1, 2, servers)
		exchange(g.t, 1, 1, 3, servers)
		servers[2].Notify(note(3, 5))
		servers[3].Notify(note(2, 5))
		for _, s := range servers {
			s.SetMembers(after)
		}
		exchange(g.t, 6, 2, 3, servers)
		for _, s := range servers {
			s.SetMembers(before)
		}
		servers[2].awaitReach(g.t, 3, false)
		servers[3].awaitReach(g.t, 2, false)
		servers[1].steady(g.t, 2)
		servers[1].steady(g.t, 3)
		servers[3].stop()
		for _, n := range servers[3].notes {
			if n.From == 2 && n.Round == 5 {
				t.Error("an observer was told something by an observer")
			}
		}
	}, 1, 2, 3)
}

// A server that no member knows of finds them, whichever id it has, with or without an entry of
// itself, and becomes a member without a gap.
func TestStrangerBecomesMember(t *testing.T) {
	for _, joiner := range []quorum.SID{0, 3, 5} {
		for _, listed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/listed=%v", joiner, listed), func(t *testing.T) {
				grounds(t, func(g *ground) {
					few, many := quorum.Stable(g.of(2, 4)), quorum.Stable(g.of(2, 4, joiner))
					its := few
					if listed {
						its = many
					}
					servers := map[quorum.SID]*server{2: g.start(2, few, welcoming), 4: g.start(4, few, welcoming)}
					for life := range uint64(2) {
						servers[joiner] = g.start(joiner, its, welcoming)
						exchange(g.t, 10+life, joiner, 2, servers)
						exchange(g.t, 20+life, joiner, 4, servers)
						if life == 1 {
							break
						}
						servers[joiner].stop()
						servers[2].awaitReach(g.t, joiner, false)
						servers[4].awaitReach(g.t, joiner, false)
						servers[4].Notify(note(joiner, 99)) // dropped
					}
					for i, sid := range []quorum.SID{2, joiner, 4} {
						servers[sid].SetMembers(many)
						exchange(g.t, 30+uint64(i), joiner, 2, servers)
						exchange(g.t, 40+uint64(i), joiner, 4, servers)
					}
					for _, sid := range []quorum.SID{2, 4} {
						servers[joiner].steady(g.t, sid)
						servers[sid].mu.Lock()
						if n := servers[sid].flaps[joiner]; n != 1 {
							t.Errorf("server %v lost the joiner %d times, want once, when it stopped", sid, n)
						}
						servers[sid].mu.Unlock()
					}
					servers[joiner].mu.Lock()
					for _, n := range servers[joiner].notes {
						if n.Round == 99 {
							t.Error("a stranger that came again heard what was meant for the one that left")
						}
					}
					servers[joiner].mu.Unlock()
				}, 0, 2, 3, 4, 5)
			})
		}
	}
}

// A member that was removed may still ask who leads, and may dial the leader, only where strangers
// are admitted.
func TestRemovedServer(t *testing.T) {
	for _, removed := range []quorum.SID{1, 3} {
		for _, admitted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/admitted=%v", removed, admitted), func(t *testing.T) {
				grounds(t, func(g *ground) {
					all, rest := quorum.Stable(g.of(1, 2, 3)), quorum.Stable(g.of(2, 4-removed))
					policy := func(cfg *transport.Config) { cfg.Strangers = admitted }
					servers := map[quorum.SID]*server{2: g.start(2, all, policy), removed: g.start(removed, all, policy)}
					exchange(g.t, 1, 2, removed, servers)
					link := servers[removed].Connect(2)
					servers[removed].awaitLink(g.t, 1)
					atLeader := servers[2].awaitLink(g.t, 1)
					servers[2].SetMembers(rest)
					if admitted {
						servers[removed].Notify(note(2, 2)) // as one that looks for a leader
						servers[2].awaitNote(g.t, removed, 2)
						servers[2].Notify(note(removed, 2))
						servers[removed].awaitNote(g.t, 2, 2)
					} else {
						servers[2].awaitReach(g.t, removed, false)
						servers[removed].awaitReach(g.t, 2, false)
					}
					// Its link is for its leader to end.
					servers[2].mu.Lock()
					if err := servers[2].down[atLeader]; err != nil {
						t.Errorf("the transport ended the link: %v", err)
					}
					servers[2].mu.Unlock()
					servers[2].Hangup(atLeader)
					servers[removed].awaitDown(g.t, link)
					again := servers[removed].Connect(2)
					if admitted {
						if got := servers[removed].awaitLink(g.t, 2); got != again {
							t.Errorf("link %d is up, asked for %d", got, again)
						}
						return
					}
					servers[2].SetMembers(all) // only now
					servers[removed].awaitLink(g.t, 2)
					exchange(g.t, 3, 2, removed, servers)
				}, 1, 2, 3)
			})
		}
	}
}

// census counts the connections that servers have dialled and not closed.
type census struct{ open, dialled atomic.Int32 }

type counted struct {
	net.Conn
	close func() error
}

func (c counted) Close() error { return c.close() }

func (c *census) attach(cfg *transport.Config) {
	cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		c.open.Add(1)
		c.dialled.Add(1)
		return counted{conn, sync.OnceValue(func() error {
			c.open.Add(-1)
			return conn.Close()
		})}, nil
	}
}

// await waits until n connections are open, of at least so many dialled.
func (c *census) await(t *testing.T, n, dialled int32) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for c.dialled.Load() < dialled || c.open.Load() != n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d connections of %d are open, want %d of %d", c.open.Load(), c.dialled.Load(), n, dialled)
		}
	}
}

// However a stranger that calls and the change that makes it a member meet, there is one connection
// in the end, and nobody sees a gap.
func TestStrangerMeetsMembership(t *testing.T) {
	for _, joiner := range []quorum.SID{1, 3} {
		t.Run(joiner.String(), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(5, uint64(joiner)))
			for range 100 {
				c := newCluster(t, 2, joiner)
				g := &ground{t: t, all: c.ensemble, begin: c.start}
				alone, both := quorum.Stable(g.of(2)), quorum.Stable(g.of(2, joiner))
				var open census
				s2 := g.start(2, alone, welcoming, open.attach)
				change := time.AfterFunc(time.Duration(rnd.IntN(1200))*time.Microsecond, func() { s2.SetMembers(both) })
				servers := map[quorum.SID]*server{2: s2, joiner: g.start(joiner, both, welcoming, open.attach)}
				exchange(t, 1, 2, joiner, servers)
				change.Stop()
				servers[2].SetMembers(both)
				exchange(t, 2, 2, joiner, servers)
				open.await(t, 1, 1)
				servers[2].steady(t, joiner)
				servers[joiner].steady(t, 2)
				servers[2].stop()
				servers[joiner].stop()
			}
		})
	}
}

// gate holds whoever comes to it until it is opened.
type gate struct{ reached, opened chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 100), make(chan struct{})} }

func (g gate) pass() {
	g.reached <- struct{}{}
	<-g.opened
}

// awaitCaller waits until somebody stands at the gate.
func (g gate) awaitCaller(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(patience):
		t.Fatal("nobody came to the gate")
	}
}

// slowAnswers is a listener at whose first connection the server waits at a gate, before it has answered
// or after.
type slowAnswers struct {
	net.Listener
	gate   gate
	after  bool
	taken  bool
	closed chan struct{} // when the first connection is
}

func (l *slowAnswers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || l.taken {
		return conn, err
	}
	l.taken = true
	return &slowAnswer{Conn: conn, l: l}, nil
}

type slowAnswer struct {
	net.Conn
	l           *slowAnswers
	wait, close sync.Once
}

func (a *slowAnswer) Write(b []byte) (n int, err error) {
	if a.l.after {
		n, err = a.Conn.Write(b)
		a.wait.Do(a.l.gate.pass)
		return n, err
	}
	a.wait.Do(a.l.gate.pass)
	return a.Conn.Write(b)
}

func (a *slowAnswer) Close() error {
	a.close.Do(func() { close(a.l.closed) })
	return a.Conn.Close()
}

// The same, in the orders that matter when the stranger has the lower id: the connection that it is told
// to keep comes after the one that the member dials, or before it, or is used by the one
// side and not yet by the other.
func TestKeptConnectionMeetsDialled(t *testing.T) {
	for _, order := range []string{"dialled first", "kept first", "kept at one end"} {
		t.Run(order, func(t *testing.T) {
			c := newCluster(t, 1, 2)
			g := &ground{t: t, all: c.ensemble, begin: c.start}
			both := quorum.Stable(g.of(1, 2))
			answer, dial := newGate(), newGate()
			slow := &slowAnswers{gate: answer, after: order == "kept at one end", closed: make(chan struct{})}
			var open census
			s2 := g.start(2, quorum.Stable(g.of(2)), welcoming, open.attach, func(cfg *transport.Config) {
				slow.Listener = cfg.ElectionListeners[0]
				cfg.ElectionListeners = []net.Listener{slow}
				inner := cfg.Dial
				cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
					dial.pass()
					return inner(ctx, address)
				}
			})
			servers := map[quorum.SID]*server{1: g.start(1, both, welcoming, open.attach), 2: s2}
			answer.awaitCaller(t) // as one to a stranger
			if slow.after {
				servers[1].awaitReach(t, 2, true)
			}
			s2.SetMembers(both)
			dial.awaitCaller(t)
			gates := []gate{dial, answer}
			if order == "kept first" {
				gates = []gate{answer, dial}
			}
			close(gates[0].opened)
			exchange(t, 1, 1, 2, servers)
			if slow.after {
				open.await(t, 1, 2)
			}
			close(gates[1].opened)
			select {
			case <-slow.closed:
			case <-time.After(patience):
				t.Fatal("the connection that was kept is still there")
			}
			open.await(t, 1, 2)
			exchange(t, 2, 1, 2, servers)
			servers[1].steady(t, 2)
			servers[2].steady(t, 1)
			if n := open.dialled.Load(); n != 2 {
				t.Errorf("%d connections were dialled, want 2", n)
			}
		})
	}
}

// After any number of changes there is what the last one asks for and nothing else: one connection
// for each pair, and no goroutine, which TestMain checks, when all have stopped.
func TestStormOfMemberships(t *testing.T) {
	sids := []quorum.SID{1, 2, 3, 4, 5}
	var open census
	count := open.attach
	grounds(t, func(g *ground) {
		all := quorum.Stable(g.of(sids...))
		servers := make(map[quorum.SID]*server)
		for _, sid := range sids {
			servers[sid] = g.start(sid, all, welcoming, count)
		}
		var storm sync.WaitGroup
		for _, sid := range sids {
			storm.Go(func() {
				rnd := rand.New(rand.NewPCG(6, uint64(sid)))
				some := func() *quorum.Ensemble {
					var listed []quorum.SID
					var observers quorum.Set
					for _, other := range sids {
						if rnd.IntN(3) > 0 {
							listed = append(listed, other)
						}
						if rnd.IntN(4) == 0 {
							observers.Add(other)
						}
					}
					return g.with(observers, listed...)
				}
				for round := range uint64(300) {
					m := quorum.Membership{Committed: some(), Seen: some().WithVersion(1)}
					if rnd.IntN(2) == 0 {
						m = m.Settled()
					}
					servers[sid].SetMembers(m)
					servers[sid].Notify(note(sids[rnd.IntN(len(sids))], round))
					if rnd.IntN(20) == 0 {
						pause := time.NewTimer(time.Duration(rnd.IntN(30)) * time.Millisecond)
						<-pause.C
					}
				}
				servers[sid].SetMembers(all)
			})
		}
		storm.Wait()
		for i, a := range sids {
			for _, b := range sids[:i] {
				exchange(g.t, 1000, a, b, servers)
			}
		}
		if _, sockets := servers[1].node.(*transport.Transport); sockets {
			open.await(g.t, int32(len(sids)*(len(sids)-1)/2), 1)
		}
	}, sids...)
}
