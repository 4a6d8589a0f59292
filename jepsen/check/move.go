package check

// Moves demands that a connection which its session has left is of no use for writes: none is
// acknowledged, and no server has what was written over it.
func Moves(h []Op, f Final) []Violation {
	v := violations{check: "moves"}
	for _, o := range h {
		if o.Kind != KindLeft {
			continue
		}
		if o.Outcome == OK {
			v.add("a write was acknowledged over a connection that its session had left", o)
		}
		for _, t := range f.Trees {
			if _, there := t.Nodes[o.Key]; there {
				v.addf([]Op{o}, "server %d has what was written over a connection that its session had left", t.Server)
			}
		}
	}
	return v.list
}
