package peerwire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// wireKinds maps kinds to their numbers on the wire.
var wireKinds = [...]zabpb.Kind{
	zab.FollowerInfo: zabpb.Kind_KIND_FOLLOWERINFO, zab.ObserverInfo: zabpb.Kind_KIND_OBSERVERINFO,
	zab.LeaderInfo: zabpb.Kind_KIND_LEADERINFO, zab.AckEpoch: zabpb.Kind_KIND_ACKEPOCH,
	zab.Diff: zabpb.Kind_KIND_DIFF, zab.Trunc: zabpb.Kind_KIND_TRUNC, zab.Snap: zabpb.Kind_KIND_SNAP,
	zab.SnapChunk: zabpb.Kind_KIND_SNAPCHUNK, zab.Proposal: zabpb.Kind_KIND_PROPOSAL,
	zab.Inform: zabpb.Kind_KIND_INFORM, zab.Commit: zabpb.Kind_KIND_COMMIT,
	zab.NewLeader: zabpb.Kind_KIND_NEWLEADER, zab.Ack: zabpb.Kind_KIND_ACK,
	zab.UpToDate: zabpb.Kind_KIND_UPTODATE, zab.Ping: zabpb.Kind_KIND_PING,
	zab.Touch: zabpb.Kind_KIND_TOUCH, zab.Request: zabpb.Kind_KIND_REQUEST,
	zab.Sync: zabpb.Kind_KIND_SYNC, zab.Revalidate: zabpb.Kind_KIND_REVALIDATE,
}

// kinds is the inverse of wireKinds; KindInvalid where a number means nothing.
var kinds = [...]zab.Kind{
	zabpb.Kind_KIND_REQUEST: zab.Request, zabpb.Kind_KIND_PROPOSAL: zab.Proposal,
	zabpb.Kind_KIND_ACK: zab.Ack, zabpb.Kind_KIND_COMMIT: zab.Commit, zabpb.Kind_KIND_PING: zab.Ping,
	zabpb.Kind_KIND_REVALIDATE: zab.Revalidate, zabpb.Kind_KIND_SYNC: zab.Sync,
	zabpb.Kind_KIND_INFORM: zab.Inform, zabpb.Kind_KIND_NEWLEADER: zab.NewLeader,
	zabpb.Kind_KIND_FOLLOWERINFO: zab.FollowerInfo, zabpb.Kind_KIND_UPTODATE: zab.UpToDate,
	zabpb.Kind_KIND_DIFF: zab.Diff, zabpb.Kind_KIND_TRUNC: zab.Trunc, zabpb.Kind_KIND_SNAP: zab.Snap,
	zabpb.Kind_KIND_OBSERVERINFO: zab.ObserverInfo, zabpb.Kind_KIND_LEADERINFO: zab.LeaderInfo,
	zabpb.Kind_KIND_ACKEPOCH: zab.AckEpoch, zabpb.Kind_KIND_SNAPCHUNK: zab.SnapChunk,
	zabpb.Kind_KIND_TOUCH: zab.Touch,
}

// Smallest encodings of the elements of repeated fields, tag and length included. A
// count that the bytes at hand cannot hold is refused before anything is allocated.
const (
	minEntry = 2 + 9 // its zxid is never 0
	minRun   = 2 + 2 // it has at least one transaction
	minKnown = 2
)

// AppendMessage appends the encoding of m, whose kind must be valid, to dst.
func AppendMessage(dst []byte, m *zab.Message) []byte {
	if !m.Kind.Valid() {
		panic("peerwire: message of kind " + m.Kind.String())
	}
	dst = appendUint(dst, 1, uint64(wireKinds[m.Kind]))
	dst = appendSID(dst, 2, m.From)
	dst = appendSID(dst, 3, m.To)
	dst = appendUint(dst, 4, uint64(m.Epoch))
	dst = appendFixed(dst, 5, uint64(m.Zxid))
	dst = appendPoint(dst, 6, m.Point)
	for i := range m.Entries {
		dst = appendEntry(dst, &m.Entries[i])
	}
	dst = appendBytes(dst, 8, m.Data)
	dst = appendUint(dst, 9, m.Seq)
	dst = appendBool(dst, 10, m.Done)
	return appendIdentity(dst, m)
}

