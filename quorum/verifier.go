package quorum

import (
	"cmp"
	"fmt"
	"slices"
)

// Verifier decides whether a set of servers is a quorum. Implementations are
// immutable and total: any set and any id may be asked about (hazard H-50).
type Verifier interface {
	// HasQuorum reports whether the voters in s are a quorum. Members of s that
	// are not voters do not count.
	HasQuorum(s Set) bool
	// Weight returns what sid's vote counts: 0 for a server that is no voter, and
	// for a voter that was configured so. A server of weight 0 may vote but neither
	// counts nor leads.
	Weight(sid SID) int
	// Voters returns every server whose vote is listened to.
	Voters() Set
}

// Majority is the verifier in which each voter counts one and more than half
// of them are a quorum.
type Majority struct {
	voters Set
	need   int
}

var _ Verifier = Majority{}

// NewMajority returns the majority rule over the given voters. Without voters
// there is no quorum.
func NewMajority(voters Set) Majority {
	return Majority{voters: voters, need: voters.Len()/2 + 1}
}

// HasQuorum reports whether s holds more than half of the voters. The zero
// Majority has no voters and so never a quorum.
func (m Majority) HasQuorum(s Set) bool {
	n := s.And(m.voters).Len()
	return n > 0 && n >= m.need
}

// Weight returns 1 for a voter and 0 for anybody else.
func (m Majority) Weight(sid SID) int {
	if m.voters.Has(sid) {
		return 1
	}
	return 0
}

// Voters returns the voters.
func (m Majority) Voters() Set { return m.voters }

// Group is one group of a hierarchical quorum: group.<ID> with the weights of
// its servers.
type Group struct {
	ID      int
	Servers []Weighted
}

// Weighted is a server of a group with its weight.
type Weighted struct {
	SID    SID
	Weight int
}

// MaxWeight bounds the weight of one server, so that no sum of weights overflows.
const MaxWeight = 1 << 30

// Hierarchical is the verifier of group.N and weight.N: a quorum holds more than
// half of the weight in more than half of the groups. Groups whose weights
// add up to nothing are not counted.
type Hierarchical struct {
	groups []Group // sorted by id, servers by sid
	totals []int   // weight of groups[i]
	voters Set
	need   int // groups of which a majority is needed
}

var _ Verifier = (*Hierarchical)(nil)

// NewHierarchical checks and copies the groups. It refuses a server that is in two
// groups, a repeated group id, a negative or absurd weight, and groups that have
// no weight at all, since they could never form a quorum.
func NewHierarchical(groups []Group) (*Hierarchical, error) {
	h := &Hierarchical{groups: cloneGroups(groups)}
	counted := 0
	for i, g := range h.groups {
		if i > 0 && h.groups[i-1].ID == g.ID {
			return nil, fmt.Errorf("group %d is defined twice", g.ID)
		}
		if len(g.Servers) == 0 {
			return nil, fmt.Errorf("group %d has no server", g.ID)
		}
		total := 0
		for _, w := range g.Servers {
			if w.SID < 0 || w.SID > MaxSID {
				return nil, fmt.Errorf("group %d: server id %d is outside 0..%d", g.ID, int(w.SID), int(MaxSID))
			}
			if h.voters.Has(w.SID) {
				return nil, fmt.Errorf("Server %v is in multiple groups", w.SID) //nolint:staticcheck // upstream's text
			}
			if w.Weight < 0 || w.Weight > MaxWeight {
				return nil, fmt.Errorf("weight %d of server %v is outside 0..%d", w.Weight, w.SID, MaxWeight)
			}
			h.voters.Add(w.SID)
			total += w.Weight
		}
		h.totals = append(h.totals, total)
		if total > 0 {
			counted++
		}
	}
	if counted == 0 {
		return nil, fmt.Errorf("no group has any weight: there can be no quorum")
	}
	h.need = counted/2 + 1
	return h, nil
}

// HasQuorum reports whether s has the majority of weight in a majority of the
// groups that have weight.
func (h *Hierarchical) HasQuorum(s Set) bool {
	won := 0
	for i, g := range h.groups {
		sum := 0
		for _, w := range g.Servers {
			if s.Has(w.SID) {
				sum += w.Weight
			}
		}
		if sum > h.totals[i]/2 {
			won++
		}
	}
	return won >= h.need
}

// Weight returns the configured weight, 0 for a server in no group.
func (h *Hierarchical) Weight(sid SID) int {
	if !h.voters.Has(sid) {
		return 0
	}
	for _, g := range h.groups {
		for _, w := range g.Servers {
			if w.SID == sid {
				return w.Weight
			}
		}
	}
	return 0
}

// Voters returns the servers of all groups, those of weight 0 included.
func (h *Hierarchical) Voters() Set { return h.voters }

// Groups returns a copy of the groups, sorted by id and their servers by sid.
func (h *Hierarchical) Groups() []Group { return cloneGroups(h.groups) }

// cloneGroups copies groups deeply into canonical order.
func cloneGroups(groups []Group) []Group {
	out := slices.Clone(groups)
	for i := range out {
		out[i].Servers = slices.Clone(out[i].Servers)
		slices.SortStableFunc(out[i].Servers, func(a, b Weighted) int { return cmp.Compare(a.SID, b.SID) })
	}
	slices.SortStableFunc(out, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
