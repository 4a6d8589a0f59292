package check

import (
	"maps"
	"slices"
)

// Queue demands that each item of a queue is consumed exactly once: whatever was enqueued is
// dequeued by at most one consumer, and is either gone by that or in every final tree. An item of
// which either answer was lost may be gone or not.
func Queue(h []Op, f Final) []Violation {
	v := violations{check: "queue"}
	items := map[string]Op{}    // by value
	taken := map[string]Op{}    // by path, acknowledged
	possible := map[string]Op{} // by path, of unknown outcome
	for _, o := range h {
		if o.Kind == KindEnqueue {
			items[o.Value] = o
		}
	}
	for _, o := range h {
		if o.Kind != KindDequeue {
			continue
		}
		item, known := items[o.Value]
		switch {
		case !known:
			v.add("an item was found that nobody enqueued", o)
			continue
		case item.Outcome == Fail:
			v.add("an item was found whose enqueueing had failed", item, o)
		case item.Outcome == OK && item.Path != o.Path:
			v.add("an item was found in another place than it was put", item, o)
		}
		switch o.Outcome {
		case OK:
			if other, twice := taken[o.Path]; twice {
				v.add("an item was consumed twice", item, other, o)
			}
			taken[o.Path] = o
		case Info:
			possible[o.Path] = o
		case Fail:
		}
	}
	for _, t := range f.Trees {
		for _, value := range slices.Sorted(maps.Keys(items)) {
			item := items[value]
			if item.Outcome != OK {
				continue
			}
			n, there := t.Nodes[item.Path]
			taker, gone := taken[item.Path]
			_, perhaps := possible[item.Path]
			switch {
			case there && gone:
				v.addf([]Op{item, taker}, "server %d still has an item that was consumed", t.Server)
			case !there && !gone && !perhaps:
				v.addf([]Op{item}, "server %d has lost an item that nobody consumed", t.Server)
			case there && n.Data != value:
				v.addf([]Op{item}, "server %d has %q in its place", t.Server, n.Data)
			}
		}
	}
	return v.list
}