// appendIdentity appends what only the messages of discovery and some pings carry.
func appendIdentity(dst []byte, m *zab.Message) []byte {
	dst = appendID16(dst, 11, m.Cluster)
	dst = appendID16(dst, 12, m.Incarnation)
	dst = appendFixed(dst, 13, uint64(m.Config))
	dst = appendUint(dst, 14, uint64(m.Current))
	dst = appendBool(dst, 15, m.Fresh)
	dst = appendBool(dst, 16, m.NeedSnap)
	dst = appendBool(dst, 17, m.Untrusted)
	dst = appendSummary(dst, 18, &m.History)
	for _, k := range m.Known {
		n := sizeUint(1, zigzag(k.SID)) + sizeID16(2, k.Incarnation) +
			sizeUint(3, protowire.EncodeBool(k.Gone)) + sizeFixed(4, uint64(k.Noted)) + sizeFixed(5, uint64(k.Acked))
		dst = appendHead(dst, 19, n)
		dst = appendSID(dst, 1, k.SID)
		dst = appendID16(dst, 2, k.Incarnation)
		dst = appendBool(dst, 3, k.Gone)
		dst = appendFixed(dst, 4, uint64(k.Noted))
		dst = appendFixed(dst, 5, uint64(k.Acked))
	}
	return appendReconfig(dst, m)
}

func appendEntry(dst []byte, e *zab.Entry) []byte {
	n := sizeFixed(1, uint64(e.ID)) + sizeFixed(2, uint64(e.Prev)) + sizeFixed(3, e.Hash)
	if len(e.Data) > 0 {
		n += protowire.SizeTag(4) + protowire.SizeBytes(len(e.Data))
	}
	dst = appendHead(dst, 7, n)
	dst = appendFixed(dst, 1, uint64(e.ID))
	dst = appendFixed(dst, 2, uint64(e.Prev))
	dst = appendFixed(dst, 3, e.Hash)
	return appendBytes(dst, 4, e.Data)
}

func sizePoint(p zxid.Point) int { return sizeFixed(1, uint64(p.ID)) + sizeFixed(2, p.Hash) }

func appendPoint(dst []byte, num protowire.Number, p zxid.Point) []byte {
	if p == (zxid.Point{}) {
		return dst
	}
	dst = appendHead(dst, num, sizePoint(p))
	dst = appendFixed(dst, 1, uint64(p.ID))
	return appendFixed(dst, 2, p.Hash)
}

func sizeRun(r zab.Run) int {
	return sizeUint(1, uint64(r.Epoch)) + sizeUint(2, uint64(r.Last)) + sizeFixed(3, r.Hash)
}

func appendSummary(dst []byte, num protowire.Number, s *zab.Summary) []byte {
	n := 0
	if s.Base != (zxid.Point{}) {
		n += protowire.SizeTag(1) + protowire.SizeBytes(sizePoint(s.Base))
	}
	for _, run := range s.Runs {
		n += protowire.SizeTag(2) + protowire.SizeBytes(sizeRun(run))
	}
	if n == 0 {
		return dst
	}
	dst = appendHead(dst, num, n)
	dst = appendPoint(dst, 1, s.Base)
	for _, run := range s.Runs {
		dst = appendHead(dst, 2, sizeRun(run))
		dst = appendUint(dst, 1, uint64(run.Epoch))
		dst = appendUint(dst, 2, uint64(run.Last))
		dst = appendFixed(dst, 3, run.Hash)
	}
	return dst
}

// Aliases reports whether a decoded message refers to the bytes that it was decoded
// from; if not, these may be reused.
func Aliases(m *zab.Message) bool { return m.Data != nil || m.Entries != nil }

// DecodeMessage reads one message, all of b. Data of the message and of its entries
// aliases b.
func DecodeMessage(b []byte) (zab.Message, error) {
	var m zab.Message
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			m.Kind = r.kind()
		case 2:
			m.From = r.sid(0)
		case 3:
			m.To = r.sid(0)
		case 4:
			m.Epoch = r.epoch()
		case 5:
			m.Zxid = zxid.ID(r.fixed())
		case 6:
			r.point(&m.Point)
		case 7:
			if m.Entries == nil {
				m.Entries = make([]zab.Entry, 0, r.count(minEntry))
			}
			m.Entries = append(m.Entries, r.entry())
		case 8:
			m.Data = r.bytes()
		case 9:
			m.Seq = r.uint(1<<64 - 1)
		case 10:
			m.Done = r.bool()
		default:
			r.identity(&m)
		}
	}
	if r.err == nil {
		r.check(&m)
	}
	if r.err != nil {
		return zab.Message{}, r.err
	}
	return m, nil
}

