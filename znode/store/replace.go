package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Replace swaps the whole tree, nodes, ephemerals, sessions and applied point, for the
// staged one, whose Finish must have succeeded. It is one step: a crash leaves the tree before
// or the tree after, and when Replace returns, the new tree is durable. No read of several
// nodes may be under way; an open Snapshot keeps what it had. One caller at a time, the
// one that installs.
func (s *Store) Replace(st *Staging) error {
	if !st.whole {
		return fmt.Errorf("store: replace: %s is not finished", st.name)
	}
	return s.ReplaceFrom(st.name)
}

// ReplaceFrom is Replace by name, for a start after a crash in the middle: it does what
// is left to do. If the tree was already replaced by that very staging, it keeps what
// was installed since and only removes the remains. If there is neither, the error wraps
// ErrNotStaged.
func (s *Store) ReplaceFrom(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	if !validName(name) {
		return fmt.Errorf("store: replace: invalid name %q", name)
	}
	about, err := s.readComplete(name)
	switch {
	case errors.Is(err, ErrNotStaged) && s.origin.name == name:
		return s.discard(name)
	case err != nil:
		return fmt.Errorf("store: replace by %s: %w", name, err)
	case about.generation == s.origin.generation && s.origin.name == name:
		return s.discard(name)
	case about.generation != s.origin.generation+1:
		return fmt.Errorf("store: replace by %s: %w: the tree was replaced since it was staged", name, ErrNotStaged)
	}
	if err := s.ingest(name, about); err != nil {
		return s.fault("replace tree", err)
	}
	return s.discard(name)
}

// ingest is the step itself.
func (s *Store) ingest(name string, about complete) error {
	paths := make([]string, about.tables)
	for i := range paths {
		paths[i] = s.fs.PathJoin(s.stagingPath(name), tableName(uint32(i+1)))
	}
	all := pebble.KeyRange{Start: keysStart, End: keysEnd}
	if _, err := s.db.IngestAndExcise(context.Background(), paths, nil, nil, all); err != nil {
		return err
	}
	if err := s.refusal(); err != nil {
		return err
	}
	totals, version, err := readTotals(s.db)
	switch {
	case err != nil:
		return err
	case version == 0 || totals.At != about.at:
		return fmt.Errorf("%w: replaced tree is at %v, not at %v", ErrCorrupt, totals.At, about.at)
	case version == appliedUnmarked:
		if err := s.markAll(&totals); err != nil {
			return fmt.Errorf("build the column of marks: %w", err)
		}
	}
	s.totals.Store(&totals)
	s.cache.clear()
	s.system = znode.SystemDigest(s)
	s.cache.clear()
	return s.loadOrigin()
}

// readComplete reads what a finished staging says about itself.
func (s *Store) readComplete(name string) (about complete, err error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.stagingPath(name), completeFile))
	if err != nil {
		if isNotExist(err) {
			return about, ErrNotStaged
		}
		return about, err
	}
	content, err := io.ReadAll(io.LimitReader(f, completeLen+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return about, err
	}
	if err := about.decode(content); err != nil {
		return about, fmt.Errorf("%w: %s: %w", ErrNotStaged, completeFile, err)
	}
	return about, nil
}

// Staged returns the point of the finished staging of that name; without one the error
// wraps ErrNotStaged.
func (s *Store) Staged(name string) (zxid.Point, error) {
	if !validName(name) {
		return zxid.Point{}, fmt.Errorf("store: invalid name %q", name)
	}
	about, err := s.readComplete(name)
	if err != nil {
		return zxid.Point{}, fmt.Errorf("store: staging %s: %w", name, err)
	}
	return about.at, nil
}

// DiscardStaged deletes all stagings but the one named keep; "" keeps none. It is
// called at the start, before anything is staged.
func (s *Store) DiscardStaged(keep string) error {
	names, err := s.fs.List(s.fs.PathJoin(s.cfg.Dir, stagingDir))
	if err != nil {
		if isNotExist(err) {
			return nil
		}
		return fmt.Errorf("store: list stagings of %s: %w", s.cfg.Dir, err)
	}
	for _, name := range names {
		if name == keep {
			continue
		}
		if err := s.discard(name); err != nil {
			return err
		}
	}
	return nil
}

// discard deletes a staging. The COMPLETE file goes first, durably, so that no crash
// leaves a staging that claims to be whole and is not.
func (s *Store) discard(name string) error {
	dir := s.stagingPath(name)
	err := s.fs.Remove(s.fs.PathJoin(dir, completeFile))
	if err == nil {
		err = syncDir(s.fs, dir)
	}
	if err == nil || isNotExist(err) {
		err = s.fs.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("store: discard %s: %w", dir, err)
	}
	return nil
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
