package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	// Running reports whether a server has a process, Excuse makes the end of its present one no
	// failure.
	Running(id int) bool
	Excuse(id int)
}

// Options are the settings of Run.
type Options struct {
	// Settle bounds the wait for all servers to serve again after an act. Longer waits are
	// errors: the ensemble did not recover from what it must recover from. Default 30 s.
	Settle time.Duration
	// Patience is how long a server may take to end after SIGTERM, or on a broken disk. Default 10 s.
	Patience time.Duration
	// Logf is told each act when it begins. It may be nil.
	Logf func(format string, args ...any)
	// Now is the clock of events. Nil: the time since the start of Run.
	Now func() time.Duration
	// Network, Disks, Clocks and Members are needed for plans with acts on them.
	Network Network
	Disks   Disks
	Clocks  Clocks
	Members Members
}

// Event is an act that was carried out.
type Event struct {
	Act     Act
	Servers []int         // the victims
	Note    string        // what else is known of it; may be empty
	Begin   time.Duration // when it began to hurt
	Healed  time.Duration // when what it did was undone
	Whole   time.Duration // when all served again; 0 when that was not waited for
}

// Count returns how many acts of each kind there were, those within others too.
func Count(events []Event) map[Kind]int {
	n := map[Kind]int{}
	for _, e := range events {
		n[e.Act.Kind]++
	}
	return n
}

// leaderWait bounds the search for a leader; without one the first server is hit.
const leaderWait = 3 * time.Second

// Run carries out the plan and heals. It returns the acts that began, and the first error: an act
// that failed or an ensemble that did not recover. It ends early, and without an error, when ctx
// ends.
func Run(ctx context.Context, e Ensemble, plan []Act, opt Options) ([]Event, error) {
	if opt.Settle <= 0 {
		opt.Settle = 30 * time.Second
	}
	if opt.Patience <= 0 {
		opt.Patience = 10 * time.Second
	}
	if opt.Logf == nil {
		opt.Logf = func(string, ...any) {}
	}
	if opt.Now == nil {
		start := time.Now()
		opt.Now = func() time.Duration { return time.Since(start) }
	}
	n := &runner{e: e, opt: opt, ran: map[int]bool{}}
	err := n.begin(ctx)
	if err == nil {
		err = n.all(ctx, plan)
	}
	// Healing must not be stopped by what stopped the plan.
	healing := context.WithoutCancel(ctx)
	return n.done, errors.Join(err, n.heal(), n.recruit(healing), n.settle(healing))
}

type runner struct {
	e    Ensemble
	opt  Options
	done []Event
	base int // how many voters there were in the beginning; 0 when nobody changes the members

	mu    sync.Mutex   // of what follows: changes of members have a goroutine of their own
	known Roster       // as it was last read
	ran   map[int]bool // servers that have run
}

// begin looks who the members are, if they can be changed.
func (n *runner) begin(ctx context.Context) error {
	if n.opt.Members == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.opt.Settle)
	defer cancel()
	r, err := n.roster(ctx)
	if err != nil {
		return fmt.Errorf("nemesis: %w", err)
	}
	n.base = len(r.Voters)
	for _, id := range n.e.IDs() {
		n.ran[id] = true
	}
	return nil
}

func (n *runner) all(ctx context.Context, plan []Act) error {
	start := time.Now()
	for _, a := range plan {
		if !sleep(ctx, a.At-time.Since(start)) {
			return nil
		}
		if a.Kind.Destructive() {
			if err := cmp.Or(n.recruit(ctx), n.settle(ctx)); ctx.Err() != nil {
				return nil
			} else if err != nil {
				return fmt.Errorf("nemesis: before %v: %w", a, err)
			}
		}
		first := len(n.done)
		err := errors.Join(n.one(ctx, a), n.heal())
		healed := n.opt.Now()
		if err == nil && a.Settle && ctx.Err() == nil {
			if err = n.settle(ctx); err != nil && ctx.Err() != nil {
				err = nil
			}
			n.done[first].Whole = n.opt.Now()
		}
		for i := range n.done[first:] {
			n.done[first+i].Healed = healed
		}
		if err != nil {
			return fmt.Errorf("nemesis: %v: %w", a, err)
		}
	}
	return nil
}

