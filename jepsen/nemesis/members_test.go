package nemesis_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
)

// town is a fake ensemble whose members change as they are asked to. Of 5 servers the first three are members.
type town struct {
	*fake
	roles  map[int]bool // of members: observers
	moved  map[int]bool
	idle   map[int]bool
	wiped  map[int]int // how often a server came without data
	asked  []nemesis.Change
	fewest int   // voters that there ever were
	answer error // to changes
	silent bool  // nobody says who the members are
}

func newTown() *town {
	t := &town{fake: newFake(), roles: map[int]bool{1: false, 2: false, 3: false}, moved: map[int]bool{}, idle: map[int]bool{4: true, 5: true}, wiped: map[int]int{}, fewest: 3}
	t.down[4], t.down[5] = true, true
	return t
}

func (w *town) IDs() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []int
	for id := 1; id <= 5; id++ {
		if !w.idle[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *town) Roster(context.Context) (nemesis.Roster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent {
		return nemesis.Roster{}, errFake
	}
	r := nemesis.Roster{Version: int64(len(w.asked))}
	for _, id := range slices.Sorted(maps.Keys(w.roles)) {
		r.List = append(r.List, fmt.Sprint(id))
		if w.moved[id] {
			r.Moved = append(r.Moved, id)
		}
		if w.roles[id] {
			r.Observers = append(r.Observers, id)
		} else {
			r.Voters = append(r.Voters, id)
		}
	}
	return r, nil
}

func (w *town) Change(_ context.Context, c nemesis.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answer != nil {
		w.asked = append(w.asked, c)
		return w.answer
	}
	if c.Guard >= 0 && c.Guard != int64(len(w.asked)) {
		return nemesis.ErrRefused
	}
	w.asked = append(w.asked, c)
	if c.Full {
		clear(w.roles)
	}
	for _, e := range c.Join {
		if w.idle[e.ID] {
			return fmt.Errorf("server %d joins without running", e.ID)
		}
		w.roles[e.ID], w.moved[e.ID] = e.Observer, e.Moved
	}
	for _, id := range c.Leave {
		delete(w.roles, id)
	}
	voters := 0
	for _, observer := range w.roles {
		if !observer {
			voters++
		}
	}
	w.fewest = min(w.fewest, voters)
	return nil
}

func (w *town) Write(context.Context) error { return w.note("write") }

func (w *town) Idle() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(maps.Collect(func(yield func(int, bool) bool) {
		for id, idle := range w.idle {
			if idle && !yield(id, true) {
				return
			}
		}
	})))
}

func (w *town) Enlist(id int, r nemesis.Roster, wiped bool) error {
	w.mu.Lock()
	w.idle[id] = false
	delete(w.down, id)
	if wiped {
		w.wiped[id]++
	}
	w.mu.Unlock()
	return w.note("enlist %d %v", id, r.List)
}

func (w *town) Retire(id int) error {
	w.mu.Lock()
	_, member := w.roles[id]
	w.idle[id], w.down[id] = true, true
	w.mu.Unlock()
	if member {
		return fmt.Errorf("server %d is a member and is retired", id)
	}
	return w.note("retire %d", id)
}

func change(seed uint64, role nemesis.Role, at time.Duration) nemesis.Act {
	a := act(nemesis.Reconfig, role, at)
	a.Seed = seed
	return a
}

// TestRunChangesMembers carries out many changes one after the other: everything that can be changed is, and in the end there are
// as many voters as in the beginning.
func TestRunChangesMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		var plan []nemesis.Act
		for i := range 400 {
			role := nemesis.Follower
			if i%2 == 0 {
				role = nemesis.Leader
			}
			plan = append(plan, change(uint64(i), role, 1))
		}
		events, err := nemesis.Run(t.Context(), w, plan, nemesis.Options{Members: w})
		if err != nil || len(events) != len(plan) {
			t.Fatalf("%d acts: %v", len(events), err)
		}
		seen := map[string]int{}
		for _, c := range w.asked {
			for what, is := range map[string]bool{
				"full": c.Full, "guarded": c.Guard >= 0, "leave": len(c.Leave) > 0,
				"observer": slices.ContainsFunc(c.Join, func(e nemesis.Entry) bool { return e.Observer }),
				"moved":    slices.ContainsFunc(c.Join, func(e nemesis.Entry) bool { return e.Moved }),
			} {
				if is {
					seen[what]++
				}
			}
		}
		for _, line := range w.log {
			seen[strings.Join(strings.Fields(line)[:1], "")]++
		}
		for _, e := range events {
			if strings.Contains(e.Note, "refused") {
				seen["wrong guard"]++
			}
		}
		for _, what := range []string{"full", "guarded", "leave", "observer", "moved", "enlist", "retire", "write", "wrong guard"} {
			if seen[what] < 5 {
				t.Errorf("%d times %s in %d changes: %v", seen[what], what, len(plan), seen)
			}
		}
		if w.fewest != 1 {
			t.Errorf("there were never fewer than %d voters, want 1 now and then", w.fewest)
		}
		if r, _ := w.Roster(t.Context()); len(r.Voters) < 3 {
			t.Errorf("the run leaves the members %+v", r)
		}
		if slices.Contains(w.log, "retire 1") || w.wiped[1] > 0 || w.wiped[4] == 0 || w.wiped[4] == strings.Count(strings.Join(w.log, ","), "enlist 4") {
			t.Errorf("server 1 must keep its data, and others come with and without: %v", w.wiped)
		}
	})
}

