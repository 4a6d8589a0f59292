package proto

import (
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// CreateRequest is the body of create, create2 and createContainer.
type CreateRequest struct {
	Path string
	Data []byte     // nil is null
	ACL  []ACL      // nil is null
	Mode CreateMode // any number; the tree refuses what is not Valid
}

// Append implements Appender.
func (r CreateRequest) Append(dst []byte) []byte {
	dst = jute.AppendString(dst, r.Path)
	dst = jute.AppendBuffer(dst, r.Data)
	dst = appendACLs(dst, r.ACL)
	return jute.AppendInt(dst, int32(r.Mode))
}

// Decode implements Record. A null path is an error.
func (r *CreateRequest) Decode(c *jute.Cursor) {
	r.Path = decodePath(c)
	r.Data = c.Buffer()
	r.ACL = decodeRequestACLs(c)
	r.Mode = CreateMode(c.Int())
}

// CreateTTLRequest is the body of createTTL.
type CreateTTLRequest struct {
	Path string
	Data []byte // nil is null
	ACL  []ACL  // nil is null
	Mode CreateMode
	TTL  int64 // ms
}

// Append implements Appender.
func (r CreateTTLRequest) Append(dst []byte) []byte {
	dst = jute.AppendString(dst, r.Path)
	dst = jute.AppendBuffer(dst, r.Data)
	dst = appendACLs(dst, r.ACL)
	dst = jute.AppendInt(dst, int32(r.Mode))
	return jute.AppendLong(dst, r.TTL)
}

// Decode implements Record. A null path is an error.
func (r *CreateTTLRequest) Decode(c *jute.Cursor) {
	r.Path = decodePath(c)
	r.Data = c.Buffer()
	r.ACL = decodeRequestACLs(c)
	r.Mode = CreateMode(c.Int())
	r.TTL = c.Long()
}

// DeleteRequest is the body of delete.
type DeleteRequest struct {
	Path    string
	Version int32 // expected data version, or AnyVersion
}

// Append implements Appender.
func (r DeleteRequest) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendString(dst, r.Path), r.Version)
}

// Decode implements Record. A null path is an error.
func (r *DeleteRequest) Decode(c *jute.Cursor) {
	r.Path = decodePath(c)
	r.Version = c.Int()
}

// DeleteContainerRequest asks the leader to remove a container or TTL node that has outlived
// its use. Servers make it up; clients may not send it.
type DeleteContainerRequest struct {
	Path string
}

// Append implements Appender.
func (r DeleteContainerRequest) Append(dst []byte) []byte { return jute.AppendString(dst, r.Path) }

// Decode implements Record. A null path is an error.
func (r *DeleteContainerRequest) Decode(c *jute.Cursor) { r.Path = decodePath(c) }

// SetDataRequest is the body of setData.
type SetDataRequest struct {
	Path    string // null reads as "", which is refused alike
	Data    []byte // nil is null
	Version int32  // expected data version, or AnyVersion
}

// Append implements Appender.
func (r SetDataRequest) Append(dst []byte) []byte {
	dst = jute.AppendString(dst, r.Path)
	dst = jute.AppendBuffer(dst, r.Data)
	return jute.AppendInt(dst, r.Version)
}

// Decode implements Record.
func (r *SetDataRequest) Decode(c *jute.Cursor) {
	r.Path = c.String()
	r.Data = c.Buffer()
	r.Version = c.Int()
}

// SetACLRequest is the body of setACL.
type SetACLRequest struct {
	Path    string // null reads as "", which is refused alike
	ACL     []ACL  // nil is null
	Version int32  // expected ACL version, or AnyVersion
}

// Append implements Appender.
func (r SetACLRequest) Append(dst []byte) []byte {
	dst = jute.AppendString(dst, r.Path)
	dst = appendACLs(dst, r.ACL)
	return jute.AppendInt(dst, r.Version)
}

// Decode implements Record.
func (r *SetACLRequest) Decode(c *jute.Cursor) {
	r.Path = c.String()
	r.ACL = decodeRequestACLs(c)
	r.Version = c.Int()
}

// CheckVersionRequest is the body of check, which exists inside a multi alone.
type CheckVersionRequest struct {
	Path    string
	Version int32 // expected data version, or AnyVersion
}

// Append implements Appender.
func (r CheckVersionRequest) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendString(dst, r.Path), r.Version)
}

// Decode implements Record. A null path is an error.
func (r *CheckVersionRequest) Decode(c *jute.Cursor) {
	r.Path = decodePath(c)
	r.Version = c.Int()
}

// ReconfigRequest is the body of reconfig (spec semantics 12.3).
type ReconfigRequest struct {
	JoiningServers NullString
	LeavingServers NullString
	NewMembers     NullString // not null: replaces the whole membership
	CurConfigID    zxid.ID    // expected version of the configuration, or -1
}

// Append implements Appender.
func (r ReconfigRequest) Append(dst []byte) []byte {
	dst = r.JoiningServers.append(dst)
	dst = r.LeavingServers.append(dst)
	dst = r.NewMembers.append(dst)
	return jute.AppendLong(dst, int64(r.CurConfigID))
}

// Decode implements Record.
func (r *ReconfigRequest) Decode(c *jute.Cursor) {
	r.JoiningServers.decode(c)
	r.LeavingServers.decode(c)
	r.NewMembers.decode(c)
	r.CurConfigID = zxid.ID(c.Long())
}

// decodeRequestACLs reads the ACL list of a request. It refuses null ids under the schemes that
// look at the id: ZooKeeper fails on them where it has the scheme, while an empty id is a text
// that it judges (spec semantics 7.3).
func decodeRequestACLs(c *jute.Cursor) []ACL {
	n := c.Count(minACL)
	if n < 0 || c.Err() != nil {
		return nil
	}
	acl := make([]ACL, n)
	for i := range acl {
		a := &acl[i]
		a.Perms = Perms(c.Int())
		if present := a.ID.decode(c); !present && needsID(a.ID.Scheme) {
			c.Fail("null id in an ACL")
			return nil
		}
	}
	return acl
}

func needsID(scheme string) bool {
	switch scheme {
	case worldScheme, "digest", "ip", "x509", "sasl":
		return true
	}
	return false
}

func (*CreateRequest) isRequest()          {}
func (*CreateTTLRequest) isRequest()       {}
func (*DeleteRequest) isRequest()          {}
func (*DeleteContainerRequest) isRequest() {}
func (*SetDataRequest) isRequest()         {}
func (*SetACLRequest) isRequest()          {}
func (*CheckVersionRequest) isRequest()    {}
func (*ReconfigRequest) isRequest()        {}
