package fle

import (
	"fmt"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Machine is the election of one server. It is not safe for concurrent use.
type Machine struct {
	cfg Config
	// view is the membership; a quorum is one of both its configurations.
	view   quorum.Membership
	voters quorum.Set
	role   quorum.Role
	// field is the membership that candidates come from: view, or with a pending configuration that is
	// newer than what this server has seen, told by others in this election.
	field quorum.Membership

	// round is the logical clock: raised at each election and by higher rounds heard.
	round uint64
	state State
	// current is the vote that settled servers answer with; meaningless while Looking.
	current Vote
	// distrusted and reachable are what the driver told.
	distrusted quorum.Set
	reachable  quorum.Set
	abstain    int  // ticks left
	cutOff     bool // it looks for longer than CutOffTicks, and reaches somebody but no quorum

	// One election, while Looking.
	own      Vote
	proposal Vote
	received ballots // of this round
	outside  ballots // of settled servers, whatever their round
	finalize int     // ticks left to wait for a better vote; 0 when no quorum is satisfied
	notify   int     // ticks left until the proposal is repeated
	interval int     // of the repetition; doubles
	looked   int     // ticks since Look
	// narrow is set when a candidate that only a pending configuration makes a voter was not elected for
	// long: for the rest of this election there are only voters of the committed one.
	narrow bool
	// answered are those that tellOnce has told of the proposal since the window began, and owed those of
	// them that are to be told again when it ends.
	answered, owed quorum.Set
	window         int // ticks left; one lasts MinNotifyTicks

	out     map[quorum.SID]Notification
	outcome *Outcome
	newer   *quorum.Ensemble
	rumour  *quorum.Ensemble
	events  []Event
}

// New returns a machine that is Looking in round 0 and silent until Look.
func New(cfg Config) *Machine {
	m := &Machine{
		cfg:      cfg,
		received: ballots{},
		outside:  ballots{},
		out:      map[quorum.SID]Notification{},
	}
	m.setView(cfg.Membership)
	return m
}

func (m *Machine) setView(view quorum.Membership) {
	m.view, m.voters, m.role = view, view.Voters(), view.Role(m.cfg.Self)
	m.field, m.rumour = view, nil
}

// hearOf takes over a configuration that is pending elsewhere. Nothing is counted by it: who has logged
// the proposal asks both quorums. But whoever has a part in those quorums must be able to vote for, and
// then to follow, a server that is a voter in that configuration alone, if the history that has to survive is
// there (hazard H-82).
func (m *Machine) hearOf(e *quorum.Ensemble) {
	if e == nil || m.state != Looking || m.view.IsZero() || e.Version() <= m.field.Seen.Version() {
		return
	}
	m.field = quorum.Membership{Committed: m.view.Committed, Seen: e}
	m.rumour = e
	for sid := range m.field.Voters().All() {
		if !m.voters.Has(sid) {
			m.tell(sid)
		}
	}
}

// mayLead reports whether a server may be voted for.
func (m *Machine) mayLead(sid quorum.SID) bool {
	return m.field.Voters().Has(sid) && !m.distrusted.Has(sid)
}

// Reconfigure replaces the membership. An election under way goes on with it, from the start of
// its round.
func (m *Machine) Reconfigure(view quorum.Membership) {
	if m.view.Equal(view) {
		return
	}
	m.setView(view)
	m.narrow = m.narrow && view.Pending()
	if m.newer != nil && m.newer.Version() <= view.Committed.Version() {
		m.newer = nil
	}
	m.cutOff = m.cutOff && !m.reachesQuorum()
	if m.state == Looking && m.round > 0 {
		m.outside = ballots{}
		m.enterRound(m.ownVote())
		m.tryFinish()
	}
}

// State returns what the server is doing as far as the election knows.
func (m *Machine) State() State { return m.state }

// Round returns the logical clock.
func (m *Machine) Round() uint64 { return m.round }

// Vote returns the proposal while Looking, and the settled vote otherwise.
func (m *Machine) Vote() Vote {
	if m.state == Looking {
		return m.proposal
	}
	return m.current
}

// Look begins an election with the server's own vote: itself, the last zxid that
// it has logged, and its current epoch. zxid.Untrusted makes it abstain. An observer's
// vote is replaced by the lowest there is; a server that is no member votes for nobody but
// whom others propose, which may be what completes a reconfiguration that makes it one.
func (m *Machine) Look(own Vote) {
	m.round++
	m.state = Looking
	m.own = own
	m.outside = ballots{}
	m.interval = m.cfg.MinNotifyTicks
	m.outcome = nil
	m.looked = 0
	m.narrow = false
	m.field, m.rumour = m.view, nil
	m.enterRound(m.ownVote())
	m.event(EventRound, m.cfg.Self, m.proposal, fmt.Sprintf("round %d", m.round))
	m.tryFinish()
}

// ownVote is what this server proposes of itself: its own vote, or, while it abstains, one that
// every vote for another server beats.
func (m *Machine) ownVote() Vote {
	switch {
	case m.role == quorum.Observer:
		return Vote{Leader: m.cfg.Self, Zxid: zxid.Untrusted}
	case m.abstains(), !m.voters.Has(m.cfg.Self), m.narrow && !m.committedVoter(m.cfg.Self):
		return Vote{Leader: quorum.None, Zxid: zxid.Untrusted}
	}
	return m.own
}

// abstains reports whether this server does not stand for election.
func (m *Machine) abstains() bool { return m.abstain > 0 || m.cutOff }

// reachesQuorum reports whether this server could lead, as far as connections go.
func (m *Machine) reachesQuorum() bool {
	reached := m.reachable
	reached.Add(m.cfg.Self)
	return m.view.HasQuorum(reached.And(m.voters))
}

// standBack takes back the candidacy of a server that is cut off. It can never lead, but the best vote
// of all would make those follow it who reach it, and tell others to do so who do not, again and again
// (hazard H-55). Since such a server does not hear a quorum either, it takes the word of whoever leads: see
// stepSettled.
func (m *Machine) standBack() {
	m.cutOff = true
	m.withdraw()
}

// withdraw takes back the candidacy of a server that abstains from now on. What others have adopted they
// give up only in a new round.
func (m *Machine) withdraw() {
	if m.state == Looking && m.round > 0 && m.proposal.Leader == m.cfg.Self && m.role == quorum.Participant {
		m.round++
		m.enterRound(m.ownVote())
	}
}

// narrowAfter is how often CutOffTicks go by before an election narrows.
const narrowAfter = 3

// committedVoter reports whether a server counts in the committed configuration.
func (m *Machine) committedVoter(sid quorum.SID) bool {
	return m.view.Committed.Verifier().Weight(sid) > 0
}

// narrowDown looks for another leader while a reconfiguration is under way and the best candidate is a voter
// in the pending configuration alone: a quorum of that may be gone for good, or out of its reach. If the one who is
// elected then cannot lead, the next election is open to all again.
func (m *Machine) narrowDown() {
	leader := m.proposal.Leader
	if m.narrow || m.cfg.CutOffTicks == 0 || m.looked < narrowAfter*m.cfg.CutOffTicks ||
		!m.field.Pending() || leader == quorum.None || m.committedVoter(leader) {
		return
	}
	m.narrow = true
	proposal := m.ownVote()
	for sid := range m.voters.All() {
		if b, ok := m.received[sid]; ok && b.state == Looking && m.acceptable(b.vote, proposal) {
			proposal = b.vote
		}
	}
	m.propose(proposal)
	m.tryFinish()
}

// stand takes part again, unless something better is on its way.
func (m *Machine) stand() {
	if own := m.ownVote(); !m.abstains() && m.state == Looking && m.acceptable(own, m.proposal) {
		m.propose(own)
		m.tryFinish()
	}
}

// trusted reports whether this server's own history counts.
func (m *Machine) trusted() bool {
	return m.own.Zxid != zxid.Untrusted && m.role == quorum.Participant
}

// enterRound starts counting the current round anew with a proposal.
func (m *Machine) enterRound(proposal Vote) {
	m.received = ballots{}
	m.propose(proposal)
}

// propose makes v this server's vote and tells all voters.
func (m *Machine) propose(v Vote) {
	m.proposal = v
	m.answered = quorum.Set{}
	m.finalize = 0
	m.notify = m.interval
	if m.trusted() && v.Leader != quorum.None {
		m.received[m.cfg.Self] = ballot{state: Looking, vote: v, round: m.round}
	} else {
		delete(m.received, m.cfg.Self)
	}
	m.tellAll()
}

func (m *Machine) tellAll() {
	for sid := range m.field.Voters().All() {
		m.tell(sid)
	}
}

// tell queues the server's word for sid, replacing one not yet taken.
func (m *Machine) tell(sid quorum.SID) {
	if sid == m.cfg.Self {
		return
	}
	n := Notification{From: m.cfg.Self, To: sid, State: m.state, Vote: m.Vote(), Round: m.round}
	if c := m.view.Committed; c.Version() > 0 {
		n.Config = c
	}
	if m.view.Pending() {
		n.Pending = m.view.Seen
	}
	m.out[sid] = n
}

// Reach says whether messages to and from sid can pass right now. It is a hint: it
// decides only whether a satisfied quorum waits for sid.
func (m *Machine) Reach(sid quorum.SID, up bool) {
	if sid < 0 || sid > quorum.MaxSID || sid == m.cfg.Self {
		return
	}
	if !up {
		m.reachable.Remove(sid)
	} else {
		m.reachable.Add(sid)
		if m.state == Looking && m.round > 0 {
			m.tell(sid)
		}
	}
	if m.cutOff && m.reachesQuorum() {
		m.cutOff = false
		m.stand()
	}
	if m.state == Looking {
		m.tryFinish()
	}
}

// Distrust says whether sid runs on another store than the one that was synchronised
// under its name. Its votes are then answered and never counted in an election, nor can it be
// elected. An ensemble that has a leader already is joined all the same, whoever it is.
func (m *Machine) Distrust(sid quorum.SID, distrust bool) {
	if sid < 0 || sid > quorum.MaxSID || m.distrusted.Has(sid) == distrust {
		return
	}
	if !distrust {
		m.distrusted.Remove(sid)
		return
	}
	m.distrusted.Add(sid)
	delete(m.received, sid)
	if m.state == Looking && m.proposal.Leader == sid {
		m.enterRound(m.ownVote())
	}
}

// Abstain keeps this server from standing for election for so many ticks, whatever it does meanwhile.
func (m *Machine) Abstain(ticks int) {
	m.abstain = max(m.abstain, ticks)
	if m.abstains() {
		m.withdraw()
	}
}

// Skip tells that so many election ticks went by without Tick, while this server had a role. What it
// abstains for goes by then too: else the turn of a server whose history is needed would not come for as long as
// others are elected quickly, and in vain (hazard H-55).
func (m *Machine) Skip(ticks int) {
	if m.abstain > 0 {
		m.abstain = max(0, m.abstain-ticks)
		m.stand()
	}
}

// Settle records that the outcome holds: the leader has established vote.Epoch. Answers to
// servers that come later carry it, so that they find a quorum of equal votes [ZOOKEEPER-1732].
func (m *Machine) Settle(state State, vote Vote) {
	if state == Looking {
		panic("fle: Settle in LOOKING")
	}
	m.state, m.current = state, vote
}

// Tick tells that one election tick went by. A driver that does not call it while this server has a
// role calls Skip behind that.
func (m *Machine) Tick() {
	if m.abstain > 0 {
		m.abstain--
		m.stand()
	}
	if m.state != Looking || m.round == 0 {
		return
	}
	m.looked++
	m.payDebts()
	if m.cfg.CutOffTicks > 0 && m.looked >= m.cfg.CutOffTicks && !m.cutOff &&
		m.reachable.And(m.voters) != (quorum.Set{}) && !m.reachesQuorum() {
		m.standBack()
	}
	m.narrowDown()
	if m.finalize > 0 {
		m.finalize--
		if m.finalize == 0 {
			m.finish(ballot{state: Looking, vote: m.proposal, round: m.round}, m.received)
			return
		}
	}
	m.notify--
	if m.notify <= 0 {
		m.interval = min(2*m.interval, m.cfg.MaxNotifyTicks)
		m.notify = m.interval
		m.tellAll()
	}
}

// payDebts opens a new window for tellOnce when the last one is over.
func (m *Machine) payDebts() {
	if m.window--; m.window > 0 {
		return
	}
	m.window = m.cfg.MinNotifyTicks
	for sid := range m.owed.All() {
		m.tell(sid)
	}
	m.answered, m.owed = m.owed, quorum.Set{}
}

// Ready returns everything to do since the last call.
func (m *Machine) Ready() Ready {
	rd := Ready{Outcome: m.outcome, Newer: m.newer, Rumour: m.rumour, Events: m.events}
	m.outcome, m.newer, m.rumour, m.events = nil, nil, nil, nil
	if len(m.out) > 0 {
		for _, sid := range slices.Sorted(maps.Keys(m.out)) {
			rd.Messages = append(rd.Messages, m.out[sid])
		}
		clear(m.out)
	}
	return rd
}

func (m *Machine) event(kind EventKind, peer quorum.SID, v Vote, text string) {
	m.events = append(m.events, Event{Kind: kind, Peer: peer, Vote: v, Text: text})
}
