package sim

import (
	"math/rand/v2"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// absences is how many of a hundred ensembles that change must recover without some of their servers.
const absences = 40

// takeAway decides which servers never come back when the faults end: none, or some without which every
// configuration that anybody left knows has a quorum still (L-1 to L-3 with a part of the members).
func (s *simulation) takeAway() {
	rng := source(s.cfg.Seed, streamMembers+1)
	if !s.changing || rng.IntN(100) >= absences {
		return
	}
	for _, i := range someOf(rng, len(s.servers)) {
		s.servers[i].absent = true
		if !s.suffices() {
			s.servers[i].absent = false
		}
	}
	for _, v := range s.servers {
		if v.absent {
			s.trace(nil, line{label: labelAbsent, peer: v.sid})
			v.proc.crash(true)
		}
	}
}

// someOf draws up to half of n.
func someOf(rng *rand.Rand, n int) []int { return rng.Perm(n)[:rng.IntN(n/2+1)] }

// suffices reports whether those who are left can go on, with whatever configuration they may have seen or
// hear of yet, and each of them knows somebody who can tell it who leads.
func (s *simulation) suffices() bool {
	var left quorum.Set
	for _, v := range s.servers {
		if !v.absent && !v.disk.amnesiac {
			left.Add(v.sid)
		}
	}
	force := s.oracle.configs.inForce()
	if !force.ensemble.Verifier().HasQuorum(left) {
		return false
	}
	// Who has not heard that the last one is committed needs a quorum of the one before as well.
	if before := s.oracle.configs.at(force.at - 1); !before.ensemble.Verifier().HasQuorum(left) && !s.allKnow(force) {
		return false
	}
	for _, next := range s.oracle.configs.proposed {
		if next.at > force.at && !next.ensemble.Verifier().HasQuorum(left) {
			return false
		}
	}
	for _, v := range s.servers {
		if !v.absent && v.believes().Voters().And(force.ensemble.Voters()).And(left) == (quorum.Set{}) {
			return false
		}
	}
	return true
}

// allKnow reports whether all who are left know that a configuration is committed.
func (s *simulation) allKnow(c config) bool {
	for _, v := range s.servers {
		if !v.absent && !v.knows(c) {
			return false
		}
	}
	return true
}

// believes returns the membership that the server would go by if it started now.
func (srv *server) believes() quorum.Membership {
	m := srv.disk.model.members
	if srv.disk.maybe != nil && !srv.disk.maybe.members.IsZero() {
		m = srv.disk.maybe.members
	}
	if m.IsZero() || m.Committed.Version() < srv.file.Version() {
		return quorum.Stable(srv.file)
	}
	return m
}
