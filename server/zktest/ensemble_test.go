package zktest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab"
)

var open = zk.WorldACL(zk.PermAll)

// must fails the test on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// persist repeats a create until it is known to have happened, as an application must whose
// connection was lost with the answer outstanding.
func persist(tb testing.TB, conn *zk.Conn, path string, data []byte) {
	tb.Helper()
	zktest.Eventually(tb, "create "+path, func() error {
		_, err := conn.Create(path, data, 0, open)
		if errors.Is(err, zk.ErrNodeExists) {
			return nil
		}
		return err
	})
}

// holds checks that a server, after a sync, has every path.
func holds(tb testing.TB, e *zktest.Ensemble, s *zktest.Server, paths []string) {
	tb.Helper()
	conn := e.Connect(tb, s)
	_, err := conn.Sync("/")
	must(tb, err)
	for _, p := range paths {
		ok, _, err := conn.Exists(p)
		must(tb, err)
		if !ok {
			tb.Errorf("server %d lacks %s, which was acknowledged", s.ID, p)
		}
	}
}

func TestEveryServerServesClients(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			e := zktest.Start(t, n)
			var paths []string
			for _, s := range e.Servers() {
				conn := e.Connect(t, s)
				p, err := conn.Create(fmt.Sprintf("/n-%d-", s.ID), []byte("v"), zk.FlagSequence, open)
				must(t, err)
				paths = append(paths, p)
				stat, err := conn.Set(p, []byte("w"), 0)
				must(t, err)
				if data, got, err := conn.Get(p); err != nil || string(data) != "w" || got.Mzxid != stat.Mzxid {
					t.Errorf("server %d: get after set: %q %+v %v, want w at %x", s.ID, data, got, err, stat.Mzxid)
				}
				res, err := conn.Multi(&zk.CreateRequest{Path: p + "/a", Acl: open}, &zk.CheckVersionRequest{Path: p, Version: 7})
				if !errors.Is(err, zk.ErrBadVersion) {
					t.Errorf("server %d: failing multi: %v %v, want a bad version", s.ID, res, err)
				}
				if ok, _, err := conn.Exists(p + "/a"); ok || err != nil {
					t.Errorf("server %d: a failed multi left a node behind (%v)", s.ID, err)
				}
			}
			for _, s := range e.Servers() {
				holds(t, e, s, paths)
			}
			e.WaitEqual(t)
		})
	}
}

func TestWatchFiresOnOtherServer(t *testing.T) {
	e := zktest.Start(t, 3)
	writer, watcher := e.Connect(t, e.Server(1)), e.Connect(t, e.Server(2))
	_, err := writer.Create("/w", nil, 0, open)
	must(t, err)
	_, err = watcher.Sync("/w")
	must(t, err)
	_, _, events, err := watcher.GetW("/w")
	must(t, err)
	_, err = writer.Set("/w", []byte("x"), -1)
	must(t, err)
	select {
	case ev := <-events:
		if ev.Type != zk.EventNodeDataChanged || ev.Path != "/w" {
			t.Errorf("got %+v", ev)
		}
	case <-time.After(zktest.Patience):
		t.Fatal("no event")
	}
}

func TestLeaderKilledAgainAndAgain(t *testing.T) {
	e := zktest.Start(t, 3)
	conn := e.Connect(t)
	var paths []string
	for round := range 4 {
		for i := range 20 {
			p := fmt.Sprintf("/k-%d-%d", round, i)
			persist(t, conn, p, nil)
			paths = append(paths, p)
		}
		leader := e.Leader(t)
		leader.Kill(t)
		p := fmt.Sprintf("/after-%d", round)
		persist(t, conn, p, nil)
		paths = append(paths, p)
		leader.Restart(t)
		e.WaitServing(t)
	}
	for _, s := range e.Servers() {
		holds(t, e, s, paths)
	}
	e.WaitEqual(t)
}

func TestAllKilledAtOnce(t *testing.T) {
	e := zktest.Start(t, 3)
	conn := e.Connect(t)
	var paths []string
	for i := range 100 {
		p := fmt.Sprintf("/a-%d", i)
		persist(t, conn, p, []byte("x"))
		paths = append(paths, p)
	}
	for _, s := range e.Servers() {
		s.Kill(t)
	}
	for _, s := range e.Servers() {
		s.Restart(t)
	}
	e.WaitServing(t)
	for _, s := range e.Servers() {
		holds(t, e, s, paths)
	}
	e.WaitEqual(t)
}

// TestFollowerRejoins lets a follower miss writes, few enough for the leader's log, and then more
// than the log keeps, while clients go on writing.
func TestFollowerRejoins(t *testing.T) {
	for name, keep := range map[string]string{"by DIFF": "100000", "by SNAP": "10"} {
		t.Run(name, func(t *testing.T) {
			e := zktest.Start(t, 3, zktest.Set("snapCount", keep), zktest.Set("commitLogCount", keep))
			follower := e.Followers(t)[0]
			conn := e.Connect(t, e.Leader(t))
			must1(t)(conn.Create("/d", nil, 0, open))
			follower.Kill(t)
			for i := range 6000 {
				must1(t)(conn.Set("/d", fmt.Appendf(nil, "%d", i), -1))
			}
			stop, done := make(chan struct{}), make(chan error, 1)
			go func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						done <- nil
						return
					default:
					}
					if _, err := conn.Create(fmt.Sprintf("/live-%d", i), nil, 0, open); err != nil {
						done <- err
						return
					}
				}
			}()
			follower.Restart(t)
			e.WaitServing(t)
			close(stop)
			must(t, <-done)
			e.WaitEqual(t)
			// What came by synchronisation must survive a crash like anything else.
			follower.Kill(t)
			follower.Restart(t)
			e.WaitServing(t)
			e.WaitEqual(t)
		})
	}
}

