package watch

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/znode"
)

// ID names a connection inside a Registry, from Join to Leave.
type ID uint32

// none ends a list of records.
const none = ^uint32(0)

// mark is a set of tables.
type mark uint8

func markOf(t znode.Table) mark { return 1 << t }

// record is one watch: a connection, a path, and the tables of it that are marked. Free
// records are chained through nextPath.
type record struct {
	path, conn         uint32
	nextPath, prevPath uint32 // the same path, other connections
	nextConn           uint32 // the same connection, other paths
	prevConn           uint32
	marks              mark
}

// watched is one path that somebody watches.
type watched struct {
	name  string
	first uint32 // its records
	// marks counts the records marked in each table, so that a trigger that nobody
	// waits for does not walk the list.
	marks [2]uint32
}

// member is one connection.
type member[C any] struct {
	conn  C
	first uint32 // its records
	data  uint32 // how many of them are marked in the data table
	live  bool
}

// Counts are the sizes of a Registry.
type Counts struct {
	Watches int // marks in both tables; what mntr calls watch_count
	Data    int // marks in the data table alone, as the wchs command counts
	Paths   int // paths with a mark in the data table
	Members int // connections with a mark in the data table
}

// Registry holds the watches of connections of type C. It is safe for concurrent
// use.
type Registry[C any] struct {
	mu      sync.Mutex
	paths   map[string]uint32
	byPath  []watched
	members []member[C]
	records []record
	index   map[uint64]uint32 // path<<32 | conn → record

	freePaths   []uint32
	freeMembers []uint32
	freeRecord  uint32

	counts Counts
}

// New returns an empty registry.
func New[C any]() *Registry[C] {
	return &Registry[C]{
		paths:      make(map[string]uint32),
		index:      make(map[uint64]uint32),
		freeRecord: none,
	}
}

// Join adds a connection without watches.
func (r *Registry[C]) Join(conn C) ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := member[C]{conn: conn, first: none, live: true}
	if n := len(r.freeMembers); n > 0 {
		id := r.freeMembers[n-1]
		r.freeMembers = r.freeMembers[:n-1]
		r.members[id] = m
		return ID(id)
	}
	r.members = append(r.members, m)
	return ID(len(r.members) - 1)
}

// Leave drops a connection and all its watches. Its ID may be given out again.
func (r *Registry[C]) Leave(id ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.members[id]
	if !m.live {
		return
	}
	for m.first != none {
		i := m.first
		r.unmark(i, r.records[i].marks)
	}
	*m = member[C]{first: none}
	r.freeMembers = append(r.freeMembers, uint32(id))
}

// Add marks path in one of the connection's tables. Doing it twice is doing it once. It does
// nothing for a connection that has left.
func (r *Registry[C]) Add(id ID, path string, table znode.Table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.members[id].live {
		return
	}
	p, ok := r.paths[path]
	if !ok {
		p = r.newPath(path)
	}
	key := uint64(p)<<32 | uint64(id)
	i, ok := r.index[key]
	if !ok {
		i = r.newRecord(p, uint32(id))
		r.index[key] = i
	}
	if bit := markOf(table); r.records[i].marks&bit == 0 {
		r.records[i].marks |= bit
		r.count(&r.records[i], table, 1)
	}
}

// Fire removes the marks that the trigger hits and appends the connections that had them
// to dst, in no particular order.
func (r *Registry[C]) Fire(table znode.Table, path string, dst []C) []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.paths[path]
	if !ok {
		return dst
	}
	for i := r.byPath[p].first; i != none && r.byPath[p].marks[table] > 0; {
		rec := &r.records[i]
		next := rec.nextPath
		if rec.marks&markOf(table) != 0 {
			dst = append(dst, r.members[rec.conn].conn)
			r.unmark(i, markOf(table))
		}
		i = next
	}
	return dst
}

// Counts returns the sizes.
func (r *Registry[C]) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// count books one mark more or less in a table.
func (r *Registry[C]) count(rec *record, table znode.Table, by int) {
	w := &r.byPath[rec.path]
	w.marks[table] = uint32(int(w.marks[table]) + by)
	r.counts.Watches += by
	if table != znode.DataTable {
		return
	}
	r.counts.Data += by
	m := &r.members[rec.conn]
	m.data = uint32(int(m.data) + by)
	first := uint32(max(by, 0)) // the count at which somebody appears or disappears
	if w.marks[table] == first {
		r.counts.Paths += by
	}
	if m.data == first {
		r.counts.Members += by
	}
}

// unmark removes marks from a record, and the record with its last one.
func (r *Registry[C]) unmark(i uint32, marks mark) {
	rec := &r.records[i]
	for _, table := range [...]znode.Table{znode.DataTable, znode.ChildTable} {
		if rec.marks&marks&markOf(table) != 0 {
			r.count(rec, table, -1)
		}
	}
	if rec.marks &^= marks; rec.marks == 0 {
		r.release(i)
	}
}

// newPath numbers a path that nobody watched.
func (r *Registry[C]) newPath(path string) uint32 {
	w := watched{name: path, first: none}
	var p uint32
	if n := len(r.freePaths); n > 0 {
		p = r.freePaths[n-1]
		r.freePaths = r.freePaths[:n-1]
		r.byPath[p] = w
	} else {
		p = uint32(len(r.byPath))
		r.byPath = append(r.byPath, w)
	}
	r.paths[path] = p
	return p
}

// newRecord links a record without marks into both its lists.
func (r *Registry[C]) newRecord(path, conn uint32) uint32 {
	rec := record{
		path: path, conn: conn,
		nextPath: r.byPath[path].first, prevPath: none,
		nextConn: r.members[conn].first, prevConn: none,
	}
	i := r.freeRecord
	if i == none {
		i = uint32(len(r.records))
		r.records = append(r.records, rec)
	} else {
		r.freeRecord = r.records[i].nextPath
		r.records[i] = rec
	}
	if rec.nextPath != none {
		r.records[rec.nextPath].prevPath = i
	}
	if rec.nextConn != none {
		r.records[rec.nextConn].prevConn = i
	}
	r.byPath[path].first, r.members[conn].first = i, i
	return i
}

// release unlinks a record and forgets its path if it was the last one there.
func (r *Registry[C]) release(i uint32) {
	rec := r.records[i]
	if rec.prevPath != none {
		r.records[rec.prevPath].nextPath = rec.nextPath
	} else {
		r.byPath[rec.path].first = rec.nextPath
	}
	if rec.nextPath != none {
		r.records[rec.nextPath].prevPath = rec.prevPath
	}
	if rec.prevConn != none {
		r.records[rec.prevConn].nextConn = rec.nextConn
	} else {
		r.members[rec.conn].first = rec.nextConn
	}
	if rec.nextConn != none {
		r.records[rec.nextConn].prevConn = rec.prevConn
	}
	delete(r.index, uint64(rec.path)<<32|uint64(rec.conn))
	r.records[i] = record{nextPath: r.freeRecord}
	r.freeRecord = i
	if w := &r.byPath[rec.path]; w.first == none {
		delete(r.paths, w.name)
		w.name = ""
		r.freePaths = append(r.freePaths, rec.path)
	}
	if len(r.index) == 0 {
		r.shrink()
	}
}

// shrink gives memory back once the last watch is gone: maps and slabs never shrink
// by themselves.
func (r *Registry[C]) shrink() {
	const worthIt = 1 << 10
	if cap(r.records) < worthIt {
		return
	}
	r.paths, r.byPath, r.freePaths = make(map[string]uint32), nil, nil
	r.index, r.records, r.freeRecord = make(map[uint64]uint32), nil, none
}
