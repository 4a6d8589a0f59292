package fle

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Machine is the election of one server. It is not safe for concurrent use.
type Machine struct {
	cfg    Config
	voters quorum.Set
	quorum quorum.Verifier

	// round is the logical clock: raised at each election and by higher rounds heard.
	round uint64
	state State
	// current is the vote that settled servers answer with; meaningless while Looking.
	current Vote
	// distrusted and reachable are what the driver told.
	distrusted quorum.Set
	reachable  quorum.Set
	abstain    int // ticks left

	// One election, while Looking.
	own      Vote
	proposal Vote
	received ballots // of this round
	outside  ballots // of settled servers, whatever their round
	finalize int     // ticks left to wait for a better vote; 0 when no quorum is satisfied
	notify   int     // ticks left until the proposal is repeated
	interval int     // of the repetition; doubles

	out     map[quorum.SID]Notification
	outcome *Outcome
	events  []Event
}

// New returns a machine that is Looking in round 0 and silent until Look.
func New(cfg Config) *Machine {
	return &Machine{
		cfg:      cfg,
		voters:   cfg.Ensemble.Voters(),
		quorum:   cfg.Ensemble.Verifier(),
		received: ballots{},
		outside:  ballots{},
		out:      map[quorum.SID]Notification{},
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
// vote is replaced by the lowest there is.
func (m *Machine) Look(own Vote) {
	if m.cfg.Role == quorum.Observer {
		own = Vote{Leader: m.cfg.Self, Zxid: zxid.Untrusted}
	}
	m.round++
	m.state = Looking
	m.own = own
	m.outside = ballots{}
	m.interval = m.cfg.MinNotifyTicks
	m.outcome = nil
	m.enterRound(m.ownVote())
	m.event(EventRound, m.cfg.Self, m.proposal, fmt.Sprintf("round %d", m.round))
	m.tryFinish()
}

// ownVote is what this server proposes of itself: its own vote, or, while it abstains, one that
// every vote for another server beats.
func (m *Machine) ownVote() Vote {
	if m.abstain > 0 {
		return Vote{Leader: quorum.None, Zxid: zxid.Untrusted}
	}
	return m.own
}

// trusted reports whether this server's own history counts.
func (m *Machine) trusted() bool {
	return m.own.Zxid != zxid.Untrusted && m.cfg.Role == quorum.Participant
}

// enterRound starts counting the current round anew with a proposal.
func (m *Machine) enterRound(proposal Vote) {
	m.received = ballots{}
	m.propose(proposal)
}

// propose makes v this server's vote and tells all voters.
func (m *Machine) propose(v Vote) {
	m.proposal = v
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
	for sid := range m.voters.All() {
		m.tell(sid)
	}
}

// tell queues the server's word for sid, replacing one not yet taken.
func (m *Machine) tell(sid quorum.SID) {
	if sid == m.cfg.Self {
		return
	}
	m.out[sid] = Notification{
		From: m.cfg.Self, To: sid,
		State: m.state, Vote: m.Vote(), Round: m.round,
		Config: m.cfg.Ensemble.Version(),
	}
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

// Abstain keeps this server from standing for election for so many ticks.
func (m *Machine) Abstain(ticks int) { m.abstain = max(m.abstain, ticks) }

// Settle records that the outcome holds: the leader has established vote.Epoch. Answers to
// servers that come later carry it, so that they find a quorum of equal votes [ZOOKEEPER-1732].
func (m *Machine) Settle(state State, vote Vote) {
	if state == Looking {
		panic("fle: Settle in LOOKING")
	}
	m.state, m.current = state, vote
}

// Tick tells that one election tick went by.
func (m *Machine) Tick() {
	if m.abstain > 0 {
		m.abstain--
		if m.abstain == 0 && m.state == Looking && m.acceptable(m.own, m.proposal) {
			m.propose(m.own)
			m.tryFinish()
		}
	}
	if m.state != Looking || m.round == 0 {
		return
	}
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

// Ready returns everything to do since the last call.
func (m *Machine) Ready() Ready {
	rd := Ready{Outcome: m.outcome, Events: m.events}
	m.outcome, m.events = nil, nil
	if len(m.out) > 0 {
		for sid := range m.cfg.Ensemble.SIDs().All() {
			if n, ok := m.out[sid]; ok {
				rd.Messages = append(rd.Messages, n)
			}
		}
		clear(m.out)
	}
	return rd
}

func (m *Machine) event(kind EventKind, peer quorum.SID, v Vote, text string) {
	m.events = append(m.events, Event{Kind: kind, Peer: peer, Vote: v, Text: text})
}
