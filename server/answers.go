package server

// deliver acts on an answer of the leader. Everything that was committed before it is
// installed.
func (a *applier) deliver(kind Kind, payload []byte) {
	var err error
	switch kind {
	case KindSync:
		var t ticket
		if t, err = decodeTicket(payload); err == nil && t.conn == indexConn {
			a.indexed(t.number)
		} else if err == nil {
			a.synced(t)
		}
	case KindRevalidate:
		if isRuling(payload) {
			var r ruling
			if r, err = decodeRuling(payload); err == nil {
				a.ruled(r)
			}
			break
		}
		var n notice
		if n, err = decodeNotice(payload); err == nil {
			a.notice(n)
		}
	case KindRequest, KindTouch:
		a.s.quiet.Error("an answer of a kind that has no answers").Uint8("kind", uint8(kind)).Send()
	}
	if err != nil {
		a.s.quiet.Error("the leader's answer cannot be read").Err(err).Send()
	}
}

// synced answers a sync, and what waits behind it.
func (a *applier) synced(t ticket) {
	c := a.s.connOf(t.conn)
	if c == nil {
		return
	}
	if t.number == renewalTicket {
		a.renewedLocal(c)
		return
	}
	a.s.tree.mu.RLock()
	defer a.s.tree.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proven > 0 { // answers come in the order of the syncs
		c.proven--
		return
	}
	c.proveReads()
	c.runReady(a.s.cfg.MaxOutput) // reads that wait for the client to take output
	if c.closed || c.queue.len() == 0 {
		return
	}
	r := c.queue.at(0)
	if r.wait != forSync || r.ticket != t.number {
		a.s.quiet.Error("the answer to a sync is out of order").Str("client", c.remote).Stringer("session", c.session).Send()
		c.killLocked("the answer to a sync is out of order")
		return
	}
	c.answer(r)
	now := a.s.now()
	var l latencies
	l.add(1, now-r.since)
	c.tally.book(&l, now)
	a.s.stats.book(&l)
	a.s.stats.sent.Add(1)
	c.dequeue()
	c.runReady(softOutput)
	a.flag(c)
}

// proveSyncs lets the syncs, and the linearizable reads, ahead of the first write be answered: the leader handled them
// before that write, which is committed, so that everything they wait for is applied. Their own
// answers travel behind a commit that may cover the write as well, and come too late to be
// waited for. The caller holds c.mu.
func (c *conn) proveSyncs() {
	for i := range c.queue.len() {
		switch r := c.queue.at(i); r.wait {
		case forCommit:
			return
		case forSync:
			r.wait = ready
			c.proven++
		case forIndex:
			r.wait = ready
		case ready:
		}
	}
}

// notice ends the wait of a client that renews its session, or closes the connection of a
// session that has moved to another server.
func (a *applier) notice(n notice) {
	if n.moved {
		a.moved(n)
		return
	}
	c := a.s.connOf(n.conn)
	if c == nil || c.session != n.session {
		return
	}
	a.renewed(c, n.alive)
}

// renewed lets a client go on with its session, or refuses it.
func (a *applier) renewed(c *conn, alive bool) {
	if alive && !a.s.adopt(c) {
		c.kill("not serving")
		return
	}
	a.s.tree.mu.RLock()
	defer a.s.tree.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if alive {
		c.establish()
	} else {
		a.s.quiet.Info("refusing an expired or unknown session").Str("client", c.remote).Stringer("session", c.session).Send()
		c.refuseSession()
	}
	a.flag(c)
}

// moved closes the connection that a session has left behind. A notice about one request
// names its connection; it may be gone already, and a newer one of the session be here.
func (a *applier) moved(n notice) {
	c := a.s.sessionConn(n.session)
	if n.conn != 0 {
		c = a.s.connOf(n.conn)
	}
	if c != nil && c.session == n.session {
		c.kill("the session has moved to another server")
	}
}
