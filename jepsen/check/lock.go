package check

import (
	"cmp"
	"maps"
	"slices"
)

// Locks demands mutual exclusion of locks made of ephemeral sequential nodes. A holder writes
// only in a multi that also checks that its node still exists, so a holder that lost its session
// cannot write any more, and a later holder was the lowest node when every earlier one was gone:
// in the order of the log the tokens (czxids of the holders' nodes) of the writes never fall.
func Locks(h []Op) []Violation {
	v := violations{check: "locks"}
	guards := map[string][]Op{}
	tokens := map[int64]Op{}
	for _, o := range h {
		if o.Outcome != OK {
			continue
		}
		switch o.Kind {
		case KindGuard:
			guards[o.Key] = append(guards[o.Key], o)
		case KindAcquire:
			if o.Owner != o.Session {
				v.addf([]Op{o}, "the holder's node belongs to session %#x", o.Owner)
			}
			if other, ok := tokens[o.Token]; ok {
				v.add("two holders with one token", other, o)
			}
			tokens[o.Token] = o
		default:
		}
	}
	for _, lock := range slices.Sorted(maps.Keys(guards)) {
		ops := guards[lock]
		slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Stat.Mzxid, b.Stat.Mzxid) })
		for i, o := range ops {
			if o.Token >= o.Stat.Mzxid {
				v.add("a holder wrote before its node was created", o)
			}
			if i == 0 {
				continue
			}
			switch p := ops[i-1]; {
			case o.Token < p.Token:
				v.add("an earlier holder wrote after a later one: both held the lock", p, o)
			case o.Stat.Version <= p.Stat.Version:
				v.add("the version of the guarded node did not grow", p, o)
			}
		}
	}
	return v.list
}
