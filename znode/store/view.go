package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// timeoutLen is the length of a session's record.
const timeoutLen = 4

// keyScratch is how long a key may be to be built without an allocation.
const keyScratch = 128

func appendTimeout(dst []byte, timeout int32) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(timeout))
}

func parseTimeout(rec []byte) (int32, error) {
	if len(rec) != timeoutLen {
		return 0, errTruncated
	}
	return int32(binary.BigEndian.Uint32(rec)), nil
}

// Node implements znode.View.
func (s *Store) Node(path string) *znode.Node {
	n, version := s.cache.get(path)
	if n != nil {
		return n
	}
	return s.readNode(path, version)
}

// Warm loads the node at path into the cache, if there is one. It is meant to be called
// without the lock that a following read needs, so that nobody waits for this disk read.
func (s *Store) Warm(path string) { s.Node(path) }

// readNode reads a node that is not cached and offers it to the cache under the version
// of the miss.
func (s *Store) readNode(path string, version uint64) *znode.Node {
	var scratch [keyScratch]byte
	rec, closer, err := s.db.Get(appendNodeKey(scratch[:0], path))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		panic(s.fault("read node "+path, err))
	}
	e := &cacheEntry{}
	err = decodeNode(&e.node, rec)
	if err := errors.Join(err, closer.Close()); err != nil {
		panic(s.fault("read node "+path, fmt.Errorf("%w: %w", ErrCorrupt, err)))
	}
	s.cache.offer(path, e, version)
	return &e.node
}

// Children implements znode.View.
func (s *Store) Children(path string, yield func(name string) bool) {
	prefix := appendChildPrefix(make([]byte, 0, keyScratch), path)
	s.scan("list children of "+path, prefix, func(rest []byte, _ *pebble.Iterator) (bool, error) {
		return yield(string(rest)), nil
	})
}

// Ephemerals implements znode.View.
func (s *Store) Ephemerals(owner proto.SessionID, yield func(path string) bool) {
	prefix := appendEphemeralPrefix(make([]byte, 0, ephemeralPrefixLen), owner)
	s.scan("list ephemerals", prefix, func(rest []byte, _ *pebble.Iterator) (bool, error) {
		return yield(string(rest)), nil
	})
}

// Owners calls yield with each session that owns an ephemeral, in the order of the ids as
// unsigned numbers, until it returns false. It costs a seek for each.
func (s *Store) Owners(yield func(owner proto.SessionID) bool) {
	var next []byte
	s.scan("list owners", []byte{colEphemeral}, func(_ []byte, it *pebble.Iterator) (bool, error) {
		owner, _, err := parseEphemeralKey(it.Key())
		if err != nil || !yield(owner) {
			return false, err
		}
		next = appendEphemeralPrefix(next[:0], owner)
		if successor(next) {
			it.SeekLT(next) // the owner's last; scan goes on from there
		} else {
			it.Last()
		}
		return true, nil
	})
}

// Owned calls yield with each ephemeral and the session that owns it, in the order of the ids as
// unsigned numbers and of the paths, until it returns false. It begins behind the ephemeral given,
// whether or not that exists, and with the first one behind the zero id and the empty path. All of
// one call is one state.
func (s *Store) Owned(owner proto.SessionID, path string, yield func(owner proto.SessionID, path string) bool) {
	from := append(appendEphemeralKey(make([]byte, 0, keyScratch), owner, path), 0) // the next key there can be
	bounds := pebble.IterOptions{LowerBound: from, UpperBound: []byte{colEphemeral + 1}}
	s.scanFrom("list owned", bounds, 0, func(key []byte, _ *pebble.Iterator) (bool, error) {
		owner, path, err := parseEphemeralKey(key)
		return err == nil && yield(owner, string(path)), err
	})
}

// Size returns the bytes that the tree takes on disk.
func (s *Store) Size() int64 { return int64(s.db.Metrics().DiskSpaceUsage()) }

// Sessions calls yield with each live session and its timeout in ms, in the order of
// the ids as unsigned numbers, until it returns false. All of it is one state.
func (s *Store) Sessions(yield func(id proto.SessionID, timeout int32) bool) {
	s.scan("list sessions", []byte{colSession}, func(_ []byte, it *pebble.Iterator) (bool, error) {
		id, err := parseSessionKey(it.Key())
		if err != nil {
			return false, err
		}
		rec, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		timeout, err := parseTimeout(rec)
		if err != nil {
			return false, err
		}
		return yield(id, timeout), nil
	})
}

// Session implements znode.View.
func (s *Store) Session(id proto.SessionID) (timeout int32, ok bool) {
	var scratch [sessionKeyLen]byte
	rec, closer, err := s.db.Get(appendSessionKey(scratch[:0], id))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false
	}
	if err != nil {
		panic(s.fault("read session", err))
	}
	timeout, err = parseTimeout(rec)
	if err := errors.Join(err, closer.Close()); err != nil {
		panic(s.fault("read session", fmt.Errorf("%w: %w", ErrCorrupt, err)))
	}
	return timeout, true
}

// scan calls visit for each key that starts with prefix, which is overwritten, with what
// follows the prefix. A fault ends the process.
func (s *Store) scan(op string, prefix []byte, visit func(rest []byte, it *pebble.Iterator) (bool, error)) {
	upper := append([]byte(nil), prefix...)
	bounds := pebble.IterOptions{LowerBound: prefix}
	if successor(upper) {
		bounds.UpperBound = upper
	}
	s.scanFrom(op, bounds, len(prefix), visit)
}

// scanFrom calls visit for each key within bounds with what follows its first skip bytes. A fault
// ends the process.
func (s *Store) scanFrom(op string, bounds pebble.IterOptions, skip int, visit func(rest []byte, it *pebble.Iterator) (bool, error)) {
	it, err := s.db.NewIter(&bounds)
	if err != nil {
		panic(s.fault(op, err))
	}
	defer func() {
		if it != nil { // visit's yield panicked
			_ = it.Close()
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		more, visitErr := visit(it.Key()[skip:], it)
		if visitErr != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, visitErr)
		}
		if !more || err != nil {
			break
		}
	}
	err = errors.Join(err, it.Close())
	it = nil
	if err != nil {
		panic(s.fault(op, err))
	}
}
