package sim

import (
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// says looks at what a server tells another one: a promise about its disk must be true
// of the disk (I9, I13).
func (o *oracle) says(t *tenure, m *zab.Message) {
	d := &t.p.disk.model
	switch m.Kind {
	case zab.LeaderInfo:
		if d.promise != (zab.Promise{Epoch: m.Epoch, Leader: t.p.sid}) {
			o.s.fail(ackMeansDurable, "server %v offers epoch %d, its disk has promised %v", t.p.sid, m.Epoch, d.promise)
		}
	case zab.AckEpoch:
		if d.promise.Epoch < m.Epoch || m.Fresh && d.promise != (zab.Promise{Epoch: m.Epoch, Leader: m.To}) || d.current != m.Current || d.last() != m.History.Last() {
			o.s.fail(ackMeansDurable, "server %v acknowledges epoch %d with (%d, %v), its disk has %v and (%d, %v)",
				t.p.sid, m.Epoch, m.Current, m.History.Last(), d.promise, d.current, d.last())
		}
	case zab.Ack:
		o.acks(t, m, d)
	default:
	}
}

// acks checks an ACK of a proposal or of NEWLEADER.
func (o *oracle) acks(t *tenure, m *zab.Message, d *model) {
	if d.promise.Epoch > m.Epoch && t.p.believes().Voters().Has(t.p.sid) {
		o.s.fail(ackMeansDurable, "server %v has a vote and acknowledges %v of epoch %d, its disk has promised %v", t.p.sid, m.Zxid, m.Epoch, d.promise)
	}
	if m.Zxid.Counter() == 0 {
		if d.current != m.Epoch {
			o.s.fail(ackMeansDurable, "server %v accepts epoch %d, its disk is in %d", t.p.sid, m.Epoch, d.current)
		}
		if !d.holds(t.accept) || d.last().ID < t.accept.ID {
			o.s.fail(processConsistency, "server %v accepts NEWLEADER at %v, its disk ends at %v", t.p.sid, t.accept, d.last())
		}
		// What lies behind NEWLEADER's point must be of the new epoch.
		for i := len(d.entries) - 1; i >= 0 && d.entries[i].ID > t.accept.ID; i-- {
			if d.entries[i].ID.Epoch() != m.Epoch {
				o.s.fail(processConsistency, "server %v accepts NEWLEADER at %v, its disk goes on with %v", t.p.sid, t.accept, d.entries[i])
			}
		}
		return
	}
	if p, ok := d.point(m.Zxid); !ok || p.ID != d.base.ID && p.Hash != o.made[m.Zxid] {
		o.s.fail(ackMeansDurable, "server %v acknowledges %v, its disk holds %v (%v) up to %v", t.p.sid, m.Zxid, p, ok, d.last())
	}
}

// acknowledged notes a reply to a client (I20).
func (o *oracle) acknowledged(z zxid.ID) {
	if o.end().ID < z {
		o.s.fail(noReplyWithoutCommit, "a client is told of %v, committed is %v", z, o.end())
	}
	o.acked = max(o.acked, z)
	o.s.counts.Acked++
	o.writes++
}
