package proto

import (
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// RequestHeader stands before every request but the first.
type RequestHeader struct {
	Xid Xid
	Op  Op
}

// Append implements Appender.
func (h RequestHeader) Append(dst []byte) []byte {
	return jute.AppendInt(jute.AppendInt(dst, int32(h.Xid)), int32(h.Op))
}

// Decode implements Record.
func (h *RequestHeader) Decode(c *jute.Cursor) {
	h.Xid = Xid(c.Int())
	h.Op = Op(c.Int())
}

// ReplyHeader stands before every reply and every notification.
type ReplyHeader struct {
	Xid  Xid
	Zxid zxid.ID // the state that the answer was computed from (spec client-protocol 5.1)
	Err  Code    // if not CodeOK there is no body
}

// Append implements Appender.
func (h ReplyHeader) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, int32(h.Xid))
	dst = jute.AppendLong(dst, int64(h.Zxid))
	return jute.AppendInt(dst, int32(h.Err))
}

// Decode implements Record.
func (h *ReplyHeader) Decode(c *jute.Cursor) {
	h.Xid = Xid(c.Int())
	h.Zxid = zxid.ID(c.Long())
	h.Err = Code(c.Int())
}

// ErrorResponse is the body of an addWatch reply (always CodeOK) and of an error inside
// a multi reply.
type ErrorResponse struct {
	Err Code
}

// Append implements Appender.
func (r ErrorResponse) Append(dst []byte) []byte { return jute.AppendInt(dst, int32(r.Err)) }

// Decode implements Record.
func (r *ErrorResponse) Decode(c *jute.Cursor) { r.Err = Code(c.Int()) }

// WatcherEvent is the body of a notification.
type WatcherEvent struct {
	Type  EventType
	State EventState // from a server always StateSyncConnected
	Path  string     // absolute, as the server sees it
}

// Append implements Appender.
func (e WatcherEvent) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, int32(e.Type))
	dst = jute.AppendInt(dst, int32(e.State))
	return jute.AppendString(dst, e.Path)
}

// Decode implements Record.
func (e *WatcherEvent) Decode(c *jute.Cursor) {
	e.Type = EventType(c.Int())
	e.State = EventState(c.Int())
	e.Path = c.String()
}
