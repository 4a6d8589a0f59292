package watch

import "github.com/zabkeeper/zabkeeper/znode"

// Member is a connection in the registry.
type Member[C any] struct {
	ID   ID
	Conn C
}

// Paths appends to dst the paths that somebody watches in the data table, in no particular order,
// a page of at most n of them. The first page begins at 0, the others at what the one before
// returned; behind the last one that is 0.
func (r *Registry[C]) Paths(from uint32, n int, dst []string) ([]string, uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := r.paths.seek(from); i != none; i = r.paths.seek(i + 1) {
		if n == 0 {
			return dst, i
		}
		n-- // for those that are left out too, so that a page is short
		if w := r.paths.at(i); w.first[inData] != none || w.first[inTree] != none {
			dst = append(dst, w.name)
		}
	}
	return dst, 0
}

// Members is Paths for the connections that watch something in the data table.
func (r *Registry[C]) Members(from uint32, n int, dst []Member[C]) ([]Member[C], uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := r.members.seek(from); i != none; i = r.members.seek(i + 1) {
		if n == 0 {
			return dst, i
		}
		n--
		if m := r.members.at(i); m.live && m.data > 0 {
			dst = append(dst, Member[C]{ID: ID(i), Conn: m.conn})
		}
	}
	return dst, 0
}

// WalkPath begins to go through the connections that watch exactly this path in the data table, as
// Walk does. One that watches it in several modes may be found twice.
func (r *Registry[C]) WalkPath(path string) *Cursor {
	return r.begin(&Cursor{table: znode.DataTable, trail: trail{path: path, here: true}, next: none})
}

// WalkMember begins to go through the paths that a connection watches in the data table, for
// StepPaths, and returns the connection that has the ID by now. The caller must step to the
// end.
func (r *Registry[C]) WalkMember(id ID) (*Cursor, C) {
	c := r.begin(&Cursor{byConn: true, next: none})
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.members.has(uint32(id)) {
		var nobody C
		return c, nobody
	}
	m := r.members.at(uint32(id))
	c.next = m.first
	return c, m.conn
}

// StepPaths appends up to n paths to dst, of which one may come twice. It returns false at the
// end of the walk.
func (r *Registry[C]) StepPaths(c *Cursor, n int, dst []string) ([]string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		if c.next == none {
			r.endWalk(c)
			return dst, false
		}
		rec := r.records.at(c.next)
		if rec.kind() != inChild {
			dst = append(dst, r.paths.at(rec.path).name)
		}
		c.next = rec.nextConn
	}
	return dst, true
}
