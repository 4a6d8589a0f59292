package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// tally is what the word cons tells of a connection's answers. It is guarded by conn.mu, which
// whoever answers holds anyway.
type tally struct {
	op   proto.Op  // of the last answer; opNone
	cxid proto.Xid // of the last request of the client's own numbering; -1: none
	zxid zxid.ID   // of the last answer; -1: none
	at   int64     // when that was, see Server.now; 0: never

	last, low, high, sum, count int64 // ms
}

// opNone is the operation of a connection that was not answered yet, or last with a refusal.
const opNone proto.Op = 0

// fresh returns the tally of a connection that was not answered yet.
func fresh() tally { return tally{cxid: -1, zxid: -1} }

// note takes down an answer. Pings and the like have xids that are not the client's own.
func (t *tally) note(op proto.Op, xid proto.Xid, z zxid.ID) {
	t.op, t.zxid = op, z
	if xid >= 0 {
		t.cxid = xid
	}
}

// noteRefusal takes down an answer with an error that was certain before the tree was asked. As in
// ZooKeeper, one of a write has no operation, and what is no matter of the tree is not taken down
// at all.
func (t *tally) noteRefusal(r *request, z zxid.ID) {
	switch {
	case r.op.Class() == proto.ClassConnection, !r.op.Known(), r.code == proto.CodeNotReadOnly:
	case r.fixed || !r.op.IsRead() && r.op != proto.OpSync:
		t.note(opNone, r.xid, z)
	default:
		t.note(r.op, r.xid, z)
	}
}

// book adds how long answers took, the last of which was given now.
func (t *tally) book(l *latencies, now int64) {
	if l.count == 0 {
		return
	}
	if t.count == 0 || l.low < t.low {
		t.low = l.low
	}
	t.high = max(t.high, l.high)
	t.sum += l.sum
	t.count += l.count
	t.last, t.at = l.last, now
}

// average returns the whole ms of the average.
func (t *tally) average() int64 { return t.sum / max(t.count, 1) }
