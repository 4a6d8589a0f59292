package zktest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// silently reports whether a server closed a connection without a word.
func silently(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// A server that has lost its quorum serves what it has to those who ask for no more, and takes
// part again when the others are back.
func TestReadOnlyModeWithoutAQuorum(t *testing.T) {
	t.Parallel() // it waits most of its time
	e := zktest.Start(t, 3, zktest.Set("readonlymode.enabled", "true"))
	left := e.Followers(t)[0]
	conn := e.Connect(t, left)
	_, err := conn.Create("/r", []byte("v"), 0, open)
	must(t, err)
	_, err = conn.Create("/e", nil, zk.FlagEphemeral, open)
	must(t, err)
	global, err := dialRaw(t, left, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true})
	must(t, err)
	if global.res.ReadOnly {
		t.Error("a server with a quorum says that it is read-only")
	}
	var others []*zktest.Server
	for _, s := range e.Servers() {
		if s != left {
			others = append(others, s)
			s.Kill(t)
		}
	}
	must(t, global.ended())

	var reader *raw
	zktest.Eventually(t, "reads are served", func() (err error) {
		reader, err = dialRaw(t, left, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true, ReadOnly: true})
		return err
	})
	servesReadsAlone(t, left, reader, global)

	for _, s := range others {
		s.Restart(t)
	}
	must(t, reader.ended())
	e.WaitServing(t)
	zktest.Eventually(t, "the server serves again", func() error {
		text, err := word(left, "isro")
		if err == nil && text != "rw" {
			err = errors.New("isro says " + text)
		}
		return err
	})
	if _, err := reader.again(t, left, true); !errors.Is(err, errRefused) {
		t.Errorf("the session of the read-only mode: %v, want a refusal", err)
	}
	zktest.Eventually(t, "the session of before is served again", func() error {
		_, err := global.again(t, left, false)
		return err
	})
	e.WaitEqual(t)
}

// servesReadsAlone checks what a server without a leader says to reader, to strangers, and to a
// client with a session of the ensemble.
func servesReadsAlone(t *testing.T, left *zktest.Server, reader, global *raw) {
	t.Helper()
	if !reader.res.ReadOnly || byte(uint64(reader.res.SessionID)>>56) != byte(left.ID) {
		t.Errorf("welcomed with %+v", reader.res)
	}
	if left.State() != fle.Looking {
		t.Errorf("reads are served while %v", left.State())
	}
	_, body, err := reader.call(proto.OpGetData, proto.ReadRequest{Path: "/r", Watch: true})
	must(t, err)
	cur := jute.NewCursor(body)
	if data := cur.Buffer(); string(data) != "v" {
		t.Errorf("read %q", data)
	}
	for op, body := range map[proto.Op]proto.Appender{
		proto.OpSetData: proto.SetDataRequest{Path: "/r", Version: -1},
		proto.OpSync:    proto.SyncRequest{Path: proto.Str("/r")},
		proto.OpDelete:  proto.DeleteRequest{Path: "/r", Version: -1},
	} {
		h, _, err := reader.call(op, body)
		if !errors.Is(err, proto.CodeNotReadOnly) || h.Zxid != left.Node().Applied().ID {
			t.Errorf("%v: %v at %v, want NotReadOnly at %v", op, err, h.Zxid, left.Node().Applied().ID)
		}
	}
	if text, err := word(left, "isro"); text != "ro" || err != nil {
		t.Errorf("isro says %q, %v", text, err)
	}
	if text, err := word(left, "srvr"); !strings.Contains(text, "Mode: read-only\n") {
		t.Errorf("srvr says %q, %v", text, err)
	}
	if _, err := dialRaw(t, left, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true}); !silently(err) {
		t.Errorf("a client that wants to write: %v, want silence", err)
	}
	if _, err := global.again(t, left, true); !silently(err) {
		t.Errorf("a session of the ensemble: %v, want silence", err)
	}
}

// A local session stays with its server through changes of the leader.
func TestLocalSessionsOutliveTheLeader(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("localSessionsEnabled", "true"))
	leader := e.Leader(t)
	home := e.Followers(t)[0]
	conn := e.Connect(t, home)
	id := conn.SessionID()
	_, err := conn.Create("/l", nil, 0, open)
	must(t, err)
	if _, err := conn.Create("/e", nil, zk.FlagEphemeral, open); err == nil {
		t.Error("a local session owns an ephemeral")
	}
	local, err := dialRaw(t, home, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true})
	must(t, err)
	if _, err := local.again(t, leader, false); !errors.Is(err, errRefused) {
		t.Errorf("on another server: %v, want a refusal", err)
	}
	_, _, err = local.call(proto.OpSetData, proto.SetDataRequest{Path: "/l", Data: []byte("1"), Version: -1})
	must(t, err)
	leader.Kill(t)
	zktest.Eventually(t, "the next leader", func() error {
		_, err := conn.Set("/l", []byte("2"), -1)
		return err
	})
	if conn.SessionID() != id {
		t.Errorf("session %x became %x", id, conn.SessionID())
	}
	zktest.Eventually(t, "the raw session goes on", func() (err error) {
		local, err = local.again(t, home, false)
		return err
	})
	_, _, err = local.call(proto.OpSetData, proto.SetDataRequest{Path: "/l", Data: []byte("3"), Version: -1})
	must(t, err)
	leader.Restart(t)
	e.WaitServing(t)
	e.WaitEqual(t)
}

