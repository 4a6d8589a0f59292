package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Membership returns the configurations that the role works with.
func (l *learner) Membership() quorum.Membership { return l.view }

// Heir returns who leads next without an election, or quorum.None. It is set when the role
// ends because its leader has left the ensemble.
func (l *learner) Heir() quorum.SID { return l.heir }

// Enlisted reports whether an observer has learnt that it is a voter for its leader: of a
// configuration that was proposed while it heard of committed history alone. The quorum that has
// to complete the reconfiguration may need it, so its next role is to be a Follower.
func (l *learner) Enlisted() bool { return l.enlisted }

// see takes over a configuration that the last transaction received proposes. It goes to disk
// with it: who holds the transaction knows the configuration (spec 15.3).
func (l *learner) see(m Message) bool {
	switch {
	case !l.told():
		l.illegal(m)
	case m.Proposed.Version() != l.last.ID:
		l.stop(fmt.Sprintf("protocol error: configuration %v proposed at %v", m.Proposed.Version(), l.last.ID))
	default:
		// A leader proposes one at a time: what was seen before is committed, though a learner that
		// joins may not have been told yet.
		l.setView(quorum.Membership{Committed: l.view.Seen, Seen: m.Proposed})
		l.event(EventReconfig, l.leader, l.last.ID, fmt.Sprintf("proposed: %v", m.Proposed.Voters()))
		return l.vote()
	}
	return false
}

// told reports whether NEWLEADER has said which configurations go with the history.
func (l *learner) told() bool { return l.state > receiving || l.accept != nil }

// membership takes over what NEWLEADER says of the configurations, and reports whether the
// leader may be followed. A configuration without a version is the leader's file: it
// stands against the one that is here, and is no news (spec 15.8, hazard H-83).
func (l *learner) membership(m Message) bool {
	if m.Membership.IsZero() || m.Membership.Seen.Version() == 0 {
		return true
	}
	if is, was := m.Membership.Seen.Version(), l.view.Committed.Version(); is < was {
		l.refuse(fmt.Sprintf("leader knows configuration %v, this server %v", is, was))
		return false
	}
	if l.view.Committed.Version() <= m.Membership.Committed.Version() {
		l.view = m.Membership
	} else {
		l.view = quorum.Membership{Committed: l.view.Committed, Seen: m.Membership.Seen}
	}
	return l.vote()
}

// setView makes m the membership. As long as NEWLEADER is not accepted it goes to disk with
// that (see acceptNewLeader), and not before.
func (l *learner) setView(m quorum.Membership) {
	l.view = m
	if l.state > receiving {
		l.step.Membership, l.out.Membership = m, m
	}
}

// settle puts the configuration in force that was seen last. Whoever has another role in it, or
// another leader, takes that up once all up to here is delivered (spec 15.5).
func (l *learner) settle(m Message) {
	l.setView(l.view.Settled())
	next := l.view.Committed
	l.event(EventReconfig, l.leader, next.Version(), fmt.Sprintf("in force: %v", next.Voters()))
	if m.Activate && m.Designated != l.leader {
		l.heir = m.Designated
		l.leave(fmt.Sprintf("leader %v has left the ensemble", l.leader))
	}
	l.checkRole()
}

// checkRole ends the role if the configuration in force gives this server another one. Whoever is not in it
// follows without a vote: as an observer it could not be counted when it is to join again.
func (l *learner) checkRole() {
	role := l.view.Role(l.self)
	switch {
	case (role == quorum.Observer) == (l.info == ObserverInfo):
	case !l.view.SIDs().Has(l.self):
		l.leave("this server is no observer any more")
	default:
		l.leave("this server is " + role.String() + " now")
	}
}

// leave ends the role once all that is committed so far is delivered.
func (l *learner) leave(why string) {
	if l.retire == "" {
		l.retire, l.retireAt = why, l.committed
	}
}
