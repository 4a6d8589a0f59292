package peer

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// commitReadBytes is how much of the log is read at a time when committed entries are
// no longer in memory.
const commitReadBytes = 4 << 20

// settle carries out everything that the machines want done.
func (t *tenure) settle() error {
	t.p.electionReady()
	rd := t.machine.Ready()
	for _, e := range rd.Events {
		t.logEvent(e)
	}
	if !rd.Membership.IsZero() {
		t.p.remember(rd.Membership)
	}
	if err := t.persist(rd.Persist); err != nil {
		return err
	}
	t.send(rd.Messages)
	for _, sid := range rd.Drop {
		if link, ok := t.links[sid]; ok {
			t.forget(sid)
			t.p.cfg.Transport.Hangup(link)
		}
	}
	for _, s := range rd.Streams {
		t.startStream(s)
	}
	if len(rd.Stage) > 0 {
		if err := t.writer.Stage(rd.Stage); err != nil {
			return fmt.Errorf("peer: stage history beside a snapshot: %w", err)
		}
	}
	if rd.Commit != 0 {
		if err := t.commit(rd.Commit); err != nil {
			return err
		}
	}
	for _, m := range rd.Deliver {
		t.p.cfg.StateMachine.Answered(m)
	}
	t.surface(rd.Requests)
	t.enter(t.machine.Phase())
	return nil
}

// persist hands a step to the log and remembers its entries until they are committed.
func (t *tenure) persist(step *zab.Persist) error {
	if step == nil {
		return nil
	}
	if step.Install != nil || step.Truncate != nil {
		t.pending.reset()
	}
	if step.Install != nil {
		t.installPoint, t.installToken = *step.Install, step.Token
	}
	t.pending.add(step.Append)
	switch err := t.writer.Submit(step); {
	case errors.Is(err, ErrNoPoint):
		t.reason, t.noPoint = err.Error(), true
	case err != nil:
		return fmt.Errorf("peer: submit step %d to the log: %w", step.Token, err)
	}
	return nil
}

// send queues messages on the links of those they are for, keeping their order.
func (t *tenure) send(msgs []zab.Message) {
	if len(msgs) == 0 {
		return
	}
	if t.learner != nil {
		if !t.linked {
			t.held = append(t.held, msgs...)
			return
		}
		t.p.cfg.Transport.Send(t.link, msgs)
		return
	}
	for i := range msgs {
		to := msgs[i].To
		if len(t.outbox[to]) == 0 {
			t.receivers = append(t.receivers, to)
		}
		t.outbox[to] = append(t.outbox[to], msgs[i])
	}
	for _, sid := range t.receivers {
		batch := t.outbox[sid]
		if link, ok := t.links[sid]; ok {
			t.p.cfg.Transport.Send(link, batch)
		}
		clear(batch)
		t.outbox[sid] = batch[:0]
	}
	t.receivers = t.receivers[:0]
}

// commit hands everything up to id to the state machine. What this role appended is in
// memory; what was there before is read from the log.
func (t *tenure) commit(id zxid.ID) error {
	p := t.p
	for p.delivered < id {
		upTo := id
		if first, ok := t.pending.first(); ok {
			if first.Prev <= p.delivered {
				break
			}
			upTo = min(upTo, first.Prev)
		}
		entries, err := p.cfg.Log.Entries(p.delivered, upTo, commitReadBytes)
		if err != nil {
			return fmt.Errorf("peer: read committed history after %v: %w", p.delivered, err)
		}
		if len(entries) == 0 || entries[0].Prev != p.delivered {
			return fmt.Errorf("peer: the log does not hold what follows the applied zxid %v, though %v is committed",
				p.delivered, id)
		}
		p.cfg.StateMachine.Commit(entries)
		p.delivered = entries[len(entries)-1].ID
	}
	if entries := t.pending.pop(id); len(entries) > 0 {
		if entries[0].Prev != p.delivered {
			bug("commit %v would leave a hole: delivered %v, next entry follows %v", id, p.delivered, entries[0].Prev)
		}
		p.cfg.StateMachine.Commit(entries)
		p.delivered = entries[len(entries)-1].ID
	}
	p.cfg.Log.NoteCommitted(id)
	return nil
}

// surface hands the requests of learners to the state machine, one run per learner.
func (t *tenure) surface(msgs []zab.Message) {
	for len(msgs) > 0 {
		n := 1
		for n < len(msgs) && msgs[n].From == msgs[0].From {
			n++
		}
		t.p.cfg.StateMachine.Forwarded(msgs[0].From, msgs[:n:n])
		msgs = msgs[n:]
	}
}

// enter does what a change of phase asks for.
func (t *tenure) enter(phase zab.Phase) {
	if phase == t.phase {
		return
	}
	t.phase = phase
	p := t.p
	if phase != zab.Broadcast {
		p.publish(t, t.outcome.State, p.cfg.Log.Durable())
		return
	}
	t.settled = true
	p.unfollow()
	epoch := t.machine.Epoch()
	vote := t.outcome.Vote
	vote.Epoch = epoch // so that a server that comes later finds equal votes [ZOOKEEPER-1732]
	p.fle.Settle(t.outcome.State, vote)
	if t.leader != nil {
		p.leading.Store(t.generation)
		p.cfg.StateMachine.Lead(epoch, t.leader.Next())
	}
	p.cfg.StateMachine.Serve(t.outcome.State)
	p.publish(t, t.outcome.State, p.cfg.Log.Durable())
	p.cfg.Logger.Info().Stringer("state", t.outcome.State).Uint32("epoch", uint32(epoch)).
		Stringer("leader", vote.Leader).Dur("without_leader_ms", time.Since(p.lookingSince)).Msg("serving")
}

// logEvent writes what the role reports; only what an operator acts on is above debug.
func (t *tenure) logEvent(e zab.Event) {
	level := zerolog.InfoLevel
	switch e.Kind {
	case zab.EventStopped:
		t.reason = e.Text
		level = zerolog.WarnLevel
	case zab.EventDropped, zab.EventRefused:
		level = zerolog.WarnLevel
	case zab.EventDivergence:
		level = zerolog.ErrorLevel
	case zab.EventPhase, zab.EventEpoch, zab.EventSync, zab.EventSynced, zab.EventReconfig:
	}
	var ev *zerolog.Event
	if e.Peer == quorum.None {
		ev = t.p.cfg.Logger.WithLevel(level)
	} else {
		ev = t.p.quiet.Begin(level, "what became of a server", level.String(), e.Peer.String()).Stringer("peer", e.Peer)
	}
	ev = ev.Stringer("role", t.outcome.State)
	if e.Zxid != 0 {
		ev = ev.Stringer("zxid", e.Zxid)
	}
	ev.Msg(e.Text)
}

// logElection writes what the election reports.
func (p *Peer) logElection(e fle.Event) {
	ev := p.cfg.Logger.Debug()
	if e.Kind == fle.EventAdopted || e.Kind == fle.EventElected {
		ev = p.quiet.Begin(zerolog.InfoLevel, "a step of the election", e.Peer.String())
	}
	ev.Stringer("peer", e.Peer).Stringer("vote", e.Vote).Msg(e.Text)
}
