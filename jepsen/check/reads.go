package check

import (
	"cmp"
	"maps"
	"slices"
)

// WriteOrder holds all acknowledged writes against real time: what was called after another one
// had returned has the higher zxid, whatever the keys, and no two have the same.
func WriteOrder(h []Op) []Violation {
	v := violations{check: "write-order"}
	writes := byCall(h, func(o Op) bool { return o.Write() && o.Outcome == OK && o.Zxid != 0 })
	returned := slices.Clone(writes)
	slices.SortStableFunc(returned, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	seen := map[int64]Op{}
	var newest Op // highest zxid of what had returned before the call at hand
	next := 0
	for _, w := range writes {
		for ; next < len(returned) && returned[next].Return < w.Call; next++ {
			if returned[next].Zxid > newest.Zxid {
				newest = returned[next]
			}
		}
		if w.Zxid < newest.Zxid {
			v.add("a write was ordered before one that had been acknowledged before it was called", newest, w)
		}
		if other, ok := seen[w.Zxid]; ok {
			v.addf([]Op{other, w}, "two writes with zxid %#x", w.Zxid)
		}
		seen[w.Zxid] = w
	}
	return v.list
}

// ReadOptions are the settings of Reads.
type ReadOptions struct {
	// SyncGets demands that a read after sync shows every write acknowledged before its call.
	SyncGets bool
	// Exact demands that a reply's header names exactly the state that the reply was computed
	// from, so that an acknowledged write up to that zxid must be visible in it.
	Exact bool
}

// Reads holds what was read from registers against what was written: a value comes from a write
// of that key that was called before the read returned and was not refused; it belongs to one
// zxid and one version for ever; versions grow with zxids.
func Reads(h []Op, opt ReadOptions) []Violation {
	v := violations{check: "reads"}
	keys := map[string][]Op{}
	for _, o := range h {
		switch o.Kind {
		case KindSet, KindCAS, KindGet, KindSyncGet:
			keys[o.Key] = append(keys[o.Key], o)
		default:
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		ops := byCall(keys[key], func(Op) bool { return true })
		checkSources(&v, ops)
		checkVersions(&v, ops)
		if opt.SyncGets {
			checkFresh(&v, ops)
		}
		if opt.Exact {
			checkExact(&v, ops)
		}
	}
	return v.list
}

func isRead(o Op) bool {
	return (o.Kind == KindGet || o.Kind == KindSyncGet) && o.Outcome == OK
}

func isSet(o Op) bool {
	return (o.Kind == KindSet || o.Kind == KindCAS) && o.Outcome == OK
}

// checkSources finds the write of each value read.
func checkSources(v *violations, ops []Op) {
	writes := map[string]Op{}
	for _, o := range ops {
		if o.Kind == KindSet || o.Kind == KindCAS {
			writes[o.Value] = o
		}
	}
	for _, r := range ops {
		if !isRead(r) {
			continue
		}
		w, ok := writes[r.Value]
		switch {
		case !ok && r.Value == RegisterInit && r.Stat.Version == 0:
		case !ok:
			v.add("a value was read that nobody wrote", r)
		case w.Outcome == Fail:
			v.add("a value was read whose write had been refused", w, r)
		case w.Call > r.Return:
			v.add("a value was read before it was written", w, r)
		case w.Outcome == OK && (w.Stat.Mzxid != r.Stat.Mzxid || w.Stat.Version != r.Stat.Version):
			v.add("a value was read with another mzxid or version than its write was acknowledged with", w, r)
		}
		if r.Zxid != 0 && r.Stat.Mzxid > r.Zxid {
			v.add("a reply shows a change that is later than the zxid in its header", r)
		}
	}
}

// checkVersions holds everything that was seen of a key's life against one line of states.
func checkVersions(v *violations, ops []Op) {
	states := byCall(ops, func(o Op) bool { return isRead(o) || isSet(o) })
	slices.SortStableFunc(states, func(a, b Op) int { return cmp.Compare(a.Stat.Mzxid, b.Stat.Mzxid) })
	mzxids := map[string]Op{} // value -> who saw it
	for i, o := range states {
		if other, ok := mzxids[o.Value]; ok && other.Stat.Mzxid != o.Stat.Mzxid {
			v.add("a value was written once and took effect at two zxids", other, o)
		}
		mzxids[o.Value] = o
		if i == 0 {
			continue
		}
		p := states[i-1]
		same := p.Stat.Mzxid == o.Stat.Mzxid
		switch {
		case same && (p.Value != o.Value || p.Stat.Version != o.Stat.Version):
			v.add("one zxid with two values or versions", p, o)
		case same && isSet(p) && isSet(o):
			v.add("two writes acknowledged with one zxid", p, o)
		case !same && p.Stat.Version >= o.Stat.Version:
			v.add("the version did not grow with the zxid", p, o)
		}
	}
}

// checkFresh demands of reads after sync that they see what was acknowledged before their call.
func checkFresh(v *violations, ops []Op) {
	writes := byCall(ops, isSet)
	slices.SortStableFunc(writes, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	var newest Op
	next := 0
	for _, r := range ops {
		if r.Kind != KindSyncGet || r.Outcome != OK {
			continue
		}
		for ; next < len(writes) && writes[next].Return < r.Call; next++ {
			if writes[next].Stat.Mzxid > newest.Stat.Mzxid {
				newest = writes[next]
			}
		}
		if r.Stat.Mzxid < newest.Stat.Mzxid {
			v.add("a read after sync missed a write acknowledged before the sync was called", newest, r)
		}
	}
}

// checkExact demands that a read at zxid z shows the last write up to z.
func checkExact(v *violations, ops []Op) {
	writes := byCall(ops, isSet)
	slices.SortStableFunc(writes, func(a, b Op) int { return cmp.Compare(a.Stat.Mzxid, b.Stat.Mzxid) })
	for _, r := range ops {
		if !isRead(r) || r.Zxid == 0 {
			continue
		}
		after, _ := slices.BinarySearchFunc(writes, r.Zxid+1, func(w Op, z int64) int { return cmp.Compare(w.Stat.Mzxid, z) })
		if after > 0 && writes[after-1].Stat.Mzxid > r.Stat.Mzxid {
			v.add("a reply's header names a zxid whose writes the reply does not show", writes[after-1], r)
		}
	}
}

// FinalRegisters holds the registers in the final trees against the history: the last
// acknowledged write or something later, and as many versions as writes could have made.
func FinalRegisters(h []Op, f Final) []Violation {
	v := violations{check: "final-registers"}
	type life struct {
		last     Op
		ok, info int32
	}
	keys := map[string]life{}
	for _, o := range h {
		if o.Kind != KindSet && o.Kind != KindCAS {
			continue
		}
		l := keys[o.Key]
		switch o.Outcome {
		case OK:
			l.ok++
			if o.Stat.Mzxid > l.last.Stat.Mzxid {
				l.last = o
			}
		case Info:
			l.info++
		case Fail:
		}
		keys[o.Key] = l
	}
	for _, t := range f.Trees {
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			l := keys[key]
			n, ok := t.Nodes[key]
			switch {
			case !ok:
				v.addf([]Op{l.last}, "server %d has lost %s", t.Server, key)
			case n.Stat.Mzxid < l.last.Stat.Mzxid:
				v.addf([]Op{l.last}, "server %d lost the last acknowledged write of %s: it has mzxid %#x", t.Server, key, n.Stat.Mzxid)
			case n.Stat.Mzxid == l.last.Stat.Mzxid && n.Data != l.last.Value:
				v.addf([]Op{l.last}, "server %d has %q in %s at the zxid of its last write", t.Server, n.Data, key)
			case n.Stat.Version < l.ok || n.Stat.Version > l.ok+l.info:
				v.addf([]Op{l.last}, "server %d has version %d of %s after %d acknowledged and %d unknown writes", t.Server, n.Stat.Version, key, l.ok, l.info)
			}
		}
	}
	return v.list
}
