package peer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// proposed reports whether the peer has voted for a server since a count of notifications.
func (s *stage) proposed(leader quorum.SID, since int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.notes[since:] {
		if n.State == fle.Looking && n.Vote.Leader == leader {
			return true
		}
	}
	return false
}

// noted counts the notifications of the peer so far.
func (s *stage) noted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.notes)
}

// failTwice lets the peer lead in vain twice.
func (s *stage) failTwice() {
	s.t.Helper()
	ended := func() int { return strings.Count(s.list.history(), "stop") }
	s.await("the second leadership", func() bool { return ended() == 1 && s.state() == fle.Leading })
	if s.proposed(quorum.None, 0) {
		s.t.Error("it abstained after a single failure")
	}
	s.await("the end of the second leadership", func() bool { return ended() == 2 })
}

// A server that is elected again and again without ever getting a quorum of learners stands
// back for a while, so that another gets its chance (hazard H-55) [H-45].
func TestFailedLeadershipsLeadToAbstention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(agree)
		s.run()
		s.failTwice()
		s.await("it abstains", func() bool { return s.proposed(quorum.None, 0) })
		s.await("LEADING again, when nobody else wants to", func() bool { return s.state() == fle.Leading })
	})
}

// However often a server has led in vain, it does not stand back for longer and longer: an hour of a partition
// must not cost minutes behind it [H-55].
func TestAbstentionIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(agree)
		s.run()
		const longest = (1 + 8) * tickTime
		for n := range 60 {
			s.await("LEADING", func() bool { return s.state() == fle.Leading })
			s.await("LOOKING", func() bool { return s.state() == fle.Looking })
			began := time.Now()
			s.await("LEADING again", func() bool { return s.state() == fle.Leading })
			if took := time.Since(began); took > longest+time.Second {
				t.Fatalf("behind %d leaderships in vain it stood back for %v, want %v at most", n+1, took, longest)
			}
		}
	})
}

// A leader that loses its quorum has led: it is elected again at once, however often that happens, and nothing is
// gained by somebody else [H-55].
func TestLostQuorumIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		leader := w.leader()
		for range 4 {
			for _, m := range w.followers() {
				m.stop()
			}
			leader.awaitState(fle.Looking)
			for _, m := range w.all() {
				if m != leader {
					m.start()
				}
			}
			if got := w.leader(); got != leader {
				t.Fatalf("server %v leads, want %v", got.sid, leader.sid)
			}
		}
	})
}

// Others elect somebody at once each time, who cannot lead. Whoever stands back must have its turn all the same: it
// may have what they lack. It looks for moments only, and follows in vain the rest of the time [H-55].
func TestAbstentionEndsWhileOthersAreElected(t *testing.T) {
	for name, standBack := range map[string]func(s *stage){
		"led in vain": func(s *stage) { s.failTwice() },
		"spoilt":      func(s *stage) { s.peer.Repair("the state is wrong") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.votes(agree)
				s.run()
				standBack(s)
				s.votes(for2)
				before := s.noted()
				s.await("it follows server 2", func() bool { return s.state() == fle.Following })
				if s.proposed(3, before) {
					t.Error("it stands for election")
				}
				s.await("it stands for election", func() bool { return s.proposed(3, before) })
			})
		})
	}
}
