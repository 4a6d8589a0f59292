package zab

import (
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Tick moves the role's time on by one tick, of which two make a tickTime. It pings, gives
// up silent learners, and ends the role when the epoch is not established in time or the
// quorum is lost. A driver that was held up calls it once, not once per tick missed:
// learners must get the chance to be heard first (hazards H-76, H-77).
func (l *Leader) Tick() {
	if l.phase == Stopped {
		return
	}
	l.now++
	switch l.phase {
	case Discovery, Synchronization:
		if l.now > l.deadline {
			l.stop(fmt.Sprintf("no quorum in %v after %d ticks", l.phase, l.now))
			return
		}
	default:
		l.marks[1], l.marks[0] = l.marks[0], mark{l.now, l.announced}
	}
	l.dropSilent()
	if l.phase == Broadcast && (l.lostQuorum() || l.handedOver() || l.diskStuck()) {
		return
	}
	if l.phase == Broadcast {
		l.noteAcked()
	}
	l.ping()
	l.assert()
}

// ping asks everybody for a sign of life.
func (l *Leader) ping() {
	for _, p := range l.links {
		if p.state < linkOffered {
			continue
		}
		l.pingOne(p)
	}
}

// pingOne asks one learner.
func (l *Leader) pingOne(p *link) {
	l.send(Message{Kind: Ping, To: p.sid, Epoch: l.epoch, Zxid: l.win.last().ID, Seq: pingSeq(l.now, l.round)})
}

// pingSeq is the number of a ping: the tick in its lower half, the round in its upper one.
func pingSeq(tick int, round uint64) uint64 { return round<<32 | uint64(uint32(tick)) }

// onPing takes the answer to a ping. It proves contact at the time when the ping was
// sent, no later: nothing else that arrives proves that the learner can hear
// (hazard H-53).
func (l *Leader) onPing(p *link, m Message) {
	tick := int(uint32(m.Seq))
	if p.state < linkOffered || tick > l.now {
		l.illegal(p, m)
		return
	}
	p.proof = max(p.proof, tick)
	if p.state == linkSynced && uint32(m.Seq>>32) == uint32(l.round) {
		p.confirmed = l.round
	}
	if p.state >= linkStreaming && p.state < linkSynced && p.counts() {
		l.progress()
	}
}

// prove notes what an acknowledgement of z proves: contact since z was proposed.
func (l *Leader) prove(p *link, z zxid.ID) {
	for _, m := range l.marks {
		if z > m.last {
			p.proof = max(p.proof, m.tick)
			return
		}
	}
}

// dropSilent gives up the learners that were not heard for too long.
func (l *Leader) dropSilent() {
	for _, p := range slices.Clone(l.links) {
		limit := l.cfg.InitTicks
		if p.state == linkSynced {
			limit = l.cfg.SyncTicks
		}
		switch late := l.late(p); {
		case l.now-p.proof > limit:
			l.drop(p, fmt.Sprintf("silent for %d ticks %s", l.now-p.proof, linkStateNames[p.state]))
		case late > limit:
			l.drop(p, fmt.Sprintf("late by %d ticks: acknowledged up to %v, sent %v", late, p.acked, l.announced))
		}
	}
}

// late returns for how many ticks a follower owes the acknowledgement of what was sent when it last
// owed nothing: it may answer pings in time and have a disk that does not (spec 8, backpressure).
func (l *Leader) late(p *link) int {
	if !p.follower || p.state != linkSynced || p.acked >= p.due {
		p.due, p.dueSince = l.announced, l.now
	}
	return l.now - p.dueSince
}

// lostQuorum ends the role when this server and the voters that are synchronised and alive
// are no quorum: asked at each full tick, when the epoch is older than SyncTicks (spec 9).
func (l *Leader) lostQuorum() bool {
	if l.now%2 != 0 || l.now-l.since < l.cfg.SyncTicks {
		return false
	}
	alive := l.trusted(func(v *voter) bool {
		p := l.link(v.sid)
		return v == l.me || p != nil && p.voter == v && p.state == linkSynced
	})
	if l.view.HasQuorum(alive) {
		return false
	}
	l.stop(fmt.Sprintf("quorum lost: only %v left", alive))
	return true
}

// handedOver ends the role when the zxids of the epoch run out, once nothing is
// outstanding (hazard H-38).
func (l *Leader) handedOver() bool {
	if l.Next().Counter() < l.cfg.Limits.HandOver || l.outstanding() > 0 {
		return false
	}
	l.stop(fmt.Sprintf("hand-over: zxids of epoch %d run out at %v", l.epoch, l.win.last().ID))
	return true
}

// Stranded reports whether the epoch has its quorum of promises and cannot begin with those that are connected: they
// and this server are no quorum. Whoever is missing looks for a leader and joins none without a quorum behind it.
func (l *Leader) Stranded() bool {
	here := l.trusted(func(v *voter) bool {
		p := l.link(v.sid)
		return v == l.me || p != nil && p.voter == v
	})
	return l.phase == Synchronization && !l.view.HasQuorum(here)
}

// diskStuck ends the role when the own disk has not moved for SyncTicks while a quorum holds what it
// lacks: the others can do without it, and with DeliverDurable everything waits for it (hazard H-74).
func (l *Leader) diskStuck() bool {
	if l.me.acked >= l.committed || l.me.acked != l.stuckAt {
		l.stuckAt, l.stuck = l.me.acked, l.now
	}
	if l.now-l.stuck <= l.cfg.SyncTicks {
		return false
	}
	l.stop(fmt.Sprintf("own disk stuck for %d ticks at %v, a quorum has %v", l.now-l.stuck, l.me.acked, l.committed))
	return true
}
