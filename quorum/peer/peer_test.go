package peer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// An ensemble of one runs the same loop without a network: that is standalone mode.
func TestSingleVoterNeedsNoTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1)
		m := w.leader()
		m.submit("a", "b", "c")
		m.awaitTexts("a", "b", "c")
		if got := m.list.Applied().ID; got != zxid.Make(1, 3) {
			t.Errorf("applied %v, want the third zxid of epoch 1", got)
		}
		m.kill()
		m.start()
		w.leader()
		m.submit("d")
		m.awaitTexts("a", "b", "c", "d")
		if got := m.list.Applied().ID; got != zxid.Make(2, 1) {
			t.Errorf("applied %v, want the first zxid of epoch 2", got)
		}
		m.stop()
		if got, want := m.list.history(), "lead 2, serve LEADING, stop"; got != want {
			t.Errorf("the state machine was told %q, want %q", got, want)
		}
	})
}

func TestThreePeersElectAndCommitEverywhereInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		leader := w.leader()
		if leader.sid != 3 {
			t.Errorf("server %v leads; among equal histories the highest sid must win", leader.sid)
		}
		var want []string
		for round := range 20 {
			for _, m := range w.all() {
				data := numbered(fmt.Sprintf("%v-%d-", m.sid, round), 5)
				m.submit(data...)
				want = append(want, data...)
			}
		}
		for _, m := range w.all() {
			eventually(t, "everything is applied", func() error {
				if n := len(m.list.texts()); n < len(want) {
					return fmt.Errorf("%d of %d", n, len(want))
				}
				return nil
			})
			got := m.list.texts()
			if !slices.Equal(got, leader.list.texts()) {
				t.Errorf("server %v applied %q, the leader %q", m.sid, got, leader.list.texts())
			}
			for _, from := range w.all() { // FIFO per server
				var mine, sent []string
				prefix := from.sid.String() + "-"
				for i := range got {
					if got[i][:2] == prefix {
						mine = append(mine, got[i])
					}
					if want[i][:2] == prefix {
						sent = append(sent, want[i])
					}
				}
				if !slices.Equal(mine, sent) {
					t.Errorf("server %v applied the requests of %v as %q, sent as %q", m.sid, from.sid, mine, sent)
				}
			}
		}
		eventually(t, "the leader's status tells all of that", func() error {
			s := leader.peer.Status()
			if s.Leader != 3 || s.Epoch != 1 || s.Synced != quorum.SetOf(1, 2) || s.Logged != zxid.Make(1, 300) {
				return fmt.Errorf("it is %+v", s)
			}
			return nil
		})
	})
}

// An observer applies everything and is not needed for anything.
func TestObserverApplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.SetOf(4), 1, 2, 3, 4)
		for _, m := range w.all() {
			m.start()
		}
		w.leader()
		observer := w.members[4]
		observer.awaitState(fle.Observing)
		observer.submit("by the observer")
		for _, m := range w.all() {
			m.awaitTexts("by the observer")
		}
		w.followers()[0].stop()
		w.leader()
		observer.submit("again")
		observer.awaitTexts("by the observer", "again")
	})
}

// A leader that hears nobody gives up before anybody could miss it, and what it alone
// proposed is forgotten [H-52].
func TestPartitionedLeaderStepsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		old := w.leader()
		old.submit("before")
		for _, m := range w.all() {
			m.awaitTexts("before")
		}
		w.Partition(quorum.SetOf(3), quorum.SetOf(1, 2))
		old.submit("lost")
		old.awaitState(fle.Looking)
		if n := len(old.list.texts()); n != 1 {
			t.Errorf("an isolated leader committed: %q", old.list.texts())
		}
		w.members[2].awaitState(fle.Leading)
		w.members[1].awaitState(fle.Following)
		w.members[1].submit("during")
		w.members[1].awaitTexts("before", "during")
		w.Heal()
		old.awaitState(fle.Following)
		old.awaitTexts("before", "during")
		if got := w.leader(); got.sid != 2 {
			t.Errorf("server %v leads: a returning server must not depose a leader", got.sid)
		}
		if got, want := old.list.history(), "lead 1, serve LEADING, stop"; len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("the deposed leader's state machine was told %q", got)
		}
	})
}

// An answer to a Sync comes behind everything that was committed when the leader gave it, at
// the leader and at a follower.
func TestAnswersComeBehindCommits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		leader := w.leader()
		for _, m := range []*member{leader, w.followers()[0]} {
			before := len(m.list.texts())
			for i := range 50 {
				m.peer.Submit([]zab.Message{
					{Kind: zab.Request, Data: fmt.Appendf(nil, "%v/%d", m.sid, i)},
					{Kind: zab.Sync, Data: fmt.Appendf(nil, "s%d", i)},
				})
			}
			eventually(t, "all answers", func() (err error) {
				m.list.locked(func() {
					if n := len(m.list.answers); n < 50 {
						err = fmt.Errorf("%d answers", n)
					}
				})
				return err
			})
			m.list.locked(func() {
				for i, got := range m.list.answers {
					var applied int
					if _, err := fmt.Sscanf(got, fmt.Sprintf("SYNC s%d after %%d", i), &applied); err != nil {
						t.Fatalf("server %v: answer %d is %q", m.sid, i, got)
					}
					if applied < before+i+1 {
						t.Errorf("server %v: %q, before its own %d. write", m.sid, got, i+1)
					}
				}
			})
			for _, other := range w.all() {
				other.awaitTexts(m.list.texts()...)
			}
		}
	})
}

// What a preparer of a leadership that is over says must not reach the next one [H-72].
func TestProposalsOfAnOldLeadershipAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		old := w.leader()
		generation := old.peer.Leading()
		if generation == 0 {
			t.Fatal("a leader has no generation")
		}
		w.Partition(quorum.SetOf(3), quorum.SetOf(1, 2))
		old.awaitState(fle.Looking)
		if got := old.peer.Leading(); got != 0 {
			t.Errorf("generation %d of a server that does not lead", got)
		}
		w.Heal()
		w.leader()
		// Depose the other two, so that the same server leads again.
		for _, m := range []*member{w.members[1], w.members[2]} {
			m.stop()
		}
		old.awaitState(fle.Looking)
		for _, m := range []*member{w.members[1], w.members[2]} {
			m.start()
		}
		if again := w.leader(); again != old {
			t.Fatalf("server %v leads", again.sid)
		}
		next := zxid.Make(old.peer.Status().Epoch, 1)
		old.peer.Propose(generation, next, [][]byte{[]byte("ghost")})
		old.peer.Answer(generation, 3, zab.Sync, []byte("ghost"))
		old.submit("real")
		for _, m := range w.all() {
			m.awaitTexts("real")
		}
		old.list.locked(func() {
			if len(old.list.answers) > 0 {
				t.Errorf("answered %q", old.list.answers)
			}
		})
	})
}

// Requests of a server without a leader vanish: its clients have been told by closing them [H-72].
func TestRequestsWithoutALeaderAreDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.Set{}, 1, 2, 3)
		m := w.members[3]
		m.start()
		m.submit("too early")
		m.awaitState(fle.Looking)
		for _, other := range []*member{w.members[1], w.members[2]} {
			other.start()
		}
		w.leader()
		m.submit("in time")
		m.awaitTexts("in time")
	})
}
