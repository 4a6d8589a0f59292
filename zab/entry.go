package zab

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Entry is one transaction of the history, opaque to this package, together with
// its place: its zxid, the zxid before it, and the running hash with it.
// Data is shared between messages, log and state machine and must not be changed.
type Entry struct {
	ID   zxid.ID
	Prev zxid.ID
	Hash uint64
	Data []byte
}

// Errors of Entry.Check. Either means that the stream and the history do not
// belong together; a learner closes the link and synchronises again.
var (
	// ErrGap: the entry does not follow the end of the history (hazards H-13, H-14, H-58).
	ErrGap = errors.New("zab: entry does not follow the history")
	// ErrDiverged: the zxids agree and the running hashes do not (hazards H-34, H-41).
	ErrDiverged = errors.New("zab: histories have diverged")
)

// NewEntry makes the entry that puts data under id behind prev.
func NewEntry(prev zxid.Point, id zxid.ID, data []byte) Entry {
	return Entry{ID: id, Prev: prev.ID, Hash: chain(prev.Hash, id, data), Data: data}
}

// Point returns the place in history just after the entry.
func (e Entry) Point() zxid.Point { return zxid.Point{ID: e.ID, Hash: e.Hash} }

// Check reports whether the entry may be appended to a history that ends at last.
func (e Entry) Check(last zxid.Point) error {
	if e.Prev != last.ID || !e.ID.Follows(last.ID) {
		return fmt.Errorf("%w: %v (after %v) cannot follow %v", ErrGap, e.ID, e.Prev, last.ID)
	}
	if want := chain(last.Hash, e.ID, e.Data); e.Hash != want {
		return fmt.Errorf("%w: hash of %v is %016x, expected %016x", ErrDiverged, e.ID, e.Hash, want)
	}
	return nil
}

// chain folds one transaction into the running hash (invariant I2 of spec hazards 12).
func chain(prev uint64, id zxid.ID, data []byte) uint64 {
	var head [24]byte
	binary.BigEndian.PutUint64(head[0:], prev)
	binary.BigEndian.PutUint64(head[8:], uint64(id))
	binary.BigEndian.PutUint64(head[16:], xxhash.Sum64(data))
	return xxhash.Sum64(head[:])
}
