package proto

import (
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ReadRequest is the body of exists, getData, getChildren and getChildren2.
type ReadRequest struct {
	Path  string
	Watch bool // leave a one-shot watch
}

// Append implements Appender.
func (r ReadRequest) Append(dst []byte) []byte {
	return jute.AppendBool(jute.AppendString(dst, r.Path), r.Watch)
}

// Decode implements Record. A null path is an error.
func (r *ReadRequest) Decode(c *jute.Cursor) {
	r.Path = decodePath(c)
	r.Watch = c.Bool()
}

// PathRequest is the body of getACL and getAllChildrenNumber.
type PathRequest struct {
	Path string
}

// Append implements Appender.
func (r PathRequest) Append(dst []byte) []byte { return jute.AppendString(dst, r.Path) }

// Decode implements Record. A null path is an error.
func (r *PathRequest) Decode(c *jute.Cursor) { r.Path = decodePath(c) }

// SyncRequest is the body of sync. The path means nothing and is echoed as it came.
type SyncRequest struct {
	Path NullString
}

// Append implements Appender.
func (r SyncRequest) Append(dst []byte) []byte { return r.Path.append(dst) }

// Decode implements Record.
func (r *SyncRequest) Decode(c *jute.Cursor) { r.Path.decode(c) }

// GetEphemeralsRequest is the body of getEphemerals.
type GetEphemeralsRequest struct {
	PrefixPath string // null reads as "": all paths of the session
}

// Append implements Appender.
func (r GetEphemeralsRequest) Append(dst []byte) []byte {
	return jute.AppendString(dst, r.PrefixPath)
}

// Decode implements Record.
func (r *GetEphemeralsRequest) Decode(c *jute.Cursor) { r.PrefixPath = c.String() }

// RemoveWatchesRequest is the body of checkWatches and removeWatches.
type RemoveWatchesRequest struct {
	Path string // null reads as "", where there is no watch either
	Type WatcherType
}

// Append implements Appender.
func (r RemoveWatchesRequest) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendString(dst, r.Path), int32(r.Type))
}

// Decode implements Record.
func (r *RemoveWatchesRequest) Decode(c *jute.Cursor) {
	r.Path = c.String()
	r.Type = WatcherType(c.Int())
}

// AddWatchRequest is the body of addWatch.
type AddWatchRequest struct {
	Path string // null reads as "": accepted, and never fires
	Mode AddWatchMode
}

// Append implements Appender.
func (r AddWatchRequest) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendString(dst, r.Path), int32(r.Mode))
}

// Decode implements Record.
func (r *AddWatchRequest) Decode(c *jute.Cursor) {
	r.Path = c.String()
	r.Mode = AddWatchMode(c.Int())
}

// SetWatches is the body of setWatches: a client that reconnected sets its one-shot
// watches again.
type SetWatches struct {
	RelativeZxid zxid.ID // newest state the client has seen: later changes fire at once
	Data         []string
	Exist        []string
	Child        []string
}

// Append implements Appender. Nil lists are written as empty ones.
func (r SetWatches) Append(dst []byte) []byte {
	dst = jute.AppendLong(dst, int64(r.RelativeZxid))
	dst = appendStrings(dst, r.Data)
	dst = appendStrings(dst, r.Exist)
	return appendStrings(dst, r.Child)
}

// Decode implements Record. A null list is an error, and so is a null path in one; empty lists
// become nil.
func (r *SetWatches) Decode(c *jute.Cursor) {
	r.RelativeZxid = zxid.ID(c.Long())
	r.Data = decodePaths(c)
	r.Exist = decodePaths(c)
	r.Child = decodePaths(c)
}

// SetWatches2 is the body of setWatches2: SetWatches with the persistent kinds.
type SetWatches2 struct {
	SetWatches
	Persistent          []string
	PersistentRecursive []string
}

// Append implements Appender. Nil lists are written as empty ones.
func (r SetWatches2) Append(dst []byte) []byte {
	dst = r.SetWatches.Append(dst)
	dst = appendStrings(dst, r.Persistent)
	return appendStrings(dst, r.PersistentRecursive)
}

// Decode implements Record. A null list is an error; empty lists become nil. A null path in one of
// the persistent kinds reads as "", as in AddWatchRequest.
func (r *SetWatches2) Decode(c *jute.Cursor) {
	r.SetWatches.Decode(c)
	r.Persistent = decodeWatchList(c)
	r.PersistentRecursive = decodeWatchList(c)
}

// decodePaths reads a list in which nothing may be null.
func decodePaths(c *jute.Cursor) []string {
	n := c.Count(minString)
	if n < 0 {
		c.Fail("null list of watches")
	}
	if n <= 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = decodePath(c)
	}
	return list
}

func decodeWatchList(c *jute.Cursor) []string {
	list, present := decodeStrings(c)
	if !present {
		c.Fail("null list of watches")
	}
	return list
}

// AuthPacket is the body of auth.
type AuthPacket struct {
	Type   int32  // 0, ignored
	Scheme string // null reads as "", a scheme that does not exist either
	Auth   []byte // nil is null
}

// Append implements Appender.
func (r AuthPacket) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, r.Type)
	dst = jute.AppendString(dst, r.Scheme)
	return jute.AppendBuffer(dst, r.Auth)
}

// Decode implements Record.
func (r *AuthPacket) Decode(c *jute.Cursor) {
	r.Type = c.Int()
	r.Scheme = c.String()
	r.Auth = c.Buffer()
}

// SASLToken is the body of a sasl request and of its reply.
type SASLToken struct {
	Token []byte // nil is null
}

// Append implements Appender.
func (r SASLToken) Append(dst []byte) []byte { return jute.AppendBuffer(dst, r.Token) }

// Decode implements Record.
func (r *SASLToken) Decode(c *jute.Cursor) { r.Token = c.Buffer() }

func (*ReadRequest) isRequest()          {}
func (*PathRequest) isRequest()          {}
func (*SyncRequest) isRequest()          {}
func (*GetEphemeralsRequest) isRequest() {}
func (*RemoveWatchesRequest) isRequest() {}
func (*AddWatchRequest) isRequest()      {}
func (*SetWatches) isRequest()           {}
func (*SetWatches2) isRequest()          {}
func (*AuthPacket) isRequest()           {}
func (*SASLToken) isRequest()            {}
