package main

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/page"
)

// publish writes the report of a run into a directory: torture-SEED.html, which needs nothing else,
// and torture-SEED.jsonl.gz, the history.
func (r *report) publish(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	name := filepath.Join(dir, fmt.Sprintf("torture-%d", r.opt.seed))
	err := create(name+".html", func(w io.Writer) error { return page.Write(w, r.page()) })
	return errors.Join(err, create(name+".jsonl.gz", func(w io.Writer) error {
		z := gzip.NewWriter(w)
		return errors.Join(check.WriteJSON(z, r.history), z.Close())
	}))
}

// create writes a file.
func create(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("report: %s: %w", name, err)
	}
	return nil
}

// page is the run for people.
func (r *report) page() page.Run {
	o := r.opt
	p := page.Run{
		Title: fmt.Sprintf("Torture of %d servers for %v", o.servers, o.duration), Took: r.took, History: r.history, Events: r.events,
		Facts: []page.Fact{
			{Name: "seed", Value: fmt.Sprint(o.seed)},
			{Name: "server", Value: o.version()},
			{Name: "suite", Value: suite()},
			{Name: "workloads", Value: strings.ReplaceAll(o.workloads, ",", ", ")},
			{Name: "nemesis", Value: strings.Trim(fmt.Sprint(o.kinds), "[]")},
			{Name: "pace of the acts", Value: fmt.Sprintf("every %v, held for up to %v", o.gap, o.hold)},
			{Name: "timeouts", Value: fmt.Sprintf("tick %v, session %v", o.tick, o.session)},
			{Name: "settings", Value: settings(o.set)},
			{Name: "machine", Value: fmt.Sprintf("%s on %s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())},
			{Name: "ended", Value: r.ended.UTC().Format(time.DateTime) + " UTC"},
		},
	}
	for _, v := range r.violations {
		p.Violations = append(p.Violations, v.String())
	}
	if o := r.oracle; o != nil {
		p.Notes = append(p.Notes, fmt.Sprintf("The log as oracle judged %d transactions, %d of them with their requests, %d replies to writes, %d other replies and %d events; %d replies were not judged.",
			o.Txns, o.Decisions, o.Writes, o.Reads, o.Events, o.Unjudged))
	}
	if len(r.unknown) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("Registers whose search for an order was given up: %s.", strings.Join(r.unknown, ", ")))
	}
	if r.kept {
		p.Notes = append(p.Notes, "History, logs and data are in "+r.dir+".")
	}
	return p
}

// settings are the lines of zoo.cfg that were asked for.
func settings(set map[string]string) string {
	lines := make([]string, 0, len(set))
	for _, key := range slices.Sorted(maps.Keys(set)) {
		lines = append(lines, key+"="+set[key])
	}
	return cmp.Or(strings.Join(lines, ", "), "as usual")
}

// version is what the server says about itself.
func (o options) version() string {
	if !o.exact {
		return "Apache ZooKeeper"
	}
	text, err := exec.Command(o.launch.Argv[0], "version").Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	return strings.TrimSpace(string(text))
}

// suite is the version of this program.
func suite() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			version = s.Value
		}
	}
	return version + ", " + info.GoVersion
}
