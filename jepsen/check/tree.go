package check

import (
	"fmt"
	"maps"
	"slices"
)

// Node is a node as a final walk read it.
type Node struct {
	Data string
	Stat Stat
}

// Tree is everything that one server showed in a walk after a sync.
type Tree struct {
	Server int
	Nodes  map[string]Node // by path, without /zookeeper
	Config string          // the list of the ensemble's servers
	Zxid   int64           // of `srvr` after the run
	Count  int64           // node count of `srvr` after the run
}

// Final is the state that a run ended in. Nobody changed the tree while it was taken.
type Final struct {
	Trees []Tree
	Taken int64 // ns since the start of the run at which the first walk began
	Done  int64 // and at which the last one had ended
}

// Replicas demands that all servers hold the same tree, with all Stats, at the same zxid.
func Replicas(f Final) []Violation {
	v := violations{check: "replicas"}
	if len(f.Trees) == 0 {
		v.add("no server was read")
		return v.list
	}
	a := f.Trees[0]
	for _, b := range f.Trees[1:] {
		if a.Zxid != b.Zxid {
			v.addf(nil, "server %d rests at zxid %#x, server %d at %#x", a.Server, a.Zxid, b.Server, b.Zxid)
		}
		if a.Count != b.Count {
			v.addf(nil, "server %d counts %d nodes, server %d counts %d", a.Server, a.Count, b.Server, b.Count)
		}
		for _, path := range slices.Sorted(maps.Keys(a.Nodes)) {
			n, ok := b.Nodes[path]
			switch {
			case !ok:
				v.addf(nil, "%s is on server %d and not on server %d", path, a.Server, b.Server)
			case n != a.Nodes[path]:
				v.add(fmt.Sprintf("%s differs: server %d has %+v, server %d has %+v", path, a.Server, a.Nodes[path], b.Server, n))
			}
		}
		for _, path := range slices.Sorted(maps.Keys(b.Nodes)) {
			if _, ok := a.Nodes[path]; !ok {
				v.addf(nil, "%s is on server %d and not on server %d", path, b.Server, a.Server)
			}
		}
	}
	return v.list
}

// Same demands that a later walk of one server shows what an earlier one showed: nothing may be
// lost by stopping everything and starting again. Ephemeral nodes are left out.
func Same(before, after Tree) []Violation {
	v := violations{check: "restart"}
	for _, path := range slices.Sorted(maps.Keys(before.Nodes)) {
		b := before.Nodes[path]
		a, ok := after.Nodes[path]
		switch {
		case b.Stat.EphemeralOwner != 0:
		case !ok:
			v.addf(nil, "%s is lost on server %d", path, after.Server)
		case a.Data != b.Data || a.Stat.Mzxid != b.Stat.Mzxid || a.Stat.Czxid != b.Stat.Czxid || a.Stat.Version != b.Stat.Version:
			v.addf(nil, "%s was %+v and is %+v on server %d", path, b, a, after.Server)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after.Nodes)) {
		if _, ok := before.Nodes[path]; !ok {
			v.addf(nil, "%s has appeared on server %d", path, after.Server)
		}
	}
	return v.list
}
