package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
)

// report is the outcome of a run.
type report struct {
	opt        options
	dir        string
	kept       bool // dir stays
	took       time.Duration
	ended      time.Time
	history    []check.Op
	events     []nemesis.Event
	gap, gapAt int64      // ns
	mu         sync.Mutex // of violations, while the run goes on
	violations []check.Violation
	unknown    []string       // registers whose search was given up
	oracle     *oracle.Report // nil: not asked, or nothing could be read
	oracleTook time.Duration
}

func (r *report) violate(name string, err error) {
	r.add(check.Violation{Check: name, Text: err.Error()})
}

func (r *report) add(found ...check.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, found...)
}

func (r *report) clean() bool { return len(r.violations) == 0 }

// keep writes the history of a run with violations beside the servers' files; of a clean run in a
// temporary directory it leaves nothing.
func (r *report) keep() error {
	if r.clean() && r.opt.dir == "" {
		return os.RemoveAll(r.dir)
	}
	r.kept = true
	f, err := os.Create(filepath.Join(r.dir, "history.jsonl"))
	if err != nil {
		return err
	}
	if err = check.WriteJSON(f, r.history); err != nil {
		f.Close() //nolint:errcheck // the other error tells
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	text, err := os.Create(filepath.Join(r.dir, "report.txt"))
	if err != nil {
		return err
	}
	r.print(text)
	return text.Close()
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("\n%-20s %8s %8s %8s", "workload", "ok", "fail", "info")
	counts := check.Count(r.history)
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		c := counts[name]
		line("%-20s %8d %8d %8d", name, c.OK, c.Fail, c.Info)
	}
	acts := nemesis.Count(r.events)
	for _, kind := range slices.Sorted(maps.Keys(acts)) {
		line("%-20s %8d", "nemesis "+string(kind), acts[kind])
	}
	line("longest time without an acknowledged write: %v, at %.2fs of %v",
		time.Duration(r.gap).Round(time.Millisecond), time.Duration(r.gapAt).Seconds(), r.took.Round(time.Second))
	if o := r.oracle; o != nil {
		line("oracle: %d transactions, %d of them with their requests, %d replies to writes, %d other replies, %d events; %d not judged; in %v",
			o.Txns, o.Decisions, o.Writes, o.Reads, o.Events, o.Unjudged, r.oracleTook.Round(time.Millisecond))
		if o.Changes > 0 {
			line("oracle: %d changes of the members in the log", o.Changes)
		}
		if o.Reused > 0 {
			line("oracle: %d sessions got the id, and so the password, of one that had ended", o.Reused)
		}
	}
	if len(r.unknown) > 0 {
		line("undecided registers (the search took too long): %v", r.unknown)
	}
	for _, v := range r.violations {
		line("VIOLATION %v", v)
	}
	if r.kept {
		line("history, logs and data are in %s", r.dir)
	}
	verdict := "clean"
	if !r.clean() {
		verdict = fmt.Sprintf("%d VIOLATIONS", len(r.violations))
	}
	line("seed %d: %s", r.opt.seed, verdict)
}
