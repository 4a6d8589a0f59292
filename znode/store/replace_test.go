package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// source returns a tree whose stream has a few chunks, and that stream.
func source(t *testing.T, z zxid.ID) (*model, [][]byte) {
	t.Helper()
	s, m := open(t, vfs.NewMem()), newModel()
	defer closeStore(t, s)
	m.at = point(z)
	grow(t, s, m, 60, 200)
	install(t, s, m, createTxn(m.at.ID+1, "/large", make([]byte, 100_000)))
	stream := chunks(t, s, 4000)
	if len(stream) < 5 {
		t.Fatalf("the stream has %d chunks, too few to be a test", len(stream))
	}
	return m, stream
}

// TestStreamIsDeterministic holds hazard H-33.
func TestStreamIsDeterministic(t *testing.T) {
	_, a := source(t, 100)
	_, b := source(t, 100)
	if !bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) {
		t.Error("the same tree gave two different streams")
	}
}

// A snapshot and a listing keep the state they were opened on, through installs, flushes and a
// replacement.
func TestSnapshotOutlivesReplace(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		t.Run(fmt.Sprintf("flushed=%v", flushed), func(t *testing.T) {
			want, stream := source(t, 10_000)
			s, m := open(t, vfs.NewCrashableMem()), newModel()
			defer closeStore(t, s)
			grow(t, s, m, 100, 2000)
			before := chunks(t, s, 500)
			if flushed {
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			snap, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			first, _, err := snap.Next(500)
			if err != nil {
				t.Fatal(err)
			}
			got := [][]byte{bytes.Clone(first)}
			grow(t, s, m, 10, 100)

			listed := 0
			s.Children("/grown", func(string) bool {
				if listed == 0 {
					st, err := stage(s, "new", stream)
					if err != nil {
						t.Fatal(err)
					}
					if err := s.Replace(st); err != nil {
						t.Fatal(err)
					}
				}
				listed++
				return true
			})
			if listed != len(m.children("/grown")) {
				t.Errorf("a listing saw %d children of %d after a replacement began", listed, len(m.children("/grown")))
			}
			want.check(t, s)
			grow(t, s, want, 10, 100)
			got = append(got, drain(t, snap, 500)...)
			if err := snap.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.Join(got, nil), bytes.Join(before, nil)) {
				t.Error("the snapshot changed under its reader")
			}
			want.check(t, s)
		})
	}
}

// crashes takes a picture of the disk before every operation that changes it, or before one of so many.
type crashes struct {
	mu    sync.Mutex
	on    bool
	fs    *vfs.MemFS
	rng   *rand.Rand
	every int // 0: all
	ops   int
	disks []*vfs.MemFS
	after []string
}

func (c *crashes) MaybeError(op errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	if c.ops++; c.ops%max(c.every, 1) == 0 {
		c.take(fmt.Sprint("before operation ", op.Kind, " of ", op.Path))
	}
	return nil
}

func (c *crashes) take(when string) {
	for _, percent := range []int{0, 50} {
		c.disks = append(c.disks, c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}))
		c.after = append(c.after, when)
	}
}

func (c *crashes) String() string { return "crashes" }

func (c *crashes) record(f func()) {
	c.mu.Lock()
	c.on = true
	c.mu.Unlock()
	f()
	c.mu.Lock()
	c.on = false
	c.take("at the end")
	c.mu.Unlock()
}

// Power fails at each step of a replacement: the tree is the old one, up to some batch,
// or the new one; and the second attempt at the start finishes the job [H-07, H-08, H-92].
func TestReplaceCrashes(t *testing.T) {
	const name = "snap"
	want, stream := source(t, 10_000)
	mem := vfs.NewCrashableMem()
	c := &crashes{fs: mem, rng: rand.New(rand.NewPCG(1, 2))}
	s, m := open(t, errorfs.Wrap(mem, c)), newModel()
	history := map[zxid.ID]*model{}
	for range 3 { // some of it durable, some in memory alone
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		history[m.at.ID] = m.clone()
		grow(t, s, m, 30, 1500)
	}
	st, err := stage(s, name, stream)
	if err != nil {
		t.Fatal(err)
	}
	c.record(func() {
		if err := s.Replace(st); err != nil {
			t.Fatal(err)
		}
	})
	want.check(t, s)
	closeStore(t, s)

	old, fresh := 0, 0
	for i, disk := range c.disks {
		t.Run(fmt.Sprintf("%03d", i), func(t *testing.T) {
			s := open(t, disk)
			defer closeStore(t, s)
			switch at := s.Applied(); {
			case at == want.at:
				fresh++
				want.check(t, s)
			case history[at.ID] != nil:
				old++
				history[at.ID].check(t, s)
			case at == m.at: // the flush that goes before the step is done
				old++
				m.check(t, s)
			default:
				t.Fatalf("%s: the tree is at %v", c.after[i], at)
			}
			if err := s.ReplaceFrom(name); err != nil {
				t.Fatalf("%s: second attempt: %v", c.after[i], err)
			}
			want.check(t, s)
			again := want.clone()
			install(t, s, again, createTxn(again.at.ID+1, "/after", nil))
			if err := s.ReplaceFrom(name); err != nil {
				t.Fatalf("%s: third attempt: %v", c.after[i], err)
			}
			again.check(t, s)
		})
	}
	if old == 0 || fresh == 0 {
		t.Errorf("%d crashes left the old tree and %d the new: the crash points miss one side", old, fresh)
	}
}

