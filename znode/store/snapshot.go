package store

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Snapshot is the tree at one exact point, for as long as it is open, whatever is
// installed or replaced meanwhile. It holds no memory of the store for long; it keeps
// table files from being deleted. One goroutine uses it.
type Snapshot struct {
	store  *Store
	efos   *pebble.EventuallyFileOnlySnapshot
	totals Totals
	// Of the same state: see Store.
	system     uint64
	generation uint64

	// The stream.
	number  uint32 // of the next chunk
	next    []byte // smallest key that may follow
	size    int    // of the longest chunk so far
	records uint64
	hash    *xxhash.Digest
	drained bool // all records are out
	done    bool // so is the trailer
}

// Snapshot returns the tree as it is at Applied. Installs go on. The caller
// must Close it, before the Store.
func (s *Store) Snapshot() (*Snapshot, error) {
	snap := s.pin()
	efos := snap.efos
	totals, version, err := readTotals(efos)
	if err == nil && version == 0 {
		err = fmt.Errorf("%w: no applied record", ErrCorrupt)
	}
	if err != nil {
		return nil, errors.Join(s.fault("snapshot", err), efos.Close())
	}
	snap.totals, snap.next, snap.hash = totals, streamFrom, xxhash.New()
	return snap, nil
}

// pin takes the snapshot between two installs.
func (s *Store) pin() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Snapshot{
		store: s, system: s.system, generation: s.origin.generation,
		// An ordinary snapshot of Pebble would lose its tables to a Replace.
		efos: s.db.NewEventuallyFileOnlySnapshot([]pebble.KeyRange{{Start: keysStart, End: keysEnd}}),
	}
}

// Point returns the point of the snapshot.
func (s *Snapshot) Point() zxid.Point { return s.totals.At }

// Totals returns the counters of the snapshot.
func (s *Snapshot) Totals() Totals { return s.totals }

// Close releases the snapshot.
func (s *Snapshot) Close() error {
	if err := s.efos.Close(); err != nil {
		return fmt.Errorf("store: close snapshot: %w", err)
	}
	return nil
}

// Next returns the next chunk of the stream, about maxBytes long, longer if one record is. The
// chunk is the caller's: it may wait in a queue while the next one is made. With the last chunk,
// done is true. The chunks, in order and unchanged, are what Staging.Write takes.
func (s *Snapshot) Next(maxBytes int) (chunk []byte, done bool, err error) {
	switch {
	case s.done:
		return nil, true, errors.New("store: snapshot stream is over")
	case s.number == 0:
		chunk = appendHeader(beginChunk(nil, chunkHeader, s.number), s.totals.At)
	case !s.drained:
		if chunk, err = s.readRecords(maxBytes); err != nil {
			return nil, false, s.store.fault("read snapshot", err)
		}
	default:
		t := trailer{totals: s.totals, records: s.records, hash: s.hash.Sum64()}
		chunk = t.append(beginChunk(nil, chunkTrailer, s.number))
		s.done = true
	}
	endChunk(chunk)
	s.number++
	return chunk, s.done, nil
}

// readRecords makes the next chunk of records: one at least, as there is always a root.
func (s *Snapshot) readRecords(maxBytes int) ([]byte, error) {
	chunk := beginChunk(make([]byte, 0, s.size), chunkRecords, s.number)
	it, err := s.efos.NewIter(&pebble.IterOptions{LowerBound: s.next, UpperBound: streamTo})
	if err != nil {
		return nil, err
	}
	more := it.First()
	for ; more; more = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		key := it.Key()
		if len(chunk) > chunkFrame+chunkHead && len(chunk)+len(key)+len(value) > maxBytes {
			s.next = append([]byte(nil), key...)
			break
		}
		chunk = appendRecord(chunk, key, value)
		s.records++
	}
	_, _ = s.hash.Write(chunk[chunkFrame+chunkHead:])
	s.drained, s.size = !more, max(s.size, len(chunk))
	return chunk, it.Close()
}
