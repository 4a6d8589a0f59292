package server

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
)

// handshake takes the first frame of a connection and returns when a session is
// established, true, or the connection is not to be read any more (spec client-protocol 4.4).
func (c *conn) handshake() bool {
	frame, ok := c.firstFrame()
	if !ok {
		return false
	}
	c.active.Store(c.s.era.Load())
	c.received.Add(1)
	c.s.stats.received.Add(1)
	cur := jute.NewCursor(frame)
	var req proto.ConnectRequest
	if req.Decode(&cur); cur.Err() != nil {
		c.kill("malformed connect request")
		return false
	}
	if refusal := c.admitted(&req); refusal != "" {
		c.kill(refusal)
		return false
	}
	c.hasReadOnly = req.HasReadOnly
	c.timeout = c.s.cfg.clampTimeout(req.TimeOut)
	started := false
	if req.SessionID == 0 {
		started = c.createSession()
	} else {
		started = c.renewSession(req.SessionID, req.Passwd)
	}
	if !started {
		return false
	}
	select {
	case <-c.opened:
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.finishing
	case <-c.dead:
		return false
	}
}

// maxConnect bounds the first frame: the longest of any client is not a tenth of it, and nobody
// knows yet who is talking.
const maxConnect = keptInput

// firstFrame reads until the first frame is complete. A four-letter word is answered here.
func (c *conn) firstFrame() ([]byte, bool) {
	checked := false
	for {
		if b, ok := c.in.first(); ok && !checked {
			if word := fourletter.Word(b); word != "" {
				c.answerWord(word)
				return nil, false
			}
			checked = true
		}
		frame, ok, err := c.in.frame(min(c.s.cfg.MaxFrame, maxConnect))
		if err != nil {
			c.s.log.Debug().Str("client", c.remote).Err(err).Msg("closing a connection that does not speak the protocol")
			c.kill("bad first frame")
			return nil, false
		}
		if ok {
			return frame, true
		}
		if c.in.fill(c.nc) != nil {
			return nil, false
		}
	}
}

// admitted waits, for a moment at most, until the server serves and has applied what the
// client has seen, and says why the client has to go, "" if it may stay. A client that has seen
// more must find another server: it would travel back in time here (hazard H-62). So must one
// that wants to write, while the server serves only reads. Nobody takes a token of the throttle
// from those who can be served before the server serves at all (spec client-protocol 4.4).
func (c *conn) admitted(req *proto.ConnectRequest) (refusal string) {
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	wait := func(ch <-chan struct{}, d time.Duration) bool {
		if timer == nil {
			timer = time.NewTimer(d)
		}
		select {
		case <-ch:
			return true
		case <-timer.C:
		case <-c.dead:
		}
		return false
	}
	for paid := false; ; {
		c.s.mu.Lock()
		serving, opened := c.s.serving, c.s.opened
		c.readOnly = c.s.readOnly
		c.s.mu.Unlock()
		if !serving {
			if !wait(opened, c.s.cfg.park()) {
				return "not serving"
			}
			continue
		}
		if !paid && !c.afford(req.SessionID != 0) {
			return "connection throttle"
		}
		paid = true
		if c.readOnly && !req.ReadOnly {
			return "only reads are served"
		}
		moved := c.s.tree.behind(req.LastZxidSeen)
		if moved == nil {
			return ""
		}
		if !wait(moved, c.s.cfg.park()/4) {
			return "the client has seen more than this server"
		}
	}
}

// join marks the connection as one that has asked for a session, unless the server
// does not serve any more as it did when it admitted the connection. A session id other than 0 is registered at once.
func (c *conn) join(session proto.SessionID) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.s.serving || c.s.readOnly != c.readOnly {
		return false
	}
	c.joining = true
	if session != 0 {
		c.s.sessions[session] = c
	}
	return true
}

// name sets the connection's session. Who may look before it joined holds c.mu.
func (c *conn) name(session proto.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session
}

