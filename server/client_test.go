package server_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// client speaks raw frames.
type client struct {
	t       testing.TB
	nc      net.Conn
	session proto.SessionID
	passwd  [proto.PasswordLen]byte
	timeout int32
	ops     []proto.Op // of the requests not answered yet
	xid     proto.Xid
	last    zxid.ID
}

const patience = 10 * time.Second

func (m *member) dial(tb testing.TB) *client {
	tb.Helper()
	nc, err := net.Dial("tcp", m.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	return &client{t: tb, nc: nc}
}

// connect opens a new session.
func (m *member) connect(tb testing.TB) *client {
	tb.Helper()
	c := m.dial(tb)
	c.open(proto.ConnectRequest{TimeOut: 1000})
	if c.session == 0 {
		tb.Fatalf("%v refused a new session", m)
	}
	return c
}

// open sends a connect request and takes the response; session is 0 when refused.
func (c *client) open(req proto.ConnectRequest) []byte {
	c.t.Helper()
	c.sendConnect(req)
	return c.connected()
}

func (c *client) sendConnect(req proto.ConnectRequest) {
	c.t.Helper()
	out, mark := proto.BeginFrame(nil)
	c.write(proto.EndFrame(req.Append(out), mark))
}

func (c *client) connected() []byte {
	c.t.Helper()
	frame, err := c.frame()
	if err != nil {
		c.t.Fatalf("connect response: %v", err)
	}
	var res proto.ConnectResponse
	cur := jute.NewCursor(frame)
	if res.Decode(&cur); cur.Err() != nil {
		c.t.Fatalf("connect response %x: %v", frame, cur.Err())
	}
	c.session, c.passwd, c.timeout = res.SessionID, res.Passwd, res.TimeOut
	return frame
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if err := c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.nc.Write(b); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("write: %v", err)
	}
}

// append adds a request frame to b and remembers what to expect.
func (c *client) append(b []byte, op proto.Op, body proto.Appender) []byte {
	c.xid++
	xid := c.xid
	if op == proto.OpPing {
		xid = proto.XidPing
	}
	c.ops = append(c.ops, op)
	return proto.AppendRequest(b, proto.RequestHeader{Xid: xid, Op: op}, body)
}

func (c *client) send(op proto.Op, body proto.Appender) {
	c.t.Helper()
	c.write(c.append(nil, op, body))
}

// frame reads one frame.
func (c *client) frame() ([]byte, error) {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c.nc, b)
	return b, err
}

// reply is one frame from the server.
type reply struct {
	proto.ReplyHeader
	op    proto.Op // OpNotification for an event
	event proto.WatcherEvent
	body  []byte
}

// next returns the next reply or event.
func (c *client) next() reply {
	c.t.Helper()
	frame, err := c.frame()
	if err != nil {
		c.t.Fatalf("waiting for a reply: %v", err)
	}
	var r reply
	cur := jute.NewCursor(frame)
	r.Decode(&cur)
	if cur.Err() != nil {
		c.t.Fatalf("reply %x: %v", frame, cur.Err())
	}
	r.body = cur.Rest()
	if r.Xid == proto.XidNotification {
		r.op = proto.OpNotification
		r.event.Decode(&cur)
		return r
	}
	if len(c.ops) == 0 {
		c.t.Fatalf("a reply to nothing: %+v", r.ReplyHeader)
	}
	r.op, c.ops = c.ops[0], c.ops[1:]
	if r.Err != proto.CodeOK && len(r.body) != 0 {
		c.t.Fatalf("reply with %v has a body of %d bytes", r.Err, len(r.body))
	}
	if r.Zxid > 0 {
		if r.Zxid < c.last {
			c.t.Fatalf("zxid went back from %v to %v", c.last, r.Zxid)
		}
		c.last = r.Zxid
	}
	return r
}

// call sends a request and returns its reply, which must be the next frame.
func (c *client) call(op proto.Op, body proto.Appender) reply {
	c.t.Helper()
	c.send(op, body)
	r := c.next()
	if r.op != op {
		c.t.Fatalf("got %v, want the reply to %v", r, op)
	}
	return r
}

