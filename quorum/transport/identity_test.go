package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
)

func helloOf2(change func(*peerwire.Hello)) peerwire.Hello {
	h := peerwire.Hello{
		Version: peerwire.Version, SID: 2, To: 1, Channel: peerwire.Learner,
		Cluster: quorum.ClusterID{1}, Incarnation: quorum.Incarnation{2},
	}
	if change != nil {
		change(&h)
	}
	return h
}

// Every reason to refuse an introduction is told to the other side, and to the log.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*peerwire.Hello)
		want   peerwire.Refusal
	}{
		{"fine", nil, peerwire.Accepted},
		{"new server without a cluster", func(h *peerwire.Hello) { h.Cluster = quorum.ClusterID{} }, peerwire.Accepted},
		{"newer version", func(h *peerwire.Hello) { h.Version = 9 }, peerwire.Accepted},
		{"other configuration version", func(h *peerwire.Hello) { h.Config = 0x500000000 }, peerwire.Accepted},
		{"no version", func(h *peerwire.Hello) { h.Version = 0 }, peerwire.RefusedVersion},
		{"wrong port", func(h *peerwire.Hello) { h.Channel = peerwire.Election }, peerwire.RefusedChannel},
		{"other cluster", func(h *peerwire.Hello) { h.Cluster = quorum.ClusterID{2} }, peerwire.RefusedCluster},
		{"unknown sid", func(h *peerwire.Hello) { h.SID = 7 }, peerwire.RefusedUnknown},
		{"meant another", func(h *peerwire.Hello) { h.To = 3 }, peerwire.RefusedWrongServer},
		{"itself", func(h *peerwire.Hello) { h.SID, h.Incarnation = 1, quorum.Incarnation{1} }, peerwire.RefusedWrongServer},
		{"its double", func(h *peerwire.Hello) { h.SID = 1 }, peerwire.RefusedOwnSID},
	} {
		t.Run(c.name, func(t *testing.T) {
			book := newLogbook()
			cluster := newCluster(t, 1, 2, 3)
			address := cluster.addresses[1][0]
			s1 := cluster.start(1, book.attach)
			s := dialStranger(t, address)
			s.hello(helloOf2(c.change))
			h, err := s.answer()
			if err != nil || h.Refusal != c.want || h.SID != 1 || h.Channel != peerwire.Learner {
				t.Fatalf("answer %+v, %v; want refusal %v", h, err, c.want)
			}
			if c.want == peerwire.Accepted {
				s1.awaitLink(t, 1)
				return
			}
			s.awaitClose()
			if c.want == peerwire.RefusedOwnSID {
				book.await(t, "another server runs with this server's id")
			} else {
				book.await(t, c.want.String())
			}
			s1.stop()
			if len(s1.links) != 0 {
				t.Error("a refused server got a link")
			}
		})
	}
}

// Hazard H-41, between two real servers: both refuse, and neither fills its log.
func TestOtherCluster(t *testing.T) {
	c := newCluster(t, 1, 2)
	book1, book2 := newLogbook(), newLogbook()
	s1 := c.start(1, book1.attach)
	s2 := c.start(2, book2.attach, func(cfg *transport.Config) { cfg.Identity = identity(2, 2) })
	s2.Connect(1)
	book1.await(t, "belongs to another ensemble")
	book2.await(t, "belongs to another ensemble")
	s1.stop()
	s2.stop()
	for _, s := range []*server{s1, s2} {
		if len(s.reach) != 0 || len(s.links) != 0 {
			t.Errorf("connected in spite of it: %v %v", s.reach, s.links)
		}
	}
	if n := book2.count(`"message":"refused a connection`); n != 1 {
		t.Errorf("the same line %d times, want it once", n)
	}
}

