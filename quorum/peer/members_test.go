package peer_test

import (
	"testing"
	"testing/synctest"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
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
