package oracle

import (
	"bytes"
	"container/heap"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Options say what is demanded beyond the contract that always holds.
type Options struct {
	// SyncReads demands that a sync, and with it every read behind it on its connection, shows
	// whatever anybody had been shown before it was sent.
	SyncReads bool
	// LinearizableReads demands the same of every read, as of servers with linearizableReads. Pings
	// and what concerns watches alone are no reads.
	LinearizableReads bool

	// Config is the content of /zookeeper/config before the members are changed for the first time. Empty: it is not
	// known, and not judged until then.
	Config string
	// Reconfig says that the servers let clients change the members (reconfigEnabled), LeastVoters how many voters they
	// must leave, default 2.
	Reconfig    bool
	LeastVoters int
	// DataLost says that servers have lost their data: one that is taken in again holds up a change as another change
	// does.
	DataLost bool
}

// Violation is a broken promise.
type Violation struct {
	Kind    string // which promise; see the package comment
	Session proto.SessionID
	Server  string
	Xid     proto.Xid
	Zxid    zxid.ID
	At      int64 // ns since the start of the run, 0 when no client was there
	Text    string
}

// String returns the violation on one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: session %v, xid %d, zxid %v, server %s, at %v: %s",
		v.Kind, v.Session, v.Xid, v.Zxid, v.Server, time.Duration(v.At).Round(time.Microsecond), v.Text)
}

// maxViolations bounds a report: a broken run can break everything.
const maxViolations = 100

// Report is what a check has found, and how much it has looked at.
type Report struct {
	Txns, Sessions, Connections, Requests int

	Decisions int // transactions of the log that were held against their requests
	Writes    int // replies to writes that were held against the log
	Reads     int // other replies that were held against the tree
	Events    int // watch events that were due and came
	Unjudged  int // replies and transactions that depend on what the log does not tell
	Changes   int // of the members
	Reused    int // sessions that got the id of one that had ended

	Violations []Violation
	More       int // violations that were left out
}

func (r *Report) add(v Violation) {
	if len(r.Violations) >= maxViolations {
		r.More++
		return
	}
	r.Violations = append(r.Violations, v)
}

// broken notes records that no client can have made.
func (r *Report) broken(at int64, text string) {
	r.add(Violation{Kind: "trace", At: at, Text: text})
}

// Check holds the records of all clients of an ensemble against the whole committed log, which must
// begin with the first transaction.
func Check(log []proto.Txn, records []Record, opt Options) *Report {
	k := &checker{
		opt: opt, tree: newTree(opt.Config), report: &Report{Txns: len(log)}, born: map[proto.SessionID]bool{},
		watches: watches{paths: map[string]map[*conn]mark{}},
	}
	k.history = history{k: k, conns: map[uint32]*conn{}, sessions: map[proto.SessionID]*session{}}
	k.history.take(records)
	k.report.Sessions, k.report.Connections = len(k.history.sessions), len(k.history.order)
	for _, c := range k.history.order {
		if len(c.frames) > 0 {
			k.queue = append(k.queue, c)
		}
	}
	heap.Init(&k.queue)
	for i := range log {
		txn := &log[i]
		if !txn.Zxid.Follows(k.at) {
			k.violate(Violation{Kind: "log", Session: txn.ClientID, Xid: txn.Cxid, Zxid: txn.Zxid, Text: fmt.Sprintf("the transaction cannot stand behind %v", k.at)})
			return k.report
		}
		k.judge(txn.Zxid)
		k.apply(txn)
	}
	k.judge(math.MaxInt64)
	return k.report
}

// checker replays the log. Frames of servers are judged when the tree is at the zxid that they
// name; each connection waits, in a heap, for the next one that it was sent.
type checker struct {
	opt     Options
	report  *Report
	history history
	tree    *tree
	watches watches
	born    map[proto.SessionID]bool // sessions that there are or have been
	queue   byZxid

	at      zxid.ID  // the state of the tree
	done    effect   // of the last transaction
	request *request // of the last transaction, nil: of nobody who is known
}

func (k *checker) violate(v Violation) { k.report.add(v) }

func (k *checker) violateFrame(c *conn, f *frame, kind, text string) {
	k.violate(Violation{Kind: kind, Session: c.session, Server: c.server, Xid: f.header.Xid, Zxid: f.header.Zxid, At: f.at, Text: text})
}

// judge judges what names a state before limit: the present one.
func (k *checker) judge(limit zxid.ID) {
	for len(k.queue) > 0 && k.queue[0].key() < limit {
		c := k.queue[0]
		for ; c.next < len(c.frames) && c.key() < limit; c.next++ {
			k.judgeFrame(c, &c.frames[c.next])
		}
		if c.next < len(c.frames) {
			heap.Fix(&k.queue, 0)
			continue
		}
		heap.Pop(&k.queue)
		k.watches.drop(c) // nothing of it is judged any more
		c.frames, c.expected = nil, nil
	}
}

