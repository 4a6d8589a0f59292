package server

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/session"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// inbound is a forward with the server that it came from.
type inbound struct {
	from Origin
	Forward
}

// windowBytes bounds the transactions that are proposed and not yet applied, beside
// Config.Window.
const windowBytes = 64 << 20

// keptSlab is the largest buffer that the primary uses again.
const keptSlab = 1 << 20

// primary is the leader-side pipeline: it judges requests in one total order and makes
// transactions of them. It also expires sessions. One goroutine owns all but the inbox.
type primary struct {
	s     *Server
	epoch zxid.Epoch
	out   Proposer

	mu      sync.Mutex // guards the inbox, started and stopped
	inbox   []inbound
	started bool
	stopped bool
	wake    chan struct{}
	// questions are functions that look at what the goroutine owns, between two batches.
	questions chan func()
	// ending is closed by stop, done when the goroutine has ended.
	ending, done chan struct{}

	// appliedTo is the zxid that the tree shows; written by the applier.
	appliedTo atomic.Int64
	// blocked is set while the goroutine waits for appliedTo to rise.
	blocked atomic.Bool

	// digest of the tree when the goroutine begins.
	digest uint64
	// jury is nil where there are no trees to compare; undecided says that it has found trees that differ,
	// and no quorum for one.
	jury      *jury
	undecided atomic.Bool

	// Of the goroutine alone.
	prep     *znode.Preparer
	quotas   quotaLog
	sessions *session.Tracker
	todo     []inbound // taken from the inbox, todo[taken:] not yet handled
	taken    int
	expired  []proto.SessionID // to be closed
	next     zxid.ID           // of the next transaction
	first    zxid.ID           // of the batch
	asked    znode.Request     // being prepared
	slab     []byte            // the batch, one transaction after the other
	ends     []int             // where they end in slab
	planned  bool              // the batch is one reconfiguration
	window   []proposed        // proposed and not yet applied
	inFlight int               // bytes in window
	closing  []closing
	ids      map[string][]proto.ID
	lastTick time.Time
	tickDue  time.Time // when the last tick was due
}

// closing is a session whose closeSession transaction is not applied yet.
type closing struct {
	at zxid.ID
	id proto.SessionID
}

// proposed is a batch on its way.
type proposed struct {
	upTo  zxid.ID
	bytes int
}

func newPrimary(s *Server, epoch zxid.Epoch, first zxid.ID, out Proposer) *primary {
	return &primary{
		s: s, epoch: epoch, out: out, next: first, first: first, jury: s.newJury(epoch),
		wake: make(chan struct{}, 1), questions: make(chan func()),
		ending: make(chan struct{}), done: make(chan struct{}),
		ids: make(map[string][]proto.ID),
	}
}

// start runs on the applier's goroutine, when everything of earlier epochs is
// applied.
func (p *primary) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.started = true
	p.digest = p.s.cfg.Store.PublicDigest()
	p.appliedTo.Store(int64(p.s.Applied().ID))
	go p.run()
}

// stop ends the goroutine and waits for it.
func (p *primary) stop() {
	p.mu.Lock()
	p.stopped = true
	started := p.started
	p.mu.Unlock()
	close(p.ending)
	if started {
		<-p.done
	}
}

// forwarded puts requests into the inbox. What bounds it is the number of unanswered
// requests that each server allows its connections.
func (p *primary) forwarded(from Origin, fs []Forward) {
	p.mu.Lock()
	for _, f := range fs {
		p.inbox = append(p.inbox, inbound{from, f})
	}
	p.mu.Unlock()
	p.signal()
}

// applied says that the tree shows everything up to z.
func (p *primary) applied(z zxid.ID) {
	p.appliedTo.Store(int64(z))
	if p.blocked.Swap(false) {
		p.signal()
	}
}

func (p *primary) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine.
func (p *primary) run() {
	defer close(p.done)
	p.tickDue = time.Now()
	ticks, cancel := p.s.cfg.Ticker(p.s.cfg.TickTime)
	defer cancel()
	p.takeOver()
	cleaner := newCleaner(p)
	defer cleaner.stop()
	for {
		p.work()
		select {
		case <-p.ending:
			return
		case <-p.wake:
		case f := <-p.questions:
			f()
		case p.tickDue = <-ticks:
			p.tick()
		case <-cleaner.runs:
			cleaner.begin()
		case <-cleaner.pauses:
			cleaner.step()
		}
	}
}

