package quorum

// Tracker collects the acknowledgements of one thing (a proposal, a NEWLEADER, a
// vote) under one or several verifiers. It has one owner; the zero Tracker has no
// verifier and never a quorum.
type Tracker struct {
	verifiers []Verifier
	voters    Set // union over the verifiers
	acks      Set // always a subset of voters
}

// NewTracker returns a tracker under the given verifiers.
func NewTracker(verifiers ...Verifier) *Tracker {
	t := &Tracker{}
	for _, v := range verifiers {
		t.AddVerifier(v)
	}
	return t
}

// AddVerifier adds a rule that must be satisfied too. Acknowledgements that have
// been counted so far count under it as well where their server is a voter of it.
func (t *Tracker) AddVerifier(v Verifier) {
	t.verifiers = append(t.verifiers, v)
	t.voters = t.voters.Or(v.Voters())
}

// Ack records the acknowledgement of sid and reports whether it counts: whether
// sid is a voter of at least one verifier. An observer's never does (hazard H-49).
func (t *Tracker) Ack(sid SID) bool {
	if !t.voters.Has(sid) {
		return false
	}
	t.acks.Add(sid)
	return true
}

// Has reports whether sid has acknowledged and counts.
func (t *Tracker) Has(sid SID) bool { return t.acks.Has(sid) }

// Acks returns who has acknowledged and counts.
func (t *Tracker) Acks() Set { return t.acks }

// HasAllQuorums reports whether the acknowledgements are a quorum under every
// verifier. Without a verifier the answer is no: nothing vouches for anything.
func (t *Tracker) HasAllQuorums() bool {
	for _, v := range t.verifiers {
		if !v.HasQuorum(t.acks) {
			return false
		}
	}
	return len(t.verifiers) > 0
}
