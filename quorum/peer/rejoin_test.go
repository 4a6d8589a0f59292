package peer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// smallWindow lets leaders forget what is older than a few entries, so that learners need the
// leader's disk.
func smallWindow(c *peer.Config) { c.Limits = zab.Limits{WindowEntries: 4} }

// absence starts three servers, stops a follower, and commits n entries without it.
func absence(t *testing.T, n int, tweak func(*peer.Config)) (w *world, absent *member, texts []string) {
	t.Helper()
	w = newWorld(t, quorum.Set{}, 1, 2, 3)
	w.tweak = tweak
	for sid := quorum.SID(3); sid > 0; sid-- {
		w.members[sid].start()
		synctest.Wait()
	}
	leader := w.leader()
	absent = w.members[1]
	leader.submit("first")
	absent.awaitTexts("first")
	absent.kill()
	texts = append([]string{"first"}, numbered("n", n)...)
	for _, text := range texts[1:] {
		leader.submit(text)
	}
	leader.awaitTexts(texts...)
	w.members[2].awaitTexts(texts...)
	return w, absent, texts
}

// trim lets a server's log keep nothing but the last entries.
func (m *member) trim(t *testing.T, keep uint32) {
	t.Helper()
	m.list.flush()
	last := m.log.Durable().History.Last().ID
	if err := m.log.Trim(generation(t, m.log), last-zxid.ID(keep)); err != nil {
		t.Fatal(err)
	}
	if base := m.log.Durable().History.Base.ID; base < last-zxid.ID(keep) {
		t.Fatalf("server %v: the log was not trimmed: it begins after %v and ends at %v, keep %d", m.sid, base, last, keep)
	}
}

func (m *member) snapshotsOpened() (n int) {
	m.list.locked(func() { n = m.list.snapshot })
	return n
}

func TestFollowerRejoinsByLog(t *testing.T) {
	for name, tweak := range map[string]func(*peer.Config){"from memory": nil, "from disk": smallWindow} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, absent, texts := absence(t, 200, tweak)
				absent.start()
				absent.awaitTexts(texts...)
				absent.awaitState(fle.Following)
				if n := w.leader().snapshotsOpened(); n != 0 {
					t.Errorf("%d snapshots were sent where the log has everything", n)
				}
				absent.kill() // what came by synchronisation is as durable as anything
				absent.start()
				w.leader()
				absent.submit("last")
				absent.awaitTexts(append(texts, "last")...)
			})
		})
	}
}

func TestFollowerRejoinsBySnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, absent, texts := absence(t, 200, smallWindow)
		leader := w.leader()
		leader.trim(t, 2)
		absent.start()
		// Writes go on while the snapshot is on its way.
		during := numbered("during", 50)
		for _, text := range during {
			leader.submit(text)
		}
		texts = append(texts, during...)
		absent.awaitTexts(texts...)
		absent.awaitState(fle.Following)
		if n := leader.snapshotsOpened(); n == 0 {
			t.Error("no snapshot was sent though the log lacks what the follower needs")
		}
		if got := absent.list.history(); !strings.HasSuffix(got, "install, serve FOLLOWING") || strings.Count(got, "serve") != 1 {
			t.Errorf("the follower's state machine was told %q, want the snapshot before clients", got)
		}
		if _, pending := absent.log.Intent(); pending {
			t.Error("the intent stays though the snapshot was taken over")
		}
		absent.kill()
		absent.start()
		w.leader()
		absent.submit("last")
		absent.awaitTexts(append(texts, "last")...)
		// The leader's log is free again once nobody needs it.
		leader.trim(t, 2)
	})
}

// A crash after the log has durably begun the new history and before the state machine has
// taken the snapshot leaves what a restart needs to complete it [H-07, H-92].
func TestCrashBetweenLogAndStateOfASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, absent, texts := absence(t, 20, smallWindow)
		w.leader().trim(t, 2)
		var disk *vfs.MemFS
		var tree treeDisk
		absent.list.beforeInstall = func() error {
			disk, tree = absent.disk.CrashClone(vfs.CrashCloneCfg{}), absent.list.image()
			return nil
		}
		absent.start()
		absent.awaitTexts(texts...)
		absent.stop()

		absent.disk, absent.list = disk, &list{sid: 1, mistake: t.Errorf, disk: tree}
		absent.log = openLog(t, disk, 1)
		at, pending := absent.log.Intent()
		if !pending || at != lastOf(tree.staged) {
			t.Fatalf("the crash left intent %v (%v) and a staged snapshot at %v", at, pending, lastOf(tree.staged))
		}
		if applied := lastOf(tree.entries); applied == at {
			t.Fatal("the crash came too late to prove anything")
		}
		if err := absent.log.Close(); err != nil {
			t.Fatal(err)
		}
		absent.start()
		absent.awaitTexts(texts...)
		absent.awaitState(fle.Following)
		if got := absent.list.history(); strings.Contains(got, "install") {
			t.Errorf("the snapshot was fetched again: %q", got)
		}
	})
}

