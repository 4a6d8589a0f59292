package zxid

import (
	"cmp"
	"fmt"
)

// ID is a transaction id. The zero ID is the point before all history.
type ID int64

// Untrusted is the last zxid of a server whose history must not be believed: an
// empty or damaged store of a server that may have acknowledged more. Such a
// server counts in no election and no epoch [ZOOKEEPER-261].
const Untrusted ID = -1

// Epoch is the upper half of an ID: one reign of one leader.
type Epoch uint32

// Counter is the lower half of an ID.
type Counter uint32

const (
	// MaxEpoch is the highest epoch that is ever accepted: one more step and
	// signed comparison would break.
	MaxEpoch Epoch = 1<<31 - 2
	// MaxCounter is the last counter that may carry a transaction; a leader
	// that reaches it stops leading so that a new epoch begins [ZOOKEEPER-1277].
	MaxCounter Counter = 1<<32 - 2
	// HandOverCounter is where a leader starts to give up voluntarily, long
	// before MaxCounter forces it to.
	HandOverCounter = MaxCounter - 4_000_000
)

// Make joins an epoch and a counter.
func Make(e Epoch, c Counter) ID { return ID(uint64(e)<<32 | uint64(c)) }

// Epoch returns the upper half.
func (z ID) Epoch() Epoch { return Epoch(uint64(z) >> 32) }

// Counter returns the lower half.
func (z ID) Counter() Counter { return Counter(uint64(z) & 0xffffffff) }

// Next returns the following zxid of the same epoch. It must not be called
// on an ID whose counter is MaxCounter or above.
func (z ID) Next() ID {
	if z.Counter() >= MaxCounter {
		panic(fmt.Sprintf("zxid: counter of %v is used up", z))
	}
	return z + 1
}

// Follows reports whether z may come directly after prev in a history: the next
// counter of the same epoch, or counter 1 of a later epoch.
func (z ID) Follows(prev ID) bool {
	if z.Epoch() == prev.Epoch() {
		return z == prev+1 && z.Counter() != 0
	}
	return z > prev && z.Counter() == 1
}

// String prints the zxid as ZooKeeper's logs and tools do: 0x200000007.
func (z ID) String() string {
	if z < 0 {
		return fmt.Sprintf("-%#x", uint64(-z))
	}
	return fmt.Sprintf("%#x", uint64(z))
}

// Point is a place in a history: the zxid of the last transaction before it
// and the running hash of all transactions up to and with it. Two servers that
// agree on a Point agree on everything before it, short of a hash collision; equal
// IDs under different hashes prove that histories have parted (hazards H-34, H-41).
type Point struct {
	ID   ID
	Hash uint64
}

// String prints the zxid and the hash.
func (p Point) String() string { return fmt.Sprintf("%v#%016x", p.ID, p.Hash) }

// Compare orders points by zxid alone.
func (p Point) Compare(q Point) int { return cmp.Compare(p.ID, q.ID) }
