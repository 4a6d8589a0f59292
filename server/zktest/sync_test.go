package zktest_test

import (
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// deposed starts three servers whose third one leads, and is slow to give up. It isolates that one
// and lets the others commit a change of /x that it does not hear of; the client that comes back is one
// of the isolated leader. Until that gives up it believes to lead.
func deposed(t *testing.T, opts ...zktest.Option) (e *zktest.Ensemble, conn *zk.Conn) {
	t.Helper()
	opts = append(opts, zktest.Set("syncLimit", "4"), zktest.SetOn(3, "syncLimit", "25"))
	e = zktest.Start(t, 3, opts...)
	for e.Leader(t) != e.Server(3) {
		leader := e.Leader(t)
		leader.Stop(t)
		e.WaitServing(t)
		leader.Restart(t)
		e.WaitServing(t)
	}
	conn = e.Connect(t, e.Server(3))
	persist(t, conn, "/x", []byte("old"))
	_, err := conn.Sync("/x")
	must(t, err)
	e.Isolate(e.Server(3))
	others := e.Connect(t, e.Server(1), e.Server(2))
	zktest.Eventually(t, "the others write", func() error {
		_, err := others.Set("/x", []byte("new"), -1)
		return err
	})
	return e, conn
}

// A read after a sync sees what was committed before the sync began, though the server that answers
// does not know yet that it leads no more (hazard H-63).
func TestSyncAtADeposedLeader(t *testing.T) {
	t.Parallel() // it waits most of its time
	e, conn := deposed(t)
	zktest.Eventually(t, "sync and read", func() error {
		if _, err := conn.Sync("/x"); err != nil {
			if e.Server(3).State() != fle.Looking {
				return err
			}
			e.Heal() // it has given up: its client must hear the truth from the others
			return err
		}
		data, _, err := conn.Get("/x")
		if err == nil && string(data) != "new" {
			t.Fatalf("after a sync /x is %q, and was set to new before it", data)
		}
		return err
	})
}

// A sync through a follower or an observer is one of the leader that it follows.
func TestSyncThroughLearners(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Observers(1))
	writer := e.Connect(t, e.Leader(t))
	persist(t, writer, "/x", nil)
	for _, s := range e.Servers() {
		conn := e.Connect(t, s)
		for range 50 {
			stat, err := writer.Set("/x", nil, -1)
			must(t, err)
			_, err = conn.Sync("/x")
			must(t, err)
			if _, got, err := conn.Get("/x"); err != nil || got.Version < stat.Version {
				t.Fatalf("server %d: version %v (%v) after a sync, %d was committed before", s.ID, got, err, stat.Version)
			}
		}
	}
}

// With linearizableReads a read needs no sync (hazard H-63).
func TestLinearizableReadAtADeposedLeader(t *testing.T) {
	t.Parallel() // it waits most of its time
	e, conn := deposed(t, zktest.Set("linearizableReads", "true"))
	zktest.Eventually(t, "read", func() error {
		data, _, err := conn.Get("/x")
		switch {
		case err == nil && string(data) != "new":
			t.Fatalf("/x is %q, and was set to new before it was asked for", data)
		case err != nil && e.Server(3).State() == fle.Looking:
			e.Heal()
		}
		return err
	})
}

// Every server sees at once what was answered anywhere, changes of the leader included.
func TestLinearizableReadsEverywhere(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Observers(1), zktest.Set("linearizableReads", "true"))
	for range 2 {
		leader := e.Leader(t)
		writer := e.Connect(t, leader)
		persist(t, writer, "/x", nil)
		for _, s := range e.Servers() {
			conn := e.Connect(t, s)
			for range 50 {
				stat, err := writer.Set("/x", nil, -1)
				must(t, err)
				if _, got, err := conn.Get("/x"); err != nil || got.Version < stat.Version {
					t.Fatalf("server %d: version %v (%v), %d was answered before", s.ID, got, err, stat.Version)
				}
			}
		}
		leader.Stop(t)
		e.WaitServing(t)
		leader.Restart(t)
		e.WaitServing(t)
	}
}
