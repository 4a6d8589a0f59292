package proto

import "github.com/zabkeeper/zabkeeper/proto/jute"

// CreateResponse is the body of a create reply.
type CreateResponse struct {
	Path string // final, with the sequence number if any
}

// Append implements Appender.
func (r CreateResponse) Append(dst []byte) []byte { return jute.AppendString(dst, r.Path) }

// Decode implements Record.
func (r *CreateResponse) Decode(c *jute.Cursor) { r.Path = c.String() }

// Create2Response is the body of a create2, createContainer or createTTL reply.
type Create2Response struct {
	Path string // final, with the sequence number if any
	Stat Stat   // of the new node
}

// Append implements Appender.
func (r Create2Response) Append(dst []byte) []byte {
	return r.Stat.Append(jute.AppendString(dst, r.Path))
}

// Decode implements Record.
func (r *Create2Response) Decode(c *jute.Cursor) {
	r.Path = c.String()
	r.Stat.Decode(c)
}

// StatResponse is the body of an exists, setData or setACL reply.
type StatResponse struct {
	Stat Stat
}

// Append implements Appender.
func (r StatResponse) Append(dst []byte) []byte { return r.Stat.Append(dst) }

// Decode implements Record.
func (r *StatResponse) Decode(c *jute.Cursor) { r.Stat.Decode(c) }

// GetDataResponse is the body of a getData or reconfig reply.
type GetDataResponse struct {
	Data []byte // nil is null
	Stat Stat
}

// Append implements Appender.
func (r GetDataResponse) Append(dst []byte) []byte {
	return r.Stat.Append(jute.AppendBuffer(dst, r.Data))
}

// Decode implements Record. Data aliases the input.
func (r *GetDataResponse) Decode(c *jute.Cursor) {
	r.Data = c.Buffer()
	r.Stat.Decode(c)
}

// GetACLResponse is the body of a getACL reply.
type GetACLResponse struct {
	ACL  []ACL // nil is null
	Stat Stat
}

// Append implements Appender.
func (r GetACLResponse) Append(dst []byte) []byte {
	return r.Stat.Append(appendACLs(dst, r.ACL))
}

// Decode implements Record.
func (r *GetACLResponse) Decode(c *jute.Cursor) {
	r.ACL = decodeACLs(c)
	r.Stat.Decode(c)
}

// GetChildrenResponse is the body of a getChildren reply.
type GetChildrenResponse struct {
	Children []string // names without the parent's path, in no promised order
}

// Append implements Appender. Nil is written as the empty list.
func (r GetChildrenResponse) Append(dst []byte) []byte { return appendStrings(dst, r.Children) }

// Decode implements Record. An empty list becomes nil.
func (r *GetChildrenResponse) Decode(c *jute.Cursor) { r.Children, _ = decodeStrings(c) }

// GetChildren2Response is the body of a getChildren2 reply.
type GetChildren2Response struct {
	Children []string // names without the parent's path, in no promised order
	Stat     Stat     // of the parent
}

// Append implements Appender. Nil is written as the empty list.
func (r GetChildren2Response) Append(dst []byte) []byte {
	return r.Stat.Append(appendStrings(dst, r.Children))
}

// Decode implements Record. An empty list becomes nil.
func (r *GetChildren2Response) Decode(c *jute.Cursor) {
	r.Children, _ = decodeStrings(c)
	r.Stat.Decode(c)
}

// SyncResponse is the body of a sync reply: the path of the request, echoed.
type SyncResponse struct {
	Path NullString
}

// Append implements Appender.
func (r SyncResponse) Append(dst []byte) []byte { return r.Path.append(dst) }

// Decode implements Record.
func (r *SyncResponse) Decode(c *jute.Cursor) { r.Path.decode(c) }

// GetAllChildrenNumberResponse is the body of a getAllChildrenNumber reply.
type GetAllChildrenNumberResponse struct {
	TotalNumber int32
}

// Append implements Appender.
func (r GetAllChildrenNumberResponse) Append(dst []byte) []byte {
	return jute.AppendInt(dst, r.TotalNumber)
}

// Decode implements Record.
func (r *GetAllChildrenNumberResponse) Decode(c *jute.Cursor) { r.TotalNumber = c.Int() }

// GetEphemeralsResponse is the body of a getEphemerals reply.
type GetEphemeralsResponse struct {
	Ephemerals []string // paths, in no promised order
}

// Append implements Appender. Nil is written as the empty list.
func (r GetEphemeralsResponse) Append(dst []byte) []byte { return appendStrings(dst, r.Ephemerals) }

// Decode implements Record. An empty list becomes nil.
func (r *GetEphemeralsResponse) Decode(c *jute.Cursor) { r.Ephemerals, _ = decodeStrings(c) }

// ClientInfo is one identity in a whoAmI reply.
type ClientInfo struct {
	AuthScheme string
	User       string
}

// minClientInfo is the length of the shortest encoded ClientInfo: two lengths.
const minClientInfo = 8

// Append implements Appender.
func (r ClientInfo) Append(dst []byte) []byte {
	return jute.AppendString(jute.AppendString(dst, r.AuthScheme), r.User)
}

// Decode implements Record.
func (r *ClientInfo) Decode(c *jute.Cursor) {
	r.AuthScheme = c.String()
	r.User = c.String()
}

// WhoAmIResponse is the body of a whoAmI reply: the identities of the connection.
type WhoAmIResponse struct {
	ClientInfo []ClientInfo
}

// Append implements Appender. Nil is written as the empty list.
func (r WhoAmIResponse) Append(dst []byte) []byte {
	dst = jute.AppendCount(dst, len(r.ClientInfo))
	for _, info := range r.ClientInfo {
		dst = info.Append(dst)
	}
	return dst
}

// Decode implements Record. An empty list becomes nil.
func (r *WhoAmIResponse) Decode(c *jute.Cursor) {
	r.ClientInfo = nil
	n := c.Count(minClientInfo)
	if n <= 0 {
		return
	}
	r.ClientInfo = make([]ClientInfo, n)
	for i := range r.ClientInfo {
		r.ClientInfo[i].Decode(c)
	}
}
