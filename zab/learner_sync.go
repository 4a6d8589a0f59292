package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// onLeaderInfo accepts the epoch that the leader proposes, or refuses it
// [TLA FollowerProcessLEADERINFO]. A promise is given once: it helps nobody but the server that
// got it to find a quorum for the epoch (hazard H-34). Another leader of the same epoch may be
// followed all the same, for it has its quorum without this server; to refuse it would shut
// this server out until the next epoch, if it once promised the number to a leader,
// maybe itself, that came to nothing (spec 6.2).
func (l *learner) onLeaderInfo(m Message) {
	if l.state != awaitingLeader {
		l.illegal(m)
		return
	}
	own := l.cluster()
	switch {
	case l.info == ObserverInfo && m.Membership.Voters().Has(l.self):
		l.enlisted = true
		l.stop(fmt.Sprintf("leader %v needs the vote of this server", l.leader))
	case !own.IsZero() && !m.Cluster.IsZero() && own != m.Cluster:
		l.refuse(fmt.Sprintf("leader belongs to ensemble %v, this server to %v", m.Cluster, own))
	case m.Epoch > zxid.MaxEpoch || m.Epoch == 0:
		l.refuse(fmt.Sprintf("epoch %d cannot be", m.Epoch))
	case m.Epoch < l.promise.Epoch && !l.unbound(m):
		l.refuse(fmt.Sprintf("epoch %d, promised %d", m.Epoch, l.promise.Epoch))
	case m.Epoch <= l.promise.Epoch:
		l.epoch = m.Epoch
		l.learn(m.Known)
		l.doubt(m)
		l.ackEpoch()
	default:
		l.epoch = m.Epoch
		l.learn(m.Known)
		l.doubt(m)
		l.state, l.fresh = promising, true
		l.promise = Promise{Epoch: m.Epoch, Leader: m.From}
		promise := l.promise
		l.step.Promise = &promise
		l.marks |= markPromise
		l.event(EventEpoch, l.leader, zxid.Make(m.Epoch, 0), "accepted")
	}
}

// unbound reports whether a leader may be followed although a later epoch was promised to another, as is
// refused to Apache's observers (spec 6.2). What a promise binds is a vote, and for this leader the server has none. Nor
// can its promise count for the other one any more, if it had a vote when it gave it: that it was taken away is
// committed, hence held by a quorum of every configuration before, and whoever had that quorum's promises knows of it.
// The promise itself stays as it is: if the vote comes back, it comes back to this (see vote). A list
// without a version is a file, which proves nothing to a server whose own file gives it a vote.
func (l *learner) unbound(m Message) bool {
	return m.Epoch >= l.cfg.Durable.Current && !m.Membership.IsZero() && !m.Membership.Voters().Has(l.self) &&
		(m.Membership.Committed.Version() > 0 || !l.view.Voters().Has(l.self))
}

// vote reports whether this server may go on in the configurations that it has learnt of. With a
// vote in them it must not acknowledge anything in an epoch before the one that it has promised.
func (l *learner) vote() bool {
	if l.epoch < l.promise.Epoch && l.view.Voters().Has(l.self) {
		l.refuse(fmt.Sprintf("epoch %d, promised %d, and this server has a vote now", l.epoch, l.promise.Epoch))
		return false
	}
	return true
}

// doubt makes this server abstain if the leader is not the incarnation that it remembers:
// it may have lost what it acknowledged, and must find its quorum elsewhere (hazard H-40).
func (l *learner) doubt(m Message) {
	if life, ok := lookupKnown(l.known, l.leader); ok && !m.Incarnation.IsZero() && life != m.Incarnation {
		l.abstain = true
		l.event(EventRefused, l.leader, 0, "not helped to lead: its store may have lost what it acknowledged")
	}
}

// refuse ends the role because the leader must not be followed.
func (l *learner) refuse(why string) {
	l.event(EventRefused, l.leader, 0, why)
	l.stop("leader refused: " + why)
}

// ackEpoch answers LEADERINFO: the promise is durable.
func (l *learner) ackEpoch() {
	l.state = awaitingSync
	l.enter(Synchronization, l.last.ID)
	l.send(Message{
		Kind: AckEpoch, To: l.leader, Epoch: l.epoch, Zxid: l.last.ID,
		Current: l.cfg.Durable.Current, Fresh: l.fresh, History: l.cfg.Durable.History,
		NeedSnap: l.needSnap, Untrusted: l.cfg.Durable.Untrusted || l.abstain,
		Known: l.known,
	})
}