func must1(tb testing.TB) func(any, error) {
	tb.Helper()
	return func(_ any, err error) {
		tb.Helper()
		must(tb, err)
	}
}

// TestWipedMemberIsNotCounted wipes a follower: it comes back, is synchronised, and counts
// again only after that (hazard H-40).
func TestWipedMemberIsNotCounted(t *testing.T) {
	e := zktest.Start(t, 3)
	conn := e.Connect(t)
	persist(t, conn, "/kept", nil)
	leader := e.Leader(t)
	var wiped, other *zktest.Server
	for _, s := range e.Followers(t) {
		if wiped == nil {
			wiped = s
		} else {
			other = s
		}
	}
	wiped.Kill(t)
	other.Kill(t)
	wiped.Wipe(t)
	wiped.Restart(t)
	// The leader, which knows what was acknowledged, and the wiped one are no quorum.
	zktest.Eventually(t, "the leader stands down", func() error {
		if s := leader.State(); s == fle.Leading {
			return fmt.Errorf("state %v", s)
		}
		return nil
	})
	other.Restart(t)
	e.WaitServing(t)
	e.WaitEqual(t)
	holds(t, e, wiped, []string{"/kept"})
	// Synchronised once, it counts, as soon as the others have heard of it: the ensemble
	// survives without the other.
	zktest.Eventually(t, "the new store of the wiped server is known", func() error {
		sid, incarnation := quorum.SID(wiped.ID), wiped.Node().Durable().Incarnation
		for _, s := range e.Servers() {
			if !slices.ContainsFunc(s.Node().Durable().Known, func(k zab.Known) bool {
				return k.SID == sid && k.Incarnation == incarnation && !k.Gone
			}) {
				return fmt.Errorf("not at server %d", s.ID)
			}
		}
		return nil
	})
	other.Kill(t)
	persist(t, e.Connect(t), "/after", nil)
}

// TestPartitionedLeaderStepsDown holds hazard H-52.
func TestPartitionedLeaderStepsDown(t *testing.T) {
	t.Parallel() // it waits most of its time
	e := zktest.Start(t, 3)
	old := e.Leader(t)
	conn := e.Connect(t)
	persist(t, conn, "/before", nil)
	e.Isolate(old)
	zktest.Eventually(t, "a new leader on the other side", func() error {
		for _, s := range e.Servers() {
			if s != old && s.State() == fle.Leading {
				return nil
			}
		}
		return errors.New("none")
	})
	zktest.Eventually(t, "the isolated leader steps down", func() error {
		if old.State() == fle.Leading {
			return errors.New("it leads")
		}
		return nil
	})
	others := slices.DeleteFunc(slices.Clone(e.Servers()), func(s *zktest.Server) bool { return s == old })
	persist(t, e.Connect(t, others...), "/during", nil)
	e.Heal()
	e.WaitServing(t)
	holds(t, e, old, []string{"/before", "/during"})
	e.WaitEqual(t)
}

// TestEphemeralsOfExpiredSessionVanish holds hazard H-68.
func TestEphemeralsOfExpiredSessionVanish(t *testing.T) {
	t.Parallel() // it waits most of its time
	e := zktest.Start(t, 3)
	holder, _, err := zk.Connect([]string{e.Server(1).Addr()}, 400*time.Millisecond, zk.WithLogger(quiet{}))
	must(t, err)
	zktest.Eventually(t, "ephemeral", func() error {
		_, err := holder.Create("/eph", nil, zk.FlagEphemeral, open)
		return err
	})
	e.Server(1).Kill(t) // its client has no other server: the session will expire
	for _, s := range e.Servers()[1:] {
		conn := e.Connect(t, s)
		zktest.Eventually(t, fmt.Sprintf("/eph vanishes on server %d", s.ID), func() error {
			if ok, _, err := conn.Exists("/eph"); err != nil || ok {
				return fmt.Errorf("exists %v, %w", ok, err)
			}
			return nil
		})
	}
	holder.Close()
	e.Server(1).Restart(t)
	e.WaitServing(t)
	e.WaitEqual(t)
}

func TestSessionMovesToAnotherServer(t *testing.T) {
	e := zktest.Start(t, 3)
	conn := e.Connect(t)
	must1(t)(conn.Create("/mine", nil, zk.FlagEphemeral, open))
	id := conn.SessionID()
	addr := conn.Server() // it will be another one as soon as this one is dead
	for _, s := range e.Servers() {
		if s.Addr() == addr {
			s.Kill(t)
		}
	}
	zktest.Eventually(t, "the session goes on", func() error {
		_, err := conn.Sync("/mine")
		return err
	})
	ok, stat, err := conn.Exists("/mine")
	must(t, err)
	if !ok || stat.EphemeralOwner != id || conn.SessionID() != id {
		t.Errorf("exists %v, owner %x, session %x, want %x", ok, stat.EphemeralOwner, conn.SessionID(), id)
	}
}

// TestObserverServesAndNeverVotes holds hazard H-49.
func TestObserverServesAndNeverVotes(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Observers(1))
	observer := e.Server(3)
	conn := e.Connect(t, observer)
	must1(t)(conn.Create("/o", nil, 0, open))
	if got := observer.State(); got != fle.Observing {
		t.Fatalf("server 3 is %v", got)
	}
	e.Leader(t).Kill(t)
	zktest.Eventually(t, "one voter and an observer do not serve", func() error {
		for _, s := range e.Servers() {
			if s.Running() && s.Node().Serving() {
				return fmt.Errorf("server %d serves", s.ID)
			}
		}
		return nil
	})
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
