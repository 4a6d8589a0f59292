package zab

import (
	"errors"
	"fmt"
)

// assert panics if an invariant of the state is broken. Built without the tag
// invariants it costs nothing.
func (l *Leader) assert() {
	if invariants {
		if err := l.check(); err != nil {
			panic(fmt.Sprintf("zab: leader %v: %v", l.self, err))
		}
	}
}

// assert is the same for learners.
func (l *learner) assert() {
	if invariants {
		if err := l.check(); err != nil {
			panic(fmt.Sprintf("zab: learner %v: %v", l.self, err))
		}
	}
}

// must returns an error naming the invariant unless it holds.
func must(holds bool, invariant string) error {
	if holds {
		return nil
	}
	return errors.New(invariant)
}

// check reports the first invariants that do not hold.
func (l *Leader) check() error {
	if l.phase == Stopped {
		return must(l.step.Empty() && len(l.out.Messages) == 0, "a stopped role wants nothing")
	}
	last := l.win.last().ID
	established := l.phase == Broadcast
	err := errors.Join(
		must(l.epoch == 0 || l.epoch > l.cfg.Durable.Promise.Epoch, "the epoch is new"),
		must(established || l.win.len() == 0 && l.committed == 0, "nothing is proposed or committed before establishment [I18]"),
		must(!established || l.committed >= l.initial.Last().ID, "the initial history is committed"),
		must(l.commitAnnounced <= l.committed && l.committed <= last, "committed history was proposed"),
		must(l.delivered <= l.committed, "only what is committed is delivered"),
		must(l.announced <= last && l.submitted <= last, "only what is proposed is sent"),
		must(l.confirmed <= l.round && l.round <= l.confirmed+1, "one round of confirmation is under way"),
		must(!established || l.win.start.ID <= l.unneeded(), "the window holds what is still needed"),
		must(!established || l.committed <= l.announced || l.me.acked >= l.committed, "commits follow proposals"),
	)
	return errors.Join(err, l.checkWindow(), l.checkLinks())
}

func (l *Leader) checkWindow() error {
	at, live, outstanding := l.win.start, 0, 0
	for _, e := range l.win.slab[l.win.head:] {
		if e.Prev != at.ID || !e.ID.Follows(at.ID) {
			return fmt.Errorf("the window is contiguous: %v after %v [I6]", e.ID, at.ID)
		}
		at = e.Point()
		live += e.cost()
		if e.ID > l.committed {
			outstanding += e.cost()
		}
	}
	return errors.Join(
		must(live == l.win.bytes && outstanding == l.outBytes, "bytes are counted right"),
		must(at == l.win.last(), "the window ends where it says"),
	)
}

func (l *Leader) checkLinks() error {
	for i, p := range l.links {
		err := errors.Join(
			must(i == 0 || l.links[i-1].sid < p.sid, "links are sorted"),
			must(l.bySID[p.sid] == p, "links are found by sid"),
			must(p.state < linkPromised || l.offered, "LEADERINFO comes after the own promise"),
			must(p.state < linkStreaming || l.phase != Discovery, "synchronisation comes after discovery"),
			must(p.state < linkStreaming || p.follower || l.phase == Broadcast, "observers see committed history only"),
			must(p.voter == nil || p.follower && p.voter.sid == p.sid, "votes belong to voters [H-49]"),
			must(!p.forwarded() || p.acked <= l.sentTo(p) || p.acked <= p.end.ID, "acknowledged is what was sent"),
		)
		if err != nil {
			return fmt.Errorf("learner %v: %w", p.sid, err)
		}
	}
	for _, v := range l.voters {
		err := errors.Join(
			must(v.trusted || !v.promised && !v.accepted && v.acked == 0, "the distrusted do not count [I16]"),
			must(v.acked <= l.win.last().ID, "acknowledged is what was proposed"),
		)
		if err != nil {
			return fmt.Errorf("voter %v: %w", v.sid, err)
		}
	}
	return nil
}

// check reports the invariants that do not hold.
func (l *learner) check() error {
	if l.phase == Stopped {
		return must(l.step.Empty() && len(l.out.Messages) == 0, "a stopped role wants nothing")
	}
	promised := l.cfg.Durable.Promise
	return errors.Join(
		must(l.promise.Epoch > promised.Epoch || l.promise == promised, "promises do not shrink [I12]"),
		must(l.epoch <= l.promise.Epoch, "the epoch that is followed is promised"),
		must(l.epoch == l.promise.Epoch || !l.told() || !l.view.Voters().Has(l.self), "who has a vote follows no epoch before its promise"),
		must(l.history.Last() == l.last, "the summary ends where the history ends"),
		must(l.committed <= l.last.ID, "committed history was received"),
		must(l.delivered <= l.committed, "only what is committed is delivered"),
		must(l.delivered == 0 || l.phase == Broadcast, "nothing is delivered before UPTODATE"),
		must(l.state < awaitingUpToDate || l.acked <= max(l.durable, l.last.ID), "acknowledged is what is durable [I13]"),
		must(l.phase != Broadcast || l.state == live, "broadcast begins with UPTODATE"),
		must(len(l.staged) == 0 || l.state == receiving, "staged history ends with NEWLEADER"),
	)
}
