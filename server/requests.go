package server

import (
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/znode"
)

// handle takes one request frame of an open connection. It returns false if no further
// frame may be handled.
func (c *conn) handle(frame []byte) bool {
	cur := jute.NewCursor(frame)
	var h proto.RequestHeader
	if h.Decode(&cur); cur.Err() != nil {
		c.kill("request without a header")
		return false
	}
	r := request{xid: h.Xid, op: h.Op, since: c.burst, who: c.who.Load(), cost: decodedCost * len(frame)}
	if r.who.stranger && h.Op != proto.OpAuth && h.Op != proto.OpSASL {
		return c.turnAway(&r)
	}
	switch h.Op {
	case proto.OpExists, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2:
		var body proto.ReadRequest
		body.Decode(&cur)
		r.path, r.watch = body.Path, body.Watch
		return c.read(&r, cur.Err())
	case proto.OpPing:
		r.xid = proto.XidPing
		return c.read(&r, nil)
	case proto.OpGetACL, proto.OpGetAllChildrenNumber:
		var body proto.PathRequest
		body.Decode(&cur)
		r.path = body.Path
		return c.read(&r, cur.Err())
	case proto.OpSetWatches, proto.OpSetWatches2, proto.OpAddWatch, proto.OpCheckWatches, proto.OpRemoveWatches,
		proto.OpMultiRead, proto.OpGetEphemerals, proto.OpWhoAmI:
		body, err := proto.DecodeRequest(h.Op, cur.Rest())
		r.body, r.rearm = body, newRearm(body)
		return c.read(&r, err)
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpSetData,
		proto.OpSetACL, proto.OpMulti, proto.OpReconfig, proto.OpCloseSession:
		return c.write(&r, cur.Rest())
	case proto.OpSync:
		var body proto.SyncRequest
		body.Decode(&cur)
		r.body = &body
		return c.sync(&r, cur.Err())
	case proto.OpAuth:
		var body proto.AuthPacket
		body.Decode(&cur)
		return c.auth(&r, &body, cur.Err())
	case proto.OpSASL:
		var body proto.GetSASLRequest
		body.Decode(&cur)
		return c.sasl(&r, &body, cur.Err())
	}
	return c.unknown(&r)
}

// unknown answers what no client may send, with zxid -1, and closes the connection behind the
// answer (spec client-protocol 6.1).
func (c *conn) unknown(r *request) bool {
	r.fixed, r.last, r.code, r.zxid = true, true, proto.CodeUnimplemented, -1
	return c.put(r)
}

// refuse answers a request in its turn, with the zxid of that moment.
func (c *conn) refuse(r *request, code proto.Code) bool {
	r.wait, r.code, r.body = ready, code, nil
	return c.put(r)
}

