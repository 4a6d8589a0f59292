package nemesis_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
)

func TestPlanFollowsTheSeed(t *testing.T) {
	cfg := nemesis.Config{Seed: 7, Kinds: nemesis.Kinds(), Duration: 6 * time.Hour, Gap: 4 * time.Second, Hold: 3 * time.Second}
	a, b := nemesis.Plan(cfg), nemesis.Plan(cfg)
	if !reflect.DeepEqual(a, b) {
		t.Fatal("one seed, two plans")
	}
	cfg.Seed++
	if reflect.DeepEqual(a, nemesis.Plan(cfg)) {
		t.Fatal("two seeds, one plan")
	}
	seen := map[string]int{}
	for i, act := range a {
		seen[fmt.Sprint(act.Kind, act.Role)]++
		if w := act.Within; w != nil {
			seen["within"]++
			if w.At+w.Hold > act.Hold || w.Hold <= 0 {
				t.Fatalf("act %d does not hold what is within it: %v", i, act)
			}
		}
		seen[fmt.Sprint("settle", act.Settle)]++
		if act.At+act.Hold > cfg.Duration || act.Hold <= 0 || act.Hold > cfg.Hold || i > 0 && act.At <= a[i-1].At {
			t.Fatalf("act %d is out of bounds: %+v", i, act)
		}
	}
	want := []string{"settletrue", "settlefalse", "within"}
	for _, k := range nemesis.Kinds() {
		switch k {
		case nemesis.KillAll, nemesis.Rolling, nemesis.Halves, nemesis.Ring, nemesis.Bridge, nemesis.Delay, nemesis.Loss:
			want = append(want, string(k)+"all")
		default:
			want = append(want, string(k)+"leader", string(k)+"follower")
		}
	}
	for _, want := range want {
		if seen[want] < 20 {
			t.Errorf("%d times %s in six hours: %v", seen[want], want, seen)
		}
	}
	if n := len(a); n < 4500 || n > 6500 {
		t.Errorf("%d acts in six hours with a gap of 4 s", n)
	}
}

func TestPlanOfNothing(t *testing.T) {
	if p := nemesis.Plan(nemesis.Config{Duration: time.Hour}); len(p) != 0 {
		t.Errorf("got %v", p)
	}
}

func TestParseKinds(t *testing.T) {
	for list, want := range map[string][]nemesis.Kind{
		"none": nil, "": nil, "kill, pause": {nemesis.Kill, nemesis.Pause}, "killall,rolling": {nemesis.KillAll, nemesis.Rolling},
		"process": nemesis.Processes(), "partition,flap,kill": append(nemesis.Partitions(), nemesis.Kill), "all": nemesis.Kinds(),
	} {
		if got, err := nemesis.ParseKinds(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", list, got, err, want)
		}
	}
	if _, err := nemesis.ParseKinds("kill,flood"); err == nil {
		t.Error("an unknown kind was accepted")
	}
}

// fake is an ensemble in memory. Server 2 leads as long as it runs, then the lowest that does.
type fake struct {
	mu           sync.Mutex // flapping links have a goroutine of their own
	down, paused map[int]bool
	excused      map[int]bool
	log          []string
	fail         string // the call that fails
}

func newFake() *fake {
	return &fake{down: map[int]bool{}, paused: map[int]bool{}, excused: map[int]bool{}}
}

var errFake = errors.New("as told")

func (f *fake) note(format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, s)
	if s == f.fail {
		return errFake
	}
	return nil
}

func (f *fake) IDs() []int { return []int{1, 2, 3} }

// change changes what the methods of several goroutines look at.
func (f *fake) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
}

func (f *fake) isDown(id int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down[id]
}

func (f *fake) Leader(context.Context) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range []int{2, 1, 3} {
		if !f.down[id] && !f.paused[id] {
			return id
		}
	}
	return 0
}

func (f *fake) Start(id int) error {
	if !f.isDown(id) {
		return nil
	}
	f.change(func() {
		delete(f.down, id)
		delete(f.excused, id)
	})
	return f.note("start %d", id)
}

func (f *fake) Kill(id int) error {
	f.change(func() {
		f.down[id] = true
		delete(f.paused, id)
	})
	return f.note("kill %d", id)
}

func (f *fake) KillAll() error {
	for _, id := range f.IDs() {
		f.change(func() { f.down[id] = true })
	}
	return f.note("kill all")
}

