package zab

import (
	"errors"
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// learner is what Follower and Observer share: everything but their names for
// themselves and what the leader may send them.
type learner struct {
	outbox

	// Fixed by the constructor.
	cfg    Config
	leader quorum.SID
	info   Kind // FollowerInfo or ObserverInfo
	table  *[kindEnd]learnerHandler

	state   learnerState
	epoch   zxid.Epoch // of the leader, from promising on; below promise only without a vote (see unbound)
	promise Promise    // given, durable from awaitingSync on
	fresh   bool       // the promise was given to this leader now, not earlier
	abstain bool       // the leader is not the one that is remembered under its id
	silence int        // ticks since the leader was heard

	// The history as far as it was received.
	history   Summary
	last      zxid.Point
	durable   zxid.ID // end of what is on disk, as part of the accepted history
	acked     zxid.ID // what the leader was told of it
	synced    int     // outbox.load of what is durable
	due       zxid.ID // what the disk is waited for,
	late      int     // and for how many ticks
	committed zxid.ID // what the leader said is committed
	delivered zxid.ID // what the driver was told of it
	answers   []answer

	// Synchronisation.
	mode        SyncMode
	from        zxid.Point // the point that the sync began with
	staged      []Entry    // DIFF, TRUNC: received, not handed to the disk yet
	stagedBytes int
	snapshot    bool     // SNAP: the driver has staged it
	accept      *Message // NEWLEADER that waits for the snapshot

	known    []Known
	needSnap bool

	// The configurations that go with the history as far as it was received.
	view quorum.Membership
	// retire says why the role is to end once it has delivered what comes before; heir leads
	// then, without an election, if there is one.
	retire   string
	retireAt zxid.ID
	heir     quorum.SID
	enlisted bool
}

// learnerState is what a learner waits for.
type learnerState uint8

const (
	awaitingLeader    learnerState = iota // *INFO sent; LEADERINFO
	promising                             // the own disk, to promise the epoch
	awaitingSync                          // ACKEPOCH sent; DIFF, TRUNC or SNAP
	receiving                             // history; NEWLEADER
	accepting                             // the own disk, to accept NEWLEADER
	awaitingUpToDate                      // ACK of NEWLEADER sent; UPTODATE
	live                                  // part of the broadcast
	learnerStateCount                     //
)

var learnerStateNames = [learnerStateCount]string{
	"before LEADERINFO", "before ACKEPOCH", "before synchronisation", "in synchronisation",
	"before accepting NEWLEADER", "before UPTODATE", "in broadcast",
}

// learnerHandler handles one kind of message in whatever state.
type learnerHandler func(*learner, Message)

// init opens discovery.
func (l *learner) init(cfg Config, leader quorum.SID, info Kind, table *[kindEnd]learnerHandler) {
	cfg.Limits = cfg.Limits.withDefaults()
	l.cfg, l.leader, l.info, l.table = cfg, leader, info, table
	l.self, l.heir, l.view = cfg.Self, quorum.None, cfg.Membership
	l.promise = cfg.Durable.Promise
	l.history = cfg.Durable.History.cut(cfg.Durable.History.Last())
	l.last = cfg.Durable.History.Last()
	l.known = sortedKnown(cfg.Durable.Known)
	l.needSnap = cfg.NeedSnap
	l.enter(Discovery, l.last.ID)
	l.send(Message{
		Kind: info, To: leader, Epoch: cfg.Durable.Promise.Epoch,
		Cluster: l.cluster(), Incarnation: cfg.Durable.Incarnation, Config: cfg.Membership.Committed.Version(),
		Untrusted: cfg.Durable.Untrusted, Known: l.proof(),
	})
}

// proof is the note by which this server counts under its id, if it has one: without it the leader may have no
// quorum to begin with.
func (l *learner) proof() []Known {
	if l.info != FollowerInfo || l.cfg.Durable.Note(l.self) == 0 {
		return nil
	}
	i, _ := findKnown(l.known, l.self)
	return l.known[i : i+1 : i+1]
}

// cluster is the ensemble that this server is bound to. A server without any history is
// bound to none: what it accepted may be an ensemble that never came to be, and there
// is nothing that another could destroy.
func (l *learner) cluster() quorum.ClusterID {
	if l.cfg.Durable.History.Last().ID == 0 {
		return quorum.ClusterID{}
	}
	return l.cfg.Durable.Cluster
}

// Phase returns the phase that the role is in.
func (l *learner) Phase() Phase { return l.phase }

// Epoch returns the epoch of the leader that is followed, or 0 before LEADERINFO.
func (l *learner) Epoch() zxid.Epoch { return l.epoch }

// NeedSnap reports whether the next role should ask for a snapshot, because the
// last synchronisation showed that a DIFF or TRUNC does not do: it belongs
// into the next Config. It stays set until NEWLEADER was accepted.
func (l *learner) NeedSnap() bool { return l.needSnap }

// Step handles a message of the leader; those of anybody else are ignored.
func (l *learner) Step(m Message) {
	if l.phase == Stopped || m.From != l.leader {
		return
	}
	if !m.Kind.Valid() {
		l.stop(fmt.Sprintf("%v received", m.Kind))
		return
	}
	if m.Kind != LeaderInfo {
		switch {
		case l.state == awaitingLeader:
			l.illegal(m)
			return
		case m.Epoch > l.epoch:
			l.stop(fmt.Sprintf("%v of epoch %d, following epoch %d", m.Kind, m.Epoch, l.epoch))
			return
		case m.Epoch < l.epoch:
			return
		}
	}
	l.silence = 0
	l.table[m.Kind](l, m)
	l.assert()
}

// Tick moves the role's time on by one tick. Silence of the leader for longer than
// InitTicks, or SyncTicks once NEWLEADER is accepted, ends the role.
func (l *learner) Tick() {
	if l.phase == Stopped {
		return
	}
	l.silence++
	limit := l.cfg.InitTicks
	if l.state >= awaitingUpToDate {
		limit = l.cfg.SyncTicks
	}
	if l.silence > limit {
		l.stop(fmt.Sprintf("leader %v silent for %d ticks %s", l.leader, l.silence, learnerStateNames[l.state]))
	} else if l.state >= awaitingUpToDate {
		l.checkDisk()
	}
	l.assert()
}

// checkDisk ends the role when what arrived SyncTicks ago is still not durable: the leader can do
// without this server, whose clients cannot (hazard H-74). As in ZooKeeper, the disk is waited for
// what had arrived when it was last caught up with.
func (l *learner) checkDisk() {
	if l.durable >= l.due {
		l.due, l.late = l.last.ID, 0
		return
	}
	if l.late++; l.late > l.cfg.SyncTicks {
		l.stop(fmt.Sprintf("own disk late by %d ticks: durable up to %v, received %v", l.late, l.durable, l.last.ID))
	}
}

// queue hands entries to the disk, unless more wait for it than Limits.UnsyncedBytes.
func (l *learner) queue(entries []Entry) bool {
	l.step.Append = join(l.step.Append, entries)
	for i := range entries {
		l.load += entries[i].cost()
	}
	if waiting := l.load - l.synced; waiting > l.cfg.Limits.UnsyncedBytes {
		l.stop(fmt.Sprintf("own disk late by %d bytes: durable up to %v, received %v", waiting, l.durable, l.last.ID))
		return false
	}
	return true
}

// Ready returns everything to do since the last call.
func (l *learner) Ready() Ready {
	l.deliver()
	if l.step.Install != nil && len(l.out.Stage) > 0 {
		// Both in one turn: what was to be staged goes with the step that installs it.
		l.step.Append = append(l.out.Stage, l.step.Append...)
		l.out.Stage = nil
	}
	if l.retire != "" && l.phase == Broadcast && l.delivered >= l.retireAt {
		l.finish(l.retire)
	}
	return l.take(l.last.ID)
}

// deliver raises what the driver is told to be committed, and releases the answers that
// waited for it.
func (l *learner) deliver() {
	if l.phase != Broadcast {
		return
	}
	to := l.committed
	if l.cfg.DeliverDurable {
		to = min(to, max(l.durable, l.delivered))
	}
	if to > l.delivered {
		l.delivered, l.out.Commit = to, to
	}
	n := 0
	for n < len(l.answers) && l.answers[n].after <= l.delivered {
		l.out.Deliver = append(l.out.Deliver, l.answers[n].msg)
		n++
	}
	l.answers = append(l.answers[:0], l.answers[n:]...)
}

// Submit forwards a Request, Sync, Revalidate or Touch to the leader. Outside the
// broadcast phase there is nobody to send it to, and it is dropped. The role keeps data.
func (l *learner) Submit(kind Kind, data []byte) {
	switch kind {
	case Request, Sync, Revalidate, Touch:
	default:
		panic(fmt.Sprintf("zab: %v cannot be submitted", kind))
	}
	if l.phase == Broadcast {
		l.send(Message{Kind: kind, To: l.leader, Epoch: l.epoch, Data: data})
	}
}

// Persisted tells that the step with this token, and every earlier one, is durable.
// Only now the promises that the step covers are made.
func (l *learner) Persisted(token uint64) {
	f, ok := l.landed(token)
	if !ok || l.phase == Stopped {
		return
	}
	l.synced = f.load
	if f.marks&markPromise != 0 {
		l.ackEpoch()
	}
	if f.marks&markNewLeader != 0 {
		l.durable = f.last
		l.ackNewLeader()
	}
	if l.state >= awaitingUpToDate {
		l.durable = f.last
		l.ack()
		if f.marks&markKnown != 0 && l.info == FollowerInfo {
			l.send(Message{Kind: Ack, To: l.leader, Epoch: l.epoch, Zxid: zxid.Make(l.epoch, 0), Known: f.known})
		}
	}
	l.assert()
}

// ack tells how far the log is durable. An observer's log is nobody's business.
func (l *learner) ack() {
	if l.info != FollowerInfo || l.durable <= l.acked {
		return
	}
	l.acked = l.durable
	l.send(Message{Kind: Ack, To: l.leader, Epoch: l.epoch, Zxid: l.durable})
}

// SnapshotStaged tells that the snapshot announced by Snap was received whole,
// verified and staged, and that it is of this point.
func (l *learner) SnapshotStaged(at zxid.Point) {
	if l.phase == Stopped {
		return
	}
	if l.state != receiving || l.mode != SyncSnap || l.snapshot || at != l.from {
		l.resync(fmt.Sprintf("snapshot staged at %v, announced at %v", at, l.from))
		return
	}
	l.snapshot = true
	if l.accept != nil {
		l.acceptNewLeader(*l.accept)
		l.accept = nil
	}
	l.assert()
}

// SnapshotFailed tells that the snapshot could not be received or verified. The
// role ends; what was staged is worth nothing.
func (l *learner) SnapshotFailed() {
	if l.phase != Stopped {
		l.resync("snapshot failed")
	}
}

// illegal ends the role over a message that has no place where it came (invariant I17).
func (l *learner) illegal(m Message) {
	l.stop(fmt.Sprintf("protocol error: %v %s", m.Kind, learnerStateNames[l.state]))
}

// resync ends the role; the next one asks for a snapshot.
func (l *learner) resync(why string) {
	l.needSnap = true
	l.stop(why)
}

// undo ends the role over a leader that lacks what is known to be committed: proof
// that the ensemble has lost it. Nothing on disk is touched, and no snapshot is asked for,
// since that would only hide the loss (spec 14.9 e, hazard H-18).
func (l *learner) undo(m Message) {
	why := fmt.Sprintf("%v to %v would undo what is committed up to %v", m.Kind, m.Point.ID, l.cfg.Durable.Committed)
	l.event(EventDivergence, l.leader, m.Point.ID, why)
	l.stop(why)
}

// divergence ends the role over histories that contradict each other.
func (l *learner) divergence(at zxid.ID, why string) {
	l.event(EventDivergence, l.leader, at, why)
	l.resync(why)
}

// mismatch ends the role over an entry or point that does not continue the history.
func (l *learner) mismatch(err error, at zxid.ID) {
	switch {
	case errors.Is(err, ErrDiverged):
		l.divergence(at, err.Error())
	case l.state <= receiving:
		l.resync(err.Error())
	default:
		l.stop(err.Error())
	}
}
