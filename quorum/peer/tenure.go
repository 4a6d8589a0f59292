package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// machine is what the three zab roles have in common.
type machine interface {
	Step(m zab.Message)
	Tick()
	Persisted(token uint64)
	Ready() zab.Ready
	Phase() zab.Phase
	Epoch() zxid.Epoch
	Heir() quorum.SID
	Finished() bool
}

// learner is what followers and observers add to it.
type learner interface {
	machine
	Submit(kind zab.Kind, data []byte)
	SnapshotStaged(at zxid.Point)
	SnapshotFailed()
	NeedSnap() bool
	Enlisted() bool
}

// tenure is one instance of a role: from the end of an election to the return to
// LOOKING. The loop owns it.
type tenure struct {
	p          *Peer
	generation uint64
	outcome    *fle.Outcome
	began      time.Time

	ctx    context.Context //nolint:containedctx // bounds the streams that belong to this very tenure
	cancel context.CancelFunc
	wg     sync.WaitGroup // streams

	writer  Writer
	machine machine
	leader  *zab.Leader // while LEADING
	learner learner     // while FOLLOWING or OBSERVING

	phase   zab.Phase
	settled bool // it has come to broadcast
	pending pending
	reason  string // why it ended
	noPoint bool   // a truncation point was not in the log: only a snapshot can help

	// LEADING: the links of learners, both ways, and what is streamed to them.
	links   map[quorum.SID]uint64
	sids    map[uint64]quorum.SID
	streams map[quorum.SID]*stream

	// FOLLOWING, OBSERVING: the link to the leader.
	link   uint64
	linked bool
	held   []zab.Message // said before the link was up

	// A snapshot on its way in, and the step that makes it the history.
	sink         SnapshotSink
	installPoint zxid.Point
	installToken uint64

	// Reused by send.
	outbox    map[quorum.SID][]zab.Message
	receivers []quorum.SID // whose outbox is not empty
}

// connectPatience is how long a learner tries to reach the leader that was elected, before it
// looks again: ports are open as long as a server lives, so that a leader that does not take the
// link is gone (spec zab-and-election 6.2 F1 gives five attempts, 100 ms apart).
const connectPatience = time.Second

// stopping is the reason of an orderly end.
const stopping = "this server is stopping"

func (p *Peer) newTenure(ctx context.Context, outcome *fle.Outcome) (*tenure, error) {
	p.generation++
	if p.enlisted && outcome.State == fle.Observing {
		outcome.State = fle.Following
	}
	t := &tenure{
		p: p, generation: p.generation, outcome: outcome, began: time.Now(),
		links:   make(map[quorum.SID]uint64),
		sids:    make(map[uint64]quorum.SID),
		streams: make(map[quorum.SID]*stream),
		outbox:  make(map[quorum.SID][]zab.Message),
	}
	t.ctx, t.cancel = context.WithCancel(ctx)
	generation := t.generation
	writer, err := p.cfg.Log.NewWriter(func(token uint64) {
		p.inbox.put(event{kind: evPersisted, generation: generation, token: token})
	})
	if err != nil {
		t.cancel()
		return nil, fmt.Errorf("peer: open the log for writing: %w", err)
	}
	t.writer = writer
	t.takeRole()
	p.publish(t, outcome.State, p.cfg.Log.Durable())
	return t, nil
}

// takeRole makes the machine that the election's outcome asks for.
func (t *tenure) takeRole() {
	p := t.p
	d := p.cfg.Log.Durable()
	cfg := zab.Config{
		Self:        p.cfg.Self,
		Membership:  p.members,
		Versioned:   p.cfg.Reconfigurable,
		AcceptOlder: p.cfg.AcceptOlder,
		Durable:     d,
		InitTicks:   2 * p.cfg.InitLimit,
		SyncTicks:   2 * p.cfg.SyncLimit,
		NeedSnap:    p.needSnap || p.spoilt,
		Heard:       p.heard,
		// The tree is flushed at times of its own; what it holds must be in the log already.
		DeliverDurable: true,
		Limits:         p.cfg.Limits,
	}
	switch t.outcome.State {
	case fle.Leading:
		for i := range cfg.NewCluster {
			cfg.NewCluster[i] = byte(p.cfg.Rand.Uint32())
		}
		t.leader = zab.Lead(cfg)
		t.machine = t.leader
		t.adoptHellos()
	case fle.Following:
		t.learn(zab.NewFollower(cfg, t.outcome.Vote.Leader))
	case fle.Observing:
		t.learn(zab.NewObserver(cfg, t.outcome.Vote.Leader))
	case fle.Looking:
		bug("election ended in LOOKING")
	}
}