// With its first ephemeral a session becomes one of the ensemble: it survives its server.
func TestUpgradedSessionsMove(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("localSessionsEnabled", "true"), zktest.Set("localSessionsUpgradingEnabled", "true"))
	home := e.Followers(t)[0]
	c, err := dialRaw(t, home, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true})
	must(t, err)
	create := func(c *raw, path string, mode proto.CreateMode) proto.ReplyHeader {
		t.Helper()
		h, _, err := c.call(proto.OpCreate, proto.CreateRequest{Path: path, ACL: proto.WorldACL(proto.PermAll), Mode: mode})
		must(t, err)
		return h
	}
	plain := create(c, "/p", proto.ModePersistent)
	if eph := create(c, "/e", proto.ModeEphemeral); eph.Zxid != plain.Zxid+2 {
		t.Errorf("the first ephemeral has zxid %v behind %v, want the session between them", eph.Zxid, plain.Zxid)
	}
	if eph := create(c, "/e2", proto.ModeEphemeral); eph.Zxid != plain.Zxid+3 {
		t.Errorf("the second ephemeral has zxid %v, want %v", eph.Zxid, plain.Zxid+3)
	}
	home.Kill(t)
	must(t, c.ended())
	var moved *raw
	for _, s := range e.Servers() {
		if !s.Running() {
			continue
		}
		zktest.Eventually(t, "the session goes on elsewhere", func() error {
			moved, err = c.again(t, s, false)
			return err
		})
		create(moved, "/e-"+string(rune('0'+s.ID)), proto.ModeEphemeral)
	}
	_, _, err = moved.call(proto.OpCloseSession, nil)
	must(t, err)
	home.Restart(t)
	e.WaitServing(t)
	conn := e.Connect(t, home)
	_, err = conn.Sync("/")
	must(t, err)
	if names, _, err := conn.Children("/"); err != nil || len(names) != 2 {
		t.Errorf("left are %v, %v, want /p and /zookeeper", names, err)
	}
}

