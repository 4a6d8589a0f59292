package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// Connect dials the quorum port of leader, again and again with short pauses, until the link
// is up or Hangup is called. It returns at once; messages may be queued right away.
func (t *Transport) Connect(leader quorum.SID) (id uint64) {
	t.mu.Lock()
	l := t.addLink(leader)
	if t.stopped {
		l.err = ErrStopped
		delete(t.links, l.id)
	} else {
		t.pending = append(t.pending, l)
	}
	t.mu.Unlock()
	signal(t.wake)
	return l.id
}

// addLink makes a link with a new number. The caller holds mu.
func (t *Transport) addLink(peer quorum.SID) *link {
	t.nextID++
	l := newLink(t.nextID, peer)
	t.links[l.id] = l
	return l
}

func (t *Transport) link(id uint64) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.links[id]
}

// Hangup closes a link and drops what is queued on it. No LinkDown follows, though events that
// are on their way may still arrive. An unknown link is ignored.
func (t *Transport) Hangup(id uint64) {
	if l := t.link(id); l != nil {
		l.close(ErrHungUp)
	}
}

// Send queues messages on a link, in order, and sets their From and To. The slice may be used
// again, what the messages refer to must not change. Never blocks: when too much is queued the
// link is closed. Messages for an unknown or closed link are dropped.
func (t *Transport) Send(id uint64, msgs []zab.Message) {
	if l := t.link(id); l != nil {
		t.send(l, msgs)
	}
}

func (t *Transport) send(l *link, msgs []zab.Message) {
	if l.enqueue(t.cfg.Self, msgs) > t.cfg.QueueBytes {
		l.close(fmt.Errorf("%w: over %d bytes", ErrQueueFull, t.cfg.QueueBytes))
		return
	}
	signal(l.wake)
}

// SendWait is Send for bulk: it first waits until little is queued on the link. It
// returns an error if ctx or the link has ended.
func (t *Transport) SendWait(ctx context.Context, id uint64, msgs []zab.Message) error {
	l := t.link(id)
	if l == nil {
		return ErrNoLink
	}
	if err := l.await(ctx, t.cfg.StreamBytes); err != nil {
		return err
	}
	t.send(l, msgs)
	return l.reason()
}

// dialLink dials until it succeeds and then serves the link until it ends.
func (t *Transport) dialLink(ctx context.Context, l *link) {
	defer t.forget(l)
	dialCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !l.during(cancel) {
		return
	}
	pause := backoff{least: minLearnerBackoff, most: maxLearnerBackoff}
	for attempt := 0; ; attempt++ {
		s, err := t.dial(dialCtx, l.peer, peerwire.Learner, attempt)
		if err == nil {
			t.serve(ctx, l, s)
			return
		}
		t.cfg.Logger.Debug().Stringer("leader", l.peer).Err(err).Msg("cannot connect to the leader")
		if !sleep(dialCtx, pause.next(), nil) {
			return
		}
	}
}

// serveInbound serves a link that a learner dialled. An older one of the same learner is
// dead, or about to be: it ends first.
func (t *Transport) serveInbound(ctx context.Context, s *session) {
	t.mu.Lock()
	l := t.addLink(s.hello.SID)
	old := t.inbound[l.peer]
	t.inbound[l.peer] = l
	t.mu.Unlock()
	defer t.forget(l)
	if old != nil {
		old.close(ErrReplaced)
		select {
		case <-old.ended:
		case <-ctx.Done():
		}
	}
	t.serve(ctx, l, s)
}

// forget takes a link that has ended, or never was, out of the tables.
func (t *Transport) forget(l *link) {
	l.close(ErrStopped) // unless there is a better reason
	t.mu.Lock()
	delete(t.links, l.id)
	if t.inbound[l.peer] == l {
		delete(t.inbound, l.peer)
	}
	t.mu.Unlock()
	close(l.ended)
}

// serve runs a link over an open session until it ends.
func (t *Transport) serve(ctx context.Context, l *link, s *session) {
	defer s.close()
	s.in.limit, s.in.slab = t.cfg.MaxFrame, slabSize
	if !l.during(func() { _ = s.conn.Close() }) { // closing wakes reader and writer
		return
	}
	stop := context.AfterFunc(ctx, func() { l.close(ErrStopped) })
	defer stop()
	remote := s.conn.RemoteAddr()
	t.lives.Info("link up", l.peer.String()).
		Uint64("link", l.id).Stringer("peer", l.peer).Stringer("remote", remote).Send()
	t.cfg.Handler.LinkUp(l.id, l.peer)

	written := make(chan struct{})
	t.wg.Go(func() {
		defer close(written)
		if err := t.write(l, s); err != nil {
			l.close(err)
		}
	})
	l.close(t.read(l, s))
	<-written

	err := l.reason()
	t.lives.Info("link down", l.peer.String()).Uint64("link", l.id).Stringer("peer", l.peer).Err(err).Send()
	if !errors.Is(err, ErrHungUp) {
		t.refused(remote, err)
		t.cfg.Handler.LinkDown(l.id, err)
	}
}