// onDiff begins a synchronisation that keeps the whole history.
func (l *learner) onDiff(m Message) {
	if l.state != awaitingSync {
		l.illegal(m)
		return
	}
	if m.Point.ID != l.last.ID {
		l.resync(fmt.Sprintf("DIFF from %v, history ends at %v", m.Point.ID, l.last.ID))
		return
	}
	if m.Point != l.last {
		l.divergence(m.Point.ID, fmt.Sprintf("DIFF from %v, history ends at %v", m.Point, l.last))
		return
	}
	l.begin(SyncDiff, m.Point)
}

// onTrunc begins a synchronisation that cuts the end of the history, if the point
// is known to be in it (hazard H-02) and nothing committed is lost (spec 14.9 e).
func (l *learner) onTrunc(m Message) {
	if l.state != awaitingSync {
		l.illegal(m)
		return
	}
	if !l.history.Holds(m.Point.ID) {
		l.resync(fmt.Sprintf("TRUNC to %v, which is not in the history %v", m.Point.ID, l.history))
		return
	}
	if m.Point.ID < l.cfg.Durable.Committed {
		l.undo(m)
		return
	}
	if hash, known := l.history.hashAt(m.Point.ID); known && hash != m.Point.Hash {
		l.divergence(m.Point.ID, fmt.Sprintf("TRUNC to %v, hash here is %016x", m.Point, hash))
		return
	}
	l.begin(SyncTrunc, m.Point)
	l.history = l.history.cut(m.Point)
}

// onSnap begins a synchronisation that replaces the history. The chunks go past this
// role to the driver, which reports with SnapshotStaged or SnapshotFailed.
func (l *learner) onSnap(m Message) {
	if l.state != awaitingSync || m.Point.ID < 0 || m.Point.ID.Epoch() > l.epoch {
		l.illegal(m)
		return
	}
	l.begin(SyncSnap, m.Point)
	l.history = Summary{Base: m.Point}
}

func (l *learner) begin(mode SyncMode, at zxid.Point) {
	l.state, l.mode, l.from, l.last = receiving, mode, at, at
	l.event(EventSync, l.leader, at.ID, mode.String())
}

// onProposal takes history: while synchronising for both kinds of learners, after
// NEWLEADER for followers alone.
func (l *learner) onProposal(m Message) {
	switch {
	case l.state == receiving:
	case l.state > receiving && l.info == FollowerInfo:
	default:
		l.illegal(m)
		return
	}
	if l.receive(m.Entries) && m.Proposed != nil {
		l.see(m)
	}
}

// onInform takes committed history of the broadcast: proposal and commit in one.
func (l *learner) onInform(m Message) {
	if l.state <= receiving && l.accept == nil {
		l.illegal(m)
		return
	}
	if !l.receive(m.Entries) {
		return
	}
	l.committed = max(l.committed, l.last.ID)
	if m.Proposed != nil && l.see(m) {
		l.settle(m)
	}
}

// receive checks that the entries continue the history, the first one included
// (hazards H-13, H-14, H-58), and passes them on to where they belong now.
func (l *learner) receive(entries []Entry) bool {
	last := l.last
	for i := range entries {
		e := &entries[i]
		if err := e.Check(last); err != nil {
			l.mismatch(err, e.ID)
			return false
		}
		if at := e.ID.Epoch(); at > l.epoch || l.state > receiving && at != l.epoch {
			l.stop(fmt.Sprintf("protocol error: %v proposed in epoch %d", e.ID, l.epoch))
			return false
		}
		last = e.Point()
	}
	for i := range entries {
		l.history.grow(entries[i])
	}
	l.last = last
	switch {
	case l.state > receiving:
		return l.queue(entries)
	case l.mode == SyncSnap:
		l.out.Stage = join(l.out.Stage, entries)
	default:
		return l.stage(entries)
	}
	return true
}

// stage keeps entries in memory until NEWLEADER says that they are to be believed.
func (l *learner) stage(entries []Entry) bool {
	for i := range entries {
		l.stagedBytes += entries[i].cost()
	}
	if l.stagedBytes > l.cfg.Limits.StageBytes {
		l.resync(fmt.Sprintf("more than %d bytes of history to catch up with", l.cfg.Limits.StageBytes))
		return false
	}
	l.staged = join(l.staged, entries)
	return true
}

// join appends without writing to what either slice shares with others; joining to
// nothing copies nothing.
func join(to, entries []Entry) []Entry {
	if len(to) == 0 {
		return entries[:len(entries):len(entries)]
	}
	return append(to, entries...)
}

// onCommit raises the end of what is committed. It is remembered from the first
// synchronisation message on and delivered after UPTODATE (hazard H-26).
func (l *learner) onCommit(m Message) {
	if l.state < receiving {
		l.illegal(m)
		return
	}
	l.commit(m)
}

