package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/session"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// stray is a session whose connection has ended. Somebody may take it up again, at any server, unless
// it has expired by then.
type stray struct {
	id   proto.SessionID
	cxid proto.Xid
	seen zxid.ID
}

// maxStrays bounds them; the oldest are left to expire.
const maxStrays = 8

// timeout is what a client asks for, in ms.
func (c *client) timeout() int32 { return int32(400 + 200*c.p.s.rng.IntN(20)) }

// track begins to count the time of all sessions that the leader finds in its tree.
func (a *applier) track(l *primary) {
	l.sessions = session.New(int32(tickTime / time.Millisecond))
	a.tree.eachSession(l.sessions.Restore)
	l.tick = func() {
		a.p.timer(tickTime, func() {
			if a.primary != l {
				return
			}
			for _, id := range l.sessions.Tick() {
				r := znode.Request{Session: id, Op: proto.OpCloseSession}
				l.queue = append(l.queue, request{a.p.sid, zab.Request, encodeRequest(&r)})
				a.p.s.trace(a.p.server, line{label: labelSession, n: int64(id), text: "expires"})
			}
			a.prepareSoon()
			l.tick()
		})
	}
	l.tick()
}

// admit judges a request as the session tracker does. False: it came from a server that the session has
// left, and gets no answer.
func (l *primary) admit(r *request, req *znode.Request) bool {
	owner := session.Owner(r.from)
	switch {
	case req.Op == proto.OpCreateSession:
		l.sessions.Add(req.Session, req.Timeout, owner)
	case req.Op == proto.OpCloseSession && req.Cxid == 0: // by the tracker itself
	default:
		switch l.sessions.Check(req.Session, owner) {
		case session.Moved:
			return false
		case session.Expired:
			req.SessionCode = proto.CodeSessionExpired
			return true
		case session.OK:
		}
		if req.Op == proto.OpCloseSession {
			l.sessions.Close(req.Session)
		}
	}
	return true
}

// touched notes the sessions that a server has heard of.
func (l *primary) touched(data []byte) {
	for c := jute.NewCursor(data); len(c.Rest()) > 0 && c.Err() == nil; {
		l.sessions.Touch(proto.SessionID(c.Long()))
	}
}

// revalidate moves a session to the server that asks, and says whether it is alive.
func (l *primary) revalidate(from session.Owner, data []byte) []byte {
	c := jute.NewCursor(data)
	id, timeout := proto.SessionID(c.Long()), c.Int()
	_, _, alive := l.sessions.Renew(id, timeout, from)
	return jute.AppendBool(jute.AppendLong(nil, int64(id)), alive)
}

// touchLater tells the leader every tick which clients are there.
func (p *process) touchLater() {
	p.timer(tickTime, func() {
		var data []byte
		for _, c := range p.clients {
			if c.live {
				data = jute.AppendLong(data, int64(c.session))
			}
		}
		if len(data) > 0 && p.app.serves() && p.tenure != nil && !p.closing {
			p.put(message{kind: evSubmit, msgs: []zab.Message{{Kind: zab.Touch, From: p.sid, Data: data}}})
		}
		p.touchLater()
	})
}

// takeUp asks the leader for a session that lost its connection, unless this server is behind what its
// client has seen (I15 c).
func (c *client) takeUp() bool {
	s := c.p.s
	if len(s.strays) == 0 || !s.chance(0.5) {
		return false
	}
	i := s.rng.IntN(len(s.strays))
	st := s.strays[i]
	if c.p.app.tree.at().ID < st.seen {
		return false
	}
	s.strays = append(s.strays[:i:i], s.strays[i+1:]...)
	c.session, c.cxid, c.first, c.seen, c.moving = st.id, st.cxid, st.cxid+1, st.seen, true
	data := jute.AppendInt(jute.AppendLong(nil, int64(st.id)), c.timeout())
	c.p.put(message{kind: evSubmit, msgs: []zab.Message{{Kind: zab.Revalidate, From: c.p.sid, Data: data}}})
	s.trace(c.p.server, line{label: labelSession, n: int64(st.id), text: "moves here"})
	return true
}

// revalidated takes the leader's word about a session.
func (p *process) revalidated(m *zab.Message) {
	c := jute.NewCursor(m.Data)
	id, alive := proto.SessionID(c.Long()), c.Bool()
	for _, c := range p.clients {
		if c.session != id || !c.moving {
			continue
		}
		c.moving, c.live = false, alive
		if alive {
			p.s.counts.Moved++
		}
		if !alive {
			c.forget()
			continue
		}
		if z := p.s.oracle.closed[id]; z != 0 && z <= p.app.tree.at().ID {
			p.s.fail(sessionOrder, "server %v: session %v was closed at %v and is alive for the leader", p.sid, id, z)
		}
	}
}
