package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Runner runs suites on mutants, one at a time.
type Runner struct {
	// Root is the directory of the module.
	Root string
	// healthy remembers which trials pass without mutants.
	healthy map[Trial]error
}

// Result is what came of one trial.
type Result struct {
	Mutant string `json:"mutant"`
	Of     string `json:"of"` // the version of the mutant
	Suite  string `json:"suite"`
	Run    string `json:"run,omitempty"`
	Killed bool   `json:"killed"`
	// Tests are the first that failed.
	Tests []string `json:"tests,omitempty"`

	took time.Duration
}

// Took is how long the trial took, with the build.
func (r *Result) Took() time.Duration { return r.took }

// maxTests bounds the tests that a Result names.
const maxTests = 3

// grace is how much longer than a suite's own limit it may take, with its build.
const grace = 5 * time.Minute

// Try runs a suite on a mutant. An error says that nothing can be said: the mutant does not apply or
// build, or the suite fails without it, or does not end.
func (r *Runner) Try(ctx context.Context, m *Mutant, t Trial) (Result, error) {
	result := Result{Mutant: m.Name, Of: m.fingerprint(), Suite: t.Suite, Run: t.Run}
	if err := r.healthyWithout(ctx, t); err != nil {
		return result, err
	}
	changed, err := m.Apply(r.Root)
	if err != nil {
		return result, err
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return result, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing is left to do about it
	overlay, err := WriteOverlay(r.Root, dir, changed)
	if err != nil {
		return result, err
	}
	began := time.Now()
	failed, err := r.test(ctx, t, overlay)
	if err != nil {
		return result, fmt.Errorf("mutant %s, suite %s: %w", m.Name, t.Suite, err)
	}
	result.took = time.Since(began)
	result.Killed, result.Tests = len(failed) > 0, failed[:min(len(failed), maxTests)]
	return result, nil
}

// healthyWithout makes sure that a trial passes on the project as it is.
func (r *Runner) healthyWithout(ctx context.Context, t Trial) error {
	if err, ok := r.healthy[t]; ok {
		return err
	}
	failed, err := r.test(ctx, t, "")
	switch {
	case err != nil:
		err = fmt.Errorf("suite %s without a mutant: %w", t.Suite, err)
	case len(failed) > 0:
		err = fmt.Errorf("suite %s fails without a mutant: %s", t.Suite, strings.Join(failed, ", "))
	}
	if r.healthy == nil {
		r.healthy = map[Trial]error{}
	}
	r.healthy[t] = err
	return err
}

// test runs the tests of a trial and returns the names of those that fail.
func (r *Runner) test(ctx context.Context, t Trial, overlay string) ([]string, error) {
	s, err := findSuite(t.Suite)
	if err != nil {
		return nil, err
	}
	args := []string{"test", "-json", "-count=1", "-failfast", "-vet=off", "-ldflags=-w", "-timeout", s.Limit.String()}
	if run := firstOf(t.Run, s.Run); run != "" {
		args = append(args, "-run", run)
	}
	if s.Skip != "" {
		args = append(args, "-skip", s.Skip)
	}
	args = append(args, "./"+s.Package)
	if s.Rapid {
		args = append(args, "-args", "-rapid.nofailfile")
	}
	ctx, cancel := context.WithTimeout(ctx, s.Limit+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.Root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the server is built; Go's own linker is the faster one
	if overlay != "" {
		// As a flag of the environment it holds for what tests build, too.
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+filepath.ToSlash(overlay)))
	}
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	failed, verdictErr := verdict(out, err != nil)
	if verdictErr != nil {
		return nil, fmt.Errorf("%w\n%s", verdictErr, tail(stderr.String()))
	}
	return failed, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// tail is the end of what the go tool said.
func tail(text string) string {
	const most = 2000
	return text[max(0, len(text)-most):]
}

// testEvent is a line of go test -json.
type testEvent struct {
	Action      string
	Test        string
	Output      string
	FailedBuild string
}

// verdict reads the output of go test -json: the tests that failed, or else those that were running when
// the process died or its time was over. Of a test and its parts only the parts are named. bad is what the
// tool's own exit says.
func verdict(out []byte, bad bool) ([]string, error) {
	running, failed := map[string]bool{}, map[string]bool{}
	var said strings.Builder
	ran := false
	for line := range bytes.Lines(out) {
		var e testEvent
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		switch {
		case e.FailedBuild != "" || e.Action == "build-fail":
			return nil, fmt.Errorf("does not build: %s", said.String())
		case e.Action == "build-output":
			said.WriteString(e.Output)
		case e.Test == "":
		case e.Action == "run":
			ran, running[e.Test] = true, true
		case e.Action == "fail":
			failed[e.Test] = true
			delete(running, e.Test)
		case e.Action == "pass" || e.Action == "skip":
			delete(running, e.Test)
		}
	}
	switch {
	case !ran:
		return nil, errors.New("no test has run")
	case !bad:
		return nil, nil
	}
	if len(failed) == 0 {
		failed = running
	}
	names := slices.Sorted(maps.Keys(failed))
	if len(names) == 0 {
		return nil, errors.New("failed, and no test did")
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(names, func(part string) bool { return strings.HasPrefix(part, name+"/") })
	}), nil
}
