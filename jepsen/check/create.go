package check

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Creates holds unique creates against the final trees: each acknowledged one is there exactly
// once, under the acknowledged path; a refused one is nowhere; one of unknown outcome is there at
// most once; nothing else is there. No create may be told that its node exists already: names and
// data are never used twice, so the server itself must have made it twice (hazard H-72).
//
// Sequence numbers follow real time: a create called after another one under the same prefix had
// returned has the higher number.
func Creates(h []Op, f Final) []Violation {
	v := violations{check: "creates"}
	byValue := map[string]Op{}
	parents := map[string]bool{}
	for _, o := range h {
		if o.Kind != KindCreate && o.Kind != KindSequence {
			continue
		}
		byValue[o.Value] = o
		parents[parentOf(o.Key)] = true
		if o.Outcome == Fail && o.Refused {
			v.add("a create of a fresh name was refused", o)
		}
	}
	for _, t := range f.Trees {
		checkCreated(&v, t, byValue, parents)
	}
	checkSequences(&v, h)
	return v.list
}

func parentOf(path string) string { return path[:strings.LastIndexByte(path, '/')] }

func checkCreated(v *violations, t Tree, byValue map[string]Op, parents map[string]bool) {
	seen := map[string]string{} // value -> path
	for _, path := range slices.Sorted(maps.Keys(t.Nodes)) {
		if path == "/" || !parents[parentOf(path)] {
			continue
		}
		n := t.Nodes[path]
		o, ok := byValue[n.Data]
		if !ok {
			v.addf(nil, "server %d has %s with data %q that nobody created", t.Server, path, n.Data)
			continue
		}
		if other, twice := seen[n.Data]; twice {
			v.addf([]Op{o}, "server %d has one create twice: %s and %s", t.Server, other, path)
		}
		seen[n.Data] = path
		switch {
		case o.Outcome == Fail:
			v.addf([]Op{o}, "server %d has %s whose create had been refused", t.Server, path)
		case o.Outcome == OK && o.Path != path:
			v.addf([]Op{o}, "server %d has the node under %s", t.Server, path)
		case o.Outcome == OK && o.Zxid != 0 && n.Stat.Czxid != o.Zxid:
			v.addf([]Op{o}, "server %d has %s with czxid %#x", t.Server, path, n.Stat.Czxid)
		}
	}
	for _, value := range slices.Sorted(maps.Keys(byValue)) {
		if o := byValue[value]; o.Outcome == OK && seen[value] == "" {
			v.addf([]Op{o}, "server %d has lost an acknowledged create", t.Server)
		}
	}
}

func checkSequences(v *violations, h []Op) {
	prefixes := map[string][]Op{}
	for _, o := range byCall(h, func(o Op) bool { return o.Kind == KindSequence && o.Outcome == OK }) {
		prefixes[o.Key] = append(prefixes[o.Key], o)
	}
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		ops := prefixes[prefix]
		returned := slices.Clone(ops)
		slices.SortStableFunc(returned, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
		paths := map[string]Op{}
		var highest Op
		next := 0
		for _, o := range ops {
			for ; next < len(returned) && returned[next].Return < o.Call; next++ {
				if returned[next].Path > highest.Path {
					highest = returned[next]
				}
			}
			if o.Path <= highest.Path {
				v.add("a sequence number did not grow", highest, o)
			}
			if other, ok := paths[o.Path]; ok {
				v.add("one sequence number was given twice", other, o)
			}
			paths[o.Path] = o
		}
	}
}