// A state machine that cannot take the snapshot ends the server, and nothing that the
// next start needs is thrown away, nor tried twice.
func TestFailedInstallEndsTheServerAndKeepsTheSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, absent, _ := absence(t, 20, smallWindow)
		w.leader().trim(t, 2)
		broken := errors.New("the tree's disk is gone")
		absent.list.beforeInstall = func() error { return broken }
		absent.start()
		err := <-absent.done
		absent.done <- nil // for end
		if !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want %v", err, broken)
		}
		if got := absent.list.history(); strings.Count(got, "install") != 1 || strings.Contains(got, "discard") {
			t.Errorf("the state machine was told %q, want one install and nothing discarded", got)
		}
		if at, pending := absent.log.Intent(); !pending || at != lastOf(absent.list.image().staged) {
			t.Errorf("intent %v (%v), staged %v", at, pending, lastOf(absent.list.image().staged))
		}
	})
}

// tampered is a log of which a test replaces some methods of the writers.
type tampered struct {
	history
	submit func(w peer.Writer, p *zab.Persist) error
}

type tamperedWriter struct {
	peer.Writer
	log *tampered
}

func (l *tampered) NewWriter(done func(token uint64)) (peer.Writer, error) {
	w, err := l.history.NewWriter(done)
	return tamperedWriter{w, l}, err
}

func (w tamperedWriter) Submit(p *zab.Persist) error { return w.log.submit(w.Writer, p) }

// tamper lets one server's log be tampered with.
func (m *member) tamper(submit func(w peer.Writer, p *zab.Persist) error) func(*peer.Config) {
	return func(c *peer.Config) {
		smallWindow(c)
		if c.Self == m.sid {
			c.Log = &tampered{history{m.log}, submit}
		}
	}
}

// A disk that fails under the step that installs a snapshot must not leave a state that is
// ahead of the log: that server could never start again.
func TestStateStaysWhenTheLogDidNotInstall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, absent, _ := absence(t, 20, smallWindow)
		w.leader().trim(t, 2)
		var swallowed atomic.Bool
		w.tweak = absent.tamper(func(w peer.Writer, p *zab.Persist) error {
			if swallowed.Load() || p.Install != nil {
				swallowed.Store(true)
				return nil // as a log that has failed meanwhile: nothing is written any more
			}
			return w.Submit(p)
		})
		absent.start()
		eventually(t, "the installing step", func() error {
			if !swallowed.Load() {
				return errors.New("not yet")
			}
			return nil
		})
		absent.stop()
		if got := absent.list.history(); strings.Contains(got, "install") {
			t.Errorf("the state machine was told %q though the log stands at %v", got, absent.log.Durable().History)
		}
	})
}

// A log that does not hold the point to truncate to can only be helped by a snapshot
// (hazard H-02).
func TestSnapshotIsAskedForAfterErrNoPoint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		old := w.leader()
		old.submit("kept")
		for _, m := range w.all() {
			m.awaitTexts("kept")
		}
		w.Partition(quorum.SetOf(3), quorum.SetOf(1, 2))
		for _, text := range numbered("lost", 3) {
			old.submit(text)
		}
		old.awaitState(fle.Looking)
		w.members[2].awaitState(fle.Leading)
		w.members[2].submit("new")
		w.members[1].awaitTexts("kept", "new")
		old.stop()
		var refused atomic.Int32
		w.tweak = old.tamper(func(w peer.Writer, p *zab.Persist) error {
			if p.Truncate != nil {
				refused.Add(1)
				return fmt.Errorf("%w: %w", peer.ErrNoPoint, txnlog.ErrNoPoint)
			}
			return w.Submit(p)
		})
		old.start()
		w.Heal()
		old.awaitState(fle.Following)
		old.awaitTexts("kept", "new")
		if n := refused.Load(); n != 1 {
			t.Errorf("%d truncations were tried, want one and then a snapshot", n)
		}
		if n := w.members[2].snapshotsOpened(); n != 1 {
			t.Errorf("%d snapshots were sent, want one", n)
		}
	})
}

// The tail that only a deposed leader has is cut by TRUNC, in its log too [H-01, H-88].
func TestUncommittedTailIsTruncated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		old := w.leader()
		w.Partition(quorum.SetOf(3), quorum.SetOf(1, 2))
		for _, text := range numbered("lost", 10) {
			old.submit(text)
		}
		old.awaitState(fle.Looking)
		if n := old.log.Durable().History.Last().ID.Counter(); n != 10 {
			t.Fatalf("the isolated leader logged %d entries of 10", n)
		}
		w.members[2].awaitState(fle.Leading)
		w.members[2].submit("new")
		w.Heal()
		old.awaitTexts("new")
		if got, want := old.log.Durable().History.Last(), w.members[2].log.Durable().History.Last(); got != want {
			t.Errorf("the returned server's log ends at %v, the leader's at %v", got, want)
		}
		if n := w.members[2].snapshotsOpened(); n != 0 {
			t.Errorf("%d snapshots were sent where a TRUNC does", n)
		}
	})
}
