package fle

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Step takes a notification of another server.
func (m *Machine) Step(n Notification) {
	if n.From == m.cfg.Self || n.From < 0 || n.From > quorum.MaxSID || m.round == 0 {
		return
	}
	if n.Config != nil && n.Config.Version() > m.view.Committed.Version() && (m.newer == nil || n.Config.Version() > m.newer.Version()) {
		m.newer = n.Config
	}
	m.hearOf(n.Pending)
	m.answer(n)
	if m.state != Looking {
		return
	}
	if why := m.ignore(n); why != "" {
		m.event(EventIgnored, n.From, n.Vote, why)
		if n.State == Looking && m.counts(n.From) {
			m.stepWithdrawn(n)
		}
		return
	}
	switch n.State {
	case Looking:
		m.stepLooking(n)
	case Following, Leading, Observing:
		// Who observes and is a voter here has not heard of the configuration that makes it one.
		m.stepSettled(n)
	}
}

// answer tells the sender what this server knows, when that helps it (spec zab-and-election 3.3).
func (m *Machine) answer(n Notification) {
	if n.State != Looking {
		return
	}
	// A worse vote of the same round comes from a server that has not heard ours, unless ours is for
	// nobody who could lead: then it has.
	unheard := n.Round == m.round && m.proposal.Zxid != zxid.Untrusted && better(m.field, m.proposal, n.Vote)
	switch {
	case m.state != Looking, n.Round < m.round:
		m.tell(n.From)
	case unheard, !m.voters.Has(n.From):
		m.tellOnce(n.From)
	}
}

// tellOnce tells a server of the proposal, and then no more in this window of time, but once at its end.
// Two looking servers that are no voters for each other would answer each other for ever, and so would
// two that know of different configurations and disagree which of two votes is better.
func (m *Machine) tellOnce(sid quorum.SID) {
	if m.answered.Has(sid) {
		m.owed.Add(sid)
		return
	}
	m.answered.Add(sid)
	m.tell(sid)
}

// counts reports whether the votes of sid are counted.
func (m *Machine) counts(sid quorum.SID) bool {
	return m.voters.Has(sid) && !m.distrusted.Has(sid)
}

// ignore says why a notification is not taken into account, or "".
func (m *Machine) ignore(n Notification) string {
	switch {
	case !m.field.Voters().Has(n.From):
		return "not a voter"
	case n.State != Looking && m.field.Voters().Has(n.Vote.Leader):
		return "" // who leads, leads: see stepSettled
	case m.distrusted.Has(n.From):
		return "store of the voter was replaced"
	case n.State == Looking && n.Vote.Leader == quorum.None:
		return "does not stand"
	case !m.mayLead(n.Vote.Leader):
		return "names a server that cannot lead"
	case n.State == Looking && m.own.Zxid == zxid.Untrusted && m.role == quorum.Participant:
		return "own history is not trusted: waiting for an established leader"
	case n.State == Looking && n.Vote.Zxid == zxid.Untrusted:
		return "history of the candidate is not trusted"
	}
	return ""
}

// acceptable reports whether this server should vote v rather than cur.
func (m *Machine) acceptable(v, cur Vote) bool {
	if m.abstains() && v.Leader == m.cfg.Self || m.narrow && !m.committedVoter(v.Leader) {
		return false
	}
	return better(m.field, v, cur)
}

func (m *Machine) stepLooking(n Notification) {
	switch {
	case n.Round > m.round:
		m.round = n.Round
		proposal := m.ownVote()
		if m.acceptable(n.Vote, proposal) {
			proposal = n.Vote
		}
		m.enterRound(proposal)
	case n.Round < m.round:
		m.event(EventIgnored, n.From, n.Vote, fmt.Sprintf("of round %d, this is %d", n.Round, m.round))
		return
	case m.acceptable(n.Vote, m.proposal):
		m.event(EventAdopted, n.From, n.Vote, "better vote")
		m.propose(n.Vote)
	}
	m.received[n.From] = ballot{state: Looking, vote: n.Vote, round: n.Round}
	m.tryFinish()
}

// stepWithdrawn takes the word of a voter that votes for nobody, since it does not stand and has not heard of
// anybody who does, or for somebody who cannot lead for all this server knows. Its round counts
// whatever it votes. If it stood before, whoever had adopted its vote chooses anew; and if it takes itself for an
// observer, or has seen another pending configuration, it votes in no round but its own, while a quorum
// may not be had without it.
func (m *Machine) stepWithdrawn(n Notification) {
	if n.Round < m.round {
		return
	}
	delete(m.received, n.From)
	if n.Round > m.round {
		m.round = n.Round
		m.enterRound(m.ownVote())
	}
	m.tryFinish()
}