// When Replace has returned, no crash takes the new tree away again [H-92].
func TestReplaceIsDurable(t *testing.T) {
	want, stream := source(t, 10_000)
	mem := vfs.NewCrashableMem()
	s, m := open(t, mem), newModel()
	grow(t, s, m, 30, 1500)
	st, err := stage(s, "snap", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	s = open(t, disk)
	defer closeStore(t, s)
	want.check(t, s)
}

// A crash while a stream is being staged leaves no trace but files that the next start deletes;
// after Finish it may be used [H-08, H-21].
func TestStageCrashes(t *testing.T) {
	want, stream := source(t, 10_000)
	mem := vfs.NewCrashableMem()
	c := &crashes{fs: mem, rng: rand.New(rand.NewPCG(3, 4))}
	s, m := open(t, errorfs.Wrap(mem, c)), newModel()
	grow(t, s, m, 30, 500)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	c.record(func() {
		if _, err := stage(s, "snap", stream); err != nil {
			t.Fatal(err)
		}
	})
	closeStore(t, s)
	whole := 0
	for i, disk := range c.disks {
		t.Run(fmt.Sprintf("%03d", i), func(t *testing.T) {
			s := open(t, disk)
			defer closeStore(t, s)
			m.check(t, s)
			at, err := s.Staged("snap")
			if err != nil {
				if err := s.ReplaceFrom("snap"); !errors.Is(err, store.ErrNotStaged) {
					t.Fatalf("%s: replaced by half a snapshot: %v", c.after[i], err)
				}
				m.check(t, s)
			} else {
				whole++
				if at != want.at {
					t.Fatalf("%s: staged at %v, want %v", c.after[i], at, want.at)
				}
				if err := s.ReplaceFrom("snap"); err != nil {
					t.Fatalf("%s: %v", c.after[i], err)
				}
				want.check(t, s)
			}
			if err := s.DiscardStaged(""); err != nil {
				t.Fatal(err)
			}
			if left, err := disk.List("/data/staging"); err == nil && len(left) > 0 {
				t.Errorf("%s: left behind: %q", c.after[i], left)
			}
		})
	}
	if whole < 2 {
		t.Errorf("%d disks hold a whole staging; the last two must, as Finish had returned", whole)
	}
}

func TestDiscardStagedKeepsOne(t *testing.T) {
	want, stream := source(t, 10_000)
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := stage(s, name, stream); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DiscardStaged("b"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "c", "never"} {
		if err := s.ReplaceFrom(name); !errors.Is(err, store.ErrNotStaged) {
			t.Errorf("replace by %q: %v, want ErrNotStaged", name, err)
		}
	}
	if err := s.ReplaceFrom("b"); err != nil {
		t.Fatal(err)
	}
	want.check(t, s)
}

func TestStageNames(t *testing.T) {
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	for _, name := range []string{"", ".", "..", "a/b", "../tree", "a b", ".a", string(make([]byte, 100))} {
		if _, err := s.Stage(name); err == nil {
			t.Errorf("stage took the name %q", name)
		}
		if err := s.ReplaceFrom(name); err == nil {
			t.Errorf("replace took the name %q", name)
		}
	}
}

// Two stagings of one tree: the first replacement makes the second stale.
func TestStaleStaging(t *testing.T) {
	want, stream := source(t, 10_000)
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	first, err := stage(s, "first", stream)
	if err != nil {
		t.Fatal(err)
	}
	second, err := stage(s, "second", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(first); err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(second); !errors.Is(err, store.ErrNotStaged) {
		t.Errorf("replace by a stale staging: %v, want ErrNotStaged", err)
	}
	want.check(t, s)
	// The name of the first may be used again.
	if first, err = stage(s, "first", stream); err != nil {
		t.Fatal(err)
	}
	install(t, s, want, createTxn(want.at.ID+1, "/more", nil))
	if err := s.Replace(first); err != nil {
		t.Fatal(err)
	}
	if s.Node("/more") != nil {
		t.Error("a node outlived the replacement of its tree")
	}
}

// Sessions and the index of ephemerals are replaced with the nodes.
func TestReplaceDropsSessions(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	fresh := chunks(t, s, 1000)
	install(t, s, m, txn(proto.OpCreateSession, 2, 1, &proto.CreateSessionTxn{TimeOut: 4000}))
	install(t, s, m, txn(proto.OpCreate2, 2, 2, &proto.CreateTxn{Path: "/e", Ephemeral: true, ParentCVersion: -1}))
	if s.Node("/e") == nil || len(ephemerals(s, 2)) != 1 {
		t.Fatal("the ephemeral is not there")
	}
	st, err := stage(s, "fresh", fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	newModel().check(t, s)
}
