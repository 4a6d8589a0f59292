package check

import "slices"

// Wire holds what passes over the connections of one session against invariant I15 a and c: the
// replies come in the order of the requests, and the zxid in their headers never falls, on
// whatever server. It also sees what no history of synchronous calls shows, pipelined requests.
// Its zero value is a session without connections. Pings and events are not told to it.
type Wire struct {
	waiting []int32 // xids of unanswered requests, the oldest first
	zxid    int64   // highest so far
}

// Connected begins a new connection: what was unanswered on the last one stays so.
func (w *Wire) Connected() { w.waiting = w.waiting[:0] }

// Sent notes a request.
func (w *Wire) Sent(xid int32) { w.waiting = append(w.waiting, xid) }

// Replied judges the header of a reply.
func (w *Wire) Replied(xid int32, zxid int64) []Violation {
	v := violations{check: "wire"}
	switch at := slices.Index(w.waiting, xid); at {
	case 0:
		w.waiting = w.waiting[1:]
	case -1:
		v.addf(nil, "a reply to request %d, which nobody waits for", xid)
	default:
		v.addf(nil, "a reply to request %d, while %d is not answered", xid, w.waiting[0])
		w.waiting = slices.Delete(w.waiting, at, at+1)
	}
	if zxid > 0 && zxid < w.zxid {
		v.addf(nil, "the reply to request %d has zxid %#x after %#x", xid, zxid, w.zxid)
	}
	w.zxid = max(w.zxid, zxid)
	return v.list
}
