package peer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// awaitInstalls waits until a server has installed so many snapshots.
func (m *member) awaitInstalls(want int) {
	m.w.t.Helper()
	eventually(m.w.t, fmt.Sprintf("server %v installs a snapshot", m.sid), func() error {
		if got := strings.Count(m.list.history(), "install"); got != want {
			return fmt.Errorf("it has installed %d of %d", got, want)
		}
		return nil
	})
}

// A follower or observer whose state is wrong gets a snapshot though it lacks nothing, once; and its
// leader stays [H-78].
func TestLearnerIsRepaired(t *testing.T) {
	for _, sid := range []quorum.SID{1, 4} {
		t.Run(sid.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, quorum.SetOf(4), 1, 2, 3, 4)
				for _, m := range w.all() {
					m.start()
				}
				leader, bad := w.leader(), w.members[sid]
				if leader == bad {
					t.Fatalf("server %v leads", sid)
				}
				leader.submit("a", "b")
				bad.awaitTexts("a", "b")
				bad.peer.Repair("the state is wrong")
				bad.awaitInstalls(1)
				if w.leader() != leader {
					t.Error("somebody else leads")
				}
				leader.submit("c")
				bad.awaitTexts("a", "b", "c")
				bad.stop()
				bad.start()
				w.leader()
				bad.awaitInstalls(1) // it has nothing to be repaired any more
			})
		})
	}
}

// A leader whose state is wrong makes way, and gets the state of whoever leads then. It would be
// elected again, for its id is the highest [H-78].
func TestLeaderIsRepaired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		bad := w.leader()
		bad.submit("a", "b")
		for _, m := range w.all() {
			m.awaitTexts("a", "b")
		}
		bad.peer.Repair("the state is wrong")
		bad.awaitInstalls(1)
		if leader := w.leader(); leader == bad {
			t.Errorf("server %v leads on", bad.sid)
		}
		bad.submit("c")
		for _, m := range w.all() {
			m.awaitTexts("a", "b", "c")
		}
		// Repaired, it is as good as any other: it makes a quorum, and is elected again.
		w.leader().stop()
		w.leader().submit("d")
		bad.awaitTexts("a", "b", "c", "d")
		for _, m := range w.all() {
			if m != bad {
				m.stop()
			}
		}
		bad.awaitState(fle.Looking)
		bad.stop()
		for _, m := range slices.Backward(w.all()) {
			m.start()
			synctest.Wait()
		}
		if leader := w.leader(); leader != bad {
			t.Errorf("server %v leads, want %v", leader.sid, bad.sid)
		}
	})
}

// spoiltLeader makes an ensemble that is led by a server whose state is wrong, since the other one that runs lacked
// what is committed.
func spoiltLeader(t *testing.T) (w *world, bad, behind *member) {
	t.Helper()
	w = startAll(t, 1, 2, 3)
	bad, behind = w.leader(), w.followers()[0]
	behind.stop()
	bad.submit("a")
	w.members[2].awaitTexts("a")
	w.members[2].stop()
	bad.awaitState(fle.Looking)
	bad.peer.Repair("the state is wrong")
	behind.start()
	bad.awaitState(fle.Leading)
	behind.awaitTexts("a")
	return w, bad, behind
}

// Nobody else can lead who lacks what is committed: a server whose state is wrong does it after a while, and
// still wants to be repaired when somebody else leads [H-78].
func TestSpoiltServerLeadsIfNobodyElseCan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, bad, behind := spoiltLeader(t)
		bad.awaitInstalls(0)
		bad.peer.Repair("the state is wrong")
		bad.awaitInstalls(1)
		if leader := w.leader(); leader != behind {
			t.Errorf("server %v leads, want %v", leader.sid, behind.sid)
		}
	})
}

// When somebody has led meanwhile, be it that server itself, others have their turn again: one of them can give
// it a state that is right [H-78].
func TestSpoiltServerStandsBackAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, bad, behind := spoiltLeader(t)
		behind.stop()
		bad.awaitState(fle.Looking)
		behind.start()
		bad.awaitInstalls(1)
		if leader := w.leader(); leader != behind {
			t.Errorf("server %v leads, want %v", leader.sid, behind.sid)
		}
	})
}
