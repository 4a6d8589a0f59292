package server

import (
	"slices"
	"sync"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/session"
	"github.com/zabkeeper/zabkeeper/znode"
)

// locals are the sessions that no transaction created: this server alone knows them, keeps them
// alive and expires them (spec semantics 10.1). Their unit of time is the era; while the server
// does not serve, their time stands still, and they get their full timeout when it serves
// again. They live as long as the process, roles come and go.
//
// A session that is being upgraded is in the table until its createSession transaction is
// applied, so that it is not lost with a leader that never proposed it.
type locals struct {
	mu      sync.Mutex // innermost
	tracker *session.Tracker
}

func newLocals(cfg *Config) *locals {
	return &locals{tracker: session.New(int32(cfg.era().Milliseconds()))}
}

// add begins a session whose timeout is in ms.
func (l *locals) add(id proto.SessionID, timeout int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tracker.Add(id, timeout, 0)
}

// renew gives a session another timeout in ms, in full; it returns false for a session that is
// not in the table.
func (l *locals) renew(id proto.SessionID, timeout int32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _, alive := l.tracker.Renew(id, timeout, 0)
	return alive
}

func (l *locals) alive(id proto.SessionID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tracker.Alive(id)
}

func (l *locals) remove(id proto.SessionID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tracker.Remove(id)
}

// touch notes that the client of a connection was heard of. It returns whether its session is
// local, so that the leader need not know.
func (l *locals) touch(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tracker.Touch(c.session)
	return c.local.Load()
}

// tick ends an era and returns the sessions that expired with it. They are out of the table.
func (l *locals) tick() []proto.SessionID {
	l.mu.Lock()
	defer l.mu.Unlock()
	expired := l.tracker.Tick()
	for _, id := range expired {
		l.tracker.Remove(id)
	}
	return expired
}

// rearm gives every session its full timeout.
func (l *locals) rearm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tracker.TouchAll()
}

// clear forgets all sessions.
func (l *locals) clear(cfg *Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tracker = newLocals(cfg).tracker
}

// deadlines calls visit with each session and the number of eras until it expires.
func (l *locals) deadlines(visit func(id proto.SessionID, eras int64)) {
	l.mu.Lock()
	ids := l.tracker.IDs()
	l.mu.Unlock()
	for some := range slices.Chunk(ids, deadlineStep) {
		l.mu.Lock()
		for _, id := range some {
			if tick, ok := l.tracker.Deadline(id); ok {
				visit(id, tick-l.tracker.Now())
			}
		}
		l.mu.Unlock()
	}
}

func (l *locals) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tracker.Len()
}

// expireLocals ends an era of the local sessions, unless time stands still for them. The caller
// holds s.mu.
func (s *Server) expireLocals() {
	if !s.serving {
		return
	}
	for _, id := range s.locals.tick() {
		// One that is being upgraded is the leader's to expire.
		if c := s.sessions[id]; c != nil && c.local.Load() {
			s.quiet.Info("local session expired").Stringer("session", id).Send()
			c.kill("the local session has expired")
		}
	}
}

// createLocal begins a local session, which needs nobody's consent.
func (c *conn) createLocal() bool {
	c.local.Store(true)
	c.s.locals.add(c.session, c.timeout)
	if !c.join(c.session) {
		c.s.locals.remove(c.session)
		c.kill("not serving")
		return false
	}
	c.welcome(true)
	return true
}

// renewLocal goes on with a local session. What its older connection wrote may still be under
// way: the answer to a sync comes behind all of it, so that the new connection never meets
// transactions of the older one. Without a leader there are none.
func (c *conn) renewLocal() bool {
	c.local.Store(true)
	if !c.join(0) {
		c.kill("not serving")
		return false
	}
	if c.readOnly {
		if !c.s.adopt(c) {
			c.kill("not serving")
			return false
		}
		c.welcome(false)
		return true
	}
	c.forwards = append(c.forwards, Forward{Kind: KindSync, Payload: ticket{conn: c.id, number: renewalTicket}.encode()})
	c.submit()
	return true
}

// renewalTicket is the number of the sync that a renewal waits for; requests count from 1.
const renewalTicket = 0

// welcome tells the client that it has its session, a new one or not.
func (c *conn) welcome(created bool) {
	c.s.tree.mu.RLock()
	c.mu.Lock()
	if created {
		c.tally.note(proto.OpCreateSession, 0, c.s.tree.applied)
	}
	c.establish()
	c.mu.Unlock()
	c.s.tree.mu.RUnlock()
	c.flush()
}

// renewedLocal ends the wait of a client that renews a local session: all that its older
// connection wrote is applied. If that made the session a global one, the leader is asked.
func (a *applier) renewedLocal(c *conn) {
	if _, global := a.s.cfg.Store.Session(c.session); !global {
		a.renewed(c, a.s.locals.alive(c.session))
		return
	}
	c.local.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.s.cfg.Replicator.Submit([]Forward{c.renewal()})
	}
}

// upgrade makes the session a global one, ahead of the request that needs it: from here on the
// leader judges its requests and keeps it alive.
func (c *conn) upgrade(r *request) {
	c.s.quiet.Info("upgrading a local session").Stringer("session", c.session).Send()
	up := request{op: proto.OpCreateSession, wait: forCommit, upgrade: true, since: r.since, who: r.who}
	holds := c.holds // the request's, not this one's
	c.holds = holding{}
	c.forward(&up, c.sessionRequest(up.who))
	c.holds = holds
	c.local.Store(false)
}

// createsEphemeral reports whether a request, whose body can be decoded, would make an ephemeral
// node.
func createsEphemeral(op proto.Op, body []byte) bool {
	switch op {
	case proto.OpCreate, proto.OpCreate2:
		var r proto.CreateRequest
		cur := jute.NewCursor(body)
		r.Decode(&cur)
		return r.Mode.Ephemeral()
	case proto.OpMulti:
		record, err := proto.DecodeRequest(op, body)
		multi, ok := record.(*proto.MultiRequest)
		if err != nil || !ok {
			return false
		}
		for i := range multi.Ops {
			switch r := multi.Ops[i].Request.(type) {
			case *proto.CreateRequest:
				if multi.Ops[i].Op != proto.OpCreateContainer && r.Mode.Ephemeral() {
					return true
				}
			case *proto.CreateTTLRequest: // a plain creation without a TTL flag
				if r.Mode.Ephemeral() {
					return true
				}
			}
		}
	default:
	}
	return false
}

// judgeLocal judges a request of a session that is not alive here. It may be local to the server
// that it came through, which vouches for that; such a session owns no ephemerals, and ZooKeeper has
// two ways to say so (spec semantics 10.1): one where it looks for a session to upgrade, the other
// where it does not, as in createContainer.
func (p *primary) judgeLocal(r *znode.Request, from Origin, e *envelope) {
	if !e.local || !p.s.cfg.LocalSessions || p.sessions.Known(e.session) {
		r.SessionCode = proto.CodeSessionExpired
		return
	}
	upgrades := e.op == proto.OpCreate || e.op == proto.OpCreate2 || e.op == proto.OpMulti && from == p.s.cfg.Self
	if upgrades {
		r.EphemeralCode = proto.CodeEphemeralOnLocalSession
	}
}
