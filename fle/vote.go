package fle

import (
	"cmp"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Compare orders votes by (epoch, zxid, leader). It is a total order and the same on
// every server: mixed rules would never settle [ZOOKEEPER-1419, hazard H-43].
func (v Vote) Compare(w Vote) int {
	return cmp.Or(
		cmp.Compare(v.Epoch, w.Epoch),
		cmp.Compare(v.Zxid, w.Zxid),
		cmp.Compare(v.Leader, w.Leader),
	)
}

// better reports whether v is to replace cur: it names a server that may lead at all, and
// it is strictly greater. Of two equal histories that of a voter of the committed configuration counts
// more: everybody knows it, and needs no hearsay to find it.
func better(m quorum.Membership, v, cur Vote) bool {
	if m.Weight(v.Leader) <= 0 {
		return false
	}
	if m.Pending() && v.Epoch == cur.Epoch && v.Zxid == cur.Zxid && m.Weight(cur.Leader) > 0 {
		if now, was := m.Committed.Verifier().Weight(v.Leader) > 0, m.Committed.Verifier().Weight(cur.Leader) > 0; now != was {
			return now
		}
	}
	return v.Compare(cur) > 0
}

// ballot is the last word of one server in an election.
type ballot struct {
	state State
	vote  Vote
	round uint64
}

// agrees reports whether two ballots vote alike. Members of an established ensemble
// legitimately differ in zxid and round, so that between them leader and epoch decide
// [ZOOKEEPER-1732, 1805, 1818; hazard H-44].
func (b ballot) agrees(c ballot) bool {
	if b.state == Looking || c.state == Looking {
		return b.vote == c.vote && b.round == c.round
	}
	return b.vote.Leader == c.vote.Leader && b.vote.Epoch == c.vote.Epoch
}

// ballots holds one ballot per voter.
type ballots map[quorum.SID]ballot

// supporters returns the counted voters whose ballots agree with b.
func (bs ballots) supporters(voters quorum.Set, b ballot) quorum.Set {
	var s quorum.Set
	for sid := range voters.All() {
		if c, ok := bs[sid]; ok && c.agrees(b) {
			s.Add(sid)
		}
	}
	return s
}

// ledBy reports whether the leader itself has said that it leads. Without its word a
// partial view, of followers that still point at a dead leader, could elect a ghost
// [ZOOKEEPER-975, hazard H-42].
func (bs ballots) ledBy(leader quorum.SID) bool {
	b, ok := bs[leader]
	return ok && b.state == Leading
}
