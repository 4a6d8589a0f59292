package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Members is the list of the ensemble's servers, which can be changed while they run. Its methods wait
// no longer than their context, and may be called beside those of Ensemble.
type Members interface {
	// Roster returns who is a member now, as the ensemble says behind a sync.
	Roster(ctx context.Context) (Roster, error)
	// Change asks for a change. Nil says that it is in force, ErrRefused and ErrNotNow that it never will
	// be; with any other error it may be, or come to be.
	Change(ctx context.Context, c Change) error
	// Write returns nil when one more write was acknowledged.
	Write(ctx context.Context) error
	// Idle returns the servers that are neither members nor running.
	Idle() []int
	// Enlist starts an idle server as one that is to join the members of the roster: with nothing, or
	// with the files and the data that it had when it was retired.
	Enlist(id int, r Roster, wiped bool) error
	// Retire ends a server that is no member any more; it is idle from then on.
	Retire(id int) error
}

var (
	// ErrRefused is returned for a change that the ensemble has refused.
	ErrRefused = errors.New("refused")
	// ErrNotNow is the same for reasons that pass.
	ErrNotNow = errors.New("refused for now")
)

// Roster is a list of servers.
type Roster struct {
	Version           int64 // of the configuration
	Voters, Observers []int
	Moved             []int    // members whose clients connect at the second of their ports
	List              []string // the entries as they stand in the configuration
}

// Entry is one server of a change.
type Entry struct {
	ID              int
	Observer, Moved bool
}

// Change is a change of the roster.
type Change struct {
	Full  bool // Join is the whole new list
	Join  []Entry
	Leave []int
	Guard int64 // the version that the roster must have; -1: any
}

// String says for people what a change asks for.
func (c Change) String() string {
	s := "join"
	if c.Full {
		s = "be"
	}
	for _, e := range c.Join {
		s += fmt.Sprintf(" %d", e.ID)
		if e.Observer {
			s += "o"
		}
		if e.Moved {
			s += "m"
		}
	}
	if len(c.Leave) > 0 {
		s += fmt.Sprintf(", leave %v", c.Leave)
	}
	if c.Guard >= 0 {
		s += fmt.Sprintf(", at %#x", c.Guard)
	}
	return s
}

var errNoMembers = errors.New("there are no members that can be changed")

const (
	// changeLimit bounds a change beyond the hold of its act, and changeEvery is the pause between two
	// tries of what is refused.
	changeLimit = 4 * time.Second
	changeEvery = 200 * time.Millisecond
	// joinWait bounds the wait for a server that is to join to catch up. It may join all the same.
	joinWait = 3 * time.Second
	// fewest is how many voters an act leaves, but for one in four, which may leave a single one.
	fewest = 2
)

// draft is a change before it is asked for.
type draft struct {
	Change
	enlist int  // an idle server that is started first; 0: none
	wiped  bool // with nothing
	gone   int  // who is no member any more when it is done; 0: nobody
	stop   bool // gone is retired
	wrong  bool // the guard is wrong: it must be refused
}

// reconfigure carries out one change, or tries to. It returns what became of it. An error is a change
// that ought to have been refused, or a server that could not be started or ended.
func (n *runner) reconfigure(ctx context.Context, a Act, target int) (string, error) {
	roster, err := n.roster(ctx)
	if err != nil { // what is asked for in the middle of other trouble is the more interesting
		n.mu.Lock()
		roster = n.known
		n.mu.Unlock()
	}
	d := n.draft(rand.New(rand.NewPCG(a.Seed, 2)), a, target, roster)
	note := d.String()
	if d.enlist != 0 {
		note += fmt.Sprintf(" (starting %d, wiped %v)", d.enlist, d.wiped)
		if err := n.enlist(ctx, d.enlist, roster, d.wiped); err != nil {
			return note, err
		}
	}
	if w := a.Within; w != nil { // about when the change is under way
		sleep(ctx, w.At-time.Duration(a.Seed%100)*time.Millisecond)
	}
	err = n.ask(ctx, d.Change)
	switch {
	case err == nil && d.wrong:
		return note, fmt.Errorf("the change %v was made of configuration %#x", d.Change, roster.Version)
	case errors.Is(err, ErrRefused), errors.Is(err, ErrNotNow):
		return fmt.Sprintf("%s: %v", note, err), nil
	case err != nil:
		note += fmt.Sprintf(": %v", err)
	default:
		note += ": done"
	}
	stopped, err := n.dismiss(ctx, d)
	return note + stopped, err
}

