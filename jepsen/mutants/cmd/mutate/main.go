// Command mutate runs the tests on deliberate bugs and says which suite kills which:
//
//	go run ./jepsen/mutants/cmd/mutate list
//	go run ./jepsen/mutants/cmd/mutate run [-suite a,b] [-also a,b] [-due] [-short n] [-seed n] [-keep] [mutant ...]
//	go run ./jepsen/mutants/cmd/mutate diff mutant
//	go run ./jepsen/mutants/cmd/mutate table
//
// run exits with status 1 if a mutant survives one of its killers. With -keep it notes the results and makes
// docs/mutants.md anew. table makes it of the results that are there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/mutants"
	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: mutate list | run [flags] [mutant ...] | diff mutant | table")

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	root, err := mutants.Root(".")
	if err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return list(out)
	case "diff":
		return diff(out, args[1:])
	case "table":
		results, err := mutants.ReadResults(root)
		if err != nil {
			return err
		}
		return mutants.WriteResults(root, mutants.Merge(results, nil))
	case "run":
		s := session{out: out, runner: mutants.Runner{Root: root}}
		return s.run(ctx, args[1:])
	}
	return errUsage
}

func list(out io.Writer) error {
	for _, m := range mutants.All() {
		var killers []string
		for _, t := range m.Killers {
			killers = append(killers, t.Suite)
		}
		fmt.Fprintf(out, "%-26s %-50s %s\n", m.Name, strings.Join(killers, ", "), m.Bug)
	}
	for _, name := range sim.Mutants() {
		fmt.Fprintf(out, "%-26s %-50s %s\n", name, "sim", "a mutant of the simulator's driver")
	}
	return nil
}

func diff(out io.Writer, names []string) error {
	if len(names) == 0 {
		return errUsage
	}
	found, err := mutants.Find(names)
	if err != nil {
		return err
	}
	for _, m := range found {
		fmt.Fprintf(out, "%s: %s\n", m.Name, m.Bug)
		for _, e := range m.Edits {
			fmt.Fprintf(out, "%s\n-%s\n+%s\n", e.File, strings.ReplaceAll(e.Old, "\n", "\n-"), strings.ReplaceAll(e.New, "\n", "\n+"))
		}
	}
	return nil
}

// session is one run.
type session struct {
	out    io.Writer
	runner mutants.Runner

	only, also []string
	keep, due  bool
	found      []mutants.Result
	survived   []string
}

func (s *session) run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mutate run", flag.ContinueOnError)
	only := flags.String("suite", "", "run these suites alone, of those that are to kill")
	also := flags.String("also", "", "try these suites too")
	short := flags.Int("short", 0, "run so many mutants that die quickly, each on its quickest suite")
	seed := flags.Int("seed", 0, "which of them")
	flags.BoolVar(&s.keep, "keep", false, "keep the results, and make docs/mutants.md of them")
	flags.BoolVar(&s.due, "due", false, "run only what no kept result tells")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s.only, s.also = split(*only), split(*also)
	var chosen []mutants.Mutant
	var drivers []string
	if *short > 0 {
		chosen = mutants.Quick(*short, *seed)
	} else {
		var names []string
		names, drivers = s.named(flags.Args())
		if len(names) > 0 || len(drivers) == 0 {
			var err error
			if chosen, err = mutants.Find(names); err != nil {
				return err
			}
		}
	}
	for i := range chosen {
		if err := s.mutant(ctx, &chosen[i]); err != nil {
			return err
		}
	}
	for _, name := range drivers {
		if err := s.driver(name); err != nil {
			return err
		}
	}
	if len(s.survived) > 0 {
		return fmt.Errorf("%d of %d survived: %s", len(s.survived), len(s.found), strings.Join(s.survived, ", "))
	}
	fmt.Fprintf(s.out, "%d trials\n", len(s.found))
	return nil
}

// named parts the mutants of the simulator's driver from the others. Without names it is all of both.
func (s *session) named(names []string) (server, drivers []string) {
	if len(names) == 0 {
		for _, m := range mutants.All() {
			server = append(server, m.Name)
		}
		if len(s.only) == 0 || slices.Contains(s.only, "sim") {
			drivers = sim.Mutants()
		}
		return server, drivers
	}
	for _, name := range names {
		if slices.Contains(sim.Mutants(), name) {
			drivers = append(drivers, name)
		} else {
			server = append(server, name)
		}
	}
	return server, drivers
}

// mutant tries one mutant on its killers, and on what else is asked for.
func (s *session) mutant(ctx context.Context, m *mutants.Mutant) error {
	trials := slices.Clone(m.Killers)
	if len(s.only) > 0 {
		trials = slices.DeleteFunc(trials, func(t mutants.Trial) bool { return !slices.Contains(s.only, t.Suite) })
	}
	if s.due {
		known, err := s.kept()
		if err != nil {
			return err
		}
		trials = slices.DeleteFunc(trials, func(t mutants.Trial) bool { return mutants.Killed(known, m, t.Suite) })
	}
	due := len(trials)
	for _, suite := range s.also {
		if !slices.ContainsFunc(m.Killers, func(t mutants.Trial) bool { return t.Suite == suite }) {
			trials = append(trials, mutants.Trial{Suite: suite})
		}
	}
	for i, t := range trials {
		r, err := s.runner.Try(ctx, m, t)
		if err != nil {
			return err
		}
		if err := s.note(r, i < due); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) driver(name string) error {
	r, err := mutants.TryDriver(name)
	if err != nil {
		return err
	}
	return s.note(r, true)
}

// note reports a result and keeps it. due says that it was to be a kill.
func (s *session) note(r mutants.Result, due bool) error {
	verdict := "SURVIVED"
	switch {
	case r.Killed:
		verdict = "killed by " + strings.Join(r.Tests, ", ")
	case due:
		s.survived = append(s.survived, r.Mutant+" ("+r.Suite+")")
	default:
		verdict = "not noticed"
	}
	fmt.Fprintf(s.out, "%-26s %-10s %6.1fs  %s\n", r.Mutant, r.Suite, r.Took().Round(time.Second/10).Seconds(), verdict)
	s.found = append(s.found, r)
	if !s.keep {
		return nil
	}
	kept, err := s.kept()
	if err != nil {
		return err
	}
	return mutants.WriteResults(s.runner.Root, mutants.Merge(kept, []mutants.Result{r}))
}

// kept returns the results that are kept, if any are.
func (s *session) kept() ([]mutants.Result, error) {
	kept, err := mutants.ReadResults(s.runner.Root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return kept, err
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