// adoptHellos takes over the links of learners that were quicker than this server, in
// the order in which they came: of two links of one learner the newer counts.
func (t *tenure) adoptHellos() {
	for _, link := range slices.Sorted(maps.Keys(t.p.hellos)) {
		h := t.p.hellos[link]
		delete(t.p.hellos, link)
		t.linkUp(event{kind: evLinkUp, link: link, sid: h.sid})
		t.learnerSaid(link, h.msgs)
	}
}

func (t *tenure) learn(l learner) {
	t.learner, t.machine = l, l
	for link := range t.p.hellos {
		t.p.hangup(link)
	}
	t.link = t.p.cfg.Transport.Connect(t.outcome.Vote.Leader)
}

// run drives the role until it stops or ctx ends. An error is a fault of this server's own
// store or state machine.
func (t *tenure) run() error {
	p := t.p
	tick := time.NewTicker(p.cfg.TickTime / 2)
	defer tick.Stop()
	patience := time.NewTimer(connectPatience)
	defer patience.Stop()
	for {
		if err := t.settle(); err != nil {
			return err
		}
		if t.machine.Phase() == zab.Stopped || t.reason != "" {
			return nil
		}
		select {
		case <-t.ctx.Done():
			t.reason = stopping
			return nil
		case <-tick.C:
			t.tick()
			p.quiet.Sweep()
		case <-patience.C:
			if t.learner != nil && !t.linked {
				t.reason = "no connection to the leader"
			}
		case <-p.inbox.wake:
			for _, e := range p.inbox.take() {
				if err := t.event(e); err != nil {
					return err
				}
			}
		}
	}
}

// tick moves the machine's time.
func (t *tenure) tick() {
	d := t.p.cfg.Log.Durable()
	if t.leader != nil {
		t.leader.Trimmed(d.History.Base)
	}
	t.machine.Tick()
	t.p.publish(t, t.outcome.State, d)
}

// event handles one event of the inbox.
func (t *tenure) event(e event) error {
	switch e.kind {
	case evNotification:
		t.notified(e.note)
	case evReachable:
		t.p.reachable(e)
	case evLinkUp:
		t.linkUp(e)
	case evReceived:
		return t.received(e)
	case evLinkDown:
		t.linkDown(e)
	case evPersisted:
		return t.persisted(e)
	case evSubmit:
		t.submit(e)
	case evPropose:
		return t.propose(e, t.leader.Propose)
	case evPlan:
		t.plan(e)
	case evReconfigure:
		return t.reconfigure(e)
	case evAnswer:
		if t.leader != nil && e.generation == t.generation {
			t.leader.Answer(e.sid, e.request, e.payloads[0])
		}
	case evStreamDone, evStreamFailed:
		t.streamEnded(e)
	case evHandOver:
		t.handOver(e)
	case evRepair:
		t.repair(e)
	}
	return nil
}

// notified passes a notification to the election, and gives up a leadership that cannot begin while voters look for a leader
// [ZOOKEEPER-3109, hazard H-45]. Who elected this server and looks still, or again, when there was time enough to come,
// follows somebody else or will never come. And once those that came have left, another voter may be what is missing: else
// two servers could lead in turn for ever, each elected by a third that neither can synchronise.
func (t *tenure) notified(n fle.Notification) {
	t.p.listen(n)
	if t.leader == nil || n.State != fle.Looking || !t.leader.Membership().Voters().Has(n.From) {
		return
	}
	elector, late := t.outcome.Supporters.Has(n.From), time.Since(t.began) >= 2*t.p.cfg.Finalize+t.p.cfg.TickTime
	switch {
	case t.leader.Phase() == zab.Discovery && elector && late:
		t.reason = fmt.Sprintf("voter %v, which elected this server, is looking for a leader", n.From)
	case t.leader.Stranded() && (late || !elector):
		t.reason = fmt.Sprintf("voter %v is looking for a leader, and no quorum is left here", n.From)
	}
}

func (t *tenure) linkUp(e event) {
	if t.learner != nil {
		if e.link != t.link {
			t.p.cfg.Transport.Hangup(e.link) // we are not the leader it looks for
			return
		}
		t.linked = true
		t.p.cfg.Transport.Send(t.link, t.held)
		t.held = nil
		return
	}
	if old, ok := t.links[e.sid]; ok {
		t.forget(e.sid)
		t.p.cfg.Transport.Hangup(old)
		t.leader.Disconnected(e.sid)
	}
	t.links[e.sid], t.sids[e.link] = e.link, e.sid
}

func (t *tenure) linkDown(e event) {
	if t.learner != nil {
		if e.link == t.link && t.linked {
			t.reason = fmt.Sprintf("lost the leader: %v", e.err)
		}
		return
	}
	if sid, ok := t.sids[e.link]; ok {
		t.p.quiet.Info("learner disconnected", sid.String()).Stringer("peer", sid).AnErr("reason", e.err).Send()
		t.forget(sid)
		t.leader.Disconnected(sid)
	}
}

