package sim

import (
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/zab"
)

// converge lets time pass until the ensemble has recovered, each part of it in the time it is
// allowed (L1 to L3). That begins when the faults end, and anew when somebody can tell again whose tree is right: more
// servers have come, or what was wrong has been overwritten. False: it cannot, and need not.
func (s *simulation) converge() bool {
	healed, split := s.now, s.now
	for _, goal := range []struct {
		invariant string
		within    time.Duration
		missing   func() string
	}{
		{electionSettles, electWithin, s.leaderless},
		{progress, writeWithin, s.unanswered},
		{rejoin, settleWithin, s.unsettled},
	} {
		for why := goal.missing(); why != ""; why = goal.missing() {
			contested := s.contested()
			if contested {
				split = s.now
			}
			if s.now > healed+goal.within {
				switch {
				case s.hopeless():
					s.counts.Lost++
					return false
				case contested:
					s.counts.Contested++
					return false
				case s.now > split+goal.within:
					s.fail(goal.invariant, "%v after the last fault: %s", s.now-healed, why)
				}
			}
			until := s.now + 100*time.Millisecond
			for s.now < until {
				s.step()
			}
		}
	}
	return true
}

// present returns the servers that take part to the end.
func (s *simulation) present() []*server {
	var out []*server
	for _, v := range s.servers {
		if !v.absent {
			out = append(out, v)
		}
	}
	return out
}

// leaderless says why nobody leads.
func (s *simulation) leaderless() string {
	why := ""
	for _, v := range s.present() {
		p := v.proc
		if p.alive() && p.tenure != nil && p.tenure.outcome.State == fle.Leading && p.tenure.phase == zab.Broadcast {
			return ""
		}
		why += fmt.Sprintf("server %v is %s; ", v.sid, p.role())
	}
	return why
}

// unanswered says that too few writes were answered since the faults ended.
func (s *simulation) unanswered() string {
	if s.oracle.writes >= 3 {
		return ""
	}
	return fmt.Sprintf("%d writes were answered", s.oracle.writes)
}

// unsettled says what is still missing until all serve one leader and have the same history and
// tree.
func (s *simulation) unsettled() string {
	var leader *process
	for _, v := range s.present() {
		p := v.proc
		if !p.alive() || p.tenure == nil || p.tenure.phase != zab.Broadcast {
			return fmt.Sprintf("server %v is %s", v.sid, p.role())
		}
		if p.tenure.outcome.State == fle.Leading {
			if leader != nil {
				return fmt.Sprintf("%v and %v lead", leader.sid, v.sid)
			}
			leader = p
		}
	}
	if leader == nil {
		return "nobody leads"
	}
	if why := s.unequal(); why != "" {
		return why
	}
	for _, v := range s.present() {
		p := v.proc
		if !p.members.Equal(leader.members) || p.members.Pending() {
			return fmt.Sprintf("server %v goes by the members %s, the leader by %s", v.sid, describeMembers(p.members), describeMembers(leader.members))
		}
		if p.tenure.machine.Epoch() != leader.tenure.machine.Epoch() {
			return fmt.Sprintf("server %v follows epoch %d", v.sid, p.tenure.machine.Epoch())
		}
		if last := v.disk.model.last(); last != leader.disk.model.last() {
			return fmt.Sprintf("server %v has logged %v, the leader %v", v.sid, last, leader.disk.model.last())
		}
		if at := p.app.tree.at(); at != s.oracle.applied0() || at != v.disk.model.last() {
			return fmt.Sprintf("server %v has applied %v of %v", v.sid, at, s.oracle.applied0())
		}
	}
	return ""
}

// final compares everything once more, from scratch, at the end.
func (o *oracle) final() {
	o.finalMembers()
	if orphans := o.ref.orphans(); orphans != "" {
		o.s.fail(sessionOrder, "in the end there is %s", orphans)
	}
	if o.acked > o.applied0().ID {
		o.s.fail(committedDurability, "%v was acknowledged, the history ends at %v", o.acked, o.applied0())
	}
	for _, v := range o.s.present() {
		if why := v.proc.app.tree.differs(o.ref); why != "" {
			o.s.fail(agreement, "server %v, in the end: %s", v.sid, why)
		}
		if d := v.disk.log.Durable(); d.History.Last() != v.disk.model.last() {
			o.s.fail(ackMeansDurable, "server %v, in the end: log %v, model %v", v.sid, d.History.Last(), v.disk.model.last())
		}
		if told := v.disk.reported(); told != nil {
			o.s.fail(failsSafe, "server %v: something was called fatal on a disk that is sound: %v", v.sid, told)
		}
	}
}
