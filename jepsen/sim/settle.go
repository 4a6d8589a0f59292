package sim

import (
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// settle carries out everything that the machines want done, in the order of quorum/peer.
func (t *tenure) settle() {
	if !t.current() {
		return
	}
	p := t.p
	p.electionReady()
	rd := t.machine.Ready()
	for i := range rd.Events {
		t.event(&rd.Events[i])
	}
	if t.leader != nil {
		p.s.oracle.leads(t)
	}
	if !rd.Membership.IsZero() {
		p.remember(rd.Membership)
	}
	t.persist(rd.Persist)
	p.crashPoint()
	t.send(rd.Messages)
	for _, sid := range rd.Drop {
		if l := t.links[sid]; l != nil {
			t.forget(sid)
			l.hangup(p)
		}
	}
	for _, s := range rd.Streams {
		t.startStream(s)
	}
	if len(rd.Stage) > 0 {
		p.disk.submit(job{generation: t.generation, stage: rd.Stage})
	}
	if rd.Commit != 0 {
		t.commit(rd.Commit)
	}
	for _, m := range rd.Deliver {
		p.app.answered(m)
	}
	t.surface(rd.Requests)
	t.enter(t.machine.Phase())
	if t.leader != nil && p.s.mutant.countJoiner {
		t.countJoiners()
	}
	if p.s.mutant.ackEarly && rd.Persist != nil {
		t.persisted(message{generation: t.generation, token: rd.Persist.Token})
		p.wake()
	}
}

// persist hands a step to the log and remembers its entries until they are committed.
func (t *tenure) persist(step *zab.Persist) {
	if step == nil {
		return
	}
	if step.Install != nil || step.Truncate != nil {
		t.pending = nil
	}
	if step.Install != nil {
		t.installPoint, t.installToken = *step.Install, step.Token
	}
	t.pending = append(t.pending, step.Append...)
	if t.leader != nil {
		t.p.s.oracle.proposed(t, step.Append)
	}
	if t.p.s.mutant.epochFirst && t.learner != nil && step.Current != nil && (len(step.Append) > 0 || step.Truncate != nil) {
		// The epoch reaches the disk in a step of its own, ahead of the history.
		rest := *step
		rest.Current = nil
		t.p.disk.submit(job{generation: t.generation, step: &zab.Persist{Current: step.Current}})
		step = &rest
	}
	t.p.disk.submit(job{generation: t.generation, step: step})
	if n := len(step.Append); n > 0 && t.learner != nil && t.p.s.mutant.deliverEarly && t.phase == zab.Broadcast {
		t.commit(step.Append[n-1].ID)
	}
}

// send queues messages on the links of those they are for, keeping their order.
func (t *tenure) send(msgs []zab.Message) {
	for i := range msgs {
		t.p.s.oracle.says(t, &msgs[i])
		t.p.s.trace(t.p.server, line{label: said(&msgs[i]), peer: msgs[i].To, msg: &msgs[i]})
	}
	if t.learner != nil {
		if !t.linked {
			t.held = append(t.held, msgs...)
		} else if len(msgs) > 0 {
			t.link.send(toAcceptor, append([]zab.Message(nil), msgs...))
		}
		return
	}
	for _, v := range t.p.s.servers {
		sid := v.sid
		var batch []zab.Message
		for i := range msgs {
			if msgs[i].To == sid {
				batch = append(batch, msgs[i])
			}
		}
		if l := t.links[sid]; l != nil && len(batch) > 0 {
			l.send(toDialer, batch)
			t.p.crashPoint()
		}
	}
}

// commit hands everything up to id to the applier: what this role appended from memory, what
// was there before from the log.
func (t *tenure) commit(id zxid.ID) {
	p := t.p
	for p.delivered < id {
		upTo := id
		if len(t.pending) > 0 {
			if t.pending[0].Prev <= p.delivered {
				break
			}
			upTo = min(upTo, t.pending[0].Prev)
		}
		entries, err := p.disk.log.Entries(p.delivered, upTo, 2000)
		p.must(err)
		if len(entries) == 0 || entries[0].Prev != p.delivered {
			p.s.fail(stateIsFold, "server %v: the log does not hold what follows the applied %v, though %v is committed",
				p.sid, p.delivered, id)
		}
		p.app.commit(entries)
		p.delivered = entries[len(entries)-1].ID
	}
	n := 0
	for n < len(t.pending) && t.pending[n].ID <= id {
		n++
	}
	if entries := t.pending[:n:n]; n > 0 {
		if p.s.mutant.noFence || p.s.mutant.deliverEarly {
			for len(entries) > 0 && entries[0].ID <= p.delivered {
				entries = entries[1:]
			}
		}
		if len(entries) > 0 && entries[0].Prev != p.delivered {
			panic(fmt.Sprintf("commit %v would leave a hole: delivered %v, next follows %v", id, p.delivered, entries[0].Prev))
		}
		t.pending = t.pending[n:]
		if len(entries) > 0 {
			p.app.commit(entries)
			p.delivered = entries[len(entries)-1].ID
		}
	}
	p.disk.log.NoteCommitted(id)
}

// surface hands the requests of learners to the leader's pipeline.
func (t *tenure) surface(msgs []zab.Message) {
	for i := range msgs {
		t.p.app.forwarded(msgs[i].From, msgs[i:i+1:i+1])
	}
}

// enter does what a change of phase asks for.
func (t *tenure) enter(phase zab.Phase) {
	if phase == t.phase {
		return
	}
	t.phase = phase
	if s := t.p.s; phase == zab.Synchronization && !s.calm && s.chance(0.15) {
		// Synchronisation is where the most can go wrong.
		s.counts.Faults[FaultSync]++
		t.p.fuse = 1 + s.rng.IntN(12)
		s.restartLater(t.p.server, s.between(50*time.Millisecond, time.Second))
		if t.learner != nil && s.chance(0.5) {
			leader := s.server(t.outcome.Vote.Leader)
			s.after(s.upTo(40*time.Millisecond), func() { leader.proc.crash(true) })
			s.restartLater(leader, s.between(time.Second, 4*time.Second))
		}
	}
	if phase != zab.Broadcast {
		return
	}
	t.settled = true
	t.p.unfollow()
	vote := t.outcome.Vote
	vote.Epoch = t.machine.Epoch()
	t.p.fle.Settle(t.outcome.State, vote)
	if t.leader != nil {
		t.p.app.lead(t.generation, t.leader.Next())
	}
	t.p.app.serving, t.p.refused = true, 0
}

// event writes what the role reports.
func (t *tenure) event(e *zab.Event) {
	s := t.p.s
	switch e.Kind {
	case zab.EventStopped:
		t.reason = e.Text
	case zab.EventDivergence:
		// Histories under one zxid never differ unless something was lost before.
		s.fail(prefixConsistency, "server %v, peer %v, %v: %s", t.p.sid, e.Peer, e.Zxid, e.Text)
	case zab.EventSync:
		s.counts.sync(t.leader != nil, e.Text)
	default:
	}
	l := line{label: labelRole, point: zxid.Point{ID: e.Zxid}, text: e.Text}
	if e.Peer != quorum.None {
		l.peer = e.Peer
	}
	s.trace(t.p.server, l)
}

// role prints what a server does, for messages.
func (p *process) role() string {
	switch {
	case !p.alive():
		return "down"
	case p.tenure == nil:
		return fle.Looking.String()
	}
	return fmt.Sprintf("%v %v epoch %d of %v", p.tenure.outcome.State, p.tenure.phase, p.tenure.machine.Epoch(), p.tenure.outcome.Vote.Leader)
}
