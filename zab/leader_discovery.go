package zab

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// onInfo opens the link to a learner [TLA LeaderProcessFOLLOWERINFO]. A second one from the
// same server replaces the first: it has dialed again.
func (l *Leader) onInfo(m Message) {
	duplicate := l.Duplicate(m.From, m.Incarnation)
	if old := l.link(m.From); old != nil {
		l.forget(old)
	}
	l.out.Drop = slices.DeleteFunc(l.out.Drop, func(sid quorum.SID) bool { return sid == m.From })
	if why := l.refusal(m, duplicate); why != "" {
		l.event(EventRefused, m.From, 0, why)
		l.out.Drop = append(l.out.Drop, m.From)
		if l.outranked(m, duplicate) {
			l.accepted = max(l.accepted, m.Epoch)
			l.stop(fmt.Sprintf("server %v has promised epoch %d: a higher one than %d must begin", m.From, m.Epoch, l.epoch))
		}
		return
	}
	if l.phase == Discovery {
		if l.hear(m.Known); l.phase == Stopped {
			return
		}
	}
	p := &link{sid: m.From, follower: m.Kind == FollowerInfo, life: m.Incarnation, proof: l.now}
	if v := l.voter(m.From); v != nil && p.follower {
		l.meet(v, m.Incarnation, m.Untrusted)
		p.voter = v
		if !v.trusted {
			l.event(EventRefused, m.From, 0, "not counted: its store may have lost what it acknowledged")
		}
	}
	l.insert(p)
	switch {
	case l.epoch == 0:
		l.accepted = max(l.accepted, m.Epoch)
		l.fixEpoch()
	case l.offered:
		l.offer(p)
	}
}

// refusal says why a server must not become a learner, or nothing. What a promise binds is a vote: who has
// none here is bound by none, and decides itself whether to follow (see learner.unbound).
func (l *Leader) refusal(m Message, duplicate bool) string {
	switch {
	case duplicate:
		return fmt.Sprintf("incarnation %v: another server of this id is connected", m.Incarnation)
	case !m.Cluster.IsZero() && !l.cluster.IsZero() && m.Cluster != l.cluster:
		return fmt.Sprintf("belongs to ensemble %v, this one is %v", m.Cluster, l.cluster)
	case m.Config > l.view.Seen.Version():
		return fmt.Sprintf("knows configuration %v, this server only %v", m.Config, l.view.Seen.Version())
	case m.Epoch >= zxid.MaxEpoch:
		return fmt.Sprintf("epoch %d cannot be", m.Epoch)
	case l.epoch != 0 && m.Epoch > l.epoch && m.Kind == FollowerInfo && l.voter(m.From) != nil:
		return fmt.Sprintf("promised epoch %d, this one is %d", m.Epoch, l.epoch)
	}
	return ""
}

// outranked reports whether a voter that is refused can only come back under another
// leadership: it has promised a later epoch, to a leader that never came to be. It would stay
// away for as long as this epoch lasts, and the ensemble would be one failure poorer without
// a word. Beginning anew costs an election. A voter that does not count, for its store was lost or is not to be
// believed, could not be taken in again either, so it is let in the same way; but who takes the name of one that is
// connected, or belongs elsewhere, moves nobody.
func (l *Leader) outranked(m Message, duplicate bool) bool {
	v := l.voter(m.From)
	return l.phase == Broadcast && v != nil && v != l.me && !duplicate && m.Kind == FollowerInfo &&
		m.Epoch > l.epoch && m.Epoch < zxid.MaxEpoch && m.Config <= l.view.Seen.Version() &&
		(m.Cluster.IsZero() || m.Cluster == l.cluster)
}

// fixEpoch chooses the epoch once a quorum is connected: one more than anybody has
// accepted (hazard H-37). The own promise goes to disk before anyone hears of it. A voter that
// came as an observer is there too: LEADERINFO will tell it what it is.
func (l *Leader) fixEpoch() {
	connected := l.trusted(func(v *voter) bool {
		p := l.link(v.sid)
		return v == l.me || p != nil && (p.voter == v || !p.follower)
	})
	if !l.view.HasQuorum(connected) {
		return
	}
	if l.accepted >= zxid.MaxEpoch {
		l.stop("epochs exhausted")
		return
	}
	l.epoch = l.accepted + 1
	l.step.Promise = &Promise{Epoch: l.epoch, Leader: l.self}
	l.outbox.marks |= markPromise
	l.event(EventEpoch, l.self, zxid.Make(l.epoch, 0), "proposed")
}

