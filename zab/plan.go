package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// SyncMode is how a synchronisation begins.
type SyncMode uint8

// The ways to begin.
const (
	// SyncDiff: the learner's history is a prefix of the leader's.
	SyncDiff SyncMode = iota
	// SyncTrunc: it is so after its end has been cut off.
	SyncTrunc
	// SyncSnap: it is replaced by a snapshot of the state.
	SyncSnap
)

// String prints Apache's packet name.
func (m SyncMode) String() string {
	switch m {
	case SyncDiff:
		return "DIFF"
	case SyncTrunc:
		return "TRUNC"
	case SyncSnap:
		return "SNAP"
	}
	return fmt.Sprintf("SyncMode(%d)", uint8(m))
}

// Plan says how one learner is brought to the leader's history.
type Plan struct {
	Mode SyncMode
	// Common is, for DIFF and TRUNC, the point from which the leader's entries follow.
	Common zxid.Point
	// Missing is the number of the leader's entries behind Common.
	Missing uint64
	// Diverged says that the histories hold different things under one zxid, which
	// the protocol never lets happen; the learner gets a snapshot, the operator an alarm
	// (hazards H-34, H-41).
	Diverged bool
}

// PlanSync decides how a learner is synchronised (spec zab-and-election 7.1 [OURS]):
// find the largest zxid that both histories hold; if there is one, the learner is cut to
// it where it goes beyond, and gets the leader's entries after it; otherwise, or if those
// are more than maxDiff and would have to come from disk, that is from below window,
// it gets a snapshot.
//
// It rests on summaries, not on last zxids, so a cut is ordered only to a point that
// the learner has said it holds (hazards H-01, H-02), and never reads below either
// base (hazard H-13).
func PlanSync(leader, learner Summary, window zxid.ID, needSnap bool, maxDiff int) Plan {
	if needSnap {
		return Plan{Mode: SyncSnap}
	}
	id, ok := common(leader, learner)
	if !ok {
		return Plan{Mode: SyncSnap}
	}
	ours, known := leader.hashAt(id)
	theirs, told := learner.hashAt(id)
	if known && told && ours != theirs {
		return Plan{Mode: SyncSnap, Diverged: true}
	}
	p := Plan{Mode: SyncDiff, Common: zxid.Point{ID: id, Hash: ours}, Missing: leader.after(id)}
	if !known {
		p.Common.Hash = theirs
	}
	if id < window && p.Missing > uint64(max(maxDiff, 0)) {
		return Plan{Mode: SyncSnap}
	}
	if learner.Last().ID > id {
		p.Mode = SyncTrunc
	}
	return p
}

// common returns the largest zxid at which both histories may stand: an entry that they
// hold, or a base.
func common(a, b Summary) (zxid.ID, bool) {
	i, j := a.segments()-1, b.segments()-1
	for i >= 0 && j >= 0 {
		p, q := a.segment(i), b.segment(j)
		switch {
		case p.epoch > q.epoch:
			i--
		case p.epoch < q.epoch:
			j--
		default:
			if hi := min(p.hi, q.hi); hi >= max(p.lo, q.lo) {
				return zxid.Make(p.epoch, hi), true
			}
			// One of the two has only a base in this epoch, above or below the other's
			// entries: nothing in common here, nor anywhere below that base.
			return 0, false
		}
	}
	return 0, false
}

// segment is the set of points of one epoch at which a history can stand.
type segment struct {
	epoch  zxid.Epoch
	lo, hi zxid.Counter
}

// segments counts the epochs: one per run, one more if the base is in none of them.
func (s Summary) segments() int {
	if s.baseAlone() {
		return len(s.Runs) + 1
	}
	return len(s.Runs)
}

// baseAlone reports whether no run continues the epoch of the base.
func (s Summary) baseAlone() bool {
	return len(s.Runs) == 0 || s.Runs[0].Epoch != s.Base.ID.Epoch()
}

// segment returns the i-th epoch, lowest first.
func (s Summary) segment(i int) segment {
	if s.baseAlone() {
		if i == 0 {
			return segment{s.Base.ID.Epoch(), s.Base.ID.Counter(), s.Base.ID.Counter()}
		}
		i--
	}
	r := s.Runs[i]
	if r.Epoch == s.Base.ID.Epoch() {
		return segment{r.Epoch, s.Base.ID.Counter(), r.Last}
	}
	return segment{r.Epoch, 1, r.Last}
}

// hashAt returns the running hash at id where the summary tells it: at the base
// and at the end of each run.
func (s Summary) hashAt(id zxid.ID) (uint64, bool) {
	if id == s.Base.ID {
		return s.Base.Hash, true
	}
	if i, ok := s.find(id.Epoch()); ok && s.Runs[i].Last == id.Counter() {
		return s.Runs[i].Hash, true
	}
	return 0, false
}

// after counts the entries behind id, which the history must hold.
func (s Summary) after(id zxid.ID) uint64 {
	var n uint64
	for _, r := range s.Runs {
		switch {
		case r.Epoch > id.Epoch():
			n += uint64(r.Last)
		case r.Epoch == id.Epoch():
			n += uint64(r.Last - id.Counter())
		}
	}
	return n
}

// cut returns the summary of the history up to a point that it holds. The runs are
// copied.
func (s Summary) cut(at zxid.Point) Summary {
	out := Summary{Base: s.Base}
	for _, r := range s.Runs {
		if r.Epoch < at.ID.Epoch() {
			out.Runs = append(out.Runs, r)
		}
	}
	if at.ID != s.Base.ID && s.Holds(at.ID) {
		out.Runs = append(out.Runs, Run{Epoch: at.ID.Epoch(), Last: at.ID.Counter(), Hash: at.Hash})
	}
	return out
}

// grow notes in place that e was appended. The runs must not be shared.
func (s *Summary) grow(e Entry) {
	run := Run{Epoch: e.ID.Epoch(), Last: e.ID.Counter(), Hash: e.Hash}
	if n := len(s.Runs); n > 0 && s.Runs[n-1].Epoch == run.Epoch {
		s.Runs[n-1] = run
		return
	}
	s.Runs = append(s.Runs, run)
}

// valid reports whether a summary that came over the wire makes sense: epochs
// ascend from that of the base, and no run is empty or ends below the base.
func (s Summary) valid() bool {
	if s.Base.ID < 0 {
		return false
	}
	prev, first := s.Base.ID.Epoch(), true
	for _, r := range s.Runs {
		switch {
		case r.Epoch > zxid.MaxEpoch || r.Last == 0 || r.Last > zxid.MaxCounter || r.Epoch < prev:
			return false
		case r.Epoch == prev && (!first || r.Last <= s.Base.ID.Counter()):
			return false
		}
		prev, first = r.Epoch, false
	}
	return true
}
