package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Ensemble is what a nemesis can do to servers. Acts on servers that are not running, or running
// already, do nothing.
type Ensemble interface {
	IDs() []int
	Leader(ctx context.Context) int // 0 when nobody leads
	Start(id int) error
	Kill(id int) error
	KillAll() error
	Terminate(id int, patience time.Duration) error
	Pause(id int) error
	Resume(id int) error
	WaitServing(ctx context.Context, ids ...int) error
}

// Options are the settings of Run.
type Options struct {
	// Settle bounds the wait for all servers to serve again after an act. Longer waits are
	// errors: the ensemble did not recover from what it must recover from. Default 30 s.
	Settle time.Duration
	// Patience is how long a server may take to end after SIGTERM. Default 10 s.
	Patience time.Duration
	// Logf is told each act when it begins. It may be nil.
	Logf func(format string, args ...any)
}

// leaderWait bounds the search for a leader; without one the first server is hit.
const leaderWait = 3 * time.Second

// Run carries out the plan and heals. It returns how many acts of each kind began, and the first
// error: an act that failed or an ensemble that did not recover. It ends early, and without an
// error, when ctx ends.
func Run(ctx context.Context, e Ensemble, plan []Act, opt Options) (map[Kind]int, error) {
	if opt.Settle <= 0 {
		opt.Settle = 30 * time.Second
	}
	if opt.Patience <= 0 {
		opt.Patience = 10 * time.Second
	}
	if opt.Logf == nil {
		opt.Logf = func(string, ...any) {}
	}
	n := runner{e: e, opt: opt, done: map[Kind]int{}}
	err := n.all(ctx, plan)
	// Healing must not be stopped by what stopped the plan.
	return n.done, errors.Join(err, n.heal(), n.settle(context.WithoutCancel(ctx)))
}

type runner struct {
	e    Ensemble
	opt  Options
	done map[Kind]int
}

func (n *runner) all(ctx context.Context, plan []Act) error {
	start := time.Now()
	for _, a := range plan {
		if !sleep(ctx, a.At-time.Since(start)) {
			return nil
		}
		ids := n.victims(ctx, a)
		n.opt.Logf("nemesis: %v: servers %v", a, ids)
		n.done[a.Kind]++
		if err := errors.Join(n.act(ctx, a, ids), n.heal()); err != nil {
			return fmt.Errorf("nemesis: %v: %w", a, err)
		}
		if a.Settle && ctx.Err() == nil {
			if err := n.settle(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("nemesis: after %v: %w", a, err)
			}
		}
	}
	return nil
}

// victims finds the servers that an act hits.
func (n *runner) victims(ctx context.Context, a Act) []int {
	ids := n.e.IDs()
	if a.Role == All {
		return ids
	}
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	leader := n.e.Leader(ctx)
	for leader == 0 && sleep(ctx, 50*time.Millisecond) {
		leader = n.e.Leader(ctx)
	}
	var followers []int
	for _, id := range ids {
		if id != leader {
			followers = append(followers, id)
		}
	}
	if a.Role == Leader && leader != 0 || len(followers) == 0 {
		return []int{max(leader, ids[0])}
	}
	return []int{followers[a.Pick%len(followers)]}
}

// act hurts and holds; the caller heals.
func (n *runner) act(ctx context.Context, a Act, ids []int) error {
	var err error
	switch a.Kind {
	case Kill:
		err = n.e.Kill(ids[0])
	case Pause:
		err = n.e.Pause(ids[0])
	case KillAll:
		err = n.e.KillAll()
	case Rolling:
		return n.roll(ctx, a, ids)
	default:
		err = errors.New("unknown kind")
	}
	sleep(ctx, a.Hold)
	return err
}

// roll restarts one server after the other, beginning with the picked one; the next one follows
// when the one before serves again.
func (n *runner) roll(ctx context.Context, a Act, ids []int) error {
	for i := range ids {
		id := ids[(a.Pick+i)%len(ids)]
		if err := n.e.Terminate(id, n.opt.Patience); err != nil {
			return err
		}
		sleep(ctx, a.Hold/time.Duration(len(ids)))
		if err := n.e.Start(id); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, n.opt.Settle)
		err := n.e.WaitServing(wait, id)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heal lets every server run.
func (n *runner) heal() error {
	var errs []error
	for _, id := range n.e.IDs() {
		errs = append(errs, n.e.Resume(id), n.e.Start(id))
	}
	return errors.Join(errs...)
}

func (n *runner) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.opt.Settle)
	defer cancel()
	return n.e.WaitServing(ctx)
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
