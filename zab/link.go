package zab

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// link is a leader's side of its link to one learner.
type link struct {
	sid      quorum.SID
	follower bool // or observer
	life     quorum.Incarnation
	voter    *voter // nil for observers and for servers that are no voters yet
	state    linkState

	// proof is the last tick of which it is known that the learner heard the leader
	// during or after it and could answer (hazard H-53).
	proof int

	history  Summary
	needSnap bool
	pos      zxid.Point // the end of what the learner has, while it is synchronised
	stream   Stream     // running in state linkStreaming
	end      zxid.Point // the point of its NEWLEADER
	acked    zxid.ID    // its last acknowledgement
	knownSeq uint64     // Leader.knownSeq at the time it was told
}

// linkState is what a leader expects of a learner.
type linkState uint8

const (
	linkGreeted   linkState = iota // *INFO received; nothing until LEADERINFO
	linkOffered                    // LEADERINFO sent; ACKEPOCH
	linkPromised                   // ACKEPOCH received; nothing until synchronisation
	linkStreaming                  // history comes from disk
	linkForwarded                  // NEWLEADER sent, in the live stream since; its ACK
	linkSynced                     // NEWLEADER acknowledged
	linkStateCount
)

var linkStateNames = [linkStateCount]string{
	"before LEADERINFO", "before ACKEPOCH", "before synchronisation", "in synchronisation",
	"before ACK of NEWLEADER", "in broadcast",
}

// counts reports whether what the learner says counts in a quorum.
func (p *link) counts() bool { return p.voter != nil && p.voter.trusted }

// forwarded reports whether the learner is in the live stream.
func (p *link) forwarded() bool { return p.state >= linkForwarded }

// meet starts to listen to one incarnation of a voter. What another one has promised
// or acknowledged is void. It is trusted if it is the one that is remembered, or if
// nobody remembers any (design "Empty, wiped and duplicated members").
func (l *Leader) meet(v *voter, life quorum.Incarnation, untrusted bool) {
	trusted := v.trusted
	if v.life != life {
		trusted = v.life.IsZero()
		*v = voter{sid: v.sid, life: life}
	}
	if known, ok := lookupKnown(l.known, v.sid); ok {
		trusted = known == life
	}
	v.trusted = trusted
	if !trusted || untrusted || l.cfg.Distrusted.Has(v.sid) {
		v.distrust()
	}
}

// distrust makes a voter count for nothing until it is adopted.
func (v *voter) distrust() { *v = voter{sid: v.sid, life: v.life} }

// adopt makes a voter count that has accepted NEWLEADER of this epoch, which was
// established without it if it was not trusted, and remembers its incarnation.
func (l *Leader) adopt(p *link) {
	if !p.voter.trusted {
		p.voter.trusted = true
		l.cfg.Distrusted.Remove(p.sid)
		l.event(EventSynced, p.sid, p.end.ID, "counts from now on")
	}
	p.voter.accepted = true
	p.voter.acked = max(p.voter.acked, p.acked)
	l.remember([]Known{{SID: p.sid, Incarnation: p.voter.life}})
}

// remember notes incarnations, durably and for the learners.
func (l *Leader) remember(told []Known) {
	if merged, changed := mergeKnown(l.known, told); changed {
		l.known, l.step.Known = merged, merged
		l.knownSeq++
	}
}

// insert puts a link into the sorted list.
func (l *Leader) insert(p *link) {
	i, _ := slices.BinarySearchFunc(l.links, p.sid, func(q *link, sid quorum.SID) int { return int(q.sid) - int(sid) })
	l.links = slices.Insert(l.links, i, p)
	l.bySID[p.sid] = p
}
