package server_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// Tests of spec client-protocol 1 to 4 and 6.4: what is read from the bytes of a frame, whatever client
// wrote them.

// raw is a body as it stands on the wire, well formed or not.
type raw []byte

func (b raw) Append(dst []byte) []byte { return append(dst, b...) }

func rawHex(t *testing.T, digits string) raw {
	t.Helper()
	return fromHex(t, strings.ReplaceAll(digits, " ", ""))
}

// framed puts the length in front of a body.
func framed(body []byte) []byte {
	out, mark := proto.BeginFrame(nil)
	return proto.EndFrame(append(out, body...), mark)
}

// The first four bytes are a word or a length; an unknown word is a length, and what follows a known one
// does not matter.
func TestFirstFourBytes(t *testing.T) {
	const whitelist = " is not executed because it is not in the whitelist.\n"
	m := newTwin(t, 1, nil).members[0]
	other := m.connect(t)
	for _, c := range []struct {
		name   string
		pieces []string
		half   bool // the client closes its direction
		want   string
	}{
		{"a word in pieces", []string{"r", "uo", "k"}, false, "imok"},
		{"a word and a line end", []string{"ruok\r\n"}, false, "imok"},
		{"a word and a lot more", []string{"ruok" + strings.Repeat("x", 10000)}, false, "imok"},
		{"netcat", []string{"ruok\n"}, true, "imok"},
		{"a word of the server's own", []string{"hash"}, false, "hash" + whitelist},
		{"a word with an argument", []string{"stmk", "\x00\x00\x00\x00\x00\x00\x00\x01"}, false, "stmk" + whitelist},
		{"a part of a word", []string{"ruo"}, true, ""},
		{"nothing", nil, true, ""},
		{"no word", []string{"xxxx"}, false, ""},
		{"another case", []string{"RUOK"}, false, ""},
		{"an interrupted telnet", []string{"\xff\xf4\xff\xfd"}, false, ""},
		{"HTTP", []string{"GET / HTTP/1.1\r\n\r\n"}, false, ""},
		{"the least negative length", []string{"\xff\xff\xff\xff"}, false, ""},
		{"one byte too long", []string{"\x00\x10\x00\x00"}, false, ""},
		{"no bytes", []string{"\x00\x00\x00\x00"}, false, ""},
		{"a connect request that ends early", []string{"\x00\x00\x00\x17", strings.Repeat("\x00", 0x17)}, false, ""},
		{"a password of length -2", []string{"\x00\x00\x00\x1c", strings.Repeat("\x00", 24) + "\xff\xff\xff\xfe"}, false, ""},
		{"a password beyond the frame", []string{"\x00\x00\x00\x1c", strings.Repeat("\x00", 24) + "\x00\x00\x00\x01"}, false, ""},
		{"half a frame", []string{"\x00\x00\x00\x2d\x00\x00"}, true, ""},
	} {
		client := m.dial(t)
		for _, piece := range c.pieces {
			client.write([]byte(piece))
		}
		if c.half {
			if err := client.nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(client.closed()); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		other.must(proto.OpPing, nil)
	}
	// Once there is a session a word is a length as well.
	other.write([]byte("ruok"))
	if rest := other.closed(); len(rest) > 0 {
		t.Errorf("a word in a session: %q", rest)
	}
	again := m.dial(t)
	if again.open(proto.ConnectRequest{TimeOut: 1000, SessionID: other.session, Passwd: other.passwd[:]}); again.session != other.session {
		t.Error("the session did not survive")
	}
}

// What of a connect request counts, and what does not.
func TestConnectRequests(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	for _, c := range []struct {
		name string
		req  proto.ConnectRequest
		more string // behind the record
		want int    // length of the answer
	}{
		{"version", proto.ConnectRequest{ProtocolVersion: 77}, "", 36},
		{"null password", proto.ConnectRequest{HasReadOnly: true}, "", 37},
		{"password of a new session", proto.ConnectRequest{Passwd: []byte("abc")}, "", 36},
		{"readOnly is any byte", proto.ConnectRequest{}, "\x80", 37},
		{"bytes left over", proto.ConnectRequest{HasReadOnly: true}, "left over", 37},
	} {
		client := m.dial(t)
		client.write(framed(append(c.req.Append(nil), c.more...)))
		if frame := client.connected(); len(frame) != c.want || client.session == 0 {
			t.Errorf("%s: %x", c.name, frame)
		}
	}
	owner := m.connect(t)
	for _, passwd := range [][]byte{nil, {}, owner.passwd[:15], append(owner.passwd[:], 0)} {
		client := m.dial(t)
		if frame := client.open(proto.ConnectRequest{SessionID: owner.session, Passwd: passwd}); !bytes.Equal(frame, append(append(make([]byte, 16), 0, 0, 0, 16), make([]byte, 16)...)) {
			t.Errorf("password %x: %x", passwd, frame)
		}
		if rest := client.closed(); len(rest) > 0 {
			t.Errorf("password %x: %x behind the refusal", passwd, rest)
		}
	}
	owner.must(proto.OpPing, nil)
}

// The limit is the longest frame that is taken; before there is a session it is a smaller one.
func TestLongestFrame(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	connect := proto.ConnectRequest{TimeOut: 1000, HasReadOnly: true}
	first := make([]byte, longestFirst)
	copy(first, connect.Append(nil))
	c := m.dial(t)
	c.write(framed(first))
	if c.connected(); c.session == 0 {
		t.Fatal("refused")
	}
	longest := make([]byte, proto.DefaultMaxFrame)
	for range 2 {
		c.must(proto.OpPing, raw(longest[headerBytes:]))
	}
	c.write(framed(append(longest, 0)))
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("%x instead of silence", rest)
	}
	c = m.dial(t)
	c.write(framed(append(first, 0)))
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("%x instead of silence, before there is a session", rest)
	}
}

