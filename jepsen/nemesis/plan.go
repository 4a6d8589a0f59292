package nemesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a sort of act.
type Kind string

// The kinds of acts.
const (
	Kill    Kind = "kill"    // SIGKILL to one server, started again after the hold
	Pause   Kind = "pause"   // SIGSTOP to one server, SIGCONT after the hold
	KillAll Kind = "killall" // SIGKILL to all at once, started again after the hold
	Rolling Kind = "rolling" // SIGTERM and start of one server after the other
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Kill, Pause, KillAll, Rolling} }

// ParseKinds reads a comma-separated list of kinds; "none" and "" are the empty list.
func ParseKinds(list string) ([]Kind, error) {
	if list == "" || list == "none" {
		return nil, nil
	}
	var out []Kind
	for name := range strings.SplitSeq(list, ",") {
		k := Kind(strings.TrimSpace(name))
		if !slices.Contains(Kinds(), k) {
			return nil, fmt.Errorf("nemesis: unknown kind %q, want some of %v", k, Kinds())
		}
		out = append(out, k)
	}
	return out, nil
}

// Role is who is hit, found when the act is due.
type Role string

// The roles.
const (
	Leader   Role = "leader"
	Follower Role = "follower"
	All      Role = "all"
)

// Act is one thing to do to the ensemble.
type Act struct {
	At     time.Duration // since the start; later when the act before has not ended
	Kind   Kind
	Role   Role
	Pick   int           // which of the servers of that role, modulo their number
	Hold   time.Duration // between hurting and healing
	Settle bool          // wait until all serve again before the next act
}

// String returns the act as a line of a log.
func (a Act) String() string {
	return fmt.Sprintf("%v %s %s hold=%v settle=%v", a.At.Round(time.Millisecond), a.Kind, a.Role, a.Hold.Round(time.Millisecond), a.Settle)
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
	var acts []Act
	at := cfg.Gap / 2
	for {
		a := Act{
			At: at, Kind: cfg.Kinds[r.IntN(len(cfg.Kinds))], Role: Leader, Pick: r.IntN(64),
			// Short holds are the more interesting ones: the victim comes back into the election.
			Hold:   time.Duration(float64(cfg.Hold) * (0.02 + 0.98*r.Float64()*r.Float64())),
			Settle: r.IntN(3) > 0,
		}
		if r.IntN(2) == 0 {
			a.Role = Follower
		}
		if a.Kind == KillAll || a.Kind == Rolling {
			a.Role = All
		}
		if a.At+a.Hold > cfg.Duration {
			return acts
		}
		acts = append(acts, a)
		at += cfg.Gap/2 + time.Duration(r.Int64N(int64(cfg.Gap)))
	}
}