// identity reads a field that only the messages of discovery and some pings carry.
func (r *reader) identity(m *zab.Message) {
	switch r.num {
	case 11:
		m.Cluster = r.id16()
	case 12:
		m.Incarnation = r.id16()
	case 13:
		m.Config = zxid.ID(r.fixed())
	case 14:
		m.Current = r.epoch()
	case 15:
		m.Fresh = r.bool()
	case 16:
		m.NeedSnap = r.bool()
	case 17:
		m.Untrusted = r.bool()
	case 18:
		r.summary(&m.History)
	case 19:
		if m.Known == nil {
			m.Known = make([]zab.Known, 0, min(r.count(minKnown), int(quorum.MaxSID)+1))
		}
		m.Known = append(m.Known, r.known())
		if len(m.Known) > int(quorum.MaxSID)+1 {
			r.fail("more incarnations than servers")
		}
	default:
		r.reconfig(m)
	}
}

// check refuses what the roles would have to distrust: they search runs and
// incarnations, and rely on their order.
func (r *reader) check(m *zab.Message) {
	if m.Kind == zab.KindInvalid {
		r.fail("message without a kind")
	}
	if c, s := m.Membership.Committed, m.Membership.Seen; s != nil && (c == nil || s.Version() < c.Version()) {
		r.fail("a configuration was seen before one was committed")
		return
	}
	if m.Membership.Seen == nil {
		m.Membership.Seen = m.Membership.Committed
	}
	last := m.History.Base.ID
	for i, run := range m.History.Runs {
		id := run.Point().ID
		if id <= last || run.Last == 0 || i > 0 && run.Epoch == last.Epoch() {
			r.fail("runs of the history do not ascend")
			return
		}
		last = id
	}
	for i := range m.Known {
		if m.Known[i].Noted < 0 || m.Known[i].Acked < 0 {
			r.fail("a note before all others")
			return
		}
		if i > 0 && m.Known[i].SID <= m.Known[i-1].SID {
			r.fail("incarnations do not ascend by server id")
			return
		}
	}
}

func (r *reader) kind() zab.Kind {
	v := r.uint(uint64(len(kinds) - 1))
	if r.err == nil && kinds[v] == zab.KindInvalid {
		r.fail("unknown kind of message")
	}
	if r.err != nil {
		return zab.KindInvalid
	}
	return kinds[v]
}

func (r *reader) point(p *zxid.Point) {
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			p.ID = zxid.ID(sub.fixed())
		case 2:
			p.Hash = sub.fixed()
		default:
			sub.skip()
		}
	}
	r.join(&sub)
}

func (r *reader) entry() zab.Entry {
	var e zab.Entry
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			e.ID = zxid.ID(sub.fixed())
		case 2:
			e.Prev = zxid.ID(sub.fixed())
		case 3:
			e.Hash = sub.fixed()
		case 4:
			e.Data = sub.bytes()
		default:
			sub.skip()
		}
	}
	if sub.err == nil && e.ID == 0 {
		sub.fail("entry without a zxid")
	}
	r.join(&sub)
	return e
}

func (r *reader) summary(s *zab.Summary) {
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			sub.point(&s.Base)
		case 2:
			if s.Runs == nil {
				s.Runs = make([]zab.Run, 0, sub.count(minRun))
			}
			s.Runs = append(s.Runs, sub.run())
		default:
			sub.skip()
		}
	}
	r.join(&sub)
}

func (r *reader) run() zab.Run {
	var run zab.Run
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			run.Epoch = sub.epoch()
		case 2:
			run.Last = zxid.Counter(sub.uint(1<<32 - 1))
		case 3:
			run.Hash = sub.fixed()
		default:
			sub.skip()
		}
	}
	r.join(&sub)
	return run
}

func (r *reader) known() zab.Known {
	var k zab.Known
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			k.SID = sub.sid(0)
		case 2:
			k.Incarnation = sub.id16()
		case 3:
			k.Gone = sub.bool()
		case 4:
			k.Noted = zxid.ID(sub.fixed())
		case 5:
			k.Acked = zxid.ID(sub.fixed())
		default:
			sub.skip()
		}
	}
	r.join(&sub)
	return k
}