// Hazard H-39: of two servers with one sid, the first to connect stays, and the second is told.
func TestDuplicateSID(t *testing.T) {
	for _, duplicate := range []quorum.SID{1, 3} {
		t.Run(duplicate.String(), func(t *testing.T) {
			c := newCluster(t, 1, 2, 3)
			witness, first := c.start(2), c.start(duplicate)
			witness.awaitReach(t, duplicate, true)
			first.awaitReach(t, 2, true)

			conflicts := make(chan transport.Conflict, 1)
			c.elsewhere(duplicate)
			double := c.start(duplicate, func(cfg *transport.Config) {
				cfg.Identity = identity(1, 99)
				cfg.Conflict = func(c transport.Conflict) { conflicts <- c }
			})
			double.Connect(2)
			select {
			case got := <-conflicts:
				if got.Witness != 2 || got.Remote == "" {
					t.Errorf("conflict %+v", got)
				}
			case <-time.After(patience):
				t.Fatal("the double was not told")
			}
			double.stop()
			witness.mu.Lock()
			if witness.flaps[duplicate] != 0 || witness.inc[duplicate] != (quorum.Incarnation{byte(duplicate)}) || len(witness.links) != 0 {
				t.Errorf("the first server was disturbed: %v %v", witness.flaps, witness.inc)
			}
			witness.mu.Unlock()

			// Once the first is gone the other one is a server with a new incarnation.
			first.stop()
			witness.awaitReach(t, duplicate, false)
			c.elsewhere(duplicate)
			c.start(duplicate, func(cfg *transport.Config) { cfg.Identity = identity(1, 98) })
			if duplicate == 3 { // it dials; the lower one would be dialled at its old address
				witness.await(t, "the new incarnation is seen", func() bool {
					return witness.reach[3] && witness.inc[3] == quorum.Incarnation{98}
				})
			}
		})
	}
}

// elsewhere makes the next server started under sid listen at other ports than the ensemble says.
func (c *cluster) elsewhere(sid quorum.SID) {
	c.listeners[sid] = [2]net.Listener{listen(c.t, "127.0.0.1:0"), listen(c.t, "127.0.0.1:0")}
}

// Hazard H-39 again: the address of another server leads to a server with our own sid.
func TestOwnSIDAtOtherAddress(t *testing.T) {
	c := newCluster(t, 1, 2)
	conflicts := make(chan transport.Conflict, 2)
	report := func(cfg *transport.Config) { cfg.Conflict = func(c transport.Conflict) { conflicts <- c } }
	c.start(2, report)
	c.elsewhere(2)
	c.start(2, report, func(cfg *transport.Config) {
		cfg.Identity = identity(1, 99)
	}, through(c.addresses[1][1], newProxy(t, c.addresses[2][1])))
	for range 2 { // both of them
		select {
		case got := <-conflicts:
			if got.Witness != 2 || got.Other.IsZero() {
				t.Errorf("conflict %+v", got)
			}
		case <-time.After(patience):
			t.Fatal("a server that met its double did not say so")
		}
	}
}

// The addresses of two servers are mixed up in one list.
func TestWrongServer(t *testing.T) {
	c := newCluster(t, 1, 2, 3)
	book := newLogbook()
	c.start(1)
	c.start(2)
	s3 := c.start(3, book.attach, func(cfg *transport.Config) {
		cfg.Dial = func(ctx context.Context, to string) (net.Conn, error) {
			switch to {
			case c.addresses[1][1]:
				to = c.addresses[2][1]
			case c.addresses[2][1]:
				to = c.addresses[1][1]
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to)
		}
	})
	book.await(t, "address belongs to another server")
	s3.stop()
	if len(s3.reach) != 0 {
		t.Errorf("connected to the wrong servers: %v", s3.reach)
	}
}

