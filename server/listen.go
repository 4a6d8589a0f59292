package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// welcome accepts clients until ctx is done, or until a listener breaks. It closes all of them.
func (s *Server) welcome(ctx context.Context, plain net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	open := func(ctx context.Context, l net.Listener, e entrance) {
		wg.Go(func() {
			if err := s.accept(ctx, l, e); err != nil {
				select {
				case failed <- err:
				default: // another one has failed already
				}
			}
		})
	}
	e := plainText
	if s.cfg.Secure != nil && s.cfg.Secure.Unified {
		e = eitherText
	}
	if s.cfg.Secure != nil && s.cfg.Secure.Listener != nil {
		open(ctx, s.cfg.Secure.Listener, tlsText)
	}
	leave := func() {}
	for {
		if plain != nil {
			var here context.Context
			here, leave = context.WithCancel(ctx)
			defer leave() //nolint:gocritic // one for each address that the server ever had
			open(here, plain, e)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case plain = <-s.moves:
			leave()
		}
	}
}

// Move accepts clients on l, which it closes in the end, and no more on the listener that Run was
// given or on the one before. Connections stay. It is to be called while Run runs; false if ctx ends before.
func (s *Server) Move(ctx context.Context, l net.Listener) bool {
	select {
	case s.moves <- l:
		return true
	case <-ctx.Done():
		return false
	}
}

// accept takes connections until ctx is done, and closes the listener. A shortage of descriptors is
// waited out.
func (s *Server) accept(ctx context.Context, l net.Listener, e entrance) error {
	// Unlike l.Close, it waits for a call that has begun: the port is free when accept returns.
	closed := sync.OnceFunc(func() { l.Close() })
	defer closed()
	unhook := context.AfterFunc(ctx, closed)
	defer unhook()
	const first, last = 5 * time.Millisecond, time.Second
	delay := first
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			delay = first
			s.admit(nc, e)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("server: accept on %v: %w", l.Addr(), err)
		}
		s.quiet.Warn("cannot accept connections").Err(err).Dur("retry_ms", delay).Send()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, last)
	}
}

// admit starts a connection, or refuses it if there are too many.
func (s *Server) admit(nc net.Conn, e entrance) {
	ip := remoteIP(nc.RemoteAddr())
	if tcp, ok := nc.(*net.TCPConn); ok {
		// Errors mean that the connection is gone already; its reader will see that.
		_ = tcp.SetNoDelay(true)
		_ = tcp.SetKeepAlive(s.cfg.KeepAlive)
	}
	s.mu.Lock()
	var refusal string
	switch {
	case s.ended:
		refusal = "shutdown"
	case s.cfg.MaxCnxns > 0 && len(s.conns) >= s.cfg.MaxCnxns:
		refusal = "maxCnxns"
	case s.cfg.MaxClientCnxns > 0 && s.perIP[ip] >= s.cfg.MaxClientCnxns:
		refusal = "maxClientCnxns"
	}
	if refusal != "" {
		s.mu.Unlock()
		s.stats.rejected.Add(1)
		s.quiet.Warn("refusing a connection", refusal).Stringer("client", nc.RemoteAddr()).Str("limit", refusal).Send()
		refuse(nc)
		return
	}
	s.lastConn++
	c := newConn(s, nc, s.lastConn, ip, e)
	s.conns[c.id] = c
	s.perIP[ip]++
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		c.run()
	}()
}

// refuse ends a connection that nothing is kept of, not even by the system: the client reads the end of
// it, whatever it has sent.
func refuse(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // else the client would read that the connection was reset
		_ = tcp.SetLinger(0)
	}
	nc.Close()
}

// forget removes a connection from the server's tables.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c.id]; !ok {
		return
	}
	delete(s.conns, c.id)
	if c.finished.Load() != 0 {
		s.stats.lingering.Add(-1)
	}
	if s.perIP[c.peer.IP]--; s.perIP[c.peer.IP] == 0 {
		delete(s.perIP, c.peer.IP)
	}
	if s.sessions[c.session] == c {
		delete(s.sessions, c.session)
	}
}

// adopt registers the connection that speaks for a session from now on, unless the
// server has stopped serving. An older one is closed.
func (s *Server) adopt(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serving {
		return false
	}
	if old := s.sessions[c.session]; old != nil && old != c {
		old.kill("the session has a newer connection")
	}
	s.sessions[c.session] = c
	return true
}

// keepHouse is the loop of what happens now and then: telling the leader which sessions
// are alive, and closing connections that outstayed a limit.
func (s *Server) keepHouse(stop <-chan struct{}) {
	tick, cancel := s.cfg.Ticker(s.cfg.era())
	defer cancel()
	for {
		select {
		case <-stop:
			return
		case <-tick:
			s.endEra()
		}
	}
}

// endEra reports the sessions touched in this era and begins the next.
func (s *Server) endEra() {
	s.quiet.Sweep()
	era := s.era.Load()
	s.mu.Lock()
	var touched []proto.SessionID
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
		if s.serving && c.joining && s.sessions[c.session] == c && c.touched.Swap(false) && !s.locals.touch(c) {
			touched = append(touched, c.session)
		}
	}
	s.expireLocals()
	s.mu.Unlock()
	s.era.Add(1)
	s.scheduleReport()
	for len(touched) > 0 {
		n := min(len(touched), touchesPerForward)
		s.cfg.Replicator.Submit([]Forward{{Kind: KindTouch, Payload: encodeTouch(touched[:n])}})
		touched = touched[n:]
	}
	for _, c := range conns {
		if reason := c.overdue(era); reason != "" {
			c.kill(reason)
		} else if c.active.Load() == era-1 {
			c.slim()
		}
	}
}

// overdue says why a connection has to go, "" if it may stay.
func (c *conn) overdue(era int64) string {
	cfg, opened := &c.s.cfg, c.hasOpened()
	switch finished, writing := c.finished.Load(), c.writing.Load(); {
	case finished != 0 && era-finished >= 2:
		return "answered for the last time"
	case writing != 0 && era-writing > cfg.eras(cfg.WriteTimeout):
		return "the client does not read"
	case era-c.active.Load() <= c.patience(opened):
	case opened:
		return "idle"
	default:
		return "no session"
	}
	return ""
}

// hasOpened reports whether the question for a session is settled.
func (c *conn) hasOpened() bool {
	select {
	case <-c.opened:
		return true
	default:
		return false
	}
}

// patience is for how many eras the connection may be silent.
func (c *conn) patience(opened bool) int64 {
	cfg := &c.s.cfg
	if !opened {
		return cfg.eras(cfg.SessionlessTimeout)
	}
	return cfg.eras(time.Duration(c.timeout)*time.Millisecond + cfg.SessionlessTimeout)
}
