package check

import (
	"maps"
	"slices"
	"strings"
)

// Groups demands that what watchers know of a group is true: a view has no members that nobody
// registered, and, where headers name exactly the state of a reply, has every member that was
// registered by then and whose session was served in the same or a later state: it was alive. That it
// was served at a later time proves nothing, for a server may not know yet that a session is over. In the end, when nobody comes and goes any more,
// what a watcher believes, who looked only when an event told it to, is what every server holds: a
// single lost event would leave it wrong.
func Groups(h []Op, f Final, exact bool) []Violation {
	v := violations{check: "groups"}
	served := map[life]int64{} // the latest state in which a session was served
	ends := map[int64]int{}
	lives := map[string]life{} // of the sessions of members
	members := map[string]Op{}
	for _, o := range h {
		of := life{o.Session, ends[o.Session]}
		switch {
		case o.Kind == KindEnd:
			ends[o.Session]++
		case o.Outcome == OK:
			served[of] = max(served[of], o.Zxid)
		}
		if o.Kind == KindRegister {
			members[o.Path], lives[o.Path] = o, of
		}
	}
	for _, o := range h {
		if o.Outcome != OK || o.Kind != KindView && o.Kind != KindBelief {
			continue
		}
		names := splitNames(o.Value)
		for _, name := range names {
			switch m, ok := members[o.Key+"/"+name]; {
			case !ok:
				v.add("a member was seen that nobody registered: "+name, o)
			case m.Outcome == Fail:
				v.add("a member was seen whose registration had failed", m, o)
			case m.Call > o.Return:
				v.add("a member was seen before it was registered", m, o)
			}
		}
		if o.Kind == KindView && exact {
			missing(&v, o, names, members, func(path string) int64 { return served[lives[path]] })
		}
		if o.Kind == KindBelief {
			believed(&v, o, names, f)
		}
	}
	return v.list
}

// life is a session between two ends. The id of one that has ended may be given out again, when the
// clock of a server was put back before it started.
type life struct {
	session int64
	ends    int // of sessions with this id, recorded before
}

// missing demands the members that were certainly there.
func missing(v *violations, o Op, names []string, members map[string]Op, served func(path string) int64) {
	for _, path := range slices.Sorted(maps.Keys(members)) {
		m := members[path]
		name, in := strings.CutPrefix(path, o.Key+"/")
		if in && m.Outcome == OK && m.Zxid <= o.Zxid && served(path) >= o.Zxid && !slices.Contains(names, name) {
			v.add("a member was not seen that was registered, and alive", m, o)
		}
	}
}

func believed(v *violations, o Op, names []string, f Final) {
	for _, t := range f.Trees {
		var held []string
		for _, path := range slices.Sorted(maps.Keys(t.Nodes)) {
			if name, in := strings.CutPrefix(path, o.Key+"/"); in && !strings.Contains(name, "/") {
				held = append(held, name)
			}
		}
		if !slices.Equal(held, names) {
			v.addf([]Op{o}, "server %d has the members %v; a watcher that was told of every change believes in %v", t.Server, held, names)
		}
	}
}

func splitNames(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
