package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
)

// options describe a run.
type options struct {
	launch    cluster.Launch
	dir       string            // empty: a temporary one
	report    string            // directory of reports; empty: none
	set       map[string]string // further lines of zoo.cfg
	servers   int
	tick      time.Duration
	session   time.Duration // timeout
	duration  time.Duration
	seed      uint64
	workloads string
	kinds     []nemesis.Kind
	gap, hold time.Duration
	pace      time.Duration
	syncGets  bool // reads after sync are held to be linearizable
	exact     bool // reply headers are held to name the exact state
	oracle    bool // everything is held against the committed log, which must be that of our own servers
	logf      func(format string, args ...any)
}

// Limits of the parts of a run.
const (
	startLimit   = 60 * time.Second // until all servers serve for the first time
	settleLimit  = 40 * time.Second // until all serve again after an act
	goneLimit    = 30 * time.Second // until the ephemerals of ended sessions are gone
	agreeLimit   = 10 * time.Second // until all servers rest at one zxid
	afterHealing = 2 * time.Second  // in which clients must get work done
	stuckLimit   = 20 * time.Second // until all clients have ended after the run
	searchLimit  = 20 * time.Second // for the order of one register's operations
)

// run is a run under way.
type run struct {
	opt       options
	cluster   *world
	env       *workload.Env
	workloads []workload.Workload
	config    string // the list of servers, before it is changed
	report    *report
}

// torture makes one run. An error is a run that could not be made; violations are in the report.
func torture(ctx context.Context, opt options) (*report, error) {
	opt.logf("torture: seed %d, %d servers, %v, workloads %s, nemesis %v", opt.seed, opt.servers, opt.duration, opt.workloads, opt.kinds)
	dir, err := directory(opt.dir)
	if err != nil {
		return nil, err
	}
	r := &run{opt: opt, report: &report{opt: opt, dir: dir}}
	if r.workloads, err = workload.New(opt.workloads); err != nil {
		return nil, err
	}
	if r.cluster, err = newWorld(opt, dir); err != nil {
		return nil, err
	}
	err = errors.Join(r.all(ctx), r.cluster.close())
	if err != nil || !r.report.clean() || opt.dir != "" {
		err = errors.Join(err, r.cluster.rescue())
	}
	err = errors.Join(err, r.cluster.unmount())
	r.report.ended = time.Now()
	if err == nil {
		err = r.report.keep()
	}
	if err != nil {
		return nil, fmt.Errorf("%w (seed %d, everything is in %s)", err, opt.seed, dir)
	}
	return r.report, nil
}

func directory(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "torture-")
	}
	return filepath.Abs(dir)
}

func (r *run) all(ctx context.Context) error {
	if err := r.setup(ctx); err != nil {
		return err
	}
	r.hurt(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	final, err := r.final(ctx)
	if err != nil {
		// Nothing could be read of servers that all should serve: that is a finding, not a mishap.
		r.report.violate("final", err)
	}
	r.within("held", func() {
		for _, w := range r.workloads {
			w.Held(r.env)
		}
	})
	r.report.history = r.env.Recorder.History()
	if err == nil {
		r.judge(final)
		r.restart(ctx, final)
	}
	r.report.add(r.env.Recorder.Violations()...)
	if r.opt.oracle {
		if err := r.consult(ctx); err != nil {
			r.report.violate("oracle", err)
		}
	}
	if err := r.cluster.Surprises(); err != nil {
		r.report.violate("processes", err)
	}
	return nil
}

// setup starts the servers and creates what the workloads need.
func (r *run) setup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := errors.Join(r.cluster.StartAll(), r.cluster.WaitServing(ctx)); err != nil {
		return err
	}
	r.env = &workload.Env{
		Servers: r.cluster.Addrs(), Recorder: workload.NewRecorder(), Timeout: r.opt.session,
		Seed: r.opt.seed, Pace: r.opt.pace, Duration: r.opt.duration,
	}
	if r.opt.oracle {
		if err := r.env.Recorder.Trace(r.tracePath()); err != nil {
			return err
		}
	}
	s, err := workload.Open(r.env.Servers, r.env.Timeout, r.opt.seed, r.env.Recorder)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Abandon)()
	for _, w := range r.workloads {
		if err := w.Setup(s, r.env); err != nil {
			return err
		}
	}
	if r.config, err = s.Config(); err != nil {
		return err
	}
	if got, want := r.config, r.cluster.List(); !strings.HasPrefix(got, want+"\nversion=") && got != want {
		return fmt.Errorf("the ensemble begins with the list %q, want %q and a version", got, want)
	}
	return nil
}

// hurt lets clients and nemesis work, heals, and gives the clients a moment in peace.
func (r *run) hurt(ctx context.Context) {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	for _, w := range r.workloads {
		clients.Go(func() { w.Run(work, r.env) })
	}
	clients.Go(func() { r.progress(work) })
	acts, stop := context.WithTimeout(ctx, r.opt.duration)
	defer stop()
	plan := nemesis.Plan(nemesis.Config{Seed: r.opt.seed, Kinds: r.opt.kinds, Duration: r.opt.duration, Gap: r.opt.gap, Hold: r.opt.hold})
	var err error
	o := r.cluster.options()
	o.Logf, o.Now = r.log, r.env.Recorder.Now
	if r.opt.changes() {
		m := r.cluster.operate(r.env)
		defer m.close(ctx)
		o.Members = m
	}
	r.report.events, err = nemesis.Run(acts, r.cluster, plan, o)
	if err != nil {
		r.report.violate("nemesis", err)
	}
	<-acts.Done() // the rest of the time without acts
	healed := r.env.Recorder.Now()
	pause(ctx, afterHealing)
	cancel()
	r.within("clients", clients.Wait)
	r.report.gap, r.report.gapAt = check.LongestGap(r.env.Recorder.History(), int64(healed))
	r.report.took = healed
	r.alive(ctx, healed)
}

