package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// WatchMode is how the sessions of a watch load watch.
type WatchMode string

// The modes.
const (
	WatchData       WatchMode = "data"       // one-shot, set again for each round
	WatchPersistent WatchMode = "persistent" // addWatch
	WatchRecursive  WatchMode = "recursive"  // addWatch, recursive
)

// Bounds of a watch load.
const (
	watchFrame   = 64 << 10  // bytes of paths in one setWatches2
	watchChange  = 256 << 10 // bytes of paths in one transaction
	watchWorkers = 16        // sessions that are opened or set watches side by side
	watchReader  = 4 << 10   // bytes of each session's read buffer
	watchPause   = 200 * time.Microsecond
	watchWait    = 2 * time.Minute // for the last event of a round
)

// WatchConfig describes a load of watches.
type WatchConfig struct {
	Server   string // host:port
	Mode     WatchMode
	Sessions int
	Paths    int // each session watches so many
	// Own gives each session paths of its own, at which there are no nodes. Nothing is changed
	// then: what is measured is memory and the time to set the watches.
	Own    bool
	Rounds int
	// Pid of the server, on this machine, if its memory is to be measured; else 0.
	Pid            int
	Idle           time.Duration // how long the probes measure before the first round
	SessionTimeout time.Duration
}

// Validate says what is wrong with the configuration, nil if nothing is.
func (c *WatchConfig) Validate() error {
	switch c.Mode {
	case WatchData, WatchPersistent, WatchRecursive:
	default:
		return fmt.Errorf("bench: unknown kind of watch %q: want data, persistent or recursive", c.Mode)
	}
	if c.Sessions < 1 || c.Paths < 1 || c.Rounds < 0 || c.Pid < 0 || c.SessionTimeout <= 0 {
		return errors.New("bench: sessions, paths and the session timeout must be positive")
	}
	if c.Own && c.Mode != WatchData {
		return errors.New("bench: paths of their own are for one-shot watches alone")
	}
	return nil
}

// WatchResult is what a load of watches measured.
type WatchResult struct {
	Watches int
	SetIn   time.Duration
	// BytesPerWatch is the growth of the server's resident memory; 0 without a pid.
	BytesPerWatch float64
	// Last is, of each round, the time from the change to the last event, ascending.
	Last []time.Duration
	// What other sessions waited for a read and for a write, before any change and during rounds.
	IdleReads, IdleWrites, Reads, Writes *Histogram
}

// String prints the result on a few lines.
func (r WatchResult) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d watches set in %.1f ms", r.Watches, ms(r.SetIn))
	if r.BytesPerWatch != 0 {
		fmt.Fprintf(&b, ", %.0f bytes of resident memory each", r.BytesPerWatch)
	}
	if len(r.Last) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "\nlast event after %.1f ms (least %.1f, most %.1f) of %d rounds",
		ms(r.Last[len(r.Last)/2]), ms(r.Last[0]), ms(r.Last[len(r.Last)-1]), len(r.Last))
	for _, line := range []struct {
		what string
		h    *Histogram
	}{{"reads before", r.IdleReads}, {"reads meanwhile", r.Reads}, {"writes before", r.IdleWrites}, {"writes meanwhile", r.Writes}} {
		fmt.Fprintf(&b, "\n%-16s p50 %8.3f ms   p99 %8.3f ms   max %8.3f ms", line.what,
			ms(line.h.Quantile(0.50)), ms(line.h.Quantile(0.99)), ms(line.h.Max()))
	}
	return b.String()
}

// watchers are the sessions of a load.
type watchers struct {
	cfg      WatchConfig
	sessions []*client
	paths    []string // shared
}

// RunWatch sets the watches, and in each round changes every path in as few transactions as may
// be and waits until every session was told of each.
func RunWatch(ctx context.Context, cfg WatchConfig) (WatchResult, error) {
	if err := cfg.Validate(); err != nil {
		return WatchResult{}, err
	}
	setup, err := dial(ctx, cfg.Server, cfg.SessionTimeout)
	if err != nil {
		return WatchResult{}, err
	}
	defer setup.close()
	w := &watchers{cfg: cfg, sessions: make([]*client, cfg.Sessions)}
	if err := w.prepare(setup); err != nil {
		return WatchResult{}, err
	}
	defer w.close()
	err = w.each(func(i int) error {
		var err error
		w.sessions[i], err = dialBuffered(ctx, cfg.Server, cfg.SessionTimeout, watchReader)
		return err
	})
	if err != nil {
		return WatchResult{}, err
	}
	r := WatchResult{Watches: cfg.Sessions * cfg.Paths}
	before, err := resident(cfg.Pid)
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := w.each(func(i int) error { return w.arm(i, true) }); err != nil {
		return r, err
	}
	r.SetIn = time.Since(began)
	after, err := resident(cfg.Pid)
	r.BytesPerWatch = float64(after-before) / float64(r.Watches)
	if err != nil || cfg.Own || cfg.Rounds == 0 {
		return r, err
	}
	return r, w.measure(ctx, setup, &r)
}

// measure runs the rounds.
func (w *watchers) measure(ctx context.Context, setup *client, r *WatchResult) error {
	idle := newProbes()
	if err := idle.during(ctx, w.cfg, func() error { pause(ctx, w.cfg.Idle); return nil }); err != nil {
		return err
	}
	busy := newProbes()
	for i := range w.cfg.Rounds {
		if i > 0 {
			if err := w.each(func(i int) error { return w.arm(i, w.cfg.Mode == WatchData) }); err != nil {
				return err
			}
		}
		var took time.Duration
		err := busy.during(ctx, w.cfg, func() error {
			var err error
			took, err = w.round(setup)
			return err
		})
		if err != nil {
			return err
		}
		r.Last = append(r.Last, took)
	}
	slices.Sort(r.Last)
	r.IdleReads, r.IdleWrites, r.Reads, r.Writes = &idle.reads, &idle.writes, &busy.reads, &busy.writes
	return nil
}

