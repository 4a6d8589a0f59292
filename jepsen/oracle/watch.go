package oracle

import (
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// trigger is what a change does to watches (spec semantics 8.2).
type trigger struct {
	child bool // of the table of child watches, else of data watches
	path  string
	event proto.EventType
	acl   []proto.ACL
	again bool // does not reach whom the trigger before has reached
}

// event is one watch event.
type event struct {
	zxid zxid.ID // -1: told by setWatches
	kind proto.EventType
	path string
}

// String names the event as a violation does.
func (e event) String() string { return fmt.Sprintf("%v of %s at %v", e.kind, e.path, e.zxid) }

// due is an event that a connection is to get.
type due struct {
	event
	perhaps bool // whether it may is not known
}

// mark is a set of the ways in which a connection watches a path.
type mark uint8

const (
	dataOnce mark = 1 << iota
	childOnce
	dataAlways
	childAlways
	recursive
)

// watches are the watches of all connections.
type watches struct {
	paths map[string]map[*conn]mark
	count int // of triggers
}

func (w *watches) add(c *conn, path string, m mark) {
	if w.paths[path] == nil {
		w.paths[path] = map[*conn]mark{}
	}
	w.paths[path][c] |= m
	c.watched[path] = struct{}{}
}

// remove reports whether any of the marks was there, and removes them.
func (w *watches) remove(c *conn, path string, m mark) bool {
	had := w.paths[path][c]
	if had&m == 0 {
		return false
	}
	w.set(c, path, had&^m)
	return true
}

func (w *watches) set(c *conn, path string, m mark) {
	if m != 0 {
		w.paths[path][c] = m
		return
	}
	delete(w.paths[path], c)
	delete(c.watched, path)
	if len(w.paths[path]) == 0 {
		delete(w.paths, path)
	}
}

// drop removes everything that a connection watches.
func (w *watches) drop(c *conn) {
	for path := range c.watched {
		w.set(c, path, 0)
	}
}

// fire lets the connections that a trigger reaches expect its event, and uses up their one-shot
// watches. The order among connections does not matter: each has its own line of events.
func (w *watches) fire(g *trigger, z zxid.ID) {
	w.count++
	at := dataOnce | dataAlways | recursive
	once := dataOnce
	if g.child {
		at, once = childOnce|childAlways, childOnce
	}
	for c, m := range w.paths[g.path] {
		if m&at != 0 {
			w.reach(c, g, z)
		}
		if m&once != 0 {
			w.set(c, g.path, m&^once)
		}
	}
	if g.child {
		return
	}
	for path := g.path; path != rootPath && path != ""; {
		path = parentOf(path)
		for c, m := range w.paths[path] {
			if m&recursive != 0 {
				w.reach(c, g, z)
			}
		}
	}
}

// reach tells a connection of a trigger, once.
func (w *watches) reach(c *conn, g *trigger, z zxid.ID) {
	before := c.reached
	c.reached = w.count
	if before == w.count || g.again && before == w.count-1 {
		return
	}
	ok, known := allowed(g.acl, proto.PermRead)
	if ok || !known || c.known {
		c.expected = append(c.expected, due{event{z, g.event, g.path}, !ok})
	}
}

// rearm carries out a setWatches or setWatches2 and returns what it has to tell (spec semantics
// 8.4): for each path an event or a watch.
func (w *watches) rearm(t *tree, c *conn, r *proto.SetWatches2) []event {
	var out []event
	each := func(paths []string, m mark, missed func(n *node) proto.EventType) {
		for _, path := range paths {
			if kind := missed(t.get(path)); kind != 0 {
				out = append(out, event{-1, kind, path})
			} else {
				w.add(c, path, m)
			}
		}
	}
	each(r.Data, dataOnce, func(n *node) proto.EventType {
		switch {
		case n == nil:
			return proto.EventNodeDeleted
		case n.mzxid > r.RelativeZxid:
			return proto.EventNodeDataChanged
		}
		return 0
	})
	each(r.Exist, dataOnce, func(n *node) proto.EventType {
		if n != nil {
			return proto.EventNodeCreated
		}
		return 0
	})
	each(r.Child, childOnce, func(n *node) proto.EventType {
		switch {
		case n == nil:
			return proto.EventNodeDeleted
		case n.pzxid > r.RelativeZxid:
			return proto.EventNodeChildrenChanged
		}
		return 0
	})
	never := func(*node) proto.EventType { return 0 }
	each(r.Persistent, dataAlways|childAlways, never)
	each(r.PersistentRecursive, recursive, never)
	return out
}

// ofType returns the marks that checkWatches and removeWatches mean by a type (spec semantics 8.3):
// what is looked for, and what is removed.
func ofType(t proto.WatcherType) (look, gone mark, ok bool) {
	const all = dataOnce | childOnce | dataAlways | childAlways | recursive
	switch t {
	case proto.WatcherChildren:
		return childOnce, childOnce, true
	case proto.WatcherData:
		return dataOnce, dataOnce, true
	case proto.WatcherAny:
		return all, all, true
	case proto.WatcherPersistent:
		return dataAlways, dataAlways | childAlways, true
	case proto.WatcherPersistentRecursive:
		return recursive, recursive, true
	}
	return 0, 0, false
}

// within reports whether path is root or below it.
func within(path, root string) bool {
	return root == rootPath || path == root || strings.HasPrefix(path, root+"/")
}
