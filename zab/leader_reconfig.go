package zab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// A reconfiguration is a proposal like any other, but for what must hold it: from its own zxid
// on, a quorum of the committed configuration and one of the proposed, until it is committed;
// from then on the new configuration decides alone (spec zab-and-election 15.3; hazards H-80,
// H-81). No two are under way at once.
//
// A leader that finds one in its history when it begins completes it: both quorums must
// promise and accept NEWLEADER, and the establishment of the epoch commits it (15.6; hazard
// H-82). Apache asks only the committed configuration for promises, so that servers which
// know more than the leader may be cut back.

// Errors of CheckReconfig.
var (
	// ErrReconfigInProgress: another reconfiguration is not committed yet.
	ErrReconfigInProgress = errors.New("zab: a reconfiguration is in progress")
	// ErrNewConfigNoQuorum: no quorum of the new configuration is connected and synchronised.
	ErrNewConfigNoQuorum = errors.New("zab: no quorum of the new configuration is synchronised")
)

// Membership returns the configurations that the role works with.
func (l *Leader) Membership() quorum.Membership { return l.view }

// CheckReconfig reports whether a reconfiguration to next could be proposed now. Observers
// count for nothing here, even those that next makes voters: they have acknowledged nothing. That a
// quorum of next has noted whom to believe follows when it acknowledges the proposal, for it was told
// before (spread).
func (l *Leader) CheckReconfig(next *quorum.Ensemble) error {
	if err := l.MayReconfigure(); err != nil {
		return err
	}
	ready := quorum.SetOf(l.self)
	for _, p := range l.links {
		if p.follower && p.state == linkSynced && l.mayCount(p) {
			ready.Add(p.sid)
		}
	}
	if !next.Verifier().HasQuorum(ready) {
		return fmt.Errorf("%w: only %v of %v", ErrNewConfigNoQuorum, ready.And(next.Voters()), next.Voters())
	}
	return nil
}

// MayReconfigure reports whether nothing stands against any reconfiguration: ErrNotLeading or
// ErrReconfigInProgress.
func (l *Leader) MayReconfigure() error {
	switch {
	case l.phase != Broadcast || l.leaving:
		return ErrNotLeading
	case l.view.Pending() || l.adopting():
		return ErrReconfigInProgress
	}
	return nil
}

// adopting reports whether a new incarnation of a voter is about to count: the
// quorum that makes it so must be one of the configuration that it counts in.
func (l *Leader) adopting() bool {
	return slices.ContainsFunc(l.voters, func(v *voter) bool { return v.joining })
}

// mayCount reports whether a follower counts, or would as a voter.
func (l *Leader) mayCount(p *link) bool {
	if p.voter != nil {
		return p.voter.trusted
	}
	known, ok := lookupKnown(l.known, p.sid)
	return (!ok || known == p.life) && !l.cfg.Distrusted.Has(p.sid)
}

// ProposeReconfig orders the transaction that makes next the configuration, of the version
// that is the transaction's zxid. Whether a quorum of it is there CheckReconfig has said before; a
// moment later is as good as now. Errors are those of Propose, and ErrReconfigInProgress.
func (l *Leader) ProposeReconfig(first zxid.ID, data []byte, next *quorum.Ensemble) error {
	if err := l.MayReconfigure(); err != nil {
		return err
	}
	before := l.win.last().ID
	if err := l.Propose(first, [][]byte{data}); err != nil {
		return err
	}
	l.before = before
	l.setView(quorum.Membership{Committed: l.view.Committed, Seen: next.WithVersion(first)})
	for sid := range next.Voters().All() {
		if l.voter(sid) == nil {
			l.enfranchise(sid)
		}
	}
	l.event(EventReconfig, l.self, first, fmt.Sprintf("proposed: %v", next.Voters()))
	l.assert()
	return nil
}

// setView makes m the membership, on disk with the step that is being filled.
func (l *Leader) setView(m quorum.Membership) {
	l.view, l.step.Membership, l.out.Membership = m, m, m
}

