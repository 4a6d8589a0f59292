package zktest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// raw is a client that says exactly what it is told to: go-zookeeper asks for no read-only sessions
// and hides what becomes of its own.
type raw struct {
	nc  net.Conn
	res proto.ConnectResponse
	xid proto.Xid
}

// errRefused is what a server says about a session that is gone.
var errRefused = errors.New("the session is refused")

// dialRaw connects and shakes hands. io.EOF means that the server closed without a byte.
func dialRaw(tb testing.TB, s *zktest.Server, req proto.ConnectRequest) (*raw, error) {
	tb.Helper()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() { nc.Close() })
	c := &raw{nc: nc}
	out, mark := proto.BeginFrame(nil)
	frame, err := c.exchange(proto.EndFrame(req.Append(out), mark))
	if err != nil {
		return nil, err
	}
	cur := jute.NewCursor(frame)
	c.res.Decode(&cur)
	if cur.Err() != nil {
		return nil, cur.Err()
	}
	if c.res.SessionID == 0 {
		return c, errRefused
	}
	return c, nil
}

// again asks a server for the session of another client.
func (c *raw) again(tb testing.TB, s *zktest.Server, readOnly bool) (*raw, error) {
	tb.Helper()
	return dialRaw(tb, s, proto.ConnectRequest{
		TimeOut: c.res.TimeOut, SessionID: c.res.SessionID, Passwd: c.res.Passwd[:], HasReadOnly: true, ReadOnly: readOnly,
	})
}

// exchange sends bytes, if there are any, and reads the next frame.
func (c *raw) exchange(b []byte) ([]byte, error) {
	if err := c.nc.SetDeadline(time.Now().Add(zktest.Patience)); err != nil {
		return nil, err
	}
	if _, err := c.nc.Write(b); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c.nc, frame)
	return frame, err
}

// call does one request and returns the body of its reply, the reply's zxid noted in header.
func (c *raw) call(op proto.Op, body proto.Appender) (proto.ReplyHeader, []byte, error) {
	c.xid++
	frame, err := c.exchange(proto.AppendRequest(nil, proto.RequestHeader{Xid: c.xid, Op: op}, body))
	if err != nil {
		return proto.ReplyHeader{}, nil, err
	}
	cur := jute.NewCursor(frame)
	var h proto.ReplyHeader
	h.Decode(&cur)
	if h.Xid != c.xid && cur.Err() == nil {
		return h, nil, fmt.Errorf("reply to %v, want %v", h.Xid, c.xid)
	}
	if cur.Err() == nil && h.Err != proto.CodeOK {
		return h, nil, h.Err
	}
	return h, cur.Rest(), cur.Err()
}

// ended waits until the server closes the connection, without another word.
func (c *raw) ended() error {
	if err := c.nc.SetDeadline(time.Now().Add(zktest.Patience)); err != nil {
		return err
	}
	if rest, err := io.ReadAll(c.nc); err != nil || len(rest) > 0 {
		return fmt.Errorf("%x and %w instead of a close", rest, err)
	}
	return nil
}

// word asks a four-letter word.
func word(s *zktest.Server, w string) (string, error) {
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(zktest.Patience)); err != nil {
		return "", err
	}
	if _, err := nc.Write([]byte(w)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(nc)
	return string(text), err
}
