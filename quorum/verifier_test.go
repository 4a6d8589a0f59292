package quorum_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// drawSet draws a set of ids that lie close together, unknown ones included.
func drawSet(t *rapid.T, label string) quorum.Set {
	return quorum.SetOf(rapid.SliceOfDistinct(rapid.Custom(drawSID), rapid.ID[quorum.SID]).Draw(t, label)...)
}

// drawSID prefers a few small ids, and crosses the word boundaries of Set.
func drawSID(t *rapid.T) quorum.SID {
	return rapid.SampledFrom([]quorum.SID{0, 1, 2, 3, 4, 5, 6, 7, 63, 64, 127, 128, 254, 255}).Draw(t, "sid")
}

// drawGroups draws groups over distinct servers; some weights, and some whole
// groups, are zero.
func drawGroups(t *rapid.T) []quorum.Group {
	sids := slices.Collect(drawSet(t, "servers").All())
	groups := make([]quorum.Group, rapid.IntRange(1, 4).Draw(t, "groups"))
	for i := range groups {
		groups[i].ID = i + 1
	}
	for _, sid := range sids {
		g := &groups[rapid.IntRange(0, len(groups)-1).Draw(t, "group")]
		g.Servers = append(g.Servers, quorum.Weighted{SID: sid, Weight: rapid.IntRange(0, 4).Draw(t, "weight")})
	}
	return slices.DeleteFunc(groups, func(g quorum.Group) bool { return len(g.Servers) == 0 })
}

// drawVerifier draws either rule; a hierarchical draw without weight falls back.
func drawVerifier(t *rapid.T) quorum.Verifier {
	if rapid.Bool().Draw(t, "hierarchical") {
		if h, err := quorum.NewHierarchical(drawGroups(t)); err == nil {
			return h
		}
	}
	return quorum.NewMajority(drawSet(t, "voters"))
}

// bruteQuorum counts by the definition, with fractions avoided by doubling.
func bruteQuorum(v quorum.Verifier, s quorum.Set) bool {
	h, ok := v.(*quorum.Hierarchical)
	if !ok {
		n, all := 0, 0
		for sid := range v.Voters().All() {
			all++
			if s.Has(sid) {
				n++
			}
		}
		return 2*n > all
	}
	won, counted := 0, 0
	for _, g := range h.Groups() {
		in, total := 0, 0
		for _, w := range g.Servers {
			total += w.Weight
			if s.Has(w.SID) {
				in += w.Weight
			}
		}
		if total == 0 {
			continue
		}
		counted++
		if 2*in > total {
			won++
		}
	}
	return 2*won > counted
}

func TestVerifierAgreesWithDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVerifier(t)
		s := drawSet(t, "acks")
		if got, want := v.HasQuorum(s), bruteQuorum(v, s); got != want {
			t.Fatalf("HasQuorum(%v) = %v, want %v (voters %v)", s, got, want, v.Voters())
		}
	})
}

// Any two quorums share a server with weight: the property that all of Zab's safety
// rests on.
func TestQuorumsIntersect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVerifier(t)
		a, b := drawSet(t, "a"), drawSet(t, "b")
		// Make both quorums, so that no draw is wasted.
		a, b = completed(v, a), completed(v, b)
		if !v.HasQuorum(a) || !v.HasQuorum(b) {
			if v.HasQuorum(v.Voters()) {
				t.Fatalf("all voters %v are a quorum but %v or %v is not", v.Voters(), a, b)
			}
			return // no voters: no quorum
		}
		for sid := range a.And(b).All() {
			if v.Weight(sid) > 0 {
				return
			}
		}
		t.Fatalf("quorums %v and %v share no server with weight", a, b)
	})
}

// completed adds voters in ascending order until s is a quorum.
func completed(v quorum.Verifier, s quorum.Set) quorum.Set {
	for sid := range v.Voters().All() {
		if v.HasQuorum(s) {
			break
		}
		s.Add(sid)
	}
	return s
}

func TestQuorumsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawVerifier(t)
		a, more := drawSet(t, "a"), drawSet(t, "more")
		if v.HasQuorum(a) && !v.HasQuorum(a.Or(more)) {
			t.Fatalf("%v is a quorum but %v is not", a, a.Or(more))
		}
		if v.HasQuorum(a) != v.HasQuorum(a.And(v.Voters())) {
			t.Fatalf("servers outside the voters changed the answer for %v", a)
		}
	})
}

