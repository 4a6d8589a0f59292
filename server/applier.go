package server

import (
	"fmt"
	"sync"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// workKind says what a work item asks for.
type workKind uint8

const (
	doCommit workKind = iota
	doAnswer
	doCall
)

// work is one item of the applier's queue.
type work struct {
	do     workKind
	answer Kind // doAnswer
	at     zxid.Point
	data   []byte // doCommit: the transaction; doAnswer: the payload
	call   func() // doCall
}

// staged is a transaction whose changes are computed and not yet installed.
type staged struct {
	txn    proto.Txn
	result znode.Result
	conn   *conn // the local connection that waits for it, nil if none
}

// maxBatch bounds the transactions that are installed at once, and with them the time
// for which readers are locked out.
const maxBatch = 256

// applier is the one goroutine that changes the tree. It takes work in order; runs of
// transactions are computed outside the tree's lock, and installed, told to watchers and
// answered in one go under it.
type applier struct {
	s *Server

	mu     sync.Mutex
	queue  []work
	closed bool
	wake   chan struct{}
	// room is signalled when the queue was taken, or will not be any more.
	room sync.Cond

	// Of the goroutine alone.
	changes  *znode.Changes
	batch    []staged
	at       zxid.Point
	broken   bool    // the tree cannot be trusted; nothing is applied any more
	dirty    []*conn // have output that nobody flushes
	touched  []*conn // had a request answered: their queued reads may go on
	hit      []*conn
	event    broadcast // of the last trigger, unless it was broadcast
	alone    int       // events that may still be delivered under the lock, in this batch
	triggers uint64    // number of the last trigger
	latency  latencies
	now      int64
	standing standing
	reports  bool // a report to the leader is due
}

func (a *applier) init(s *Server) {
	a.s = s
	a.wake = make(chan struct{}, 1)
	a.room.L = &a.mu
	a.changes = znode.NewChanges(s.cfg.Store)
	a.standing.version = uint64(s.cfg.Now().UnixNano())
	a.recall()
}

// push lets add append work to the queue; it returns false when the applier has ended.
func (a *applier) push(add func([]work) []work) bool {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return false
	}
	a.queue = add(a.queue)
	a.mu.Unlock()
	a.signal()
	return true
}

// await waits until the queue has room for more transactions.
func (a *applier) await() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) >= a.s.cfg.Backlog && !a.closed {
		a.room.Wait()
	}
}

func (a *applier) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// close lets the goroutine end when the queue is empty; nothing more can be pushed.
func (a *applier) close() {
	a.mu.Lock()
	a.closed = true
	a.room.Broadcast()
	a.mu.Unlock()
	a.signal()
}

// run is the goroutine.
func (a *applier) run() {
	a.remind()
	var items []work
	for {
		a.mu.Lock()
		items, a.queue = a.queue, items[:0]
		closed := a.closed
		a.room.Broadcast()
		a.mu.Unlock()
		for i := range items {
			a.take(&items[i])
		}
		a.flush()
		clear(items) // do not keep transactions alive
		if len(items) > 0 {
			if cap(items) > 4*maxBatch {
				items = nil
			}
			continue
		}
		if closed {
			return
		}
		<-a.wake
	}
}

func (a *applier) take(w *work) {
	if w.do == doCommit {
		a.stage(w)
		if len(a.batch) >= maxBatch {
			a.flush()
		}
		return
	}
	a.flush()
	if w.do == doCall {
		w.call()
		return
	}
	a.deliver(w.answer, w.data)
	a.sendOutput()
}

// fail stops the applier for good. What is in the tree is the state before.
func (a *applier) fail(err error) {
	a.broken = true
	a.batch = a.batch[:0]
	a.s.cfg.Fatal(err)
}

// stage computes what a transaction changes. Before the first transaction
// of a connection that has reads queued ahead of it, what was staged is installed and the
// reads are answered: they must see the state before it.
func (a *applier) stage(w *work) {
	if a.broken {
		return
	}
	txn, err := proto.DecodeTxn(w.data)
	if err != nil {
		a.fail(fmt.Errorf("server: committed transaction %v: %w", w.at.ID, err))
		return
	}
	c := a.claim(&txn)
	if a.broken {
		return
	}
	a.batch = append(a.batch, staged{txn: txn, result: a.changes.Apply(&txn), conn: c})
	a.at = w.at
}

