package peer_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// A server that was away while the others adopted a new store under an old id believes that store when
// it says so itself, and can elect it: nobody else may be left who has all that is acknowledged (hazard H-40).
func TestAdoptedWhileAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3, 4, 5)
		w.leader().submit("before")
		for _, m := range w.all() {
			m.awaitTexts("before")
		}
		away, wiped := w.members[4], w.members[5]
		away.stop()
		old := wiped.log.Durable().Incarnation
		wiped.wipe()
		if away.note(5) == 0 {
			t.Fatal("the server that goes away does not know the one that is to be wiped")
		}
		wiped.start()
		eventually(t, "the new store is adopted", func() error {
			d := wiped.log.Durable()
			if d.Incarnation == old || d.Note(5) == 0 {
				return fmt.Errorf("it is %v, noted %v", d.Incarnation, d.Note(5))
			}
			return nil
		})
		w.leader().submit("while away")
		for _, sid := range []quorum.SID{1, 2, 3, 5} {
			w.members[sid].awaitTexts("before", "while away")
		}
		w.members[2].stop()
		w.members[3].stop()
		away.start()
		wiped.awaitState(fle.Leading)
		away.awaitState(fle.Following)
		away.submit("after")
		for _, m := range []*member{w.members[1], away, wiped} {
			m.awaitTexts("before", "while away", "after")
		}
	})
}

// A store that was lost says nothing of the kind, and nobody follows it: 3 has only heard of the old one
// (hazard H-40).
func TestWipedStoreIsNotBelieved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		w.leader().submit("before")
		for _, m := range w.all() {
			m.awaitTexts("before")
		}
		w.members[1].stop()
		w.members[2].wipe()
		w.members[3].kill()
		w.members[2].start()
		w.members[3].start()
		pass(time.Minute)
		for _, sid := range []quorum.SID{2, 3} {
			if s := w.members[sid].peer.Status(); s.Phase == zab.Broadcast {
				t.Errorf("server %v is %v with half of an ensemble and a lost store", sid, s.State)
			}
		}
		w.members[1].start()
		w.leader()
		for _, m := range w.all() {
			m.awaitTexts("before")
		}
	})
}

// An older copy of a disk, put back while nobody leads, counts in nothing: what it acknowledged since may be missing
// at the others who are left, here "lost". All that was noted of it before says so (hazard H-41).
func TestOlderCopyIsNotCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		w.leader().submit("before")
		behind, restored, whole := w.members[1], w.members[2], w.members[3]
		for _, m := range w.all() {
			m.awaitTexts("before")
		}
		restored.stop()
		disk, tree := restored.disk.CrashClone(vfs.CrashCloneCfg{}), restored.list.image()
		restored.start()
		w.leader().submit("noted")
		for _, m := range w.all() {
			m.awaitTexts("before", "noted")
		}
		noted := behind.log.Durable().History.Last().ID
		eventually(t, "it is noted what the server has", func() error {
			for _, k := range behind.log.Durable().Known {
				if k.SID == 2 && k.Acked >= noted {
					return nil
				}
			}
			return fmt.Errorf("known is %v, want %v", behind.log.Durable().Known, noted)
		})
		behind.stop()
		w.leader().submit("lost")
		restored.awaitTexts("before", "noted", "lost")
		restored.stop()
		whole.stop()

		restored.disk, restored.list = disk, &list{sid: 2, mistake: t.Errorf, disk: tree}
		restored.start()
		behind.start()
		pass(time.Minute)
		for _, m := range []*member{behind, restored} {
			if s := m.peer.Status(); s.Phase == zab.Broadcast {
				t.Errorf("server %v is %v, though what was committed is missing", m.sid, s.State)
			}
		}
		whole.start()
		w.leader().submit("after")
		for _, m := range w.all() {
			m.awaitTexts("before", "noted", "lost", "after")
		}
	})
}

// note returns when the server of an id was noted, as far as this server's disk knows.
func (m *member) note(sid quorum.SID) zxid.ID {
	log := openLife(m.w.t, m.disk, m.sid, m.life)
	defer log.Close()
	for _, k := range log.Durable().Known {
		if k.SID == sid {
			return k.Noted
		}
	}
	return 0
}
