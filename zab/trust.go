package zab

import (
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// A voter whose store was lost has forgotten two things: the entries that it
// acknowledged, and the promises that it gave. The first is repaired by synchronising it. The
// second is worse: some server may be on its way to lead a higher epoch on the strength
// of a promise by the former incarnation, and whatever the new one helps to commit meanwhile
// in a lower epoch would then be lost. So a new incarnation counts for nothing until
// it has been adopted, in three steps within one established epoch:
//
//  1. It accepts NEWLEADER: it has the history.
//  2. A quorum that does not include it notes durably that nobody is to be believed under
//     this id, as a Known entry without an incarnation. A voter says what it has noted
//     in every ACKEPOCH, and a leader that hears of it voids the promise that it
//     was given under that id. Every quorum of promises for a higher epoch includes
//     one of them, and each of them promised after it noted, for it still followed this epoch
//     then.
//  3. It is remembered, and counts as soon as it has that note on its own disk. Whoever is left with it, should the
//     leader end now, can be told so by it alone.
//
// The quorum is one of the committed configuration, even while another one is pending. Nobody else can commit that: it
// was proposed in this epoch, or the establishment of the epoch would have committed it. So every quorum of promises that
// the former incarnation may be part of includes one of the committed configuration. And a voter of
// the pending one alone may be what completes it, so that no quorum of it exists without that voter.
//
// A voter that nobody remembers counts at once (design "Empty, wiped and duplicated
// members"; hazards H-39, H-40, H-41).
//
// An older copy of a store has the incarnation of the store that it replaces, and is as dangerous as an empty
// one. So the leader notes, from time to time, how much of the committed history each voter has acknowledged. Who
// comes with less has lost it, whichever epoch that was in, and is not counted.

// meet starts to listen to one incarnation of a voter. What another one has promised
// or acknowledged is void.
func (l *Leader) meet(v *voter, life quorum.Incarnation, untrusted bool) {
	known, ok := lookupKnown(l.known, v.sid)
	if v.life != life {
		*v = voter{sid: v.sid, life: life, trusted: v.life.IsZero() || ok && known == life}
	}
	if ok && known != life || untrusted || l.cfg.Distrusted.Has(v.sid) || l.wasRolledBack(v.sid, life) {
		v.distrust()
	}
}

// wasRolledBack reports whether an incarnation has lost what it acknowledged in this epoch. It is not adopted: under its name it
// may have promised what nobody can void. What comes in place of its store has another name.
func (l *Leader) wasRolledBack(sid quorum.SID, life quorum.Incarnation) bool {
	return slices.ContainsFunc(l.rolledBack, func(k Known) bool { return k.SID == sid && k.Incarnation == life })
}

// distrust makes a voter count for nothing until it is adopted.
func (v *voter) distrust() { *v = voter{sid: v.sid, life: v.life} }

// hear takes over what a voter has noted later than this server, while the epoch is not
// established. It may void a promise that was counted, or make one count that was not.
func (l *Leader) hear(told []Known) {
	merged, changed := mergeKnown(l.known, told)
	if !changed {
		return
	}
	l.setKnown(merged)
	if l.hasLost() {
		return
	}
	for _, v := range l.voters {
		p := l.link(v.sid)
		life, ok := lookupKnown(l.known, v.sid)
		switch {
		case v == l.me || !ok || v.life.IsZero():
		case v.trusted && p != nil && p.voter == v && p.state >= linkPromised && l.lost(v.sid, v.life, p.history.Last().ID) != 0:
			l.rollBack(p, l.lost(v.sid, v.life, p.history.Last().ID))
		case v.trusted && v.life != life:
			l.event(EventRefused, v.sid, 0, "no longer counted: another incarnation is remembered")
			v.distrust()
		case !v.trusted && v.life == life && p != nil && !p.untrusted && !l.cfg.Distrusted.Has(v.sid) && !l.wasRolledBack(v.sid, life):
			l.event(EventSynced, v.sid, 0, "counted: it is the incarnation that others remember")
			v.trusted, v.promised = true, p.promised
		}
	}
}

// accept takes the acceptance of NEWLEADER by a voter in an established epoch: one that
// counts is remembered, another one is about to be adopted.
func (l *Leader) accept(p *link) {
	v := p.voter
	switch {
	case v.trusted:
		v.accepted, v.acked = true, max(v.acked, p.acked)
		if !v.life.IsZero() {
			l.remember(Known{SID: p.sid, Incarnation: v.life})
		}
	case !l.wasRolledBack(p.sid, v.life):
		// Whose adoption is noted was cut off before it knew: it counts when it does. To begin again would take the note
		// back, and leave it without one if this leader ends now.
		if v.joining = true; v.adopted == 0 {
			l.remember(Known{SID: p.sid})
		}
		l.adopt()
	}
}

// adopt remembers voters whose former incarnation can do no harm any more, and makes those count that know it.
func (l *Leader) adopt() {
	for _, v := range l.voters {
		p := l.link(v.sid)
		if !v.joining || p == nil {
			continue
		}
		if v.adopted == 0 {
			if !l.view.Committed.Verifier().HasQuorum(l.noted(v.sid)) {
				continue
			}
			l.remember(Known{SID: v.sid, Incarnation: v.life})
			i, _ := findKnown(l.known, v.sid)
			v.adopted = l.known[i].Noted
		}
		if i, found := findKnown(p.told, v.sid); !found || p.told[i].Noted < v.adopted {
			continue
		}
		v.joining, v.trusted, v.accepted = false, true, true
		v.acked = p.acked
		l.cfg.Distrusted.Remove(v.sid)
		l.event(EventSynced, v.sid, p.end.ID, fmt.Sprintf("incarnation %v counts from now on", v.life))
	}
	l.advance()
}

// noted returns the trusted voters, other than sid, on whose disks nobody is to be
// believed under this id.
func (l *Leader) noted(sid quorum.SID) quorum.Set {
	void := func(list []Known) bool {
		life, ok := lookupKnown(list, sid)
		return ok && life.IsZero()
	}
	return l.trusted(func(v *voter) bool {
		if v == l.me {
			return void(l.told)
		}
		p := l.link(v.sid)
		return v.sid != sid && p != nil && p.voter == v && p.state == linkSynced && void(p.told)
	})
}

// noteTicks is how often it is noted what the voters have acknowledged, in ticks: often enough that no copy of
// a store is as young, and seldom enough to cost nothing.
const noteTicks = 20

// noteAcked notes how much of the committed history each voter has.
func (l *Leader) noteAcked() {
	if l.now%noteTicks != 0 {
		return
	}
	for _, v := range l.voters {
		if v.trusted && v.accepted && !v.life.IsZero() {
			l.remember(Known{SID: v.sid, Incarnation: v.life, Acked: min(v.acked, l.committed)})
		}
	}
	l.spread()
}

// lost returns how much of the committed history an incarnation is known to have had, if its history does not
// reach that far, or else 0.
func (l *Leader) lost(sid quorum.SID, life quorum.Incarnation, last zxid.ID) zxid.ID {
	i, found := findKnown(l.known, sid)
	if !found || life.IsZero() || l.cfg.AcceptOlder || l.known[i].Incarnation != life || last >= l.known[i].Acked {
		return 0
	}
	return l.known[i].Acked
}

// hasLost ends the role if this server itself has lost what it acknowledged.
func (l *Leader) hasLost() bool {
	last := l.initial.Last().ID
	acked := l.lost(l.self, l.me.life, last)
	if acked == 0 {
		return false
	}
	l.event(EventDivergence, l.self, last, fmt.Sprintf("this server has lost what it acknowledged up to %v: empty its directories", acked))
	l.stop("the history of this server must not be trusted")
	return true
}

// rollBack stops counting a voter that has lost what it acknowledged up to acked.
func (l *Leader) rollBack(p *link, acked zxid.ID) {
	l.event(EventDivergence, p.sid, p.history.Last().ID, fmt.Sprintf("has lost what it acknowledged up to %v and does not count: empty its directories", acked))
	p.voter.distrust()
	l.rolledBack = append(l.rolledBack, Known{SID: p.sid, Incarnation: p.life})
}

// remember notes an incarnation, durably and for the learners. Only the leader of an
// established epoch has something to note.
func (l *Leader) remember(k Known) {
	i, found := findKnown(l.known, k.SID)
	if found && l.known[i].Incarnation == k.Incarnation && l.known[i].Gone == k.Gone {
		if k.Acked <= l.known[i].Acked {
			return
		}
	}
	l.notes++
	k.Noted = zxid.Make(l.epoch, l.notes)
	merged, _ := mergeKnown(l.known, []Known{k})
	l.setKnown(merged)
}

// setKnown makes list the memory, on disk with the step that is being filled.
func (l *Leader) setKnown(list []Known) {
	l.known, l.step.Known = list, list
	l.outbox.marks |= markKnown
	l.knownSeq++
}

// spread tells the learners in the live stream what is remembered, if they have not
// been told yet.
func (l *Leader) spread() {
	for _, p := range l.links {
		if p.forwarded() && p.knownSeq != l.knownSeq {
			p.knownSeq = l.knownSeq
			l.send(Message{Kind: Ping, To: p.sid, Epoch: l.epoch, Zxid: l.win.last().ID, Seq: uint64(l.now), Known: l.known})
		}
	}
}
