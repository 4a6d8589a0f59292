package zktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/server"
	nodes "github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// spoil makes the node /node with the tree of a server damaged there, and returns a client of another
// server, which may write it.
func spoil(t *testing.T, e *zktest.Ensemble, damaged, other *zktest.Server) *zk.Conn {
	t.Helper()
	conn := e.Connect(t, other)
	if _, err := conn.Create("/node", []byte("old"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	e.WaitEqual(t)
	damaged.Damage("/node")
	return conn
}

// mismatches waits until a server has noticed as often that its tree is not the one that it should be.
func mismatches(t *testing.T, s *zktest.Server, n int) {
	t.Helper()
	zktest.Eventually(t, "the server notices", func() error {
		mntr, err := word(s, "mntr")
		if want := fmt.Sprintf("zk_digest_mismatches_count\t%d\n", n); err == nil && !strings.Contains(mntr, want) {
			err = fmt.Errorf("server %d: mntr has no %q: %q", s.ID, want, mntr)
		}
		return err
	})
}

// inDoubt waits until a server says that nobody is served since its tree is in doubt.
func inDoubt(t *testing.T, s *zktest.Server) {
	t.Helper()
	zktest.Eventually(t, "the tree is in doubt", func() error {
		mntr, err := word(s, "mntr")
		if err == nil && !strings.Contains(mntr, "zk_diverged\t1\n") {
			err = fmt.Errorf("server %d: mntr: %q", s.ID, mntr)
		}
		return err
	})
}

// sees waits until a client of the server reads the data of /node.
func sees(t *testing.T, e *zktest.Ensemble, s *zktest.Server, want string) {
	t.Helper()
	conn := e.Connect(t, s)
	defer conn.Close()
	zktest.Eventually(t, "the node is read", func() error {
		data, _, err := conn.Get("/node")
		if err == nil && string(data) != want {
			err = fmt.Errorf("server %d: /node is %q, want %q", s.ID, data, want)
		}
		return err
	})
}

// A follower whose tree has changed under it finds out with the first transaction that shows it. The
// client that asked for that transaction gets no answer, and nobody is served until the tree is
// replaced [H-78].
func TestFollowerWithADamagedTree(t *testing.T) {
	e := zktest.Start(t, 3)
	leader, bad := e.Leader(t), e.Followers(t)[0]
	spoil(t, e, bad, leader)
	conn := e.Connect(t, bad)
	if data, _, err := conn.Get("/node"); err != nil || string(data) != "old!" {
		t.Fatalf("the tree of server %d is not damaged: /node is %q, %v", bad.ID, data, err)
	}
	if stat, err := conn.Set("/node", []byte("new"), 0); err == nil {
		t.Errorf("the server answers from a damaged tree: %+v", stat)
	}
	e.WaitServing(t)
	e.WaitEqual(t)
	for _, s := range e.Servers() {
		sees(t, e, s, "new")
	}
	mismatches(t, bad, 1)
	mismatches(t, leader, 0)
	if e.Leader(t) != leader {
		t.Error("a damaged follower costs a leader its place")
	}
	if _, err := bad.Node().Verify(t.Context()); err != nil {
		t.Errorf("after the repair: %v", err)
	}
}

// A leader announces the digests of a damaged tree. A quorum has another one: somebody else leads, and the
// tree of the old leader is replaced [H-78].
func TestLeaderWithADamagedTree(t *testing.T) {
	e := zktest.Start(t, 3)
	bad, others := e.Leader(t), e.Followers(t)
	conn := spoil(t, e, bad, others[0])
	// The answer goes with the trust in the tree: only the log tells whether it was done.
	_, _ = conn.Set("/node", []byte("new"), 0)
	zktest.Eventually(t, "another server leads", func() error {
		if e.Leader(t) == bad {
			return errors.New("the damaged one leads")
		}
		return nil
	})
	e.WaitServing(t)
	e.WaitEqual(t)
	for _, s := range e.Servers() {
		sees(t, e, s, "new")
	}
	if state := bad.State(); state != fle.Following {
		t.Errorf("the server with the damaged tree is %v, want following", state)
	}
	for _, s := range others {
		mismatches(t, s, 1) // of the leader's announcements: it takes two to differ
	}
	if _, err := bad.Node().Verify(t.Context()); err != nil {
		t.Errorf("after the repair: %v", err)
	}
}

// An observer is repaired like a follower, and nobody asks it who is right [H-78].
func TestObserverWithADamagedTree(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Observers(1))
	leader, bad := e.Leader(t), e.Server(4)
	conn := spoil(t, e, bad, leader)
	if _, err := conn.Set("/node", []byte("new"), 0); err != nil {
		t.Errorf("an observer holds up others: %v", err)
	}
	mismatches(t, bad, 1)
	e.WaitServing(t)
	e.WaitEqual(t)
	sees(t, e, bad, "new")
}

// With two of three servers, whose trees differ, nobody knows which is right. None is served, none is
// replaced; the third decides, whichever it is [H-78].
func TestNoQuorumForATree(t *testing.T) {
	t.Parallel() // it waits most of its time
	for _, role := range []string{"follower", "leader"} {
		t.Run(role, func(t *testing.T) {
			e := zktest.Start(t, 3, zktest.Set("syncLimit", "5"))
			leader, followers := e.Leader(t), e.Followers(t)
			bad, good, third := followers[0], leader, followers[1]
			if role == "leader" {
				bad, good = good, bad
			}
			conn := spoil(t, e, bad, good)
			third.Stop(t)
			_, _ = conn.Set("/node", []byte("new"), 0) // answered by a good leader, not by a good follower
			for _, s := range []*zktest.Server{bad, good} {
				zktest.Eventually(t, "nobody is served", func() error {
					for w, want := range map[string]string{
						"mntr": "zk_diverged\t1\n", "srvr": "not currently serving requests\nthe ", "ruok": "imok", "isro": "null",
					} {
						if text, err := word(s, w); err != nil || !strings.Contains(text, want) {
							return fmt.Errorf("server %d: %s is %q, %w", s.ID, w, text, err)
						}
					}
					return nil
				})
			}
			if n := bad.Node().Status(); good.Node().Digest() == bad.Node().Digest() || n.State == fle.Looking {
				t.Errorf("server %d is %v, with digest %x: somebody has guessed", bad.ID, n.State, bad.Node().Digest())
			}
			third.Restart(t)
			e.WaitServing(t)
			e.WaitEqual(t)
			for _, s := range e.Servers() {
				sees(t, e, s, "new")
			}
			if e.Leader(t) == bad && role == "leader" {
				t.Error("the server with the damaged tree leads on")
			}
			if _, err := bad.Node().Verify(t.Context()); err != nil {
				t.Errorf("after the repair: %v", err)
			}
		})
	}
}

// A server that is stopped before its tree is repaired does not serve it when it comes back, whether it
// leads or follows then [H-78].
func TestDamagedTreeOutlivesARestart(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("syncLimit", "5"))
	leader, followers := e.Leader(t), e.Followers(t)
	bad, third := followers[0], followers[1]
	conn := spoil(t, e, bad, leader)
	third.Stop(t)
	_, _ = conn.Set("/node", []byte("new"), 0)
	mismatches(t, bad, 1)
	conn.Close()
	bad.Stop(t)
	leader.Stop(t)
	bad.Restart(t)
	inDoubt(t, bad) // by what it noted: it is alone, and nothing is left to compare
	leader.Restart(t)
	third.Restart(t)
	zktest.Eventually(t, "the trees are equal", func() error {
		if d := leader.Node().Digest(); bad.Node().Digest() != d || third.Node().Digest() != d {
			return errors.New("not yet")
		}
		return nil
	})
	e.WaitServing(t)
	e.WaitEqual(t)
	sees(t, e, bad, "new")
	bad.Stop(t)
	bad.Restart(t)
	sees(t, e, bad, "new") // the doubt is gone for good
}

