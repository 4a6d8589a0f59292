package peer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// awaitCommit waits until a quorum has applied something that one of the servers was asked for during
// the wait. It returns how long that took.
func (w *world) awaitCommit(word string, among ...quorum.SID) time.Duration {
	w.t.Helper()
	began, n := time.Now(), 0
	eventually(w.t, fmt.Sprintf("%v get work done", among), func() error {
		n++
		var have quorum.Set
		for _, sid := range among {
			w.members[sid].submit(fmt.Sprintf("%s %d by %v", word, n, sid))
		}
		synctest.Wait()
		for _, sid := range among {
			if slices.ContainsFunc(w.members[sid].list.texts(), func(s string) bool { return strings.HasPrefix(s, word) }) {
				have.Add(sid)
			}
		}
		if !w.ensemble.Verifier().HasQuorum(have) {
			return fmt.Errorf("only %v have applied something", have)
		}
		return nil
	})
	return time.Since(began)
}

// isolateAll blocks all words between all servers.
func (w *world) isolateAll() {
	for a := range w.ensemble.SIDs().All() {
		for b := range w.ensemble.SIDs().All() {
			if a != b {
				w.Block(a, b)
			}
		}
	}
}

// Wherever a server that reaches a quorum has a history at least as new as that quorum's, some
// leader must get work done, though the best vote of all is that of a server that can never lead,
// and though not everybody hears a quorum [H-55].
func TestPartialPartitions(t *testing.T) {
	everybody := []quorum.SID{1, 2, 3, 4, 5}
	tests := []struct {
		name  string
		sids  []quorum.SID
		pairs [][2]quorum.SID // who reach each other
		among []quorum.SID    // who must get work done
	}{
		{
			"the best reaches one of the others, who all reach each other", everybody,
			[][2]quorum.SID{{1, 2}, {1, 3}, {1, 4}, {2, 3}, {2, 4}, {3, 4}, {1, 5}},
			[]quorum.SID{1, 2, 3, 4},
		},
		{
			"all reach one server and nobody else", everybody,
			[][2]quorum.SID{{1, 2}, {1, 3}, {1, 4}, {1, 5}},
			everybody,
		},
		{
			"a ring", everybody,
			[][2]quorum.SID{{1, 2}, {2, 3}, {3, 4}, {4, 5}, {1, 5}},
			everybody,
		},
		{
			"a chain with the best at its end",
			[]quorum.SID{1, 2, 3},
			[][2]quorum.SID{{1, 2}, {1, 3}},
			[]quorum.SID{1, 2, 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := startAll(t, tt.sids...)
				// The highest leads, and alone logs something more: its vote is the best of all.
				best := w.leader()
				w.isolateAll()
				best.submit("more")
				synctest.Wait()
				for _, m := range w.all() {
					m.kill()
				}
				for _, m := range w.all() {
					m.start()
				}
				synctest.Wait()
				for _, p := range tt.pairs {
					w.Unblock(p[0], p[1])
					w.Unblock(p[1], p[0])
				}
				if took := w.awaitCommit("during", tt.among...); took > initLimit*tickTime {
					t.Errorf("it took %v", took)
				}
				w.Heal()
				w.leader()
			})
		})
	}
}

// What a leader says is lost, what it is told arrives: it steps down like everybody else, and the
// others elect without it [H-53]. What one follower says is lost: it looks for a leader until the
// network is repaired, and disturbs nobody [H-54].
func TestOneWayLoss(t *testing.T) {
	t.Run("of the leader's words", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := startAll(t, 1, 2, 3)
			old := w.leader()
			w.Block(3, 1)
			w.Block(3, 2)
			for range 3 * syncLimit { // requests keep coming in, which prove nothing
				w.members[1].submit("lost")
				pass(tickTime / 2)
			}
			old.awaitState(fle.Looking)
			w.members[2].awaitState(fle.Leading)
			w.awaitCommit("during", 1, 2)
			w.Heal()
			old.awaitState(fle.Following)
			if got := w.leader(); got.sid != 2 {
				t.Errorf("server %v leads: a returning server must not depose a leader", got.sid)
			}
		})
	})
	t.Run("of a follower's words", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			w := startAll(t, 1, 2, 3)
			leader := w.leader()
			epoch := leader.log.Durable().Current
			w.Block(2, 3)
			w.members[2].awaitState(fle.Looking)
			w.awaitCommit("during", 1, 3)
			pass(2 * initLimit * tickTime)
			if s := leader.peer.Status(); s.State != fle.Leading || leader.log.Durable().Current != epoch {
				t.Errorf("the leader is %v in epoch %d, was leading epoch %d", s.State, leader.log.Durable().Current, epoch)
			}
			w.Heal()
			w.members[2].awaitState(fle.Following)
			if got := w.leader().log.Durable().Current; got != epoch {
				t.Errorf("epoch %d began when the follower came back", got)
			}
			if n := strings.Count(leader.list.history(), "lead"); n != 1 {
				t.Errorf("the leader's state machine was told %q", leader.list.history())
			}
		})
	})
}
