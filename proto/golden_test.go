package proto_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// readGolden reads a file of lines "name hex", with # comments.
func readGolden(tb testing.TB, file string) map[string][]byte {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		name, digits, ok := strings.Cut(sc.Text(), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil || !ok || all[name] != nil {
			tb.Fatalf("%s: bad or repeated line %q", file, sc.Text())
		}
		all[name] = b
	}
	return all
}

// decode reads all of b into a new record of want's type.
func decode(t rapid.TB, b []byte, want proto.Record) proto.Record {
	t.Helper()
	got := reflect.New(reflect.TypeOf(want).Elem()).Interface().(proto.Record)
	if m, ok := want.(*proto.MultiRequest); ok {
		got.(*proto.MultiRequest).Read = m.Read
	}
	c := jute.NewCursor(b)
	got.Decode(&c)
	if c.Err() != nil {
		t.Fatalf("%T from %x: %v", want, b, c.Err())
	}
	if c.Remaining() != 0 {
		t.Fatalf("%T from %x: %d bytes left over", want, b, c.Remaining())
	}
	return got
}

// checkRecords holds each record of want against the golden bytes of its name, both ways, and
// asserts that every golden line has its record.
func checkRecords(t *testing.T, golden map[string][]byte, want map[string]proto.Record) {
	t.Helper()
	for name := range golden {
		if want[name] == nil {
			t.Errorf("%s: no record for this line", name)
		}
	}
	for name, rec := range want {
		b := golden[name]
		if b == nil {
			t.Errorf("%s: no such line", name)
			continue
		}
		if got := rec.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: encoded\n%x, want\n%x", name, got, b)
		}
		if got := decode(t, b, rec); !reflect.DeepEqual(got, rec) {
			t.Errorf("%s: decoded\n%#v, want\n%#v", name, got, rec)
		}
	}
}

var (
	goldenACL  = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}, {Perms: 5, ID: proto.ID{Scheme: "digest", ID: "u:p"}}}
	goldenStat = proto.Stat{
		Czxid: 0x100000001, Mzxid: 0x100000002, Ctime: 1700000000001, Mtime: 1700000000002, Version: 3, Cversion: 4,
		Aversion: 5, EphemeralOwner: 0x0100000e94310000, DataLength: 2, NumChildren: 6, Pzxid: 0x100000007,
	}
	hi = []byte("hi")
)

// frame is a whole frame as a record: header and body behind a length.
type frame struct {
	header, body proto.Record
}

func (f frame) Append(dst []byte) []byte {
	dst, mark := proto.BeginFrame(dst)
	if f.header != nil {
		dst = f.header.Append(dst)
	}
	if f.body != nil {
		dst = f.body.Append(dst)
	}
	return proto.EndFrame(dst, mark)
}

func request(xid proto.Xid, op proto.Op, body proto.Record) frame {
	return frame{header: &proto.RequestHeader{Xid: xid, Op: op}, body: body}
}

func reply(xid proto.Xid, z zxid.ID, code proto.Code, body proto.Record) frame {
	return frame{header: &proto.ReplyHeader{Xid: xid, Zxid: z, Err: code}, body: body}
}

