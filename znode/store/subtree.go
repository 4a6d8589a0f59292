package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/znode"
)

// Subtree implements znode.View. The nodes of one depth below path are one range of keys, and
// below an empty range there is nothing: it reads what it counts, in order, and seeks once for
// each depth.
func (s *Store) Subtree(path string) (nodes int, bytes int64) {
	root := s.Node(path)
	if root == nil {
		return 0, 0
	}
	nodes, bytes, err := countBelow(s.db, path)
	if err != nil {
		panic(s.fault("count the subtree of "+path, err))
	}
	return nodes + 1, bytes + int64(len(root.Data))
}

// countBelow counts the nodes below path and the bytes of their data.
func countBelow(r pebble.Reader, path string) (nodes int, size int64, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{colNode}, UpperBound: []byte{colNode + 1}})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	prefix := appendChildPrefix(make([]byte, 0, keyScratch), path)
	for depth := depthOf(path) + 1; depth <= znode.MaxDepth; depth++ {
		setDepth(prefix, depth)
		level := nodes
		for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
			rec, err := it.ValueAndErr()
			if err != nil {
				return 0, 0, err
			}
			n, err := dataLen(rec)
			if err != nil {
				return 0, 0, fmt.Errorf("%w: node %q: %w", ErrCorrupt, it.Key(), err)
			}
			nodes++
			size += int64(n)
		}
		if nodes == level || it.Error() != nil {
			break
		}
	}
	return nodes, size, it.Error()
}
