package quorum_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// While a reconfiguration is under way a quorum is one of both configurations, and of the newer one alone
// when it is settled (hazards H-80, H-82; invariant I16). Every set of the servers is asked about.
func TestMembershipNeedsBothQuorums(t *testing.T) {
	committed := three(t)
	next, err := committed.Reconfigure(quorum.Change{Joining: member("4", "participant") + "," + member("5", "participant"), Leaving: "2,3"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	next = next.WithVersion(committed.Version() + 1)
	pending := quorum.Membership{Committed: committed, Seen: next}
	if !pending.Pending() || pending.Settled().Pending() || quorum.Stable(committed).Pending() {
		t.Fatalf("pending: %v, settled %v", pending.Pending(), pending.Settled().Pending())
	}
	has := func(bits uint, sids ...quorum.SID) (n int) {
		for _, sid := range sids {
			n += int(bits >> sid & 1)
		}
		return n
	}
	for bits := range uint(1 << 6) {
		var s quorum.Set
		for sid := range quorum.SID(6) {
			if bits>>sid&1 == 1 {
				s.Add(sid)
			}
		}
		before, after := has(bits, 1, 2, 3) >= 2, has(bits, 1, 4, 5) >= 2
		for name, tt := range map[string]struct {
			m    quorum.Membership
			want bool
		}{
			"stable":  {quorum.Stable(committed), before},
			"pending": {pending, before && after},
			"settled": {pending.Settled(), after},
			"nothing": {quorum.Membership{}, false},
		} {
			if got := tt.m.HasQuorum(s); got != tt.want {
				t.Errorf("%s: %v is a quorum: %v, want %v", name, s, got, tt.want)
			}
		}
	}
}
