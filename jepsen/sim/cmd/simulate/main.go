// Command simulate runs whole ensembles under seeds and looks for violated invariants:
//
//	go run ./jepsen/sim/cmd/simulate -seed 1 -seeds 1000
//	go run ./jepsen/sim/cmd/simulate -seed 42 -trace
//
// It exits with status 1 when a seed fails, and prints how to replay it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its effects named.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var cfg sim.Config
	flags.Uint64Var(&cfg.Seed, "seed", 1, "first seed")
	seeds := flags.Uint64("seeds", 1, "number of seeds")
	flags.IntVar(&cfg.Servers, "servers", 3, "voters")
	flags.IntVar(&cfg.Observers, "observers", 0, "observers")
	flags.IntVar(&cfg.Steps, "steps", 6000, "events before the faults stop")
	flags.StringVar(&cfg.Mutant, "mutant", "", "deliberate bug: "+strings.Join(sim.Mutants(), ", "))
	trace := flags.Bool("trace", false, "print the trace")
	parallel := flags.Int("parallel", runtime.GOMAXPROCS(0), "seeds at a time")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *trace {
		out := bufio.NewWriter(stdout)
		defer func() { _ = out.Flush() }() // nothing is left to do about it
		cfg.Trace, *parallel, stdout = out, 1, out
	}
	b := &batch{cfg: cfg, next: cfg.Seed, end: cfg.Seed + *seeds, stdout: stdout}
	began := time.Now()
	var wg sync.WaitGroup
	for range max(*parallel, 1) {
		wg.Go(b.work)
	}
	wg.Wait()
	if b.err != nil {
		fmt.Fprintln(stderr, b.err)
		return 2
	}
	took := time.Since(began)
	fmt.Fprintf(stdout, "%d seeds in %v (%.0f seeds/minute), %v simulated, %+v, %d failed\n",
		b.done, took.Round(time.Millisecond), float64(b.done)/took.Minutes(), b.virtual.Round(time.Second), b.counts, b.failed)
	if b.failed > 0 {
		return 1
	}
	return 0
}

// batch shares seeds out.
type batch struct {
	cfg    sim.Config
	end    uint64
	stdout io.Writer

	mu      sync.Mutex
	next    uint64
	done    int
	failed  int
	virtual time.Duration
	counts  sim.Counts
	err     error
}

// take returns the next seed.
func (b *batch) take() (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next >= b.end || b.err != nil {
		return 0, false
	}
	b.next++
	return b.next - 1, true
}

func (b *batch) work() {
	for seed, ok := b.take(); ok; seed, ok = b.take() {
		cfg := b.cfg
		cfg.Seed = seed
		r, err := sim.Run(cfg)
		b.note(cfg, r, err)
	}
}

func (b *batch) note(cfg sim.Config, r sim.Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = err
		return
	}
	b.done++
	b.virtual += r.Virtual
	b.counts.Add(r.Counts)
	if r.Violation != nil {
		b.failed++
		fmt.Fprintf(b.stdout, "seed %d FAILED after %d events: %v\n  replay: %s -trace\n", cfg.Seed, r.Steps, r.Violation, command(cfg))
	}
}

// command prints how to run a Config again.
func command(cfg sim.Config) string {
	c := fmt.Sprintf("go run ./jepsen/sim/cmd/simulate -seed %d -servers %d -observers %d -steps %d", cfg.Seed, cfg.Servers, cfg.Observers, cfg.Steps)
	if cfg.Mutant != "" {
		c += " -mutant " + cfg.Mutant
	}
	return c
}
