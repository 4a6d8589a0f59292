package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/network"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
)

// The tests run in a network of their own, where the kernel gives one.
func TestMain(m *testing.M) {
	if inside, code, err := network.Enter(); err == nil && !inside {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestShortRun is the suite's short run of the real binary: every workload, every act on processes, and changes of the
// members (hazards H-80, H-81, H-82, H-86).
func TestShortRun(t *testing.T) {
	kinds := append(nemesis.Processes(), nemesis.Reconfig)
	// Seed 100 has all kinds of acts among its first five, and three more changes of the members.
	short(t, options{seed: 100, servers: 3, kinds: kinds, duration: 20 * time.Second, gap: 2 * time.Second, hold: 2 * time.Second}, kinds)
}

// TestShortRunOfLinksAndDisks is that of the other acts. Where the kernel gives no hosts of their
// own the acts on links must be refused, with what is missing.
func TestShortRunOfLinksAndDisks(t *testing.T) {
	// Seed 29248 has 15 kinds of them among its first 15 acts, changes of the members early.
	opt := options{seed: 29248, servers: 3, kinds: nemesis.Kinds(), duration: 22 * time.Second, gap: 1500 * time.Millisecond, hold: 2 * time.Second}
	if inside, _, err := network.Enter(); !inside {
		var out strings.Builder
		self, _ := os.Executable()
		if code := command(t.Context(), []string{"--binary", self, "--nemesis", "partition"}, io.Discard, &out); code != 1 || !strings.Contains(out.String(), "need") {
			t.Errorf("exit code %d, said %q (%v)", code, out.String(), err)
		}
		return
	}
	var must []nemesis.Kind
	for _, a := range nemesis.Plan(nemesis.Config{Seed: opt.seed, Kinds: opt.kinds, Duration: opt.duration, Gap: opt.gap, Hold: opt.hold})[:6] {
		must = append(must, a.Kind)
	}
	short(t, opt, must)
}

// short makes a run that must come out clean, and not for want of acts.
func short(t *testing.T, opt options, must []nemesis.Kind) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "zabkeeper")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/zabkeeper")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var err error
	if opt.launch, err = cluster.Zabkeeper(binary); err != nil {
		t.Fatal(err)
	}
	opt.tick, opt.session, opt.pace = 300*time.Millisecond, 2400*time.Millisecond, 40*time.Millisecond
	opt.workloads, opt.syncGets, opt.exact, opt.oracle, opt.logf = workload.All, true, true, true, t.Logf
	r, err := torture(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r.print(&out)
	if !r.clean() {
		t.Fatal(out.String())
	}
	// A run that did nothing would be clean, too.
	acts := nemesis.Count(r.events)
	for _, kind := range must {
		if acts[kind] == 0 {
			t.Errorf("no %s in the run", kind)
		}
	}
	if n := len(r.history); n < 1000 {
		t.Errorf("only %d operations in %v", n, opt.duration)
	}
	for name, c := range check.Count(r.history) {
		if c.OK == 0 {
			t.Errorf("%s had no operation acknowledged", name)
		}
	}
	if o := r.oracle; o == nil || o.Decisions < 100 || o.Writes < 100 || o.Reads < 100 || o.Events == 0 {
		t.Errorf("the oracle was asked for little: %+v", o)
	}
	if slices.Contains(must, nemesis.Reconfig) && r.oracle.Changes == 0 {
		t.Error("the members were never changed")
	}
	t.Log(out.String())
	dir := t.TempDir()
	if err := r.publish(dir); err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"html", "jsonl.gz"} {
		if text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("torture-%d.%s", opt.seed, ext))); err != nil || len(text) < 1000 {
			t.Errorf("the report's %s has %d bytes, %v", ext, len(text), err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"", "--binary " + self + " --apache", "--binary /nothing/there", "--binary " + self + " --nemesis flood",
		"--binary " + self + " --minutes 0", "--binary " + self + " --rate 0", "--binary " + self + " --tick -1",
		"--binary " + self + " --sync never", "--binary " + self + " --session 1", "--binary " + self + " more", "--binary " + self + " --set nothing", "--unknown",
	} {
		if code := command(t.Context(), strings.Fields(args), io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
	opt, err := parse(strings.Fields("--binary "+self+" --minutes 2.5 --seed 9 --tick 2000 --rate 10 --nemesis kill --sync session --session 4 --servers 5 --oracle=false --set a=b --set c=d=e"), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if opt.duration != 150*time.Second || opt.seed != 9 || opt.tick != 2*time.Second || opt.pace != 100*time.Millisecond ||
		len(opt.kinds) != 1 || opt.syncGets || opt.session != 8*time.Second || !opt.exact || opt.servers != 5 || opt.oracle || opt.set["a"] != "b" || opt.set["c"] != "d=e" {
		t.Errorf("got %+v", opt)
	}
}

// A server that never comes up, and one that goes down, are failures, not clean runs.
func TestABrokenServerIsNotClean(t *testing.T) {
	opt := options{
		launch: cluster.Launch{Argv: []string{"/bin/sh", "-c", "exit 3"}}, dir: t.TempDir(), servers: 3,
		tick: 300 * time.Millisecond, session: time.Second, duration: time.Second, workloads: "register", logf: t.Logf, pace: time.Second,
	}
	if _, err := torture(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the exit status of the servers", err)
	}
	opt.workloads = "nothing"
	if _, err := torture(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "unknown workload") {
		t.Errorf("got %v, want the unknown workload", err)
	}
}
