package proto

import (
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ConnectRequest is the first frame of a client. It has no RequestHeader.
type ConnectRequest struct {
	ProtocolVersion int32     // 0; servers ignore it
	LastZxidSeen    zxid.ID   // the newest state the client has seen
	TimeOut         int32     // wanted session timeout in ms; any value, the server clamps it
	SessionID       SessionID // 0 asks for a new session
	Passwd          []byte    // of the session to renew; otherwise ignored, may be nil
	ReadOnly        bool      // the client accepts a read-only server
	HasReadOnly     bool      // the ReadOnly byte is on the wire; old clients leave it out
}

// Append implements Appender.
func (r ConnectRequest) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, r.ProtocolVersion)
	dst = jute.AppendLong(dst, int64(r.LastZxidSeen))
	dst = jute.AppendInt(dst, r.TimeOut)
	dst = jute.AppendLong(dst, int64(r.SessionID))
	dst = jute.AppendBuffer(dst, r.Passwd)
	if r.HasReadOnly {
		dst = jute.AppendBool(dst, r.ReadOnly)
	}
	return dst
}

// Decode implements Record. Passwd aliases the input.
func (r *ConnectRequest) Decode(c *jute.Cursor) {
	r.ProtocolVersion = c.Int()
	r.LastZxidSeen = zxid.ID(c.Long())
	r.TimeOut = c.Int()
	r.SessionID = SessionID(c.Long())
	r.Passwd = c.Buffer()
	r.HasReadOnly = c.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && c.Bool()
}

// ConnectResponse answers a ConnectRequest. It has no ReplyHeader. A refusal of a
// session is RefusedSession.
type ConnectResponse struct {
	ProtocolVersion int32             // 0
	TimeOut         int32             // negotiated session timeout in ms
	SessionID       SessionID         // the session
	Passwd          [PasswordLen]byte // its password
	ReadOnly        bool              // the server is in read-only mode
	HasReadOnly     bool              // the request had the byte, so the response has it too
}

// RefusedSession returns the answer to a client whose session is expired, unknown or
// claimed with a wrong password: zeros where clients look for success. hasReadOnly is
// taken from the request.
func RefusedSession(hasReadOnly, readOnly bool) ConnectResponse {
	return ConnectResponse{HasReadOnly: hasReadOnly, ReadOnly: readOnly}
}

// Append implements Appender.
func (r ConnectResponse) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, r.ProtocolVersion)
	dst = jute.AppendInt(dst, r.TimeOut)
	dst = jute.AppendLong(dst, int64(r.SessionID))
	dst = jute.AppendBuffer(dst, r.Passwd[:])
	if r.HasReadOnly {
		dst = jute.AppendBool(dst, r.ReadOnly)
	}
	return dst
}

// Decode implements Record. A password of any length but 16 is an error.
func (r *ConnectResponse) Decode(c *jute.Cursor) {
	r.ProtocolVersion = c.Int()
	r.TimeOut = c.Int()
	r.SessionID = SessionID(c.Long())
	passwd := c.Buffer()
	if len(passwd) != PasswordLen {
		c.Fail("session password is not 16 bytes long")
	}
	r.Passwd = [PasswordLen]byte{}
	copy(r.Passwd[:], passwd)
	r.HasReadOnly = c.Remaining() > 0
	r.ReadOnly = r.HasReadOnly && c.Bool()
}
