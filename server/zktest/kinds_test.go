package zktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// brisk lets the leader look for containers all the time, without pauses.
var brisk = []zktest.Option{
	zktest.Set("znode.container.checkIntervalMs", "50"), zktest.Set("znode.container.maxPerMinute", "1000000"),
}

// gone waits until no server has any of the paths.
func gone(tb testing.TB, e *zktest.Ensemble, paths ...string) {
	tb.Helper()
	for _, s := range e.Servers() {
		conn := e.Connect(tb, s)
		for _, p := range paths {
			zktest.Eventually(tb, fmt.Sprintf("%s vanishes from server %d", p, s.ID), func() error {
				if ok, _, err := conn.Exists(p); err != nil || ok {
					return fmt.Errorf("exists %v, %w", ok, err)
				}
				return nil
			})
		}
	}
}

// next returns the next event of a watch.
func next(tb testing.TB, events <-chan zk.Event) zk.Event {
	tb.Helper()
	select {
	case ev := <-events:
		return ev
	case <-time.After(zktest.Patience):
		tb.Fatal("no event")
		return zk.Event{}
	}
}

// TestContainersAndTTLNodesVanish: on every server, with the events of a delete, and nothing else.
func TestContainersAndTTLNodesVanish(t *testing.T) {
	e := zktest.Start(t, 3, brisk...)
	conn := e.Connect(t)
	for _, p := range []string{"/kept", "/used", "/full"} {
		_, err := conn.CreateContainer(p, nil, zk.FlagContainer, open)
		must(t, err)
	}
	must1(t)(conn.Create("/used/x", nil, 0, open))
	must1(t)(conn.Create("/full/x", nil, 0, open))
	must1(t)(conn.Create("/plain", nil, 0, open))
	must1(t)(conn.CreateTTL("/long", nil, zk.FlagTTL, open, time.Hour))
	must1(t)(conn.CreateTTL("/parent", nil, zk.FlagTTL, open, time.Millisecond))
	var watches []<-chan zk.Event
	for _, s := range e.Servers() {
		watcher := e.Connect(t, s)
		must1(t)(watcher.Sync("/"))
		ok, stat, events, err := watcher.ExistsW("/used")
		must(t, err)
		if !ok || stat.EphemeralOwner != 0 {
			t.Errorf("server %d shows the container as %v %+v", s.ID, ok, stat)
		}
		watches = append(watches, events)
		_, _, events, err = watcher.ChildrenW("/used")
		must(t, err)
		watches = append(watches, events)
	}
	must(t, conn.Delete("/used/x", -1))
	for i, w := range watches {
		want := zk.EventNodeDeleted
		if i%2 == 1 { // the children first
			want = zk.EventNodeChildrenChanged
		}
		if ev := next(t, w); ev.Type != want || ev.Path != "/used" {
			t.Errorf("watch %d got %+v, want %v", i, ev, want)
		}
	}
	p, err := conn.CreateTTL("/short-", nil, zk.FlagTTL, open, time.Millisecond)
	must(t, err)
	gone(t, e, "/used", p)
	e.WaitEqual(t)
	for _, s := range e.Servers() {
		holds(t, e, s, []string{"/kept", "/full", "/full/x", "/plain", "/long"})
	}
}

// TestContainersSurviveLeaderChangeAndRestart: the next leader, and a server that comes back, know
// what was made before, and go on with it.
func TestContainersSurviveLeaderChangeAndRestart(t *testing.T) {
	settings := append([]zktest.Option{zktest.Set("snapCount", "10"), zktest.Set("commitLogCount", "10")}, brisk...)
	e := zktest.Start(t, 3, settings...)
	conn := e.Connect(t)
	must1(t)(conn.CreateContainer("/c", nil, zk.FlagContainer, open))
	must1(t)(conn.Create("/c/x", nil, 0, open))
	must1(t)(conn.CreateTTL("/t", nil, zk.FlagTTL, open, time.Millisecond))
	gone(t, e, "/t")
	follower := e.Followers(t)[0]
	follower.Kill(t)
	for i := range 100 { // the follower needs a snapshot
		persist(t, conn, fmt.Sprintf("/n-%d", i), nil)
	}
	follower.Restart(t)
	e.WaitServing(t)
	e.Leader(t).Kill(t)
	zktest.Eventually(t, "the last child goes", func() error {
		if err := conn.Delete("/c/x", -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
		return nil
	})
	for _, s := range e.Servers() {
		if !s.Running() {
			s.Restart(t)
		}
	}
	e.WaitServing(t)
	gone(t, e, "/c")
	e.WaitEqual(t)
}

// TestTTLNodesSwitchedOff: a client hears that they are not implemented.
func TestTTLNodesSwitchedOff(t *testing.T) {
	e := zktest.Start(t, 1, zktest.Set("extendedTypesEnabled", "false"))
	conn := e.Connect(t)
	if _, err := conn.CreateTTL("/t", nil, zk.FlagTTL, open, time.Hour); err == nil {
		t.Error("a node with a time to live was made")
	}
	must1(t)(conn.CreateContainer("/c", nil, zk.FlagContainer, open))
}

// TestConfigNode: what getConfig of a client library reads, in an ensemble and alone, and that it
// is no part of what is replicated.
func TestConfigNode(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Observers(1), zktest.Set("DigestAuthenticationProvider.superDigest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="))
	var first string
	var events []<-chan zk.Event
	for _, s := range e.Servers() {
		data, stat, ev, err := e.Connect(t, s).GetW("/zookeeper/config")
		must(t, err)
		events = append(events, ev)
		lines := strings.Split(string(data), "\n")
		if first == "" {
			first = string(data)
		}
		if len(lines) != 4 || lines[3] != "version=0" || !strings.HasSuffix(lines[2], ":observer;"+e.Server(3).Addr()) || string(data) != first {
			t.Errorf("server %d shows %q", s.ID, data)
		}
		if stat.Version != -1 || stat.Aversion != -1 || stat.Mzxid != 0 || stat.Czxid != 0 || stat.Ctime != 0 ||
			stat.Mtime == 0 || int(stat.DataLength) != len(data) {
			t.Errorf("server %d: %+v", s.ID, stat)
		}
	}
	conn := e.Connect(t)
	if _, err := conn.Set("/zookeeper/config", nil, -1); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("set by anybody: %v", err)
	}
	must(t, conn.AddAuth("digest", []byte("super:admin")))
	stat, err := conn.Set("/zookeeper/config", []byte("mine"), -1)
	must(t, err)
	for i, s := range e.Servers() {
		if ev := next(t, events[i]); ev.Type != zk.EventNodeDataChanged {
			t.Errorf("server %d: %+v", s.ID, ev)
		}
		data, got, err := e.Connect(t, s).Get("/zookeeper/config")
		if err != nil || string(data) != "mine" || *got != *stat || got.Version != 0 {
			t.Errorf("server %d shows %q %+v %v, want %+v", s.ID, data, got, err, stat)
		}
	}
	e.WaitEqual(t)

	alone := zktest.Start(t, 1)
	data, stat, err := alone.Connect(t).Get("/zookeeper/config")
	if want := (zk.Stat{Aversion: -1}); err != nil || len(data) != 0 || *stat != want {
		t.Errorf("a standalone server shows %q %+v %v", data, stat, err)
	}
}
