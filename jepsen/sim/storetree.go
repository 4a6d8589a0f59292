package sim

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// storeTree is a state in the real store, on the file system of the simulated disk.
type storeTree struct {
	*store.Store
	d *disk
}

const (
	treeDir     = "/tree"
	stagingName = "snapshot"
	stagingRoot = treeDir + "/staging/"
	// stagingSteps is about how many steps make, sync and remove files until a staged snapshot is the tree.
	stagingSteps = 16
	// Small budgets: opening a store must be cheap.
	treeBlockBytes = 64 << 10
	treeTableBytes = 256 << 10
	treeChunkBytes = 2 << 10
)

// openStore opens the store of a disk.
func (d *disk) openStore() (*storeTree, error) {
	s, err := store.Open(store.Config{
		Dir: treeDir, FS: d.fs, CacheBytes: -1, BlockCacheBytes: treeBlockBytes, MemTableBytes: treeTableBytes,
		Logger: zerolog.Nop(), Fatal: d.fatal,
	})
	if err != nil {
		return nil, err
	}
	return &storeTree{Store: s, d: d}, nil
}

// must fails on an error that no fault explains, and ends the process if one does.
func (t *storeTree) must(err error) {
	if b := t.d.fs.treeBroken(); b != nil {
		t.d.treeEnds(b, err)
	}
	if err != nil {
		t.d.s.fail(stateIsFold, "server %v: %v", t.d.sid, err)
	}
}

func (t *storeTree) at() zxid.Point { return t.Applied() }

func (t *storeTree) sum() uint64 { return t.Digest() }

func (t *storeTree) public() uint64 { return t.PublicDigest() }

func (t *storeTree) install(c *znode.Changes, at zxid.Point) { t.must(t.Install(c, at)) }

func (t *storeTree) eachSession(yield func(id proto.SessionID, timeout int32)) {
	t.Sessions(func(id proto.SessionID, timeout int32) bool {
		yield(id, timeout)
		return true
	})
}

// flush meets an error of the disk only if there is something to write.
func (t *storeTree) flush() {
	broken := t.d.breaksFlush != nil && t.flushed() != t.at()
	if broken {
		t.d.fs.breakTree(t.d.breaksFlush)
		t.d.breaksFlush = nil
	}
	err := t.Flush()
	if broken && t.d.fs.treeBroken() == nil {
		t.d.s.fail(failsSafe, "server %v: the tree was flushed past a broken disk", t.d.sid)
	}
	if err != nil && t.d.s.mutant.trimUnflushed {
		t.d.trim(t.at())
	}
	t.must(err)
	t.d.tabled = true
}

func (t *storeTree) flushed() zxid.Point {
	at, err := t.Durable()
	t.must(err)
	return at
}

func (t *storeTree) snapshot() snapshot {
	s, err := t.Snapshot()
	t.must(err)
	out := &storeSnapshot{Snapshot: s, t: t}
	t.d.snapshots = append(t.d.snapshots, out)
	return out
}

func (t *storeTree) stage(zxid.Point) staging {
	t.unstage()
	if s := t.d.s; s.treeBreaks && !s.calm && !t.d.fs.treeBreaks() && s.chance(0.4) {
		form := treeStaging
		if s.chance(0.2) {
			form = treeSwap
		}
		b := drawBreak(s.rng, FaultTreeStage, form)
		if form == treeStaging {
			b.after = s.rng.IntN(stagingSteps)
		}
		t.d.fs.breakTree(b)
	}
	s, err := t.Stage(stagingName)
	t.must(err)
	t.d.staging = s
	return storeStaging{s, t}
}

// unstage gives back what an unfinished staging holds.
func (t *storeTree) unstage() {
	if t.d.staging != nil {
		t.must(t.d.staging.Close())
		t.d.staging = nil
	}
}

func (t *storeTree) replace(in staging) {
	t.must(t.Replace(in.(storeStaging).Staging)) //nolint:errcheck // stage made it
	t.d.tabled = true
}

func (t *storeTree) resume(zxid.Point) bool {
	err := t.ReplaceFrom(stagingName)
	if errors.Is(err, store.ErrNotStaged) {
		return false
	}
	t.must(err)
	return true
}

func (t *storeTree) discard() {
	t.unstage()
	t.must(t.DiscardStaged(""))
}

func (t *storeTree) differs(ref *tree) string {
	totals, err := t.Scan()
	switch {
	case err != nil:
		return err.Error()
	case totals.At != ref.applied:
		return fmt.Sprintf("applied %v and %v", totals.At, ref.applied)
	case totals.Digest != ref.digest || ref.scan() != ref.digest:
		return fmt.Sprintf("digests %016x and %016x (scan %016x)", totals.Digest, ref.digest, ref.scan())
	}
	sessions := map[proto.SessionID]int32{}
	t.Sessions(func(id proto.SessionID, timeout int32) bool {
		sessions[id] = timeout
		return true
	})
	return sameSessions(sessions, ref.sessions)
}

// close gives back what the store holds, without a flush: its process has ended.
func (t *storeTree) close() {
	t.d.fs.breakTree(nil)
	for _, s := range t.d.snapshots {
		s.close()
	}
	t.d.snapshots = nil
	if t.d.staging != nil {
		err := t.d.staging.Close()
		if t.d.fs.treeBroken() == nil {
			t.must(err)
		}
		t.d.staging = nil
	}
	_ = t.Close() // what it writes no longer reaches this disk
}

// storeSnapshot is a snapshot of the store.
type storeSnapshot struct {
	*store.Snapshot
	t      *storeTree
	closed bool
}

func (s *storeSnapshot) point() zxid.Point { return s.Point() }

func (s *storeSnapshot) next() (chunk []byte, done bool) {
	chunk, done, err := s.Next(treeChunkBytes)
	s.t.must(err)
	return chunk, done // as it is: a simulated link holds it, too
}

func (s *storeSnapshot) close() {
	if !s.closed {
		s.closed = true
		if err := s.Close(); s.t.d.fs.treeBroken() == nil {
			s.t.must(err)
		}
	}
}

// storeStaging is a snapshot on its way into the store.
type storeStaging struct {
	*store.Staging
	t *storeTree
}

func (s storeStaging) write(chunk []byte) error { return s.judge(s.Write(chunk)) }

func (s storeStaging) finish() (zxid.Point, error) {
	at, err := s.Finish()
	return at, s.judge(err)
}

// judge ends the process if its disk has failed; other errors are of the snapshot.
func (s storeStaging) judge(err error) error {
	if b := s.t.d.fs.treeBroken(); b != nil {
		s.t.d.treeEnds(b, err)
	}
	return err
}
