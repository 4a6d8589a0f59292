package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/quiet"
)

// Transport connects one server to the others over TCP. Its methods may be called from any
// goroutine, before, during and after Run.
type Transport struct {
	cfg      Config
	register register
	// refusals takes the lines of those who are refused, lives those of connections that come and go.
	refusals, lives *quiet.Log
	// unnamed has a slot for every accepted connection that has not introduced itself.
	unnamed chan struct{}
	// opened counts sessions.
	opened atomic.Uint64
	moved  chan struct{} // this server's own addresses may have changed
	// wg counts everything that Run started.
	wg sync.WaitGroup

	mu      sync.Mutex
	members quorum.Membership
	// voices has the election channel to every server that this one talks to, or ever did: so
	// what Handler.Reachable is told of one server is always in order.
	voices  map[quorum.SID]*voice
	keepers []*keeper // to be started; Run takes them
	nextID  uint64
	links   map[uint64]*link     // open or being dialled
	inbound map[quorum.SID]*link // newest link that each learner dialled
	pending []*link              // to be dialled; Run takes them
	wake    chan struct{}        // pending or keepers changed
	stopped bool                 // Run has ended, or is about to
}

// New checks the configuration. Nothing happens before Run.
func New(cfg Config) (*Transport, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Transport{
		refusals: quiet.New(quiet.Config{Logger: cfg.Logger, Lines: 1, Period: quietPeriod}),
		lives:    quiet.New(quiet.Config{Logger: cfg.Logger}),

		cfg: cfg, unnamed: make(chan struct{}, maxUnnamed),
		wake: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		voices: make(map[quorum.SID]*voice), links: make(map[uint64]*link), inbound: make(map[quorum.SID]*link),
	}
	if cfg.Dial == nil {
		var d net.Dialer
		t.cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	t.setMembers(cfg.Membership)
	return t, nil
}

// Run binds the ports, connects to the others and serves until ctx ends, then returns nil when
// all its goroutines have ended. It returns a *BindError if a port cannot be bound, or the error of
// a listener that broke. It is called once.
func (t *Transport) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		once    sync.Once
		failure error
	)
	fail := func(err error) {
		if err != nil {
			once.Do(func() { failure = err })
			cancel()
		}
	}
	p := &ports{t: t, serve: func(open context.Context, ln net.Listener, ch peerwire.Channel) {
		t.wg.Go(func() { fail(t.accept(open, ln, func(conn net.Conn) { t.greet(ctx, conn, ch) })) })
	}}
	fail(p.start(ctx))
	t.wg.Go(func() { p.follow(ctx) })
	for _, q := range []*quiet.Log{t.refusals, t.lives} {
		t.wg.Go(func() { q.Run(ctx) })
	}
	t.dispatch(ctx)
	t.wg.Wait()
	for _, q := range []*quiet.Log{t.refusals, t.lives} {
		q.Flush() // what came while the others ended
	}
	return failure
}

// dispatch starts the links that Connect asks for and the keepers of members, until ctx ends.
func (t *Transport) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		pending, keepers := t.pending, t.keepers
		t.pending, t.keepers = nil, nil
		t.mu.Unlock()
		for _, l := range pending {
			t.wg.Go(func() { t.dialLink(ctx, l) })
		}
		for _, k := range keepers {
			t.wg.Go(func() { k.run(ctx) })
		}
		select {
		case <-ctx.Done():
		case <-t.wake:
		}
	}
	t.mu.Lock()
	t.stopped = true
	links := make([]*link, 0, len(t.links))
	for _, l := range t.links {
		links = append(links, l)
	}
	t.mu.Unlock()
	for _, l := range links {
		l.close(ErrStopped)
	}
}

// greet takes an accepted connection through the handshake and then serves it.
func (t *Transport) greet(ctx context.Context, conn net.Conn, ch peerwire.Channel) {
	s := t.newSession(conn)
	err := t.welcome(ctx, s, ch)
	<-t.unnamed
	if err != nil {
		s.close()
		t.refused(conn.RemoteAddr(), err)
		return
	}
	if ch == peerwire.Learner {
		t.serveInbound(ctx, s)
		return
	}
	t.mu.Lock()
	v := t.voiceOf(s.hello.SID)
	t.mu.Unlock()
	if s.hello.SID < t.cfg.Self && !s.kept {
		s.close()
		v.poked()
		return
	}
	if c := v.install(s); c != nil {
		v.run(ctx, c)
	}
}

// Notify sends an election notification to n.To. It replaces one to the same server that is still
// waiting; the last one is repeated whenever a connection to that server opens. A notification to
// this server itself, to one with which it does not vote, or to a stranger that is not connected, is
// dropped.
func (t *Transport) Notify(n fle.Notification) {
	if v := t.voice(n.To); v != nil {
		n.From = t.cfg.Self
		v.notify(n)
	}
}

// backoff spaces retries: it doubles from least to most, with a quarter of jitter.
type backoff struct{ least, most, last time.Duration }

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(b.least, 2*b.last), b.most)
	return b.last - jitter(b.last/4)
}

// sleep waits until d has passed or early brings something; false if ctx has ended.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-early:
	case <-timer.C:
	}
	return ctx.Err() == nil
}
