package sim

import (
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/zab"
)

// beginFaults starts the nemesis and the housekeeping of the stores.
func (s *simulation) beginFaults() {
	s.nemesis()
	for _, srv := range s.servers {
		s.housekeeping(srv)
	}
}

// nemesis does something nasty now and then, as long as faults are wanted.
func (s *simulation) nemesis() {
	s.after(s.between(50*time.Millisecond, 1500*time.Millisecond), func() {
		if !s.calm {
			s.fault()
			s.nemesis()
		}
	})
}

// housekeeping flushes trees and trims logs.
func (s *simulation) housekeeping(srv *server) {
	s.after(s.between(100*time.Millisecond, 1500*time.Millisecond), func() {
		if p := srv.proc; p.alive() {
			if s.chance(0.6) {
				srv.disk.flush(p.app.tree)
			}
			srv.disk.trim()
		}
		s.housekeeping(srv)
	})
}

// victim picks a server, the leader more often than others.
func (s *simulation) victim() *server {
	if s.chance(0.4) {
		for _, srv := range s.servers {
			if p := srv.proc; p.alive() && p.tenure != nil && p.tenure.leader != nil {
				return srv
			}
		}
	}
	return s.servers[s.rng.IntN(len(s.servers))]
}

func (s *simulation) fault() {
	v := s.victim()
	switch n := s.rng.IntN(100); {
	case n < 22:
		v.crashNow(s)
	case n < 44:
		if v.proc.alive() {
			v.proc.fuse = 1 + s.rng.IntN(30)
			s.restartLater(v, s.between(50*time.Millisecond, 3*time.Second))
		}
	case n < 48:
		s.everybodyDown()
	case n < 70:
		s.partition(v)
	case n < 80:
		other := s.servers[s.rng.IntN(len(s.servers))]
		s.tracef("FAULT reset %v %v", v.sid, other.sid)
		s.net.reset(int(v.sid), int(other.sid))
	case n < 88:
		v.slow = 1 + float64(s.rng.IntN(400))
		s.tracef("FAULT %v slow by %v", v.sid, v.slow)
		s.after(s.upTo(2*time.Second), func() { v.slow = 1 })
	case n < 95:
		v.disk.slow = 1 + float64(s.rng.IntN(100))
		s.tracef("FAULT disk of %v slow by %v", v.sid, v.disk.slow)
		s.after(s.upTo(2*time.Second), func() { v.disk.slow = 1 })
	default:
		s.wipe(v)
	}
}

// crashNow ends the process, at once.
func (v *server) crashNow(s *simulation) {
	v.proc.crash(s.chance(0.7))
	s.restartLater(v, s.between(20*time.Millisecond, 3*time.Second))
}

// restartLater brings a server back, whether or not it will have crashed by then.
func (s *simulation) restartLater(v *server, d time.Duration) {
	s.after(d, func() { v.startUnlessUp(s) })
}

func (v *server) startUnlessUp(s *simulation) {
	if v.proc.alive() && v.proc.fuse > 0 {
		s.restartLater(v, 500*time.Millisecond)
		return
	}
	v.start()
}

// everybodyDown is a power cut of the whole room.
func (s *simulation) everybodyDown() {
	s.tracef("FAULT power cut of everything")
	for _, v := range s.servers {
		v.proc.crash(true)
		s.restartLater(v, s.between(50*time.Millisecond, time.Second))
	}
}

// partition cuts a server off, splits the ensemble, or closes one direction.
func (s *simulation) partition(v *server) {
	s.counts.Partitions++
	n := len(s.servers)
	var cuts [][2]int
	switch s.rng.IntN(3) {
	case 0: // one against all
		for peer := 1; peer <= n; peer++ {
			if peer != int(v.sid) {
				cuts = append(cuts, [2]int{int(v.sid), peer}, [2]int{peer, int(v.sid)})
			}
		}
	case 1: // two camps
		camp := s.rng.IntN(1 << n)
		for a := 1; a <= n; a++ {
			for b := 1; b <= n; b++ {
				if a != b && camp>>(a-1)&1 != camp>>(b-1)&1 {
					cuts = append(cuts, [2]int{a, b})
				}
			}
		}
	default: // single directions
		for range 1 + s.rng.IntN(3) {
			a, b := 1+s.rng.IntN(n), 1+s.rng.IntN(n)
			if a != b {
				cuts = append(cuts, [2]int{a, b})
			}
		}
	}
	s.tracef("FAULT partition %v", cuts)
	for _, c := range cuts {
		s.net.block(c[0], c[1], true)
	}
	s.after(s.between(100*time.Millisecond, 4*time.Second), func() {
		s.tracef("FAULT healed %v", cuts)
		for _, c := range cuts {
			s.net.block(c[0], c[1], false)
		}
	})
}

