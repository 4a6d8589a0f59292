package quorum

// Membership is what a server knows of the ensemble that it belongs to: the configuration
// that was committed last, and the one that it has seen last. They differ only while a
// reconfiguration is under way, from its proposal to its commit, and in that time a quorum
// must be one of both (spec zab-and-election 15.1, 15.3; hazards H-79 .. H-82).
//
// It is a Verifier itself, so that whoever counts votes needs to know nothing more. The
// zero value has no voters and never a quorum.
type Membership struct {
	Committed *Ensemble
	// Seen is never older than Committed.
	Seen *Ensemble
}

var _ Verifier = Membership{}

// Stable returns the membership while no reconfiguration is under way.
func Stable(e *Ensemble) Membership { return Membership{Committed: e, Seen: e} }

// Pending reports whether a reconfiguration is under way.
func (m Membership) Pending() bool {
	return m.Seen != m.Committed && m.Seen.Version() > m.Committed.Version()
}

// IsZero reports whether nothing is known.
func (m Membership) IsZero() bool { return m.Committed == nil }

// Settled returns the membership after the reconfiguration under way was committed.
func (m Membership) Settled() Membership { return Stable(m.Seen) }

// HasQuorum reports whether s holds a quorum of both configurations.
func (m Membership) HasQuorum(s Set) bool {
	if m.IsZero() || !m.Committed.Verifier().HasQuorum(s) {
		return false
	}
	return !m.Pending() || m.Seen.Verifier().HasQuorum(s)
}

// Voters returns the voters of either configuration.
func (m Membership) Voters() Set {
	if m.IsZero() {
		return Set{}
	}
	return m.Committed.Voters().Or(m.Seen.Voters())
}

// Weight returns the weight of sid in the committed configuration, or, if it has none there,
// in the one that was seen: more than 0 for whoever counts somewhere.
func (m Membership) Weight(sid SID) int {
	if m.IsZero() {
		return 0
	}
	if w := m.Committed.Verifier().Weight(sid); w > 0 {
		return w
	}
	return m.Seen.Verifier().Weight(sid)
}

// Role returns what a server is to be: an observer if it is listed as one and votes in
// neither configuration. Whoever is in none follows without a vote, as one that is to join.
func (m Membership) Role(sid SID) Role {
	if m.SIDs().Has(sid) && !m.Voters().Has(sid) {
		return Observer
	}
	return Participant
}

// SIDs returns the members of either configuration.
func (m Membership) SIDs() Set {
	if m.IsZero() {
		return Set{}
	}
	return m.Committed.SIDs().Or(m.Seen.SIDs())
}

// Partners returns the servers with which self wants an election connection. Two of which neither votes
// have nothing to elect between them.
func (m Membership) Partners(self SID) Set {
	out := m.SIDs()
	if !m.Voters().Has(self) {
		out = out.And(m.Voters())
	}
	out.Remove(self)
	return out
}

// Learn returns the membership of a server that hears of a newer committed configuration, away from the
// history that has committed it. What it has seen and is newer still stays so.
func (m Membership) Learn(committed *Ensemble) Membership {
	out := Stable(committed)
	if m.Seen.Version() > committed.Version() {
		out.Seen = m.Seen
	}
	return out
}

// Member returns the member of that id as the latest configuration describes it that has it.
func (m Membership) Member(sid SID) (Member, bool) {
	if m.IsZero() {
		return Member{}, false
	}
	if found, ok := m.Seen.Member(sid); ok {
		return found, true
	}
	return m.Committed.Member(sid)
}

// Equal reports whether both configurations agree, versions included.
func (m Membership) Equal(o Membership) bool {
	return m.Committed.Equal(o.Committed) && m.Seen.Equal(o.Seen)
}
