package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// A leader that was deposed need not know it. Before it answers a Sync it therefore has a quorum
// confirm that it leads still: a round of pings that is begun after the Sync was handled, and
// answered by voters that follow this leader at that moment. Whoever leads a later epoch needs
// the promise of one of them, and did not have it: nothing was committed that this leader does
// not know (hazard H-63). Without a quorum nothing is answered; the role ends soon, and the
// askers hear of that. Apache's leader answers at once [ZOOKEEPER-1675].
//
// One round is under way at a time, and serves all that asked before it began. A commit of what
// was proposed later confirms as much, for it is a quorum's word, too.

// answer is an answer that waits for a commit.
type answer struct {
	after zxid.ID
	// round is the round of confirmation that it needs, 0 for none. Of a leader alone.
	round uint64
	msg   Message
}

// Answer queues the answer to a Sync or Revalidate behind the commit of everything that
// is proposed by now, in the one stream that leads to the asker (spec 11.2); that to a Sync
// waits, too, until a quorum has confirmed that this server leads. An answer
// to this server itself comes out of Ready.Deliver. A learner that has gone gets none, and a leader
// that is leaving gives none: what the asker had sent before may have come too late to be proposed.
// The role keeps data.
func (l *Leader) Answer(to quorum.SID, kind Kind, data []byte) {
	if kind != Sync && kind != Revalidate {
		panic(fmt.Sprintf("zab: %v is no answer", kind))
	}
	if p := l.link(to); l.phase != Broadcast || l.leaving || to != l.self && (p == nil || p.state != linkSynced) {
		return
	}
	a := answer{
		after: l.win.last().ID,
		msg:   Message{Kind: kind, From: l.self, To: to, Epoch: l.epoch, Data: data},
	}
	if kind == Sync {
		a.round = l.round + 1 // whatever is under way began earlier
	}
	l.answers = append(l.answers, a)
}

// confirm counts the answers to the round under way, and begins the next one when somebody waits
// for it. Pings of every tick repeat the round, for learners whose link is new.
func (l *Leader) confirm() {
	l.countRound()
	if l.confirmed < l.round || !l.wantsRound() {
		return
	}
	l.round++
	for _, p := range l.links {
		if p.state == linkSynced && p.counts() {
			l.pingOne(p)
		}
	}
	l.countRound() // a lone voter needs nobody
}

// countRound notes the end of the round under way.
func (l *Leader) countRound() {
	if l.confirmed == l.round {
		return
	}
	here := l.trusted(func(v *voter) bool {
		p := l.link(v.sid)
		return v == l.me || p != nil && p.voter == v && p.confirmed == l.round
	})
	if l.view.HasQuorum(here) {
		l.confirmed = l.round
	}
}

// wantsRound reports whether an answer waits for a round that has not begun.
func (l *Leader) wantsRound() bool {
	for i := len(l.answers) - 1; i >= 0; i-- {
		if a := &l.answers[i]; a.round > l.round {
			return l.committed <= a.after
		}
	}
	return false
}

// certain reports whether this server is known to have led when the answer was asked for.
func (l *Leader) certain(a *answer) bool { return a.round <= l.confirmed || l.committed > a.after }

// answer sends the answers whose commit has been announced. Those to this server wait
// for the delivery, too.
func (l *Leader) answer() {
	held, n := l.answers[:0], 0
	for n < len(l.answers) && l.answers[n].after <= l.commitAnnounced {
		switch a := l.answers[n]; {
		case !l.certain(&a) || a.msg.To == l.self && l.cfg.DeliverDurable && a.after > l.me.acked:
			held = append(held, a)
		case a.msg.To != l.self:
			l.send(a.msg)
		default:
			l.out.Deliver = append(l.out.Deliver, a.msg)
		}
		n++
	}
	if n > len(held) {
		held = append(held, l.answers[n:]...)
		clear(l.answers[len(held):])
		l.answers = held
	}
}
