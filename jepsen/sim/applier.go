package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server/session"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// applier is what package server does with a tree: it applies what is committed, in the
// order in which it was handed over, and while this server leads prepares requests.
type applier struct {
	p       *process
	tree    state
	changes *znode.Changes
	handed  zxid.Point // up to where it was given transactions
	last    zxid.ID    // applied last
	serving bool

	standing standing
	rots     bool // the next write to a node goes wrong

	queue  []work
	moving bool

	primary *primary
}

// work is one thing for the applier; exactly one field counts.
type work struct {
	entries []zab.Entry
	lead    *primary
	answer  *zab.Message
}

// primary is the leader's pipeline.
type primary struct {
	generation uint64
	next       zxid.ID
	ready      bool // the tree has caught up
	prep       *znode.Preparer
	sessions   *session.Tracker
	tick       func()
	queue      []request
	moving     bool
	planning   bool // a change of the ensemble is being judged
}

// request is what a server asks of the leader.
type request struct {
	from quorum.SID
	kind zab.Kind
	data []byte
}

func newApplier(p *process, t state) *applier {
	return &applier{p: p, tree: t, changes: znode.NewChanges(t), handed: t.at(), last: t.at().ID}
}

// commit queues committed entries.
func (a *applier) commit(entries []zab.Entry) {
	a.handed = entries[len(entries)-1].Point()
	a.push(work{entries: entries})
}

// answered queues the answer to a request of this server.
func (a *applier) answered(m zab.Message) { a.push(work{answer: &m}) }

// lead begins the pipeline once everything before first is applied.
func (a *applier) lead(generation uint64, first zxid.ID) {
	a.primary = &primary{generation: generation, next: first}
	a.push(work{lead: a.primary})
}

// stopServing ends the pipeline and drops the clients.
func (a *applier) stopServing() {
	a.serving, a.primary = false, nil
	for _, c := range a.p.clients {
		c.dropped()
	}
}

func (a *applier) push(w work) {
	a.queue = append(a.queue, w)
	a.pump()
}

func (a *applier) pump() {
	if a.moving || len(a.queue) == 0 {
		return
	}
	a.moving = true
	a.p.after(time.Duration(float64(a.p.s.upTo(3*time.Millisecond))*a.p.slow), func() {
		a.moving = false
		for n := 1 + a.p.s.rng.IntN(3); n > 0 && len(a.queue) > 0; n-- {
			a.one()
		}
		a.p.crashPoint()
		a.pump()
	})
}

// drain applies everything that was handed over.
func (a *applier) drain() {
	for len(a.queue) > 0 {
		a.one()
	}
}

// replace swaps the tree for a snapshot's.
func (a *applier) replace(in staging) {
	a.tree.replace(in)
	a.handed = a.tree.at()
	a.last = a.handed.ID
	a.changes.Reset(a.tree)
	for _, c := range a.p.clients {
		c.dropped()
	}
	a.replaced()
}

// one does the first thing in the queue.
func (a *applier) one() {
	w := a.queue[0]
	a.queue = a.queue[1:]
	switch {
	case w.lead != nil:
		if w.lead == a.primary {
			w.lead.prep, w.lead.ready = znode.NewPreparer(a.tree, znode.PrepareOptions{Digest: true, TreeDigest: a.tree.public()}), true
			a.p.s.oracle.leadsFrom(a)
			a.track(w.lead)
			a.prepareSoon()
		}
	case w.answer != nil:
		a.p.s.oracle.synced(a, w.answer)
		if w.answer.Kind == zab.Revalidate {
			a.p.revalidated(w.answer)
		}
	default:
		a.apply(w.entries)
	}
}

// apply applies one batch.
func (a *applier) apply(entries []zab.Entry) {
	s := a.p.s
	a.changes.Reset(a.tree)
	txns, results := make([]*proto.Txn, len(entries)), make([]*znode.Result, len(entries))
	for i := range entries {
		s.oracle.applied(a.p, &entries[i])
		txns[i], results[i] = a.applyOne(&entries[i])
		if s.mutant.applyTwice && i > 0 && s.chance(0.1) {
			a.applyOne(&entries[i-1])
		}
	}
	a.compare(txns[len(txns)-1])
	for i, txn := range txns {
		if l := a.primary; l != nil && l.ready && txn.Type == proto.OpCloseSession {
			l.sessions.Remove(txn.ClientID)
		}
		for _, c := range a.p.clients {
			c.replied(txn, results[i])
		}
	}
	a.tree.install(a.changes, entries[len(entries)-1].Point())
	if a.primary != nil && a.primary.ready {
		a.primary.prep.Applied(a.tree.at().ID)
	}
	s.oracle.installed(a.p)
}