var goldenFrames = map[string]frame{
	"connect-request":     {body: &proto.ConnectRequest{TimeOut: 30000, Passwd: make([]byte, 16), HasReadOnly: true}},
	"connect-request-old": {body: &proto.ConnectRequest{TimeOut: 30000, Passwd: make([]byte, 16)}},
	"connect-response": {body: &proto.ConnectResponse{
		TimeOut: 10000, SessionID: 0x0100000e94310000, Passwd: proto.Password(0x0100000e94310000), HasReadOnly: true,
	}},
	"connect-refused": {body: &proto.ConnectResponse{HasReadOnly: true}},
	"create": request(1, proto.OpCreate, &proto.CreateRequest{
		Path: "/a", Data: hi, ACL: proto.WorldACL(proto.PermAll), Mode: proto.ModePersistent,
	}),
	"create-reply": reply(1, 0x18, proto.CodeOK, &proto.CreateResponse{Path: "/a"}),
	"error-reply":  reply(2, 0x19, proto.CodeNodeExists, nil),
	"get-data":     request(3, proto.OpGetData, &proto.GetDataRequest{Path: "/a", Watch: true}),
	"ping":         request(proto.XidPing, proto.OpPing, nil),
	"pong":         reply(proto.XidPing, 0x18, proto.CodeOK, nil),
	"event": reply(proto.XidNotification, 0x102, proto.CodeOK, &proto.WatcherEvent{
		Type: proto.EventNodeDataChanged, State: proto.StateSyncConnected, Path: "/w/a",
	}),
	"event-set-watches": reply(proto.XidNotification, -1, proto.CodeOK, &proto.WatcherEvent{
		Type: proto.EventNodeDataChanged, State: proto.StateSyncConnected, Path: "/w/a",
	}),
	"auth":        request(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}),
	"auth-ok":     reply(proto.XidAuth, 0, proto.CodeOK, nil),
	"auth-failed": reply(proto.XidAuth, 0, proto.CodeAuthFailed, nil),
	"multi": request(5, proto.OpMulti, &proto.MultiRequest{Ops: []proto.MultiOp{
		{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: "/a"}},
		{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: "/a"}},
	}}),
	"multi-reply": reply(5, 0x1a, proto.CodeOK, &proto.MultiResponse{Results: []proto.MultiResult{
		{Type: proto.OpCheck}, {Type: proto.OpDelete},
	}}),
	"multi-failed": reply(5, 0x1a, proto.CodeOK, &proto.MultiResponse{Results: []proto.MultiResult{
		{Type: proto.OpError}, {Type: proto.OpError, Err: proto.CodeBadVersion},
	}}),
	"add-watch":       request(6, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/a", Mode: proto.AddWatchPersistentRecursive}),
	"add-watch-reply": reply(6, 0x18, proto.CodeOK, &proto.ErrorResponse{}),
	"close-session":   request(9, proto.OpCloseSession, nil),
}

func TestGoldenFrames(t *testing.T) {
	golden := readGolden(t, "testdata/frames.txt")
	if len(golden) != len(goldenFrames) {
		t.Errorf("%d golden frames, the test knows %d", len(golden), len(goldenFrames))
	}
	for name, want := range goldenFrames {
		b := golden[name]
		if got := want.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: encoded\n%x, want\n%x", name, got, b)
			continue
		}
		c := jute.NewCursor(b)
		if n := c.Int(); int(n) != c.Remaining() {
			t.Errorf("%s: length %d before %d bytes", name, n, c.Remaining())
		}
		rest := c.Rest()
		if want.header != nil {
			n := len(want.header.Append(nil))
			if got := decode(t, rest[:n], want.header); !reflect.DeepEqual(got, want.header) {
				t.Errorf("%s: header %+v, want %+v", name, got, want.header)
			}
			rest = rest[n:]
		}
		if want.body != nil {
			if got := decode(t, rest, want.body); !reflect.DeepEqual(got, want.body) {
				t.Errorf("%s: body %+v, want %+v", name, got, want.body)
			}
		} else if len(rest) != 0 {
			t.Errorf("%s: body of %d bytes, want none", name, len(rest))
		}
	}
}

// The frame helpers must make the same bytes as the records by hand.
func TestFrameHelpers(t *testing.T) {
	golden := readGolden(t, "testdata/frames.txt")
	kept := []byte("kept")
	for name, got := range map[string][]byte{
		"create-reply": proto.AppendReply(kept, proto.ReplyHeader{Xid: 1, Zxid: 0x18}, proto.CreateResponse{Path: "/a"}),
		"error-reply":  proto.AppendBareReply(kept, proto.ReplyHeader{Xid: 2, Zxid: 0x19, Err: proto.CodeNodeExists}),
		"pong":         proto.AppendReply(kept, proto.ReplyHeader{Xid: proto.XidPing, Zxid: 0x18}, nil),
		"ping":         proto.AppendRequest(kept, proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing}, nil),
		"add-watch": proto.AppendRequest(kept, proto.RequestHeader{Xid: 6, Op: proto.OpAddWatch},
			proto.AddWatchRequest{Path: "/a", Mode: proto.AddWatchPersistentRecursive}),
		"event": proto.AppendNotification(kept, 0x102,
			proto.WatcherEvent{Type: proto.EventNodeDataChanged, State: proto.StateSyncConnected, Path: "/w/a"}),
		"connect-refused": func() []byte {
			b, mark := proto.BeginFrame(kept)
			return proto.EndFrame(proto.RefusedSession(true, false).Append(b), mark)
		}(),
		"multi-failed": proto.AppendReply(kept, proto.ReplyHeader{Xid: 5, Zxid: 0x1a}, proto.FailedMulti(2, 1, proto.CodeBadVersion)),
	} {
		if want := append(kept[:len(kept):len(kept)], golden[name]...); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%x, want\n%x", name, got, want)
		}
	}
}
