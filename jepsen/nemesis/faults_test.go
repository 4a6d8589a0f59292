package nemesis_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/network"
)

// lab adds a network, disks and clocks to the fake ensemble.
type lab struct {
	*fake
	links map[network.Link]network.Condition

	ends   bool // a server whose disk is hurt, or that starts on damaged data, ends by itself
	failed int
	mute   bool // it does not say why
	spoilt map[int]bool
}

func newLab() *lab {
	return &lab{fake: newFake(), links: map[network.Link]network.Condition{}, spoilt: map[int]bool{}}
}

func (l *lab) options() nemesis.Options {
	return nemesis.Options{Network: l, Disks: disks{l}, Clocks: clocks{l}}
}

func (l *lab) Apply(links []network.Link, c network.Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, "links")
	for _, link := range links {
		l.links[link] = c
	}
}

func (l *lab) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.links)
}

func (l *lab) Start(id int) error {
	if !l.down[id] {
		return nil
	}
	err := l.fake.Start(id)
	if l.spoilt[id] && l.ends {
		l.down[id] = true
	}
	return err
}

type disks struct{ l *lab }

// hurt ends a server as its disk demands.
func (d disks) hurt(id int, what string) error {
	if d.l.ends {
		d.l.down[id] = true
	}
	return d.l.note("%s %d", what, id)
}

func (d disks) Slow(id int, _ time.Duration) { _ = d.l.note("slow %d", id) }
func (d disks) Fail(id int)                  { _ = d.hurt(id, "fail") }
func (d disks) Failed(int) int               { return d.l.failed }
func (d disks) Fill(id int) error            { return d.hurt(id, "fill") }

func (d disks) Heal(int) error { return nil }

func (d disks) Corrupt(id int, _ *rand.Rand) (string, error) {
	d.l.spoilt[id] = true
	return "somewhere", d.l.note("corrupt %d", id)
}

func (d disks) Wipe(id int) error {
	delete(d.l.spoilt, id)
	return d.l.note("wipe %d", id)
}
func (d disks) Save(id int) error    { return d.l.note("save %d", id) }
func (d disks) Restore(id int) error { return d.l.note("restore %d", id) }

func (d disks) Remedy(id int) error {
	if d.l.mute {
		return errFake
	}
	return d.l.note("remedy %d", id)
}

type clocks struct{ l *lab }

func (c clocks) Step(id int, seconds int64) error {
	if seconds != 0 {
		return c.l.note("clock %d", id)
	}
	return nil
}

func TestRunHurtsDisksAndClocks(t *testing.T) {
	for _, c := range []struct {
		kind   nemesis.Kind
		ends   bool
		failed int
		want   string
	}{
		{nemesis.SlowDisk, false, 0, "slow 2"},
		{nemesis.Clock, false, 0, "clock 2"},
		{nemesis.Wipe, false, 0, "kill 2, wipe 2, start 2"},
		{nemesis.Backup, false, 0, "kill 2, save 2, start 2, kill 2, restore 2, start 2"},
		{nemesis.BadDisk, true, 1, "fail 2, remedy 2, start 2"},
		{nemesis.BadDisk, false, 0, "fail 2, kill 2, start 2"}, // it did not sync
		{nemesis.FullDisk, true, 0, "fill 2, remedy 2, start 2"},
		{nemesis.FullDisk, false, 0, "fill 2, kill 2, start 2, kill 2, start 2"},
		{nemesis.Corrupt, true, 0, "kill 2, corrupt 2, start 2, remedy 2, kill 2, wipe 2, start 2"},
		{nemesis.Corrupt, false, 0, "kill 2, corrupt 2, start 2, kill 2, wipe 2, start 2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab()
			l.ends, l.failed = c.ends, c.failed
			events, err := nemesis.Run(t.Context(), l, []nemesis.Act{act(c.kind, nemesis.Leader, 1)}, l.options())
			if got := strings.Join(l.log, ", "); err != nil || got != c.want || len(events) != 1 {
				t.Errorf("%s: got %s, %v; want %s", c.kind, got, err, c.want)
			}
			if len(l.down) > 0 {
				t.Errorf("%s: left down %v", c.kind, l.down)
			}
		})
	}
}

