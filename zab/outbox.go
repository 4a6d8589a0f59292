package zab

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// outbox gathers what a role wants done until its driver asks, and remembers what
// each step on disk covers until it is durable.
type outbox struct {
	self  quorum.SID
	phase Phase

	out   Ready // being filled
	given Ready // given out by the last take; its slices come back with the next

	step  Persist // being filled
	marks marks   // of step

	finished bool // by finish

	token   uint64 // of the last step given out
	flights []flight
	load    int // cost of all entries that a learner ever put into steps
}

// marks are the milestones that become true when a step is durable.
type marks uint8

const (
	markPromise   marks = 1 << iota // the accepted epoch
	markCurrent                     // the leader's current epoch
	markNewLeader                   // all that NEWLEADER asks of a learner
	markKnown                       // remembered incarnations
)

// flight is a step on its way to the disk.
type flight struct {
	token uint64
	last  zxid.ID // end of the history when the step is durable
	marks marks
	known []Known // with markKnown
	load  int     // outbox.load with the step
}

// send queues a message.
func (o *outbox) send(m Message) {
	m.From = o.self
	o.out.Messages = append(o.out.Messages, m)
}

// event queues an event.
func (o *outbox) event(kind EventKind, peer quorum.SID, id zxid.ID, text string) {
	o.out.Events = append(o.out.Events, Event{Kind: kind, Peer: peer, Zxid: id, Text: text})
}

// enter changes the phase.
func (o *outbox) enter(p Phase, at zxid.ID) {
	o.phase = p
	o.event(EventPhase, quorum.None, at, p.String())
}

// stop ends the role. Whatever was not given out yet is withdrawn: after it has
// given up a role promises, commits and answers nothing more (hazard H-11).
func (o *outbox) stop(why string) {
	o.out = Ready{Events: o.out.Events, Drop: o.out.Drop}
	o.step, o.marks = Persist{}, 0
	o.phase = Stopped
	o.event(EventStopped, quorum.None, 0, why)
}

// finish ends the role with the next Ready: unlike stop it withdraws nothing.
func (o *outbox) finish(why string) {
	o.phase, o.finished = Stopped, true
	o.event(EventStopped, quorum.None, 0, why)
}

// Finished reports whether the role has ended because its work is done, so that everything that it has
// committed may still be told.
func (o *outbox) Finished() bool { return o.finished }

// withdraw takes back what was queued for a learner whose link has ended.
func (o *outbox) withdraw(to quorum.SID) {
	o.out.Messages = slices.DeleteFunc(o.out.Messages, func(m Message) bool { return m.To == to })
	o.out.Streams = slices.DeleteFunc(o.out.Streams, func(s Stream) bool { return s.To == to })
}

// take gives everything out. last is the end of the history with the step.
func (o *outbox) take(last zxid.ID) Ready {
	if !o.step.Empty() {
		o.token++
		step := o.step
		step.Token = o.token
		o.out.Persist = &step
		o.flights = append(o.flights, flight{token: o.token, last: last, marks: o.marks, known: step.Known, load: o.load})
		o.step, o.marks = Persist{}, 0
	}
	next := Ready{
		Messages: recycle(o.given.Messages),
		Streams:  recycle(o.given.Streams),
		Deliver:  recycle(o.given.Deliver),
		Requests: recycle(o.given.Requests),
		Drop:     recycle(o.given.Drop),
		Events:   recycle(o.given.Events),
	}
	o.given, o.out = o.out, next
	return o.given
}

// recycle empties a slice that has been given out and come back.
func recycle[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// landed says what has become durable with token and everything before it. ok is
// false if nothing has: a repeated or unknown token.
func (o *outbox) landed(token uint64) (f flight, ok bool) {
	n := 0
	for n < len(o.flights) && o.flights[n].token <= token {
		f.token, f.last, f.load = o.flights[n].token, o.flights[n].last, o.flights[n].load
		f.marks |= o.flights[n].marks
		if o.flights[n].known != nil {
			f.known = o.flights[n].known
		}
		n++
	}
	o.flights = append(o.flights[:0], o.flights[n:]...)
	return f, n > 0
}

// chunks cuts entries into pieces of at most limit bytes, at least one entry each, and
// calls f for each of them.
func chunks(entries []Entry, limit int, f func([]Entry)) {
	from, size := 0, 0
	for i := range entries {
		c := entries[i].cost()
		if i > from && size+c > limit {
			f(entries[from:i:i])
			from, size = i, 0
		}
		size += c
	}
	if from < len(entries) {
		f(entries[from:])
	}
}

// mergeKnown returns own with every note of told in it that is later than what own has, sorted
// by sid, and whether that changed anything. The arguments are not changed.
func mergeKnown(own, told []Known) ([]Known, bool) {
	merged, changed := own, false
	for _, k := range told {
		i, found := findKnown(merged, k.SID)
		switch {
		case k.SID < 0 || k.SID > quorum.MaxSID || found && merged[i].Noted >= k.Noted:
			continue
		case !changed:
			merged, changed = slices.Clone(merged), true
		}
		if found {
			merged[i] = k
		} else {
			merged = slices.Insert(merged, i, k)
		}
	}
	return merged, changed
}

func findKnown(list []Known, sid quorum.SID) (int, bool) {
	return slices.BinarySearchFunc(list, sid, func(a Known, sid quorum.SID) int { return int(a.SID) - int(sid) })
}

// sortedKnown copies a list into order by sid; of two notes for one sid the later counts.
func sortedKnown(list []Known) []Known {
	out, _ := mergeKnown(nil, list)
	return out
}

// lookupKnown returns the incarnation remembered of sid, if anybody is.
func lookupKnown(list []Known, sid quorum.SID) (quorum.Incarnation, bool) {
	i, found := findKnown(list, sid)
	if !found || list[i].Gone {
		return quorum.Incarnation{}, false
	}
	return list[i].Incarnation, true
}