// hazard H-50: a question about an unknown server has an answer.
func TestVerifiersAreTotal(t *testing.T) {
	h, err := quorum.NewHierarchical([]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{1, 3}, {2, 0}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []quorum.Verifier{h, quorum.NewMajority(quorum.SetOf(1, 2)), quorum.Majority{}} {
		for _, sid := range []quorum.SID{quorum.None, 3, 200, quorum.MaxSID, quorum.MaxSID + 1, -7} {
			if w := v.Weight(sid); w != 0 {
				t.Errorf("%T: weight of unknown server %d = %d, want 0", v, sid, w)
			}
		}
		if v.HasQuorum(quorum.SetOf(3, 4, 5, 6, 255)) || v.HasQuorum(quorum.Set{}) {
			t.Errorf("%T: a set without voters is a quorum", v)
		}
	}
	if h.Weight(1) != 3 || h.Weight(2) != 0 || !h.Voters().Has(2) {
		t.Errorf("weights %d, %d voters %v; want 3, 0 and server 2 among the voters", h.Weight(1), h.Weight(2), h.Voters())
	}
}

func TestMajority(t *testing.T) {
	for n := 1; n <= 9; n++ {
		var voters, acks quorum.Set
		for i := range n {
			voters.Add(quorum.SID(i))
		}
		v := quorum.NewMajority(voters)
		for i := range n {
			if got, want := v.HasQuorum(acks), 2*i > n; got != want {
				t.Errorf("%d of %d: quorum = %v, want %v", i, n, got, want)
			}
			acks.Add(quorum.SID(i))
		}
	}
}

// The layout of the ZooKeeper guide: three groups of three, of which two must agree.
func TestHierarchicalNeedsMajorityOfGroups(t *testing.T) {
	var groups []quorum.Group
	for g := range 3 {
		group := quorum.Group{ID: g + 1}
		for i := range 3 {
			group.Servers = append(group.Servers, quorum.Weighted{SID: quorum.SID(3*g + i + 1), Weight: 1})
		}
		groups = append(groups, group)
	}
	zero := quorum.Group{ID: 4, Servers: []quorum.Weighted{{10, 0}, {11, 0}}}
	h, err := quorum.NewHierarchical(append(groups, zero))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		acks quorum.Set
		want bool
	}{
		{quorum.SetOf(1, 2, 4, 5), true},
		{quorum.SetOf(1, 2, 3, 4, 7), false}, // one group and two minorities: five of nine are not enough
		{quorum.SetOf(1, 2, 3, 10, 11), false},
		{quorum.SetOf(1, 2, 4, 7, 8), true},
	} {
		if got := h.HasQuorum(c.acks); got != c.want {
			t.Errorf("HasQuorum(%v) = %v, want %v", c.acks, got, c.want)
		}
	}
}

func TestHierarchicalRefusals(t *testing.T) {
	for _, c := range []struct {
		groups []quorum.Group
		want   string
	}{
		{[]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{1, 1}}}, {ID: 2, Servers: []quorum.Weighted{{1, 1}}}}, "Server 1 is in multiple groups"},
		{[]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{1, 1}}}, {ID: 1, Servers: []quorum.Weighted{{2, 1}}}}, "group 1 is defined twice"},
		{[]quorum.Group{{ID: 1}}, "group 1 has no server"},
		{[]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{1, -1}}}}, "weight -1 of server 1 is outside 0..1073741824"},
		{[]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{256, 1}}}}, "group 1: server id 256 is outside 0..255"},
		{[]quorum.Group{{ID: 1, Servers: []quorum.Weighted{{1, 0}}}}, "no group has any weight: there can be no quorum"},
		{nil, "no group has any weight: there can be no quorum"},
	} {
		_, err := quorum.NewHierarchical(c.groups)
		if fmt.Sprint(err) != c.want {
			t.Errorf("%v: got %v, want %s", c.groups, err, c.want)
		}
	}
}

func TestTracker(t *testing.T) {
	var tr quorum.Tracker
	if tr.HasAllQuorums() || tr.Ack(1) {
		t.Fatal("a tracker without a verifier counted something")
	}
	tr.AddVerifier(quorum.NewMajority(quorum.SetOf(1, 2, 3)))
	if tr.Ack(4) || tr.Has(4) || tr.Ack(quorum.None) {
		t.Fatal("an acknowledgement of a server that is no voter counted [H-49]")
	}
	for range 2 { // saying it again changes nothing
		if !tr.Ack(1) || tr.HasAllQuorums() {
			t.Fatal("one of three is a quorum, or server 1 did not count")
		}
	}
	tr.Ack(2)
	if !tr.HasAllQuorums() || !tr.Has(2) || tr.Has(3) {
		t.Fatal("two of three are no quorum")
	}
	tr.AddVerifier(quorum.NewMajority(quorum.SetOf(2, 4, 5)))
	if tr.HasAllQuorums() {
		t.Fatal("a quorum of the old rule alone must not do while the new one is pending")
	}
	tr.Ack(5)
	if !tr.HasAllQuorums() || tr.Acks() != quorum.SetOf(1, 2, 5) {
		t.Fatalf("acks %v are quorums of {1 2 3} and {2 4 5}", tr.Acks())
	}
}

func TestTrackerAgreesWithVerifiers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, next := drawVerifier(t), drawVerifier(t)
		tr := quorum.NewTracker(old, next)
		acks := drawSet(t, "acks")
		for sid := range acks.All() {
			counts := old.Voters().Has(sid) || next.Voters().Has(sid)
			if got := tr.Ack(sid); got != counts {
				t.Fatalf("Ack(%v) = %v, want %v", sid, got, counts)
			}
		}
		if got, want := tr.HasAllQuorums(), old.HasQuorum(acks) && next.HasQuorum(acks); got != want {
			t.Fatalf("HasAllQuorums = %v, want %v", got, want)
		}
	})
}
