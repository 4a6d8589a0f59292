package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Workload names what is asked of the server.
type Workload string

// The workloads.
const (
	Set    Workload = "set"    // setData on random keys
	Create Workload = "create" // create of new nodes, in a fresh parent per session
	Get    Workload = "get"    // getData on random keys
	Mix    Workload = "mix"    // 70 % getData, 30 % setData on random keys
)

// Config describes one load.
type Config struct {
	Servers  []string // host:port; sessions are spread over them
	Workload Workload
	Sessions int
	InFlight int // requests in flight per session
	Size     int // bytes of data per node
	Keys     int // nodes that set, get and mix work on
	Warmup   time.Duration
	Duration time.Duration
	// SessionTimeout is asked for. Default 30 s.
	SessionTimeout time.Duration
	Seed           uint64
}

// Result is what a load measured.
type Result struct {
	Workload Workload
	Sessions int
	InFlight int
	Ops      int64
	Errors   int64 // replies with an error code
	Elapsed  time.Duration
	P50, P99 time.Duration
	Max      time.Duration
}

// Rate returns operations per second.
func (r Result) Rate() float64 { return float64(r.Ops) / r.Elapsed.Seconds() }

// String prints the result on one line.
func (r Result) String() string {
	return fmt.Sprintf("%-6s %4d x %-4d %9.0f op/s   p50 %8.3f ms   p99 %8.3f ms   max %8.3f ms   errors %d",
		r.Workload, r.Sessions, r.InFlight, r.Rate(), ms(r.P50), ms(r.P99), ms(r.Max), r.Errors)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// root is where all nodes of a bench live.
const root = "/zabkeeper-bench"

// Validate says what is wrong with the configuration, nil if nothing is, and fills in defaults.
func (c *Config) Validate() error {
	switch c.Workload {
	case Set, Create, Get, Mix:
	default:
		return fmt.Errorf("bench: unknown workload %q: want set, create, get or mix", c.Workload)
	}
	if len(c.Servers) == 0 || c.Sessions < 1 || c.InFlight < 1 || c.Keys < 1 || c.Size < 0 || c.Duration <= 0 {
		return errors.New("bench: servers, sessions, in-flight, keys and duration must be positive")
	}
	if c.SessionTimeout <= 0 {
		c.SessionTimeout = 30 * time.Second
	}
	return nil
}

// Run applies one load and measures it.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	if err := prepare(ctx, cfg); err != nil {
		return Result{}, err
	}
	sessions := make([]*session, cfg.Sessions)
	defer func() {
		for _, s := range sessions {
			if s != nil {
				s.client.close()
			}
		}
	}()
	for i := range sessions {
		s, err := newSession(ctx, cfg, i)
		if err != nil {
			return Result{}, err
		}
		sessions[i] = s
	}
	measureFrom := time.Now().Add(cfg.Warmup)
	until := measureFrom.Add(cfg.Duration)
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() { errs[i] = s.run(measureFrom, until) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	return collect(cfg, sessions), nil
}

func collect(cfg Config, sessions []*session) Result {
	var all Histogram
	r := Result{Workload: cfg.Workload, Sessions: cfg.Sessions, InFlight: cfg.InFlight, Elapsed: cfg.Duration}
	for _, s := range sessions {
		all.Merge(&s.latency)
		r.Errors += s.errors
	}
	r.Ops, r.Max = all.Count(), all.Max()
	r.P50, r.P99 = all.Quantile(0.50), all.Quantile(0.99)
	return r
}

// prepare creates the nodes that the workload needs.
func prepare(ctx context.Context, cfg Config) error {
	c, err := dial(ctx, cfg.Servers[0], cfg.SessionTimeout)
	if err != nil {
		return err
	}
	defer c.close()
	c.create(root, nil)
	if code, err := c.call(); err != nil || (code != proto.CodeOK && code != proto.CodeNodeExists) {
		return errors.Join(err, code.Err())
	}
	if cfg.Workload == Create {
		return nil
	}
	return fill(c, cfg.Keys, func(i int) string { return keyPath(i) }, make([]byte, cfg.Size))
}