// A machine that damages its tree again and again is given up [H-78].
func TestTreeDamagedAgainAndAgain(t *testing.T) {
	e := zktest.Start(t, 3)
	leader, bad := e.Leader(t), e.Followers(t)[0]
	conn := spoil(t, e, bad, leader)
	write := func() {
		if _, err := conn.Set("/node", []byte("new"), -1); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		bad.Damage("/node")
		write()
		mismatches(t, bad, n+1)
		e.WaitServing(t)
		e.WaitEqual(t)
	}
	bad.Damage("/node")
	err := bad.EndsBy(t, write)
	if !errors.Is(err, server.ErrDiverged) || nodes.ExitCode(err) != nodes.ExitStore {
		t.Errorf("the server ends with %v, exit code %d", err, nodes.ExitCode(err))
	}
	if e.Leader(t) != leader {
		t.Error("somebody else leads")
	}
}

// A standalone server has nobody to get another tree from: it ends [H-78].
func TestStandaloneWithADamagedTree(t *testing.T) {
	e := zktest.Start(t, 1)
	s := e.Server(1)
	conn := e.Connect(t)
	if _, err := conn.Create("/node", []byte("old"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.Stop(t)
	s.Restart(t)
	conn = e.Connect(t)
	if _, err := conn.Set("/node", []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.Kill(t) // what was written is in the log alone
	s.Damage("/node")
	err := s.Doomed(t)
	if !errors.Is(err, server.ErrDiverged) || nodes.ExitCode(err) != nodes.ExitStore {
		t.Errorf("the server ends with %v, exit code %d", err, nodes.ExitCode(err))
	}
	s.Mend()
	s.Restart(t)
	sees(t, e, s, "new")
}

// With digest.enabled=false nothing is compared, and a damaged node is as good as any other.
func TestNoDigests(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("digest.enabled", "false"))
	leader, bad := e.Leader(t), e.Followers(t)[0]
	conn := spoil(t, e, bad, leader)
	if _, err := conn.Set("/node", []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	sees(t, e, bad, "new")
	mismatches(t, bad, 0)
	if bad.Node().Digest() == leader.Node().Digest() {
		t.Error("the tree was not damaged")
	}
}
