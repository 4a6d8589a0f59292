package proto

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// CreateTxn makes a persistent or an ephemeral node.
type CreateTxn struct {
	Path           string // final
	Data           []byte // nil is null
	ACL            []ACL  // final; nil is null
	Ephemeral      bool   // owned by the header's ClientID
	ParentCVersion int32  // the parent's creation counter after this
}

// Append implements Appender.
func (t CreateTxn) Append(dst []byte) []byte {
	dst = appendNewNode(dst, t.Path, t.Data, t.ACL)
	dst = jute.AppendBool(dst, t.Ephemeral)
	return jute.AppendInt(dst, t.ParentCVersion)
}

// Decode implements Record.
func (t *CreateTxn) Decode(c *jute.Cursor) {
	t.Path, t.Data, t.ACL = decodeNewNode(c)
	t.Ephemeral = c.Bool()
	t.ParentCVersion = c.Int()
}

func (*CreateTxn) fits(t Op) bool { return t == OpCreate || t == OpCreate2 }

// CreateContainerTxn makes a container node.
type CreateContainerTxn struct {
	Path           string
	Data           []byte // nil is null
	ACL            []ACL  // nil is null
	ParentCVersion int32
}

// Append implements Appender.
func (t CreateContainerTxn) Append(dst []byte) []byte {
	return jute.AppendInt(appendNewNode(dst, t.Path, t.Data, t.ACL), t.ParentCVersion)
}

// Decode implements Record.
func (t *CreateContainerTxn) Decode(c *jute.Cursor) {
	t.Path, t.Data, t.ACL = decodeNewNode(c)
	t.ParentCVersion = c.Int()
}

func (*CreateContainerTxn) fits(t Op) bool { return t == OpCreateContainer }

// CreateTTLTxn makes a TTL node.
type CreateTTLTxn struct {
	Path           string
	Data           []byte // nil is null
	ACL            []ACL  // nil is null
	ParentCVersion int32
	TTL            int64 // ms
}

// Append implements Appender.
func (t CreateTTLTxn) Append(dst []byte) []byte {
	dst = jute.AppendInt(appendNewNode(dst, t.Path, t.Data, t.ACL), t.ParentCVersion)
	return jute.AppendLong(dst, t.TTL)
}

// Decode implements Record.
func (t *CreateTTLTxn) Decode(c *jute.Cursor) {
	t.Path, t.Data, t.ACL = decodeNewNode(c)
	t.ParentCVersion = c.Int()
	t.TTL = c.Long()
}

func (*CreateTTLTxn) fits(t Op) bool { return t == OpCreateTTL }

// appendNewNode appends the fields that all creations begin with.
func appendNewNode(dst []byte, path string, data []byte, acl []ACL) []byte {
	dst = jute.AppendString(dst, path)
	dst = jute.AppendBuffer(dst, data)
	return appendACLs(dst, acl)
}

func decodeNewNode(c *jute.Cursor) (path string, data []byte, acl []ACL) {
	path = c.String()
	data = c.Buffer()
	return path, data, decodeACLs(c)
}

// DeleteTxn removes a node.
type DeleteTxn struct {
	Path string
}

// Append implements Appender.
func (t DeleteTxn) Append(dst []byte) []byte { return jute.AppendString(dst, t.Path) }

// Decode implements Record.
func (t *DeleteTxn) Decode(c *jute.Cursor) { t.Path = c.String() }

func (*DeleteTxn) fits(t Op) bool { return t == OpDelete || t == OpDeleteContainer }

// SetDataTxn replaces the data of a node; as a reconfig, the configuration.
type SetDataTxn struct {
	Path    string
	Data    []byte // nil is null
	Version int32  // the data version after this
}

// Append implements Appender.
func (t SetDataTxn) Append(dst []byte) []byte {
	dst = jute.AppendString(dst, t.Path)
	dst = jute.AppendBuffer(dst, t.Data)
	return jute.AppendInt(dst, t.Version)
}

// Decode implements Record.
func (t *SetDataTxn) Decode(c *jute.Cursor) {
	t.Path = c.String()
	t.Data = c.Buffer()
	t.Version = c.Int()
}

func (*SetDataTxn) fits(t Op) bool { return t == OpSetData || t == OpReconfig }

// SetACLTxn replaces the ACL of a node.
type SetACLTxn struct {
	Path    string
	ACL     []ACL // final; nil is null
	Version int32 // the ACL version after this
}

// Append implements Appender.
func (t SetACLTxn) Append(dst []byte) []byte {
	dst = appendACLs(jute.AppendString(dst, t.Path), t.ACL)
	return jute.AppendInt(dst, t.Version)
}

