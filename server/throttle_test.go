package server

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
)

// The bucket of connections, step by step: each step says when it happens (ms), what a connection
// needs, what the dice show, and whether it may stay.
func TestBucket(t *testing.T) {
	type step struct {
		at     int64
		need   int64
		chance float64
		want   bool
	}
	base := conf.Throttle{
		ConnectionTokens: 2, FillTime: 10 * time.Millisecond, FillCount: 1, FreezeTime: -1,
		GlobalWeight: 3, RenewWeight: 2, LocalWeight: 1,
	}
	with := func(change func(*conf.Throttle)) conf.Throttle {
		c := base
		change(&c)
		return c
	}
	for _, c := range []struct {
		name  string
		cfg   conf.Throttle
		steps []step
	}{
		{"fills up to its capacity", base, []step{
			{0, 1, 0, true},
			{0, 1, 0, true},
			{5, 1, 0, false},
			{10, 1, 0, false},
			{11, 1, 0, true},
			{12, 1, 0, false},
			{1000, 1, 0, true},
			{1000, 1, 0, true},
			{1000, 1, 0, false},
		}},
		{"loses no part of a fill", base, []step{
			{0, 2, 0, true}, {19, 1, 0, true}, {19, 1, 0, false}, {21, 1, 0, true},
		}},
		{"survives a very long time", base, []step{{0, 2, 0, true}, {math.MaxInt64 / int64(2*time.Millisecond), 2, 0, true}}},
		{"weights multiply it", with(func(c *conf.Throttle) { c.Weighted = true }), []step{
			{0, 3, 0, true}, {0, 2, 0, true}, {0, 2, 0, false}, {0, 1, 0, true}, {0, 1, 0, false}, {11, 3, 0, true},
		}},
		{"drops while it is empty", with(func(c *conf.Throttle) {
			c.ConnectionTokens, c.FreezeTime, c.DropIncrease, c.DropDecrease = 1, 5*time.Millisecond, 0.5, 0.25
		}), []step{
			{0, 1, 0, true},      // empty
			{6, 1, 0.4, false},   // the chance of a drop rises to 0.5: dropped
			{7, 1, 0.6, false},   // not dropped, but there is no token
			{8, 1, 0.6, false},   // frozen: still 0.5
			{12, 1, 0.3, true},   // filled; it falls to 0.25, nothing being missing
			{18, 1, 0.74, false}, // empty again: up to 0.75, dropped
			{60, 1, 0.6, true},   // down to 0.5
		}},
	} {
		b := newBucket(c.cfg, 0)
		for i, s := range c.steps {
			if got := b.take(s.need, s.at*int64(time.Millisecond), s.chance); got != s.want {
				t.Errorf("%s: step %d at %d ms: %v", c.name, i, s.at, got)
			}
		}
	}
	if newBucket(conf.Throttle{}, 0) != nil {
		t.Error("a bucket without tokens")
	}
}

// However requests come and go, the gate never holds more than its limit, and in the end is empty.
func TestGate(t *testing.T) {
	const limit, clients, rounds = 3, 16, 200
	g := gate{limit: limit}
	var inside, most atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		dead := make(chan struct{})
		if n%4 == 0 {
			close(dead) // gives up at once, unless there is room
		}
		wg.Go(func() {
			for range rounds {
				if !g.enter() && !g.wait(dead, nil) {
					continue
				}
				now := inside.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				inside.Add(-1)
				g.leave()
			}
		})
	}
	wg.Wait()
	if most.Load() > limit || g.inside != 0 || g.waiting.Len() != 0 {
		t.Errorf("at most %d inside, limit %d; left behind: %d inside, %d waiting", most.Load(), limit, g.inside, g.waiting.Len())
	}
}

// Those who wait get in in the order of their coming, before anybody who comes later.
func TestGateIsFair(t *testing.T) {
	g := gate{limit: 1}
	g.enter()
	order := make(chan int, 3)
	for n := range 3 {
		go func() {
			if g.wait(nil, nil) {
				order <- n
			}
		}()
		for waiting := 0; waiting <= n; { // until it stands in the line
			g.mu.Lock()
			waiting = g.waiting.Len()
			g.mu.Unlock()
		}
	}
	for n := range 3 {
		if g.enter() {
			t.Fatal("somebody jumped the line")
		}
		g.leave()
		if got := <-order; got != n {
			t.Fatalf("%d got in before %d", got, n)
		}
	}
}
