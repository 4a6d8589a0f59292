package store

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/znode"
)

// markBatch is the size of a batch, in bytes, at which markAll begins another one.
const markBatch = 1 << 20

// putMark puts the difference that a change of the node at path, from old to n, makes to the marks
// into the batch.
func (s *Store) putMark(path string, old, n *znode.Node) error {
	was := old != nil && znode.MayExpire(old.Owner)
	is := n != nil && znode.MayExpire(n.Owner)
	if was == is {
		return nil
	}
	s.key = appendMarkKey(s.key[:0], path)
	if is {
		return s.batch.Set(s.key, nil, nil)
	}
	return s.batch.Delete(s.key, nil)
}

// Marked calls yield with the path of each container and each node with a time to live that comes
// after the given path in the order of bytes, ascending, until it returns false. "" begins
// with the first one.
func (s *Store) Marked(after string, yield func(path string) bool) {
	from := appendMarkKey(make([]byte, 0, keyScratch), after)
	if after != "" {
		from = append(from, 0) // the next key there can be
	}
	bounds := pebble.IterOptions{LowerBound: from, UpperBound: marksEnd}
	s.scanFrom("list marks", bounds, 0, func(key []byte, _ *pebble.Iterator) (bool, error) {
		path, err := parseMarkKey(key)
		return err == nil && yield(string(path)), err
	})
}

// markAll makes the marks of a tree that was written without them, and then has the applied record
// say so. It reads every node. A crash in the middle leaves a tree that is still without.
func (s *Store) markAll(totals *Totals) error {
	began, marks := time.Now(), 0
	if err := s.batch.DeleteRange(streamFrom, marksEnd, nil); err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{colNode}, UpperBound: []byte{colNode + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var marked bool
		if marked, err = s.markOne(it); marked {
			marks++
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return err
	}
	if err := s.commit(totals); err != nil {
		return err
	}
	s.log.Info().Int("nodes", totals.Nodes).Int("marks", marks).Dur("took_ms", time.Since(began)).
		Msg("tree: containers and nodes with a time to live are marked")
	return nil
}

// markOne makes the mark of the node that it stands on, if it needs one.
func (s *Store) markOne(it *pebble.Iterator) (marked bool, err error) {
	path, err := parseNodeKey(it.Key())
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	rec, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	owner, err := ownerOf(rec)
	if err != nil {
		return false, errors.Join(ErrCorrupt, err)
	}
	if !znode.MayExpire(owner) {
		return false, nil
	}
	if s.batch.Len() > markBatch {
		if err := s.batch.Commit(pebble.NoSync); err != nil {
			return false, err
		}
		s.batch.Reset()
	}
	s.key = appendMarkKey(s.key[:0], path)
	return true, s.batch.Set(s.key, nil, nil)
}
