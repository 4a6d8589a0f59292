package sim

import (
	"errors"
	"fmt"
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

// tenure is one instance of a role, as in quorum/peer.
type tenure struct {
	p          *process
	generation uint64
	outcome    *fle.Outcome
	machine    machine
	leader     *zab.Leader      // while LEADING
	learner    learner          // while FOLLOWING or OBSERVING
	undecided  time.Duration    // LEADING; until when the trees of voters differ and no quorum has the same
	planned    *quorum.Ensemble // LEADING; a change on its way to be proposed

	phase   zab.Phase
	settled bool // it has come to broadcast
	pending []zab.Entry
	reason  string
	noPoint bool

	links   map[quorum.SID]*link // LEADING; never ranged over
	streams map[quorum.SID]*stream

	link   *link // to the leader
	linked bool
	held   []zab.Message

	began time.Duration

	sink         staging
	sinkAt       zxid.Point
	whole        bool // the snapshot is complete
	installPoint zxid.Point
	installToken uint64

	accept zxid.Point // point of the NEWLEADER that came last

	// Of a mutant: who joins with the configuration that was proposed last.
	joining quorum.Set
	joinAt  zxid.ID
}

func (p *process) beginTenure(outcome *fle.Outcome) {
	p.generation++
	if p.enlisted && outcome.State == fle.Observing {
		outcome.State = fle.Following // its vote may be what completes the reconfiguration
	}
	t := &tenure{
		p: p, generation: p.generation, outcome: outcome, began: p.s.now,
		links: map[quorum.SID]*link{}, streams: map[quorum.SID]*stream{},
	}
	p.tenure = t
	p.must(p.disk.log.DropStaged())
	p.disk.model.staged = nil
	p.s.trace(p.server, line{label: labelState, peer: outcome.Vote.Leader, text: outcome.State.String()})
	cfg := zab.Config{
		Self: p.sid, Membership: p.members, Versioned: p.s.changing, Durable: p.durable(),
		InitTicks: 2 * initLimit, SyncTicks: 2 * syncLimit,
		NeedSnap: p.needSnap || p.spoilt, Heard: p.heard, DeliverDurable: true, Limits: p.s.limits,
	}
	p.s.oracle.begin(p, &cfg.Durable)
	leader := outcome.Vote.Leader
	switch outcome.State {
	case fle.Leading:
		for i := range cfg.NewCluster {
			cfg.NewCluster[i] = byte(p.s.rng.Uint32())
		}
		t.leader = zab.Lead(cfg)
		t.machine = t.leader
		hellos := p.hellos
		p.hellos = nil
		for _, h := range hellos {
			t.handle(message{kind: evLinkUp, link: h.link, sid: h.sid})
			t.handle(message{kind: evReceived, link: h.link, msgs: h.msgs})
		}
	case fle.Following:
		t.learn(zab.NewFollower(cfg, leader))
	case fle.Observing:
		t.learn(zab.NewObserver(cfg, leader))
	default:
		panic(fmt.Sprintf("sim: election ended in %v", outcome.State))
	}
	t.ticks()
	t.settle()
	t.endIfOver()
}

func (t *tenure) learn(l learner) {
	t.learner, t.machine = l, l
	hellos := t.p.hellos
	t.p.hellos = nil
	for _, h := range hellos {
		h.link.hangup(t.p)
	}
	t.link = t.p.s.net.dial(t.p, t.outcome.Vote.Leader)
	t.p.timer(patience, func() {
		if t.p.tenure == t && !t.linked {
			t.reason = "no connection to the leader"
			t.endIfOver()
		}
	})
}

// current reports whether the tenure goes on.
func (t *tenure) current() bool { return t.p.tenure == t && !t.p.closing }

func (t *tenure) ticks() {
	t.p.timer(tickTime/2, func() {
		if t.current() {
			t.p.put(message{kind: evTick, generation: t.generation})
			t.ticks()
		}
	})
}

// handle takes one message of the inbox.
func (t *tenure) handle(m message) {
	mine := m.generation == t.generation
	switch m.kind {
	case evNotification:
		t.notified(m.note)
	case evReachable:
		t.p.reachable(m)
	case evLinkUp:
		t.linkUp(m)
	case evReceived:
		t.received(m)
	case evLinkDown:
		t.linkDown(m)
	case evTick:
		if mine {
			t.tick()
		}
	case evPersisted:
		t.persisted(m)
	case evNoPoint:
		if mine {
			t.reason, t.noPoint = "no such point in the log", true
		}
	case evSubmit:
		t.submit(m)
	case evPropose:
		t.propose(m, t.leader.Propose)
	case evPlan:
		t.plan(m)
	case evReconfigure:
		t.reconfigure(m)
	case evAnswer:
		if t.leader != nil && mine {
			t.leader.Answer(m.sid, m.request, m.data)
		}
	case evStreamDone, evStreamFailed:
		t.streamEnded(m)
	case evRepair:
		t.reason = "the tree is wrong"
		t.p.repair()
	}
}

// notified passes a notification to the election, and gives up a leadership that cannot begin while voters look
// for a leader (hazard H-45), as quorum/peer does.
func (t *tenure) notified(n fle.Notification) {
	t.p.listen(n)
	if t.leader == nil || n.State != fle.Looking || !t.leader.Membership().Voters().Has(n.From) {
		return
	}
	const grace = 2*finalizeWait + tickTime
	elector, late := t.outcome.Supporters.Has(n.From), t.p.s.now-t.began >= time.Duration(float64(grace)*t.p.rate)
	switch {
	case t.leader.Phase() == zab.Discovery && elector && late:
		t.reason = "a voter that elected this server is looking for a leader"
	case t.leader.Stranded() && (late || !elector):
		t.reason = "a voter is looking for a leader, and no quorum is left here"
	}
}

func (t *tenure) tick() {
	if t.leader != nil {
		t.leader.Trimmed(t.p.disk.log.Durable().History.Base)
		for sid := range t.leader.Synced().All() {
			t.stopStream(sid)
		}
	}
	t.machine.Tick()
}

func (t *tenure) linkUp(m message) {
	if t.learner != nil {
		if m.link != t.link {
			m.link.hangup(t.p)
			return
		}
		t.linked = true
		t.link.send(toAcceptor, t.held)
		t.held = nil
		return
	}
	if old := t.links[m.sid]; old != nil {
		t.forget(m.sid)
		old.hangup(t.p)
		t.leader.Disconnected(m.sid)
	}
	t.links[m.sid] = m.link
}

func (t *tenure) linkDown(m message) {
	if t.learner != nil {
		if m.link == t.link && t.linked {
			t.reason = "lost the leader"
		}
		return
	}
	if t.links[m.sid] == m.link {
		t.forget(m.sid)
		t.leader.Disconnected(m.sid)
	}
}

func (t *tenure) forget(sid quorum.SID) {
	delete(t.links, sid)
	t.stopStream(sid)
}

func (t *tenure) received(m message) {
	if t.learner != nil {
		if m.link == t.link {
			for _, msg := range m.msgs {
				msg.From = t.outcome.Vote.Leader
				t.learned(msg)
			}
		}
		return
	}
	if t.links[m.sid] != m.link {
		return
	}
	for _, msg := range m.msgs {
		msg.From = m.sid
		t.leader.Step(msg)
	}
}

// learned handles one message of the leader.
func (t *tenure) learned(m zab.Message) {
	switch m.Kind {
	case zab.Snap:
		t.sink, t.sinkAt, t.whole = t.p.app.tree.stage(m.Point), m.Point, false
	case zab.SnapChunk:
		t.snapshotChunk(m)
		return
	case zab.NewLeader:
		t.accept = m.Point
	default:
	}
	t.learner.Step(m)
}

func (t *tenure) snapshotChunk(m zab.Message) {
	if t.sink == nil || t.installToken != 0 {
		t.learner.SnapshotFailed()
		return
	}
	if err := t.sink.write(m.Data); err != nil {
		t.learner.SnapshotFailed()
		return
	}
	if !m.Done {
		return
	}
	at, err := t.sink.finish()
	if err != nil || at != t.sinkAt {
		t.learner.SnapshotFailed()
		return
	}
	t.whole = true
	t.learner.SnapshotStaged(t.sinkAt)
}

func (t *tenure) persisted(m message) {
	if m.generation != t.generation && !t.p.s.mutant.noFence {
		return
	}
	if t.installToken != 0 && m.token >= t.installToken {
		t.install()
	}
	t.machine.Persisted(m.token)
}

// install makes the staged snapshot the state, after the log has replaced its history.
func (t *tenure) install() {
	p := t.p
	p.crashPoint()
	p.app.drain()
	p.s.oracle.install(p, t.installPoint)
	p.app.replace(t.sink)
	p.disk.tainted = false
	p.s.oracle.installed(p)
	p.delivered, p.spoilt = t.installPoint.ID, false
	p.crashPoint()
	p.must(p.disk.log.InstallDone())
	t.sink, t.whole, t.installToken, t.installPoint = nil, false, 0, zxid.Point{}
}

func (t *tenure) submit(m message) {
	switch {
	case t.learner != nil:
		for i := range m.msgs {
			t.learner.Submit(m.msgs[i].Kind, m.msgs[i].Data)
		}
	case t.phase == zab.Broadcast:
		t.p.app.forwarded(t.p.sid, m.msgs)
	}
}

func (t *tenure) propose(m message, by func(first zxid.ID, txns [][]byte) error) {
	if t.leader == nil || m.generation != t.generation || t.leader.Phase() != zab.Broadcast {
		return
	}
	switch err := by(m.first, m.txns); {
	case err == nil:
	case errors.Is(err, zab.ErrNotLeading):
	case errors.Is(err, zab.ErrExhausted):
		t.reason = err.Error()
	default:
		t.p.s.fail(integrity, "server %v: propose %v: %v", t.p.sid, m.first, err)
	}
}

// endIfOver begins to end a tenure that has come to its end: clients and streams and
// links first, then the disk's queue, which takes time.
func (t *tenure) endIfOver() {
	p := t.p
	if !t.current() || t.machine.Phase() != zab.Stopped && t.reason == "" {
		return
	}
	p.s.trace(p.server, line{label: labelStepDown, peer: t.outcome.Vote.Leader, text: t.outcome.State.String() + ": " + t.reason})
	p.closing = true
	p.app.stopServing()
	if t.machine.Phase() == zab.Stopped {
		p.heir = t.machine.Heir()
	}
	for _, v := range p.s.servers {
		sid := v.sid
		t.stopStream(sid)
		if l := t.links[sid]; l != nil {
			l.hangup(p)
		}
	}
	if t.leader != nil {
		p.heard = max(p.heard, t.leader.Heard())
	}
	if t.learner != nil {
		t.link.hangup(p)
		p.needSnap = t.learner.NeedSnap() || t.noPoint
		p.enlisted = t.learner.Enlisted()
	}
	if len(p.disk.queue) == 0 || p.s.mutant.noFence {
		p.tenureClosed()
	}
}

// tenureClosed ends a tenure whose steps are all durable.
func (p *process) tenureClosed() {
	t := p.tenure
	if t.installToken != 0 && !t.noPoint {
		t.install()
	}
	p.app.tree.discard()
	p.tenure, p.closing = nil, false
	p.learnFrom(t.leader != nil, t.settled)
	if outcome := p.inherit(); outcome != nil {
		p.beginTenure(outcome)
	} else {
		p.look()
	}
	p.wake()
}
