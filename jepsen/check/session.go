package check

import (
	"maps"
	"slices"
)

// Sessions demands that nothing goes back within a session, on whatever servers it was served:
// neither the zxid in the headers of its replies (invariant I15 c) nor the mzxid of a key that it
// wrote or read.
func Sessions(h []Op) []Violation {
	v := violations{check: "sessions"}
	sessions := map[int64][]Op{}
	for _, o := range byCall(h, func(o Op) bool { return o.Outcome == OK && o.Session != 0 }) {
		sessions[o.Session] = append(sessions[o.Session], o)
	}
	for _, id := range slices.Sorted(maps.Keys(sessions)) {
		var last Op
		keys := map[string]Op{}
		for _, o := range sessions[id] {
			if o.Zxid != 0 {
				if o.Zxid < last.Zxid {
					v.addf([]Op{last, o}, "session %#x went back in time", id)
				}
				last = o
			}
			if !isRead(o) && !isSet(o) {
				continue
			}
			if p, ok := keys[o.Key]; ok && o.Stat.Mzxid < p.Stat.Mzxid {
				v.addf([]Op{p, o}, "session %#x saw an older state of %s than before", id, o.Key)
			}
			keys[o.Key] = o
		}
	}
	return v.list
}