func (f *fake) Terminate(id int, _ time.Duration) error {
	f.change(func() { f.down[id] = true })
	return f.note("terminate %d", id)
}

func (f *fake) Pause(id int) error {
	f.paused[id] = true
	return f.note("pause %d", id)
}

func (f *fake) Resume(id int) error {
	if !f.paused[id] {
		return nil
	}
	delete(f.paused, id)
	return f.note("resume %d", id)
}

func (f *fake) Running(id int) bool { return !f.isDown(id) }

func (f *fake) Excuse(id int) { f.excused[id] = true }

func (f *fake) WaitServing(ctx context.Context, _ ...int) error {
	if f.fail == "serve" {
		<-ctx.Done()
		return errFake
	}
	return ctx.Err()
}

func act(kind nemesis.Kind, role nemesis.Role, at time.Duration) nemesis.Act {
	return nemesis.Act{At: at, Kind: kind, Role: role, Pick: 1, Hold: time.Second, Settle: true}
}

func TestRunHurtsWhomItNames(t *testing.T) {
	for _, c := range []struct {
		act  nemesis.Act
		want []string
	}{
		{act(nemesis.Kill, nemesis.Leader, 1), []string{"kill 2", "start 2"}},
		{act(nemesis.Kill, nemesis.Follower, 1), []string{"kill 3", "start 3"}},
		{act(nemesis.Pause, nemesis.Leader, 1), []string{"pause 2", "resume 2"}},
		{act(nemesis.Pause, nemesis.Follower, 1), []string{"pause 3", "resume 3"}},
		{act(nemesis.KillAll, nemesis.All, 1), []string{"kill all", "start 1", "start 2", "start 3"}},
		{act(nemesis.Rolling, nemesis.All, 1), []string{"terminate 2", "start 2", "terminate 3", "start 3", "terminate 1", "start 1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			done, err := nemesis.Run(t.Context(), f, []nemesis.Act{c.act}, nemesis.Options{})
			if err != nil || !slices.Equal(f.log, c.want) || nemesis.Count(done)[c.act.Kind] != 1 {
				t.Errorf("%v: got %v, %v, %v; want %v", c.act, f.log, done, err, c.want)
			}
		})
	}
}

func TestRunKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		plan := []nemesis.Act{act(nemesis.Kill, nemesis.Leader, 10*time.Second), act(nemesis.Pause, nemesis.Leader, 20*time.Second)}
		if _, err := nemesis.Run(t.Context(), newFake(), plan, nemesis.Options{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 21*time.Second {
			t.Errorf("took %v, want 21 s: the second act at 20 s, held for one", took)
		}
	})
}

// Whatever ends a run, nobody stays down or stopped.
func TestRunHeals(t *testing.T) {
	plans := [][]nemesis.Act{
		{act(nemesis.Kill, nemesis.Leader, 1)},
		{act(nemesis.Pause, nemesis.Leader, 1)},
		{act(nemesis.KillAll, nemesis.All, 1)},
		{act(nemesis.Rolling, nemesis.All, 1)},
	}
	for _, plan := range plans {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // in the middle of the hold
			defer cancel()
			f := newFake()
			if _, err := nemesis.Run(ctx, f, plan, nemesis.Options{}); err != nil {
				t.Errorf("%v: the end of the time is no error: %v", plan, err)
			}
			if len(f.down)+len(f.paused) > 0 {
				t.Errorf("%v: left down %v, paused %v", plan, f.down, f.paused)
			}
		})
	}
	for _, fail := range []string{"kill 2", "start 2"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.fail = fail
			if _, err := nemesis.Run(t.Context(), f, append(plans[0], act(nemesis.Pause, nemesis.Leader, 2)), nemesis.Options{}); !errors.Is(err, errFake) {
				t.Errorf("%s: got %v, want the act's error", fail, err)
			}
			if len(f.down)+len(f.paused) > 0 || slices.Contains(f.log, "pause 2") {
				t.Errorf("%s: left down %v, paused %v, did %v", fail, f.down, f.paused, f.log)
			}
		})
	}
}

func TestRunReportsWhoDoesNotRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail = "serve"
		_, err := nemesis.Run(t.Context(), f, []nemesis.Act{act(nemesis.Kill, nemesis.Leader, 1)}, nemesis.Options{Settle: time.Minute})
		if !errors.Is(err, errFake) {
			t.Errorf("got %v, want the ensemble's failure to serve again", err)
		}
	})
}
