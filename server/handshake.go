package server

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// handshake takes the first frame of a connection and returns when a session is
// established, true, or the connection is not to be read any more (spec client-protocol 4.4).
func (c *conn) handshake() bool {
	frame, ok := c.firstFrame()
	if !ok {
		return false
	}
	c.received.Add(1)
	c.s.stats.received.Add(1)
	cur := jute.NewCursor(frame)
	var req proto.ConnectRequest
	if req.Decode(&cur); cur.Err() != nil {
		c.kill("malformed connect request")
		return false
	}
	if !c.afford(req.SessionID != 0) {
		c.s.log.Debug().Str("client", c.remote).Msg("refusing a connection: too many at once")
		c.kill("connection throttle")
		return false
	}
	if !c.admitted(req.LastZxidSeen) {
		c.kill("connect request refused")
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
		frame, ok, err := c.in.frame(c.s.cfg.MaxFrame)
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
// client has seen. A client that has seen more must find another server: it
// would travel back in time here (hazard H-62).
func (c *conn) admitted(seen zxid.ID) bool {
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
	for {
		c.s.mu.Lock()
		serving, opened := c.s.serving, c.s.opened
		c.s.mu.Unlock()
		if !serving {
			if !wait(opened, c.s.cfg.park()) {
				return false
			}
			continue
		}
		moved := c.s.tree.behind(seen)
		if moved == nil {
			return true
		}
		if !wait(moved, c.s.cfg.park()/4) {
			return false
		}
	}
}

// join marks the connection as one that has asked for a session, unless the server
// does not serve any more. A session id other than 0 is registered at once.
func (c *conn) join(session proto.SessionID) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if !c.s.serving {
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
	c.name(c.s.newSession())
	if !c.join(c.session) {
		c.kill("not serving")
		return false
	}
	r := request{op: proto.OpCreateSession, wait: forCommit, since: c.s.now(), who: c.who.Load()}
	e := envelope{conn: c.id, session: c.session, op: r.op, timeout: c.timeout, ids: r.who.encoded}
	c.forward(&r, Forward{Kind: KindRequest, Payload: e.append(nil)})
	c.submit()
	return true
}

// renewSession asks the leader whether the client may go on with a session. The password
// is checked first, so that a wrong one does not cost the session its living
// connection.
func (c *conn) renewSession(id proto.SessionID, passwd []byte) bool {
	if !proto.CheckPassword(id, passwd) {
		c.s.log.Info().Str("client", c.remote).Stringer("session", id).Msg("refusing a session with a wrong password")
		c.mu.Lock()
		c.refuseSession()
		c.mu.Unlock()
		return false
	}
	c.name(id)
	if old := c.s.sessionConn(id); old != nil {
		old.kill("the session has a newer connection")
	}
	if !c.join(0) {
		c.kill("not serving")
		return false
	}
	ask := renewal{conn: c.id, session: id, timeout: c.timeout}
	c.forwards = append(c.forwards, Forward{Kind: KindRevalidate, Payload: ask.encode()})
	c.submit()
	return true
}

// refuseSession appends the answer to a client whose session is gone. The caller
// holds c.mu.
func (c *conn) refuseSession() {
	if c.closed || c.finishing || c.watching {
		return
	}
	c.connectResponse(proto.RefusedSession(c.hasReadOnly, false))
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
		TimeOut: c.timeout, SessionID: c.session, Passwd: proto.Password(c.session), HasReadOnly: c.hasReadOnly,
	})
	c.watcher, c.watching = c.s.watches.Join(c), true
	close(c.opened)
}

func (c *conn) connectResponse(r proto.ConnectResponse) {
	out, mark := proto.BeginFrame(c.out)
	c.out = proto.EndFrame(r.Append(out), mark)
	c.sent++
}

// answerWord answers a four-letter word. A client that has closed its own direction
// still gets the whole answer.
func (c *conn) answerWord(word string) {
	c.received.Add(1)
	c.s.stats.received.Add(1)
	c.s.log.Debug().Str("client", c.remote).Str("word", word).Msg("four-letter word")
	text := fourletter.Answer(word, c.s.cfg.AllowWord(word),
		func() fourletter.Report { return c.s.report(word, c) }, c.s.cfg.Conf)
	c.mu.Lock()
	c.out = append(c.out, text...)
	c.lastAnswer()
	c.mu.Unlock()
}
