package zktest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// events reads the events ahead of the reply to a sync.
func (c *raw) events(tb testing.TB) []string {
	tb.Helper()
	c.xid++
	frame, err := c.exchange(proto.AppendRequest(nil, proto.RequestHeader{Xid: c.xid, Op: proto.OpSync}, proto.SyncRequest{Path: proto.Str("/")}))
	var got []string
	for {
		must(tb, err)
		cur := jute.NewCursor(frame)
		var h proto.ReplyHeader
		h.Decode(&cur)
		if h.Xid == c.xid {
			return got
		}
		var ev proto.WatcherEvent
		ev.Decode(&cur)
		if h.Xid != proto.XidNotification || cur.Err() != nil {
			tb.Fatalf("%+v among the events", h)
		}
		got = append(got, fmt.Sprint(ev.Type, " ", ev.Path))
		frame, err = c.exchange(nil)
	}
}

// TestWatchesOfEveryKindOnEveryServer has the same watches at the leader, a follower and an
// observer: all hear the same.
func TestWatchesOfEveryKindOnEveryServer(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Observers(1))
	writer := e.Connect(t, e.Leader(t))
	must1(t)(writer.Create("/p", nil, 0, open))
	var watchers []*raw
	for _, s := range e.Servers() {
		c, err := dialRaw(t, s, proto.ConnectRequest{TimeOut: 10_000})
		must(t, err)
		call := func(op proto.Op, body proto.Appender) []byte {
			t.Helper()
			_, reply, err := c.call(op, body)
			must(t, err)
			return reply
		}
		call(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
		if body := call(proto.OpAddWatch, proto.AddWatchRequest{Path: "/p", Mode: proto.AddWatchPersistentRecursive}); !slices.Equal(body, make([]byte, 4)) {
			t.Errorf("server %d answers addWatch with %x, want an error code of 0", s.ID, body)
		}
		call(proto.OpAddWatch, proto.AddWatchRequest{Path: "/p/q", Mode: proto.AddWatchPersistent})
		call(proto.OpGetData, proto.ReadRequest{Path: "/p", Watch: true})
		call(proto.OpGetChildren, proto.ReadRequest{Path: "/p", Watch: true})
		for _, kind := range []proto.WatcherType{proto.WatcherData, proto.WatcherChildren, proto.WatcherPersistentRecursive} {
			call(proto.OpCheckWatches, proto.RemoveWatchesRequest{Path: "/p", Type: kind})
		}
		watchers = append(watchers, c)
	}
	must1(t)(writer.Set("/p", []byte("1"), -1))
	must1(t)(writer.Create("/p/q", nil, 0, open))
	must1(t)(writer.Create("/p/q/r", nil, 0, open))
	must1(t)(writer.Multi(
		&zk.DeleteRequest{Path: "/p/q/r", Version: -1},
		&zk.DeleteRequest{Path: "/p/q", Version: -1},
		&zk.SetDataRequest{Path: "/p", Version: -1},
	))
	want := []string{
		"NodeDataChanged /p", "NodeCreated /p/q", "NodeChildrenChanged /p", "NodeCreated /p/q/r", "NodeChildrenChanged /p/q",
		"NodeDeleted /p/q/r", "NodeChildrenChanged /p/q", "NodeDeleted /p/q", "NodeDataChanged /p",
	}
	for i, c := range watchers {
		if got := c.events(t); !slices.Equal(got, want) {
			t.Errorf("server %d: %q, want %q", i+1, got, want)
		}
		_, _, err := c.call(proto.OpRemoveWatches, proto.RemoveWatchesRequest{Path: "/p", Type: proto.WatcherPersistentRecursive})
		must(t, err)
	}
	must1(t)(writer.Set("/p", []byte("2"), -1))
	for i, c := range watchers {
		if got := c.events(t); len(got) > 0 {
			t.Errorf("server %d: %q behind the removal", i+1, got)
		}
	}
}

// TestWatchesFollowTheirClient kills the server of a client that watches. What changed meanwhile
// it hears from the next one, or what changes later.
func TestWatchesFollowTheirClient(t *testing.T) {
	e := zktest.Start(t, 3)
	leader := e.Leader(t)
	followers := slices.DeleteFunc(slices.Clone(e.Servers()), func(s *zktest.Server) bool { return s == leader })
	writer := e.Connect(t, leader)
	for _, path := range []string{"/changed", "/parent", "/quiet"} {
		must1(t)(writer.Create(path, nil, 0, open))
	}
	watcher := e.Connect(t, followers...)
	must1(t)(watcher.Sync("/"))
	_, _, changed, err := watcher.GetW("/changed")
	must(t, err)
	_, _, parent, err := watcher.ChildrenW("/parent")
	must(t, err)
	_, _, appeared, err := watcher.ExistsW("/appeared")
	must(t, err)
	_, _, quiet, err := watcher.GetW("/quiet")
	must(t, err)
	at := watcher.Server()
	for _, s := range followers {
		if s.Addr() == at {
			s.Kill(t)
		}
	}
	must1(t)(writer.Set("/changed", []byte("1"), -1))
	must1(t)(writer.Create("/parent/c", nil, 0, open))
	must1(t)(writer.Create("/appeared", nil, 0, open))
	hear := func(events <-chan zk.Event, want zk.EventType, path string) {
		t.Helper()
		select {
		case ev := <-events:
			if ev.Type != want || ev.Path != path {
				t.Errorf("got %+v, want %v at %s", ev, want, path)
			}
		case <-time.After(zktest.Patience):
			t.Fatalf("no event at %s", path)
		}
	}
	hear(changed, zk.EventNodeDataChanged, "/changed")
	hear(parent, zk.EventNodeChildrenChanged, "/parent")
	hear(appeared, zk.EventNodeCreated, "/appeared")
	must1(t)(writer.Set("/quiet", []byte("1"), -1))
	hear(quiet, zk.EventNodeDataChanged, "/quiet")
}