// A restart of everybody keeps sessions with their timeouts and ephemerals, counters of children, stats,
// null data, ACLs, and which nodes are containers or have a time to live.
func TestPitfall62RestartKeepsEverything(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("znode.container.checkIntervalMs", "50"))
	home := e.Followers(t)[0]
	c, err := dialRaw(t, home, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true})
	must(t, err)
	do := func(op proto.Op, body proto.Appender) {
		t.Helper()
		_, _, err := c.call(op, body)
		must(t, err)
	}
	create := func(path string, data []byte, mode proto.CreateMode, acl []proto.ACL) {
		t.Helper()
		do(proto.OpCreate, proto.CreateRequest{Path: path, Data: data, ACL: acl, Mode: mode})
	}
	world := proto.WorldACL(proto.PermAll)
	create("/null", nil, proto.ModePersistent, world)
	create("/empty", []byte{}, proto.ModePersistent, world)
	create("/acl", nil, proto.ModePersistent, []proto.ACL{
		{Perms: proto.PermRead | proto.PermAdmin, ID: proto.ID{Scheme: "world", ID: "anyone"}},
		{Perms: proto.PermAll, ID: proto.ID{Scheme: "digest", ID: "u:kjGGyAGbYbOtbyKZlVZEBMGOmk0="}},
	})
	create("/seq", nil, proto.ModePersistent, world)
	for range 3 {
		create("/seq/n-", nil, proto.ModePersistentSequential, world)
	}
	do(proto.OpDelete, proto.DeleteRequest{Path: "/seq/n-0000000002", Version: -1})
	create("/eph", []byte("e"), proto.ModeEphemeral, world)
	do(proto.OpSetData, proto.SetDataRequest{Path: "/eph", Data: []byte("f"), Version: 0})

	do(proto.OpCreateContainer, proto.CreateRequest{Path: "/kind-c", ACL: world, Mode: proto.ModeContainer})
	do(proto.OpCreateTTL, proto.CreateTTLRequest{Path: "/kind-ttl", ACL: world, Mode: proto.ModePersistentWithTTL, TTL: 1 << 39})
	do(proto.OpMulti, multi( // the child comes in time
		proto.MultiOp{Op: proto.OpCreateTTL, Request: &proto.CreateTTLRequest{
			Path: "/kind-old", ACL: world, Mode: proto.ModePersistentWithTTL, TTL: 1,
		}},
		opCreate("/kind-old/x", 0), opCreate("/kind-c/x", 0), opCreate("/kind-ttl/x", 0), opCreate("/null/x", 0)))
	openAt(t, home, 2000).do(proto.OpCreate, node("/late", proto.ModeEphemeral))

	look := func(c *raw) (out []byte) {
		t.Helper()
		for _, path := range []string{"/null", "/empty", "/seq", "/eph", "/kind-c", "/kind-ttl", "/kind-old"} {
			_, body, err := c.call(proto.OpGetData, proto.ReadRequest{Path: path})
			must(t, err)
			out = append(out, body...)
		}
		_, acl, err := c.call(proto.OpGetACL, proto.PathRequest{Path: "/acl"})
		must(t, err)
		_, mine, err := c.call(proto.OpGetEphemerals, proto.GetEphemeralsRequest{})
		must(t, err)
		return append(append(out, acl...), mine...)
	}
	before := look(c)
	for _, s := range e.Servers() {
		s.Kill(t)
	}
	for _, s := range e.Servers() {
		s.Restart(t)
	}
	e.WaitServing(t)
	for _, s := range e.Servers() {
		again, err := c.again(t, s, false)
		must(t, err)
		if got := look(again); !bytes.Equal(got, before) {
			t.Errorf("server %d shows\n%x, before the restart\n%x", s.ID, got, before)
		}
		c = again
	}
	_, body, err := c.call(proto.OpCreate, proto.CreateRequest{Path: "/seq/n-", ACL: world, Mode: proto.ModePersistentSequential})
	must(t, err)
	var created proto.CreateResponse
	cur := jute.NewCursor(body)
	if created.Decode(&cur); created.Path != "/seq/n-0000000003" {
		t.Errorf("the next child is %s", created.Path)
	}
	rest := openAt(t, home, 4000)
	for _, path := range []string{"/kind-c", "/kind-old", "/kind-ttl", "/null"} {
		rest.delete(path + "/x")
	}
	zktest.Eventually(t, "what was marked, and the other session, are gone", func() error {
		names := read[proto.GetChildrenResponse](t, rest.do(proto.OpGetChildren, proto.ReadRequest{Path: "/"})).Children
		slices.Sort(names)
		if want := []string{"acl", "empty", "eph", "kind-ttl", "null", "seq", "zookeeper"}; !slices.Equal(names, want) {
			return fmt.Errorf("there are %v, want %v", names, want)
		}
		return nil
	})
}

// What a leader proposed and never got committed is not shown, though it is in its log (hazard
// H-73).
func TestReadOnlyModeShowsNothingUncommitted(t *testing.T) {
	t.Parallel() // it waits most of its time
	e := zktest.Start(t, 3, zktest.Set("readonlymode.enabled", "true"), zktest.Set("syncLimit", "3"))
	old := e.Leader(t)
	c, err := dialRaw(t, old, proto.ConnectRequest{TimeOut: 4000})
	must(t, err)
	_, _, err = c.call(proto.OpCreate, proto.CreateRequest{Path: "/x", Data: []byte("committed"), ACL: proto.WorldACL(proto.PermAll)})
	must(t, err)
	before := old.Node().Durable().History.Last()
	e.Isolate(old)
	if _, _, err := c.call(proto.OpSetData, proto.SetDataRequest{Path: "/x", Data: []byte("not"), Version: -1}); !silently(err) {
		t.Errorf("a write without a quorum: %v, want silence", err)
	}
	if after := old.Node().Durable().History.Last(); after.ID <= before.ID {
		t.Fatalf("the write is not in the log, which ends at %v", after)
	}
	var reader *raw
	zktest.Eventually(t, "reads are served", func() (err error) {
		reader, err = dialRaw(t, old, proto.ConnectRequest{TimeOut: 4000, HasReadOnly: true, ReadOnly: true})
		return err
	})
	h, body, err := reader.call(proto.OpGetData, proto.ReadRequest{Path: "/x"})
	must(t, err)
	cur := jute.NewCursor(body)
	if data := cur.Buffer(); string(data) != "committed" || h.Zxid > before.ID {
		t.Errorf("read %q at %v, want what was committed up to %v", data, h.Zxid, before.ID)
	}
	e.Heal()
	must(t, reader.ended())
	e.WaitServing(t)
	e.WaitEqual(t)
}
