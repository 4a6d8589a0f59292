package check

import (
	"maps"
	"slices"
)

// Sessions demands that nothing goes back within a session, on whatever servers it was served:
// neither the zxid in the headers of its replies (invariant I15 c) nor the mzxid of a key that it
// wrote or read. Of operations that were under way together nothing is demanded here: Wire has
// seen in which order they were sent.
func Sessions(h []Op) []Violation {
	v := violations{check: "sessions"}
	sessions := map[int64][]Op{}
	for _, o := range byCall(h, func(o Op) bool { return o.Outcome == OK && o.Session != 0 }) {
		sessions[o.Session] = append(sessions[o.Session], o)
	}
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		var last Op // of those that had returned, the one with the highest zxid
		keys := map[string]Op{}
		returned := byReturn(sessions[id])
		next := 0
		for _, o := range sessions[id] {
			for ; next < len(returned) && returned[next].Return < o.Call; next++ {
				r := returned[next]
				if r.Zxid > last.Zxid {
					last = r
				}
				if (isRead(r) || isSet(r)) && r.Stat.Mzxid > keys[r.Key].Stat.Mzxid {
					keys[r.Key] = r
				}
			}
			if o.Zxid != 0 && o.Zxid < last.Zxid {
				v.addf([]Op{last, o}, "session %#x went back in time", id)
			}
			if p, ok := keys[o.Key]; ok && (isRead(o) || isSet(o)) && o.Stat.Mzxid < p.Stat.Mzxid {
				v.addf([]Op{p, o}, "session %#x saw an older state of %s than before", id, o.Key)
			}
		}
	}
	return v.list
}
