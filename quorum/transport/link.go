package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// link is one connection of the learner channel, or the wish for one.
type link struct {
	id   uint64
	peer quorum.SID
	wake chan struct{} // the queue has something
	done chan struct{} // closed when the link is
	// ended is closed after the last event of the link.
	ended chan struct{}

	mu    sync.Mutex
	queue []queued
	bytes int           // of what is queued or being written
	room  chan struct{} // not nil: somebody waits for bytes to fall; closed when they do
	err   error         // why it was closed; nil while it is open
	// abort ends whatever the link is at: dialling, or reading and writing.
	abort func()
}

// queued is one message on its way out.
type queued struct {
	m    zab.Message
	cost int
	at   time.Time
}

// cost is about how much memory a queued message holds.
func cost(m *zab.Message) int {
	n := 256 + len(m.Data) + 64*len(m.Entries)
	for i := range m.Entries {
		n += len(m.Entries[i].Data)
	}
	return n
}

func newLink(id uint64, peer quorum.SID) *link {
	return &link{
		id: id, peer: peer, wake: make(chan struct{}, 1),
		done: make(chan struct{}), ended: make(chan struct{}), abort: func() {},
	}
}

// close ends the link; the first reason stays.
func (l *link) close(why error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = why
	abort := l.abort
	l.queue, l.bytes = nil, 0
	l.release()
	close(l.done)
	l.mu.Unlock()
	abort()
}

// during sets what close does from now on; false if the link is closed already.
func (l *link) during(abort func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return false
	}
	l.abort = abort
	return true
}

// reason returns why the link was closed.
func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// release wakes those who wait for room. The caller holds mu.
func (l *link) release() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// enqueue adds messages and returns how many bytes are queued now. A closed link drops them.
func (l *link) enqueue(from quorum.SID, msgs []zab.Message) (bytes int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0
	}
	for i := range msgs {
		q := queued{m: msgs[i], cost: cost(&msgs[i]), at: now}
		q.m.From, q.m.To = from, l.peer
		l.queue = append(l.queue, q)
		l.bytes += q.cost
	}
	return l.bytes
}

// await waits until no more than most bytes are queued.
func (l *link) await(ctx context.Context, most int) error {
	for {
		l.mu.Lock()
		if l.err != nil || l.bytes <= most {
			err := l.err
			l.mu.Unlock()
			return err
		}
		if l.room == nil {
			l.room = make(chan struct{})
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		}
	}
}

// take waits for messages and takes all of them; spare is what an earlier call returned.
// False when the link is closed.
func (l *link) take(spare []queued) ([]queued, bool) {
	for {
		l.mu.Lock()
		if l.err != nil {
			l.mu.Unlock()
			return nil, false
		}
		if len(l.queue) > 0 {
			batch := l.queue
			l.queue = spare[:0]
			l.mu.Unlock()
			return batch, true
		}
		l.mu.Unlock()
		select {
		case <-l.done:
			return nil, false
		case <-l.wake:
		}
	}
}

// sent gives back the bytes of what was written.
func (l *link) sent(bytes, streamBytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if l.bytes -= bytes; l.bytes <= streamBytes {
		l.release()
	}
}

const (
	// writeChunk is how much is encoded before it is written: large enough that system calls
	// do not count, small enough to stay in a cache.
	writeChunk = 256 << 10
	// spareMessages is how many messages an idle queue keeps room for.
	spareMessages = 1024
)

// write sends what is queued, everything at once, until the link is closed; it returns why it
// has to be.
func (t *Transport) write(l *link, s *session) error {
	var (
		buf   []byte
		batch []queued
		err   error
	)
	for {
		var open bool
		if batch, open = l.take(batch); !open {
			return nil
		}
		bytes := 0
		for i := range batch {
			q := &batch[i]
			if time.Since(q.at) > t.cfg.QueueAge {
				return fmt.Errorf("%w: %v waited for %v", ErrTooSlow, q.m.Kind, time.Since(q.at).Round(time.Millisecond))
			}
			if buf, err = s.out.addMessage(buf, &q.m, t.cfg.MaxFrame); err != nil {
				return err
			}
			bytes += q.cost
			if len(buf) < writeChunk && i < len(batch)-1 {
				continue
			}
			if err := write(s.conn, buf, t.cfg.WriteTimeout); err != nil {
				return err
			}
			l.sent(bytes, t.cfg.StreamBytes)
			buf, bytes = buf[:0], 0
		}
		clear(batch) // let go of the data
		if cap(batch) > spareMessages {
			batch = nil
		}
		if cap(buf) > 2*writeChunk {
			buf = nil
		}
	}
}

// read hands over what arrives, all of one read together, until the connection ends.
func (t *Transport) read(l *link, s *session) error {
	for {
		msgs, err := t.burst(l, s)
		if len(msgs) > 0 {
			t.cfg.Handler.Received(l.id, msgs)
		}
		if err != nil {
			return err
		}
		if err := s.in.fill(); err != nil {
			return err
		}
	}
}

// burst decodes the frames that have arrived. Those before a bad one are good.
func (t *Transport) burst(l *link, s *session) (msgs []zab.Message, err error) {
	for {
		payload, ok, err := s.in.next()
		if !ok || err != nil {
			return msgs, err
		}
		m, err := peerwire.DecodeMessage(payload)
		if err != nil {
			return msgs, err
		}
		if m.From != l.peer || m.To != t.cfg.Self {
			return msgs, fmt.Errorf("%w: server %v sent %v of %v to %v", ErrProtocol, l.peer, m.Kind, m.From, m.To)
		}
		if peerwire.Aliases(&m) {
			s.in.keep()
		}
		msgs = append(msgs, m)
	}
}