// ask asks for a change until it is not refused any more, or the time is up.
func (n *runner) ask(ctx context.Context, c Change) error {
	for {
		err := n.opt.Members.Change(ctx, c)
		if !errors.Is(err, ErrNotNow) || !sleep(ctx, changeEvery) {
			return err
		}
	}
}

// dismiss ends a server that has left, once that is known, and one more write was acknowledged: until
// then the others may need it.
func (n *runner) dismiss(ctx context.Context, d draft) (string, error) {
	if d.gone == 0 || !d.stop {
		return "", nil
	}
	roster, err := n.roster(ctx)
	if err != nil || roster.has(d.gone) || n.opt.Members.Write(ctx) != nil {
		return fmt.Sprintf("; %d goes on", d.gone), nil
	}
	return fmt.Sprintf("; %d is stopped", d.gone), n.opt.Members.Retire(d.gone)
}

func (r Roster) has(id int) bool {
	return slices.Contains(r.Voters, id) || slices.Contains(r.Observers, id)
}

// roster reads the roster and notes it.
func (n *runner) roster(ctx context.Context) (Roster, error) {
	r, err := n.opt.Members.Roster(ctx)
	if err == nil {
		n.mu.Lock()
		n.known = r
		n.mu.Unlock()
	}
	return r, err
}

// counted returns the servers among which a majority counts, as far as that is known: the voters, of
// those that run.
func (n *runner) counted() []int {
	ids := n.e.IDs()
	n.mu.Lock()
	defer n.mu.Unlock()
	voters := slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return !slices.Contains(n.known.Voters, id) })
	if len(voters) < 3 {
		return ids
	}
	return voters
}

// enlist starts an idle server and gives it time to catch up.
func (n *runner) enlist(ctx context.Context, id int, r Roster, wiped bool) error {
	if err := n.opt.Members.Enlist(id, r, wiped); err != nil {
		return err
	}
	n.mu.Lock()
	n.ran[id] = true
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, joinWait)
	defer cancel()
	_ = n.e.WaitServing(ctx, id) // it joins all the same
	return nil
}

// draft draws a change of the roster. target is whom the act would hit.
func (n *runner) draft(r *rand.Rand, a Act, target int, is Roster) draft {
	if !is.has(target) {
		target = is.Voters[a.Pick%len(is.Voters)]
	}
	self := Entry{target, slices.Contains(is.Observers, target), slices.Contains(is.Moved, target)}
	least := fewest
	if r.IntN(4) == 0 {
		least--
	}
	spare := len(is.Voters) > least
	outside, idle := n.outside(is)
	d := draft{}
	switch what := r.IntN(100); {
	case what < 40 && len(outside) > 0:
		d = n.join(r, outside, idle)
	case what < 65 && (spare || self.Observer):
		d.Leave, d.gone = []int{target}, target
		d.stop = target != 1 && r.IntN(2) == 0 // the first one keeps its log, which a run can be judged by
	case what < 80 && (spare || self.Observer):
		self.Observer = !self.Observer
		d.Join = []Entry{self}
	case what < 88 && (len(is.Moved) == 0 || self.Moved):
		self.Moved = !self.Moved
		d.Join = []Entry{self}
	default:
		d.Full, d.Join = true, drawn(r, is, outside)
	}
	if !d.Full && r.IntN(4) == 0 {
		d.Change = d.whole(is)
	}
	d.Guard = -1
	if r.IntN(2) == 0 {
		d.Guard = is.Version
	}
	if r.IntN(16) == 0 {
		d.Guard, d.wrong, d.gone = is.Version-1, true, 0
	}
	return d
}