// one carries out one act, and what is within it, and holds. The caller heals.
func (n *runner) one(ctx context.Context, a Act) error {
	ids := n.victims(ctx, a)
	n.opt.Logf("nemesis: %v: servers %v", a, ids)
	n.done = append(n.done, Event{Act: a, Servers: ids, Begin: n.opt.Now()})
	place := len(n.done) - 1
	note, err := n.act(ctx, a, ids)
	n.note(place, note)
	if err != nil || !a.Kind.lasting() {
		return err
	}
	if a.Kind != Reconfig {
		return n.hold(ctx, a, ids)
	}
	var changed sync.WaitGroup
	var refused error
	changed.Go(func() {
		limit, cancel := context.WithTimeout(ctx, a.Hold+changeLimit)
		defer cancel()
		note, refused = n.reconfigure(limit, a, ids[0])
	})
	err = n.hold(ctx, a, ids)
	changed.Wait()
	n.note(place, note)
	return errors.Join(err, refused)
}

// note adds to an event what is known of it.
func (n *runner) note(place int, note string) {
	if n.done[place].Note = note; note != "" {
		n.opt.Logf("nemesis: %s", note)
	}
}

// hold waits until a lasting act is to be healed.
func (n *runner) hold(ctx context.Context, a Act, ids []int) error {
	end, cancel := context.WithTimeout(ctx, a.Hold)
	var flap sync.WaitGroup
	defer flap.Wait()
	defer cancel()
	if a.Kind == Flap {
		flap.Go(func() { n.flap(end, a, ids[0]) })
	}
	if w := a.Within; w != nil && sleep(end, w.At) {
		if err := errors.Join(n.one(end, *w), n.e.Resume(n.last()), n.e.Start(n.last())); err != nil {
			return err
		}
	}
	<-end.Done()
	return nil
}

// last returns the victim of the act that began last.
func (n *runner) last() int { return n.done[len(n.done)-1].Servers[0] }

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
	if a.Kind.Destructive() && len(ids) > 1 {
		ids = ids[1:] // the first one keeps its log, which a run can be judged by
	}
	if !slices.Contains(ids, leader) {
		leader = 0
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

// act hurts. Acts that are not lasting hold as well; the caller heals. It may return a note.
func (n *runner) act(ctx context.Context, a Act, ids []int) (string, error) {
	switch {
	case a.Kind.Network():
		return n.wire(a, ids)
	case a.Kind.Disk():
		return n.spoil(ctx, a, ids[0])
	}
	var err error
	switch a.Kind {
	case Kill:
		err = n.e.Kill(ids[0])
	case Pause:
		err = n.e.Pause(ids[0])
	case KillAll:
		err = n.e.KillAll()
	case Rolling:
		return "", n.roll(ctx, a, ids)
	case Clock:
		return n.turn(a, ids[0])
	case Reconfig:
		if n.opt.Members == nil {
			return "", errNoMembers
		}
		return "", nil // the change goes on while the act holds
	default:
		err = errors.New("unknown kind")
	}
	sleep(ctx, a.Hold)
	return "", err
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

// heal undoes what was done: links, disks and clocks are good, every server runs.
func (n *runner) heal() error {
	if n.opt.Network != nil {
		n.opt.Network.Heal()
	}
	var errs []error
	for _, id := range n.e.IDs() {
		if n.opt.Disks != nil {
			errs = append(errs, n.opt.Disks.Heal(id))
		}
		errs = append(errs, n.e.Resume(id), n.e.Start(id))
		if n.opt.Clocks != nil {
			errs = append(errs, n.opt.Clocks.Step(id, 0))
		}
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
