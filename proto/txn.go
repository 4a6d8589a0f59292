package proto

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// TxnHeader stands before every transaction.
type TxnHeader struct {
	ClientID SessionID // session that asked, 0 for the servers' own doings
	Cxid     Xid       // its xid
	Zxid     zxid.ID
	Time     int64 // ms since 1970, the leader's clock
	Type     Op    // decides the type of the body
}

// Append implements Appender.
func (h TxnHeader) Append(dst []byte) []byte {
	dst = jute.AppendLong(dst, int64(h.ClientID))
	dst = jute.AppendInt(dst, int32(h.Cxid))
	dst = jute.AppendLong(dst, int64(h.Zxid))
	dst = jute.AppendLong(dst, h.Time)
	return jute.AppendInt(dst, int32(h.Type))
}

// Decode implements Record.
func (h *TxnHeader) Decode(c *jute.Cursor) {
	h.ClientID = SessionID(c.Long())
	h.Cxid = Xid(c.Int())
	h.Zxid = zxid.ID(c.Long())
	h.Time = c.Long()
	h.Type = Op(c.Int())
}

// Txn is a transaction: what the leader decided a request comes to. It holds absolute
// results, so that applying it needs no decision.
type Txn struct {
	TxnHeader
	Body TxnBody

	// The digest of the whole tree after this transaction, as the leader computed it.
	HasDigest     bool   // the fields below are on the wire
	DigestVersion int32  // of the digest's algorithm
	Digest        uint64 // Apache's treeDigest
}

// TxnBody is the body of a transaction. Only the pointer types of this package
// implement it; TxnHeader.Type says which one it is.
type TxnBody interface {
	Record
	// fits reports whether the body belongs to a transaction of type t.
	fits(t Op) bool
}

// newTxnBody returns an empty body for type t, nil if t is no type of transaction.
func newTxnBody(t Op) TxnBody {
	switch t {
	case OpCreate, OpCreate2:
		return new(CreateTxn)
	case OpCreateContainer:
		return new(CreateContainerTxn)
	case OpCreateTTL:
		return new(CreateTTLTxn)
	case OpDelete, OpDeleteContainer:
		return new(DeleteTxn)
	case OpSetData, OpReconfig:
		return new(SetDataTxn)
	case OpSetACL:
		return new(SetACLTxn)
	case OpCheck:
		return new(CheckVersionTxn)
	case OpMulti:
		return new(MultiTxn)
	case OpCreateSession:
		return new(CreateSessionTxn)
	case OpCloseSession:
		return new(CloseSessionTxn)
	case OpError:
		return new(ErrorTxn)
	}
	return nil
}

// AppendTxn appends a transaction in Apache's layout: header, body, digest if any. It
// panics if the body does not belong to the header's type, for such bytes could
// never be read again.
func AppendTxn(dst []byte, t *Txn) []byte {
	if !t.Body.fits(t.Type) || t.Type == OpCheck {
		panic(fmt.Sprintf("proto: txn %v of type %v has a body of type %T", t.Zxid, t.Type, t.Body))
	}
	dst = t.TxnHeader.Append(dst)
	dst = t.Body.Append(dst)
	if t.HasDigest {
		dst = jute.AppendInt(dst, t.DigestVersion)
		dst = jute.AppendLong(dst, int64(t.Digest))
	}
	return dst
}

// digestLen is the length of the digest behind a transaction.
const digestLen = 12

// DecodeTxn reads a transaction. Buffers in the result alias b, which must not change as
// long as the result lives; strings are copies. The error matches jute.ErrMalformed.
func DecodeTxn(b []byte) (Txn, error) {
	var t Txn
	c := jute.NewCursor(b)
	t.TxnHeader.Decode(&c)
	if c.Err() == nil {
		t.Body = decodeTxnBody(&c, t.Type)
	}
	if c.Err() == nil && c.Remaining() >= digestLen {
		t.HasDigest = true
		t.DigestVersion = c.Int()
		t.Digest = uint64(c.Long())
	}
	if err := c.Err(); err != nil {
		return Txn{}, fmt.Errorf("proto: txn %v of type %v: %w", t.Zxid, t.Type, err)
	}
	return t, nil
}

func decodeTxnBody(c *jute.Cursor, t Op) TxnBody {
	body := newTxnBody(t)
	if body == nil || t == OpCheck {
		c.Fail("no transaction has this type")
		return nil
	}
	decodeBody(body, c)
	return body
}

// decodeBody is body.Decode(c), spelled out for the same reason as decodeRequest.
func decodeBody(body TxnBody, c *jute.Cursor) {
	switch b := body.(type) {
	case *CreateTxn:
		b.Decode(c)
	case *CreateContainerTxn:
		b.Decode(c)
	case *CreateTTLTxn:
		b.Decode(c)
	case *DeleteTxn:
		b.Decode(c)
	case *SetDataTxn:
		b.Decode(c)
	case *SetACLTxn:
		b.Decode(c)
	case *CheckVersionTxn:
		b.Decode(c)
	case *MultiTxn:
		b.Decode(c)
	case *CreateSessionTxn:
		b.Decode(c)
	case *CloseSessionTxn:
		b.Decode(c)
	case *ErrorTxn:
		b.Decode(c)
	default:
		panic(fmt.Sprintf("proto: no decoder for %T", body))
	}
}
