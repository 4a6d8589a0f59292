package peer_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// slowDisk is a file system whose syncs take as long as its gate is shut.
type slowDisk struct {
	vfs.FS
	mu   sync.Mutex
	gate chan struct{} // nil: open
}

func (d *slowDisk) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = make(chan struct{})
}

func (d *slowDisk) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gate != nil {
		close(d.gate)
		d.gate = nil
	}
}

func (d *slowDisk) wait() {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// slowFile is a file of a slowDisk.
type slowFile struct {
	vfs.File
	disk *slowDisk
}

func (d *slowDisk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{f, d}, nil
}

func (d *slowDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.Create(name, c))
}

func (d *slowDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.ReuseForWrite(from, to, c))
}

func (f slowFile) Sync() error {
	f.disk.wait()
	return f.File.Sync()
}

func (f slowFile) SyncData() error {
	f.disk.wait()
	return f.File.SyncData()
}

func (f slowFile) SyncTo(n int64) (bool, error) {
	f.disk.wait()
	return f.File.SyncTo(n)
}

// A leader whose disk does not answer any more keeps nobody waiting for longer than syncLimit: its pings
// would keep it in office, while everything that is ordered waits for it [H-74]. A follower's disk holds
// nobody up.
func TestLeaderWithASlowDiskHandsOver(t *testing.T) {
	for _, sid := range []quorum.SID{3, 1} {
		name := map[quorum.SID]string{3: "the leader", 1: "a follower"}[sid]
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, quorum.Set{}, 1, 2, 3)
				disks := map[quorum.SID]*slowDisk{}
				t.Cleanup(func() {
					for _, d := range disks {
						d.open() // or nobody could end
					}
				})
				w.files = func(m *member) vfs.FS {
					disks[m.sid] = &slowDisk{FS: m.disk}
					return disks[m.sid]
				}
				for s := quorum.SID(3); s > 0; s-- {
					w.members[s].start()
					synctest.Wait()
				}
				leader := w.leader()
				if leader.sid != 3 {
					t.Fatalf("server %v leads", leader.sid)
				}
				leader.submit("before")
				for _, m := range w.all() {
					m.awaitTexts("before")
				}
				disks[sid].shut()
				others := []quorum.SID{1, 2, 3}
				if sid == 3 {
					others = []quorum.SID{1, 2}
				}
				if took := w.awaitCommit("during", others...); sid == 3 && took > 2*syncLimit*tickTime || sid != 3 && took > tickTime {
					t.Errorf("it took %v", took)
				}
				if sid == 3 {
					w.members[2].awaitState(fle.Leading)
				}
				disks[sid].open()
				w.leader()
				want := w.members[2].list.texts()
				w.members[sid].awaitTexts(want...)
			})
		})
	}
}

// A follower or observer whose disk does not answer any more gives its clients up within twice syncLimit,
// though it is heard all the time: their writes would wait with it, and their reads grow old. The others
// do not notice, and it catches up as soon as it can [H-74].
func TestStuckDiskEndsALearner(t *testing.T) {
	for _, sid := range []quorum.SID{1, 4} {
		t.Run(map[quorum.SID]string{1: "follower", 4: "observer"}[sid], func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, quorum.SetOf(4), 1, 2, 3, 4)
				stuck := w.members[sid]
				disk := &slowDisk{FS: stuck.disk}
				t.Cleanup(disk.open)
				w.files = func(m *member) vfs.FS {
					if m == stuck {
						return disk
					}
					return m.disk
				}
				for s := quorum.SID(4); s > 0; s-- {
					w.members[s].start()
					synctest.Wait()
				}
				leader := w.leader()
				leader.submit("before")
				stuck.awaitTexts("before")
				disk.shut()
				began := time.Now()
				texts := numbered("n", 4*syncLimit)
				for _, text := range texts {
					leader.submit(text)
					pass(tickTime)
				}
				want := append([]string{"before"}, texts...)
				w.members[2].awaitTexts(want...)
				eventually(t, "it serves nobody", func() error {
					if stuck.list.isServing() {
						return errors.New("it does")
					}
					return nil
				})
				if took := time.Since(began); took > 4*syncLimit*tickTime+tickTime {
					t.Errorf("it served for %v", took)
				}
				disk.open()
				stuck.awaitTexts(want...)
				if got := w.leader(); got != leader || strings.Count(leader.list.history(), "lead") != 1 {
					t.Errorf("server %v leads, %v was told %q", got.sid, leader.sid, leader.list.history())
				}
			})
		})
	}
}

// A follower whose words do not get out logs what it is told all the same: nothing of the log waits for a
// connection [H-65].
func TestStuckLinkDoesNotStallTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := startAll(t, 1, 2, 3)
		leader, follower := w.leader(), w.members[1]
		w.Block(1, 3)
		texts := numbered("n", 500)
		leader.submit(texts...)
		leader.awaitTexts(texts...)
		last := leader.log.Durable().History.Last()
		synctest.Wait()
		if got := follower.log.Durable().History.Last(); got != last {
			t.Errorf("the follower has logged up to %v, the leader %v", got, last)
		}
		if s := follower.peer.Status(); s.State != fle.Following {
			t.Errorf("the follower is %v already", s.State)
		}
		w.Heal()
		follower.awaitTexts(texts...)
	})
}

