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

	history   Summary
	needSnap  bool
	promised  bool       // the epoch, for the first time
	untrusted bool       // by its own word
	pos       zxid.Point // the end of what the learner has, while it is synchronised
	stream    Stream     // running in state linkStreaming
	end       zxid.Point // the point of its NEWLEADER
	acked     zxid.ID    // its last acknowledgement
	due       zxid.ID    // what it owes one for,
	dueSince  int        // and since which tick
	confirmed uint64     // the last round of confirmation that it has answered
	knownSeq  uint64     // Leader.knownSeq at the time it was last told
	offered   []Known    // the incarnations sent with NEWLEADER
	told      []Known    // the incarnations that are on its disk
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

// insert puts a link into the sorted list.
func (l *Leader) insert(p *link) {
	i, _ := slices.BinarySearchFunc(l.links, p.sid, func(q *link, sid quorum.SID) int { return int(q.sid) - int(sid) })
	l.links = slices.Insert(l.links, i, p)
	l.bySID[p.sid] = p
}