func (k *checker) judgeFrame(c *conn, f *frame) {
	if f.req == nil {
		k.judgeEvent(c, f)
		return
	}
	c.expected = slices.DeleteFunc(c.expected, func(e due) bool { return e.perhaps })
	if len(c.expected) > 0 {
		k.violateFrame(c, f, "event-missing", fmt.Sprintf("a reply came before the %d events that it shows: %v", len(c.expected), c.expected[:min(len(c.expected), 3)]))
		c.expected = c.expected[:0]
	}
	missed := c.missed
	c.missed = nil
	q := f.req
	var want answer
	var told []event
	switch {
	case q.op.Class() == proto.ClassConnection || !q.op.Known():
		k.report.Unjudged++ // of no state
		return
	case f.header.Zxid != k.at:
		k.violateFrame(c, f, "zxid", fmt.Sprintf("the reply to %v names a state that the log does not have; the one before it is %v", q.op, k.at))
		return
	case q.write:
		if k.request != q {
			k.violateFrame(c, f, "lost", fmt.Sprintf("the reply to %v (%s) names a transaction of somebody else", q.op, short(text(q.op, f.header.Err, f.body))))
			return
		}
		want = written(q.op, &k.done)
		if q.op == proto.OpReconfig && k.done.code == proto.CodeOK && !k.done.broken {
			want = good(proto.GetDataResponse{Data: k.tree.nodes[configPath].data, Stat: k.done.stat})
		}
		k.report.Writes++
	default:
		k.judgeRead(c, f)
		want, told = k.read(q, f.header.Err)
		k.report.Reads++
	}
	if !slices.Equal(missed, told) {
		k.violateFrame(c, f, "event", fmt.Sprintf("setWatches told %v, where the log says %v", missed, told))
	}
	if !want.known {
		k.report.Unjudged++
		return
	}
	if !want.matches(q.op, f.header.Err, f.body) {
		k.violateFrame(c, f, "reply", fmt.Sprintf("%v of %s got %s; the log says %s", q.op, describe(q), short(text(q.op, f.header.Err, f.body)), short(want.text(q.op))))
	}
}

// judgeRead holds a reply that no transaction brought about against the life of its session and,
// where that is demanded, against what others had been shown.
func (k *checker) judgeRead(c *conn, f *frame) {
	if _, live := k.tree.sessions[c.session]; !live {
		k.violateFrame(c, f, "session", "the session was served at a state in which it does not exist")
	}
	fresh := k.opt.LinearizableReads && waits(f.req.op) || k.opt.SyncReads && f.req.op == proto.OpSync
	if fresh && f.header.Zxid < f.req.floor {
		k.violateFrame(c, f, "stale", fmt.Sprintf("%v was sent when somebody had been shown %v already", f.req.op, f.req.floor))
	}
}

// waits reports whether a server with linearizableReads lets an operation wait like behind a sync.
func waits(op proto.Op) bool {
	switch op {
	case proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2, proto.OpGetACL,
		proto.OpGetAllChildrenNumber, proto.OpGetEphemerals, proto.OpMultiRead:
		return true
	}
	return false
}

// judgeEvent holds a watch event against those that the log lets the connection expect.
func (k *checker) judgeEvent(c *conn, f *frame) {
	var w proto.WatcherEvent
	cur := jute.NewCursor(f.body)
	if w.Decode(&cur); cur.Err() != nil || w.State != proto.StateSyncConnected || f.header.Err != proto.CodeOK {
		k.violateFrame(c, f, "event", fmt.Sprintf("%+v is no event", w))
		return
	}
	got := event{f.header.Zxid, w.Type, w.Path}
	if got.zxid == -1 {
		c.missed = append(c.missed, got)
		return
	}
	at := slices.IndexFunc(c.expected, func(e due) bool { return e.event == got })
	if at < 0 {
		k.violateFrame(c, f, "event", fmt.Sprintf("nothing that the connection watches explains %v", got))
		return
	}
	if slices.ContainsFunc(c.expected[:at], func(e due) bool { return !e.perhaps }) {
		k.violateFrame(c, f, "event-missing", fmt.Sprintf("%v came before %v", got, c.expected[:min(at, 3)]))
	}
	c.expected = c.expected[at+1:]
	k.report.Events++
}

// apply carries out the next transaction: it is held against the request that asked for it, and
// lets watches fire.
func (k *checker) apply(txn *proto.Txn) {
	k.request = k.asked(txn)
	if k.request != nil {
		k.decided(txn)
	}
	var err error
	if txn.Type == proto.OpCreateSession {
		if k.born[txn.ClientID] {
			k.report.Reused++
		}
		k.born[txn.ClientID] = true
	}
	if txn.Type == proto.OpReconfig {
		k.report.Changes++
	}
	if k.done, err = k.tree.apply(txn); err != nil {
		k.violateTxn(txn, "log", err.Error())
		k.done.broken = true
	}
	k.at = txn.Zxid
	for i := range k.done.triggers {
		k.watches.fire(&k.done.triggers[i], txn.Zxid)
	}
}