// membershipFor returns what a learner must know with the history that it is sent: an
// observer hears of nothing that is not committed.
func (l *Leader) membershipFor(p *link) quorum.Membership {
	if p.follower {
		return l.view
	}
	return quorum.Stable(l.view.Committed)
}

// enfranchise makes a server a voter, with what is known of it.
func (l *Leader) enfranchise(sid quorum.SID) {
	v := &voter{sid: sid, trusted: true}
	l.voters = append(l.voters, v)
	slices.SortFunc(l.voters, func(a, b *voter) int { return int(a.sid) - int(b.sid) })
	p := l.link(sid)
	if p == nil || !p.follower {
		return
	}
	l.meet(v, p.life, false)
	p.voter = v
	if p.state == linkSynced {
		l.accept(p)
	}
}

// held reports whether what is proposed up to z is durable at a quorum of every
// configuration that has a say in it.
func (l *Leader) held(z zxid.ID) bool {
	holders := l.trusted(func(v *voter) bool { return v.acked >= z })
	if l.view.Pending() && z < l.view.Seen.Version() {
		return l.view.Committed.Verifier().HasQuorum(holders)
	}
	return l.view.HasQuorum(holders)
}

// activate puts the configuration in force whose commit has just been found.
func (l *Leader) activate() {
	next := l.view.Seen
	designated := l.designate(next)
	l.announceAll(next.Version(), &Message{Activate: true, Designated: designated, Proposed: next})
	l.settle()
	if designated != l.self {
		l.leave(designated)
		return
	}
	l.disfranchise(next.Voters())
}

// settle makes the configuration that was seen the committed one.
func (l *Leader) settle() {
	l.setView(l.view.Settled())
	l.event(EventReconfig, l.self, l.view.Committed.Version(), fmt.Sprintf("in force: %v", l.view.Committed.Voters()))
}

// leave makes this server give up, once everybody has had time to hear why.
func (l *Leader) leave(heir quorum.SID) {
	l.leaving, l.heir, l.leftAt = true, heir, l.now
}

// left reports whether nothing is left to do: the reconfiguration is delivered here, and the
// learners have gone to the new leader, or have not for a tickTime.
func (l *Leader) left() bool {
	if !l.leaving || l.phase != Broadcast || l.delivered < l.committed {
		return false
	}
	return l.now > l.leftAt+1 || !slices.ContainsFunc(l.links, (*link).forwarded)
}

// disfranchise leaves only these voters.
func (l *Leader) disfranchise(left quorum.Set) {
	gone := func(v *voter) bool { return !left.Has(v.sid) }
	for _, p := range l.links {
		if p.voter != nil && gone(p.voter) {
			p.voter = nil
		}
	}
	l.voters = slices.DeleteFunc(l.voters, gone)
	l.disown(left)
}

// disown forgets the incarnations of servers that are no voters any more. Whoever is a voter
// again later counts at once: what the former life promised, it promised under a
// configuration whose quorums all know of the new one.
func (l *Leader) disown(voters quorum.Set) {
	for _, k := range l.known {
		if !voters.Has(k.SID) {
			l.remember(Known{SID: k.SID, Gone: true})
		}
	}
}

// designate names the leader of a configuration: this server, if it is a voter at the same
// address still, or else the voter that has acknowledged the most (spec 15.4).
func (l *Leader) designate(next *quorum.Ensemble) quorum.SID {
	was, _ := l.view.Committed.Member(l.self)
	is, ok := next.Member(l.self)
	if ok && is.Role == quorum.Participant && slices.Equal(was.Quorum, is.Quorum) {
		return l.self
	}
	best := quorum.None
	var acked zxid.ID
	for _, v := range l.voters {
		if v != l.me && v.trusted && v.acked > acked && next.Verifier().Weight(v.sid) > 0 {
			best, acked = v.sid, v.acked
		}
	}
	return best
}

// Heir returns who leads next without an election, or quorum.None. It is set when the role
// ends because a configuration is in force that this server must not lead.
func (l *Leader) Heir() quorum.SID { return l.heir }
