package watch

import (
	"strings"

	"github.com/zabkeeper/zabkeeper/znode"
)

// trail is the sequence of lists that a trigger reaches: its table's list at its path, and
// in the data table the recursive ones there and at every ancestor.
type trail struct {
	path string // of the list
	kind uint32
	// begun is set once next has been called.
	begun bool
	// here keeps the trail from the ancestors.
	here bool
}

// next moves to the next list, the first one at first. It returns false behind the last,
// or when all that is left are recursive ones and there are none anywhere.
func (t *trail) next(table znode.Table, recursive bool) bool {
	switch {
	case !t.begun:
		t.begun, t.kind = true, inData
		if table == znode.ChildTable {
			t.kind = inChild
		}
		return true
	case t.kind == inChild || !recursive:
		return false
	case t.kind == inData:
		t.kind = inTree
		return true
	case t.here:
		return false
	}
	i := strings.LastIndexByte(t.path, '/')
	if i < 0 || len(t.path) == 1 {
		return false
	}
	t.path = t.path[:max(i, 1)]
	return true
}

// Fire appends the connections that a trigger reaches to dst, each once and in no
// particular order, and removes the one-shot watches that it hits. If they are
// more than limit it does nothing, and returns false.
func (r *Registry[C]) Fire(table znode.Table, path string, limit int, dst []C) ([]C, bool) {
	if r.size.Load() == 0 {
		return dst, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.search(table, path, limit) {
		return dst, false
	}
	for _, i := range r.found {
		rec := r.records.at(i)
		dst = append(dst, r.members.at(rec.conn()).conn)
		if rec.kind() != inTree {
			r.unmark(i, standard)
		}
	}
	return dst, true
}

// Watchers is Fire without removing anything.
func (r *Registry[C]) Watchers(table znode.Table, path string, limit int, dst []C) ([]C, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.search(table, path, limit) {
		return dst, false
	}
	for _, i := range r.found {
		dst = append(dst, r.members.at(r.records.at(i).conn()).conn)
	}
	return dst, true
}

// search finds one record of each connection that a trigger reaches, the one that may have
// to be removed if there is such a one. It gives up, false, when they are more than limit.
func (r *Registry[C]) search(table znode.Table, path string, limit int) bool {
	r.found = r.found[:0]
	r.searches++
	for t := (trail{path: path}); t.next(table, r.recursive > 0); {
		p := r.path(t.path)
		if p == none {
			continue
		}
		for i := r.paths.at(p).first[t.kind]; i != none; i = r.records.at(i).nextPath {
			m := r.members.at(r.records.at(i).conn())
			if m.found == r.searches {
				continue
			}
			m.found = r.searches
			if len(r.found) >= limit {
				return false
			}
			r.found = append(r.found, i)
		}
	}
	return true
}

// Hit is Fire for one connection: it reports whether the trigger reaches it, and removes
// its one-shot watch if so. The others are not touched.
func (r *Registry[C]) Hit(id ID, table znode.Table, path string) bool {
	if r.size.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := (trail{path: path}); t.next(table, r.recursive > 0); {
		p := r.path(t.path)
		if p == none {
			continue
		}
		if i := r.record(p, key(uint32(id), t.kind)); i != none {
			if t.kind != inTree {
				r.unmark(i, standard)
			}
			return true
		}
	}
	return false
}

// Cursor is a place in the sequence of those that a trigger reaches, or of what a connection
// watches. It belongs to one goroutine.
type Cursor struct {
	table znode.Table
	trail trail
	next  uint32 // record; guarded by the registry's lock
	// byConn follows the records of a connection, not those of a path.
	byConn bool
}

// leave moves on from a record that is about to go. The caller holds the registry's lock.
func (c *Cursor) leave(rec *record) {
	if c.next = rec.nextPath; c.byConn {
		c.next = rec.nextConn
	}
}

// Walk begins to go through the connections that a trigger reaches, in steps, while others
// come and go. Every connection that is reached now, and still is when the walk passes, is
// returned by Step at least once. The caller must step to the end.
func (r *Registry[C]) Walk(table znode.Table, path string) *Cursor {
	return r.begin(&Cursor{table: table, trail: trail{path: path}, next: none})
}

// begin lets a cursor follow what comes and goes.
func (r *Registry[C]) begin(c *Cursor) *Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursors = append(r.cursors, c)
	return c
}

// Step appends up to n connections to dst. It returns false at the end of the walk.
func (r *Registry[C]) Step(c *Cursor, n int, dst []C) ([]C, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		if c.next != none {
			rec := r.records.at(c.next)
			dst = append(dst, r.members.at(rec.conn()).conn)
			c.next = rec.nextPath
			continue
		}
		if !c.trail.next(c.table, r.recursive > 0) {
			r.endWalk(c)
			return dst, false
		}
		if p := r.path(c.trail.path); p != none {
			c.next = r.paths.at(p).first[c.trail.kind]
		}
	}
	return dst, true
}

func (r *Registry[C]) endWalk(c *Cursor) {
	for i, other := range r.cursors {
		if other == c {
			r.cursors[i] = r.cursors[len(r.cursors)-1]
			r.cursors = r.cursors[:len(r.cursors)-1]
			return
		}
	}
}
