package oracle

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// request is one request of a client.
type request struct {
	conn *conn
	xid  proto.Xid
	op   proto.Op
	body []byte
	at   int64
	// floor is the highest zxid that anybody had been shown when the request was sent: what it
	// comes to is above it.
	floor zxid.ID
	// left is set for what was sent over a connection whose session had gone on by another one.
	left   bool
	write  bool    // becomes a transaction
	answer zxid.ID // in the header of its reply, 0: there is none
	logged zxid.ID // of its transaction, 0: there is none yet
	// known is set when more may be known of who sends it than that he is somebody.
	known bool
}

// frame is one thing that a server sent.
type frame struct {
	at     int64
	header proto.ReplyHeader
	body   []byte
	req    *request // nil: an event
	key    zxid.ID  // at which state it is judged
}

// conn is one connection.
type conn struct {
	number  uint32
	server  string
	session proto.SessionID
	hello   *proto.ConnectRequest
	open    bool // the server has taken the session
	ended   bool
	known   bool // the client has tried to authenticate
	deaf    bool // the client has sent what is no request

	pending []*request
	frames  []frame // judged up to next
	next    int
	floor   zxid.ID // what the session had seen when the connection began
	highest zxid.ID // of the headers so far

	// While the log is replayed.
	expected []due   // and not received yet
	missed   []event // received with zxid -1, to be explained by the next reply
	watched  map[string]struct{}
	reached  int // the last trigger
}

// session is what is known of a session.
type session struct {
	id      proto.SessionID
	conns   []*conn
	current *conn      // the last one that a server took
	writes  []*request // in the order in which they were sent
	next    int        // writes before it are in the log, or never will be
}

// history is the records, sorted out.
type history struct {
	k        *checker
	conns    map[uint32]*conn
	order    []*conn // by their beginning
	sessions map[proto.SessionID]*session
	seen     zxid.ID // highest zxid in any header so far
}

func (h *history) take(records []Record) {
	for i := range records {
		r := &records[i]
		c := h.conns[r.Conn]
		if r.Kind == Dialled {
			c = &conn{number: r.Conn, server: string(r.Data), watched: map[string]struct{}{}}
			h.conns[r.Conn] = c
			h.order = append(h.order, c)
			continue
		}
		if c == nil {
			h.k.report.broken(r.At, fmt.Sprintf("record %d belongs to connection %d, which was never dialled", i, r.Conn))
			continue
		}
		switch r.Kind {
		case Sent:
			h.sent(c, r)
		case Received:
			h.received(c, r)
		default:
			c.ended = true
		}
	}
}

func (h *history) sent(c *conn, r *Record) {
	cur := jute.NewCursor(r.Data)
	if c.hello == nil {
		c.hello = new(proto.ConnectRequest)
		if c.hello.Decode(&cur); cur.Err() != nil {
			h.k.report.broken(r.At, fmt.Sprintf("a connect request that cannot be decoded: %v", cur.Err()))
			return
		}
		h.begin(c)
		return
	}
	var header proto.RequestHeader
	if header.Decode(&cur); cur.Err() != nil || c.deaf {
		c.deaf = true // whoever sends that is not answered any more
		return
	}
	if !c.open {
		h.k.report.broken(r.At, "a request before the connection has a session")
		return
	}
	c.known = c.known || header.Op.Class() == proto.ClassConnection
	q := &request{conn: c, xid: header.Xid, op: header.Op, body: cur.Rest(), at: r.At, floor: h.seen, known: c.known}
	if q.op == proto.OpPing {
		q.xid = proto.XidPing
	}
	q.write = isWrite(q.op, q.body)
	c.pending = append(c.pending, q)
	h.k.report.Requests++
	if !q.write {
		return
	}
	s := h.session(c.session)
	q.left = s.current != c && q.op != proto.OpCloseSession
	s.writes = append(s.writes, q)
}

// isWrite reports whether a server makes a transaction of a request.
func isWrite(op proto.Op, body []byte) bool {
	if !op.IsWrite() || !op.Known() {
		return false
	}
	_, err := proto.DecodeRequest(op, body)
	return err == nil
}

// begin notes what a session has seen when it opens a connection: nothing older may come.
func (h *history) begin(c *conn) {
	c.floor = c.hello.LastZxidSeen
	c.session = c.hello.SessionID
	if s := h.sessions[c.session]; s != nil && c.session != 0 {
		for _, old := range s.conns {
			if old.ended {
				c.floor = max(c.floor, old.highest)
			}
		}
	}
}

func (h *history) session(id proto.SessionID) *session {
	if h.sessions[id] == nil {
		h.sessions[id] = &session{id: id}
	}
	return h.sessions[id]
}

func (h *history) received(c *conn, r *Record) {
	cur := jute.NewCursor(r.Data)
	if !c.open {
		var answer proto.ConnectResponse
		if answer.Decode(&cur); cur.Err() != nil || c.hello == nil {
			h.k.report.broken(r.At, "an answer to a connect request that cannot be decoded")
			return
		}
		if answer.SessionID == 0 {
			return // refused
		}
		if c.hello.SessionID != 0 && answer.SessionID != c.hello.SessionID {
			h.k.violate(Violation{
				Kind: "session", Session: c.hello.SessionID, Server: c.server, At: r.At,
				Text: fmt.Sprintf("a session was asked for and another one given: %v", answer.SessionID),
			})
		}
		c.open, c.session = true, answer.SessionID
		s := h.session(c.session)
		s.conns, s.current = append(s.conns, c), c
		return
	}
	f := frame{at: r.At}
	if f.header.Decode(&cur); cur.Err() != nil {
		h.k.report.broken(r.At, "a frame of a server without a header")
		return
	}
	f.body = cur.Rest()
	if f.header.Xid != proto.XidNotification {
		f.req = h.answered(c, &f)
		if f.req == nil {
			return
		}
	}
	h.rise(c, &f)
}

// answered finds the request that a reply belongs to: the oldest one that waits.
func (h *history) answered(c *conn, f *frame) *request {
	for i, q := range c.pending {
		if q.xid != f.header.Xid {
			continue
		}
		if i > 0 {
			h.k.violateFrame(c, f, "reply-order", fmt.Sprintf("a reply to request %d, while %d is not answered", q.xid, c.pending[0].xid))
		}
		c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
		q.answer = f.header.Zxid
		return q
	}
	h.k.violateFrame(c, f, "reply-order", fmt.Sprintf("a reply to request %d, which nobody waits for", f.header.Xid))
	return nil
}

// rise holds the zxid of a frame against what the session has seen. A frame that goes back is told
// of and not judged any further: the state that it names is gone.
func (h *history) rise(c *conn, f *frame) {
	z := f.header.Zxid
	if z > 0 {
		low := max(c.floor, c.highest)
		if z < low {
			h.k.violateFrame(c, f, "back", fmt.Sprintf("the session had seen %v before", low))
			return
		}
		c.highest = max(c.highest, z)
		h.seen = max(h.seen, z)
	}
	f.key = c.highest
	c.frames = append(c.frames, *f)
}
