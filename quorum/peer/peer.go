package peer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/quiet"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Peer is one server of an ensemble. Run owns all of it but the inbox and the
// published status; the other exported methods only put events into the inbox or read the
// status, and are safe for concurrent use.
type Peer struct {
	cfg   Config
	quiet *quiet.Log // for lines that other servers can cause
	inbox *inbox
	fle   *fle.Machine

	// members is the membership that transport, election and state machine were told of last.
	members quorum.Membership
	// heir is who leads next without an election, or quorum.None (spec zab-and-election 15.5).
	heir quorum.SID

	generation uint64
	// delivered is the zxid up to which entries were handed to the state machine.
	delivered zxid.ID
	// hellos are links of learners that dialled while no role took them, by link.
	hellos map[uint64]*hello
	// seen are the incarnations that other servers introduced themselves with.
	seen map[quorum.SID]quorum.Incarnation
	// notes are what other servers say of their own stores: see zab.Durable.Note.
	notes map[quorum.SID]note
	// rumour is a configuration pending elsewhere whose members the transport was told of, or nil.
	rumour *quorum.Ensemble
	// failures counts leaderships in a row that ended before they were established.
	failures int
	// refusals counts tenures as a learner in a row that ended before they were synchronised.
	refusals int
	// needSnap is set when the last synchronisation found that a DIFF or TRUNC is of no use.
	needSnap bool
	// spoilt is set from Repair until a snapshot is installed, stoodBack when it has made this server abstain
	// since a leader was established last.
	spoilt, stoodBack bool
	// ticked is up to when the election knows of the time that goes by.
	ticked time.Time
	// enlisted is set when the last leader needed the vote of this server, which knows itself as an
	// observer: a configuration that makes it a voter waits for just that (spec zab-and-election 15.6).
	enlisted bool
	// heard is the highest epoch that somebody is known to have promised.
	heard zxid.Epoch
	// lookingSince is when the current search for a leader began.
	lookingSince time.Time

	status atomic.Pointer[Status]
	// leading is the generation of the leadership whose proposals are wanted, or 0.
	leading atomic.Uint64
}

// note is a server's word for when its store was noted as the one that counts.
type note struct {
	life  quorum.Incarnation
	noted zxid.ID
}

// hello is a learner's link that waits for this server to become the leader.
type hello struct {
	sid   quorum.SID
	since time.Time
	msgs  []zab.Message
}

// maxHellos bounds the waiting links, maxHelloMessages what each may have said.
const (
	maxHellos        = 512
	maxHelloMessages = 4
)

// New makes a peer; Run starts it.
func New(cfg Config) (*Peer, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Peer{
		cfg:    cfg,
		quiet:  quiet.New(quiet.Config{Logger: cfg.Logger}),
		inbox:  newInbox(),
		hellos: make(map[uint64]*hello),
		seen:   make(map[quorum.SID]quorum.Incarnation),
		notes:  make(map[quorum.SID]note),
		heir:   quorum.None,
		ticked: time.Now(),
	}
	d := cfg.Log.Durable()
	p.members = d.Latest(cfg.Membership)
	p.fle = fle.New(fle.Config{
		Self:           cfg.Self,
		Membership:     p.members,
		FinalizeTicks:  electionTicks(cfg.Finalize),
		MinNotifyTicks: electionTicks(cfg.MinNotify),
		MaxNotifyTicks: electionTicks(cfg.MaxNotify),
		CutOffTicks:    electionTicks(connectPatience),
	})
	p.status.Store(&Status{State: fle.Looking})
	return p, nil
}

// Run lives the server's life until ctx ends; it then leaves its role in order and
// returns nil. Any other return is a fault that the process cannot survive.
func (p *Peer) Run(ctx context.Context) error {
	defer p.inbox.close()
	defer p.quiet.Flush()
	p.delivered = p.cfg.StateMachine.Applied().ID
	p.tell()
	for ctx.Err() == nil {
		outcome := p.inherit()
		if outcome == nil {
			var err error
			if outcome, err = p.look(ctx); err != nil {
				return err
			}
		}
		if outcome == nil {
			return nil
		}
		if err := p.serve(ctx, outcome); err != nil {
			return err
		}
	}
	return nil
}

