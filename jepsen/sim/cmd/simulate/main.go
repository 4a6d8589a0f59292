// Command simulate runs whole ensembles under seeds and looks for violated invariants:
//
//	go run ./jepsen/sim/cmd/simulate -seed 1 -seeds 1000
//	go run ./jepsen/sim/cmd/simulate -seed 42 -trace -server 2,3
//
// It stops at the first seed that fails, prints the invariant, the end of the trace and how to replay it,
// and exits with status 1.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
	"github.com/zabkeeper/zabkeeper/quorum"
)

func main() {
	// The garbage of a seed dies with it: there is little to mark, so that collections cost more
	// than they find.
	debug.SetGCPercent(2000)
	debug.SetMemoryLimit(1 << 30)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	cfg              sim.Config
	seeds            uint64
	workers          int
	lines            int
	trace, all       bool
	shrink           bool
	servers, skip    string
	progress, within time.Duration
}

func (o *options) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.cfg.Seed, "seed", 1, "first seed")
	flags.Uint64Var(&o.seeds, "seeds", 1, "number of seeds")
	flags.StringVar(&o.cfg.Shape, "shape", "", "ensemble: 5, 3+1 (observers), 3~2 (servers that may join), 2,1,1,0 (weights), 1,1/1,0/1,1 (groups); default: drawn from the seed")
	flags.StringVar(&o.cfg.Tree, "tree", "", "twin (in memory) or store (on the simulated disk); default: drawn from the seed")
	flags.StringVar(&o.cfg.Members, "members", "", "change (reconfigured while it runs) or fixed; default: drawn from the seed")
	flags.IntVar(&o.cfg.Steps, "steps", 0, "events before the faults stop; default: by the shape")
	flags.StringVar(&o.skip, "skip", "", "acts of the nemesis, by number, that do not happen")
	flags.StringVar(&o.cfg.Mutant, "mutant", "", "deliberate bug: "+strings.Join(sim.Mutants(), ", "))
	flags.BoolVar(&o.trace, "trace", false, "print the trace")
	flags.StringVar(&o.servers, "server", "", "servers whose lines are printed; default: all")
	flags.IntVar(&o.lines, "last", 40, "lines of the trace to print of a seed that fails")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "seeds at a time")
	flags.BoolVar(&o.all, "all", false, "go on after a seed that fails, and count them")
	flags.BoolVar(&o.shrink, "shrink", false, "look for fewer faults that fail a seed in the same way")
	flags.DurationVar(&o.progress, "progress", time.Minute, "how often to report")
	flags.DurationVar(&o.within, "time", 0, "begin no seed after this time; 0: no limit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, text := range split(o.skip) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("-skip: %w", err)
		}
		o.cfg.Skip = append(o.cfg.Skip, n)
	}
	for _, text := range split(o.servers) {
		sid, err := quorum.ParseSID(text)
		if err != nil {
			return fmt.Errorf("-server: %w", err)
		}
		o.cfg.TraceServers.Add(sid)
	}
	return nil
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// run is main with its effects named.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	if err := o.parse(args, stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, err)
		}
		return 2
	}
	if o.trace {
		out := bufio.NewWriter(stdout)
		defer func() { _ = out.Flush() }() // nothing is left to do about it
		o.cfg.Trace, o.workers, stdout = out, 1, out
	}
	b := newBatch(&o, stdout)
	b.run()
	if b.err != nil {
		fmt.Fprintln(stderr, b.err)
		return 2
	}
	b.report()
	if b.failed > 0 {
		return 1
	}
	return 0
}

// explain prints what is wrong with a seed and how to see it again.
func (o *options) explain(w io.Writer, cfg sim.Config, r *sim.Result) {
	fmt.Fprintf(w, "seed %d FAILED (shape %s, tree %s) after %d events, %d acts: %v\n",
		cfg.Seed, r.Shape, r.Tree, r.Steps, r.Acts, r.Violation)
	if o.shrink {
		small, runs := sim.Shrink(cfg, r, maxShrink)
		fmt.Fprintf(w, "  shrunk in %d runs: %d of %d acts are left\n", runs, r.Acts-len(small.Skip), r.Acts)
		cfg = small
	}
	if !o.trace && o.lines > 0 {
		tail := &tailWriter{n: o.lines}
		again := cfg
		again.Trace = tail
		if _, err := sim.Run(again); err == nil {
			_, _ = w.Write(tail.bytes()) // nothing is left to do about it
		}
	}
	fmt.Fprintf(w, "  replay: %s -trace\n", command(cfg))
}

// maxShrink bounds the runs that a search for fewer faults takes.
const maxShrink = 300

// tailWriter keeps the last lines.
type tailWriter struct {
	n     int
	lines [][]byte
}

// Write implements io.Writer; each call is one line.
func (t *tailWriter) Write(p []byte) (int, error) {
	t.lines = append(t.lines, bytes.Clone(p))
	if len(t.lines) > 2*t.n {
		t.lines = append(t.lines[:0], t.lines[len(t.lines)-t.n:]...)
	}
	return len(p), nil
}

func (t *tailWriter) bytes() []byte { return bytes.Join(t.lines[max(0, len(t.lines)-t.n):], nil) }

// command prints how to run a Config again.
func command(cfg sim.Config) string {
	c := fmt.Sprintf("go run ./jepsen/sim/cmd/simulate -seed %d", cfg.Seed)
	if cfg.Shape != "" {
		c += " -shape " + cfg.Shape
	}
	if cfg.Tree != "" {
		c += " -tree " + cfg.Tree
	}
	if cfg.Members != "" {
		c += " -members " + cfg.Members
	}
	if cfg.Steps != 0 {
		c += fmt.Sprintf(" -steps %d", cfg.Steps)
	}
	if len(cfg.Skip) > 0 {
		c += " -skip " + strings.ReplaceAll(strings.Trim(fmt.Sprint(cfg.Skip), "[]"), " ", ",")
	}
	if cfg.Mutant != "" {
		c += " -mutant " + cfg.Mutant
	}
	return c
}
