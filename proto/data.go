package proto

import (
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ID is an identity under an authentication scheme: ("world", "anyone"),
// ("digest", "user:hash"), ("ip", "10.0.0.0/8").
type ID struct {
	Scheme string
	ID     string
}

// Append implements Appender.
func (id ID) Append(dst []byte) []byte {
	return jute.AppendString(jute.AppendString(dst, id.Scheme), id.ID)
}

// Decode implements Record. Null strings become empty ones.
func (id *ID) Decode(c *jute.Cursor) { id.decode(c) }

// decode is Decode; it reports whether the id was there or null. Most of all identities
// are world:anyone, for which it allocates nothing.
func (id *ID) decode(c *jute.Cursor) (present bool) {
	id.Scheme, _ = c.KnownString(worldScheme)
	id.ID, present = c.KnownString(anyoneID)
	return present
}

// ACL is one entry of an access control list: what one identity may do.
type ACL struct {
	Perms Perms
	ID    ID
}

// The identity that everyone has.
const (
	worldScheme = "world"
	anyoneID    = "anyone"
)

// WorldACL returns the list that allows perms to everyone.
func WorldACL(perms Perms) []ACL {
	return []ACL{{Perms: perms, ID: ID{Scheme: worldScheme, ID: anyoneID}}}
}

// minACL is the length of the shortest encoded ACL: perms and two lengths.
const minACL = 12

// Append implements Appender.
func (a ACL) Append(dst []byte) []byte {
	return a.ID.Append(jute.AppendInt(dst, int32(a.Perms)))
}

// Decode implements Record.
func (a *ACL) Decode(c *jute.Cursor) {
	a.Perms = Perms(c.Int())
	a.ID.Decode(c)
}

// appendACLs appends a list of ACLs; nil is the null vector.
func appendACLs(dst []byte, acl []ACL) []byte {
	if acl == nil {
		return jute.AppendNull(dst)
	}
	dst = jute.AppendCount(dst, len(acl))
	for i := range acl {
		dst = acl[i].Append(dst)
	}
	return dst
}

// decodeACLs reads a list of ACLs; the null vector is nil, an empty one is not.
func decodeACLs(c *jute.Cursor) []ACL {
	n := c.Count(minACL)
	if n < 0 || c.Err() != nil {
		return nil
	}
	acl := make([]ACL, n)
	for i := range acl {
		acl[i].Decode(c)
	}
	return acl
}

// minString is the length of the shortest encoded string: its length field.
const minString = 4

// appendStrings appends a list of strings; nil is written as an empty vector, because
// the protocol knows no null vector where it sends strings.
func appendStrings(dst []byte, list []string) []byte {
	dst = jute.AppendCount(dst, len(list))
	for _, s := range list {
		dst = jute.AppendString(dst, s)
	}
	return dst
}

// decodeStrings reads a list of strings; present is false for the null vector. An
// empty list is nil.
func decodeStrings(c *jute.Cursor) (list []string, present bool) {
	n := c.Count(minString)
	if n <= 0 {
		return nil, n == 0
	}
	list = make([]string, n)
	for i := range list {
		list[i] = c.String()
	}
	return list, true
}

// NullString is a string that may be null on the wire, in the few fields where null
// means something else than empty. The zero NullString is null.
type NullString struct {
	Value string // "" when null
	Valid bool   // not null
}

// Str returns s as a NullString that is not null.
func Str(s string) NullString { return NullString{Value: s, Valid: true} }

func (s NullString) append(dst []byte) []byte {
	if !s.Valid {
		return jute.AppendNull(dst)
	}
	return jute.AppendString(dst, s.Value)
}

func (s *NullString) decode(c *jute.Cursor) { s.Value, s.Valid = c.StringOK() }

// Stat is what ZooKeeper tells about a node.
type Stat struct {
	Czxid          zxid.ID   // transaction that created the node
	Mzxid          zxid.ID   // transaction that last changed the data
	Ctime          int64     // ms since 1970, from the leader's clock, at Czxid
	Mtime          int64     // ms since 1970, from the leader's clock, at Mzxid
	Version        int32     // number of changes of the data
	Cversion       int32     // number of changes of the set of children
	Aversion       int32     // number of changes of the ACL
	EphemeralOwner SessionID // session whose end deletes the node, 0 if none
	DataLength     int32     // bytes
	NumChildren    int32
	Pzxid          zxid.ID // transaction that last changed the set of children
}

// StatLen is the length of an encoded Stat in bytes.
const StatLen = 68

// Append implements Appender.
func (s Stat) Append(dst []byte) []byte {
	dst = jute.AppendLong(dst, int64(s.Czxid))
	dst = jute.AppendLong(dst, int64(s.Mzxid))
	dst = jute.AppendLong(dst, s.Ctime)
	dst = jute.AppendLong(dst, s.Mtime)
	dst = jute.AppendInt(dst, s.Version)
	dst = jute.AppendInt(dst, s.Cversion)
	dst = jute.AppendInt(dst, s.Aversion)
	dst = jute.AppendLong(dst, int64(s.EphemeralOwner))
	dst = jute.AppendInt(dst, s.DataLength)
	dst = jute.AppendInt(dst, s.NumChildren)
	return jute.AppendLong(dst, int64(s.Pzxid))
}

// Decode implements Record.
func (s *Stat) Decode(c *jute.Cursor) {
	s.Czxid = zxid.ID(c.Long())
	s.Mzxid = zxid.ID(c.Long())
	s.Ctime = c.Long()
	s.Mtime = c.Long()
	s.Version = c.Int()
	s.Cversion = c.Int()
	s.Aversion = c.Int()
	s.EphemeralOwner = SessionID(c.Long())
	s.DataLength = c.Int()
	s.NumChildren = c.Int()
	s.Pzxid = zxid.ID(c.Long())
}
