package zab

import (
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// synchroniseAll starts with every learner that has promised.
func (l *Leader) synchroniseAll() {
	for _, p := range slices.Clone(l.links) {
		if p.state == linkPromised {
			l.synchronise(p)
		}
	}
}

// synchronise chooses how a learner gets the history of the epoch, and starts. An
// observer waits until the epoch is established: it is never told what might not be
// committed.
func (l *Leader) synchronise(p *link) {
	if !p.follower && l.phase != Broadcast {
		return
	}
	ours := l.summary()
	if !p.follower {
		at, ok := l.win.point(l.committed)
		if !ok {
			panic(fmt.Sprintf("zab: window from %v lacks the committed %v", l.win.start, l.committed))
		}
		ours = ours.cut(at)
	}
	plan := PlanSync(ours, p.history, l.win.start.ID, p.needSnap || l.forceSnap.Has(p.sid), l.cfg.Limits.MaxDiff)
	if at, ok := l.win.point(plan.Common.ID); plan.Mode != SyncSnap && ok && at != plan.Common {
		plan = Plan{Mode: SyncSnap, Diverged: true}
	}
	if plan.Diverged {
		l.event(EventDivergence, p.sid, p.history.Last().ID, fmt.Sprintf("history %v contradicts %v", p.history, ours))
	}
	l.event(EventSync, p.sid, plan.Common.ID, fmt.Sprintf("%v to %v", plan.Mode, ours.Last().ID))
	p.proof = max(p.proof, l.now-1)
	var kind Kind
	switch plan.Mode {
	case SyncSnap:
		l.stream(p, Stream{To: p.sid, Snapshot: true, Epoch: l.epoch})
		return
	case SyncTrunc:
		kind = Trunc
	case SyncDiff:
		kind = Diff
	}
	l.send(Message{Kind: kind, To: p.sid, Epoch: l.epoch, Point: plan.Common})
	p.pos = plan.Common
	l.proceed(p)
}

// summary describes the leader's whole history at this moment.
func (l *Leader) summary() Summary {
	s := l.initial
	if last := l.win.last(); last.ID.Epoch() == l.epoch && last.ID != s.Last().ID {
		s.Runs = append(slices.Clip(s.Runs), Run{Epoch: l.epoch, Last: last.ID.Counter(), Hash: last.Hash})
	}
	if l.base.ID <= s.Base.ID {
		return s
	}
	// The log was trimmed meanwhile.
	kept := Summary{Base: l.base}
	for _, r := range s.Runs {
		if r.Point().ID > l.base.ID {
			kept.Runs = append(kept.Runs, r)
		}
	}
	return kept
}

// stream starts a transfer from disk.
func (l *Leader) stream(p *link, s Stream) {
	p.state, p.stream = linkStreaming, s
	l.out.Streams = append(l.out.Streams, s)
}

// onDisk returns the end of what may be sent from disk: it is durable here, and while the
// epoch is established also committed (hazard H-31).
func (l *Leader) onDisk() zxid.ID {
	if l.phase != Broadcast {
		return l.initial.Last().ID
	}
	return min(l.committed, l.me.acked)
}

// StreamDone tells that a stream has sent everything up to this point. The role goes
// on from there, from disk again if the window has moved on meanwhile.
func (l *Leader) StreamDone(sid quorum.SID, at zxid.Point) {
	p := l.link(sid)
	if l.phase == Stopped || p == nil || p.state != linkStreaming {
		return
	}
	s := p.stream
	if !s.Snapshot && (at.ID <= s.From || at.ID > s.UpTo) || s.Snapshot && at.ID > max(l.committed, l.initial.Last().ID) {
		l.drop(p, fmt.Sprintf("stream ended at %v", at.ID))
	} else {
		p.pos = at
		l.forceSnap.Remove(sid)
		l.progress()
		l.proceed(p)
	}
	l.assert()
}

// StreamFailed tells that a stream could not be read. The learner is dropped; when it comes
// back it gets a snapshot.
func (l *Leader) StreamFailed(sid quorum.SID) {
	p := l.link(sid)
	if l.phase == Stopped || p == nil || p.state != linkStreaming {
		return
	}
	l.forceSnap.Add(sid)
	l.drop(p, "stream failed")
	l.assert()
}

// proceed sends what is missing: from disk what is older than the window, and once the
// learner has come as far as that, all the rest in one step.
func (l *Leader) proceed(p *link) {
	if p.pos.ID < l.win.start.ID {
		l.stream(p, Stream{To: p.sid, From: p.pos.ID, UpTo: l.onDisk(), Epoch: l.epoch})
		return
	}
	at, ok := l.win.point(p.pos.ID)
	if !ok || at != p.pos {
		l.event(EventDivergence, p.sid, p.pos.ID, fmt.Sprintf("%v was reached where the history passes %v", p.pos, at))
		l.drop(p, "histories differ")
		return
	}
	l.join(p)
}

// join sends the rest of the history, the commits so far and NEWLEADER, and puts the
// learner into the live stream, which continues exactly there: nothing can be proposed
// or committed between (spec 7.1 startForwarding; hazards H-22, H-59).
func (l *Leader) join(p *link) {
	l.announce()
	p.end = l.win.last()
	if !p.follower {
		p.end, _ = l.win.point(l.committed)
	}
	chunks(l.win.between(p.pos.ID, p.end.ID), l.cfg.Limits.MessageBytes, func(entries []Entry) {
		l.send(Message{Kind: Proposal, To: p.sid, Epoch: l.epoch, Entries: entries})
	})
	if l.committed > 0 {
		l.send(Message{Kind: Commit, To: p.sid, Epoch: l.epoch, Zxid: l.committed})
	}
	l.send(Message{Kind: NewLeader, To: p.sid, Epoch: l.epoch, Point: p.end, Known: l.known, Cluster: l.cluster, Membership: l.membershipFor(p)})
	p.state, p.knownSeq, p.offered = linkForwarded, l.knownSeq, l.known
	l.progress()
}

// progress moves the deadline for establishing the epoch: it is for lack of progress
// (spec 9, hazard H-75).
func (l *Leader) progress() {
	if l.phase == Synchronization {
		l.deadline = max(l.deadline, min(l.now+l.cfg.InitTicks, l.hardStop))
	}
}

// onNewLeaderAck takes the acknowledgement of NEWLEADER: the learner has durably
// accepted the history up to p.end [TLA LeaderProcessACKLD].
func (l *Leader) onNewLeaderAck(p *link) {
	p.state, p.proof = linkSynced, l.now
	p.acked, p.told = p.end.ID, p.offered
	l.event(EventSynced, p.sid, p.end.ID, "accepted NEWLEADER")
	if l.phase != Broadcast {
		if p.counts() {
			p.voter.accepted, p.voter.acked = true, max(p.voter.acked, p.acked)
		}
		l.establish()
		return
	}
	if p.voter != nil {
		l.accept(p)
	}
	l.upToDate(p)
	l.adopt()
}

// establish opens the broadcast once a quorum, this server included, has accepted NEWLEADER:
// the initial history is committed, whoever proposed it (spec 7.4).
func (l *Leader) establish() {
	if l.phase != Synchronization || !l.me.accepted {
		return
	}
	if !l.view.HasQuorum(l.trusted(func(v *voter) bool { return v.accepted })) {
		return
	}
	last := l.initial.Last().ID
	l.enter(Broadcast, last)
	l.since = l.now
	l.marks = [2]mark{{l.now, last}, {l.now, last}}
	l.committed, l.commitAnnounced = last, last
	if l.view.Pending() {
		l.settle()
	}
	if !l.me.life.IsZero() {
		l.remember(Known{SID: l.self, Incarnation: l.me.life})
	}
	for _, p := range l.links {
		if p.state == linkSynced && p.voter != nil {
			l.accept(p)
		}
	}
	for _, p := range l.links {
		if p.state == linkSynced {
			l.upToDate(p)
		}
	}
	if voters := l.view.Committed.Voters(); voters.Has(l.self) {
		l.disfranchise(voters)
	} else {
		l.leave(quorum.None)
	}
	l.synchroniseAll()
}

// upToDate lets a learner serve.
func (l *Leader) upToDate(p *link) {
	l.announce()
	l.send(Message{
		Kind: UpToDate, To: p.sid, Epoch: l.epoch, Zxid: min(l.committed, l.sentTo(p)),
		Config: l.view.Committed.Version(),
	})
}

// sentTo returns the end of what a learner in the live stream has been sent.
func (l *Leader) sentTo(p *link) zxid.ID {
	if p.follower {
		return l.announced
	}
	return l.commitAnnounced
}
