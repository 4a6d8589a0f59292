package zktest_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// TestPitfalls goes through what reimplementations of ZooKeeper got wrong (spec semantics 16), and what
// ZooKeeper itself does wrong (17), as far as it may depend on who serves the client: each row runs
// on a standalone server, a leader, a follower and an observer.
func TestPitfalls(t *testing.T) {
	settings := []zktest.Option{
		zktest.Set("4lw.commands.whitelist", "*"), zktest.Set("enforceQuota", "true"),
		zktest.Set("znode.container.checkIntervalMs", "50"), zktest.Set("maxSessionTimeout", fmt.Sprint(lifetime)),
		zktest.Set("syncLimit", "100"), // a slow machine must not change the leader
	}
	faces := facesOf(t, zktest.Start(t, 1, settings...), zktest.Start(t, 4, append(settings, zktest.Observers(1))...))
	for _, p := range slices.Concat(freshPitfalls, sessionPitfalls, replyPitfalls, treePitfalls, multiPitfalls, watchPitfalls, aclPitfalls, defects) {
		t.Run(p.name, func(t *testing.T) {
			for _, f := range faces {
				t.Run(f.name, func(t *testing.T) {
					own := f
					own.root = "/" + p.name + "-" + f.name
					p.run(t, &own)
				})
			}
		})
	}
}

// lifetime is the longest timeout of a session in ms: none that a row forgets ends beside another row.
const lifetime = 300_000

// pitfall is a row: named after its number, and the test of the right behaviour.
type pitfall struct {
	name string
	run  func(t *testing.T, f *face)
}

// face is a server as its clients see it.
type face struct {
	name   string
	server *zktest.Server
	all    []*zktest.Server // of the same ensemble, this one too
	root   string           // a path that belongs to this run, see dir
}

func facesOf(tb testing.TB, alone, e *zktest.Ensemble) []face {
	tb.Helper()
	faces := []face{{name: "standalone", server: alone.Server(1), all: alone.Servers()}}
	for state, name := range map[fle.State]string{fle.Leading: "leader", fle.Following: "follower", fle.Observing: "observer"} {
		i := slices.IndexFunc(e.Servers(), func(s *zktest.Server) bool { return s.State() == state })
		if i < 0 {
			tb.Fatalf("there is no %s", name)
		}
		faces = append(faces, face{name: name, server: e.Servers()[i], all: e.Servers()})
	}
	slices.SortFunc(faces[1:], func(a, b face) int { return strings.Compare(a.name, b.name) })
	return faces
}

// speaker is a client with a session that looks at every frame.
type speaker struct {
	*raw
	t *testing.T
}

// open opens a session.
func (f *face) open(t *testing.T) *speaker {
	t.Helper()
	return openAt(t, f.server, lifetime)
}

func openAt(t *testing.T, s *zktest.Server, timeout int32) *speaker {
	t.Helper()
	c, err := dialRaw(t, s, proto.ConnectRequest{TimeOut: timeout, HasReadOnly: true})
	must(t, err)
	return &speaker{c, t}
}

// reopen renews the session on a server.
func (c *speaker) reopen(s *zktest.Server) *speaker {
	c.t.Helper()
	again, err := c.again(c.t, s, false)
	must(c.t, err)
	return &speaker{again, c.t}
}

// dir opens a session and makes the root of this run.
func (f *face) dir(t *testing.T) *speaker {
	t.Helper()
	c := f.open(t)
	c.create(f.root)
	return c
}

// said is one frame of the server.
type said struct {
	proto.ReplyHeader
	body []byte
}

// event shows a watch event as "NodeCreated /path", anything else as "".
func (f said) event() string {
	if f.Xid != proto.XidNotification {
		return ""
	}
	var e proto.WatcherEvent
	cur := jute.NewCursor(f.body)
	e.Decode(&cur)
	return fmt.Sprintf("%v %s", e.Type, e.Path)
}

// frame makes a request frame with the next xid; body may be nil.
func (c *speaker) frame(op proto.Op, body proto.Appender) []byte {
	c.xid++
	return proto.AppendRequest(nil, proto.RequestHeader{Xid: c.xid, Op: op}, body)
}

// write sends frames in one piece.
func (c *speaker) write(frames ...[]byte) {
	c.t.Helper()
	must(c.t, c.nc.SetWriteDeadline(time.Now().Add(zktest.Patience)))
	_, err := c.nc.Write(slices.Concat(frames...))
	must(c.t, err)
}

// bytes reads a frame.
func (c *speaker) bytes() []byte {
	c.t.Helper()
	must(c.t, c.nc.SetReadDeadline(time.Now().Add(zktest.Patience)))
	var head [4]byte
	_, err := io.ReadFull(c.nc, head[:])
	must(c.t, err)
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(c.nc, b)
	must(c.t, err)
	return b
}