// stepSettled takes the word of a server that has a leader: of this round's election, or of
// one that was over before this server looked.
//
// In the latter distrust has no say. The others may have adopted a new incarnation, and even
// elected it, while this server was away, and only the leader can tell it so. It is joined, not
// elected: following it helps no store to lead that has lost something, since zab does not
// count a promise that is given to a leader whose incarnation is not the remembered one.
//
// Who is cut off from a quorum cannot hear one. It joins whoever says of itself that it leads: the
// leader must have its quorum anyway, and maybe cannot have it without this server (hazard H-55).
func (m *Machine) stepSettled(n Notification) {
	b := ballot{state: n.State, vote: n.Vote, round: n.Round}
	if n.Round == m.round && !m.distrusted.Has(n.From) && m.mayLead(n.Vote.Leader) {
		m.received[n.From] = b
		if m.established(m.received, b) && m.finish(b, m.received) {
			return
		}
	}
	m.outside[n.From] = b
	if m.established(m.outside, b) || m.cutOff && n.State == Leading && n.From == n.Vote.Leader {
		was := m.round
		m.round = n.Round
		if !m.finish(b, m.outside) {
			m.round = was
		}
		return
	}
	m.tryFinish()
}

// established reports whether a quorum follows the leader that b names, and the leader
// says so too. To lead takes a quorum of both configurations. To join somebody who leads one of the
// committed configuration is enough: what was seen beyond that may have come to nothing, so that no
// quorum of it will ever follow anybody, and only the leader can tell this server so.
func (m *Machine) established(bs ballots, b ballot) bool {
	supporters := bs.supporters(m.voters, b)
	if b.vote.Leader == m.cfg.Self {
		return m.view.HasQuorum(supporters) && b.round == m.round && !m.abstains()
	}
	return !m.view.IsZero() && m.view.Committed.Verifier().HasQuorum(supporters) && bs.ledBy(b.vote.Leader)
}

// tryFinish looks whether this round's votes make a quorum for the proposal, and then ends
// the election at once if every voter within reach agrees, or else after a wait. Of a candidate that is a
// voter by hearsay the votes that count here are not those that count there: it has to say itself that it
// leads.
func (m *Machine) tryFinish() {
	mine := ballot{state: Looking, vote: m.proposal, round: m.round}
	supporters := m.received.supporters(m.voters, mine)
	if !m.voters.Has(m.proposal.Leader) || !m.view.HasQuorum(supporters) {
		m.finalize = 0
		return
	}
	waitFor := m.reachable
	waitFor.Add(m.cfg.Self)
	waitFor = waitFor.And(m.voters)
	for sid := range waitFor.All() {
		if sid != m.cfg.Self && !m.counts(sid) {
			waitFor.Remove(sid)
		}
	}
	if !m.trusted() {
		waitFor.Remove(m.cfg.Self)
	}
	if waitFor.And(supporters) == waitFor {
		m.finish(mine, m.received)
		return
	}
	if m.finalize == 0 {
		m.finalize = max(1, m.cfg.FinalizeTicks)
	}
}

// finish ends the election with a vote that has a quorum. It refuses a leader that is a voter nowhere
// (hazard H-49), one that is not counted unless it leads already, and this server itself while it may
// not lead.
func (m *Machine) finish(b ballot, bs ballots) bool {
	leader := b.vote.Leader
	if !m.field.Voters().Has(leader) || b.state == Looking && !m.counts(leader) || (leader == m.cfg.Self && (!m.trusted() || m.abstains())) {
		return false
	}
	supporters := bs.supporters(m.voters, b)
	switch {
	case leader == m.cfg.Self:
		m.state = Leading
	case m.role == quorum.Observer:
		m.state = Observing
	default:
		m.state = Following
	}
	m.current = b.vote
	m.finalize = 0
	m.outcome = &Outcome{State: m.state, Vote: b.vote, Round: m.round, Supporters: supporters}
	m.event(EventElected, leader, b.vote, m.state.String())
	// Servers that are still looking learn at once that this one has settled; otherwise
	// they would wait for their next repetition.
	for sid := range m.field.SIDs().All() {
		m.tell(sid)
	}
	return true
}