// slowChunks makes each chunk of a snapshot take some time.
func (m *member) slowChunks(d time.Duration) {
	m.list.locked(func() { m.list.beforeChunk = func() { pass(d) } })
}

// A snapshot may take longer than initLimit, in an established epoch as well as before it is
// established: learners and leader wait for signs of life, not for the end [H-75].
func TestSlowSnapshotOutlivesInitLimit(t *testing.T) {
	const entries = 30
	for _, established := range []bool{true, false} {
		name := map[bool]string{true: "in an established epoch", false: "the leader needs the learner"}[established]
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, absent, texts := absence(t, entries, smallWindow)
				leader := w.leader()
				leader.trim(t, 2)
				leader.slowChunks(3 * initLimit * tickTime / entries)
				if !established {
					w.members[2].stop()
					leader.awaitState(fle.Looking)
				}
				opened, began := leader.snapshotsOpened(), time.Now()
				absent.start()
				absent.awaitState(fle.Following)
				if took := time.Since(began); took < 2*initLimit*tickTime {
					t.Fatalf("the snapshot took only %v", took)
				}
				if n := leader.snapshotsOpened() - opened; n != 1 {
					t.Errorf("%d snapshots were begun", n)
				}
				absent.awaitTexts(texts...)
			})
		})
	}
}

// Everybody who is behind needs a snapshot at once, the leader reads slowly, and writes go on: nobody is
// given up on the way and the leader stays [H-95].
func TestEverybodyNeedsASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const entries = 50
		w := newWorld(t, quorum.SetOf(4, 5, 6, 7), 1, 2, 3, 4, 5, 6, 7)
		w.tweak = smallWindow
		for sid := quorum.SID(3); sid > 0; sid-- {
			w.members[sid].start()
			synctest.Wait()
		}
		leader := w.leader()
		texts := numbered("n", entries)
		leader.submit(texts...)
		w.members[1].awaitTexts(texts...)
		w.members[2].awaitTexts(texts...)
		leader.trim(t, 2)
		leader.slowChunks(2 * initLimit * tickTime / entries)
		for sid := quorum.SID(4); sid <= 7; sid++ {
			w.members[sid].start()
		}
		for _, text := range numbered("during", 6*initLimit) {
			leader.submit(text)
			texts = append(texts, text)
			pass(tickTime)
		}
		for _, m := range w.all() {
			m.awaitTexts(texts...)
		}
		if n := leader.snapshotsOpened(); n != 4 {
			t.Errorf("%d snapshots for four servers", n)
		}
		if got := w.leader(); got != leader || strings.Count(leader.list.history(), "lead") != 1 {
			t.Errorf("server %v leads, %v was told %q", got.sid, leader.sid, leader.list.history())
		}
	})
}

// A server stands for election with the end of its log, what is not known to be committed included [H-27,
// ZOOKEEPER-2845].
func TestVoteNamesTheEndOfTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		epoch := zxid.Epoch(1)
		a := zab.NewEntry(zxid.Point{}, zxid.Make(1, 1), []byte("a"))
		b := zab.NewEntry(a.Point(), zxid.Make(1, 2), []byte("b"))
		if err := s.log.Apply(&zab.Persist{
			Promise: &zab.Promise{Epoch: 1, Leader: 2}, Current: &epoch, Append: []zab.Entry{a, b},
		}); err != nil {
			t.Fatal(err)
		}
		s.log.NoteCommitted(a.ID)
		s.run()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.notes) == 0 {
			t.Fatal("it does not vote")
		}
		want := fle.Vote{Leader: 3, Zxid: b.ID, Epoch: 1}
		for _, n := range s.notes {
			if n.Vote != want {
				t.Errorf("it votes %v, want %v", n.Vote, want)
			}
		}
	})
}

// Whoever looks for a leader is told of the epoch that was established, not of the one that the vote
// was cast in: servers that joined in different ways would answer differently [H-44, ZOOKEEPER-1732].
func TestSettledVoteNamesTheEstablishedEpoch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(agree)
		s.run()
		s.await("LEADING", func() bool { return s.state() == fle.Leading })
		s.peer.LinkUp(7, 1)
		s.peer.Received(7, []zab.Message{info(1)})
		s.await("LEADERINFO", func() bool { return s.sentOn(7) == "LEADERINFO" })
		s.peer.Received(7, []zab.Message{{Kind: zab.AckEpoch, From: 1, Epoch: 1, Fresh: true}})
		s.await("NEWLEADER", func() bool { return strings.HasSuffix(s.sentOn(7), "NEWLEADER") })
		s.peer.Received(7, []zab.Message{{Kind: zab.Ack, From: 1, Epoch: 1, Zxid: zxid.Make(1, 0)}})
		s.await("UPTODATE", func() bool { return strings.HasSuffix(s.sentOn(7), "UPTODATE") })
		s.mu.Lock()
		s.notes = nil
		s.mu.Unlock()
		s.peer.Notified(fle.Notification{From: 2, To: 3, State: fle.Looking, Round: 9, Vote: fle.Vote{Leader: 2}})
		want := fle.Vote{Leader: 3, Epoch: 1}
		s.await("an answer", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.notes) > 0 && s.notes[0].To == 2
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := s.notes[0]; n.State != fle.Leading || n.Vote != want {
			t.Errorf("the answer is %v %v, want LEADING %v", n.State, n.Vote, want)
		}
	})
}
