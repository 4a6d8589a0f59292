package sim

import (
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// look begins an election.
func (p *process) look() {
	d := p.durable()
	p.remember(d.Latest(quorum.Stable(p.file)))
	for sid := range p.members.Voters().All() {
		p.judge(sid, &d)
	}
	own := fle.Vote{Leader: p.sid, Zxid: d.History.Last().ID, Epoch: d.Current}
	if d.Untrusted {
		own.Zxid = zxid.Untrusted
	}
	p.looks++
	p.own = own
	p.s.trace(p.server, line{label: labelState, vote: &own, text: fle.Looking.String()})
	p.elapse()
	p.standBack()
	p.fle.Look(own)
	p.elected()
	p.electionTick(p.looks)
}

func (p *process) electionTick(look int) {
	p.timer(electionTick, func() {
		if p.looks != look || p.tenure != nil || p.held != nil || p.closing {
			return
		}
		p.fle.Tick()
		p.ticked = p.s.now
		p.expireHellos()
		p.elected()
		p.electionTick(look)
	})
}

// electionReady sends what the election wants to be sent.
func (p *process) electionReady() fle.Ready {
	rd := p.fle.Ready()
	if len(rd.Messages) > 0 && !p.enrolled {
		d := p.durable()
		p.enrolled = !d.Cluster.IsZero()
	}
	if rd.Rumour != nil {
		p.follow(rd.Rumour)
	}
	if len(rd.Messages) == 0 {
		return rd
	}
	d := p.durable()
	for _, n := range rd.Messages {
		n.Life, n.Noted = d.Incarnation, d.Note(p.sid)
		if !p.enrolled {
			n.Config, n.Pending = nil, nil // it knows of configurations by hearsay, of whichever ensemble
		}
		p.s.net.notify(n)
	}
	return rd
}

// listen passes a notification to the election, and first what it says of the sender's store.
func (p *process) listen(n fle.Notification) {
	if told := (note{n.Life, n.Noted}); !n.Life.IsZero() && p.notes[n.From] != told {
		p.notes[n.From] = told
		d := p.durable()
		p.judge(n.From, &d)
	}
	if !p.s.changing {
		n.Pending = nil
	}
	p.fle.Step(n)
}

// elected carries out what the election wants, and ends it when it is over. What was found with a
// membership that is not the newest does not count: the search begins anew.
func (p *process) elected() {
	rd := p.electionReady()
	looking := p.tenure == nil && p.held == nil
	for looking && rd.Newer != nil && p.s.changing {
		p.adopt(rd.Newer)
		p.fle.Look(p.own)
		rd = p.electionReady()
	}
	if rd.Outcome != nil && looking {
		p.s.counts.Elections++
		p.s.trace(p.server, line{
			label: labelElected, vote: &rd.Outcome.Vote, n: int64(rd.Outcome.Round), set: rd.Outcome.Supporters,
			text: rd.Outcome.State.String(),
		})
		p.holdBack(rd.Outcome)
	}
}

// Learners that a leader refused more often than patientRefusals wait before they try again, as in
// quorum/peer.
const (
	patientRefusals = 3
	firstBackOff    = 20 * time.Millisecond
	lastBackOff     = time.Second
)

// holdBack begins the role, if need be after a while.
func (p *process) holdBack(outcome *fle.Outcome) {
	over := p.refusals - patientRefusals
	if over < 0 || outcome.State == fle.Leading {
		p.beginTenure(outcome)
		return
	}
	p.held = outcome
	p.timer(min(firstBackOff<<min(over, 10), lastBackOff), func() {
		p.held = nil
		p.beginTenure(outcome)
	})
}

// elsewhere handles what no role takes.
func (p *process) elsewhere(m message) {
	switch m.kind {
	case evNotification:
		p.listen(m.note)
	case evReachable:
		p.reachable(m)
	case evLinkUp:
		p.hellos = append(p.hellos, &hello{link: m.link, sid: m.sid, since: p.s.now})
	case evReceived:
		for _, h := range p.hellos {
			if h.link != m.link {
				continue
			}
			if h.msgs = append(h.msgs, m.msgs...); len(h.msgs) > maxHelloMessages {
				p.dismiss(h)
			}
			break
		}
	case evLinkDown:
		p.hellos = slices.DeleteFunc(p.hellos, func(h *hello) bool { return h.link == m.link })
	case evRepair:
		p.repair()
		p.standBack()
	default: // of a role that is over
	}
}

func (p *process) dismiss(h *hello) {
	p.hellos = slices.DeleteFunc(p.hellos, func(o *hello) bool { return o == h })
	h.link.hangup(p)
}

func (p *process) expireHellos() {
	for _, h := range slices.Clone(p.hellos) {
		if p.s.now-h.since > patience {
			p.dismiss(h)
		}
	}
}

func (p *process) reachable(m message) {
	if m.up && !m.incarnation.IsZero() {
		p.seen[m.sid] = m.incarnation
		d := p.durable()
		p.judge(m.sid, &d)
	}
	p.fle.Reach(m.sid, m.up)
}

// judge tells the election whether a voter is the one that was once synchronised.
func (p *process) judge(sid quorum.SID, d *zab.Durable) {
	var noted zxid.ID
	if told := p.notes[sid]; told.life == p.seen[sid] {
		noted = told.noted
	}
	p.fle.Distrust(sid, d.Stranger(sid, p.seen[sid], noted))
}

// maxAbstention bounds how many ticks more than one a server stands back, as in quorum/peer.
const maxAbstention = 8

// learnFrom keeps a server that cannot lead out of the way of one that could.
func (p *process) learnFrom(led, established bool) {
	p.refusals++
	if led || established {
		p.refusals = 0
	}
	if established {
		p.stoodBack = false
	}
	if !led || established {
		p.failures = 0
		return
	}
	p.failures++
	if p.failures >= 2 {
		ticks := int(tickTime / electionTick)
		p.abstain(ticks + p.s.rng.IntN(ticks*min(p.failures, maxAbstention)+1))
	}
}

// standBack lets others lead who have a state that is right, as in quorum/peer.
func (p *process) standBack() {
	if p.spoilt && !p.stoodBack {
		p.stoodBack = true
		p.abstain(2 * int(tickTime/electionTick))
	}
}

// abstain keeps this server from standing for election for a while, which begins now.
func (p *process) abstain(ticks int) {
	p.elapse()
	p.fle.Abstain(ticks)
}

// elapse tells the election of the time that went by since its last tick, by the clock of the server.
func (p *process) elapse() {
	p.fle.Skip(int(float64(p.s.now-p.ticked) / (float64(electionTick) * p.rate)))
	p.ticked = p.s.now
}
