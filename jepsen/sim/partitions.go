package sim

import (
	"fmt"
	"time"
)

// cut is a closed direction between two servers.
type cut struct{ from, to int }

func (c cut) String() string { return fmt.Sprintf("%d>%d", c.from, c.to) }

// both closes both directions.
func both(cuts []cut, x, y int) []cut { return append(cuts, cut{x, y}, cut{y, x}) }

// partition closes directions for a while.
func (a *act) partition(f Fault, cuts []cut) {
	if len(cuts) == 0 {
		return
	}
	a.note(f, nil, fmt.Sprint(cuts))
	for _, c := range cuts {
		a.net.block(c.from, c.to, true)
	}
	a.later(a.between(100*time.Millisecond, 5*time.Second), func() {
		a.healed(f)
		for _, c := range cuts {
			a.net.block(c.from, c.to, false)
		}
	})
}

// pairs calls f with every pair of servers, counted from 1.
func (a *act) pairs(f func(x, y int)) {
	for x := 1; x <= len(a.servers); x++ {
		for y := x + 1; y <= len(a.servers); y++ {
			f(x, y)
		}
	}
}

// isolate cuts one server off from all others.
func (a *act) isolate() {
	var cuts []cut
	a.pairs(func(x, y int) {
		if v := int(a.v.sid); x == v || y == v {
			cuts = both(cuts, x, y)
		}
	})
	a.partition(FaultIsolate, cuts)
}

// camps splits the ensemble in two.
func (a *act) camps() {
	camp := a.rng.IntN(1 << len(a.servers))
	var cuts []cut
	a.pairs(func(x, y int) {
		if camp>>(x-1)&1 != camp>>(y-1)&1 {
			cuts = both(cuts, x, y)
		}
	})
	a.partition(FaultCamps, cuts)
}

// oneWay closes some single directions, or all of them from or to one server.
func (a *act) oneWay() {
	n, v := len(a.servers), int(a.v.sid)
	var cuts []cut
	mode := a.rng.IntN(3)
	if mode == 0 {
		for range 1 + a.rng.IntN(3) {
			if x, y := 1+a.rng.IntN(n), 1+a.rng.IntN(n); x != y {
				cuts = append(cuts, cut{x, y})
			}
		}
	} else {
		for y := 1; y <= n; y++ {
			switch {
			case y == v:
			case mode == 1:
				cuts = append(cuts, cut{v, y})
			default:
				cuts = append(cuts, cut{y, v})
			}
		}
	}
	a.partition(FaultOneWay, cuts)
}

// bridge splits the ensemble in two camps, and leaves one server that reaches both.
func (a *act) bridge() {
	order := a.rng.Perm(len(a.servers))
	v := int(a.v.sid)
	var cuts []cut
	a.pairs(func(x, y int) {
		if x != v && y != v && order[x-1] < len(order)/2 != (order[y-1] < len(order)/2) {
			cuts = both(cuts, x, y)
		}
	})
	a.partition(FaultBridge, cuts)
}

// ring lets everybody reach the neighbours on a ring, who are a majority with itself.
func (a *act) ring() {
	n := len(a.servers)
	order := a.rng.Perm(n)
	reach := (n + 1) / 4
	var cuts []cut
	a.pairs(func(x, y int) {
		d := order[x-1] - order[y-1]
		d = min((d+n)%n, (n-d)%n)
		if d > max(reach, 1) {
			cuts = both(cuts, x, y)
		}
	})
	a.partition(FaultRing, cuts)
}

// hub lets everybody reach one server, and some pairs each other (hazard H-55).
func (a *act) hub() {
	v := int(a.v.sid)
	var cuts []cut
	a.pairs(func(x, y int) {
		if x != v && y != v && a.chance(0.8) {
			cuts = both(cuts, x, y)
		}
	})
	a.partition(FaultHub, cuts)
}

// flap opens and closes the way between two servers, or in one direction of it.
func (a *act) flap() {
	x, y := int(a.v.sid), 1+a.rng.IntN(len(a.servers))
	if x == y {
		return
	}
	cuts := []cut{{x, y}}
	if a.chance(0.6) {
		cuts = both(nil, x, y)
	}
	times := 2 * (2 + a.rng.IntN(12))
	a.note(FaultFlap, nil, fmt.Sprintf("%v %d times", cuts, times))
	a.flipLater(cuts, times)
}

func (a *act) flipLater(cuts []cut, times int) {
	a.later(a.between(5*time.Millisecond, 400*time.Millisecond), func() {
		for _, c := range cuts {
			a.net.block(c.from, c.to, times%2 == 0)
		}
		if times > 1 {
			a.flipLater(cuts, times-1)
		}
	})
}

// reset breaks the connections of two servers.
func (a *act) reset() {
	other := 1 + a.rng.IntN(len(a.servers))
	a.note(FaultReset, a.v, fmt.Sprintf("and %d", other))
	a.net.reset(int(a.v.sid), other)
}

// delay makes everything from one server, to it, or both, take long.
func (a *act) delay() {
	d := a.between(5*time.Millisecond, 800*time.Millisecond)
	from, to, v := a.chance(0.7), a.chance(0.7), int(a.v.sid)
	a.note(FaultDelay, a.v, d.String())
	set := func(d time.Duration) {
		for peer := 1; peer <= a.net.n; peer++ {
			if from {
				a.net.lag[v][peer] = d
			}
			if to {
				a.net.lag[peer][v] = d
			}
		}
	}
	set(d)
	a.later(a.between(200*time.Millisecond, 4*time.Second), func() { a.healed(FaultDelay); set(0) })
}

// loss loses packets in one or both directions between a server and some others: TCP sends them
// again, so that they come late, and everything behind them.
func (a *act) loss() {
	p, v := 0.02+0.5*a.rng.Float64(), int(a.v.sid)
	peers, way := a.rng.IntN(1<<a.net.n), a.rng.IntN(3)
	a.note(FaultLoss, a.v, fmt.Sprintf("%.2f", p))
	set := func(p float64) {
		for peer := 1; peer <= a.net.n; peer++ {
			if peers>>(peer-1)&1 == 0 {
				continue
			}
			if way != 0 {
				a.net.lost[v][peer] = p
			}
			if way != 1 {
				a.net.lost[peer][v] = p
			}
		}
	}
	set(p)
	a.later(a.between(200*time.Millisecond, 4*time.Second), func() { a.healed(FaultLoss); set(0) })
}