// Hazard H-47: nothing that arrives on a port harms anything but its own connection.
func TestGarbage(t *testing.T) {
	c := newCluster(t, 1, 2)
	quick := func(cfg *transport.Config) { cfg.HandshakeTimeout = 300 * time.Millisecond }
	book := newLogbook()
	s1, s2 := c.start(1, quick, book.attach), c.start(2, quick)
	s1.awaitReach(t, 2, true)
	atLeader, atLearner := connect(t, s1, s2)

	rnd := rand.New(rand.NewPCG(3, 4))
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	whole := frame(0, helloBytes(nil))
	broken := bytes.Clone(whole)
	broken[len(broken)-1] ^= 1
	for name, in := range map[string][]byte{
		"nothing": nil, "random": random, "http": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"giant length": {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, "half a hello": whole[:len(whole)/2],
		"wrong checksum": broken, "wrong sequence number": frame(1, helloBytes(nil)),
		"not a hello": frame(0, []byte{0xff}), "empty hello": frame(0, nil), "tls": {0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, 0},
	} {
		for _, address := range c.addresses[1] {
			s := dialStranger(t, address)
			s.send(in)
			s.awaitClose()
			t.Logf("%s: closed", name)
		}
	}
	book.await(t, "does not speak our protocol")
	s1.Send(atLeader, []zab.Message{{Kind: zab.Ping, Seq: 4}})
	s2.awaitMessages(t, atLearner, 1)
	s1.Notify(note(2, 8))
	s2.awaitNote(t, 1, 8)
}

func helloBytes(change func(*peerwire.Hello)) []byte {
	h := helloOf2(change)
	return peerwire.AppendHello(nil, &h)
}

// What a known server sends on an open link is checked, too [H-47].
func TestBadFramesOnLink(t *testing.T) {
	good := peerwire.AppendMessage(nil, &zab.Message{Kind: zab.Ack, From: 2, To: 1, Zxid: 7})
	for name, bad := range map[string][]byte{
		"gap":            frame(3, good),
		"repeated":       frame(1, good),
		"giant length":   {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 2},
		"checksum":       append([]byte{0, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 2}, 0),
		"not a message":  frame(2, []byte("nonsense")),
		"of another":     frame(2, peerwire.AppendMessage(nil, &zab.Message{Kind: zab.Ack, From: 3, To: 1})),
		"to another":     frame(2, peerwire.AppendMessage(nil, &zab.Message{Kind: zab.Ack, From: 2, To: 3})),
		"empty":          frame(2, nil),
		"kind not known": frame(2, []byte{8, 63}),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, 2, 3)
			address := c.addresses[1][0]
			s1 := c.start(1)
			s := dialStranger(t, address)
			s.hello(helloOf2(nil))
			s.frame(good)
			link := s1.awaitLink(t, 1)
			s.send(bad)
			s.awaitClose()
			err := s1.awaitDown(t, link)
			if !errors.Is(err, transport.ErrProtocol) && !errors.Is(err, peerwire.ErrMalformed) {
				t.Errorf("the link ended with %v", err)
			}
			if msgs := s1.awaitMessages(t, link, 1); len(msgs) != 1 || msgs[0].Zxid != 7 {
				t.Errorf("got %+v, want the one good message", msgs)
			}
		})
	}
}

// A notification in another's name ends the connection that brought it.
func TestForgedNotification(t *testing.T) {
	c := newCluster(t, 1, 2, 3)
	address := c.addresses[1][1]
	s1 := c.start(1)
	s := dialStranger(t, address)
	s.hello(helloOf2(func(h *peerwire.Hello) { h.Channel = peerwire.Election }))
	s.frame(peerwire.AppendNotification(nil, &fle.Notification{From: 2, To: 1, Round: 1}))
	s1.awaitReach(t, 2, true)
	s.frame(peerwire.AppendNotification(nil, &fle.Notification{From: 3, To: 1, Round: 2}))
	s.awaitClose()
	s1.awaitReach(t, 2, false)
	if len(s1.notes) != 1 || s1.notes[0].Round != 1 {
		t.Errorf("heard %+v", s1.notes)
	}
}

// A server that the membership does not list is judged like any other where strangers are welcome, and told
// that its connection stays on the election channel; where they are not it is refused on both.
func TestStrangersAreJudged(t *testing.T) {
	for _, c := range []struct {
		name    string
		sid     quorum.SID
		channel peerwire.Channel
		change  func(*peerwire.Hello)
		want    peerwire.Refusal // where strangers are welcome
		keep    bool
	}{
		{"lower, election", 0, peerwire.Election, nil, peerwire.Accepted, true},
		{"higher, election", 7, peerwire.Election, nil, peerwire.Accepted, true},
		{"learner", 7, peerwire.Learner, nil, peerwire.Accepted, false},
		{"new server", 7, peerwire.Election, func(h *peerwire.Hello) { h.Cluster = quorum.ClusterID{} }, peerwire.Accepted, true},
		{"other cluster", 7, peerwire.Election, func(h *peerwire.Hello) { h.Cluster = quorum.ClusterID{2} }, peerwire.RefusedCluster, false},
		{"meant another", 7, peerwire.Learner, func(h *peerwire.Hello) { h.To = 3 }, peerwire.RefusedWrongServer, false},
	} {
		for _, admitted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/admitted=%v", c.name, admitted), func(t *testing.T) {
				cluster := newCluster(t, 1, 2, 3)
				address := cluster.addresses[1][0]
				if c.channel == peerwire.Election {
					address = cluster.addresses[1][1]
				}
				s1 := cluster.start(1, func(cfg *transport.Config) { cfg.Strangers = admitted })
				want, keep := c.want, c.keep
				if !admitted {
					keep = false
					if want == peerwire.Accepted {
						want = peerwire.RefusedUnknown
					}
				}
				s := dialStranger(t, address)
				s.hello(helloOf2(func(h *peerwire.Hello) {
					h.SID, h.Channel = c.sid, c.channel
					if c.change != nil {
						c.change(h)
					}
				}))
				h, err := s.answer()
				if err != nil || h.Refusal != want || h.Keep != keep {
					t.Fatalf("answer %+v, %v; want refusal %v, keep %v", h, err, want, keep)
				}
				switch {
				case want != peerwire.Accepted:
					s.awaitClose()
					s1.stop()
					if len(s1.links) != 0 || len(s1.reach) != 0 {
						t.Errorf("a refused server is connected: %v %v", s1.links, s1.reach)
					}
				case c.channel == peerwire.Learner:
					s1.awaitLink(t, 1)
				default:
					s.frame(nil)
					s1.awaitReach(t, c.sid, true)
				}
			})
		}
	}
}