// Decode implements Record.
func (t *SetACLTxn) Decode(c *jute.Cursor) {
	t.Path = c.String()
	t.ACL = decodeACLs(c)
	t.Version = c.Int()
}

func (*SetACLTxn) fits(t Op) bool { return t == OpSetACL }

// CheckVersionTxn is a check that held. It changes nothing and stands inside a
// MultiTxn alone.
type CheckVersionTxn struct {
	Path    string
	Version int32
}

// Append implements Appender.
func (t CheckVersionTxn) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendString(dst, t.Path), t.Version)
}

// Decode implements Record.
func (t *CheckVersionTxn) Decode(c *jute.Cursor) {
	t.Path = c.String()
	t.Version = c.Int()
}

func (*CheckVersionTxn) fits(t Op) bool { return t == OpCheck }

// CreateSessionTxn begins the session of the header's ClientID.
type CreateSessionTxn struct {
	TimeOut int32 // ms
}

// Append implements Appender.
func (t CreateSessionTxn) Append(dst []byte) []byte { return jute.AppendInt(dst, t.TimeOut) }

// Decode implements Record.
func (t *CreateSessionTxn) Decode(c *jute.Cursor) { t.TimeOut = c.Int() }

func (*CreateSessionTxn) fits(t Op) bool { return t == OpCreateSession }

// CloseSessionTxn ends the session of the header's ClientID.
type CloseSessionTxn struct {
	Paths []string // its ephemeral nodes, which go with it
}

// Append implements Appender. Nil is written as the empty list.
func (t CloseSessionTxn) Append(dst []byte) []byte { return appendStrings(dst, t.Paths) }

// Decode implements Record. No bytes at all, as Apache servers before 3.6 wrote them, and
// an empty list become nil.
func (t *CloseSessionTxn) Decode(c *jute.Cursor) {
	t.Paths = nil
	if c.Remaining() > 0 {
		t.Paths, _ = decodeStrings(c)
	}
}

func (*CloseSessionTxn) fits(t Op) bool { return t == OpCloseSession }

// ErrorTxn is a refused request: it changes nothing but takes its place in history.
type ErrorTxn struct {
	Err Code
}

// Append implements Appender.
func (t ErrorTxn) Append(dst []byte) []byte { return jute.AppendInt(dst, int32(t.Err)) }

// Decode implements Record.
func (t *ErrorTxn) Decode(c *jute.Cursor) { t.Err = Code(c.Int()) }

func (*ErrorTxn) fits(t Op) bool { return t == OpError }

// SubTxn is one operation of a MultiTxn.
type SubTxn struct {
	Type Op
	Body TxnBody
}

// MultiTxn is a multi: all operations succeeded, or all are of type OpError.
type MultiTxn struct {
	Txns []SubTxn
}

// minSubTxn is the length of the shortest encoded SubTxn: type and length.
const minSubTxn = 8

// Append implements Appender. It panics if a body does not belong to its type.
func (t MultiTxn) Append(dst []byte) []byte {
	dst = jute.AppendCount(dst, len(t.Txns))
	for _, sub := range t.Txns {
		if !subTxnAllowed(sub.Type) || !sub.Body.fits(sub.Type) {
			panic(fmt.Sprintf("proto: multi txn with type %v and a body of type %T", sub.Type, sub.Body))
		}
		dst = jute.AppendInt(dst, int32(sub.Type))
		var mark int
		dst, mark = BeginFrame(dst)
		dst = EndFrame(sub.Body.Append(dst), mark)
	}
	return dst
}

// Decode implements Record. Bytes left over in an operation are ignored.
func (t *MultiTxn) Decode(c *jute.Cursor) {
	t.Txns = nil
	n := c.Count(minSubTxn)
	if n <= 0 {
		return
	}
	t.Txns = make([]SubTxn, n)
	for i := range t.Txns {
		sub := &t.Txns[i]
		sub.Type = Op(c.Int())
		data := jute.NewCursor(c.Buffer())
		if c.Err() != nil {
			return
		}
		if !subTxnAllowed(sub.Type) {
			c.Fail(fmt.Sprintf("%v inside a multi txn", sub.Type))
			return
		}
		sub.Body = newTxnBody(sub.Type)
		decodeBody(sub.Body, &data)
		if data.Err() != nil {
			c.Fail(fmt.Sprintf("operation %d of a multi txn is no %v", i, sub.Type))
			return
		}
	}
}

func (*MultiTxn) fits(t Op) bool { return t == OpMulti }

// subTxnAllowed reports whether t may stand inside a MultiTxn.
func subTxnAllowed(t Op) bool {
	return t.IsCreate() || t == OpDelete || t == OpDeleteContainer || t == OpSetData ||
		t == OpCheck || t == OpError
}
