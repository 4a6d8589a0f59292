package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quiet"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// Transport connects one server to the others over TCP. Its methods may be called from any
// goroutine, before, during and after Run.
type Transport struct {
	cfg      Config
	register register
	// refusals takes the lines of those who are refused, lives those of connections that come and go.
	refusals, lives *quiet.Log
	// voices has the election channel to every other server that this one talks to. The map never changes.
	voices map[quorum.SID]*voice
	// strangers has a slot for every accepted connection that has not introduced itself.
	strangers chan struct{}
	// wg counts everything that Run started.
	wg sync.WaitGroup

	mu      sync.Mutex
	nextID  uint64
	links   map[uint64]*link     // open or being dialled
	inbound map[quorum.SID]*link // newest link that each learner dialled
	pending []*link              // to be dialled; Run takes them
	wake    chan struct{}        // pending changed
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

		cfg: cfg, strangers: make(chan struct{}, maxStrangers), wake: make(chan struct{}, 1),
		voices: make(map[quorum.SID]*voice), links: make(map[uint64]*link), inbound: make(map[quorum.SID]*link),
	}
	if cfg.Dial == nil {
		var d net.Dialer
		t.cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	self, _ := cfg.Ensemble.Member(cfg.Self)
	for _, m := range cfg.Ensemble.Others(cfg.Self) {
		// Two observers have nothing to elect between them.
		if self.Role == quorum.Participant || m.Role == quorum.Participant {
			t.voices[m.SID] = newVoice(t, m.SID)
		}
	}
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
	fail(t.listen(ctx, func(ln net.Listener, ch peerwire.Channel) {
		t.wg.Go(func() { fail(t.accept(ctx, ln, ch)) })
	}))
	for _, v := range t.voices {
		t.wg.Go(func() { v.maintain(ctx) })
	}
	for _, q := range []*quiet.Log{t.refusals, t.lives} {
		t.wg.Go(func() { q.Run(ctx) })
	}
	t.dialPending(ctx)
	t.wg.Wait()
	for _, q := range []*quiet.Log{t.refusals, t.lives} {
		q.Flush() // what came while the others ended
	}
	return failure
}

// dialPending starts the links that Connect asks for, until ctx ends.
func (t *Transport) dialPending(ctx context.Context) {
	for ctx.Err() == nil {
		t.mu.Lock()
		pending := t.pending
		t.pending = nil
		t.mu.Unlock()
		for _, l := range pending {
			t.wg.Go(func() { t.dialLink(ctx, l) })
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

// listen hands the listeners given, or opened at this server's addresses, to serve.
func (t *Transport) listen(ctx context.Context, serve func(net.Listener, peerwire.Channel)) error {
	given := map[peerwire.Channel][]net.Listener{
		peerwire.Election: t.cfg.ElectionListeners, peerwire.Learner: t.cfg.QuorumListeners,
	}
	for ch, lns := range given {
		for _, ln := range lns {
			serve(ln, ch)
		}
	}
	self, _ := t.cfg.Ensemble.Member(t.cfg.Self)
	for _, ch := range []peerwire.Channel{peerwire.Election, peerwire.Learner} {
		if given[ch] != nil {
			continue
		}
		for _, address := range t.ownAddresses(self, ch) {
			ln, err := t.bind(ctx, address)
			if err != nil && ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			serve(ln, ch)
		}
	}
	return nil
}

// ownAddresses returns where this server listens.
func (t *Transport) ownAddresses(self quorum.Member, ch peerwire.Channel) []string {
	var out []string
	for _, at := range self.Quorum {
		a := at.Quorum()
		if ch == peerwire.Election {
			a = at.Election()
		}
		if t.cfg.ListenOnAllIPs {
			out = append(out, ":"+strconv.Itoa(a.Port))
		} else {
			out = append(out, a.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // the same port of several addresses, under ListenOnAllIPs
}

// bind opens one listener, trying again as often as configured.
func (t *Transport) bind(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	for tries := 1; ; tries++ {
		ln, err := lc.Listen(ctx, "tcp", address)
		if err == nil {
			t.cfg.Logger.Info().Str("address", address).Msg("listening for servers")
			return ln, nil
		}
		if tries == t.cfg.BindTries {
			return nil, &BindError{Address: address, Tries: tries, Err: err}
		}
		t.cfg.Logger.Error().Str("address", address).Err(err).Int("try", tries).Msg("cannot bind a port for servers")
		if !sleep(ctx, bindPause, nil) {
			return nil, ctx.Err()
		}
	}
}

// accept serves one listener until ctx ends. Trouble with single connections, or a lack of file
// descriptors, does not end it.
func (t *Transport) accept(ctx context.Context, ln net.Listener, ch peerwire.Channel) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer func() { _ = ln.Close() }()
	pause := backoff{least: 5 * time.Millisecond, most: time.Second}
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			t.refusals.Error("cannot accept a connection of a server").Stringer("address", ln.Addr()).Err(err).Send()
			sleep(ctx, pause.next(), nil)
			continue
		}
		pause.reset()
		select {
		case t.strangers <- struct{}{}:
			t.wg.Go(func() { t.greet(ctx, conn, ch) })
		default:
			_ = conn.Close()
			t.refusals.Warn("too many connections that have not introduced themselves").
				Stringer("remote", conn.RemoteAddr()).Send()
		}
	}
}

// greet takes an accepted connection through the handshake and then serves it.
func (t *Transport) greet(ctx context.Context, conn net.Conn, ch peerwire.Channel) {
	s := t.newSession(conn)
	err := t.welcome(ctx, s, ch)
	<-t.strangers
	if err != nil {
		s.close()
		t.refused(conn.RemoteAddr(), err)
		return
	}
	if ch == peerwire.Learner {
		t.serveInbound(ctx, s)
		return
	}
	v := t.voices[s.hello.SID]
	switch {
	case v == nil: // an observer called an observer
		s.close()
	case s.hello.SID < t.cfg.Self:
		s.close()
		v.poked()
	default:
		v.run(ctx, v.install(s, false))
	}
}

// Notify sends an election notification to n.To. It replaces one to the same server that is still
// waiting; the last one is repeated whenever a connection to that server opens. A notification to
// this server itself, or to one with which it does not vote, is dropped.
func (t *Transport) Notify(n fle.Notification) {
	if v := t.voices[n.To]; v != nil {
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