// What a server must do on a broken disk, and does not, is found.
func TestRunReportsWhoDoesNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []nemesis.Kind{nemesis.BadDisk, nemesis.FullDisk, nemesis.Corrupt} {
			l := newLab()
			l.ends, l.mute = true, true
			if _, err := nemesis.Run(t.Context(), l, []nemesis.Act{act(kind, nemesis.Leader, 1)}, l.options()); !errors.Is(err, errFake) {
				t.Errorf("%s: got %v, want the missing remedy", kind, err)
			}
		}
		l := newLab()
		l.failed = 3
		if _, err := nemesis.Run(t.Context(), l, []nemesis.Act{act(nemesis.BadDisk, nemesis.Leader, 1)}, l.options()); err == nil || !strings.Contains(err.Error(), "goes on after 3 failed syncs") {
			t.Errorf("got %v, want a server that goes on", err)
		}
	})
}

func TestRunHurtsLinks(t *testing.T) {
	for _, c := range []struct {
		kind        nemesis.Kind
		least, most int // links that are hurt
	}{
		{nemesis.Halves, 4, 4},
		{nemesis.Ring, 2, 2},
		{nemesis.Bridge, 2, 2},
		{nemesis.Isolate, 4, 4},
		{nemesis.OneWay, 2, 2},
		{nemesis.Flap, 4, 4},
		{nemesis.Delay, 6, 12},
		{nemesis.Loss, 6, 12},
		{nemesis.Slow, 4, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab()
			role := nemesis.Leader
			if !slices.Contains([]nemesis.Kind{nemesis.Isolate, nemesis.OneWay, nemesis.Flap, nemesis.Slow}, c.kind) {
				role = nemesis.All
			}
			a := act(c.kind, role, 0)
			hurt := 0
			time.AfterFunc(a.Hold/10, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				for _, cond := range l.links {
					if cond != (network.Condition{}) {
						hurt++
					}
				}
			})
			events, err := nemesis.Run(t.Context(), l, []nemesis.Act{a}, l.options())
			if err != nil || len(l.links) > 0 || c.kind != nemesis.Flap && (hurt < c.least || hurt > c.most) {
				t.Errorf("%s: %d links were hurt, want %d to %d; left %v, %v", c.kind, hurt, c.least, c.most, l.links, err)
			}
			if c.kind == nemesis.Flap && len(l.log) < 2 {
				t.Errorf("flapping links were set %d times", len(l.log))
			}
			if len(events) != 1 || events[0].Note == "" || events[0].Healed-events[0].Begin != a.Hold {
				t.Errorf("%s: events %+v", c.kind, events)
			}
		})
	}
}

func TestRunWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab()
		a := act(nemesis.Halves, nemesis.All, 0)
		a.Hold = 10 * time.Second
		w := act(nemesis.Kill, nemesis.Leader, 2*time.Second)
		a.Within = &w
		start, down := time.Now(), []string{}
		for _, at := range []time.Duration{1, 2500, 4000} {
			time.AfterFunc(at*time.Millisecond, func() {
				synctest.Wait() // everybody else rests
				l.mu.Lock()
				defer l.mu.Unlock()
				down = append(down, fmt.Sprint(len(l.down), len(l.links) > 0))
			})
		}
		events, err := nemesis.Run(t.Context(), l, []nemesis.Act{a}, l.options())
		if err != nil || !slices.Equal(down, []string{"0 true", "1 true", "0 true"}) || time.Since(start) != a.Hold {
			t.Errorf("%v: servers down and links cut were %v in %v", err, down, time.Since(start))
		}
		if n := nemesis.Count(events); n[nemesis.Halves] != 1 || n[nemesis.Kill] != 1 {
			t.Errorf("counted %v", n)
		}
	})
}

// A plan for means that are not there fails; it does not pass.
func TestRunNeedsItsMeans(t *testing.T) {
	for _, kind := range []nemesis.Kind{nemesis.Isolate, nemesis.Wipe, nemesis.Clock} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := nemesis.Run(ctx, f, []nemesis.Act{act(kind, nemesis.Leader, 1)}, nemesis.Options{}); err == nil {
				t.Errorf("%s went well without its means", kind)
			}
		})
	}
}