func (a *applier) applyOne(e *zab.Entry) (*proto.Txn, *znode.Result) {
	txn, err := proto.DecodeTxn(e.Data)
	if err != nil {
		a.p.s.fail(integrity, "server %v: committed %v does not decode: %v", a.p.sid, e.ID, err)
	}
	if a.rots {
		a.spoil(&txn)
	}
	result := a.changes.Apply(&txn)
	return &txn, &result
}

// forwarded takes requests of a server, the own one included, while this one leads.
func (a *applier) forwarded(from quorum.SID, msgs []zab.Message) {
	if a.primary == nil {
		return
	}
	for i := range msgs {
		a.primary.queue = append(a.primary.queue, request{from, msgs[i].Kind, msgs[i].Data})
	}
	a.prepareSoon()
}

func (a *applier) prepareSoon() {
	l := a.primary
	if l == nil || !l.ready || l.moving || l.planning || len(l.queue) == 0 {
		return
	}
	l.moving = true
	a.p.after(time.Duration(float64(a.p.s.upTo(2*time.Millisecond))*a.p.slow), func() {
		l.moving = false
		if a.primary == l && a.p.tenure != nil && a.p.tenure.generation == l.generation {
			a.prepare(l)
			a.prepareSoon()
		}
	})
}

// prepareBatch is how many requests are prepared in one go at most.
const prepareBatch = 8

// prepare makes transactions of some requests and proposes them.
func (a *applier) prepare(l *primary) {
	leader := a.p.tenure.leader
	first, txns := l.next, [][]byte(nil)
	flush := func() {
		if len(txns) > 0 {
			a.p.put(message{kind: evPropose, generation: l.generation, first: first, txns: txns})
		}
		first, txns = l.next, nil
	}
	for n := 0; n < prepareBatch && len(l.queue) > 0 && !l.planning; n++ {
		r := l.queue[0]
		if r.kind == zab.Request && !leader.CanPropose() {
			break
		}
		l.queue = l.queue[1:]
		if r.kind == zab.Touch {
			l.touched(r.data)
			continue
		}
		if r.kind != zab.Request {
			flush()
			data := jute.AppendLong(r.data[:len(r.data):len(r.data)], int64(l.next)-1)
			if r.kind == zab.Revalidate {
				data = l.revalidate(session.Owner(r.from), r.data)
			}
			a.p.put(message{kind: evAnswer, generation: l.generation, sid: r.from, request: r.kind, data: data})
			continue
		}
		req, ok := decodeRequest(r.data)
		if !ok {
			panic("sim: a request was damaged on its way")
		}
		if !l.admit(&r, &req) {
			continue
		}
		if req.Op == proto.OpReconfig {
			flush()
			a.reconfigure(l, &req)
			continue
		}
		txn := l.prep.Prepare(&req, l.next, a.p.wallClock())
		txns = append(txns, proto.AppendTxn(nil, &txn))
		l.next++
	}
	flush()
}

// wallClock is this server's idea of the time of day, in ms: it jumps now and then.
func (p *process) wallClock() int64 {
	return 1_700_000_000_000 + (p.s.now + p.wall).Milliseconds() + int64(p.sid)*37
}

// encodeRequest makes a request fit for the journey to the leader.
func encodeRequest(r *znode.Request) []byte {
	b := jute.AppendLong(nil, int64(r.Session))
	b = jute.AppendInt(b, int32(r.Cxid))
	b = jute.AppendInt(b, int32(r.Op))
	b = jute.AppendInt(b, r.Timeout)
	return jute.AppendBuffer(b, r.Body)
}

func decodeRequest(b []byte) (znode.Request, bool) {
	c := jute.NewCursor(b)
	r := znode.Request{Session: proto.SessionID(c.Long()), Cxid: proto.Xid(c.Int()), Op: proto.Op(c.Int()), Timeout: c.Int()}
	r.Body = c.Buffer()
	r.IDs = []proto.ID{{Scheme: "world", ID: "anyone"}}
	if r.Op == proto.OpReconfig {
		r.IDs = append(r.IDs, znode.SuperID())
	}
	return r, c.Err() == nil
}
