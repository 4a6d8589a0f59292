package zab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Run is the part of a log that belongs to one epoch, told by its end: the log
// holds (Epoch, 1) .. (Epoch, Last), as far as that lies above its base.
type Run struct {
	Epoch zxid.Epoch
	Last  zxid.Counter
	Hash  uint64 // running hash at (Epoch, Last)
}

// Point returns the end of the run.
func (r Run) Point() zxid.Point {
	return zxid.Point{ID: zxid.Make(r.Epoch, r.Last), Hash: r.Hash}
}

// Summary describes a log well enough to compare two of them: everything in
// (Base, Last] is held, one Run per epoch, ascending. Base is where the log starts:
// what lies at or below it exists only as state. It replaces Apache's single
// last zxid, which is too weak to find the point where histories part
// (spec zab-and-election 7.1, hazards H-01, H-02).
type Summary struct {
	Base zxid.Point
	Runs []Run
}

// Last returns the end of the history.
func (s Summary) Last() zxid.Point {
	if len(s.Runs) == 0 {
		return s.Base
	}
	return s.Runs[len(s.Runs)-1].Point()
}

// Holds reports whether the history passes through id: the log holds it, or it is
// the base. It says nothing of what lies below the base.
func (s Summary) Holds(id zxid.ID) bool {
	if id == s.Base.ID {
		return true
	}
	if id < s.Base.ID {
		return false
	}
	i, ok := s.find(id.Epoch())
	return ok && id.Counter() >= 1 && id.Counter() <= s.Runs[i].Last
}

// find looks for the run of an epoch.
func (s Summary) find(e zxid.Epoch) (int, bool) {
	return slices.BinarySearchFunc(s.Runs, e, func(r Run, e zxid.Epoch) int {
		return int(int64(r.Epoch) - int64(e))
	})
}

// Extend returns the summary of the history after entry e, which must follow it.
// The runs are copied when they would be shared.
func (s Summary) Extend(e Entry) Summary {
	run := Run{Epoch: e.ID.Epoch(), Last: e.ID.Counter(), Hash: e.Hash}
	n := len(s.Runs)
	runs := make([]Run, n, n+1)
	copy(runs, s.Runs)
	if n > 0 && runs[n-1].Epoch == run.Epoch {
		runs[n-1] = run
	} else {
		runs = append(runs, run)
	}
	s.Runs = runs
	return s
}

// String prints base and runs: (0x0..] 1:7 2:3.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%v..]", s.Base.ID)
	for _, r := range s.Runs {
		fmt.Fprintf(&b, " %d:%d", r.Epoch, r.Last)
	}
	return b.String()
}
