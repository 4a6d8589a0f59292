package quorum

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ErrUnknownKey is returned by Builder.Set for a key that is not part of a membership.
var ErrUnknownKey = errors.New("Unrecognised parameter") //nolint:staticcheck // upstream's text

// Builder puts an Ensemble together from the entries server.N, group.N and
// weight.N in whatever order they come. The zero Builder is ready to use.
type Builder struct {
	members []Member
	groups  []Group // weights filled in by Build
	grouped Set
	weights [MaxSID + 1]int
	weighed Set
}

// IsMemberKey reports whether key is one that Set takes: server.*, group.* or weight.*.
func IsMemberKey(key string) bool {
	return strings.HasPrefix(key, "server.") || strings.HasPrefix(key, "group.") || strings.HasPrefix(key, "weight.")
}

// Set takes one entry. Setting the same server, group or weight twice is an error.
func (b *Builder) Set(key, value string) error {
	switch kind, id, _ := strings.Cut(key, "."); kind {
	case "server":
		sid, err := ParseSID(id)
		if err != nil {
			return err
		}
		m, err := ParseMember(sid, value)
		if err != nil {
			return err
		}
		for _, other := range b.members {
			if other.SID == sid {
				return fmt.Errorf("server.%v is defined twice", sid)
			}
		}
		b.members = append(b.members, m)
		return nil
	case "group":
		return b.setGroup(id, value)
	case "weight":
		return b.setWeight(id, value)
	}
	return fmt.Errorf("%w: %s", ErrUnknownKey, key)
}

func (b *Builder) setGroup(id, value string) error {
	gid, err := strconv.ParseInt(id, 10, 32)
	if err != nil || gid < 0 {
		return fmt.Errorf("group id %q is not a number of 0..%d", id, 1<<31-1)
	}
	g := Group{ID: int(gid)}
	for _, other := range b.groups {
		if other.ID == g.ID {
			return fmt.Errorf("group %d is defined twice", g.ID)
		}
	}
	for _, text := range split(value, ":") {
		sid, err := ParseSID(text)
		if err != nil {
			return err
		}
		if b.grouped.Has(sid) {
			return fmt.Errorf("Server %v is in multiple groups", sid) //nolint:staticcheck // upstream's text
		}
		b.grouped.Add(sid)
		g.Servers = append(g.Servers, Weighted{SID: sid})
	}
	b.groups = append(b.groups, g)
	return nil
}

func (b *Builder) setWeight(id, value string) error {
	sid, err := ParseSID(id)
	if err != nil {
		return err
	}
	if b.weighed.Has(sid) {
		return fmt.Errorf("weight.%v is defined twice", sid)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > MaxWeight {
		return fmt.Errorf("weight %q is not a number of 0..%d", value, MaxWeight)
	}
	b.weights[sid] = int(n)
	b.weighed.Add(sid)
	return nil
}

// Empty reports whether nothing has been set.
func (b *Builder) Empty() bool {
	return len(b.members) == 0 && len(b.groups) == 0 && b.weighed == Set{}
}

// Build makes the ensemble. A server without a weight has weight 1. One group or
// weight makes the quorum hierarchical, and then each participant needs a group.
// Observers that are listed in a group or given a weight are left out of the
// count (hazard H-49); servers that are not listed at all are an error.
func (b *Builder) Build(version zxid.ID) (*Ensemble, error) {
	var voters, all Set
	for _, m := range b.members {
		all.Add(m.SID)
		if m.Role == Participant {
			voters.Add(m.SID)
		}
	}
	for sid := range b.grouped.Or(b.weighed).All() {
		if !all.Has(sid) {
			return nil, fmt.Errorf("server %v has a group or a weight but no server.%v entry", sid, sid)
		}
	}
	if len(b.groups) > 0 || b.weighed != (Set{}) {
		for sid := range voters.All() {
			if !b.grouped.Has(sid) {
				return nil, fmt.Errorf("Server %v is not in a group", sid) //nolint:staticcheck // upstream's text
			}
		}
	}
	var groups []Group
	for _, g := range b.groups {
		kept := Group{ID: g.ID}
		for _, w := range g.Servers {
			w.Weight = 1
			if b.weighed.Has(w.SID) {
				w.Weight = b.weights[w.SID]
			}
			if voters.Has(w.SID) {
				kept.Servers = append(kept.Servers, w)
			}
		}
		if len(kept.Servers) > 0 {
			groups = append(groups, kept)
		}
	}
	return NewEnsemble(version, b.members, groups...)
}

// NotCounted returns the observers that were listed in a group or given a weight.
func (b *Builder) NotCounted() Set {
	var observers Set
	for _, m := range b.members {
		if m.Role == Observer {
			observers.Add(m.SID)
		}
	}
	return observers.And(b.grouped.Or(b.weighed))
}
