package server_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// attack writes bytes to a new connection, closes its own direction, and reads whatever comes
// until the server ends the connection. greet is written and answered first.
func attack(t *testing.T, m *member, greet, data []byte) {
	t.Helper()
	nc, err := net.Dial("tcp", m.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if len(greet) > 0 {
		var head [4]byte
		if _, err := nc.Write(greet); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(head[:]))); err != nil {
			t.Fatal(err)
		}
	}
	// The server may close first: write errors are its good right.
	_, _ = nc.Write(data)
	_ = nc.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
		t.Fatal("the server keeps the connection")
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// FuzzFirstBytes: whatever a connection begins with, the server lives and others do not
// notice.
func FuzzFirstBytes(f *testing.F) {
	connect := proto.ConnectRequest{TimeOut: 1000, Passwd: make([]byte, 16), HasReadOnly: true}
	frame, mark := proto.BeginFrame(nil)
	frame = proto.EndFrame(connect.Append(frame), mark)
	f.Add(frame)
	f.Add(frame[:20])
	f.Add([]byte("srvr"))
	f.Add([]byte("stmk\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add([]byte{0xff, 0xf4, 0xff, 0xfd})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff})
	m := newTwin(f, 1, nil).members[0]
	other := m.connect(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		other.t = t
		attack(t, m, nil, data)
		other.must(proto.OpPing, nil)
	})
}

// FuzzRequests: whatever an established session sends, the server lives and others do not
// notice.
func FuzzRequests(f *testing.F) {
	connect := proto.ConnectRequest{TimeOut: 1000}
	greet, mark := proto.BeginFrame(nil)
	greet = proto.EndFrame(connect.Append(greet), mark)
	add := func(op proto.Op, body proto.Appender) {
		f.Add(proto.AppendRequest(nil, proto.RequestHeader{Xid: 1, Op: op}, body))
	}
	req := createRequest("/a", "data", proto.ModeEphemeralSequential)
	add(proto.OpCreate, req)
	add(proto.OpSetWatches, proto.SetWatches{Data: []string{"/a", ""}, Exist: []string{"x"}, Child: []string{"/"}})
	add(proto.OpMulti, proto.MultiRequest{Ops: []proto.MultiOp{{Op: proto.OpCreate, Request: &req}}})
	add(proto.OpMultiRead, proto.MultiRequest{Read: true, Ops: []proto.MultiOp{{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: "/"}}}})
	add(proto.OpGetChildren2, proto.ReadRequest{Path: "", Watch: true})
	add(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")})
	add(proto.OpGetEphemerals, proto.GetEphemeralsRequest{PrefixPath: "/"})
	add(proto.OpCloseSession, nil)
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 22})
	// The sessions of the second server are local, and upgraded when they have to be.
	local := func(c *server.Config) { c.LocalSessions, c.LocalSessionsUpgrading = true, true }
	members := []*member{newTwin(f, 1, nil).members[0], newTwin(f, 1, local).members[0]}
	var others []*client
	for _, m := range members {
		other := m.connect(f)
		other.create("/w", "", proto.ModePersistent)
		others = append(others, other)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, m := range members {
			others[i].t = t
			attack(t, m, greet, data)
			others[i].must(proto.OpSetData, proto.SetDataRequest{Path: "/w", Data: []byte("x"), Version: -1})
			select {
			case err := <-m.fatal:
				t.Fatal(err)
			default:
			}
		}
	})
}