// takeOver gives every session its full timeout, whatever the last leader thought of it
// (spec semantics 9.2).
func (p *primary) takeOver() {
	cfg := &p.s.cfg
	p.prep = znode.NewPreparer(p.s.tree.store, znode.PrepareOptions{
		JuteMaxBuffer: cfg.MaxFrame, SkipACL: cfg.SkipACL, Schemes: cfg.Schemes, EnforceQuota: cfg.EnforceQuota,
		ExtendedTypes: cfg.ExtendedTypes, Digest: cfg.Digest, TreeDigest: p.digest,
	})
	p.sessions = session.New(int32(cfg.TickTime.Milliseconds()))
	cfg.Store.Sessions(func(id proto.SessionID, timeout int32) bool {
		p.sessions.Restore(id, timeout)
		return true
	})
	// An ephemeral without a session is a defect of the past. It is healed by a transaction, the
	// same on every server, never by touching this tree alone (hazard H-96).
	cfg.Store.Owners(func(owner proto.SessionID) bool {
		if !p.sessions.Known(owner) {
			p.s.log.Error().Stringer("session", owner).Msg("ephemerals of a session that does not exist: they are removed")
			p.expired = append(p.expired, owner)
		}
		return true
	})
	p.lastTick = time.Now()
	p.s.log.Info().Uint32("epoch", uint32(p.epoch)).Int("sessions", p.sessions.Len()).Msg("leading: taking requests")
}

// tick expires sessions. After a pause of this process its clients cannot be blamed for their
// silence: what they sent may still be on its way to us (hazard H-71).
func (p *primary) tick() {
	cfg := &p.s.cfg
	now := time.Now()
	if gap := now.Sub(p.lastTick); gap > time.Duration(cfg.SyncLimit)*cfg.TickTime {
		p.s.log.Warn().Dur("pause_ms", gap).Msg("this process was paused: sessions get extra time")
		p.sessions.Grant(cfg.SyncLimit)
	}
	p.lastTick = now
	p.judge(now)
	if p.jury != nil && p.jury.contested {
		return // nobody is served: no client is to blame for its silence
	}
	p.expired = append(p.expired, p.sessions.Tick()...)
}

// work handles everything that waits, as far as the window allows, and proposes one
// batch for each time that it looked into the inbox.
func (p *primary) work() {
	for {
		p.prune()
		p.sessions.Elapsed(int32(min(time.Since(p.tickDue).Milliseconds(), math.MaxInt32)))
		for len(p.expired) > 0 && p.mayTake() {
			p.expire(p.expired[0])
			p.expired = p.expired[1:]
		}
		for p.taken < len(p.todo) && p.mayTake() {
			p.handle(&p.todo[p.taken])
			p.taken++
		}
		p.propose()
		if p.taken < len(p.todo) || len(p.expired) > 0 {
			// The window is full. Applied may have risen since prune; if not, applied wakes us.
			p.blocked.Store(true)
			if p.appliedTo.Load() < int64(p.window[0].upTo) {
				return
			}
			continue
		}
		select {
		case f := <-p.questions: // under load there is no other moment for it
			f()
		default:
		}
		clear(p.todo)
		p.mu.Lock()
		p.todo, p.inbox, p.taken = p.inbox, p.todo[:0], 0
		p.mu.Unlock()
		if len(p.todo) == 0 || p.over() {
			return
		}
	}
}

// over reports whether stop was called.
func (p *primary) over() bool {
	select {
	case <-p.ending:
		return true
	default:
		return false
	}
}

// prune forgets what the tree shows by now.
func (p *primary) prune() {
	applied := zxid.ID(p.appliedTo.Load())
	p.prep.Applied(applied)
	for len(p.window) > 0 && p.window[0].upTo <= applied {
		p.inFlight -= p.window[0].bytes
		p.window = p.window[1:]
	}
	for len(p.closing) > 0 && p.closing[0].at <= applied {
		p.sessions.Remove(p.closing[0].id)
		p.closing = p.closing[1:]
	}
}

// mayTake reports whether one more transaction fits into the window. A batch that
// gets large is proposed on the way.
func (p *primary) mayTake() bool {
	if len(p.ends) >= maxBatch || len(p.slab) >= windowBytes/16 {
		p.propose()
	}
	if len(p.window) == 0 {
		return true // nothing to wait for
	}
	oldest := max(zxid.ID(p.appliedTo.Load()), zxid.Make(p.epoch, 0))
	return int64(p.next-oldest) <= int64(p.s.cfg.Window) && p.inFlight < windowBytes
}