// offerAll sends LEADERINFO to everybody: the own promise is durable.
func (l *Leader) offerAll() {
	l.offered = true
	for _, p := range l.links {
		l.offer(p)
	}
	l.begin()
}

func (l *Leader) offer(p *link) {
	p.state = linkOffered
	l.send(Message{Kind: LeaderInfo, To: p.sid, Epoch: l.epoch, Cluster: l.cluster, Incarnation: l.me.life, Known: l.known, Membership: l.view})
}

// onAckEpoch takes a learner's promise [TLA LeaderProcessACKEPOCH]. In the quorum that
// the epoch rests on nobody may have a newer history than the leader: such a learner
// is dropped, and the others decide (spec 6.2).
func (l *Leader) onAckEpoch(p *link, m Message) {
	last := m.History.Last().ID
	p.untrusted = p.untrusted || m.Untrusted
	switch {
	case p.state != linkOffered:
		l.illegal(p, m)
		return
	case !m.History.valid() || m.Current > l.epoch || last.Epoch() > l.epoch:
		l.drop(p, fmt.Sprintf("protocol error: ACKEPOCH with history %v, epoch %d", m.History, m.Current))
		return
	case m.Untrusted && p.voter != nil:
		p.voter.distrust()
	}
	p.history = m.History
	newer := l.newer(p, m)
	if l.phase == Discovery {
		p.promised = m.Fresh && !newer
		if l.hear(m.Known); l.phase == Stopped {
			return
		}
	}
	if p.counts() {
		if acked := max(p.voter.acked, l.lost(p.sid, p.life, last)); last < acked {
			l.rollBack(p, acked)
		}
	}
	if l.phase == Discovery {
		d := &l.cfg.Durable
		if newer && m.Fresh && p.counts() {
			l.drop(p, fmt.Sprintf("its history (%d, %v) is newer than (%d, %v)", m.Current, last, d.Current, d.History.Last().ID))
			return
		}
		if p.counts() {
			p.voter.promised = p.voter.promised || p.promised
		}
	}
	p.state = linkPromised
	p.needSnap = m.NeedSnap || m.Untrusted && last != 0
	if l.phase == Discovery {
		l.begin()
	} else {
		l.synchronise(p)
	}
}

// newer reports whether a learner may know of something committed that is not in this leader's
// history. A voter of the pending configuration alone that does not have that configuration's
// transaction cannot, whatever epoch it has accepted: all that is committed without that
// transaction is held by a quorum of the committed configuration, which is asked as well. It may have
// come to its epoch as a learner without a vote, of a leader that was never established, and the
// pending configuration could never be completed without it.
func (l *Leader) newer(p *link, m Message) bool {
	d := &l.cfg.Durable
	if pending := l.view.Seen.Version(); l.view.Pending() && !l.view.Committed.Voters().Has(p.sid) &&
		m.History.Base.ID < pending && !m.History.Holds(pending) {
		return false
	}
	return cmp.Or(cmp.Compare(m.Current, d.Current), cmp.Compare(m.History.Last().ID, d.History.Last().ID)) > 0
}

// begin ends discovery once a quorum has promised. The own current epoch goes to disk,
// which is this server's acknowledgement of its own NEWLEADER.
func (l *Leader) begin() {
	if l.phase != Discovery || !l.view.HasQuorum(l.trusted(func(v *voter) bool { return v.promised })) {
		return
	}
	l.enter(Synchronization, l.initial.Last().ID)
	if c := l.view.Committed; l.cfg.Versioned && !l.view.Pending() && c.Version() == 0 {
		l.setView(quorum.Membership{Committed: c, Seen: c.WithVersion(zxid.Make(l.epoch, 0))})
	}
	l.deadline = l.now + l.cfg.InitTicks
	l.hardStop = l.now + syncStretch*l.cfg.InitTicks
	epoch := l.epoch
	l.step.Current = &epoch
	if l.cluster != l.cfg.Durable.Cluster {
		l.step.Cluster = l.cluster
	}
	l.outbox.marks |= markCurrent
	l.synchroniseAll()
}
