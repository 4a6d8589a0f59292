package quorum

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

// SID is a server id: the N of server.N, the number in the myid file. It fits
// in one byte because it is also the top byte of every session id that the
// server hands out.
type SID int16

// None is no server: the absent leader of a vote.
const None SID = -1

// MaxSID is the largest id a server may have.
const MaxSID SID = 255

// String prints the plain number, or "none".
func (s SID) String() string {
	if s == None {
		return "none"
	}
	return strconv.Itoa(int(s))
}

// Set is a set of server ids. It is a value: copying it copies the set, == compares
// it, and iteration is always in ascending order, which the pure packages rely on.
type Set [4]uint64

// SetOf returns the set of the given ids.
func SetOf(sids ...SID) Set {
	var s Set
	for _, sid := range sids {
		s.Add(sid)
	}
	return s
}

// Add puts sid in the set. It panics on an id outside 0..MaxSID: such an id
// is a bug of the caller, who has validated what came from outside.
func (s *Set) Add(sid SID) {
	if sid < 0 || sid > MaxSID {
		panic(fmt.Sprintf("quorum: sid %d out of range", sid))
	}
	s[sid>>6] |= 1 << (uint(sid) & 63)
}

// Remove takes sid out of the set.
func (s *Set) Remove(sid SID) {
	if sid >= 0 && sid <= MaxSID {
		s[sid>>6] &^= 1 << (uint(sid) & 63)
	}
}

// Has reports whether sid is in the set; never true for None.
func (s Set) Has(sid SID) bool {
	return sid >= 0 && sid <= MaxSID && s[sid>>6]&(1<<(uint(sid)&63)) != 0
}

// Len returns the number of ids.
func (s Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// And returns the intersection.
func (s Set) And(t Set) Set {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// Or returns the union.
func (s Set) Or(t Set) Set {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// All yields the ids in ascending order.
func (s Set) All() iter.Seq[SID] {
	return func(yield func(SID) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(SID(i<<6 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// String prints the set as {1 2 3}.
func (s Set) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for sid := range s.All() {
		if b.Len() > 1 {
			b.WriteByte(' ')
		}
		b.WriteString(sid.String())
	}
	b.WriteByte('}')
	return b.String()
}

// Incarnation names one life of a server's store: 128 random bits drawn when the
// store is created. A server whose incarnation changed has lost what it had
// acknowledged (design "Empty, wiped and duplicated members", hazards H-39 and H-40).
type Incarnation [16]byte

// IsZero reports whether no incarnation is known.
func (i Incarnation) IsZero() bool { return i == Incarnation{} }

// String prints the first four bytes in hex, enough to tell two lives apart in a log.
func (i Incarnation) String() string { return fmt.Sprintf("%x", i[:4]) }

// ClusterID names an ensemble: 128 random bits drawn when its first leader
// establishes itself. Servers of different ensembles never join (hazard H-41).
type ClusterID [16]byte

// IsZero reports whether the server has not yet belonged to an ensemble.
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// String prints the first four bytes in hex.
func (c ClusterID) String() string { return fmt.Sprintf("%x", c[:4]) }
