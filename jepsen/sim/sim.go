package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Config says what to simulate. The same Config gives the same run.
type Config struct {
	Seed uint64
	// Servers is the number of voters, Observers that of observers beside them.
	Servers, Observers int
	// Steps is how many events happen before the faults stop.
	Steps int
	// Mutant, if not empty, is the name of a deliberate bug of the driver.
	Mutant string
	// Trace, if not nil, gets the trace: one line per event.
	Trace io.Writer
}

// Result says what happened in a run.
type Result struct {
	Seed      uint64
	Steps     int           // events of the scheduler
	Virtual   time.Duration // simulated time
	TraceHash uint64
	Counts    Counts
	// Violation is nil if every invariant held.
	Violation *Violation
}

// Counts tells whether a run has seen anything worth the name.
type Counts struct {
	Epochs, Commits, Acked, Syncs          int
	Diffs, Truncs, Snaps                   int
	Crashes, Torn, Wipes, Partitions, Cuts int
}

// Add adds other counts.
func (c *Counts) Add(o Counts) {
	c.Epochs += o.Epochs
	c.Commits += o.Commits
	c.Acked += o.Acked
	c.Syncs += o.Syncs
	c.Diffs += o.Diffs
	c.Truncs += o.Truncs
	c.Snaps += o.Snaps
	c.Crashes += o.Crashes
	c.Torn += o.Torn
	c.Wipes += o.Wipes
	c.Partitions += o.Partitions
	c.Cuts += o.Cuts
}

// Violation is an invariant that did not hold.
type Violation struct {
	Invariant string
	Text      string
	At        time.Duration
}

// Error describes the violation in one line.
func (v *Violation) Error() string { return fmt.Sprintf("%s: %s (at %v)", v.Invariant, v.Text, v.At) }

// timing of the simulated servers, in virtual time.
const (
	tickTime     = 200 * time.Millisecond
	electionTick = 10 * time.Millisecond
	initLimit    = 10
	syncLimit    = 5
	finalizeWait = 200 * time.Millisecond
	minNotify    = 200 * time.Millisecond
	maxNotify    = 5 * time.Second
	patience     = time.Second // to reach an elected leader

	// settleWithin is how long after the last fault everybody must agree: some rounds of
	// elections with doubled waits, a synchronisation of everybody, and one write.
	settleWithin = 90 * time.Second
)

// simulation is one run. One goroutine owns it all.
type simulation struct {
	cfg    Config
	mutant mutant
	rng    *rand.Rand
	now    time.Duration
	queue  schedule
	seq    uint64
	steps  int
	calm   bool // faults are over

	ensemble *quorum.Ensemble
	limits   zab.Limits
	keep     int // entries that a trim leaves in the log
	servers  []*server
	net      *network
	oracle   *oracle
	counts   Counts

	hash *xxhash.Digest
	line []byte
}

// event is something that happens at a time; seq orders what happens at the same time.
type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type schedule []event

func (q schedule) Len() int { return len(q) }
func (q schedule) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q schedule) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *schedule) Push(x any) { *q = append(*q, x.(event)) } //nolint:errcheck // after pushes events, nobody else pushes

// Pop implements heap.Interface.
func (q *schedule) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// Run simulates one seed from beginning to end. An error is a Config that makes no sense.
func Run(cfg Config) (Result, error) {
	s, err := newSimulation(cfg)
	if err != nil {
		return Result{}, err
	}
	defer s.close()
	v := s.run()
	return Result{
		Seed: cfg.Seed, Steps: s.steps, Virtual: s.now, TraceHash: s.hash.Sum64(),
		Counts: s.counts, Violation: v,
	}, nil
}

