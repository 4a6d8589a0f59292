package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// voice is the election channel to one server: what is to be said to it, and the connection
// that exists, if any.
type voice struct {
	t   *Transport
	sid quorum.SID
	// kick ends a wait of maintain early: the connection was lost, or the peer asks for one.
	kick chan struct{}

	mu   sync.Mutex
	conn *electionConn     // nil: none
	last *fle.Notification // the last one given to notify
	// unsent: last has not been written to any connection.
	unsent bool
	// renew: the peer poked us, so it does not have the connection that we have.
	renew bool

	// reporting serialises Handler.Reachable; reported is what it said last.
	reporting   sync.Mutex
	reported    bool
	incarnation quorum.Incarnation
}

// electionConn is one connection of the election channel.
type electionConn struct {
	s    *session
	wake chan struct{} // there is something to write
	done chan struct{} // closed by close
	once sync.Once
	err  error // why it was closed; written before done is closed

	// Guarded by voice.mu.
	proven bool // messages flow both ways
	fresh  bool // the last notification has not been repeated on it
}

func newVoice(t *Transport, sid quorum.SID) *voice {
	return &voice{t: t, sid: sid, kick: make(chan struct{}, 1)}
}

// notify makes n the message to be sent next.
func (v *voice) notify(n fle.Notification) {
	v.mu.Lock()
	v.last, v.unsent = &n, true
	c := v.conn
	v.mu.Unlock()
	if c != nil {
		signal(c.wake)
	}
}

// maintain sees to it that the connection exists, by dialling a server with a lower sid and by
// poking one with a higher sid.
func (v *voice) maintain(ctx context.Context) {
	pause := backoff{least: minElectionBackoff, most: maxElectionBackoff}
	trouble := outage{patience: v.t.cfg.UnreachableAfter}
	dials := v.sid < v.t.cfg.Self
	if !dials && !sleep(ctx, pause.next(), v.kick) {
		return // the higher one probably dials at this moment, too
	}
	for attempt := 0; ctx.Err() == nil; attempt++ {
		if !v.satisfied() {
			s, err := v.t.dial(ctx, v.sid, peerwire.Election, attempt)
			switch {
			case err != nil:
				v.failed(&trouble, err)
			case dials:
				c := v.install(s, true)
				v.t.wg.Go(func() { v.run(ctx, c) })
			default:
				trouble.over()
				s.close() // it knows now that we want to be dialled
			}
		}
		if v.satisfied() {
			trouble.over()
		}
		began := time.Now()
		for v.satisfied() && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-v.kick:
			}
		}
		// A connection that breaks at once, again and again, is not dialled at full speed.
		if time.Since(began) > maxElectionBackoff {
			pause.reset()
		}
		sleep(ctx, pause.next(), v.kick)
	}
}

// failed tells of a dial that failed.
func (v *voice) failed(trouble *outage, err error) {
	now := time.Now()
	ev, text := v.t.cfg.Logger.Debug(), "election dial failed"
	if trouble.failed(now) {
		ev, text = v.t.cfg.Logger.Warn(), "server cannot be reached"
	}
	ev.Stringer("peer", v.sid).Err(err).Dur("since_ms", now.Sub(trouble.since)).Msg(text)
}

// satisfied reports whether there is nothing to dial for.
func (v *voice) satisfied() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.conn != nil && !v.renew
}

// poked is called when a server with a lower sid asks to be dialled: it has no connection,
// whatever we believe.
func (v *voice) poked() {
	v.mu.Lock()
	v.renew = v.conn != nil
	v.mu.Unlock()
	signal(v.kick)
}

// install makes a new connection the channel, in place of an older one. proven says that
// the handshake itself has shown that messages flow both ways.
func (v *voice) install(s *session, proven bool) *electionConn {
	s.in.limit = peerwire.MaxNotification
	c := &electionConn{s: s, wake: make(chan struct{}, 1), done: make(chan struct{}), proven: proven, fresh: true}
	v.mu.Lock()
	old := v.conn
	v.conn, v.renew = c, false
	if old != nil && old.proven {
		c.proven = true // no gap for those who listen to Reachable
	}
	v.mu.Unlock()
	if old != nil {
		old.close(ErrReplaced)
	}
	v.report()
	return c
}

