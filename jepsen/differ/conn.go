package differ

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// How long a server may take. Nothing here waits for time to pass: who is silent for that long
// has not answered.
const (
	answerLimit = 20 * time.Second
	closeLimit  = 10 * time.Second
	dialLimit   = 5 * time.Second
	maxReply    = 64 << 20
)

// errSilence is the end of a wait for a frame.
var errSilence = errors.New("no answer")

// conn is one connection of a client.
type conn struct {
	nc      net.Conn
	in      *bufio.Reader
	xid     proto.Xid
	pending []Request // sent and not answered, in their order, with their xids
	closed  bool      // nothing comes any more
}

// dial connects, sends a ConnectRequest and returns the connection with the server's answer; a
// connection without an answer is closed.
func dial(addr string, hello proto.ConnectRequest) (*conn, proto.ConnectResponse, error) {
	var response proto.ConnectResponse
	nc, err := net.DialTimeout("tcp", addr, dialLimit)
	if err != nil {
		return nil, response, fmt.Errorf("differ: %w", err)
	}
	c := &conn{nc: nc, in: bufio.NewReaderSize(nc, 64<<10)}
	buf, mark := proto.BeginFrame(nil)
	c.write(proto.EndFrame(hello.Append(buf), mark))
	frame, err := c.frame(answerLimit)
	if errors.Is(err, errSilence) {
		c.hangUp()
		return nil, response, err
	}
	if err != nil {
		c.hangUp()
		return c, response, nil
	}
	cur := jute.NewCursor(frame)
	response.Decode(&cur)
	if err := cur.Err(); err != nil {
		c.hangUp()
		return nil, response, fmt.Errorf("differ: answer to a handshake: %w", err)
	}
	return c, response, nil
}

// write writes bytes. An error shows as the end of what comes back.
func (c *conn) write(b []byte) {
	if c.nc.SetWriteDeadline(time.Now().Add(answerLimit)) == nil {
		_, _ = c.nc.Write(b)
	}
}

// send writes requests in one piece.
func (c *conn) send(requests []Request, z zxids) {
	var buf []byte
	for _, r := range requests {
		if r.Xid == 0 {
			c.xid++
			r.Xid = c.xid
		}
		var mark int
		buf, mark = proto.BeginFrame(buf)
		buf = proto.RequestHeader{Xid: r.Xid, Op: r.Op}.Append(buf)
		buf = proto.EndFrame(r.appendBody(buf, z), mark)
		if r.Op == proto.OpPing {
			r.Xid = proto.XidPing
		}
		c.pending = append(c.pending, r)
	}
	c.write(buf)
}

// take removes and returns the oldest pending request with that xid.
func (c *conn) take(xid proto.Xid) (Request, bool) {
	for i, r := range c.pending {
		if r.Xid == xid {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			return r, true
		}
	}
	return Request{}, false
}

// frame reads one frame. errSilence means that none came in time, any other error that none will
// come.
func (c *conn) frame(limit time.Duration) ([]byte, error) {
	if c.closed {
		return nil, io.EOF
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, io.EOF
	}
	var head [proto.FrameHeaderLen]byte
	_, err := io.ReadFull(c.in, head[:])
	if err == nil {
		n := int32(binary.BigEndian.Uint32(head[:]))
		if err = proto.CheckFrameLen(n, maxReply); err != nil {
			return nil, fmt.Errorf("differ: %w", err)
		}
		frame := make([]byte, n)
		if _, err = io.ReadFull(c.in, frame); err == nil {
			return frame, nil
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errSilence
	}
	return nil, err
}

func (c *conn) hangUp() {
	c.closed = true
	c.nc.Close()
}