func newSimulation(cfg Config) (*simulation, error) {
	m, err := findMutant(cfg.Mutant)
	if err != nil {
		return nil, err
	}
	if cfg.Servers < 1 || cfg.Servers > 9 || cfg.Observers < 0 || cfg.Observers > 3 {
		return nil, fmt.Errorf("sim: %d voters and %d observers: between 1 and 9 and up to 3", cfg.Servers, cfg.Observers)
	}
	s := &simulation{
		cfg: cfg, mutant: m, hash: xxhash.New(),
		rng: rand.New(rand.NewPCG(cfg.Seed, 0x7a61626b65657065)),
	}
	var members []quorum.Member
	for i := range cfg.Servers + cfg.Observers {
		member := quorum.Member{
			SID:    quorum.SID(i + 1),
			Quorum: []quorum.HostPorts{{Host: fmt.Sprintf("s%d", i+1), QuorumPort: 2888, ElectionPort: 3888}},
		}
		if i >= cfg.Servers {
			member.Role = quorum.Observer
		}
		members = append(members, member)
	}
	if s.ensemble, err = quorum.NewEnsemble(0, members); err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	s.drawLimits()
	s.oracle = newOracle(s)
	s.net = newNetwork(s, len(members))
	for _, m := range members {
		s.servers = append(s.servers, newServer(s, m))
	}
	return s, nil
}

// drawLimits makes everything small, so that every way of synchronising occurs.
func (s *simulation) drawLimits() {
	s.limits = zab.Limits{
		Outstanding: 4 + s.rng.IntN(30), WindowEntries: 1 + s.rng.IntN(40), MaxDiff: 10 + s.rng.IntN(80),
		StageBytes: 2000 + s.rng.IntN(20000), MessageBytes: 200 + s.rng.IntN(2000),
	}
	if s.chance(0.3) {
		s.limits.HandOver = zxid.Counter(30 + s.rng.IntN(300))
	}
	s.keep = s.rng.IntN(60)
}

// run works through the schedule: first with faults, then without until all agree.
func (s *simulation) run() (v *Violation) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Violation:
			v = r
		default:
			v = &Violation{Invariant: "Panic", Text: fmt.Sprintf("%v\n%s", r, debug.Stack()), At: s.now}
		}
		if v != nil {
			s.tracef("VIOLATION %s", v.Invariant)
		}
	}()
	for _, srv := range s.servers {
		s.after(s.upTo(300*time.Millisecond), srv.start)
	}
	s.beginFaults()
	for s.steps < s.cfg.Steps {
		s.step()
	}
	s.endFaults()
	deadline := s.now + settleWithin
	for why := s.unsettled(); why != ""; why = s.unsettled() {
		if s.now > deadline {
			s.fail("Convergence", "%v after the last fault: %s", settleWithin, why)
		}
		until := s.now + 100*time.Millisecond
		for s.now < until {
			s.step()
		}
	}
	s.oracle.final()
	return nil
}

// step lets one event happen.
func (s *simulation) step() {
	e := heap.Pop(&s.queue).(event) //nolint:errcheck // Pop returns events
	s.now = e.at
	s.steps++
	e.do()
}

// after schedules something.
func (s *simulation) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.queue, event{at: s.now + d, seq: s.seq, do: do})
}

// upTo draws a duration below d, in microseconds.
func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(max(d/time.Microsecond, 1)))) * time.Microsecond
}

// between draws a duration.
func (s *simulation) between(from, to time.Duration) time.Duration { return from + s.upTo(to-from) }

// chance is true with probability p.
func (s *simulation) chance(p float64) bool { return s.rng.Float64() < p }

// fail ends the run.
func (s *simulation) fail(invariant, format string, args ...any) {
	panic(&Violation{Invariant: invariant, Text: fmt.Sprintf(format, args...), At: s.now})
}

// tracef adds a line to the trace.
func (s *simulation) tracef(format string, args ...any) {
	s.line = fmt.Appendf(s.line[:0], "%10.3fms ", float64(s.now)/float64(time.Millisecond))
	s.line = fmt.Appendf(s.line, format, args...)
	s.line = append(s.line, '\n')
	_, _ = s.hash.Write(s.line) // never fails
	if s.cfg.Trace != nil {
		_, _ = s.cfg.Trace.Write(s.line) // the trace is for reading: a lost line changes nothing
	}
}

// server finds a server by its id.
func (s *simulation) server(sid quorum.SID) *server { return s.servers[sid-1] }

// close gives back what the servers hold open.
func (s *simulation) close() {
	for _, srv := range s.servers {
		srv.disk.abandon()
	}
}