// longestFirst is the length of the longest first frame (docs/operations.md).
const longestFirst = 16 << 10

// headerBytes is the length of a request header.
const headerBytes = 8

// A body that cannot be read is refused, in its turn and by a bare header, whatever the operation; the
// connection goes on.
func TestTruncatedBodies(t *testing.T) {
	w := newTwin(t, 2, nil)
	for _, m := range w.members {
		c := m.connect(t)
		refused := 0
		for op := proto.Op(-20); op < 120; op++ {
			if !op.Known() || proto.NewRequest(op) == nil {
				continue
			}
			refused++
			for _, body := range []raw{nil, {0}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xfe}} {
				if r := c.call(op, body); r.Err != proto.CodeMarshallingError || r.Zxid != c.last {
					t.Errorf("%v of %x: %v", op, []byte(body), r)
				}
			}
		}
		if refused < 25 {
			t.Errorf("only %d operations were tried", refused)
		}
		c.must(proto.OpPing, nil)
	}
}

// Nulls, counts, booleans, odd texts and what is left over, byte for byte.
func TestOddBodies(t *testing.T) {
	const (
		null, empty = "ffffffff ", "00000000 "
		slash       = "00000001 2f "
		open        = "00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 "
		x           = "00000002 2f78 "
	)
	w := newTwin(t, 2, nil)
	c := w.members[1].connect(t)
	for _, tc := range []struct {
		name string
		op   proto.Op
		body string
		code proto.Code
		want string // body of the answer; "*" for any
	}{
		{"sync of null", proto.OpSync, null, 0, null},
		{"sync of nothing", proto.OpSync, empty, 0, empty},
		{"sync of malformed UTF-8", proto.OpSync, "00000002 ff2f", 0, "00000004 efbfbd2f"},
		{"sync of half a surrogate pair", proto.OpSync, "00000003 eda0bd", 0, "*"},
		{"sync of a character of four bytes", proto.OpSync, "00000004 f09f9880", 0, "00000004 f09f9880"},
		{"malformed UTF-8 in a new path", proto.OpCreate, "00000003 2fff78" + empty + open + empty, proto.CodeBadArguments, ""},
		{"malformed UTF-8 in a read", proto.OpGetData, "00000003 2fff78 00", proto.CodeNoNode, ""},
		{"NUL in exists", proto.OpExists, "00000002 2f00 01", proto.CodeBadArguments, ""},
		{"NUL in getData", proto.OpGetData, "00000002 2f00 01", proto.CodeNoNode, ""},
		{"no watch was left", proto.OpCheckWatches, "00000002 2f00 00000003", proto.CodeNoWatcher, ""},
		{"the empty path is the root", proto.OpGetACL, empty, 0, "*"},
		{"null ACL", proto.OpCreate, x + empty + null + empty, proto.CodeInvalidACL, ""},
		{"no ACL", proto.OpCreate, x + empty + empty + empty, proto.CodeInvalidACL, ""},
		{"an ACL of -2 entries", proto.OpCreate, x + empty + "fffffffe" + empty, proto.CodeInvalidACL, ""},
		{"an ACL shorter than its count", proto.OpCreate, x + empty + "00000002" + open[8:] + empty, proto.CodeMarshallingError, ""},
		{"null scheme", proto.OpCreate, x + empty + "00000001 0000001f" + null + null + empty, proto.CodeInvalidACL, ""},
		{"null id of world", proto.OpCreate, x + empty + "00000001 0000001f 00000005 776f726c64" + null + empty, proto.CodeMarshallingError, ""},
		{"null path to set", proto.OpSetData, null + null + null, proto.CodeBadArguments, ""},
		{"null path of an ACL", proto.OpSetACL, null + open + null, proto.CodeBadArguments, ""},
		{"null path to watch", proto.OpAddWatch, null + empty, 0, empty},
		{"no such mode", proto.OpAddWatch, slash + "00000002", proto.CodeMarshallingError, ""},
		{"no such type", proto.OpCheckWatches, slash + "00000000", proto.CodeMarshallingError, ""},
		{"no such type either", proto.OpRemoveWatches, slash + "00000006", proto.CodeMarshallingError, ""},
		{"null prefix", proto.OpGetEphemerals, null, 0, empty},
		{"lists of -3 watches", proto.OpSetWatches, empty + empty + "fffffffd fffffffd fffffffd", 0, ""},
		{"a null path among the watches", proto.OpSetWatches, empty + empty + "00000001" + null + empty + empty, proto.CodeMarshallingError, ""},
		{"multi ended by done", proto.OpMulti, "0000000d 01 12345678 ffff", 0, "ffffffff01ffffffff"},
		{"results have no error in them", proto.OpMulti, "0000000d 00 12345678" + slash + null + "ffffffff 02 00000000", 0, "0000000d 00 00000000 ffffffff 01 ffffffff"},
		{"multiRead that begins with a write", proto.OpMultiRead, "0000000d 00 ffffffff" + slash + null + "ffffffff 01 ffffffff", proto.CodeMarshallingError, ""},
		{"no reads", proto.OpMultiRead, "ffffffff 01 ffffffff", 0, "ffffffff01ffffffff"},
		{"ping with a body", proto.OpPing, "0102", 0, ""},
		{"a body left over", proto.OpSync, slash + "0102030405", 0, slash},
		{"sasl that nobody offers", proto.OpSASL, empty, 0, null},
		{"sasl of null", proto.OpSASL, null, 0, null},
		{"the root by any boolean", proto.OpExists, slash + "7f", 0, "*"},
		{"which was true", proto.OpCheckWatches, slash + "00000002", 0, ""},
	} {
		r := c.call(tc.op, rawHex(t, tc.body))
		if r.Err != tc.code || tc.want != "*" && !bytes.Equal(r.body, rawHex(t, tc.want)) {
			t.Errorf("%s: %v %x", tc.name, r.Err, r.body)
		}
	}
	b := c.append(nil, proto.OpCloseSession, raw("left over"))
	c.write(b)
	if r := c.next(); r.Err != proto.CodeOK || len(r.body) > 0 {
		t.Errorf("closeSession with a body: %v", r)
	}
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("%x behind the end of the session", rest)
	}
}

// Frames that come byte by byte, and many that come at once, are the same frames.
func TestFramesInPieces(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	c := m.connect(t)
	var b []byte
	const n = 50
	for i := range n {
		b = c.append(b, proto.OpSync, proto.SyncRequest{Path: proto.Str(fmt.Sprint(i))})
	}
	for piece := range slices.Chunk(b, 3) {
		c.write(piece)
	}
	for i := range n {
		r := c.next()
		cur := jute.NewCursor(r.body)
		if r.Xid != proto.Xid(i+1) || cur.String() != fmt.Sprint(i) {
			t.Fatalf("answer %d: %v", i+1, r)
		}
	}
}
