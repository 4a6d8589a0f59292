package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// voice is the election channel to one server: what is to be said to it, and the connection
// that exists, if any. A stranger has one for as long as it is connected.
type voice struct {
	t   *Transport
	sid quorum.SID

	mu     sync.Mutex
	keeper *keeper // nil: a stranger
	// at is where the keeper dials.
	at   []string
	conn *electionConn     // nil: none
	last *fle.Notification // the last one given to notify
	// unsent: last has not been written to any connection.
	unsent bool
	// renew: the connection that we have is not the right one. The peer poked us, so it does not have
	// it, or the address that was dialled is gone.
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
	heard  bool // the peer has said something, so it uses this connection
	proven bool // messages flow both ways, on this connection or the one that it replaced
	fresh  bool // the last notification has not been repeated on it
	// older is the connection that this one replaces, nil once this one is heard. It is closed then
	// and no sooner: a peer that does not use this one yet would see a gap.
	older  *electionConn
	cancel context.CancelCauseFunc // closes it without waiting; nil before run
}

func newVoice(t *Transport, sid quorum.SID) *voice { return &voice{t: t, sid: sid} }

// dials reports whether it is this server that dials, if it can: the one with the higher sid.
func (v *voice) dials() bool { return v.t.cfg.Self > v.sid }

// join makes the server a member that is to be dialled at the given addresses. It returns a
// keeper to be run, unless there is one.
func (v *voice) join(at []string) (started *keeper) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keeper == nil {
		v.keeper = &keeper{v: v, kick: make(chan struct{}, 1)}
		started = v.keeper
	}
	if !slices.Equal(v.at, at) {
		v.at = at
		v.renew = v.renew || v.conn != nil && v.misled(v.conn)
		signal(v.keeper.kick)
	}
	return started
}

// misled reports whether a connection was dialled to an address that is not the peer's any more. The
// caller holds mu.
func (v *voice) misled(c *electionConn) bool { return c.s.at != "" && !slices.Contains(v.at, c.s.at) }

// leave makes a member a stranger: what there is between us ends, soon.
func (v *voice) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := v.keeper
	if k == nil {
		return
	}
	k.left = true
	if k.cancel != nil {
		k.cancel()
	}
	for c := v.conn; c != nil; c = c.older {
		if c.cancel != nil {
			c.cancel(ErrLeft)
		}
	}
	v.keeper, v.at, v.conn, v.renew = nil, nil, nil, false
	v.last, v.unsent = nil, false
}

// kept reports whether a keeper sees to this voice.
func (v *voice) kept() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keeper != nil
}

// notify makes n the message to be sent next.
func (v *voice) notify(n fle.Notification) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keeper == nil && v.conn == nil {
		return
	}
	v.last, v.unsent = &n, true
	if v.conn != nil {
		signal(v.conn.wake)
	}
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
	defer v.mu.Unlock()
	v.renew = v.conn != nil
	v.nudge()
}

// nudge makes the keeper, if there is one, look. The caller holds mu.
func (v *voice) nudge() {
	if v.keeper != nil {
		signal(v.keeper.kick)
	}
}

// install makes a new connection the channel, in place of an older one, and returns it. It returns nil
// if it closed the session: its peer has left, or there is a better connection.
func (v *voice) install(s *session) *electionConn {
	s.in.limit = peerwire.MaxNotification
	// Whoever dialled has seen in the handshake that messages flow both ways.
	dialled := s.at != ""
	c := &electionConn{
		s: s, wake: make(chan struct{}, 1), done: make(chan struct{}), proven: dialled, fresh: true,
	}
	v.mu.Lock()
	old := v.conn
	welcome := v.keeper != nil || !dialled && v.t.cfg.Strangers
	if !welcome || old != nil && v.outranks(old, c) {
		v.mu.Unlock()
		s.close()
		return nil
	}
	var obsolete *electionConn
	switch {
	case old == nil:
	case old.heard:
		c.older = old
	default: // keep the one that was
		c.older, old.older, obsolete = old.older, nil, old
	}
	c.proven = c.proven || old != nil && old.proven // no gap for those who listen to Reachable
	v.conn, v.renew = c, v.misled(c)
	v.mu.Unlock()
	if obsolete != nil {
		obsolete.close(ErrReplaced)
	}
	v.report()
	return c
}

// outranks reports whether a new connection must give way to the one that exists: one that the
// lower side dialled to the one that the higher side dialled, so that both ends agree when
// they meet, and otherwise the older to the newer. The caller holds mu.
func (v *voice) outranks(old, c *electionConn) bool {
	if o, n := v.regular(old), v.regular(c); o != n {
		return o
	}
	return old.s.number > c.s.number
}

// regular reports whether a connection was dialled by the side with the higher sid.
func (v *voice) regular(c *electionConn) bool { return (c.s.at != "") == v.dials() }

// run serves a connection that was installed until it ends.
func (v *voice) run(ctx context.Context, c *electionConn) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { c.close(context.Cause(ctx)) })
	defer stop()
	v.mu.Lock()
	c.cancel = cancel
	if !v.holds(c) {
		cancel(ErrLeft) // in the meantime
	}
	v.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() { c.close(v.write(c)) })
	c.close(v.read(c))
	writer.Wait()
	c.s.leave()
	v.t.refused(c.s.conn.RemoteAddr(), c.err)
	v.t.cfg.Logger.Debug().Stringer("peer", v.sid).Err(c.err).Msg("election connection ended")
	v.lost(c)
	v.report()
}

// holds reports whether c is the connection, or about to be replaced as such. The caller holds mu.
func (v *voice) holds(c *electionConn) bool {
	return v.conn != nil && (v.conn == c || v.conn.older == c)
}

// lost forgets a connection that has ended. If it was to replace another, that one is used again.
func (v *voice) lost(c *electionConn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !v.holds(c):
	case v.conn != c:
		v.conn.older = nil
	default:
		if v.conn = c.older; v.conn != nil {
			v.renew = v.renew || v.misled(v.conn)
			v.conn.fresh = true
			signal(v.conn.wake)
		}
	}
	if v.conn == nil && v.keeper == nil {
		v.last, v.unsent = nil, false
	}
	v.nudge()
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
		current := v.prove(c)
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
		if current {
			v.t.cfg.Handler.Notified(n)
		}
	}
}

// prove notes that the peer uses the connection, since it speaks, and reports whether what it
// says counts: what comes late on a connection that was replaced is repeated on the new one.
func (v *voice) prove(c *electionConn) (current bool) {
	v.mu.Lock()
	current = v.holds(c)
	news := !c.heard
	c.heard = true
	reach := !c.proven
	c.proven = true
	older := c.older
	c.older = nil
	v.mu.Unlock()
	if news && older != nil {
		older.close(ErrReplaced)
	}
	if reach {
		v.report()
	}
	return current
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