// claim returns the local connection that waits for the transaction, if there is one.
func (a *applier) claim(txn *proto.Txn) *conn {
	if txn.ClientID == 0 {
		return nil
	}
	c := a.s.sessionConn(txn.ClientID)
	if c == nil {
		return nil
	}
	got := c.claim(txn)
	if got == claimAhead {
		a.flush()
		a.answerAhead(c)
		got = c.claim(txn)
	}
	switch {
	case got == claimMine:
		return c
	case got == claimClosed || txn.Type == proto.OpCloseSession: // finish closes the connection
		return nil
	}
	// The leader accepts writes of a session from its owner alone, in order, so this
	// cannot happen; if it does, an answer must not go to the wrong request.
	a.s.quiet.Error("a transaction of the session was not asked for here").
		Str("client", c.remote).Stringer("session", txn.ClientID).Stringer("zxid", txn.Zxid).Send()
	c.kill("a transaction of the session was not asked for here")
	return nil
}

// claimed is what claim finds.
type claimed uint8

const (
	claimMine   claimed = iota // the first unclaimed request asked for the transaction
	claimAhead                 // that request is of another kind
	claimOther                 // it asked for another one, or there is none
	claimClosed                // nobody waits any more
)

// claim looks at whether the transaction is what the first unclaimed request of the
// connection asked for, and claims the request if so.
func (c *conn) claim(txn *proto.Txn) claimed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return claimClosed
	}
	if c.claimed >= c.queue.len() {
		return claimOther
	}
	r := c.queue.at(c.claimed)
	if r.wait != forCommit {
		return claimAhead
	}
	if r.xid != txn.Cxid || (r.op == proto.OpCloseSession) != (txn.Type == proto.OpCloseSession) {
		return claimOther
	}
	c.claimed++
	return claimMine
}

// answerAhead answers the reads at the head of the queue, whatever output is waiting.
func (a *applier) answerAhead(c *conn) {
	a.s.tree.mu.RLock()
	c.mu.Lock()
	c.proveSyncs()
	c.runReady(a.s.cfg.MaxOutput)
	if c.stalled && len(c.out) >= a.s.cfg.MaxOutput {
		c.killLocked("the client does not read")
	}
	a.flag(c)
	c.mu.Unlock()
	a.s.tree.mu.RUnlock()
}

// flush installs what is staged and lets out everything that follows from it.
func (a *applier) flush() {
	if len(a.batch) == 0 || a.broken {
		a.sendOutput()
		return
	}
	s := a.s
	if !a.compare() {
		return
	}
	s.fanout.await()
	a.now = s.now()
	a.countSessions()
	s.tree.mu.Lock()
	a.alone = s.fanout.crowd
	if err := s.cfg.Store.Install(a.changes, a.at); err != nil {
		s.tree.mu.Unlock()
		a.fail(fmt.Errorf("server: install %v: %w", a.at.ID, err))
		return
	}
	s.tree.rise(a.at.ID)
	if pr := s.primary.Load(); pr != nil {
		pr.applied(a.at.ID) // ahead of the answers: whoever has one must not find it pending
	}
	if len(s.tree.open) > 0 {
		s.tree.tell(a.changes)
	}
	for i := range a.batch {
		a.finish(&a.batch[i])
	}
	// Reads go last: they show the whole batch, so all its events must be ahead of them.
	for i, c := range a.touched {
		c.affected = false
		c.mu.Lock()
		c.runReady(softOutput)
		c.mu.Unlock()
		a.touched[i] = nil
	}
	a.touched = a.touched[:0]
	s.tree.mu.Unlock()
	s.stats.book(&a.latency)
	a.sendOutput()
	clear(a.batch)
	a.batch = a.batch[:0]
	a.changes.Reset(s.cfg.Store)
	if a.reports {
		a.report()
	}
}

// countSessions books the sessions that the batch begins and ends.
func (a *applier) countSessions() {
	a.changes.Sessions(func(id proto.SessionID, _ int32, live bool) {
		if _, was := a.s.cfg.Store.Session(id); live && !was {
			a.s.sessionCount.Add(1)
		} else if was && !live {
			a.s.sessionCount.Add(-1)
		}
	})
}