// run serves a connection that was installed until it ends.
func (v *voice) run(ctx context.Context, c *electionConn) {
	stop := context.AfterFunc(ctx, func() { c.close(ErrStopped) })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() { c.close(v.write(c)) })
	c.close(v.read(c))
	writer.Wait()
	c.s.leave()
	v.t.refused(c.s.conn.RemoteAddr(), c.err)
	v.t.cfg.Logger.Debug().Stringer("peer", v.sid).Err(c.err).Msg("election connection ended")

	v.mu.Lock()
	if v.conn == c {
		v.conn = nil
	}
	v.mu.Unlock()
	v.report()
	signal(v.kick)
}

// close ends the connection; the first reason stays.
func (c *electionConn) close(err error) {
	c.once.Do(func() {
		c.err = err
		_ = c.s.conn.Close() // nothing can be done about it
		close(c.done)
	})
}

// read hands over what the peer says until the connection ends.
func (v *voice) read(c *electionConn) error {
	idle := idleHeartbeats * v.t.cfg.Heartbeat
	for {
		if err := c.s.conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		payload, err := c.s.in.await()
		if err != nil {
			return err
		}
		v.prove(c)
		if len(payload) == 0 {
			continue
		}
		n, err := peerwire.DecodeNotification(payload)
		if err != nil {
			return err
		}
		if n.From != v.sid || n.To != v.t.cfg.Self {
			return fmt.Errorf("%w: server %v sent a notification of %v to %v", ErrProtocol, v.sid, n.From, n.To)
		}
		v.t.cfg.Handler.Notified(n)
	}
}

// prove notes that the peer has our introduction, since it speaks.
func (v *voice) prove(c *electionConn) {
	v.mu.Lock()
	news := !c.proven
	c.proven = true
	v.mu.Unlock()
	if news {
		v.report()
	}
}

// write sends what is to be said, or a sign of life, until the connection ends.
func (v *voice) write(c *electionConn) error {
	heartbeat := time.NewTicker(v.t.cfg.Heartbeat)
	defer heartbeat.Stop()
	var buf []byte
	due := true // the first frame tells the accepting side that we have its introduction
	for {
		n := v.take(c)
		if n != nil || due {
			buf = c.s.out.add(buf[:0], func(dst []byte) []byte {
				if n == nil {
					return dst
				}
				return peerwire.AppendNotification(dst, n)
			})
			if err := write(c.s.conn, buf, v.t.cfg.WriteTimeout); err != nil {
				return err
			}
			due = false
		}
		select {
		case <-c.done:
			return nil
		case <-c.wake:
		case <-heartbeat.C:
			due = true
		}
	}
}

// take returns what is to be written to c: the last notification, if it is new or c is.
func (v *voice) take(c *electionConn) *fle.Notification {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn != c || v.last == nil || !v.unsent && !c.fresh {
		return nil
	}
	v.unsent, c.fresh = false, false
	return v.last
}

// report tells the handler what has changed. Calls come in order, without a lock that
// notify needs.
func (v *voice) report() {
	v.reporting.Lock()
	defer v.reporting.Unlock()
	v.mu.Lock()
	up := v.conn != nil && v.conn.proven
	incarnation := v.incarnation
	if up {
		incarnation = v.conn.s.hello.Incarnation
	}
	v.mu.Unlock()
	if up == v.reported && incarnation == v.incarnation {
		return
	}
	v.reported, v.incarnation = up, incarnation
	v.t.lives.Info("election connection", v.sid.String()).
		Stringer("peer", v.sid).Bool("up", up).Stringer("incarnation", incarnation).Send()
	v.t.cfg.Handler.Reachable(v.sid, up, incarnation)
}

// signal wakes whoever waits on ch, or will.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// jitter draws a duration below d. Nothing but the spacing of retries depends on it.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
