package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// nemesis says which faults a run has, and how often. Each act has a source of random numbers of
// its own, so that an act that is skipped does not change what the others are.
type nemesis struct {
	weights [numFaults]int
	total   int
	pause   time.Duration // longest time between two acts
	acts    int
}

// deed is a fault that the nemesis can do. Another fault is a row more.
type deed struct {
	fault  Fault
	weight int
	do     func(*act)
}

// deeds lists what can be done, with the weight in the draw.
func deeds() []deed {
	return []deed{
		{FaultKill, 7, func(a *act) { a.crash(false) }},
		{FaultPower, 15, func(a *act) { a.crash(true) }},
		{FaultPoint, 22, (*act).burnFuse},
		{FaultRoom, 4, (*act).everybodyDown},
		{FaultIsolate, 6, (*act).isolate},
		{FaultCamps, 6, (*act).camps},
		{FaultOneWay, 6, (*act).oneWay},
		{FaultBridge, 3, (*act).bridge},
		{FaultRing, 3, (*act).ring},
		{FaultHub, 3, (*act).hub},
		{FaultFlap, 4, (*act).flap},
		{FaultReset, 8, (*act).reset},
		{FaultDelay, 4, (*act).delay},
		{FaultLoss, 4, (*act).loss},
		{FaultSlow, 6, (*act).slow},
		{FaultPause, 6, (*act).pause},
		{FaultSlowDisk, 6, (*act).slowDisk},
		{FaultWrite, 2, func(a *act) { a.breakDisk(FaultWrite) }},
		{FaultFsync, 3, func(a *act) { a.breakDisk(FaultFsync) }},
		{FaultFull, 2, func(a *act) { a.breakDisk(FaultFull) }},
		{FaultRead, 2, func(a *act) { a.breakDisk(FaultRead) }},
		{FaultClock, 3, (*act).jump},
		{FaultWipe, 5, (*act).wipe},
		{FaultMembers, 45, (*act).members},
		{FaultTail, 30, (*act).tail},
		{FaultRot, 30, (*act).rot},
		{FaultTreeFlush, 12, (*act).failFlush},
		{FaultTreeRead, 6, (*act).unreadableTree},
		{FaultTreeBits, 10, (*act).damageTree},
		{FaultTreeOld, 12, (*act).oldTree},
	}
}

// draw decides which kinds of faults a run has: not all at a time, so that each is seen with and
// without the others.
func (n *nemesis) draw(rng *rand.Rand) {
	for _, d := range deeds() {
		if d.fault < FaultMembers && rng.IntN(4) > 0 { // the others have draws of their own
			n.want(d.fault)
		}
	}
	n.pause = time.Duration(300+rng.IntN(2000)) * time.Millisecond
}

// want lets a fault happen.
func (n *nemesis) want(f Fault) {
	for _, d := range deeds() {
		if d.fault == f {
			n.weights[f] = d.weight
			n.total += d.weight
		}
	}
}

// act is one deed of the nemesis.
type act struct {
	*simulation
	rng    *rand.Rand
	number int
	v      *server
}

// act's draws are of its own source, not of the schedule's.
func (a *act) chance(p float64) bool { return a.rng.Float64() < p }

func (a *act) between(from, to time.Duration) time.Duration {
	return from + time.Duration(a.rng.Int64N(int64(to-from)/int64(time.Microsecond)))*time.Microsecond
}

// beginFaults starts the nemesis and the housekeeping of the stores.
func (s *simulation) beginFaults() {
	s.nextAct()
	for _, srv := range s.servers {
		s.housekeeping(srv)
	}
}

// nextAct does something nasty now and then, as long as faults are wanted.
func (s *simulation) nextAct() {
	number := s.nemesis.acts
	rng := source(s.cfg.Seed, streamNemesis+uint64(number))
	a := &act{simulation: s, rng: rng, number: number}
	s.after(a.between(20*time.Millisecond, s.nemesis.pause), func() {
		if s.calm {
			return
		}
		s.nemesis.acts++
		if !slices.Contains(s.cfg.Skip, number) {
			a.do()
		}
		s.nextAct()
	})
}

func (a *act) do() {
	if a.nemesis.total == 0 {
		return
	}
	n := a.rng.IntN(a.nemesis.total)
	a.v = a.victim()
	for _, d := range deeds() {
		if n -= a.nemesis.weights[d.fault]; n < 0 {
			d.do(a)
			return
		}
	}
}

// victim picks a server, the leader more often than others.
func (a *act) victim() *server {
	leader, other := a.chance(0.4), a.servers[a.rng.IntN(len(a.servers))]
	if leader {
		if srv := a.leader(); srv != nil {
			return srv
		}
	}
	return other
}

// leader finds a server that leads, or believes to, nil if there is none.
func (a *act) leader() *server {
	for _, srv := range a.servers {
		if p := srv.proc; p.alive() && p.tenure != nil && p.tenure.leader != nil {
			return srv
		}
	}
	return nil
}

// note counts the deed and writes it down.
func (a *act) note(f Fault, srv *server, text string) {
	a.counts.Faults[f]++
	l := line{label: labelFault, n: int64(a.number), text: f.String() + " " + text}
	if srv != nil {
		l.peer = srv.sid
	}
	a.trace(nil, l)
}

// healed says that a fault is over.
func (a *act) healed(f Fault) {
	a.trace(nil, line{label: labelHeal, n: int64(a.number), text: f.String()})
}

// later does something unless the faults are over by then.
func (a *act) later(d time.Duration, do func()) {
	a.after(d, func() {
		if !a.calm {
			do()
		}
	})
}
