package session

import (
	"fmt"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Owner is the server through which a session's client speaks. The tracker compares
// owners and knows nothing else of them.
type Owner int

// Verdict is the answer to "may this session do this here?".
type Verdict uint8

// The verdicts.
const (
	// OK lets the request go on.
	OK Verdict = iota
	// Expired: the session is unknown or closing. Requests fail with
	// proto.CodeSessionExpired, renewals are refused.
	Expired
	// Moved: the session's client speaks through another server now. The connection
	// that the request came through is to be closed without an answer.
	Moved
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Expired:
		return "expired"
	case Moved:
		return "moved"
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// entry is one session. Only the tracker's methods write it.
type entry struct {
	// deadline is the tick at which the session expires if nothing is heard of it;
	// Touch moves it.
	deadline int64
	// filed is the bucket that holds the session; filed <= deadline. Copies of the
	// id in other buckets are stale.
	filed   int64
	timeout int32 // ms
	owner   Owner
	owned   bool // owner is known
	closing bool
}

// Tracker is the table. It is not safe for concurrent use: one goroutine owns it.
type Tracker struct {
	tickMs   int32
	now      int64 // ticks
	passed   int32 // ms of the tick under way, as far as anybody says; else all of it
	sessions map[proto.SessionID]entry
	buckets  map[int64][]proto.SessionID // by tick
}

// New returns an empty tracker whose ticks are tickMs milliseconds long; tickMs > 0.
func New(tickMs int32) *Tracker {
	if tickMs <= 0 {
		panic(fmt.Sprintf("session: tick of %d ms", tickMs))
	}
	return &Tracker{
		tickMs:   tickMs,
		passed:   tickMs - 1,
		sessions: make(map[proto.SessionID]entry),
		buckets:  make(map[int64][]proto.SessionID),
	}
}

// Elapsed says that so many ms have passed since the last Tick was due. It counts until the next
// Tick for whatever is heard of from now on; without it the tick under way is taken for
// nearly over, which lets sessions live up to a tick longer.
func (t *Tracker) Elapsed(ms int32) { t.passed = min(max(ms, 0), t.tickMs-1) }

// life returns for how many calls of Tick a session with this timeout survives a touch at this
// moment: the timeout ends in the tick before the last of them.
func (t *Tracker) life(timeoutMs int32) int64 {
	return (int64(t.passed)+int64(max(timeoutMs, 0)))/int64(t.tickMs) + 1
}

// file puts the session into the bucket of its deadline.
func (t *Tracker) file(id proto.SessionID, e *entry) {
	e.filed = e.deadline
	t.buckets[e.filed] = append(t.buckets[e.filed], id)
}

// rearm gives the session its full timeout from now.
func (t *Tracker) rearm(id proto.SessionID, e *entry) {
	e.deadline = t.now + t.life(e.timeout)
	if e.deadline < e.filed {
		t.file(id, e)
	}
}

// Restore adds a session that a new leader found in the replicated table, with its full
// timeout and no owner. It does nothing if the session is known.
func (t *Tracker) Restore(id proto.SessionID, timeoutMs int32) {
	if _, ok := t.sessions[id]; !ok {
		t.insert(id, entry{timeout: timeoutMs})
	}
}

// Add adds the session that a createSession transaction, now being proposed, creates. It
// does nothing if the session is known.
func (t *Tracker) Add(id proto.SessionID, timeoutMs int32, owner Owner) {
	if _, ok := t.sessions[id]; !ok {
		t.insert(id, entry{timeout: timeoutMs, owner: owner, owned: true})
	}
}

func (t *Tracker) insert(id proto.SessionID, e entry) {
	e.deadline = t.now + t.life(e.timeout)
	t.file(id, &e)
	t.sessions[id] = e
}

// Touch notes that the session's client is alive. Unknown and closing sessions stay
// what they are: a touch revives nobody.
func (t *Tracker) Touch(id proto.SessionID) {
	e, ok := t.sessions[id]
	if !ok || e.closing {
		return
	}
	t.rearm(id, &e)
	t.sessions[id] = e
}

// TouchAll gives every session that is not closing its full timeout.
func (t *Tracker) TouchAll() {
	for id, e := range t.sessions { // Tick sorts what it returns
		if !e.closing {
			t.rearm(id, &e)
			t.sessions[id] = e
		}
	}
}

// Check judges a request of the session that came through owner. With verdict OK
// the session is touched, and owner becomes its owner if it had none.
func (t *Tracker) Check(id proto.SessionID, owner Owner) Verdict {
	e, ok := t.sessions[id]
	switch {
	case !ok || e.closing:
		return Expired
	case e.owned && e.owner != owner:
		return Moved
	}
	e.owner, e.owned = owner, true
	t.rearm(id, &e)
	t.sessions[id] = e
	return OK
}

// Alive reports whether the session may still be used and renewed, through whomever.
func (t *Tracker) Alive(id proto.SessionID) bool {
	e, ok := t.sessions[id]
	return ok && !e.closing
}

// Known reports whether the session is in the table, closing or not.
func (t *Tracker) Known(id proto.SessionID) bool {
	_, ok := t.sessions[id]
	return ok
}

// Renew moves a session that is alive to owner, with a newly negotiated timeout, and
// touches it: the last renewal wins (hazard H-70). It returns the previous owner if that
// is known and another one.
func (t *Tracker) Renew(id proto.SessionID, timeoutMs int32, owner Owner) (prev Owner, moved, alive bool) {
	e, ok := t.sessions[id]
	if !ok || e.closing {
		return 0, false, false
	}
	prev, moved = e.owner, e.owned && e.owner != owner
	e.owner, e.owned, e.timeout = owner, true, timeoutMs
	t.rearm(id, &e)
	t.sessions[id] = e
	return prev, moved, true
}

// Close marks the session closing, because a closeSession transaction is being proposed.
// It reports whether the session was alive.
func (t *Tracker) Close(id proto.SessionID) bool {
	e, ok := t.sessions[id]
	if !ok || e.closing {
		return false
	}
	e.closing = true
	t.sessions[id] = e
	return true
}

// Remove forgets the session: its closeSession transaction is applied.
func (t *Tracker) Remove(id proto.SessionID) { delete(t.sessions, id) }

// Now returns the number of ticks that have passed, less those that Grant took back.
func (t *Tracker) Now() int64 { return t.now }

// Deadline returns the value of Now at which the session expires if nothing more is heard of it,
// false if it is unknown or closing.
func (t *Tracker) Deadline(id proto.SessionID) (tick int64, ok bool) {
	e, ok := t.sessions[id]
	return e.deadline, ok && !e.closing
}

// IDs returns the sessions in the table, ascending.
func (t *Tracker) IDs() []proto.SessionID { return slices.Sorted(maps.Keys(t.sessions)) }

// Tick moves time by one tick. It returns the sessions that expire with it, ascending,
// all marked closing: the caller proposes a closeSession transaction for each.
func (t *Tracker) Tick() []proto.SessionID {
	t.now++
	t.passed = t.tickMs - 1
	due := t.buckets[t.now]
	delete(t.buckets, t.now)
	expired := due[:0] // at or behind the place that is being read
	for _, id := range due {
		e, ok := t.sessions[id]
		if !ok || e.closing || e.filed != t.now {
			continue
		}
		if e.deadline > t.now {
			t.file(id, &e)
		} else {
			e.closing = true
			expired = append(expired, id)
		}
		t.sessions[id] = e
	}
	slices.Sort(expired)
	return slices.Compact(expired)
}

// Grant gives every session so many ticks more to live: the leader was paused or cut
// off and cannot blame its clients for the silence.
func (t *Tracker) Grant(ticks int) {
	// Deadlines are absolute, so setting the clock back moves them all. Nothing is
	// filed at or before the old now, hence nothing is passed twice.
	t.now -= int64(max(ticks, 0))
}

// Len returns the number of sessions, closing ones included.
func (t *Tracker) Len() int { return len(t.sessions) }
