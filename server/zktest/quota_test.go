package zktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// quotaRoots are the roots of the tests below; the second one is inside the first.
var quotaRoots = []string{"/q", "/q/in"}

// setQuota does what zkCli's setquota does.
func setQuota(tb testing.TB, conn *zk.Conn, root, limits string) {
	tb.Helper()
	persist(tb, conn, "/zookeeper/quota"+root, nil)
	persist(tb, conn, "/zookeeper/quota"+root+"/zookeeper_limits", []byte(limits))
	persist(tb, conn, "/zookeeper/quota"+root+"/zookeeper_stats", []byte("count=0,bytes=0"))
}

// recount walks the tree below root, but for what belongs to another quota, and returns what the
// usage must say.
func recount(tb testing.TB, conn *zk.Conn, root string) string {
	tb.Helper()
	nodes, bytes := 0, 0
	var walk func(path string)
	walk = func(path string) {
		data, _, err := conn.Get(path)
		must(tb, err)
		nodes, bytes = nodes+1, bytes+len(data)
		names, _, err := conn.Children(path)
		must(tb, err)
		for _, name := range names {
			below := path + "/" + name
			if inner, _, err := conn.Exists("/zookeeper/quota" + below + "/zookeeper_limits"); err != nil || inner {
				must(tb, err)
				continue
			}
			walk(below)
		}
	}
	walk(root)
	return fmt.Sprintf("count=%d,bytes=%d", nodes, bytes)
}

// checkUsage compares every server's usage with what is there.
func checkUsage(tb testing.TB, e *zktest.Ensemble, when string) {
	tb.Helper()
	e.WaitServing(tb)
	e.WaitEqual(tb)
	for _, s := range e.Servers() {
		conn := e.Connect(tb, s)
		for _, root := range quotaRoots {
			got, stat, err := conn.Get("/zookeeper/quota" + root + "/zookeeper_stats")
			must(tb, err)
			if want := recount(tb, conn, root); string(got) != want {
				tb.Errorf("%s: server %d says that %s uses %q, want %q", when, s.ID, root, got, want)
			}
			if stat.Version != 0 || stat.Mzxid != stat.Czxid {
				tb.Errorf("%s: server %d shows that the usage of %s was set: %+v", when, s.ID, root, stat)
			}
		}
		conn.Close()
	}
}

// TestQuotaUsageOutlivesServers: every server has the usage that the tree comes to, after new
// leaders, restarts from disk, and a tree that was received as a snapshot.
func TestQuotaUsageOutlivesServers(t *testing.T) {
	e := zktest.Start(t, 3)
	conn := e.Connect(t)
	persist(t, conn, "/q", []byte("root"))
	setQuota(t, conn, "/q", "count=1000,bytes=1000000")
	// The inner quota is set before its root is there: what is there already would be counted
	// by both, as in ZooKeeper.
	setQuota(t, conn, "/q/in", "count=1000,bytes=1000000")
	persist(t, conn, "/q/in", []byte("inner"))

	round := 0
	write := func() {
		round++
		passing := e.Connect(t)
		for i := range 12 {
			parent := quotaRoots[i%2]
			path := fmt.Sprintf("%s/n-%d-%d", parent, round, i)
			persist(t, conn, path, []byte(strings.Repeat("x", i)))
			switch i % 3 {
			case 0:
				_, err := conn.Set(path, []byte("longer than it was"), -1)
				must(t, err)
			case 1:
				must(t, conn.Delete(path, -1))
			default:
				_, err := passing.Create(path+"e", []byte("abc"), zk.FlagEphemeral, open)
				must(t, err)
			}
		}
		_, err := conn.Multi(&zk.CreateRequest{Path: fmt.Sprintf("/q/m-%d", round), Data: []byte("m"), Acl: open},
			&zk.CheckVersionRequest{Path: "/q", Version: 77})
		if !errors.Is(err, zk.ErrBadVersion) {
			t.Errorf("multi: %v, want a bad version", err)
		}
		passing.Close()
	}
	write()
	checkUsage(t, e, "at first")

	leader := e.Leader(t)
	leader.Kill(t)
	connected(t, conn)
	write()
	leader.Restart(t)
	checkUsage(t, e, "after a new leader")

	for _, s := range e.Servers() {
		s.Kill(t)
	}
	for _, s := range e.Servers() {
		s.Restart(t)
	}
	connected(t, conn)
	write()
	checkUsage(t, e, "after the end of all servers")

	follower := e.Followers(t)[0]
	follower.Kill(t)
	follower.Wipe(t)
	connected(t, conn)
	write()
	follower.Restart(t)
	checkUsage(t, e, "after a wiped disk")
}

// connected waits until the connection is served again.
func connected(tb testing.TB, conn *zk.Conn) {
	tb.Helper()
	zktest.Eventually(tb, "reconnect", func() error {
		_, err := conn.Sync("/")
		return err
	})
}

// TestQuotaIsEnforced: a hard limit holds through every server, and where enforceQuota is not
// set it does not.
func TestQuotaIsEnforced(t *testing.T) {
	for _, enforce := range []bool{true, false} {
		e := zktest.Start(t, 3, zktest.Set("enforceQuota", fmt.Sprint(enforce)))
		setUp := e.Connect(t)
		persist(t, setUp, "/q", nil)
		setQuota(t, setUp, "/q", "count=2,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
		persist(t, setUp, "/q/a", nil)
		e.WaitEqual(t)
		for _, s := range e.Servers() {
			path := fmt.Sprintf("/q/%d", s.ID)
			_, err := e.Connect(t, s).Create(path, nil, 0, open)
			switch {
			case enforce && (err == nil || !strings.Contains(err.Error(), "-125")):
				t.Errorf("create through server %d: %v, want error -125", s.ID, err)
			case !enforce && err != nil:
				t.Errorf("create through server %d without enforceQuota: %v", s.ID, err)
			}
		}
	}
}
