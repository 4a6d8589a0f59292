package workload

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
)

// Numbers of the client protocol that the tap must know (spec client-protocol).
const (
	opSetWatches  = 101
	opClose       = -11
	headerLen     = 16 // xid, zxid, err
	lengthLen     = 4
	requestHeader = 8 // xid, opcode
	maxFrame      = 64 << 20
)

// tapState is what the taps of one session's connections have seen.
type tapState struct {
	mu         sync.Mutex
	generation int // connections so far
	server     string
	zxid       int64 // of the last reply to an operation
	session    int64 // id of the session, once it was established
	closed     bool  // the reply to closeSession has come
	wire       check.Wire
	recorder   *Recorder // of violations; nil: nobody asks
}

// tap is a connection that reads along. Whole requests are written to it, by one goroutine at a
// time, and one goroutine reads.
type tap struct {
	net.Conn
	state     *tapState
	patience  time.Duration // for the server's answer to the connect request
	trace     *trace        // nil: nobody asks
	number    uint32        // in the trace
	mu        sync.Mutex
	own       map[int32]int32 // xid -> opcode, of requests that are not operations of a workload
	connected bool            // the first frame has been read; reader only
	greeted   bool            // the connect request is written; writer only

	in   []byte // the frame at hand, with its length; reader only
	deaf bool   // the server sent what cannot be a frame
}

// newTap taps a connection of a session.
func newTap(c net.Conn, server string, s *tapState, patience time.Duration) *tap {
	t := &tap{Conn: c, state: s, patience: patience, own: map[int32]int32{}}
	if s.recorder != nil && s.recorder.trace != nil {
		t.trace = s.recorder.trace
		t.number = t.trace.dialled(server)
	}
	return t
}

// note adds to the trace, if there is one.
func (t *tap) note(kind oracle.Kind, frame []byte) {
	if t.trace != nil {
		t.trace.note(kind, t.number, frame)
	}
}

// SetReadDeadline shortens the library's patience with a server that accepts a connection and
// then says nothing, as a stopped process does: it would wait for ten times its receive timeout,
// and the session would be over.
func (t *tap) SetReadDeadline(at time.Time) error {
	if limit := time.Now().Add(t.patience); !t.connected && at.After(limit) {
		at = limit
	}
	return t.Conn.SetReadDeadline(at)
}

// Close hangs up.
func (t *tap) Close() error {
	t.note(oracle.Ended, nil)
	return t.Conn.Close()
}

// Write notes the requests, and which of them are not operations, before they are sent.
func (t *tap) Write(b []byte) (int, error) {
	for rest := b; len(rest) >= lengthLen; {
		end := min(len(rest), lengthLen+int(binary.BigEndian.Uint32(rest)))
		t.sent(rest[lengthLen:end])
		rest = rest[end:]
	}
	return t.Conn.Write(b)
}

// sent notes one frame of the client.
func (t *tap) sent(frame []byte) {
	t.note(oracle.Sent, frame)
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	if !t.greeted {
		t.greeted = true
		t.state.wire.Connected()
		return
	}
	if len(frame) < requestHeader {
		return
	}
	xid := int32(binary.BigEndian.Uint32(frame))
	if xid >= 0 {
		t.state.wire.Sent(xid)
	}
	switch op := int32(binary.BigEndian.Uint32(frame[4:])); op {
	case opSetWatches, opClose:
		t.mu.Lock()
		t.own[xid] = op
		t.mu.Unlock()
	}
}

// Read passes bytes on and takes the frames out of them.
func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0 && !t.deaf; {
		want := lengthLen
		if len(t.in) >= lengthLen {
			want = lengthLen + int(binary.BigEndian.Uint32(t.in))
		}
		m := min(want-len(t.in), len(rest))
		t.in = append(t.in, rest[:m]...)
		rest = rest[m:]
		if len(t.in) < lengthLen {
			continue
		}
		size := int(binary.BigEndian.Uint32(t.in))
		t.deaf = size > maxFrame
		if len(t.in) == lengthLen+size && !t.deaf {
			t.received(t.in[lengthLen:])
			t.in = t.in[:0]
		}
	}
	return n, err
}

// received looks at one frame of the server.
func (t *tap) received(frame []byte) {
	t.note(oracle.Received, frame)
	if len(frame) < headerLen {
		return
	}
	if !t.connected {
		// The connect response: protocol version, timeout, session id, which is 0 for an expired one.
		t.connected = true
		if id := int64(binary.BigEndian.Uint64(frame[8:])); id != 0 {
			t.state.mu.Lock()
			t.state.session = id
			t.state.mu.Unlock()
		}
		return
	}
	xid := int32(binary.BigEndian.Uint32(frame))
	zxid := int64(binary.BigEndian.Uint64(frame[4:]))
	if xid < 0 {
		return // events and pings
	}
	t.mu.Lock()
	op := t.own[xid]
	delete(t.own, xid)
	t.mu.Unlock()
	t.state.mu.Lock()
	defer t.state.mu.Unlock()
	if v := t.state.wire.Replied(xid, zxid); len(v) > 0 && t.state.recorder != nil {
		t.state.recorder.violate(t.state.session, t.state.server, v)
	}
	switch op {
	case opClose:
		t.state.closed = true
	case opSetWatches:
	default:
		t.state.zxid = zxid
	}
}