// A member with a lower id is not told to keep the connection by which it asks to be dialled.
func TestMemberIsDialledBack(t *testing.T) {
	c := newCluster(t, 1, 2)
	address := c.addresses[2][1]
	dialled := make(chan struct{}, 100)
	c.start(2, welcoming, func(cfg *transport.Config) {
		cfg.Dial = func(context.Context, string) (net.Conn, error) {
			dialled <- struct{}{}
			return nil, errors.New("not now")
		}
	})
	s := dialStranger(t, address)
	s.hello(helloOf2(func(h *peerwire.Hello) { h.SID, h.To, h.Channel = 1, 2, peerwire.Election }))
	if h, err := s.answer(); err != nil || h.Keep || h.Refusal != peerwire.Accepted {
		t.Fatalf("answer %+v, %v", h, err)
	}
	s.awaitClose()
	<-dialled
}

// Hazard H-39 for strangers: of two that use one sid, the first to connect stays, however many
// connections either opens, and a stranger that calls again replaces what it had.
func TestStrangersWithOneSID(t *testing.T) {
	c := newCluster(t, 1, 2)
	address := c.addresses[1][1]
	s1 := c.start(1, welcoming)
	call := func(incarnation byte) (*stranger, peerwire.Refusal) {
		s := dialStranger(t, address)
		s.hello(helloOf2(func(h *peerwire.Hello) {
			h.SID, h.Channel, h.Incarnation = 7, peerwire.Election, quorum.Incarnation{incarnation}
		}))
		h, err := s.answer()
		if err != nil {
			t.Fatal(err)
		}
		return s, h.Refusal
	}
	first, reason := call(7)
	if reason != peerwire.Accepted {
		t.Fatalf("refused: %v", reason)
	}
	first.frame(nil)
	s1.awaitReach(t, 7, true)
	var silent []*stranger
	for range 20 {
		double, reason := call(8)
		if reason != peerwire.RefusedIncarnation {
			t.Fatalf("a double was answered %v", reason)
		}
		double.awaitClose()
		again, reason := call(7)
		if reason != peerwire.Accepted {
			t.Fatalf("the first was answered %v", reason)
		}
		silent = append(silent, again)
	}
	for _, s := range silent[:len(silent)-1] {
		s.awaitClose() // at most one waits to be heard
	}
	last := silent[len(silent)-1]
	last.frame(peerwire.AppendNotification(nil, &fle.Notification{From: 7, To: 1, Round: 3}))
	s1.awaitNote(t, 7, 3)
	first.awaitClose()
	s1.steady(t, 7)
	s1.await(t, "the first is still the one that is met", func() bool { return s1.inc[7] == quorum.Incarnation{7} })
	_ = last.conn.Close()
	s1.awaitReach(t, 7, false)
	eventually(t, "the next one is accepted when all of the first has gone", func() bool {
		_, reason := call(8)
		return reason == peerwire.Accepted
	})
}

// A replacement that is never heard does not cost the connection that works.
func TestSilentReplacement(t *testing.T) {
	c := newCluster(t, 1, 2)
	address := c.addresses[1][1]
	s1 := c.start(1)
	s2 := c.start(2)
	exchange(t, 1, 1, 2, map[quorum.SID]*server{1: s1, 2: s2})
	s := dialStranger(t, address)
	s.hello(helloOf2(func(h *peerwire.Hello) { h.Channel = peerwire.Election }))
	if h, err := s.answer(); err != nil || h.Refusal != peerwire.Accepted {
		t.Fatalf("answer %+v, %v", h, err)
	}
	_ = s.conn.Close()
	exchange(t, 2, 1, 2, map[quorum.SID]*server{1: s1, 2: s2})
	s1.steady(t, 2)
	s2.steady(t, 1)
}
