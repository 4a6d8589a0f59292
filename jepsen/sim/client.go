package sim

import (
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// clientsPerServer is how many clients each server has.
const clientsPerServer = 2

// client writes through one server. When the connection ends its session may be taken up by another
// client, or expires.
type client struct {
	p       *process
	session proto.SessionID // 0: none
	live    bool            // the session's creation was answered
	cxid    proto.Xid
	waiting []proto.Xid // unanswered, in order
	first   proto.Xid   // of this connection
	seen    zxid.ID     // highest zxid that it was told of
	moving  bool        // the leader was asked whether the session is alive
}

// beginClients gives a process its clients.
func (p *process) beginClients() {
	for range clientsPerServer {
		c := &client{p: p}
		p.clients = append(p.clients, c)
		c.later()
	}
	p.touchLater()
}

func (c *client) later() {
	pause := c.p.s.between(2*time.Millisecond, 60*time.Millisecond)
	pause = time.Duration(float64(pause) * c.p.s.pace)
	if c.p.s.calm {
		pause = max(10*pause, 100*time.Millisecond)
	}
	c.p.after(pause, func() {
		c.act()
		c.later()
	})
}

// maxWaiting bounds a client's pipeline.
const maxWaiting = 6

// act sends one request, or several.
func (c *client) act() {
	p := c.p
	if !p.app.serves() || p.tenure == nil || p.closing || len(c.waiting) >= maxWaiting || c.moving {
		return
	}
	if c.session == 0 && c.takeUp() {
		return
	}
	for n := 1 + p.s.rng.IntN(3); n > 0; n-- {
		if p.s.chance(0.05) {
			data := jute.AppendLong(nil, int64(p.s.oracle.applied0().ID))
			p.put(message{kind: evSubmit, msgs: []zab.Message{{Kind: zab.Sync, From: p.sid, Data: data}}})
			continue
		}
		r := c.request()
		c.waiting = append(c.waiting, r.Cxid)
		p.s.trace(p.server, line{label: labelRequest, n: int64(r.Cxid), text: r.Op.String()})
		p.put(message{kind: evSubmit, msgs: []zab.Message{{Kind: zab.Request, From: p.sid, Data: encodeRequest(&r)}}})
	}
}

// dropped: the connection is closed; what was under way has an unknown fate.
func (c *client) dropped() {
	if s := c.p.s; c.live && s.chance(0.5) {
		if s.strays = append(s.strays, stray{c.session, c.cxid, c.seen}); len(s.strays) > maxStrays {
			s.strays = s.strays[1:]
		}
	}
	c.forget()
}

// forget gives the session up.
func (c *client) forget() {
	c.session, c.live, c.moving, c.waiting, c.first, c.seen = 0, false, false, nil, 0, 0
}

// replied takes a transaction that was applied here; if it is this client's it is the reply.
func (c *client) replied(txn *proto.Txn, r *znode.Result) {
	if txn.ClientID != c.session {
		return
	}
	if txn.Type == proto.OpCloseSession && txn.Cxid == 0 {
		c.forget() // it has expired
		return
	}
	// What was asked for on an earlier connection is nobody's any more (hazard H-61).
	if len(c.waiting) == 0 || txn.Cxid < c.first {
		return
	}
	if c.waiting[0] != txn.Cxid {
		c.p.s.fail(sessionOrder, "server %v: reply to %v/%d at %v, oldest unanswered is %d",
			c.p.sid, c.session, txn.Cxid, txn.Zxid, c.waiting[0])
	}
	if txn.Zxid <= c.seen {
		c.p.s.fail(sessionOrder, "server %v: session %v is told of %v behind %v", c.p.sid, c.session, txn.Zxid, c.seen)
	}
	c.waiting, c.seen = c.waiting[1:], txn.Zxid
	c.p.s.trace(c.p.server, line{label: labelReply, point: zxid.Point{ID: txn.Zxid}, n: int64(txn.Cxid)})
	c.p.s.oracle.acknowledged(txn.Zxid)
	switch {
	case txn.Type == proto.OpCreateSession:
		c.live = true
	case txn.Type == proto.OpCloseSession || r.Code == proto.CodeSessionExpired:
		c.forget()
	}
}

// request makes up a request.
func (c *client) request() znode.Request {
	s := c.p.s
	if c.session == 0 {
		s.oracle.sessions++
		c.session, c.cxid, c.first, c.seen = proto.SessionID(int64(c.p.sid)<<56|s.oracle.sessions), 0, 0, 0
		return znode.Request{Session: c.session, Op: proto.OpCreateSession, Timeout: c.timeout()}
	}
	c.cxid++
	r := znode.Request{Session: c.session, Cxid: c.cxid}
	switch n := s.rng.IntN(100); {
	case n < 4 && c.live:
		r.Op = proto.OpCloseSession
	case n < 12:
		r.Op = proto.OpMulti
		r.Body = proto.MultiRequest{Ops: []proto.MultiOp{
			{Op: proto.OpCreate, Request: c.create()},
			{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: c.path(), Data: c.data(), Version: -1}},
			{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: c.path(), Version: -1}},
		}}.Append(nil)
	case n < 45:
		r.Op = proto.OpCreate
		r.Body = c.create().Append(nil)
	case n < 60:
		r.Op = proto.OpDelete
		r.Body = proto.DeleteRequest{Path: c.path(), Version: -1}.Append(nil)
	default:
		r.Op = proto.OpSetData
		r.Body = proto.SetDataRequest{Path: c.path(), Data: c.data(), Version: int32(s.rng.IntN(4)) - 1}.Append(nil)
	}
	return r
}

func (c *client) create() *proto.CreateRequest {
	modes := []proto.CreateMode{proto.ModePersistent, proto.ModeEphemeral, proto.ModePersistentSequential, proto.ModeEphemeralSequential}
	return &proto.CreateRequest{
		Path: c.path(), Data: c.data(), ACL: proto.WorldACL(proto.PermAll), Mode: modes[c.p.s.rng.IntN(len(modes))],
	}
}

// path names one of few nodes, some of them below others.
func (c *client) path() string {
	rng := c.p.s.rng
	path := fmt.Sprintf("/n%d", rng.IntN(6))
	if rng.IntN(2) == 0 {
		path += fmt.Sprintf("/m%d", rng.IntN(4))
	}
	return path
}

func (c *client) data() []byte {
	b := make([]byte, c.p.s.rng.IntN(60))
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

// synced verifies an answer to a sync: it comes behind everything that anybody had applied when
// the client asked, and behind everything that had been proposed when the leader handled it.
func (o *oracle) synced(a *applier, m *zab.Message) {
	c := jute.NewCursor(m.Data)
	at := a.tree.at().ID
	if seen := zxid.ID(c.Long()); m.Kind == zab.Sync && at < seen {
		o.s.fail(syncFreshness, "server %v: sync answered at %v, %v was applied before the client asked", a.p.sid, at, seen)
	}
	if after := zxid.ID(c.Long()); m.Kind == zab.Sync && after.Counter() > 0 && at < after {
		o.s.fail(syncOrder, "server %v: sync answered at %v, %v was proposed before", a.p.sid, at, after)
	}
}