// within runs f, which waits for answers of servers. When that takes too long the sessions are
// abandoned and f ends.
func (r *run) within(name string, f func()) {
	stuck := time.AfterFunc(stuckLimit, func() {
		r.report.violate(name, fmt.Errorf("no answer in %v with all servers up", stuckLimit))
		r.env.Abandon()
	})
	defer stuck.Stop()
	f()
}

// alive demands that something was written after everything was healed.
func (r *run) alive(ctx context.Context, healed time.Duration) {
	for _, o := range r.env.Recorder.History() {
		if o.Call > int64(healed) && o.Outcome == check.OK {
			return
		}
	}
	if ctx.Err() == nil {
		r.report.violate("liveness", fmt.Errorf("no operation was acknowledged in the %v after everything was healed", afterHealing))
	}
}

// log prints a line with the run's clock, so that it can be found in the histories.
func (r *run) log(format string, args ...any) {
	r.opt.logf("%7.2fs "+format, append([]any{r.env.Recorder.Now().Seconds()}, args...)...)
}

func (r *run) progress(ctx context.Context) {
	for last := 0; pause(ctx, 5*time.Second); {
		ops, acknowledged := r.env.Recorder.Progress()
		r.log("operations %d, acknowledged %d (%.0f/s)", ops, acknowledged, float64(acknowledged-last)/5)
		last = acknowledged
	}
}

// final waits until the ephemerals of ended sessions are gone and reads all trees.
func (r *run) final(ctx context.Context) (check.Final, error) {
	var f check.Final
	wait, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := r.cluster.WaitServing(wait); err != nil {
		return f, err
	}
	if err := r.gone(ctx); err != nil {
		return f, err
	}
	f.Taken = int64(r.env.Recorder.Now())
	for _, id := range r.cluster.IDs() {
		t, err := workload.Walk(ctx, id, r.cluster.Addr(id), r.env.Timeout, r.env.Recorder)
		if err != nil {
			return f, err
		}
		f.Trees = append(f.Trees, t)
	}
	f.Done = int64(r.env.Recorder.Now())
	return f, r.rest(ctx, &f)
}

// gone waits for the expiry of abandoned sessions. What stays is found by the checks.
func (r *run) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	s, err := workload.Open(r.env.Servers, r.env.Timeout, r.opt.seed, r.env.Recorder)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Abandon)()
	var parents []string
	var kept []int64
	for _, w := range r.workloads {
		parents = append(parents, w.Paths()...)
		if k, ok := w.(interface{ Kept() []int64 }); ok {
			kept = append(kept, k.Kept()...)
		}
	}
	if left := workload.AwaitGone(ctx, s, parents, kept); len(left) > 0 {
		r.log("still there after %v: %v", goneLimit, left)
	}
	return nil
}

// rest waits until all servers say that they rest at the same zxid, and notes what they say.
func (r *run) rest(ctx context.Context, f *check.Final) error {
	ctx, cancel := context.WithTimeout(ctx, agreeLimit)
	defer cancel()
	for {
		same := true
		for i := range f.Trees {
			st, err := r.cluster.Status(ctx, f.Trees[i].Server)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err == nil {
				f.Trees[i].Zxid, f.Trees[i].Count = st.Zxid, st.Nodes
			}
			same = same && f.Trees[i].Zxid == f.Trees[0].Zxid && f.Trees[i].Count == f.Trees[0].Count
		}
		if same || !pause(ctx, 100*time.Millisecond) {
			return nil // Replicas says what differs
		}
	}
}

// judge runs every check.
func (r *run) judge(f check.Final) {
	h := r.report.history
	found, unknown := check.Register(h, check.RegisterOptions{SyncGets: r.opt.syncGets, Timeout: searchLimit})
	r.report.unknown = unknown
	r.report.add(found...)
	for _, found := range [][]check.Violation{
		check.WriteOrder(h),
		check.Reads(h, check.ReadOptions{SyncGets: r.opt.syncGets, Exact: r.opt.exact}),
		check.FinalRegisters(h, f),
		check.Sessions(h),
		check.Creates(h, f),
		check.Locks(h),
		check.Ephemerals(h, f, check.EphemeralOptions{SyncGets: r.opt.syncGets}),
		check.Bank(h, f),
		check.Queue(h, f),
		check.Groups(h, f, r.opt.exact),
		check.Moves(h, f),
		check.Configs(h, f, r.opt.syncGets),
		check.Replicas(f),
	} {
		r.report.add(found...)
	}
	if r.opt.exact {
		r.report.add(check.Latch(h)...)
		r.report.add(check.Watches(h)...)
	}
}

// restart kills everybody at once, at rest, and reads the trees again.
func (r *run) restart(ctx context.Context, f check.Final) {
	wait, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err := errors.Join(r.cluster.KillAll(), r.cluster.StartAll(), r.cluster.WaitServing(wait))
	for i := 0; i < len(f.Trees) && err == nil; i++ {
		id := f.Trees[i].Server
		var t check.Tree
		if t, err = workload.Walk(ctx, id, r.cluster.Addr(id), r.env.Timeout, r.env.Recorder); err == nil {
			r.report.add(check.Same(f.Trees[i], t)...)
		}
	}
	if err != nil {
		r.report.violate("restart", err)
	}
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