func (k *checker) violateTxn(txn *proto.Txn, kind, text string) {
	v := Violation{Kind: kind, Session: txn.ClientID, Xid: txn.Cxid, Zxid: txn.Zxid, Text: fmt.Sprintf("%v: %s", txn.Type, text)}
	if q := k.request; q != nil {
		v.At, v.Server = q.at, q.conn.server
	}
	k.violate(v)
}

// asked finds the request of a transaction, nil for what servers do by themselves.
func (k *checker) asked(txn *proto.Txn) *request {
	k.request = nil
	switch {
	case txn.ClientID == 0 && txn.Type == proto.OpDeleteContainer, txn.Type == proto.OpCreateSession:
		return nil
	case txn.Type == proto.OpCloseSession && txn.Cxid == 0:
		return nil // the session has expired
	}
	s := k.history.sessions[txn.ClientID]
	if s == nil {
		k.violateTxn(txn, "ghost", "no client has had this session")
		return nil
	}
	if i := s.find(txn); i >= 0 {
		q := s.writes[i]
		k.skipped(txn, s.writes[s.next:i], q)
		s.next = i + 1
		return q
	}
	for _, q := range s.writes[:s.next] {
		switch {
		case q.xid != txn.Cxid:
		case q.logged != 0:
			k.violateTxn(txn, "twice", fmt.Sprintf("the request has been carried out before, at %v", q.logged))
			return nil
		case k.refusedLate(txn):
			return q
		default:
			k.violateTxn(txn, "write-order", "the request was sent before the one that the session's last transaction came from")
			return nil
		}
	}
	k.violateTxn(txn, "ghost", "the session has not sent this request")
	return nil
}

// refusedLate reports whether a transaction only says that its session has ended. Such a request may
// have been on its way while the session was ended through another server: it has no effect, nobody hears
// of it, and its place among the others does not matter.
func (k *checker) refusedLate(txn *proto.Txn) bool {
	refusal, ok := txn.Body.(*proto.ErrorTxn)
	return ok && refusal.Err == proto.CodeSessionExpired && !k.tree.live(txn.ClientID)
}

// find returns the place of a transaction's request among the writes that are not in the log yet, -1
// when it is not there. Clients may use an xid again; then the one counts whose reply names the
// transaction, or else one without a reply.
func (s *session) find(txn *proto.Txn) int {
	best := -1
	for i := s.next; i < len(s.writes); i++ {
		q := s.writes[i]
		switch {
		case q.xid != txn.Cxid || (q.op == proto.OpCloseSession) != (txn.Type == proto.OpCloseSession):
		case q.answer == txn.Zxid:
			return i
		case best < 0, q.answer == 0 && s.writes[best].answer != 0:
			best = i
		}
	}
	return best
}

// skipped demands that no write of a connection is left out when a later one is carried out: what is
// lost with a connection is its end.
func (k *checker) skipped(txn *proto.Txn, out []*request, q *request) {
	for _, left := range out {
		if left.conn == q.conn {
			k.violateTxn(txn, "gap", fmt.Sprintf("request %d of the same connection, sent before, is not in the log", left.xid))
			return
		}
	}
}

// decided holds a transaction against its request and the state before it.
func (k *checker) decided(txn *proto.Txn) {
	q := k.request
	q.logged = txn.Zxid
	if q.left && !k.refusedLate(txn) {
		k.violateTxn(txn, "moved", "the request was sent over a connection that the session had left")
	}
	if q.floor >= txn.Zxid {
		k.violateTxn(txn, "real-time", fmt.Sprintf("the request was sent when somebody had been shown %v already", q.floor))
	}
	if q.op == proto.OpReconfig {
		k.decidedReconfig(txn, q)
		return
	}
	kind, body, known := k.tree.decide(q)
	if !known {
		k.report.Unjudged++
		return
	}
	k.report.Decisions++
	if txn.Type != kind {
		k.violateTxn(txn, "decision", fmt.Sprintf("%v of %s comes to %v %s", q.op, describe(q), kind, short(show(body))))
		return
	}
	if kind != proto.OpCloseSession && !bytes.Equal(body.Append(nil), txn.Body.Append(nil)) {
		k.violateTxn(txn, "decision", fmt.Sprintf("%v of %s comes to %s; the log says %s", q.op, describe(q),
			short(show(body)), short(show(txn.Body))))
	}
}

// byZxid is a heap of connections by the state of what they were sent next.
type byZxid []*conn

func (c *conn) key() zxid.ID { return c.frames[c.next].key }

// Len implements heap.Interface.
func (h byZxid) Len() int { return len(h) }

// Less implements heap.Interface.
func (h byZxid) Less(i, j int) bool { return h[i].key() < h[j].key() }

// Swap implements heap.Interface.
func (h byZxid) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *byZxid) Push(x any) {
	if c, ok := x.(*conn); ok {
		*h = append(*h, c)
	}
}

// Pop implements heap.Interface.
func (h *byZxid) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	*h = (*h)[:last]
	return c
}
