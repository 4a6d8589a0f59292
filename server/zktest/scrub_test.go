package zktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// member returns a server that has a role, or comes to lead, of three voters and an observer.
func member(t *testing.T, e *zktest.Ensemble, role fle.State) *zktest.Server {
	t.Helper()
	switch role {
	case fle.Leading:
		return e.Server(3)
	case fle.Following:
		return e.Followers(t)[0]
	default:
		return e.Server(4)
	}
}

// cold makes nodes whose data lie in blob files, on the disks of all servers, and returns their data.
func cold(t *testing.T, e *zktest.Ensemble) string {
	t.Helper()
	conn := e.Connect(t)
	defer conn.Close()
	data := strings.Repeat("what was written", 100)
	for _, path := range []string{"/node", "/node/a", "/node/b"} {
		if _, err := conn.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	e.WaitEqual(t)
	return data
}

// mended waits until the scrub of a server finds nothing any more.
func mended(t *testing.T, s *zktest.Server) {
	t.Helper()
	zktest.Eventually(t, "the tree is replaced", func() error {
		_, err := s.Node().Verify(t.Context())
		return err
	})
}

// A block of a server's tree that no client reads is damaged on its disk. Its scrub finds that, and the tree is
// replaced by that of another server: a follower's while the others go on, a leader's when another one leads,
// an observer's [H-94].
func TestScrubMendsADamagedBlock(t *testing.T) {
	for _, role := range []fle.State{fle.Following, fle.Leading, fle.Observing} {
		t.Run(role.String(), func(t *testing.T) {
			e := zktest.Start(t, 4, zktest.Observers(1))
			data := cold(t, e)
			bad := member(t, e, role)
			// A restart writes to the files what is in memory alone.
			bad.Stop(t)
			bad.Restart(t)
			e.WaitServing(t)
			if role == fle.Leading {
				lead(t, e, bad)
			}
			if bad.FlipBits(t, ".blob") == 0 {
				t.Fatal("there is no blob file")
			}
			if _, err := bad.Node().Verify(t.Context()); err == nil {
				t.Fatal("the scrub finds nothing")
			}
			mended(t, bad)
			e.WaitServing(t)
			e.WaitEqual(t)
			sees(t, e, bad, data)
			if role == fle.Leading && e.Leader(t) == bad {
				t.Error("the server with the damaged tree leads on")
			}
		})
	}
}

// lead makes the voter with the greatest id the leader, whose history is as new as the others'.
func lead(t *testing.T, e *zktest.Ensemble, s *zktest.Server) {
	t.Helper()
	leader := e.Leader(t)
	if leader == s {
		return
	}
	leader.Stop(t)
	zktest.Eventually(t, "it leads", func() error {
		if got := s.State(); got != fle.Leading {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
	leader.Restart(t)
	e.WaitServing(t)
}

// A node is not what was installed, and all checksums are right. The scrub of the server finds it, and the
// trees of the others decide: it is replaced, while nobody is writing [H-78, H-94].
func TestScrubFindsAForgedNode(t *testing.T) {
	for _, role := range []fle.State{fle.Following, fle.Leading, fle.Observing} {
		t.Run(role.String(), func(t *testing.T) {
			e := zktest.Start(t, 4, zktest.Observers(1))
			data := cold(t, e)
			bad := member(t, e, role)
			bad.Stop(t)
			bad.Forge(t, "what was written", "what was forged!")
			bad.Restart(t)
			e.WaitServing(t)
			if role == fle.Leading {
				lead(t, e, bad)
			}
			sees(t, e, bad, strings.ReplaceAll(data, "written", "forged!"))
			if _, err := bad.Node().Verify(t.Context()); err == nil {
				t.Fatal("the scrub finds nothing")
			}
			mismatches(t, bad, 1)
			zktest.Eventually(t, "the tree is the others'", func() error {
				if bad.Node().Digest() != e.Leader(t).Node().Digest() {
					return errors.New("not yet")
				}
				return nil
			})
			mended(t, bad)
			e.WaitServing(t)
			e.WaitEqual(t)
			sees(t, e, bad, data)
			for _, s := range e.Servers() {
				if s != bad {
					mismatches(t, s, 0)
				}
			}
		})
	}
}

// A server whose files are found damaged while it is cut off ends before it gets another tree, and forgets
// nothing: it serves nobody until it has one, though its digest is right, a leader that serves no clients may lead
// then, and digests may be off [H-78, H-94].
func TestDamageOutlivesARestart(t *testing.T) {
	for name, c := range map[string]struct {
		role fle.State
		opts []zktest.Option
		all  bool // the others are restarted, too
	}{
		"follower":              {fle.Following, nil, false},
		"observer":              {fle.Observing, nil, false},
		"everybody":             {fle.Following, nil, true},
		"leader serves nobody":  {fle.Following, []zktest.Option{zktest.Set("leaderServes", "no")}, true},
		"digests are off":       {fle.Following, []zktest.Option{zktest.Set("digest.enabled", "false")}, false},
		"observer, digests off": {fle.Observing, []zktest.Option{zktest.Set("digest.enabled", "false")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := zktest.Start(t, 4, append(c.opts, zktest.Observers(1))...)
			data := cold(t, e)
			bad := member(t, e, c.role)
			bad.Stop(t)
			bad.Restart(t) // writes to the files what is in memory alone
			e.WaitServing(t)
			if bad.FlipBits(t, ".blob") == 0 {
				t.Fatal("there is no blob file")
			}
			e.Isolate(bad)
			if _, err := bad.Node().Verify(t.Context()); err == nil {
				t.Fatal("the scrub finds nothing")
			}
			inDoubt(t, bad)
			restarted := []*zktest.Server{bad}
			if c.all {
				restarted = e.Servers()
			}
			for _, s := range restarted {
				s.Stop(t)
			}
			bad.Restart(t)
			inDoubt(t, bad)
			e.Heal()
			for _, s := range restarted {
				if s != bad {
					s.Restart(t)
				}
			}
			zktest.Eventually(t, "the tree is trusted", func() error {
				mntr, err := word(bad, "mntr")
				if err == nil && !strings.Contains(mntr, "zk_diverged\t0\n") {
					err = errors.New("it is not")
				}
				return err
			})
			if _, err := bad.Node().Verify(t.Context()); err != nil {
				t.Errorf("it trusts its tree, and %v", err)
			}
			e.WaitEqual(t)
			if bad.State() != fle.Leading { // with leaderServes=no it would serve nobody
				sees(t, e, bad, data)
			}
		})
	}
}