// createSession asks for a new session.
func (c *conn) createSession() bool {
	id, err := c.s.newSession()
	if err != nil {
		c.s.quiet.Error("no id for a new session").Err(err).Send()
		c.kill("no session id")
		return false
	}
	c.name(id)
	if c.readOnly || c.s.cfg.LocalSessions {
		return c.createLocal()
	}
	if !c.join(c.session) {
		c.kill("not serving")
		return false
	}
	r := request{op: proto.OpCreateSession, wait: forCommit, since: c.s.now(), who: c.who.Load()}
	c.forward(&r, c.sessionRequest(r.who))
	c.submit()
	return true
}

// sessionRequest asks the leader to create the connection's session.
func (c *conn) sessionRequest(who *identity) Forward {
	e := envelope{conn: c.id, session: c.session, op: proto.OpCreateSession, timeout: c.timeout, ids: who.encoded}
	return Forward{Kind: KindRequest, Payload: e.append(nil)}
}

// renewSession asks the leader whether the client may go on with a session, or settles it here
// if the session is local. The password is checked first, so that a wrong one does not cost
// the session its living connection. A server that serves only reads cannot know what became
// of a session of the ensemble: its client must not take it for lost, and is sent away.
func (c *conn) renewSession(id proto.SessionID, passwd []byte) bool {
	_, global := c.s.cfg.Store.Session(id)
	if c.readOnly && global {
		c.kill("a session of the ensemble is not renewed while only reads are served")
		return false
	}
	if !proto.CheckPassword(id, passwd) {
		return c.denySession("wrong password", id)
	}
	c.name(id)
	if old := c.s.sessionConn(id); old != nil {
		old.kill("the session has a newer connection")
	}
	switch {
	case !global && c.s.locals.renew(id, c.timeout):
		return c.renewLocal()
	case c.readOnly:
		return c.denySession("unknown session", id)
	case !c.join(0):
		c.kill("not serving")
		return false
	}
	c.forwards = append(c.forwards, c.renewal())
	c.submit()
	return true
}

// renewal asks the leader whether the client may go on with its session.
func (c *conn) renewal() Forward {
	ask := renewal{conn: c.id, session: c.session, timeout: c.timeout}
	return Forward{Kind: KindRevalidate, Payload: ask.encode()}
}

// denySession refuses a session without asking anybody.
func (c *conn) denySession(reason string, id proto.SessionID) bool {
	c.s.quiet.Info("refusing a session").Str("client", c.remote).Stringer("session", id).Str("reason", reason).Send()
	c.mu.Lock()
	c.refuseSession()
	c.mu.Unlock()
	return false
}

// refuseSession appends the answer to a client whose session is gone. The caller
// holds c.mu.
func (c *conn) refuseSession() {
	if c.closed || c.finishing || c.watching {
		return
	}
	c.connectResponse(proto.RefusedSession(c.hasReadOnly, c.readOnly))
	c.lastAnswer()
	close(c.opened)
}

// establish appends the answer to a client that has its session, and lets the reader
// go on. The caller holds the tree's lock and c.mu.
func (c *conn) establish() {
	if c.closed || c.watching {
		return
	}
	c.connectResponse(proto.ConnectResponse{
		TimeOut: c.timeout, SessionID: c.session, Passwd: proto.Password(c.session),
		HasReadOnly: c.hasReadOnly, ReadOnly: c.readOnly,
	})
	c.watcher, c.watching, c.heard = c.s.watches.Join(c), true, c.s.tree.fired
	close(c.opened)
}

func (c *conn) connectResponse(r proto.ConnectResponse) {
	out, mark := proto.BeginFrame(c.out)
	c.out = proto.EndFrame(r.Append(out), mark)
	c.sent++
	c.s.stats.sent.Add(1)
}

// answerWord answers a four-letter word, by and by if that is long. A client that has closed
// its own direction still gets the whole answer.
func (c *conn) answerWord(word string) {
	c.received.Add(1)
	c.s.stats.received.Add(1)
	c.s.log.Debug().Str("client", c.remote).Str("word", word).Msg("four-letter word")
	err := fourletter.Answer(pieces{c}, word, c.s.cfg.AllowWord(word), &inquiry{s: c.s, c: c})
	if err != nil {
		return // the connection is closed
	}
	c.s.stats.sent.Add(1)
	c.mu.Lock()
	c.lastAnswer()
	c.mu.Unlock()
}