// outside returns who could join: the servers that run without being members, and the idle ones behind
// them.
func (n *runner) outside(is Roster) (all, idle []int) {
	for _, id := range n.e.IDs() {
		if !is.has(id) {
			all = append(all, id)
		}
	}
	idle = n.opt.Members.Idle()
	return append(all, idle...), idle
}

// join draws who joins, and as what.
func (n *runner) join(r *rand.Rand, outside, idle []int) draft {
	id := outside[r.IntN(len(outside))]
	d := draft{Change: Change{Join: []Entry{{ID: id, Observer: r.IntN(4) == 0}}}}
	if slices.Contains(idle, id) {
		n.mu.Lock()
		d.enlist, d.wiped = id, r.IntN(2) == 0 || !n.ran[id]
		n.mu.Unlock()
	}
	return d
}

// drawn draws a whole list of those who run, with two voters at least.
func drawn(r *rand.Rand, is Roster, outside []int) []Entry {
	ids := slices.Concat(is.Voters, is.Observers)
	if len(outside) > 0 && r.IntN(2) == 0 {
		ids = append(ids, outside[0])
	}
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	var out []Entry
	for i, id := range ids {
		if e := (Entry{ID: id, Moved: slices.Contains(is.Moved, id)}); i < fewest || r.IntN(2) == 0 {
			out = append(out, e)
		} else if e.Observer = true; r.IntN(2) == 0 {
			out = append(out, e)
		}
	}
	return out
}

// whole returns the same change as a list of everybody.
func (c Change) whole(is Roster) Change {
	out := Change{Full: true}
	joins := func(id int) bool { return slices.ContainsFunc(c.Join, func(e Entry) bool { return e.ID == id }) }
	for _, id := range slices.Concat(is.Voters, is.Observers) {
		if !joins(id) && !slices.Contains(c.Leave, id) {
			out.Join = append(out.Join, Entry{id, slices.Contains(is.Observers, id), slices.Contains(is.Moved, id)})
		}
	}
	out.Join = append(out.Join, c.Join...)
	return out
}

// recruit brings the ensemble back to as many voters as it began with: the loss of one of them is that of
// a minority.
func (n *runner) recruit(ctx context.Context) error {
	if n.base == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.opt.Settle)
	defer cancel()
	for {
		r, err := n.roster(ctx)
		if err == nil && len(r.Voters) >= n.base {
			return nil
		}
		if err == nil {
			err = n.add(ctx, r)
		}
		if !sleep(ctx, changeEvery) {
			return fmt.Errorf("the ensemble does not come back to %d voters from %v: %w", n.base, r.Voters, err)
		}
	}
}

// add makes one server more a voter. An observer counts for nothing while it is one, so one that is
// refused is let go first.
func (n *runner) add(ctx context.Context, r Roster) error {
	outside, idle := n.outside(r)
	if len(outside) > 0 {
		id := outside[0]
		if slices.Contains(idle, id) {
			if err := n.enlist(ctx, id, r, true); err != nil {
				return err
			}
		}
		return n.opt.Members.Change(ctx, Change{Join: []Entry{{ID: id}}, Guard: r.Version})
	}
	if len(r.Observers) == 0 {
		return errors.New("there is nobody who could join")
	}
	id := r.Observers[0]
	err := n.opt.Members.Change(ctx, Change{Join: []Entry{{ID: id, Moved: slices.Contains(r.Moved, id)}}, Guard: r.Version})
	if errors.Is(err, ErrNotNow) {
		err = n.opt.Members.Change(ctx, Change{Leave: []int{id}, Guard: r.Version})
	}
	return err
}