// look runs one election. It returns nil when ctx ended first.
func (p *Peer) look(ctx context.Context) (*fle.Outcome, error) {
	p.lookingSince = time.Now()
	d := p.cfg.Log.Durable()
	p.publish(nil, fle.Looking, d)
	p.remember(d.Latest(p.cfg.Membership))
	p.distrust(d)
	own := fle.Vote{Leader: p.cfg.Self, Zxid: d.History.Last().ID, Epoch: d.Current}
	if d.Untrusted {
		own.Zxid = zxid.Untrusted
	}
	p.cfg.Logger.Info().Stringer("zxid", d.History.Last().ID).Uint32("epoch", uint32(d.Current)).
		Bool("untrusted", d.Untrusted).Msg("LOOKING: election begins")
	p.elapse()
	p.standBack()
	p.fle.Look(own)

	tick := time.NewTicker(electionTick)
	defer tick.Stop()
	readOnly := false
	for {
		outcome, err := p.electionStep(own)
		if err != nil {
			return nil, err
		}
		if outcome != nil {
			if readOnly {
				p.cfg.StateMachine.StopServing("the search for a leader is over")
			}
			p.holdBack(ctx, outcome)
			return outcome, nil
		}
		select {
		case <-ctx.Done():
			if readOnly {
				p.cfg.StateMachine.StopServing(stopping)
			}
			return nil, nil
		case <-tick.C:
			p.fle.Tick()
			p.ticked = time.Now()
			p.expireHellos()
			p.quiet.Sweep()
			if after := p.cfg.ReadOnlyAfter; after > 0 && !readOnly && time.Since(p.lookingSince) >= after {
				p.cfg.StateMachine.ServeReadOnly()
				readOnly = true
			}
		case <-p.inbox.wake:
			for _, e := range p.inbox.take() {
				p.elsewhere(e)
			}
		}
	}
}

// Learners that a leader refused more often than patientRefusals wait before they try again: from
// firstBackOff, doubling, up to lastBackOff.
const (
	patientRefusals = 3
	firstBackOff    = 20 * time.Millisecond
	lastBackOff     = time.Second
)

// holdBack keeps a learner that is refused again and again, because it belongs elsewhere for
// instance, from trying a hundred times a second. Events of the election are handled meanwhile.
func (p *Peer) holdBack(ctx context.Context, outcome *fle.Outcome) {
	over := p.refusals - patientRefusals
	if over < 0 || outcome.State == fle.Leading {
		return
	}
	wait := time.NewTimer(min(firstBackOff<<min(over, 10), lastBackOff))
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
			return
		case <-p.inbox.wake:
			for _, e := range p.inbox.take() {
				p.elsewhere(e)
			}
			p.electionReady()
		}
	}
}

// distrust tells the election which servers are not the ones that were once synchronised
// under their id, as far as their links have introduced them.
func (p *Peer) distrust(d zab.Durable) {
	for sid := range p.members.Voters().All() {
		p.judge(sid, d)
	}
}

// electionReady carries out what the election machine wants, but for what it has learnt of
// the membership: that is for a server that has no role.
func (p *Peer) electionReady() fle.Ready {
	rd := p.fle.Ready()
	for _, e := range rd.Events {
		p.logElection(e)
	}
	if rd.Rumour != nil {
		p.follow(rd.Rumour)
	}
	if p.cfg.Transport != nil && len(rd.Messages) > 0 {
		d := p.cfg.Log.Durable()
		for _, n := range rd.Messages {
			n.Life, n.Noted = d.Incarnation, d.Note(p.cfg.Self)
			if d.Cluster.IsZero() {
				// Who belongs to no ensemble yet knows of configurations by hearsay, of whichever ensemble.
				n.Config, n.Pending = nil, nil
			}
			p.cfg.Transport.Notify(n)
		}
	}
	return rd
}

// listen passes a notification to the election, and first what it says of the sender's store.
func (p *Peer) listen(n fle.Notification) {
	if told := (note{n.Life, n.Noted}); !n.Life.IsZero() && p.notes[n.From] != told {
		p.notes[n.From] = told
		p.judge(n.From, p.cfg.Log.Durable())
	}
	if !p.cfg.Reconfigurable {
		n.Pending = nil
	}
	p.fle.Step(n)
}

// electionStep is electionReady while looking. What was found with a membership that is not
// the newest does not count: the search begins anew.
func (p *Peer) electionStep(own fle.Vote) (*fle.Outcome, error) {
	for {
		rd := p.electionReady()
		if rd.Newer == nil || !p.cfg.Reconfigurable {
			return rd.Outcome, nil
		}
		if err := p.adopt(rd.Newer); err != nil {
			return nil, err
		}
		p.fle.Look(own)
	}
}

