package sim

import (
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// model is what a log must hold. It ignores trimming: base moves by Install alone.
type model struct {
	base        zxid.Point
	entries     []zxid.Point
	staged      []zxid.Point
	promise     zab.Promise
	current     zxid.Epoch
	known       []zab.Known
	incarnation quorum.Incarnation
	members     quorum.Membership // zero as long as nothing was written
}

func (m *model) last() zxid.Point {
	if n := len(m.entries); n > 0 {
		return m.entries[n-1]
	}
	return m.base
}

func (m *model) clone() model {
	c := *m
	c.entries, c.staged = slices.Clone(m.entries), slices.Clone(m.staged)
	return c
}

func (m *model) stage(entries []zab.Entry) {
	for i := range entries {
		m.staged = append(m.staged, entries[i].Point())
	}
}

// apply does what a step does.
func (m *model) apply(p *zab.Persist) {
	if p.Promise != nil {
		m.promise = *p.Promise
	}
	if p.Install != nil {
		m.base, m.entries, m.staged = *p.Install, m.staged, nil
	}
	if p.Truncate != nil {
		n := len(m.entries)
		for n > 0 && m.entries[n-1].ID > p.Truncate.ID {
			n--
		}
		m.entries = m.entries[:n:n]
	}
	for i := range p.Append {
		m.entries = append(m.entries, p.Append[i].Point())
	}
	if p.Current != nil {
		m.current = *p.Current
	}
	if p.Known != nil {
		m.known = p.Known
	}
	if !p.Membership.IsZero() {
		m.members = p.Membership
	}
}

// point returns the point of the history at id.
func (m *model) point(id zxid.ID) (zxid.Point, bool) {
	if id == m.base.ID {
		return m.base, true
	}
	i, found := slices.BinarySearchFunc(m.entries, id, func(p zxid.Point, id zxid.ID) int { return p.Compare(zxid.Point{ID: id}) })
	if !found {
		return zxid.Point{}, false
	}
	return m.entries[i], true
}

// holds reports whether the history passes through p, as far as it is known.
func (m *model) holds(p zxid.Point) bool {
	if p.ID < m.base.ID {
		return true
	}
	at, ok := m.point(p.ID)
	return ok && at == p
}

// has reports whether p is in the history, or in what a snapshot has in its place.
func (m *model) has(p zxid.Point) bool { return p.ID <= m.last().ID && m.holds(p) }

// remembers returns the incarnation known of a voter.
func (m *model) remembers(sid quorum.SID) quorum.Incarnation {
	for _, k := range m.known {
		if k.SID == sid {
			return k.Incarnation
		}
	}
	return quorum.Incarnation{}
}

// differs says in what a log is not what it must be.
func (m *model) differs(d *zab.Durable) string {
	switch {
	case !m.incarnation.IsZero() && d.Incarnation != m.incarnation:
		return fmt.Sprintf("it is incarnation %v, was %v", d.Incarnation, m.incarnation)
	case d.Promise != m.promise || d.Current != m.current:
		return fmt.Sprintf("it has promised %v and is in epoch %d, was %v and %d", d.Promise, d.Current, m.promise, m.current)
	case d.History.Last() != m.last():
		return fmt.Sprintf("its log ends at %v, ended at %v", d.History.Last(), m.last())
	case d.History.Base.ID < m.base.ID || !m.holds(d.History.Base):
		return fmt.Sprintf("its log begins at %v, began at %v", d.History.Base, m.base)
	case d.Membership.IsZero() != m.members.IsZero() || !m.members.IsZero() && !d.Membership.Equal(m.members):
		return fmt.Sprintf("its membership is %s, was %s", describeMembers(d.Membership), describeMembers(m.members))
	case !slices.Equal(d.Known, m.known):
		return fmt.Sprintf("it knows %v, knew %v", d.Known, m.known)
	case d.Untrusted:
		return "it does not trust itself"
	}
	return ""
}

// describe prints a step.
func describe(p *zab.Persist) string {
	if p == nil {
		return "stage"
	}
	out := fmt.Sprintf("step %d:", p.Token)
	if p.Promise != nil {
		out += fmt.Sprintf(" promise %d to %v", p.Promise.Epoch, p.Promise.Leader)
	}
	if p.Install != nil {
		out += fmt.Sprintf(" install %v", *p.Install)
	}
	if p.Truncate != nil {
		out += fmt.Sprintf(" truncate %v", *p.Truncate)
	}
	if n := len(p.Append); n > 0 {
		out += fmt.Sprintf(" append %v..%v", p.Append[0].ID, p.Append[n-1].Point())
	}
	if p.Current != nil {
		out += fmt.Sprintf(" current %d", *p.Current)
	}
	if p.Known != nil {
		out += fmt.Sprintf(" known %v", p.Known)
	}
	if !p.Membership.IsZero() {
		out += " members " + describeMembers(p.Membership)
	}
	return out
}