// prepare creates the nodes that are watched, and one that the probes use.
func (w *watchers) prepare(c *client) error {
	fixed := []string{root, probePath, root + "/watch"}
	if err := fill(c, len(fixed), func(i int) string { return fixed[i] }, nil); err != nil {
		return err
	}
	if w.cfg.Own {
		return nil
	}
	for i := range w.cfg.Paths {
		w.paths = append(w.paths, fmt.Sprintf("%s/watch/n-%06d", root, i))
	}
	return fill(c, len(w.paths), func(i int) string { return w.paths[i] }, nil)
}

// each calls f for every session, some of them at once.
func (w *watchers) each(f func(i int) error) error {
	errs := make([]error, min(watchWorkers, len(w.sessions)))
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			for i := worker; i < len(w.sessions) && errs[worker] == nil; i += len(errs) {
				errs[worker] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// arm sets a session's watches, or only shows that the session is alive.
func (w *watchers) arm(session int, set bool) error {
	c := w.sessions[session]
	for i := 0; ; {
		var list []string
		for size := 0; set && i < w.cfg.Paths && size < watchFrame; i++ {
			var path string
			if w.cfg.Own {
				path = fmt.Sprintf("%s/own/%05d/%07d", root, session, i)
			} else {
				path = w.paths[i]
			}
			list, size = append(list, path), size+len(path)
		}
		request := proto.SetWatches2{SetWatches: proto.SetWatches{RelativeZxid: math.MaxInt64}}
		switch {
		case w.cfg.Own:
			request.Exist = list
		case w.cfg.Mode == WatchData:
			request.Data = list
		case w.cfg.Mode == WatchPersistent:
			request.Persistent = list
		default:
			request.PersistentRecursive = list
		}
		mark := c.begin(proto.OpSetWatches2)
		c.out = request.Append(c.out)
		c.end(mark)
		if code, err := c.call(); err != nil || code != proto.CodeOK {
			return errors.Join(err, code.Err())
		}
		if !set || i == w.cfg.Paths {
			return nil
		}
	}
}

// round changes everything and returns how long it took until the last event.
func (w *watchers) round(c *client) (time.Duration, error) {
	began := time.Now()
	errs := make([]error, len(w.sessions))
	var wg sync.WaitGroup
	for i, s := range w.sessions {
		wg.Go(func() {
			if errs[i] = s.conn.SetReadDeadline(began.Add(watchWait)); errs[i] != nil {
				return
			}
			for range w.paths { // nothing else is asked for, so every frame is an event
				if _, errs[i] = s.frame(); errs[i] != nil {
					return
				}
			}
			errs[i] = s.conn.SetReadDeadline(time.Time{})
		})
	}
	began = time.Now()
	err := w.change(c)
	wg.Wait()
	return time.Since(began), errors.Join(append(errs, err)...)
}

// change sets every path.
func (w *watchers) change(c *client) error {
	for i := 0; i < len(w.paths); {
		var m proto.MultiRequest
		for size := 0; i < len(w.paths) && size < watchChange; i++ {
			set := &proto.SetDataRequest{Path: w.paths[i], Version: proto.AnyVersion}
			m.Ops = append(m.Ops, proto.MultiOp{Op: proto.OpSetData, Request: set})
			size += len(w.paths[i])
		}
		mark := c.begin(proto.OpMulti)
		c.out = m.Append(c.out)
		c.end(mark)
		if code, err := c.call(); err != nil || code != proto.CodeOK {
			return errors.Join(err, code.Err())
		}
	}
	return nil
}

func (w *watchers) close() {
	_ = w.each(func(i int) error { // close has no error
		if c := w.sessions[i]; c != nil {
			c.close()
		}
		return nil
	})
}

const probePath = root + "/probe"

// probes are two sessions that ask for one thing at a time.
type probes struct{ reads, writes Histogram }

func newProbes() *probes { return new(probes) }

// during measures while f runs.
func (p *probes) during(ctx context.Context, cfg WatchConfig, f func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, 3)
	var ready, wg sync.WaitGroup
	for i, ask := range []func(c *client) *Histogram{
		func(c *client) *Histogram { c.get(probePath); return &p.reads },
		func(c *client) *Histogram { c.set(probePath, nil); return &p.writes },
	} {
		c, err := dial(ctx, cfg.Server, cfg.SessionTimeout)
		if err != nil {
			stop()
			wg.Wait()
			return err
		}
		ready.Add(1)
		wg.Go(func() {
			defer c.close()
			ready.Done()
			for errs[i] == nil && ctx.Err() == nil {
				begun := time.Now()
				h := ask(c)
				var code proto.Code
				if code, errs[i] = c.call(); errs[i] == nil {
					errs[i] = code.Err()
				}
				h.Add(time.Since(begun))
				pause(ctx, watchPause)
			}
		})
	}
	ready.Wait()
	errs[2] = f()
	stop()
	wg.Wait()
	return errors.Join(errs...)
}

// resident returns the bytes of memory that a process has, 0 for process 0.
func resident(pid int) (int64, error) {
	if pid == 0 {
		return 0, nil
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			fields := bytes.Fields(rest)
			if len(fields) == 2 && string(fields[1]) == "kB" {
				kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("bench: %w", err)
				}
				return kb << 10, nil
			}
		}
	}
	return 0, fmt.Errorf("bench: /proc/%d/status says nothing of memory", pid)
}