// A server loses its data only while the others have a majority without it.
func TestRunRecruitsBeforeDataIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown()
		w.roles = map[int]bool{1: false, 2: false, 3: false}
		l := &lab{fake: w.fake, spoilt: map[int]bool{}}
		var voters int
		wipe := act(nemesis.Wipe, nemesis.Follower, 2)
		observe := func(context.Context) int {
			r, _ := w.Roster(t.Context())
			return len(r.Voters)
		}
		// The first change of these seeds that leaves fewer than three.
		for seed := uint64(0); seed < 200; seed++ {
			plan := []nemesis.Act{change(seed, nemesis.Follower, 1)}
			plan[0].Settle = false
			w = newTown()
			l.fake = w.fake
			_, err := nemesis.Run(t.Context(), w, append(plan, wipe), nemesis.Options{Members: w, Disks: watched{disks{l}, func() { voters = observe(t.Context()) }}})
			if err != nil {
				t.Fatal(err)
			}
			if voters < 3 {
				t.Fatalf("seed %d: data is removed with %d voters", seed, voters)
			}
			if w.fewest < 3 {
				return
			}
		}
		t.Error("no change left fewer than three voters")
	})
}

// watched tells when data is removed.
type watched struct {
	disks
	wipe func()
}

func (w watched) Wipe(id int) error {
	w.wipe()
	return w.disks.Wipe(id)
}

func TestRunRetriesWhatPasses(t *testing.T) {
	for answer, want := range map[error]int{nemesis.ErrNotNow: 20, nemesis.ErrRefused: 1, errFake: 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newTown()
			w.answer = answer
			a := change(3, nemesis.Follower, 1) // a port moves
			events, err := nemesis.Run(t.Context(), w, []nemesis.Act{a}, nemesis.Options{Members: w})
			if err != nil || len(w.asked) < want || want == 1 && len(w.asked) != 1 || !strings.Contains(events[0].Note, answer.Error()) {
				t.Errorf("%v: asked %d times, want %d: %v, %+v", answer, len(w.asked), want, err, events)
			}
		})
	}
}

// A change that had to be refused, an ensemble that does not come back, and one that says nothing are found.
func TestRunReportsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &gullible{newTown()}
		var plan []nemesis.Act
		for i := range 100 {
			plan = append(plan, change(uint64(i), nemesis.Follower, 1))
		}
		if _, err := nemesis.Run(t.Context(), w, plan, nemesis.Options{Members: w}); err == nil || !strings.Contains(err.Error(), "was made of") {
			t.Errorf("a wrong guard that is let through: %v", err)
		}
		small := newTown()
		for i := range plan {
			plan[i].Settle = false
		}
		stubborn := &stubborn{town: small}
		if _, err := nemesis.Run(t.Context(), stubborn, plan, nemesis.Options{Members: stubborn}); err == nil || !strings.Contains(err.Error(), "does not come back to 3 voters") {
			t.Errorf("too few voters: %v", err)
		}
		mute := newTown()
		mute.silent = true
		if _, err := nemesis.Run(t.Context(), mute, plan[:1], nemesis.Options{Members: mute}); err == nil {
			t.Error("members that nobody knows are no error")
		}
	})
}

// gullible makes every change.
type gullible struct{ *town }

func (g *gullible) Change(ctx context.Context, c nemesis.Change) error {
	c.Guard = -1
	return g.town.Change(ctx, c)
}

// stubborn refuses everything once there are fewer than three voters.
type stubborn struct{ *town }

func (s *stubborn) Change(ctx context.Context, c nemesis.Change) error {
	if s.fewest < 3 {
		return nemesis.ErrNotNow
	}
	return s.town.Change(ctx, c)
}
