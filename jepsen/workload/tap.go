package workload

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// Numbers of the client protocol that the tap must know (spec client-protocol).
const (
	opSetWatches  = 101
	opClose       = -11
	headerLen     = 16 // xid, zxid, err
	lengthLen     = 4
	requestHeader = 8 // xid, opcode
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

// tap is a connection that reads along. The library writes each request in one piece, from one
// goroutine at a time, and reads from one goroutine.
type tap struct {
	net.Conn
	state     *tapState
	patience  time.Duration // for the server's answer to the connect request
	mu        sync.Mutex
	own       map[int32]int32 // xid -> opcode, of requests that are not operations of a workload
	connected bool            // the first frame has been read; reader only
	greeted   bool            // the connect request is written; writer only

	head [lengthLen + headerLen]byte // of the frame at hand; reader only
	have int
	skip int // bytes of the frame's rest
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

// Write notes the requests, and which of them are not operations.
func (t *tap) Write(b []byte) (int, error) {
	if t.greeted && len(b) >= lengthLen+requestHeader {
		xid := int32(binary.BigEndian.Uint32(b[lengthLen:]))
		if xid >= 0 {
			t.state.mu.Lock()
			t.state.wire.Sent(xid)
			t.state.mu.Unlock()
		}
		switch op := int32(binary.BigEndian.Uint32(b[lengthLen+4:])); op {
		case opSetWatches, opClose:
			t.mu.Lock()
			t.own[xid] = op
			t.mu.Unlock()
		}
	}
	if !t.greeted {
		t.state.mu.Lock()
		t.state.wire.Connected()
		t.state.mu.Unlock()
	}
	t.greeted = true
	return t.Conn.Write(b)
}

// Read passes bytes on and reads the headers of the replies among them.
func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0; {
		if t.skip > 0 {
			m := min(t.skip, len(rest))
			t.skip -= m
			rest = rest[m:]
			continue
		}
		want := len(t.head)
		if t.have >= lengthLen {
			want = min(want, lengthLen+t.frame())
		}
		if t.have < lengthLen {
			want = lengthLen
		}
		m := copy(t.head[t.have:want], rest)
		t.have += m
		rest = rest[m:]
		t.parse()
	}
	return n, err
}

func (t *tap) frame() int { return int(binary.BigEndian.Uint32(t.head[:])) }

// parse looks at the header when it is complete.
func (t *tap) parse() {
	if t.have < lengthLen || t.have < min(len(t.head), lengthLen+t.frame()) {
		return
	}
	t.skip = lengthLen + t.frame() - t.have
	full := t.have == len(t.head)
	t.have = 0
	if !full {
		return
	}
	if !t.connected {
		// The connect response: protocol version, timeout, session id, which is 0 for an expired one.
		t.connected = true
		if id := int64(binary.BigEndian.Uint64(t.head[lengthLen+8:])); id != 0 {
			t.state.mu.Lock()
			t.state.session = id
			t.state.mu.Unlock()
		}
		return
	}
	xid := int32(binary.BigEndian.Uint32(t.head[lengthLen:]))
	zxid := int64(binary.BigEndian.Uint64(t.head[lengthLen+4:]))
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