// propose hands the batch to the log.
func (p *primary) propose() {
	if len(p.ends) == 0 {
		return
	}
	// The log keeps its transactions for long: it gets a copy without slack.
	batch := append(make([]byte, 0, len(p.slab)), p.slab...)
	txns := make([][]byte, len(p.ends))
	start := 0
	for i, end := range p.ends {
		txns[i] = batch[start:end:end]
		start = end
	}
	p.s.stats.proposals.add(p.ends)
	if p.planned {
		p.planned = false
		p.out.ProposeReconfig(p.first, txns[0])
	} else {
		p.out.Propose(p.first, txns)
	}
	p.window = append(p.window, proposed{upTo: p.next - 1, bytes: len(p.slab)})
	p.inFlight += len(p.slab)
	p.first, p.ends, p.slab = p.next, p.ends[:0], p.slab[:0]
	if cap(p.slab) > keptSlab {
		p.slab = nil
	}
}

// handle acts on one forward.
func (p *primary) handle(in *inbound) {
	var err error
	switch in.Kind {
	case KindRequest:
		var e envelope
		if e, err = decodeEnvelope(in.Payload); err == nil {
			err = p.request(in.from, &e)
		}
	case KindSync:
		p.propose()
		p.out.Answer(in.from, KindSync, in.Payload)
	case KindRevalidate:
		if isReport(in.Payload) {
			err = p.testify(in.from, in.Payload)
			break
		}
		var r renewal
		if r, err = decodeRenewal(in.Payload); err == nil {
			p.renew(in.from, r)
		}
	case KindTouch:
		err = decodeTouch(in.Payload, p.sessions.Touch)
	default:
		err = errEnvelope
	}
	if err != nil {
		p.s.quiet.Error("dropping a forward").Err(err).Int("from", int(in.from)).Uint8("kind", uint8(in.Kind)).Send()
	}
}

// request makes a transaction of a client's write, whatever becomes of it, but for those
// that come through a server that is not the session's any more.
func (p *primary) request(from Origin, e *envelope) error {
	ids, err := p.identities(e.ids)
	if err != nil {
		return err
	}
	r := &p.asked
	*r = znode.Request{Session: e.session, Cxid: e.cxid, Op: e.op, Body: e.body, IDs: ids, Timeout: e.timeout}
	if p.s.full.Load() {
		r.GrowthCode = proto.CodeThrottledOp
	}
	switch e.op {
	case proto.OpCreateSession:
		if p.sessions.Known(e.session) { // hazard H-69
			p.moved(from, notice{renewal: renewal{conn: e.conn, session: e.session}})
			return nil
		}
		p.sessions.Add(e.session, e.timeout, session.Owner(from))
	case proto.OpCloseSession: // the owner does not matter
		p.close(e.session)
	default:
		switch p.sessions.Check(e.session, session.Owner(from)) {
		case session.Moved:
			p.moved(from, notice{renewal: renewal{conn: e.conn, session: e.session}})
			return nil
		case session.Expired:
			p.judgeLocal(r, from, e)
		case session.OK:
		}
	}
	if e.op == proto.OpReconfig {
		return p.reconfigure(r)
	}
	p.prepare(r)
	return nil
}

// close marks a session as closing by the transaction that is prepared next.
func (p *primary) close(id proto.SessionID) {
	if p.sessions.Close(id) {
		p.closing = append(p.closing, closing{at: p.next, id: id})
	}
}

// expire proposes the end of a session that Tick has marked as closing.
func (p *primary) expire(id proto.SessionID) {
	p.s.quiet.Info("session expired").Stringer("session", id).Send()
	p.closing = append(p.closing, closing{at: p.next, id: id})
	p.prepare(&znode.Request{Session: id, Op: proto.OpCloseSession})
}

// prepare adds a transaction to the batch, and returns its type.
func (p *primary) prepare(r *znode.Request) proto.Op {
	now := p.s.cfg.Now()
	txn := p.prep.Prepare(r, p.next, now.UnixMilli())
	if p.s.cfg.EnforceQuota {
		p.quotas.tell(p, now)
	}
	p.add(&txn)
	return txn.Type
}

func (p *primary) add(txn *proto.Txn) {
	p.slab = proto.AppendTxn(p.slab, txn)
	p.ends = append(p.ends, len(p.slab))
	p.next = p.next.Next()
}

// renew answers whether a session may go on through another connection. The answer comes
// behind the commit of everything proposed so far, so that the older connection's writes
// are applied before the newer one begins.
func (p *primary) renew(from Origin, r renewal) {
	prev, moved, alive := p.sessions.Renew(r.session, r.timeout, session.Owner(from))
	if moved {
		p.moved(Origin(prev), notice{renewal: renewal{session: r.session}})
	}
	p.propose()
	p.out.Answer(from, KindRevalidate, notice{renewal: r, alive: alive}.encode())
}

// moved tells a server to close a connection whose session speaks through another one.
func (p *primary) moved(to Origin, n notice) {
	n.moved = true
	p.propose()
	p.out.Answer(to, KindRevalidate, n.encode())
}
