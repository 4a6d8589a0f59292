package zktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	server "github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/zab/disk"
)

const mib = 1 << 20

// A leader whose disk runs low hands over to one whose does not; where all disks run low,
// whoever leads refuses what makes the tree grow, and nothing else [H-16].
func TestLowSpace(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("diskBallastMb", "0"))
	before := e.Leader(t)
	before.SetFree(100 * mib)
	var after *zktest.Server
	zktest.Eventually(t, "another server leads", func() error {
		if after = e.Leader(t); after == before {
			return fmt.Errorf("server %d leads", before.ID)
		}
		return nil
	})
	e.WaitServing(t)
	conn := e.Connect(t, before)
	if _, err := conn.Create("/room", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatalf("the leader has room: %v", err)
	}
	for _, s := range e.Servers() {
		s.SetFree(100 * mib)
	}
	zktest.Eventually(t, "the tree may not grow", func() error {
		_, err := conn.Set("/room", []byte("more"), -1)
		if err == nil {
			return errors.New("set is taken, want ThrottledOp")
		}
		if !strings.Contains(err.Error(), "-127") {
			return fmt.Errorf("set: %w, want ThrottledOp", err)
		}
		return nil
	})
	e.WaitServing(t)
	for name, err := range map[string]error{
		"create": second(conn.Create("/more", nil, 0, zk.WorldACL(zk.PermAll))),
		"acl":    second(conn.SetACL("/room", zk.WorldACL(zk.PermRead), -1)),
	} {
		if err == nil {
			t.Errorf("%s was not refused", name)
		}
	}
	if _, _, err := conn.Get("/room"); err != nil {
		t.Errorf("read: %v", err)
	}
	if err := conn.Delete("/room", -1); err != nil {
		t.Errorf("delete: %v", err)
	}
	for _, s := range e.Servers() {
		s.SetFree(1000 * mib)
	}
	zktest.Eventually(t, "there is room again", func() error {
		_, err := conn.Create("/more", nil, 0, zk.WorldACL(zk.PermAll))
		return err
	})
	e.WaitEqual(t)
}

// While the others cannot do without it a leader whose disk runs low refuses what makes the tree grow. As
// soon as they can it hands over [H-16].
func TestLowSpaceIsHandedOverLater(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("diskBallastMb", "0"))
	before, away := e.Leader(t), e.Followers(t)[0]
	away.Stop(t)
	zktest.Eventually(t, "the leader knows that one is away", func() error {
		mntr, err := word(before, "mntr")
		if err == nil && !strings.Contains(mntr, "zk_synced_followers\t1\n") {
			err = fmt.Errorf("mntr: %q", mntr)
		}
		return err
	})
	before.SetFree(100 * mib)
	conn := e.Connect(t, before)
	zktest.Eventually(t, "the tree may not grow", func() error {
		if _, err := conn.Create("/more-", nil, zk.FlagSequence, zk.WorldACL(zk.PermAll)); err == nil {
			return errors.New("create is taken, want ThrottledOp")
		}
		return nil
	})
	if leader := e.Leader(t); leader != before {
		t.Fatalf("server %d leads, and nobody can do without %d", leader.ID, before.ID)
	}
	away.Restart(t)
	zktest.Eventually(t, "another server leads", func() error {
		if after := e.Leader(t); after == before {
			return fmt.Errorf("server %d leads", before.ID)
		}
		return nil
	})
	e.WaitServing(t)
}

// Who was elected again though its disk runs low, for want of another, does not lead for good: somebody may have
// got room since [H-16].
func TestLowSpaceIsHandedOverAgain(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("diskBallastMb", "0"))
	handsOver := func() (from *zktest.Server) {
		from = e.Leader(t)
		from.SetFree(100 * mib)
		zktest.Eventually(t, "another server leads", func() error {
			if e.Leader(t) == from {
				return fmt.Errorf("server %d leads", from.ID)
			}
			return nil
		})
		return from
	}
	first, second := handsOver(), handsOver()
	var away *zktest.Server
	for _, s := range e.Servers() {
		if s != first && s != second {
			away = s
		}
	}
	away.Stop(t)
	again := e.Leader(t)
	other := first
	if again == first {
		other = second
	}
	away.Restart(t)
	other.SetFree(1000 * mib)
	zktest.Eventually(t, "a server with room leads", func() error {
		if e.Leader(t) == again {
			return fmt.Errorf("server %d leads", again.ID)
		}
		return nil
	})
	e.WaitServing(t)
}

func second[T any](_ T, err error) error { return err }

// A follower whose disk is all but full leaves in order, does not start until there is room, and is
// then as good as ever. The others go on [H-16].
func TestExhaustedFollowerLeaves(t *testing.T) {
	e := zktest.Start(t, 3, zktest.Set("diskBallastMb", "0"))
	s := e.Followers(t)[0]
	err := s.EndsBy(t, func() { s.SetFree(10 * mib) })
	if !errors.Is(err, disk.ErrFull) || server.ExitCode(err) != server.ExitStore || !strings.Contains(err.Error(), "free space") {
		t.Errorf("it ended with %v, exit code %d", err, server.ExitCode(err))
	}
	conn := e.Connect(t, e.Leader(t))
	if _, err := conn.Create("/without", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Errorf("the others: %v", err)
	}
	if err := s.Refused(t); !errors.Is(err, disk.ErrFull) || server.ExitCode(err) != server.ExitDataDir || !strings.Contains(err.Error(), "BALLAST") {
		t.Errorf("refused with %v, exit code %d", err, server.ExitCode(err))
	}
	s.SetFree(1000 * mib)
	s.Restart(t)
	e.WaitEqual(t)
}