func (l *learner) commit(m Message) bool {
	if m.Zxid > l.last.ID || m.Zxid > l.history.Base.ID && !l.history.Holds(m.Zxid) {
		l.stop(fmt.Sprintf("protocol error: %v of %v, history ends at %v", m.Kind, m.Zxid, l.last.ID))
		return false
	}
	l.committed = max(l.committed, m.Zxid)
	if l.told() && l.view.Pending() && max(m.Zxid, m.Config) >= l.view.Seen.Version() {
		l.settle(m)
	}
	return true
}

// onNewLeader accepts the history that was received, if it is all that the leader
// meant (hazard H-22), in one atomic step on disk [TLA FollowerProcessNEWLEADER].
func (l *learner) onNewLeader(m Message) {
	if l.state != receiving || l.accept != nil {
		l.illegal(m)
		return
	}
	switch {
	case m.Point.ID != l.last.ID:
		l.resync(fmt.Sprintf("NEWLEADER at %v, history received ends at %v", m.Point.ID, l.last.ID))
	case m.Point != l.last:
		l.divergence(m.Point.ID, fmt.Sprintf("NEWLEADER at %v, history here is %v", m.Point, l.last))
	case m.Point.ID < l.cfg.Durable.Committed:
		l.undo(m)
	case !l.cluster().IsZero() && !m.Cluster.IsZero() && m.Cluster != l.cluster():
		l.refuse(fmt.Sprintf("leader belongs to ensemble %v, this server to %v", m.Cluster, l.cluster()))
	case !l.membership(m):
	case l.mode == SyncSnap && !l.snapshot:
		l.accept = &m
	default:
		l.acceptNewLeader(m)
	}
}

// acceptNewLeader builds the step: cut or new base, entries, epoch, identity. Either
// all of it is on disk after a crash or nothing (spec 7.3 S4; hazards H-06, H-23, H-24,
// H-35).
func (l *learner) acceptNewLeader(m Message) {
	d := &l.cfg.Durable
	from := l.from
	switch {
	case l.mode == SyncSnap:
		l.step.Install = &from
	case l.mode == SyncTrunc && from != d.History.Last():
		l.step.Truncate = &from
	}
	l.step.Append, l.staged, l.stagedBytes = l.staged, nil, 0
	if epoch := l.epoch; d.Current != epoch {
		l.step.Current = &epoch
	}
	if !m.Cluster.IsZero() && m.Cluster != d.Cluster {
		l.step.Cluster = m.Cluster
	}
	l.learn(m.Known)
	if !l.view.Equal(l.cfg.Membership) {
		l.step.Membership, l.out.Membership = l.view, l.view
	}
	l.state, l.acked = accepting, m.Point.ID
	if l.step.Empty() {
		// The same leader, the same epoch, nothing missed: all of it is on disk already, or on its way.
		if n := len(l.flights); n > 0 {
			l.flights[n-1].marks |= markNewLeader
			return
		}
		l.durable = l.last.ID
		l.ackNewLeader()
		return
	}
	l.marks |= markNewLeader
}

// ackNewLeader answers NEWLEADER: what it asks for is durable. It covers every entry
// before NEWLEADER; those after it are acknowledged behind it (hazard H-25).
func (l *learner) ackNewLeader() {
	l.state = awaitingUpToDate
	l.needSnap = false
	l.send(Message{Kind: Ack, To: l.leader, Epoch: l.epoch, Zxid: zxid.Make(l.epoch, 0)})
	l.event(EventSynced, l.leader, l.last.ID, "accepted NEWLEADER")
}

// learn takes over the leader's memory of incarnations.
func (l *learner) learn(told []Known) {
	if merged, changed := mergeKnown(l.known, told); changed {
		l.known, l.step.Known = merged, merged
		l.marks |= markKnown
	}
}

// onUpToDate opens the broadcast: the epoch is established.
func (l *learner) onUpToDate(m Message) {
	if l.state != awaitingUpToDate {
		l.illegal(m)
		return
	}
	if l.commit(m) {
		l.state = live
		l.enter(Broadcast, l.committed)
		if l.view.Committed.Version() > 0 {
			l.checkRole()
		}
	}
}

// onPing answers a ping, whatever the disk is doing.
func (l *learner) onPing(m Message) {
	if l.state > receiving {
		l.learn(m.Known)
	}
	l.send(Message{Kind: Ping, To: l.leader, Epoch: l.epoch, Zxid: l.last.ID, Seq: m.Seq})
}

// onAnswer passes on the answer to a Sync or Revalidate, behind the commits that came
// before it.
func (l *learner) onAnswer(m Message) {
	if l.state != live {
		l.illegal(m)
		return
	}
	l.answers = append(l.answers, answer{after: l.committed, msg: m})
}
