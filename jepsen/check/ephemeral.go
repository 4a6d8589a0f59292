package check

import (
	"maps"
	"slices"
)

// EphemeralOptions are the settings of Ephemerals.
type EphemeralOptions struct {
	// SyncGets demands that a look after sync shows every session close that was acknowledged
	// before the call.
	SyncGets bool
}

// Ephemerals demands that ephemeral nodes live exactly as long as their session (invariant I15 f,
// hazard H-68). A session that goes on being served finds its own nodes, and so does everybody in
// the end; once a close is acknowledged, a look after sync does not find them; in the final trees
// there are no nodes of sessions that ended, acknowledged or by being left alone.
func Ephemerals(h []Op, f Final, opt EphemeralOptions) []Violation {
	v := violations{check: "ephemerals"}
	last := map[int64]int64{} // session -> call of the last operation that was served, 0 for none
	ends := map[int64]Op{}
	registered := map[string]Op{}
	for _, o := range h {
		last[o.Session] = max(last[o.Session], 0)
		if o.Outcome == OK {
			last[o.Session] = max(last[o.Session], o.Call)
		}
		switch {
		case o.Kind == KindEnd:
			ends[o.Session] = o
		case o.Kind == KindRegister && o.Outcome == OK:
			registered[o.Path] = o
		}
	}
	for _, o := range h {
		checkLook(&v, o, registered, ends, last, opt)
	}
	for _, t := range f.Trees {
		checkFinalEphemerals(&v, t, f, registered, ends, last)
	}
	return v.list
}

// checkLook judges one look at an ephemeral node.
func checkLook(v *violations, o Op, registered map[string]Op, ends map[int64]Op, last map[int64]int64, opt EphemeralOptions) {
	if o.Outcome != OK {
		return
	}
	r, known := registered[o.Path]
	switch {
	case o.Kind == KindOwn && o.Found && o.Owner != o.Session:
		v.add("a session found its own node in another one's hands", o)
	// A reply may still come while the session is being closed under it; only a session that was
	// served later is proved to have been alive.
	case o.Kind == KindOwn && !o.Found && known && r.Session == o.Session && last[o.Session] > o.Return:
		v.add("a living session did not find its own ephemeral node", r, o)
	case o.Kind == KindObserve && o.Found && opt.SyncGets:
		if end, ok := ends[o.Owner]; ok && end.Outcome == OK && end.Return < o.Call {
			v.add("a node was seen after the close of its session had been acknowledged", end, o)
		}
	default:
	}
}

func checkFinalEphemerals(v *violations, t Tree, f Final, registered map[string]Op, ends map[int64]Op, last map[int64]int64) {
	for _, path := range slices.Sorted(maps.Keys(t.Nodes)) {
		owner := t.Nodes[path].Stat.EphemeralOwner
		if owner == 0 {
			continue
		}
		if _, known := last[owner]; !known {
			v.addf(nil, "server %d has %s of session %#x, which nobody opened", t.Server, path, owner)
		}
		if end, ok := ends[owner]; ok && end.Return < f.Taken {
			v.addf([]Op{end}, "server %d still has %s of session %#x, which ended", t.Server, path, owner)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(registered)) {
		r := registered[path]
		if _, ended := ends[r.Session]; ended && ends[r.Session].Call < f.Done || last[r.Session] < f.Done {
			continue // not proved to have been alive during the walks
		}
		if n, ok := t.Nodes[path]; !ok || n.Stat.EphemeralOwner != r.Session {
			v.addf([]Op{r}, "server %d has not got %s of a living session", t.Server, path)
		}
	}
}
