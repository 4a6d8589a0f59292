package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// scanStep is how many bytes of records a scan reads between two looks at its pace.
const scanStep = 256 << 10

// DigestError is the error of a tree whose nodes do not have the digest that was kept while they were
// changed, though all else about it is in order.
type DigestError struct {
	// At is the point at which the tree was read.
	At zxid.Point
	// Kept and Found are without what lies below znode.SystemPath.
	Kept, Found uint64

	generation  uint64
	systemDelta uint64
}

// Error implements error.
func (e *DigestError) Error() string {
	return fmt.Sprintf("at %v the digest of the nodes is %016x, and should be %016x", e.At, e.Found, e.Kept)
}

// Scan reads the whole tree, as of one point, while installs go on, and returns the
// totals that it finds, under the point that the tree claims. The error, wrapping
// ErrCorrupt, says what contradicts what; it is not reported to Config.Fatal, unless the
// disk itself failed. Servers that are at the same point must find the same totals
// (hazard H-94).
func (s *Store) Scan() (Totals, error) {
	snap, err := s.Snapshot()
	if err != nil {
		return Totals{}, err
	}
	return snap.audit(context.Background(), func(int) error { return nil })
}

// Scrub looks for damage that nobody has met yet, while everything else goes on: first it compares all
// blocks of all files with their checksums (disk.Guard.Scrub), then it reads the tree as Scan does.
// The second reading goes the way of every other one, caches included, and finds what has a good checksum and
// is wrong all the same: something else was written, or something was lost. Pebble's cache
// keeps what is read often from what is read once (BenchmarkReadBesideScrub).
//
// pace is called after each piece with its length; it waits for as long as the next one has to, and ends Scrub
// with its error, as ctx does. Nothing is reported to Config.Fatal but what Pebble meets. A digest that
// is not the one kept is a *DigestError; all other damage wraps ErrCorrupt and names the file, if it is a file's.
func (s *Store) Scrub(ctx context.Context, pace func(bytes int) error) (Totals, error) {
	if err := s.refusal(); err != nil {
		return Totals{}, err
	}
	err := s.guard.Scrub(s.fs.PathJoin(s.cfg.Dir, treeDir), disk.Deleting(s.db), pace)
	switch _, kind := disk.Judge(err); {
	case errors.Is(kind, ErrCorrupt): // the remedy is the owner's
		return Totals{}, fmt.Errorf("store: %s: scrub: %w", s.cfg.Dir, err)
	case kind != nil:
		return Totals{}, fmt.Errorf("store: %s: scrub: %w", s.cfg.Dir, remedied(err))
	case err != nil:
		return Totals{}, err
	}
	snap, err := s.Snapshot()
	if err != nil {
		return Totals{}, err
	}
	if _, err := s.rotate(); err != nil {
		return Totals{}, errors.Join(err, snap.Close())
	}
	return snap.audit(ctx, pace)
}

// audit reads the tree at one point, and closes the snapshot.
//
// A snapshot that is open for as long as a slow reading takes must not cost more and more. This one is of
// the kind that Pebble calls file-only: once the memtables of its moment are flushed, which Scrub asks for, it
// keeps no old versions of keys from being dropped and pins no memory. What it does keep is the files
// of its moment: the disk holds, beside the tree, what compactions have rewritten since, at most the
// size of the tree. Who runs low on space ends the scan. It must be one snapshot: digests of parts of
// the tree at different points come to nothing that could be compared.
//
// Iterators pin what they began with, memtables included; so each lives for one step, and none while
// the pace is waited for.
func (s *Snapshot) audit(ctx context.Context, pace func(int) error) (Totals, error) {
	a := &audit{}
	stopped, err := s.each(ctx, a.add, pace)
	if closeErr := s.Close(); closeErr != nil {
		return Totals{}, closeErr
	}
	switch failed := s.store.failed.Load(); {
	case stopped != nil:
		return Totals{}, stopped
	case failed != nil:
		return Totals{}, failed.err
	}
	a.totals.At = s.totals.At
	if err == nil {
		err = a.finish()
	}
	if err == nil {
		err = s.compare(a)
	}
	if err != nil {
		return a.totals, fmt.Errorf("store: %s: %w: %w", s.store.cfg.Dir, ErrCorrupt, err)
	}
	return a.totals, nil
}

// compare holds what an audit has found against what was kept.
func (s *Snapshot) compare(a *audit) error {
	if a.totals == s.totals {
		return nil
	}
	e := &DigestError{
		At: s.totals.At, Kept: s.totals.Digest - s.system, Found: a.totals.Digest - a.system,
		generation: s.generation, systemDelta: a.system - s.system,
	}
	but := s.totals
	but.Digest = a.totals.Digest
	if but == a.totals && e.Kept != e.Found {
		return e
	}
	return fmt.Errorf("counters say %+v, the nodes say %+v", s.totals, a.totals)
}

// Holds reports whether the tree is the one that e is about. The goroutine that installs calls it.
func (s *Store) Holds(e *DigestError) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.generation == s.origin.generation
}

// Correct lets the tree, which Holds e, have the digest that its nodes have, as Scrub has found it. What
// was installed since has moved both alike. The goroutine that installs calls it.
func (s *Store) Correct(e *DigestError) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	totals := *s.totals.Load()
	totals.Digest += e.Found - e.Kept + e.systemDelta
	if err := s.commit(&totals); err != nil {
		return s.fault("correct the digest", err)
	}
	s.system += e.systemDelta
	return nil
}

// each calls visit with every record of the snapshot but the meta column's. stopped is the error of pace
// or ctx.
func (s *Snapshot) each(ctx context.Context, visit func(key, value []byte) error, pace func(int) error) (stopped, err error) {
	for next := streamFrom; next != nil; {
		if err := ctx.Err(); err != nil {
			return err, nil
		}
		var bytes int
		if next, bytes, err = s.step(next, visit); err != nil {
			return nil, err
		}
		if err := pace(bytes); err != nil {
			return err, nil
		}
	}
	return nil, nil
}

// step visits records from a key on, and returns the key behind them, nil at the end, and their length.
func (s *Snapshot) step(from []byte, visit func(key, value []byte) error) (next []byte, bytes int, err error) {
	it, err := s.efos.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: streamTo})
	if err != nil {
		return nil, 0, s.store.fault("scan", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if bytes >= scanStep {
			next = append([]byte(nil), it.Key()...)
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close returns it again
		}
		if err := visit(it.Key(), value); err != nil {
			return nil, 0, errors.Join(err, it.Close())
		}
		bytes += len(it.Key()) + len(value)
	}
	if err := it.Close(); err != nil {
		return nil, 0, s.store.fault("scan", err)
	}
	return next, bytes, nil
}
