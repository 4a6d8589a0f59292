package workload

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// raw is a session whose connections and requests the workload makes itself: for operations that the
// library does not know, for events as they come, and for sessions that move. It belongs to one
// goroutine, and no call of it waits longer than its patience.
type raw struct {
	env      *Env
	rand     *rand.Rand
	patience time.Duration // with a server that does not answer

	id      proto.SessionID // 0: none yet
	passwd  [proto.PasswordLen]byte
	seen    zxid.ID // highest zxid of a reply
	xid     proto.Xid
	link    *link // nil: not connected
	expired bool
}

// link is one connection of a raw session.
type link struct {
	server  string
	c       net.Conn
	in      *bufio.Reader
	waiting []proto.Xid // of requests without an answer
	// onEvent is told each watch event as it comes. It may be nil.
	onEvent func(z zxid.ID, e proto.WatcherEvent)
}

// errExpired is a session that the servers do not know any more.
var errExpired = errors.New("workload: the session has expired")

// newRaw returns a session that has no connection yet.
func newRaw(c *client) *raw {
	return &raw{env: c.env, rand: c.rand, patience: max(c.env.Timeout/2, 200*time.Millisecond)}
}

// dial opens a connection to a server, for a new session or the one that there is. The connection
// that there was stays open.
func (r *raw) dial(server string) (*link, error) {
	nc, err := net.DialTimeout("tcp", server, r.patience)
	if err != nil {
		return nil, err
	}
	state := &tapState{recorder: r.env.Recorder, server: server}
	l := &link{server: server, c: newTap(nc, server, state, r.patience)}
	l.in = bufio.NewReader(l.c)
	hello := proto.ConnectRequest{LastZxidSeen: r.seen, TimeOut: int32(r.env.Timeout.Milliseconds()), SessionID: r.id, Passwd: r.passwd[:]}
	buf, mark := proto.BeginFrame(nil)
	if err = l.write(proto.EndFrame(hello.Append(buf), mark), r.patience); err != nil {
		return nil, errors.Join(err, l.c.Close())
	}
	frame, err := l.frame(r.patience)
	if err != nil {
		return nil, errors.Join(err, l.c.Close())
	}
	var answer proto.ConnectResponse
	cur := jute.NewCursor(frame)
	if answer.Decode(&cur); cur.Err() != nil {
		return nil, errors.Join(cur.Err(), l.c.Close())
	}
	if answer.SessionID == 0 {
		r.expired = true
		return nil, errors.Join(errExpired, l.c.Close())
	}
	r.id, r.passwd = answer.SessionID, answer.Passwd
	return l, nil
}

// connect makes sure that there is a connection, to any server, unless ctx ends first. It returns
// errExpired when the session is over.
func (r *raw) connect(ctx context.Context) error {
	if r.link != nil {
		return nil
	}
	for at := r.rand.IntN(len(r.env.Servers)); ; at++ {
		l, err := r.dial(r.env.Servers[at%len(r.env.Servers)])
		if err == nil {
			r.link = l
			return nil
		}
		if r.expired {
			return errExpired
		}
		if !wait(ctx, redial) {
			return ctx.Err()
		}
	}
}

// hangUp ends the connection, if there is one.
func (r *raw) hangUp() {
	if r.link != nil {
		r.link.c.Close()
		r.link = nil
	}
}

func (l *link) write(b []byte, patience time.Duration) error {
	if err := l.c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := l.c.Write(b)
	return err
}

// frame reads one frame.
func (l *link) frame(patience time.Duration) ([]byte, error) {
	if err := l.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	var head [proto.FrameHeaderLen]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if err := proto.CheckFrameLen(n, maxFrame); err != nil {
		return nil, err
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(l.in, frame)
	return frame, err
}

// send writes a request and does not wait for its answer.
func (r *raw) send(l *link, op proto.Op, body proto.Appender) (proto.Xid, error) {
	xid := proto.XidPing
	if op != proto.OpPing {
		r.xid++
		xid = r.xid
	}
	b := proto.AppendRequest(nil, proto.RequestHeader{Xid: xid, Op: op}, body)
	l.waiting = append(l.waiting, xid)
	return xid, l.write(b, r.patience)
}

// await reads up to the next reply: events on the way are told. That replies come in the order of
// the requests is looked after by others.
func (r *raw) await(l *link) (proto.ReplyHeader, []byte, error) {
	for {
		frame, err := l.frame(r.patience)
		if err != nil {
			return proto.ReplyHeader{}, nil, err
		}
		var h proto.ReplyHeader
		cur := jute.NewCursor(frame)
		if h.Decode(&cur); cur.Err() != nil {
			return h, nil, cur.Err()
		}
		if h.Xid == proto.XidNotification {
			var e proto.WatcherEvent
			if e.Decode(&cur); cur.Err() == nil && l.onEvent != nil {
				l.onEvent(h.Zxid, e)
			}
			continue
		}
		r.seen = max(r.seen, h.Zxid)
		if i := slices.Index(l.waiting, h.Xid); i >= 0 {
			l.waiting = slices.Delete(l.waiting, i, i+1)
		}
		return h, cur.Rest(), nil
	}
}

// ask sends a request over the session's connection and decodes the answer into body, which may be
// nil. An error that is a proto.Code is the server's; with any other one the connection is gone, and
// the request may have been carried out.
func (r *raw) ask(op proto.Op, request proto.Appender, body proto.Record) (zxid.ID, error) {
	if r.link == nil {
		return 0, net.ErrClosed
	}
	xid, err := r.send(r.link, op, request)
	var h proto.ReplyHeader
	var answer []byte
	for err == nil {
		if h, answer, err = r.await(r.link); err != nil || h.Xid == xid {
			break
		}
	}
	if err == nil && h.Err == proto.CodeOK && body != nil {
		cur := jute.NewCursor(answer)
		body.Decode(&cur)
		err = cur.Err()
	}
	if err != nil {
		r.hangUp()
		return 0, fmt.Errorf("workload: %v: %w", op, err)
	}
	return h.Zxid, h.Err.Err()
}

// do runs one operation and records it. What f fills are the fields of the answer; it returns the
// zxid in its header.
func (r *raw) do(o check.Op, f func(o *check.Op) (zxid.ID, error)) check.Op {
	o.Session = int64(r.id)
	if r.link != nil {
		o.Server = r.link.server
	}
	o.Call = r.env.Recorder.now()
	z, err := f(&o)
	o.Return = r.env.Recorder.now()
	o.Outcome, o.Refused = outcome(err)
	if err != nil {
		o.Err = err.Error()
	}
	if o.Outcome != check.Info {
		o.Zxid = int64(z)
	}
	r.env.Recorder.add(o)
	return o
}

// close ends the session, if a server takes notice of that.
func (r *raw) close(ctx context.Context) {
	if r.connect(ctx) == nil {
		_, _ = r.ask(proto.OpCloseSession, nil, nil) // otherwise it expires
		r.hangUp()
	}
}