// wipe puts an empty disk into a voter, if everybody would notice: each voter remembers
// the incarnations of all others, so that no server that has lost what it acknowledged can be
// taken for its old self (design "Empty, wiped and duplicated members").
func (s *simulation) wipe(v *server) {
	if s.cfg.Servers < 3 {
		return // the others are no quorum: what it knew is lost for good
	}
	for a := range s.ensemble.Voters().All() {
		for b := range s.ensemble.Voters().All() {
			d := s.server(b).disk
			if a != b && (d.amnesiac || s.server(a).disk.model.remembers(b) != d.model.incarnation) {
				return
			}
		}
	}
	if v.disk.maybe != nil {
		return
	}
	v.proc.crash(true)
	v.disk.maybe = nil
	s.counts.Wipes++
	s.tracef("FAULT disk of %v wiped", v.sid)
	v.disk.wipe()
	s.restartLater(v, s.between(50*time.Millisecond, 2*time.Second))
}

// endFaults repairs everything.
func (s *simulation) endFaults() {
	s.tracef("CALM")
	s.calm = true
	for a := range s.servers {
		for b := range s.servers {
			s.net.block(a+1, b+1, false)
		}
	}
	for _, v := range s.servers {
		v.slow, v.disk.slow = 1, 1
		if v.proc.alive() {
			v.proc.fuse = 0
			continue
		}
		v.start()
	}
	s.oracle.writes = 0
}

// unsettled says what is still missing until the ensemble has recovered (L1 to L3): a
// leader that all follow, writes that were answered, and the same history and tree everywhere.
func (s *simulation) unsettled() string {
	var leader *process
	for _, v := range s.servers {
		p := v.proc
		if !p.alive() {
			return fmt.Sprintf("server %v is down", v.sid)
		}
		if p.tenure == nil || p.tenure.phase != zab.Broadcast {
			return fmt.Sprintf("server %v is %s", v.sid, p.role())
		}
		if p.tenure.outcome.State == fle.Leading {
			if leader != nil {
				return fmt.Sprintf("%v and %v lead", leader.sid, v.sid)
			}
			leader = p
		}
	}
	switch {
	case leader == nil:
		return "nobody leads"
	case s.oracle.writes < 3:
		return "no write was answered"
	}
	for _, v := range s.servers {
		p := v.proc
		if p.tenure.machine.Epoch() != leader.tenure.machine.Epoch() {
			return fmt.Sprintf("server %v follows epoch %d", v.sid, p.tenure.machine.Epoch())
		}
		if last := v.disk.model.last(); last != leader.disk.model.last() {
			return fmt.Sprintf("server %v has logged %v, the leader %v", v.sid, last, leader.disk.model.last())
		}
		if p.app.tree.applied != s.oracle.applied0() || p.app.tree.applied != v.disk.model.last() {
			return fmt.Sprintf("server %v has applied %v of %v", v.sid, p.app.tree.applied, s.oracle.applied0())
		}
	}
	return ""
}

// final compares everything once more, from scratch, at the end.
func (o *oracle) final() {
	if orphans := o.ref.orphans(); orphans != "" {
		o.s.fail("SessionOrder", "in the end there is %s", orphans)
	}
	if o.acked > o.applied0().ID {
		o.s.fail("CommittedDurability", "%v was acknowledged, the history ends at %v", o.acked, o.applied0())
	}
	for _, v := range o.s.servers {
		if why := v.proc.app.tree.same(o.ref); why != "" {
			o.s.fail("StateIsFold", "server %v, in the end: %s", v.sid, why)
		}
		if d := v.disk.log.Durable(); d.History.Last() != v.disk.model.last() {
			o.s.fail("AckMeansDurable", "server %v, in the end: log %v, model %v", v.sid, d.History.Last(), v.disk.model.last())
		}
	}
}
