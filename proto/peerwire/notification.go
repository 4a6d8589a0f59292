package peerwire

import (
	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// AppendNotification appends the encoding of n to dst. fle.State has the numbers of
// the wire, which are Apache's.
func AppendNotification(dst []byte, n *fle.Notification) []byte {
	dst = appendSID(dst, 1, n.From)
	dst = appendSID(dst, 2, n.To)
	dst = appendUint(dst, 3, uint64(n.State))
	dst = appendSID(dst, 4, n.Vote.Leader)
	dst = appendFixed(dst, 5, uint64(n.Vote.Zxid))
	dst = appendUint(dst, 6, uint64(n.Vote.Epoch))
	dst = appendUint(dst, 7, n.Round)
	dst = appendConfiguration(dst, 9, n.Config)
	dst = appendConfiguration(dst, 10, n.Pending)
	dst = appendID16(dst, 11, n.Life)
	return appendFixed(dst, 12, uint64(n.Noted))
}

// DecodeNotification reads one notification, all of b. It copies; b may be reused.
func DecodeNotification(b []byte) (fle.Notification, error) {
	var n fle.Notification
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			n.From = r.sid(0)
		case 2:
			n.To = r.sid(0)
		case 3:
			n.State = fle.State(r.uint(uint64(fle.Observing)))
		case 4:
			n.Vote.Leader = r.sid(quorum.None)
		case 5:
			n.Vote.Zxid = zxid.ID(r.fixed())
		case 6:
			n.Vote.Epoch = r.epoch()
		case 7:
			n.Round = r.uint(1<<64 - 1)
		case 9:
			n.Config = r.configuration()
		case 10:
			n.Pending = r.configuration()
		case 11:
			n.Life = r.id16()
		case 12:
			n.Noted = zxid.ID(r.fixed())
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return fle.Notification{}, r.err
	}
	return n, nil
}