// read answers a request that the server can answer alone: now, if nothing before it
// is unanswered, and else in its turn.
func (c *conn) read(r *request, malformed error) bool {
	if malformed != nil {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	if lookups := r.lookups(); lookups > fewLookups {
		return c.readLong(r, lookups)
	}
	r.cost += c.warm(r)
	if c.s.index != nil && linear(r.op) {
		c.queueLinear(r)
		return true
	}
	return c.put(r)
}

// warm loads what the request is about into the cache, before any lock is held, and
// estimates the length of the answer.
func (c *conn) warm(r *request) (cost int) {
	switch body := r.body.(type) {
	case *proto.SetWatches, *proto.SetWatches2:
		c.warmWatches(r.rearm, math.MaxInt)
	case *proto.MultiRequest:
		for i := range body.Ops {
			if read, ok := body.Ops[i].Request.(*proto.ReadRequest); ok {
				cost += c.warmNode(read.Path, body.Ops[i].Op)
			}
		}
	case nil:
		if r.path != "" {
			cost = c.warmNode(r.path, r.op)
		}
		if r.op == proto.OpGetAllChildrenNumber {
			r.aside = c.takeCensus(r.path)
		}
	}
	return cost
}

// decodedCost is how many times its length a request is taken to hold in memory while it waits:
// the shortest elements of lists grow that much when they are decoded.
const decodedCost = 4

// nameCost is what a child's name is taken for in an answer.
const nameCost = 24

func (c *conn) warmNode(path string, op proto.Op) (cost int) {
	n := c.node(path)
	switch {
	case n == nil:
		return 0
	case op == proto.OpGetData:
		return len(n.Data)
	case op == proto.OpGetChildren || op == proto.OpGetChildren2:
		return nameCost * int(n.NumChildren)
	}
	return 0
}

// put answers a ready request at once or queues it behind the unanswered ones. It returns
// false behind a last answer.
func (c *conn) put(r *request) bool {
	if c.queued.Load() > 0 {
		// Only this goroutine adds to the queue, so an empty one stays empty below.
		c.mu.Lock()
		if c.queue.len() > 0 {
			c.enqueue(r)
			c.mu.Unlock()
			return !r.last
		}
		c.mu.Unlock()
	}
	c.s.tree.mu.RLock()
	c.mu.Lock()
	if !c.closed {
		c.answer(r)
	} else if r.aside != nil {
		c.s.tree.unfollow(r.aside)
	}
	c.full = len(c.out) > softOutput
	c.mu.Unlock()
	c.s.tree.mu.RUnlock()
	c.answered++
	return !r.last
}

// write forwards a request that becomes a transaction. One that cannot be decoded must not
// reach the leader (spec client-protocol 6.4, hazard H-67).
func (c *conn) write(r *request, body []byte) bool {
	if c.local.Load() && r.op == proto.OpCloseSession {
		r.last = true
		return c.put(r)
	}
	if c.readOnly {
		return c.refuse(r, proto.CodeNotReadOnly)
	}
	if !wellFormed(r.op, body) {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	if c.s.cfg.EagerACLCheck && !c.mayForward(r, body) {
		return c.put(r)
	}
	r.wait = forCommit
	r.cost = len(body) + len(r.who.encoded)
	if c.local.Load() && c.s.cfg.LocalSessionsUpgrading && createsEphemeral(r.op, body) {
		c.upgrade(r)
	}
	e := envelope{
		conn: c.id, session: c.session, cxid: r.xid, op: r.op, local: c.local.Load(),
		ids: r.who.encoded, body: body,
	}
	c.forward(r, Forward{Kind: KindRequest, Payload: e.append(c.payload(envelopeLen + len(e.ids) + len(body)))})
	return r.op != proto.OpCloseSession // nothing behind it is answered
}

// envelopeLen is the length of an envelope without identities and body.
const envelopeLen = 34

// maxSlab bounds what one allocation for payloads may keep alive.
const maxSlab = 8 << 10

// payload returns an empty buffer for n bytes. The writes of one burst share allocations
// that double, so that a lone write costs no more than itself.
func (c *conn) payload(n int) []byte {
	if cap(c.slab)-len(c.slab) < n {
		c.slabSize = min(2*c.slabSize, maxSlab)
		c.slab = make([]byte, 0, max(n, c.slabSize))
		c.slabSize = cap(c.slab)
	}
	start := len(c.slab)
	c.slab = c.slab[:start+n]
	return c.slab[start : start : start+n]
}

// forward queues a request and collects what it submits.
func (c *conn) forward(r *request, f Forward) {
	c.mu.Lock()
	c.enqueue(r)
	c.mu.Unlock()
	c.forwards = append(c.forwards, f)
}

// mayForward reports whether the tree as it is here allows a write. If not, r is made the
// refusal, which belongs to no zxid (spec semantics 7.6).
func (c *conn) mayForward(r *request, body []byte) bool {
	request, err := proto.DecodeRequest(r.op, body)
	if err != nil {
		return true
	}
	code := znode.EagerCheck(c.s.tree.store, &c.s.cfg.Schemes, request, r.who.ids, r.who.judged)
	if code == proto.CodeOK {
		return true
	}
	r.fixed, r.code = true, code
	return false
}

// wellFormed reports whether the body of a write can be decoded.
func wellFormed(op proto.Op, body []byte) bool {
	cur := jute.NewCursor(body)
	switch op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer:
		var r proto.CreateRequest
		r.Decode(&cur)
	case proto.OpSetData:
		var r proto.SetDataRequest
		r.Decode(&cur)
	case proto.OpDelete:
		var r proto.DeleteRequest
		r.Decode(&cur)
	default:
		_, err := proto.DecodeRequest(op, body)
		return err == nil
	}
	return cur.Err() == nil
}

// sync asks the leader for a sign that everything proposed so far is committed.
func (c *conn) sync(r *request, malformed error) bool {
	if c.readOnly {
		return c.refuse(r, proto.CodeNotReadOnly)
	}
	if malformed != nil {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	c.tickets++
	t := ticket{conn: c.id, number: c.tickets}
	r.wait, r.ticket = forSync, t.number
	c.forward(r, Forward{Kind: KindSync, Payload: t.encode()})
	return true
}
