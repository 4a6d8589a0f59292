package zktest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// onTwoDisks starts three servers whose logs have a second disk.
func onTwoDisks(t *testing.T) *zktest.Ensemble {
	t.Helper()
	return zktest.Start(t, 3, zktest.Set("dataLogDir", "/primary"), zktest.Set("dataLogDirSecondary", "/secondary"))
}

// diverted waits until the log of a server goes to its second disk, or not.
func diverted(t *testing.T, s *zktest.Server, want bool) {
	t.Helper()
	line := "zk_log_diverted\t0\n"
	if want {
		line = "zk_log_diverted\t1\n"
	}
	zktest.Eventually(t, "the log is where it should be", func() error {
		mntr, err := word(s, "mntr")
		if err == nil && !strings.Contains(mntr, line) {
			err = fmt.Errorf("server %d: mntr has no %q", s.ID, line)
		}
		return err
	})
}

// journal is what a client of one server was told to be done.
type journal struct {
	conn   *zk.Conn
	events <-chan zk.Event
	paths  []string
}

func newJournal(t *testing.T, s *zktest.Server) *journal {
	t.Helper()
	conn, events, err := zk.Connect([]string{s.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	deadline := time.After(zktest.Patience)
	for {
		select {
		case ev := <-events:
			if ev.State == zk.StateHasSession {
				return &journal{conn: conn, events: events}
			}
		case <-deadline:
			t.Fatal("no session")
		}
	}
}

// write creates nodes, one after the other, for so long and at least n.
func (j *journal) write(t *testing.T, n int, long time.Duration) {
	t.Helper()
	for until := time.Now().Add(long); n > 0 || time.Now().Before(until); n-- {
		p, err := j.conn.Create("/n", nil, zk.FlagSequence, zk.WorldACL(zk.PermAll))
		if err != nil {
			t.Fatal(err)
		}
		j.paths = append(j.paths, p)
	}
}

// unbroken checks that the connection is the one that it was in the beginning.
func (j *journal) unbroken(t *testing.T) {
	t.Helper()
	for {
		select {
		case ev := <-j.events:
			if ev.State == zk.StateDisconnected {
				t.Error("the server has sent its client away")
			}
		default:
			return
		}
	}
}

// has checks that a server has everything that was acknowledged.
func (j *journal) has(t *testing.T, e *zktest.Ensemble, s *zktest.Server) {
	t.Helper()
	conn := e.Connect(t, s)
	defer conn.Close()
	if _, err := conn.Sync("/"); err != nil {
		t.Fatal(err)
	}
	for _, p := range j.paths {
		if found, _, err := conn.Exists(p); err != nil || !found {
			t.Errorf("server %d has lost %s: %v", s.ID, p, err)
		}
	}
}

// The log's disk of one server stalls for longer than syncLimit: its clients are served on, a follower is not given
// up, a leader leads on, and the disk is used again when it is well [H-74].
func TestDivertedLogKeepsItsServer(t *testing.T) {
	t.Parallel() // it waits most of its time
	const syncLimit = 2 * time.Second
	for _, role := range []fle.State{fle.Following, fle.Leading} {
		t.Run(role.String(), func(t *testing.T) {
			e := onTwoDisks(t)
			s := e.Leader(t)
			if role == fle.Following {
				s = e.Followers(t)[0]
			}
			j := newJournal(t, s)
			j.write(t, 20, 0)
			epoch := s.Node().Applied().ID.Epoch()
			s.Stall("/primary")
			j.write(t, 20, 2*syncLimit)
			diverted(t, s, true)
			s.EndStall()
			diverted(t, s, false)
			j.write(t, 20, 0)
			j.unbroken(t)
			if got := s.Node().Applied().ID.Epoch(); got != epoch || s.State() != role {
				t.Errorf("it is %v in epoch %v, and was %v in %v", s.State(), got, role, epoch)
			}
			e.WaitEqual(t)
			j.has(t, e, s)
		})
	}
}

// The logs' disks of all servers stall, as those of one storage do. The leader is lost meanwhile: another one is
// elected, serves, and brings the lost one up to date. Then power fails everywhere, and all is there that was
// acknowledged, whether the disks had become well before or not [H-74].
func TestPowerFailsWhileAllLogsAreDiverted(t *testing.T) {
	for _, well := range []bool{false, true} {
		t.Run(fmt.Sprintf("well=%v", well), func(t *testing.T) {
			e := onTwoDisks(t)
			old := e.Leader(t)
			j := newJournal(t, e.Followers(t)[0])
			j.write(t, 20, 0)
			for _, s := range e.Servers() {
				s.Stall("/primary")
			}
			j.write(t, 20, 0)
			old.Kill(t)
			e.Leader(t)
			j.conn.Close()
			paths := j.paths
			j = newJournal(t, e.Followers(t)[0])
			j.paths = paths
			j.write(t, 20, 0)
			old.Restart(t)
			e.WaitServing(t)
			for _, s := range e.Servers() {
				diverted(t, s, s != old)
				if well {
					s.EndStall()
					diverted(t, s, false)
				}
			}
			j.write(t, 20, 0)
			j.conn.Close()
			for _, s := range e.Servers() {
				s.Kill(t)
			}
			for _, s := range e.Servers() {
				s.Restart(t)
			}
			e.WaitServing(t)
			e.WaitEqual(t)
			for _, s := range e.Servers() {
				j.has(t, e, s)
			}
		})
	}
}