// elsewhere handles an event that no role takes: it belongs to the election, or to a
// learner that came too early.
func (p *Peer) elsewhere(e event) {
	switch e.kind {
	case evNotification:
		p.listen(e.note)
	case evReachable:
		p.reachable(e)
	case evLinkUp:
		p.early(e)
	case evReceived:
		if h := p.hellos[e.link]; h != nil {
			h.msgs = append(h.msgs, e.msgs...)
			if len(h.msgs) > maxHelloMessages {
				p.hangup(e.link)
			}
		}
	case evLinkDown:
		delete(p.hellos, e.link)
	case evPlan:
		e.planned <- Planned{Err: zab.ErrNotLeading}
	case evRepair:
		p.spoil()
		p.standBack()
	case evPersisted, evSubmit, evPropose, evReconfigure, evAnswer, evStreamDone, evStreamFailed, evHandOver:
		// Of a role that is over: its clients have been told by closing them.
	}
}

// early keeps the link of a learner that believes this server to be the leader
// already; it is taken over when the election comes to the same end.
func (p *Peer) early(e event) {
	if len(p.hellos) >= maxHellos {
		p.cfg.Transport.Hangup(e.link)
		return
	}
	p.hellos[e.link] = &hello{sid: e.sid, since: time.Now()}
}

// expireHellos sends learners away that this server will not lead soon: they look again.
func (p *Peer) expireHellos() {
	for link, h := range p.hellos {
		if time.Since(h.since) > connectPatience {
			p.hangup(link)
		}
	}
}

func (p *Peer) hangup(link uint64) {
	delete(p.hellos, link)
	p.cfg.Transport.Hangup(link)
}

func (p *Peer) reachable(e event) {
	if e.up {
		p.met(e.sid, e.incarnation)
	}
	p.fle.Reach(e.sid, e.up)
}

// serve runs the role that the election decided until it ends.
func (p *Peer) serve(ctx context.Context, outcome *fle.Outcome) error {
	p.cfg.Logger.Info().Stringer("state", outcome.State).Stringer("leader", outcome.Vote.Leader).
		Uint64("round", outcome.Round).Dur("took_ms", time.Since(p.lookingSince)).
		Stringer("supporters", outcome.Supporters).Msg("election ended")
	t, err := p.newTenure(ctx, outcome)
	if err != nil {
		return err
	}
	err = t.run()
	if closeErr := t.close(err != nil); err == nil {
		err = closeErr
	}
	return err
}

// Submit sends what this server's clients want towards the leader, in order: messages of
// which Kind and Data count. They are the peer's from then on. Without a leader they are dropped: the
// clients' connections have been closed, or are about to be.
func (p *Peer) Submit(msgs []zab.Message) { p.inbox.put(event{kind: evSubmit, msgs: msgs}) }

// Propose proposes transactions as the leader that was given generation by Leading; those of
// an older leadership are dropped. first is the zxid that the preparer gave the first of them.
func (p *Peer) Propose(generation uint64, first zxid.ID, txns [][]byte) {
	p.inbox.put(event{kind: evPropose, generation: generation, first: first, payloads: txns})
}

// Answer answers a Sync or Revalidate request of a learner, or of this server itself, behind
// the commit of everything that was proposed before.
func (p *Peer) Answer(generation uint64, to quorum.SID, kind zab.Kind, data []byte) {
	p.inbox.put(event{kind: evAnswer, generation: generation, sid: to, request: kind, payloads: [][]byte{data}})
}

// Leading returns the generation of the current leadership, or 0.
func (p *Peer) Leading() uint64 { return p.leading.Load() }

// Notified implements the transport's handler.
func (p *Peer) Notified(n fle.Notification) { p.inbox.put(event{kind: evNotification, note: n}) }

// Reachable implements the transport's handler: an election connection with sid, of the given
// incarnation, came up or was lost.
func (p *Peer) Reachable(sid quorum.SID, up bool, incarnation quorum.Incarnation) {
	p.inbox.put(event{kind: evReachable, sid: sid, up: up, incarnation: incarnation})
}

// LinkUp implements the transport's handler: a learner's link, dialled by either side, is up.
func (p *Peer) LinkUp(link uint64, sid quorum.SID) {
	p.inbox.put(event{kind: evLinkUp, link: link, sid: sid})
}

// Received implements the transport's handler. It blocks the link's reader while too much waits.
func (p *Peer) Received(link uint64, msgs []zab.Message) {
	p.inbox.put(event{kind: evReceived, link: link, msgs: msgs})
}

// LinkDown implements the transport's handler.
func (p *Peer) LinkDown(link uint64, err error) {
	p.inbox.put(event{kind: evLinkDown, link: link, err: err})
}

// bug ends the process on a state that only a defect of this program can produce.
func bug(format string, args ...any) { panic("peer: " + fmt.Sprintf(format, args...)) }