// next reads a reply or an event. An error has no body (spec client-protocol 5.2).
func (c *speaker) next() said {
	c.t.Helper()
	var f said
	cur := jute.NewCursor(c.bytes())
	f.Decode(&cur)
	must(c.t, cur.Err())
	f.body = cur.Rest()
	if f.Err != proto.CodeOK && len(f.body) > 0 {
		c.t.Errorf("%v with a body: %x", f.Err, f.body)
	}
	return f
}

// call does one request, the answer to which is the next frame.
func (c *speaker) call(op proto.Op, body proto.Appender) said {
	c.t.Helper()
	c.write(c.frame(op, body))
	f := c.next()
	want := c.xid
	if op == proto.OpPing {
		want = proto.XidPing
	}
	if f.Xid != want {
		c.t.Fatalf("%v: %q with xid %d is no answer to %d", op, f.event(), f.Xid, want)
	}
	return f
}

// do does a request that succeeds, and returns the body of the answer.
func (c *speaker) do(op proto.Op, body proto.Appender) []byte {
	c.t.Helper()
	f := c.call(op, body)
	if f.Err != proto.CodeOK {
		c.t.Fatalf("%v %+v: %v", op, body, f.Err)
	}
	return f.body
}

// fails does a request that is refused.
func (c *speaker) fails(want proto.Code, op proto.Op, body proto.Appender) {
	c.t.Helper()
	if f := c.call(op, body); f.Err != want {
		c.t.Errorf("%v %+v: %v, want %v", op, body, f.Err, want)
	}
}

// events returns what watches have brought until now, behind everything that is committed.
func (c *speaker) events() []string {
	c.t.Helper()
	c.write(c.frame(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")}))
	var out []string
	for {
		f := c.next()
		if f.Xid != proto.XidNotification {
			return out
		}
		out = append(out, f.event())
	}
}

// wantEvents checks what watches have brought.
func (c *speaker) wantEvents(want ...string) {
	c.t.Helper()
	if got := c.events(); !slices.Equal(got, want) {
		c.t.Errorf("events %q, want %q", got, want)
	}
}

// closes waits for the end of the connection, with nothing before it.
func (c *speaker) closes() {
	c.t.Helper()
	must(c.t, c.ended())
}

// create makes plain nodes.
func (c *speaker) create(paths ...string) {
	c.t.Helper()
	for _, path := range paths {
		c.do(proto.OpCreate, node(path, 0))
	}
}

func (c *speaker) set(path string) {
	c.t.Helper()
	c.do(proto.OpSetData, proto.SetDataRequest{Path: path, Data: []byte("set"), Version: -1})
}

func (c *speaker) delete(path string) {
	c.t.Helper()
	c.do(proto.OpDelete, proto.DeleteRequest{Path: path, Version: -1})
}

// watch reads a node, or its children, and leaves a watch.
func (c *speaker) watch(op proto.Op, path string) {
	c.t.Helper()
	c.do(op, proto.ReadRequest{Path: path, Watch: true})
}

func (c *speaker) auth(scheme, id string) {
	c.t.Helper()
	c.do(proto.OpAuth, proto.AuthPacket{Scheme: scheme, Auth: []byte(id)})
}

// stat is what exists shows.
func (c *speaker) stat(path string) proto.Stat {
	c.t.Helper()
	return read[proto.StatResponse](c.t, c.do(proto.OpExists, proto.ReadRequest{Path: path})).Stat
}

// sync waits until the server shows everything that is committed.
func (c *speaker) sync() { c.do(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")}) }

// record is a pointer to a record type.
type record[T any] interface {
	*T
	Decode(c *jute.Cursor)
}

// read decodes the whole body of an answer.
func read[T any, P record[T]](tb testing.TB, body []byte) T {
	tb.Helper()
	var v T
	cur := jute.NewCursor(body)
	P(&v).Decode(&cur)
	if cur.Err() != nil || cur.Remaining() > 0 {
		tb.Fatalf("%x as %T: %v, %d bytes left", body, v, cur.Err(), cur.Remaining())
	}
	return v
}

// node is a request for a node that is open to everybody.
func node(path string, mode proto.CreateMode) proto.CreateRequest {
	return proto.CreateRequest{Path: path, Data: []byte("new"), ACL: proto.WorldACL(proto.PermAll), Mode: mode}
}

func ttlNode(path string, mode proto.CreateMode, ms int64) proto.CreateTTLRequest {
	return proto.CreateTTLRequest{Path: path, ACL: proto.WorldACL(proto.PermAll), Mode: mode, TTL: ms}
}

// body is the body of a request as it stands.
type body []byte

func (b body) Append(dst []byte) []byte { return append(dst, b...) }
