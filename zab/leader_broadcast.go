package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Next returns the zxid that the next proposal gets: the only one that Propose takes.
func (l *Leader) Next() zxid.ID {
	if last := l.win.last().ID; last.Epoch() == l.epoch && l.epoch != 0 {
		return last + 1
	}
	return zxid.Make(l.epoch, 1)
}

// CanPropose reports whether there is room for more proposals: the epoch is
// established, what is outstanding is within Limits and the zxids are not used up. A
// batch that begins while there is room may exceed it.
func (l *Leader) CanPropose() bool {
	return l.phase == Broadcast && !l.leaving && l.outstanding() < l.cfg.Limits.Outstanding &&
		l.outBytes < l.cfg.Limits.OutstandingBytes && l.Next().Counter() < l.cfg.Limits.HandOver
}

// outstanding counts what is proposed and not committed.
func (l *Leader) outstanding() int { return len(l.win.between(l.committed, l.win.last().ID)) }

// Propose orders transactions: they get the zxids from first on, which must be Next, so
// that nobody proposes what was computed against another history. The role keeps the
// data; the slice of slices remains the caller's. Limits other than that of the counter
// are CanPropose's.
func (l *Leader) Propose(first zxid.ID, txns [][]byte) error {
	switch {
	case l.phase != Broadcast || l.leaving:
		return ErrNotLeading
	case first != l.Next():
		return fmt.Errorf("%w: %v, next is %v", ErrOutOfOrder, first, l.Next())
	case uint64(first.Counter())+uint64(len(txns)) > uint64(zxid.MaxCounter):
		return ErrExhausted
	}
	l.win.grow(len(txns))
	last := l.win.last()
	for i, data := range txns {
		e := NewEntry(last, first+zxid.ID(i), data)
		l.win.push(e)
		l.outBytes += e.cost()
		last = e.Point()
	}
	l.assert()
	return nil
}

// announce brings the live stream up to now: proposals to the followers, then commits to
// them and the committed entries to observers, then the answers that waited for a
// commit. It runs once per Ready, so that all that happened between two of them makes
// one message of each kind.
func (l *Leader) announce() {
	if l.phase != Broadcast {
		return
	}
	l.spread()
	l.announceAll(l.committed, nil)
	l.confirm()
	l.answer()
}

// announceAll announces everything that is proposed, and the commit of everything up to a
// zxid. activation, if not nil, goes with the latter.
func (l *Leader) announceAll(committed zxid.ID, activation *Message) {
	if l.view.Pending() {
		l.announceProposals(l.view.Seen.Version(), l.view.Seen)
	}
	l.announceProposals(l.win.last().ID, nil)
	if l.commitAnnounced >= committed {
		return
	}
	commit := Message{Kind: Commit, Epoch: l.epoch, Zxid: committed}
	inform := Message{Kind: Inform, Epoch: l.epoch}
	if activation != nil {
		commit.Activate, commit.Designated = true, activation.Designated
	}
	l.forward(true, commit)
	l.inChunks(l.commitAnnounced, committed, func(entries []Entry, last bool) {
		inform.Entries = entries
		if last && activation != nil {
			inform.Activate, inform.Designated, inform.Proposed = true, activation.Designated, activation.Proposed
		}
		l.forward(false, inform)
	})
	l.commitAnnounced = committed
}

// announceProposals sends the followers what is proposed up to a zxid. proposed, if not nil, is
// the configuration that the last of it proposes.
func (l *Leader) announceProposals(upTo zxid.ID, proposed *quorum.Ensemble) {
	if l.announced >= upTo {
		return
	}
	m := Message{Kind: Proposal, Epoch: l.epoch}
	l.inChunks(l.announced, upTo, func(entries []Entry, last bool) {
		m.Entries = entries
		if last {
			m.Proposed = proposed
		}
		l.forward(true, m)
	})
	l.announced = upTo
}

// inChunks calls f with the entries after one zxid up to another, in pieces that fit into a
// message.
func (l *Leader) inChunks(after, upTo zxid.ID, f func(entries []Entry, last bool)) {
	chunks(l.win.between(after, upTo), l.cfg.Limits.MessageBytes, func(entries []Entry) {
		f(entries, entries[len(entries)-1].ID == upTo)
	})
}

// forward sends to the followers, or to the observers, of the live stream.
func (l *Leader) forward(followers bool, m Message) {
	for _, p := range l.links {
		if p.forwarded() && p.follower == followers {
			m.To = p.sid
			l.send(m)
		}
	}
}

// onAck takes a learner's word that its log is durable up to a zxid, which covers all
// before it [TLA LeaderProcessACK]. NEWLEADER is known by its zxid, not by its place
// among the acknowledgements (hazard H-25).
func (l *Leader) onAck(p *link, m Message) {
	switch {
	case p.state == linkForwarded && m.Zxid == zxid.Make(l.epoch, 0):
		l.onNewLeaderAck(p)
	case p.state != linkSynced:
		l.illegal(p, m)
	case m.Known != nil:
		p.told = sortedKnown(m.Known)
		l.adopt()
	case m.Zxid <= p.acked || m.Zxid.Counter() == 0:
		// Late or repeated.
	case m.Zxid > l.sentTo(p):
		l.drop(p, fmt.Sprintf("protocol error: ACK of %v, sent up to %v", m.Zxid, l.sentTo(p)))
	default:
		p.acked = m.Zxid
		l.prove(p, m.Zxid)
		if p.counts() {
			p.voter.acked = m.Zxid
			l.advance()
		}
	}
}

// advance commits what a quorum of trusted voters holds durably. Acknowledgements are
// of prefixes, so the committed history is one too: there is no order to get wrong
// (hazard H-57). The own disk is one of many (spec 8.3).
func (l *Leader) advance() {
	for l.phase == Broadcast && !l.leaving {
		best := l.committed
		for _, v := range l.voters {
			best = l.better(best, v.acked)
		}
		if l.view.Pending() {
			best = min(l.better(best, l.before), l.view.Seen.Version())
		}
		l.commit(best)
		if !l.view.Pending() || best < l.view.Seen.Version() {
			return
		}
		l.activate()
	}
}

// better returns z if it is committed and more than best.
func (l *Leader) better(best, z zxid.ID) zxid.ID {
	if z > best && l.held(z) {
		return z
	}
	return best
}

func (l *Leader) commit(to zxid.ID) {
	done := l.win.between(l.committed, to)
	for i := range done {
		l.outBytes -= done[i].cost()
	}
	l.committed = to
}

// deliver tells the driver what is committed.
func (l *Leader) deliver() {
	to := l.committed
	if l.cfg.DeliverDurable {
		to = min(to, l.me.acked)
	}
	if to > l.delivered {
		l.delivered, l.out.Commit = to, to
	}
}

// onRequest surfaces what a learner wants of the state machine.
func (l *Leader) onRequest(p *link, m Message) {
	if p.state != linkSynced || l.phase != Broadcast {
		l.illegal(p, m)
		return
	}
	l.out.Requests = append(l.out.Requests, m)
}