// must is call for what has to succeed.
func (c *client) must(op proto.Op, body proto.Appender) reply {
	c.t.Helper()
	r := c.call(op, body)
	if r.Err != proto.CodeOK {
		c.t.Fatalf("%v %+v: %v", op, body, r.Err)
	}
	return r
}

func (c *client) create(path, data string, mode proto.CreateMode) string {
	c.t.Helper()
	r := c.must(proto.OpCreate, createRequest(path, data, mode))
	return r.decode(c.t, new(proto.CreateResponse)).(*proto.CreateResponse).Path
}

func createRequest(path, data string, mode proto.CreateMode) proto.CreateRequest {
	return proto.CreateRequest{Path: path, Data: []byte(data), ACL: proto.WorldACL(proto.PermAll), Mode: mode}
}

// decode reads the body of a reply.
func (r reply) decode(tb testing.TB, rec proto.Record) proto.Record {
	tb.Helper()
	cur := jute.NewCursor(r.body)
	if rec.Decode(&cur); cur.Err() != nil || cur.Remaining() != 0 {
		tb.Fatalf("body %x of a reply to %v: error %v, %d bytes left", r.body, r.op, cur.Err(), cur.Remaining())
	}
	return rec
}

// closed waits for the end of the connection and returns what still came before it.
func (c *client) closed() []byte {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	rest, err := io.ReadAll(c.nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection stays open")
	}
	return rest
}

// String shows a reply in one line, without what differs from run to run.
func (r reply) String() string {
	if r.op == proto.OpNotification {
		return fmt.Sprintf("event %v %s zxid=%v state=%d", r.event.Type, r.event.Path, r.Zxid, r.event.State)
	}
	s := fmt.Sprintf("%v xid=%d zxid=%v", r.op, r.Xid, r.Zxid)
	if r.Err != proto.CodeOK {
		return s + " " + r.Err.Error()
	}
	return strings.TrimRight(s+" "+r.show(), " ")
}

func (r reply) show() string {
	cur := jute.NewCursor(r.body)
	switch r.op {
	case proto.OpCreate:
		return cur.String()
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return cur.String() + " " + stat(&cur)
	case proto.OpMulti:
		if s := showMulti(r.body); s != "" {
			return s
		}
	case proto.OpGetAllChildrenNumber:
		return fmt.Sprint(cur.Int())
	case proto.OpGetData:
		data := cur.Buffer()
		return fmt.Sprintf("%q %s", data, stat(&cur))
	case proto.OpExists, proto.OpSetData, proto.OpSetACL:
		return stat(&cur)
	case proto.OpGetChildren, proto.OpGetChildren2:
		n := cur.Count(4)
		names := make([]string, n)
		for i := range names {
			names[i] = cur.String()
		}
		s := fmt.Sprint(names)
		if r.op == proto.OpGetChildren2 {
			s += " " + stat(&cur)
		}
		return s
	case proto.OpSync:
		return cur.String()
	case proto.OpGetACL:
		var res proto.GetACLResponse
		res.Decode(&cur)
		return fmt.Sprint(res.ACL)
	}
	if len(r.body) == 0 {
		return ""
	}
	return fmt.Sprintf("%x", r.body)
}

func stat(cur *jute.Cursor) string {
	var s proto.Stat
	s.Decode(cur)
	return fmt.Sprintf("czxid=%v mzxid=%v pzxid=%v version=%d cversion=%d children=%d",
		s.Czxid, s.Mzxid, s.Pzxid, s.Version, s.Cversion, s.NumChildren)
}

// word asks a four-letter word.
func (m *member) word(tb testing.TB, word string) string {
	tb.Helper()
	c := m.dial(tb)
	c.write([]byte(word))
	return string(bytes.TrimRight(c.closed(), "\x00"))
}

// wordLines returns the lines of a four-letter word that begin with one of the prefixes.
func (m *member) wordLines(tb testing.TB, args []datadriven.CmdArg) string {
	tb.Helper()
	var out strings.Builder
	for line := range strings.Lines(m.word(tb, args[0].Key)) {
		for _, prefix := range args[1:] {
			if prefix.Key != "server" && strings.HasPrefix(line, prefix.Key) {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}
