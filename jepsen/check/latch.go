package check

import (
	"cmp"
	"slices"
)

// Latch demands that at most one candidate leads in every state. Who leads is the one whose node was
// created first of those that are left, so that the czxid of its node is a fencing token: of the
// claims in the order of the states that they were made in, the tokens never fall, and in one state
// there is one.
//
// It needs headers that name exactly the state of a reply.
func Latch(h []Op) []Violation {
	v := violations{check: "latch"}
	claims := map[string][]Op{}
	var order []string
	for _, o := range h {
		if o.Kind != KindLead || o.Outcome != OK {
			continue
		}
		if claims[o.Key] == nil {
			order = append(order, o.Key)
		}
		claims[o.Key] = append(claims[o.Key], o)
	}
	for _, key := range order {
		ops := claims[key]
		slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Zxid, b.Zxid) })
		for i, o := range ops {
			if o.Token > o.Zxid {
				v.add("a leader was seen before its node was created", o)
			}
			if i == 0 {
				continue
			}
			switch p := ops[i-1]; {
			case o.Token < p.Token:
				v.add("an earlier candidate led after a later one: both led", p, o)
			case o.Token == p.Token && o.Session != p.Session:
				v.add("two sessions led by one token", p, o)
			case o.Token != p.Token && o.Zxid == p.Zxid:
				v.add("two led in one state", p, o)
			}
		}
	}
	return v.list
}