// fill creates n nodes, pipelined; nodes that exist are left as they are.
func fill(c *client, n int, path func(int) string, data []byte) error {
	const window = 256
	sent, done := 0, 0
	for done < n {
		for sent < n && sent-done < window {
			c.create(path(sent), data)
			sent++
		}
		if err := c.flush(); err != nil {
			return err
		}
		for got := 0; got == 0 || (done < sent && c.in.Buffered() > 0); got++ {
			code, err := c.reply()
			if err != nil {
				return err
			}
			if code != proto.CodeOK && code != proto.CodeNodeExists {
				return fmt.Errorf("bench: create %s: %w", path(done), code)
			}
			done++
		}
	}
	return nil
}

func keyPath(i int) string { return fmt.Sprintf("%s/key-%06d", root, i) }

// session is one connection under load.
type session struct {
	cfg     Config
	client  *client
	rand    *rand.Rand
	data    []byte
	keys    []string
	parent  string
	name    []byte
	created int

	sent    []time.Time // ring of InFlight send times
	latency Histogram
	errors  int64
}

func newSession(ctx context.Context, cfg Config, i int) (*session, error) {
	c, err := dial(ctx, cfg.Servers[i%len(cfg.Servers)], cfg.SessionTimeout)
	if err != nil {
		return nil, err
	}
	s := &session{
		cfg: cfg, client: c,
		rand: rand.New(rand.NewPCG(cfg.Seed, uint64(i))), // a load needs no secrecy
		data: []byte(strings.Repeat("x", cfg.Size)),
		sent: make([]time.Time, cfg.InFlight),
	}
	if cfg.Workload == Create {
		s.parent = fmt.Sprintf("%s/run-%d-%d", root, time.Now().UnixNano(), i)
		c.create(s.parent, nil)
		if code, err := c.call(); err != nil || code != proto.CodeOK {
			return nil, errors.Join(err, code.Err())
		}
	}
	s.keys = make([]string, cfg.Keys)
	for k := range s.keys {
		s.keys[k] = keyPath(k)
	}
	return s, nil
}

// run keeps the window full until the time is over, and measures replies to requests sent
// after measureFrom that arrive before until.
func (s *session) run(measureFrom, until time.Time) error {
	head, tail := 0, 0
	now := time.Now()
	for range s.cfg.InFlight {
		s.request()
		s.sent[head%len(s.sent)] = now
		head++
	}
	for {
		if err := s.client.flush(); err != nil {
			return err
		}
		code, err := s.client.reply()
		now = time.Now()
		for {
			if err != nil {
				return err
			}
			begun := s.sent[tail%len(s.sent)]
			tail++
			if !begun.Before(measureFrom) && now.Before(until) {
				s.latency.Add(now.Sub(begun))
				if code != proto.CodeOK {
					s.errors++
				}
			}
			if now.Before(until) {
				s.request()
				s.sent[head%len(s.sent)] = now
				head++
			} else if tail == head {
				return nil
			}
			if s.client.in.Buffered() == 0 {
				break
			}
			code, err = s.client.reply()
		}
	}
}

// request puts the next request into the client's buffer.
func (s *session) request() {
	switch s.cfg.Workload {
	case Create:
		s.name = fmt.Appendf(s.name[:0], "%s/n-%d", s.parent, s.created)
		s.created++
		s.client.create(string(s.name), s.data)
	case Set:
		s.client.set(s.key(), s.data)
	case Get:
		s.client.get(s.key())
	case Mix:
		if s.rand.IntN(10) < 7 {
			s.client.get(s.key())
		} else {
			s.client.set(s.key(), s.data)
		}
	}
}

func (s *session) key() string { return s.keys[s.rand.IntN(len(s.keys))] }
