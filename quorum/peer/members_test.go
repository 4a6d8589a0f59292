package peer_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// What another server knows to be committed is taken over, on disk first, by a server that looks for a leader, if
// the ensemble may change at all. As long as it belongs to no ensemble it tells nobody: it may
// have heard of a foreign one (hazards H-79, H-83).
func TestNewerConfiguration(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			s := newStageWith(t, func(c *peer.Config) { c.Reconfigurable = enabled })
			s.run()
			newer := ensembleOf(t, quorum.Set{}, 1, 2, 3, 4).WithVersion(0x100000005)
			for range 2 { // it is no news the second time
				s.peer.Notified(fle.Notification{
					From: 2, To: 3, State: fle.Following, Round: 7, Vote: fle.Vote{Leader: 4, Epoch: 1}, Config: newer,
				})
				synctest.Wait()
			}
			kept, told := s.log.Durable().Membership, quorum.Membership{}
			s.list.locked(func() { told = s.list.members })
			if enabled != kept.Equal(quorum.Stable(newer)) || enabled != told.Equal(quorum.Stable(newer)) {
				t.Errorf("enabled %v: kept %v, told %v", enabled, kept.Committed, told.Committed)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			toFour := false
			for _, n := range s.notes {
				if n.Config != nil {
					t.Errorf("enabled %v: told %v of %v", enabled, n.To, n.Config.Version())
				}
				toFour = toFour || n.To == 4
			}
			if toFour != enabled {
				t.Errorf("enabled %v: the new voter is asked: %v", enabled, toFour)
			}
		})
	}
}

// An observer helps to complete the reconfiguration that makes it a voter, of which it has not heard: its
// leader cannot begin without it, and it is elected to follow as an observer again and again (spec
// zab-and-election 15.6, hazard H-82).
func TestObserverIsEnlisted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.SetOf(3), 1, 2, 3)
		w.tweak = func(c *peer.Config) { c.Reconfigurable = true }
		const version = zxid.ID(0x100000001)
		first := w.ensemble.WithVersion(version - 1)
		next := ensembleOf(t, quorum.Set{}, 1, 3).WithVersion(version)
		for _, m := range w.all() {
			step := &zab.Persist{Membership: quorum.Stable(first)}
			if m.sid != 3 { // the leader ended before it could say that this is committed
				step.Append = []zab.Entry{zab.NewEntry(zxid.Point{}, version, []byte(next.String()))}
				step.Membership.Seen = next
			}
			m.prepare(step)
			m.start()
		}
		for _, m := range w.all() {
			eventually(t, fmt.Sprintf("server %v knows of the configuration", m.sid), func() error {
				if got := m.log.Durable().Membership; !got.Equal(quorum.Stable(next)) {
					return fmt.Errorf("it knows of %v, %v", got.Committed, got.Seen)
				}
				return nil
			})
		}
	})
}

// The newest history may be left with a server that only the pending configuration makes a voter. Whoever has not
// heard of that configuration, and whose vote is needed, hears of it then, elects that server and finds it: 4 has
// more than 1, 2 knows neither what is pending nor 4, and 3 is gone (spec zab-and-election 15.6, hazard H-82).
func TestLeaderByHearsay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.Set{}, 1, 2, 3, 4)
		w.tweak = func(c *peer.Config) { c.Reconfigurable = true }
		const version = zxid.ID(0x100000001)
		first := ensembleOf(t, quorum.Set{}, 1, 2, 3).WithVersion(version - 1)
		next := ensembleOf(t, quorum.Set{}, 1, 2, 3, 4).WithVersion(version)
		pending := quorum.Membership{Committed: first, Seen: next}
		change := zab.NewEntry(zxid.Point{}, version, []byte(next.String()))
		more := zab.NewEntry(change.Point(), version+1, []byte("behind the change"))
		w.members[1].prepare(&zab.Persist{Membership: pending, Append: []zab.Entry{change}})
		w.members[2].prepare(&zab.Persist{Membership: quorum.Stable(first)})
		w.members[4].prepare(&zab.Persist{Membership: pending, Append: []zab.Entry{change, more}})
		for _, sid := range []quorum.SID{1, 2, 4} {
			w.members[sid].start()
		}
		w.members[4].awaitState(fle.Leading)
		for _, sid := range []quorum.SID{1, 2, 4} {
			w.members[sid].awaitTexts(string(change.Data), string(more.Data))
			if got := w.members[sid].log.Durable().Membership; !got.Equal(quorum.Stable(next)) {
				t.Errorf("server %v knows of %v, %v", sid, got.Committed, got.Seen)
			}
		}
	})
}

// prepare writes what a server's disk has of epoch 1, which 3 has led.
func (m *member) prepare(step *zab.Persist) {
	t := m.w.t
	t.Helper()
	epoch := zxid.Epoch(1)
	step.Token, step.Promise, step.Current, step.Cluster = 1, &zab.Promise{Epoch: epoch, Leader: 3}, &epoch, quorum.ClusterID{1}
	log := openLog(t, m.disk, m.sid)
	if err := log.Apply(step); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}
