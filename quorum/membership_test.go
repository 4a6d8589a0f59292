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

func TestMembershipPartners(t *testing.T) {
	committed := three(t)
	next, err := committed.Reconfigure(quorum.Change{Joining: member("4", "participant") + "," + member("5", "observer")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	pending := quorum.Membership{Committed: committed, Seen: next.WithVersion(committed.Version() + 1)}
	for sid, want := range []quorum.Set{
		1: quorum.SetOf(2, 3, 4, 5), // a voter talks to all
		4: quorum.SetOf(1, 2, 3, 5), // also one that is to be
		5: quorum.SetOf(1, 2, 3, 4), // an observer to voters
		9: quorum.SetOf(1, 2, 3, 4), // a stranger, too
	} {
		if got := pending.Partners(quorum.SID(sid)); want != (quorum.Set{}) && got != want {
			t.Errorf("partners of %d: %v, want %v", sid, got, want)
		}
	}
}

// What is learnt from others is the committed configuration; a newer one that was seen stays pending.
func TestMembershipLearn(t *testing.T) {
	old, next := three(t), three(t).WithVersion(three(t).Version()+2)
	pending := quorum.Membership{Committed: old, Seen: next}
	between := old.WithVersion(old.Version() + 1)
	if got := pending.Learn(between); !got.Equal(quorum.Membership{Committed: between, Seen: next}) {
		t.Errorf("learnt %v, seen %v", got.Committed.Version(), got.Seen.Version())
	}
	later := old.WithVersion(next.Version() + 1)
	if got := pending.Learn(later); !got.Equal(quorum.Stable(later)) {
		t.Errorf("learnt %v, seen %v", got.Committed.Version(), got.Seen.Version())
	}
}
