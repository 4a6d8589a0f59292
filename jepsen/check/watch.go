package check

import (
	"cmp"
	"slices"
)

// change is an event as a watcher must hear of it.
type change struct {
	zxid        int64
	path, event string
}

// Watches demands that a persistent recursive watch is told of every change below it, once each and
// in the order of the log: of all acknowledged writes between the state in which it began and the
// last one that it had heard of. Every event is that of a write that somebody sent.
//
// It needs events with the zxid of their transaction.
func Watches(h []Op) []Violation {
	v := violations{check: "watches"}
	var done []Op // acknowledged changes
	sent := map[[2]string]bool{}
	for _, o := range h {
		if o.Kind != KindChange {
			continue
		}
		if o.Outcome != Fail {
			sent[[2]string{o.Path, o.Value}] = true
		}
		if o.Outcome == OK {
			done = append(done, o)
		}
	}
	slices.SortStableFunc(done, func(a, b Op) int { return cmp.Compare(a.Zxid, b.Zxid) })
	spans := map[int64]*watchSpan{}
	for _, o := range h {
		span := spans[o.Token]
		switch o.Kind {
		case KindWatch:
			if o.Outcome == OK {
				spans[o.Token] = &watchSpan{begin: o, last: o, heard: map[change]bool{}}
			}
			continue
		case KindEvent:
			if span == nil {
				v.add("an event came before the watch was set", o)
				continue
			}
			span.event(&v, o, sent)
		case KindHeard:
			if span != nil && o.Outcome == OK {
				span.complete(&v, o, done)
			}
		default:
		}
	}
	return v.list
}

// watchSpan is the life of one watch on one connection.
type watchSpan struct {
	begin Op
	last  Op              // event, or the beginning
	heard map[change]bool // events so far
	next  int             // changes before it have been looked for
}

func (s *watchSpan) event(v *violations, o Op, sent map[[2]string]bool) {
	c := change{o.Zxid, o.Path, o.Value}
	switch {
	case o.Zxid <= s.begin.Zxid:
		v.add("a watch was told of what had happened before it", s.begin, o)
	case s.heard[c]:
		v.add("a watch was told of a change twice", o)
	case o.Zxid < s.last.Zxid:
		v.add("a watch was told of changes out of order", s.last, o)
	case !sent[[2]string{o.Path, o.Value}]:
		v.add("a watch was told of a change that nobody made", o)
	}
	s.heard[c], s.last = true, o
}

// complete looks for the events of all changes up to what the watch has heard of.
func (s *watchSpan) complete(v *violations, o Op, done []Op) {
	for ; s.next < len(done) && done[s.next].Zxid <= o.Zxid; s.next++ {
		d := done[s.next]
		if d.Zxid > s.begin.Zxid && !s.heard[change{d.Zxid, d.Path, d.Value}] {
			v.add("a watch was not told of a change", d, o)
		}
	}
}
