package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// Errors of the client.
var (
	errRefused  = errors.New("bench: the server refused the session")
	errProtocol = errors.New("bench: unexpected answer")
)

// client is one session on one connection. One goroutine uses it.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte // requests not yet written
	xid  proto.Xid
	body []byte // of the last reply; reused
}

// dial opens a session with the given timeout.
func dial(ctx context.Context, addr string, timeout time.Duration) (*client, error) {
	return dialBuffered(ctx, addr, timeout, 64<<10)
}

// dialBuffered is dial with the size of the read buffer.
func dialBuffered(ctx context.Context, addr string, timeout time.Duration, size int) (*client, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, size)}
	if err := c.handshake(timeout); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) handshake(timeout time.Duration) error {
	request := proto.ConnectRequest{TimeOut: int32(timeout.Milliseconds()), Passwd: make([]byte, proto.PasswordLen)}
	buf, mark := proto.BeginFrame(nil)
	buf = proto.EndFrame(request.Append(buf), mark)
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := c.conn.Write(buf); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	frame, err := c.frame()
	if err != nil {
		return err
	}
	var response proto.ConnectResponse
	cur := jute.NewCursor(frame)
	response.Decode(&cur)
	if cur.Err() != nil {
		return fmt.Errorf("%w: %w", errProtocol, cur.Err())
	}
	if response.SessionID == 0 {
		return errRefused
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// frame reads one frame; it is valid until the next call.
func (c *client) frame() ([]byte, error) {
	var head [proto.FrameHeaderLen]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if err := proto.CheckFrameLen(n, 64<<20); err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	if cap(c.body) < int(n) {
		c.body = make([]byte, n)
	}
	c.body = c.body[:n]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return c.body, nil
}

// begin starts a request in the output buffer; end completes it.
func (c *client) begin(op proto.Op) (mark int) {
	c.out, mark = proto.BeginFrame(c.out)
	c.xid = max(1, c.xid+1)
	c.out = proto.RequestHeader{Xid: c.xid, Op: op}.Append(c.out)
	return mark
}

func (c *client) end(mark int) { c.out = proto.EndFrame(c.out, mark) }

func (c *client) create(path string, data []byte) {
	mark := c.begin(proto.OpCreate)
	c.out = proto.CreateRequest{Path: path, Data: data, ACL: openACL, Mode: proto.ModePersistent}.Append(c.out)
	c.end(mark)
}

func (c *client) set(path string, data []byte) {
	mark := c.begin(proto.OpSetData)
	c.out = proto.SetDataRequest{Path: path, Data: data, Version: proto.AnyVersion}.Append(c.out)
	c.end(mark)
}

func (c *client) get(path string) {
	mark := c.begin(proto.OpGetData)
	c.out = proto.ReadRequest{Path: path}.Append(c.out)
	c.end(mark)
}

// flush writes the pending requests.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// reply reads the next reply, passing over notifications, and returns its code.
func (c *client) reply() (proto.Code, error) {
	for {
		frame, err := c.frame()
		if err != nil {
			return 0, err
		}
		var h proto.ReplyHeader
		cur := jute.NewCursor(frame)
		h.Decode(&cur)
		if cur.Err() != nil {
			return 0, fmt.Errorf("%w: %w", errProtocol, cur.Err())
		}
		if h.Xid >= 0 {
			return h.Err, nil
		}
	}
}

// call sends what is pending and waits for one reply.
func (c *client) call() (proto.Code, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.reply()
}

// close ends the session.
func (c *client) close() {
	mark := c.begin(proto.OpCloseSession)
	c.end(mark)
	if err := c.conn.SetDeadline(time.Now().Add(time.Second)); err == nil {
		_, _ = c.call() // the session would end by itself
	}
	_ = c.conn.Close()
}

var openACL = proto.WorldACL(proto.PermAll)
