package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Act is one thing to do to the ensemble.
type Act struct {
	At     time.Duration // since the start; later when the act before has not ended
	Kind   Kind
	Role   Role
	Pick   int           // which of the servers of that role, modulo their number
	Seed   uint64        // of what else is left open: who is on which side, how slow, which bytes
	Hold   time.Duration // between hurting and healing
	Settle bool          // wait until all serve again before the next act
	Within *Act          // done while this one holds, a while after it began; nil: nothing
}

// String returns the act as a line of a log.
func (a Act) String() string {
	s := fmt.Sprintf("%v %s %s hold=%v settle=%v", a.At.Round(time.Millisecond), a.Kind, a.Role, a.Hold.Round(time.Millisecond), a.Settle)
	if w := a.Within; w != nil {
		s += fmt.Sprintf(" within=(%v %s %s hold=%v)", w.At.Round(time.Millisecond), w.Kind, w.Role, w.Hold.Round(time.Millisecond))
	}
	return s
}

// Config describes a plan.
type Config struct {
	Seed     uint64
	Kinds    []Kind        // empty: nothing is done
	Duration time.Duration // no act begins later than a hold before it
	Gap      time.Duration // mean time between the beginnings of acts, default 3 s
	Hold     time.Duration // longest hold, default Gap
}

// Plan returns the acts of a seed in the order of their times.
func Plan(cfg Config) []Act {
	if len(cfg.Kinds) == 0 {
		return nil
	}
	if cfg.Gap <= 0 {
		cfg.Gap = 3 * time.Second
	}
	if cfg.Hold <= 0 {
		cfg.Hold = cfg.Gap
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x6e656d65736973))
	within := slices.DeleteFunc([]Kind{Kill, Pause, Reconfig}, func(k Kind) bool { return !slices.Contains(cfg.Kinds, k) })
	var acts []Act
	at := cfg.Gap / 2
	for {
		a := draw(r, cfg.Kinds, cfg.Hold)
		a.At = at
		a.Settle = a.Kind.Destructive() || r.IntN(3) > 0
		inner := slices.DeleteFunc(slices.Clone(within), func(k Kind) bool { return k == a.Kind })
		if a.Kind.lasting() && len(inner) > 0 && r.IntN(2) == 0 {
			w := draw(r, inner, a.Hold/2)
			w.At = a.Hold / 4
			a.Within = &w
		}
		if a.At+a.Hold > cfg.Duration {
			return acts
		}
		acts = append(acts, a)
		at += cfg.Gap/2 + time.Duration(r.Int64N(int64(cfg.Gap)))
	}
}

// draw returns an act of one of the kinds.
func draw(r *rand.Rand, kinds []Kind, hold time.Duration) Act {
	a := Act{Kind: kinds[r.IntN(len(kinds))], Role: Leader, Pick: r.IntN(64), Seed: r.Uint64()}
	// Short holds are the more interesting ones: the victim comes back into the election. A
	// network has to be cut for longer than the servers' patience, now and then.
	short := r.Float64()
	if a.Kind.lasting() {
		short = 1
	}
	a.Hold = time.Duration(float64(hold) * (0.02 + 0.98*r.Float64()*short))
	if r.IntN(2) == 0 {
		a.Role = Follower
	}
	if a.Kind.all() {
		a.Role = All
	}
	return a
}
