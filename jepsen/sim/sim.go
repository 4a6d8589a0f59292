package sim

import (
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
	// Shape is the ensemble: "5" voters, "3+1" with an observer, "2,1,1,0" with weights, "1,1,1/1,1,0/2,1"
	// in groups. Empty: drawn from the seed.
	Shape string
	// Tree is "store" for the real znode/store on the crashable file system, "twin" for a tree in memory
	// with the same rules of durability, which is faster. Empty: drawn from the seed.
	Tree string
	// Members is "change" for an ensemble that is reconfigured while it runs, "fixed" for one that is
	// not. Empty: drawn from the seed; an ensemble with spare servers changes.
	Members string
	// Steps is how many events happen before the faults stop. 0: as many as the shape needs.
	Steps int
	// Skip are acts of the nemesis, by number, that do not happen.
	Skip []int
	// Mutant, if not empty, is the name of a deliberate bug of the driver.
	Mutant string
	// Trace, if not nil, gets the trace: one line per event.
	Trace io.Writer
	// TraceServers, if not empty, are the servers whose lines are written.
	TraceServers quorum.Set
}

// Result says what happened in a run.
type Result struct {
	Seed      uint64
	Shape     string
	Tree      string
	Members   string
	Steps     int           // events of the scheduler
	Virtual   time.Duration // simulated time
	Acts      int           // of the nemesis
	TraceHash uint64
	Counts    Counts
	// Violation is nil if every invariant held.
	Violation *Violation
}

// Violation is an invariant that did not hold.
type Violation struct {
	ID        string // such as I-11
	Invariant string
	Text      string
	At        time.Duration
}

// Error describes the violation in one line.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s %s: %s (at %v)", v.ID, v.Invariant, v.Text, v.At)
}

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

	// How long after the last fault somebody must lead (some rounds of elections with doubled
	// waits), writes must be answered, and everybody must have been synchronised.
	electWithin  = 60 * time.Second
	writeWithin  = 75 * time.Second
	settleWithin = 90 * time.Second
)

// simulation is one run. One goroutine owns it all.
type simulation struct {
	cfg    Config
	mutant mutant
	shape  shape
	real   bool // the trees are on disk
	// treeBreaks says that the disks fail below the trees as well.
	treeBreaks bool
	// changing says that the ensemble is reconfigured; otherwise it has no versions.
	changing bool
	rng      *rand.Rand
	now      time.Duration
	queue    schedule
	seq      uint64
	steps    int
	calm     bool // faults are over

	ensemble *quorum.Ensemble // at the beginning
	limits   zab.Limits
	keep     int     // entries that a trim leaves in the log
	pace     float64 // of the clients: what their pauses are multiplied with
	servers  []*server
	net      *network
	nemesis  nemesis
	strays   []stray
	oracle   *oracle
	counts   Counts

	hash *xxhash.Digest
	line []byte
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
		Seed: cfg.Seed, Shape: s.shape.text, Tree: s.treeName(), Members: s.membersName(), Steps: s.steps, Virtual: s.now, Acts: s.nemesis.acts,
		TraceHash: s.hash.Sum64(), Counts: s.counts, Violation: v,
	}, nil
}