// finish fires the watches of one installed transaction and answers its request.
func (a *applier) finish(st *staged) {
	for i := range st.result.Triggers {
		a.fire(&st.result.Triggers[i], st.txn.Zxid)
	}
	if st.conn != nil {
		a.reply(st.conn, st)
	}
	switch st.txn.Type {
	case proto.OpCreateSession:
		a.s.locals.remove(st.txn.ClientID)
	case proto.OpCloseSession:
		if c := a.s.sessionConn(st.txn.ClientID); c != nil && c != st.conn {
			c.kill("the session is closed or expired")
		}
	default:
	}
}

// reply answers the request at the head of the connection's queue, which claim has found to be
// the transaction's.
func (a *applier) reply(c *conn, st *staged) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed--
	if c.closed {
		return
	}
	c.catchUp()
	r := c.queue.at(0)
	c.answerWrite(r, &st.txn, &st.result)
	if !r.upgrade {
		var l latencies
		l.add(1, a.now-r.since)
		c.tally.book(&l, a.now)
		a.latency.add(1, a.now-r.since)
		if r.op != proto.OpCreateSession { // establish has counted that
			a.s.stats.sent.Add(1)
		}
	}
	c.dequeue()
	a.flag(c)
	if !c.affected {
		c.affected = true
		a.touched = append(a.touched, c)
	}
}

// answerWrite appends the reply to a write from what its transaction came to. The caller
// holds the tree's lock and c.mu.
func (c *conn) answerWrite(r *request, txn *proto.Txn, res *znode.Result) {
	if r.op == proto.OpCreateSession {
		if res.Code != proto.CodeOK {
			c.killLocked("the session cannot be created")
			return
		}
		if !r.upgrade {
			c.tally.note(r.op, 0, txn.Zxid)
			c.establish()
		}
		return
	}
	c.sent++
	h := proto.ReplyHeader{Xid: r.xid, Zxid: txn.Zxid, Err: res.Code}
	if r.op == proto.OpMulti && res.Multi != nil {
		h.Err = proto.CodeOK // errors are in the body
	}
	if h.Err != proto.CodeOK {
		c.tally.note(opNone, r.xid, h.Zxid)
		c.bare(h)
		return
	}
	c.tally.note(r.op, r.xid, h.Zxid)
	out, mark := proto.BeginReply(c.out, h)
	switch r.op {
	case proto.OpCreate:
		out = proto.CreateResponse{Path: res.Path}.Append(out)
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		out = proto.Create2Response{Path: res.Path, Stat: res.Stat}.Append(out)
	case proto.OpSetData:
		out = res.Stat.Append(out)
	case proto.OpSetACL:
		out = c.s.ensemble.Load().stat(res.Path, res.Stat).Append(out)
	case proto.OpReconfig:
		set, _ := txn.Body.(*proto.SetDataTxn)
		out = proto.GetDataResponse{Data: set.Data, Stat: res.Stat}.Append(out)
	case proto.OpMulti:
		out = proto.MultiResponse{Results: res.Multi}.Append(out)
	case proto.OpCloseSession:
		c.lastAnswer()
	}
	c.out = proto.EndFrame(out, mark)
}

// flag notes that the connection has output to be flushed. The caller holds c.mu.
func (a *applier) flag(c *conn) {
	if !c.flagged && !c.closed {
		c.flagged = true
		a.dirty = append(a.dirty, c)
	}
}

// sendOutput starts a writer for each connection that has new output and none at work.
func (a *applier) sendOutput() {
	for i, c := range a.dirty {
		a.dirty[i] = nil
		c.flagged = false
		c.mu.Lock()
		idle := !c.flushing && !c.closed
		c.mu.Unlock()
		if idle {
			a.s.wg.Add(1)
			go c.flushAndLeave()
		}
	}
	a.dirty = a.dirty[:0]
}

// flushAndLeave is flush on a goroutine of its own.
func (c *conn) flushAndLeave() {
	defer c.s.wg.Done()
	c.flush()
}