// forget drops the link of a learner and stops what is streamed on it.
func (t *tenure) forget(sid quorum.SID) {
	delete(t.sids, t.links[sid])
	delete(t.links, sid)
	t.stopStream(sid)
}

func (t *tenure) received(e event) error {
	if t.learner != nil {
		if e.link != t.link {
			return nil
		}
		for _, m := range e.msgs {
			m.From = t.outcome.Vote.Leader
			if err := t.learned(m); err != nil {
				return err
			}
		}
		return nil
	}
	t.learnerSaid(e.link, e.msgs)
	return nil
}

// learnerSaid hands the leader what came from a learner.
func (t *tenure) learnerSaid(link uint64, msgs []zab.Message) {
	sid, ok := t.sids[link]
	if !ok {
		return
	}
	for _, m := range msgs {
		m.From = sid // whatever it says: the link knows who it is
		t.leader.Step(m)
	}
}

// learned handles one message of the leader; the chunks of a snapshot go to the state machine.
func (t *tenure) learned(m zab.Message) error {
	switch m.Kind {
	case zab.Snap:
		if t.installToken != 0 {
			break // out of place, as the role will say; the snapshot in hand is the history's
		}
		if err := t.beginSnapshot(); err != nil {
			return err
		}
	case zab.SnapChunk:
		return t.snapshotChunk(m)
	default:
	}
	t.learner.Step(m)
	return nil
}

func (t *tenure) persisted(e event) error {
	if e.generation != t.generation {
		return nil
	}
	if t.installToken != 0 && e.token >= t.installToken {
		if err := t.install(); err != nil {
			return err
		}
	}
	t.machine.Persisted(e.token)
	return nil
}

func (t *tenure) submit(e event) {
	switch {
	case t.learner != nil:
		for i := range e.msgs {
			t.learner.Submit(e.msgs[i].Kind, e.msgs[i].Data)
		}
	case t.phase == zab.Broadcast:
		t.p.cfg.StateMachine.Forwarded(t.p.cfg.Self, e.msgs)
	}
}

// propose proposes what the preparer wants proposed, if it is this leadership's.
func (t *tenure) propose(e event, by func(first zxid.ID, txns [][]byte) error) error {
	if t.leader == nil || e.generation != t.generation || t.leader.Phase() != zab.Broadcast {
		return nil
	}
	switch err := by(e.first, e.payloads); {
	case err == nil, errors.Is(err, zab.ErrNotLeading):
	case errors.Is(err, zab.ErrExhausted):
		t.reason = err.Error() // a new epoch has zxids again
	default:
		return fmt.Errorf("peer: propose %v: %w", e.first, err)
	}
	return nil
}

// close ends the tenure: clients first, then streams and links, then the log, so that what
// the next election reads of the disk is final. failed says that this server cannot go on: what
// a staged snapshot and the log's intent say is then left to the next start.
func (t *tenure) close(failed bool) error {
	p := t.p
	p.leading.Store(0)
	p.publish(nil, fle.Looking, p.cfg.Log.Durable())
	if !failed && (t.reason == stopping || t.machine.Finished()) {
		p.cfg.StateMachine.Drain(p.cfg.TickTime) // who has asked for the change that ends this is answered
	}
	p.cfg.StateMachine.StopServing(t.endReason())
	t.cancel()
	for sid := range t.streams {
		t.stopStream(sid)
	}
	t.wg.Wait()
	for _, link := range t.links {
		p.cfg.Transport.Hangup(link)
	}
	if t.machine.Phase() == zab.Stopped {
		p.heir = t.machine.Heir()
	}
	if t.leader != nil {
		p.heard = max(p.heard, t.leader.Heard())
	}
	if t.learner != nil {
		p.cfg.Transport.Hangup(t.link)
		p.needSnap = t.learner.NeedSnap() || t.noPoint
		p.enlisted = t.learner.Enlisted()
	}
	t.writer.Close()
	if !failed {
		if err := t.endSnapshot(); err != nil {
			return err
		}
	}
	p.learnFrom(t.leader != nil, t.settled)
	ev := p.cfg.Logger.Warn()
	if t.reason == stopping {
		ev = p.cfg.Logger.Info()
	}
	ev.Stringer("state", t.outcome.State).Str("reason", t.endReason()).
		Dur("after_ms", time.Since(t.began)).Msg("role ended")
	return nil
}

func (t *tenure) endReason() string {
	if t.reason == "" {
		return "stopped"
	}
	return t.reason
}
