package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// Payloads of forwards and answers, drawn; integers are big-endian, each payload begins
// with the version of its layout:
//
//	request      1 | connection 8 | session 8 | cxid 4 | op 4 | timeout 4 | local 1 | ids | body to the end
//	ids          length 4 | count 4, then per id scheme and text as jute strings
//	sync         1 | connection 8 | request number 8
//	revalidate   1 | connection 8 | session 8 | timeout 4
//	verdict      1 | 'v' | connection 8 | session 8 | timeout 4 | alive 1
//	moved        1 | 'm' | connection 8, 0 for any | session 8
//	touch        1 | per session: session 8
//
// "connection" is the number that the client's server gave to its connection; the leader
// only hands it back. Verdicts and moved notices are answers of KindRevalidate, as are what report.go draws.
const (
	envelopeVersion = 1
	verdictAnswer   = 'v'
	movedAnswer     = 'm'
)

// errEnvelope is the root of the errors for payloads that no server of ours wrote.
var errEnvelope = errors.New("server: malformed envelope")

// envelope is a client's write on its way to the leader.
type envelope struct {
	conn    uint64
	session proto.SessionID
	cxid    proto.Xid
	op      proto.Op
	timeout int32  // createSession: ms
	local   bool   // the session is known to the client's server alone
	ids     []byte // as identity.encoded
	body    []byte // the request record as it was received
}

func (e *envelope) append(dst []byte) []byte {
	dst = append(dst, envelopeVersion)
	dst = binary.BigEndian.AppendUint64(dst, e.conn)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.session))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.cxid))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.op))
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.timeout))
	dst = jute.AppendBool(dst, e.local)
	dst = jute.AppendBuffer(dst, e.ids)
	return append(dst, e.body...)
}

// cursor returns a cursor behind the version byte.
func cursor(payload []byte) (jute.Cursor, error) {
	if len(payload) == 0 || payload[0] != envelopeVersion {
		return jute.Cursor{}, fmt.Errorf("%w: unknown version", errEnvelope)
	}
	return jute.NewCursor(payload[1:]), nil
}

func ended(c *jute.Cursor) error {
	if err := c.Err(); err != nil {
		return fmt.Errorf("%w: %w", errEnvelope, err)
	}
	return nil
}

// decodeEnvelope reads a request. Slices alias payload.
func decodeEnvelope(payload []byte) (e envelope, err error) {
	c, err := cursor(payload)
	if err != nil {
		return envelope{}, err
	}
	e.conn = uint64(c.Long())
	e.session = proto.SessionID(c.Long())
	e.cxid = proto.Xid(c.Int())
	e.op = proto.Op(c.Int())
	e.timeout = c.Int()
	e.local = c.Bool()
	e.ids = c.Buffer()
	e.body = c.Rest()
	return e, ended(&c)
}

// minID is the length of the shortest encoded identity.
const minID = 8

// decodeIDs reads what identity.encoded holds.
func decodeIDs(b []byte) ([]proto.ID, error) {
	c := jute.NewCursor(b)
	n := c.Count(minID)
	ids := make([]proto.ID, max(n, 0))
	for i := range ids {
		ids[i].Decode(&c)
	}
	return ids, ended(&c)
}

// ticket finds a request that waits for a sync.
type ticket struct{ conn, number uint64 }

func (t ticket) encode() []byte {
	dst := []byte{envelopeVersion}
	dst = binary.BigEndian.AppendUint64(dst, t.conn)
	return binary.BigEndian.AppendUint64(dst, t.number)
}

func decodeTicket(payload []byte) (t ticket, err error) {
	c, err := cursor(payload)
	if err != nil {
		return ticket{}, err
	}
	t.conn = uint64(c.Long())
	t.number = uint64(c.Long())
	return t, ended(&c)
}

// renewal asks about a session.
type renewal struct {
	conn    uint64
	session proto.SessionID
	timeout int32 // ms, negotiated
}

func (r renewal) encode() []byte {
	dst := []byte{envelopeVersion}
	dst = binary.BigEndian.AppendUint64(dst, r.conn)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.session))
	return binary.BigEndian.AppendUint32(dst, uint32(r.timeout))
}

func decodeRenewal(payload []byte) (r renewal, err error) {
	c, err := cursor(payload)
	if err != nil {
		return renewal{}, err
	}
	r.conn = uint64(c.Long())
	r.session = proto.SessionID(c.Long())
	r.timeout = c.Int()
	return r, ended(&c)
}

// notice is an answer of KindRevalidate.
type notice struct {
	renewal
	moved bool // else a verdict
	alive bool
}

func (n notice) encode() []byte {
	if n.moved {
		dst := []byte{envelopeVersion, movedAnswer}
		dst = binary.BigEndian.AppendUint64(dst, n.conn)
		return binary.BigEndian.AppendUint64(dst, uint64(n.session))
	}
	dst := []byte{envelopeVersion, verdictAnswer}
	dst = binary.BigEndian.AppendUint64(dst, n.conn)
	dst = binary.BigEndian.AppendUint64(dst, uint64(n.session))
	dst = binary.BigEndian.AppendUint32(dst, uint32(n.timeout))
	return jute.AppendBool(dst, n.alive)
}

func decodeNotice(payload []byte) (n notice, err error) {
	if len(payload) < 2 || payload[0] != envelopeVersion {
		return notice{}, fmt.Errorf("%w: unknown version", errEnvelope)
	}
	c := jute.NewCursor(payload[2:])
	n.conn = uint64(c.Long())
	n.session = proto.SessionID(c.Long())
	switch payload[1] {
	case movedAnswer:
		n.moved = true
	case verdictAnswer:
		n.timeout = c.Int()
		n.alive = c.Bool()
	default:
		c.Fail("unknown answer")
	}
	return n, ended(&c)
}

// touchesPerForward keeps one list of touches far below any limit on messages.
const touchesPerForward = math.MaxUint16

func encodeTouch(ids []proto.SessionID) []byte {
	dst := []byte{envelopeVersion}
	for _, id := range ids {
		dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	}
	return dst
}

// decodeTouch calls touch with each session of the list.
func decodeTouch(payload []byte, touch func(proto.SessionID)) error {
	c, err := cursor(payload)
	if err != nil {
		return err
	}
	if c.Remaining()%8 != 0 {
		return fmt.Errorf("%w: a list of %d bytes", errEnvelope, c.Remaining())
	}
	for c.Remaining() > 0 {
		touch(proto.SessionID(c.Long()))
	}
	return nil
}