// source makes a source of random numbers of its own: what is drawn from one of them changes nothing
// of what the others give.
func source(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// Streams of random numbers.
const (
	streamSchedule = 0x7a61626b65657065
	streamShape    = 0x7368617065
	streamMembers  = 0x6d656d62657273
	streamTail     = 0x7461696c
	streamRot      = 0x726f74
	streamTree     = 0x74726565
	streamNemesis  = 0x6e656d65736973 << 8
)

func newSimulation(cfg Config) (*simulation, error) {
	m, err := findMutant(cfg.Mutant)
	if err != nil {
		return nil, err
	}
	setup := source(cfg.Seed, streamShape)
	sh, onDisk := drawShape(setup), setup.IntN(100) < realTrees
	if cfg.Shape != "" {
		if sh, err = parseShape(cfg.Shape); err != nil {
			return nil, err
		}
	}
	switch cfg.Tree {
	case "":
	case treeStore, treeTwin:
		onDisk = cfg.Tree == treeStore
	default:
		return nil, fmt.Errorf("sim: tree %q: %s or %s", cfg.Tree, treeStore, treeTwin)
	}
	s := &simulation{cfg: cfg, mutant: m, shape: sh, real: onDisk, hash: xxhash.New(), rng: source(cfg.Seed, streamSchedule)}
	members := source(cfg.Seed, streamMembers)
	if err := s.drawMembers(members); err != nil {
		return nil, err
	}
	if s.ensemble, err = s.shape.ensemble(); err != nil {
		return nil, err
	}
	size := sh.voters + sh.observers + s.shape.spares
	if s.cfg.Steps == 0 {
		s.cfg.Steps = 1500 + 1500*size
	}
	s.drawLimits()
	s.nemesis.draw(setup)
	if s.changing {
		s.nemesis.want(FaultMembers)
	}
	if source(cfg.Seed, streamTail).IntN(100) < tails {
		s.nemesis.want(FaultTail)
	}
	if source(cfg.Seed, streamRot).IntN(100) < rots {
		s.nemesis.want(FaultRot)
	}
	s.wantTreeFaults()
	s.oracle = newOracle(s)
	s.net = newNetwork(s, size)
	for sid := quorum.SID(1); int(sid) <= size; sid++ {
		s.servers = append(s.servers, newServer(s, sid, s.file(sid, members)))
	}
	s.drawClocks(setup)
	return s, nil
}

// What can become of the members.
const (
	membersChange = "change"
	membersFixed  = "fixed"
	// changingMembers is how many seeds of a hundred reconfigure.
	changingMembers = 35
	// tails is how many have leaders that end with a history that nobody else has.
	tails = 45
	// rots is how many have servers whose memory fails.
	rots = 30
)

// drawMembers decides whether the ensemble changes, and who may join it.
func (s *simulation) drawMembers(rng *rand.Rand) error {
	s.changing = rng.IntN(100) < changingMembers || s.shape.spares > 0
	spares := rng.IntN(maxSpares)
	switch s.cfg.Members {
	case "":
	case membersChange, membersFixed:
		s.changing = s.cfg.Members == membersChange
	default:
		return fmt.Errorf("sim: members %q: %s or %s", s.cfg.Members, membersChange, membersFixed)
	}
	if !s.changing && s.shape.spares > 0 {
		return fmt.Errorf("sim: shape %q has servers that never join", s.shape.text)
	}
	if s.changing && s.cfg.Shape == "" {
		s.shape.withSpares(spares)
	}
	return nil
}

func (s *simulation) membersName() string {
	if s.changing {
		return membersChange
	}
	return membersFixed
}

// What a tree can be kept in.
const (
	treeStore = "store"
	treeTwin  = "twin"
	// realTrees is how many seeds of a hundred have their trees on disk.
	realTrees = 15
)

func (s *simulation) treeName() string {
	if s.real {
		return treeStore
	}
	return treeTwin
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
	s.pace = []float64{0.7, 1, 3, 8}[s.rng.IntN(4)]
}

// run works through the schedule: first with faults, then without until all agree.
func (s *simulation) run() (v *Violation) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Violation:
			v = r
		default:
			v = &Violation{Invariant: noPanic, Text: fmt.Sprintf("%v\n%s", r, debug.Stack()), At: s.now}
		}
		if v != nil {
			v.ID = invariantID(v.Invariant)
			s.trace(nil, line{label: labelViolation, text: v.ID + " " + v.Invariant + ": " + v.Text})
		}
	}()
	s.trace(nil, line{label: labelConfig, text: "shape " + s.shape.text + ", tree " + s.treeName() + ", members " + s.membersName()})
	for _, srv := range s.servers {
		s.after(s.upTo(300*time.Millisecond), srv.start)
	}
	s.beginFaults()
	for s.steps < s.cfg.Steps {
		s.step()
	}
	s.endFaults()
	if s.converge() {
		s.oracle.final()
	}
	return nil
}

// step lets one event happen.
func (s *simulation) step() {
	e := s.queue.pop()
	s.now = e.at
	s.steps++
	e.do()
}

// after schedules something.
func (s *simulation) after(d time.Duration, do func()) {
	s.seq++
	s.queue.push(event{at: s.now + d, seq: s.seq, do: do})
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

// server finds a server by its id.
func (s *simulation) server(sid quorum.SID) *server { return s.servers[sid-1] }

// close gives back what the servers hold open.
func (s *simulation) close() {
	for _, srv := range s.servers {
		if srv.proc.alive() && srv.proc.app != nil {
			srv.proc.app.tree.close()
		}
		srv.disk.abandon()
	}
}
