package sim

import (
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/zab"
)

// housekeeping flushes trees and trims logs.
func (s *simulation) housekeeping(srv *server) {
	s.after(s.between(100*time.Millisecond, 1500*time.Millisecond), func() {
		if p := srv.proc; p.alive() && !p.paused() {
			p.guard(func() {
				if s.chance(0.6) {
					p.app.tree.flush()
				}
				srv.disk.trim(p.app.tree.flushed())
			})
		}
		s.housekeeping(srv)
	})
}

// crash ends the process, at once.
func (a *act) crash(power bool) {
	fault := FaultKill
	if power {
		fault = FaultPower
	}
	a.note(fault, a.v, "")
	a.v.proc.crash(power)
	a.restartLater(a.v, a.between(20*time.Millisecond, 3*time.Second))
}

// burnFuse lets the process end at one of its next points of persistence.
func (a *act) burnFuse() {
	if a.v.proc.alive() {
		a.v.proc.fuse = 1 + a.rng.IntN(30)
		a.note(FaultPoint, a.v, fmt.Sprintf("after %d", a.v.proc.fuse))
		a.restartLater(a.v, a.between(50*time.Millisecond, 3*time.Second))
	}
}

// everybodyDown is a power cut of the whole room.
func (a *act) everybodyDown() {
	a.note(FaultRoom, nil, "")
	for _, v := range a.servers {
		v.proc.crash(true)
		a.restartLater(v, a.between(50*time.Millisecond, time.Second))
	}
}

// restartLater brings a server back, whether or not it will have crashed by then.
func (s *simulation) restartLater(v *server, d time.Duration) {
	s.after(d, func() {
		if v.proc.alive() && v.proc.fuse > 0 {
			s.restartLater(v, 500*time.Millisecond)
			return
		}
		v.start()
	})
}

// tail keeps what a leader says from everybody while it logs what its clients want, and ends it: it comes
// back with transactions that nobody else has, which have to be cut off, or with some that somebody has.
func (a *act) tail() {
	v := a.leader()
	if v == nil || v.proc.tenure.phase != zab.Broadcast {
		return
	}
	var cuts []cut
	for y := 1; y <= len(a.servers); y++ {
		if y != int(v.sid) && !a.chance(0.15) {
			cuts = append(cuts, cut{int(v.sid), y})
		}
	}
	a.note(FaultTail, v, fmt.Sprint(cuts))
	for _, c := range cuts {
		a.net.block(c.from, c.to, true)
	}
	a.later(a.between(20*time.Millisecond, 400*time.Millisecond), func() {
		for _, c := range cuts {
			a.net.reset(c.from, c.to) // what waits for acknowledgement goes down with the machine
		}
		v.proc.crash(true)
		for _, c := range cuts {
			a.net.block(c.from, c.to, false)
		}
		a.restartLater(v, a.between(time.Second, 6*time.Second))
	})
}

// slow makes a server compute slowly.
func (a *act) slow() {
	a.v.slow = 1 + float64(a.rng.IntN(400))
	a.note(FaultSlow, a.v, fmt.Sprintf("by %.0f", a.v.slow))
	v := a.v
	a.later(a.between(time.Millisecond, 2*time.Second), func() { v.slow = 1 })
}

// pause stops a process: nothing that it waits for happens until it goes on. Its connections stay.
func (a *act) pause() {
	d := a.between(20*time.Millisecond, 600*time.Millisecond)
	if a.chance(0.4) {
		d = a.between(time.Second, 6*time.Second)
	}
	a.note(FaultPause, a.v, d.String())
	a.v.pause(d)
}

// slowDisk makes a disk slow, sometimes so that a sync takes seconds.
func (a *act) slowDisk() {
	most := 100
	if a.chance(0.2) {
		most = 1000
	}
	a.v.disk.slow = 1 + float64(a.rng.IntN(most))
	a.note(FaultSlowDisk, a.v, fmt.Sprintf("by %.0f", a.v.disk.slow))
	v := a.v
	a.later(a.between(time.Millisecond, 2*time.Second), func() { v.disk.slow = 1 })
}

// breakDisk lets the next write, sync or start fail.
func (a *act) breakDisk(f Fault) {
	if !a.v.proc.alive() && f != FaultRead {
		return
	}
	a.note(f, a.v, "")
	a.v.disk.breaks = f
	a.v.disk.breaksAfter = a.rng.IntN(24)
	if f == FaultRead {
		a.v.proc.crash(a.chance(0.5))
	}
	a.restartLater(a.v, a.between(50*time.Millisecond, 3*time.Second))
}

// jump changes the time of day of a server.
func (a *act) jump() {
	d := a.between(time.Second, time.Hour)
	if a.chance(0.5) {
		d = -d
	}
	a.v.wall += d
	a.note(FaultClock, a.v, d.String())
}

// wipe puts an empty disk into a voter, if everybody would notice: each voter remembers
// the incarnations of all others, so that no server that has lost what it acknowledged can be
// taken for its old self (design "Empty, wiped and duplicated members").
func (a *act) wipe() {
	v := a.v
	if !a.dispensable(v) {
		return
	}
	v.proc.crash(true)
	v.disk.maybe = nil
	a.note(FaultWipe, v, "")
	v.disk.wipe()
	a.restartLater(v, a.between(50*time.Millisecond, 2*time.Second))
}

// dispensable reports whether nothing would be lost for good with what a server knows, by the
// configuration in force, of which everybody knows who has a vote in it, and the server itself.
func (a *act) dispensable(v *server) bool {
	force := a.oracle.configs.inForce()
	voters := force.ensemble.Voters()
	others := voters
	others.Remove(v.sid)
	if v.disk.maybe != nil || !force.ensemble.Verifier().HasQuorum(others) || !v.knows(force) || v.file.Version() < force.at {
		return false
	}
	for x := range voters.All() {
		if !a.server(x).knows(force) {
			return false
		}
		for y := range voters.All() {
			d := a.server(y).disk
			if x != y && (d.amnesiac || a.server(x).disk.model.remembers(y) != d.model.incarnation) {
				return false
			}
		}
	}
	return true
}

// knows reports whether a server has a configuration on disk as the committed one, and no other.
func (srv *server) knows(c config) bool {
	m := srv.disk.model.members
	return srv.disk.maybe == nil && (m.IsZero() && c.at == 0 || !m.IsZero() && !m.Pending() && m.Committed.Version() >= c.at)
}

// endFaults repairs everything.
func (s *simulation) endFaults() {
	s.trace(nil, line{label: labelCalm})
	s.calm = true
	s.net.heal()
	s.takeAway()
	for _, v := range s.servers {
		v.slow, v.disk.slow, v.disk.breaks = 1, 1, 0
		v.disk.breaksFlush, v.disk.unreadable = nil, ""
		v.disk.fs.breakTree(nil)
		v.pausedUntil = min(v.pausedUntil, s.now)
		v.resume()
		if v.proc.alive() {
			v.proc.fuse = 0
			continue
		}
		v.start()
	}
	s.oracle.writes = 0
}
