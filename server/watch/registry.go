package watch

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// ID names a connection inside a Registry, from Join to Leave.
type ID uint32

// Mode is how a connection watches a path (spec semantics 8.1).
type Mode uint8

// The modes.
const (
	// Data is the one-shot watch of exists and getData.
	Data Mode = iota
	// Child is the one-shot watch of getChildren.
	Child
	// Persistent watches in both tables and stays when it fires.
	Persistent
	// Recursive watches the data table at the path and below it, and stays.
	Recursive
	// Any is every mode, for Has and Remove.
	Any
)

// Records are kept in lists of three kinds, so that a trigger walks what it reaches and
// nothing else.
const (
	inData uint32 = iota
	inChild
	inTree
	kinds
)

// Marks of a record.
const (
	standard uint32 = 1 << iota
	persistent
	allMarks = standard | persistent
)

// marks returns what a mode means in each kind of list.
func (m Mode) marks() [kinds]uint32 {
	switch m {
	case Data:
		return [kinds]uint32{inData: standard}
	case Child:
		return [kinds]uint32{inChild: standard}
	case Persistent:
		return [kinds]uint32{inData: persistent, inChild: persistent}
	case Recursive:
		return [kinds]uint32{inTree: persistent}
	case Any:
		return [kinds]uint32{allMarks, allMarks, allMarks}
	}
	return [kinds]uint32{}
}

// record is one watch: a connection, a path, a kind, and the marks there.
type record struct {
	path uint32
	// owner holds the connection, the kind and the marks, from the top in 28, 2 and 2 bits.
	owner              uint32
	nextPath, prevPath uint32 // the same path and kind, other connections
	nextConn, prevConn uint32 // the same connection, other paths and kinds
	hashLink           uint32
}

// recordBytes is what a record is taken for beside the length of its path: itself, the path's
// entry, and both of their places in an index, rounded up.
const recordBytes = 80

// key is owner without the marks.
func key(conn, kind uint32) uint32 { return conn<<2 | kind }

func (r *record) key() uint32   { return r.owner >> 2 }
func (r *record) conn() uint32  { return r.owner >> 4 }
func (r *record) kind() uint32  { return r.owner >> 2 & 3 }
func (r *record) marks() uint32 { return r.owner & allMarks }

// records are found by path and key.
type records struct{ pool[record] }

func (s *records) hash(i uint32) uint32 {
	r := s.at(i)
	return hashRecord(r.path, r.key())
}

func (s *records) link(i uint32) *uint32 { return &s.at(i).hashLink }

// hashRecord mixes two numbers that nobody outside chooses.
func hashRecord(path, key uint32) uint32 {
	h := (uint64(path)<<32 | uint64(key)) * 0x9e3779b97f4a7c15
	return uint32((h ^ h>>29) >> 32)
}

// watched is one path that somebody watches.
type watched struct {
	name     string
	first    [kinds]uint32 // its records
	hashLink uint32
}

// paths are found by name.
type paths struct {
	pool[watched]
	seed maphash.Seed // clients choose the names
}

func (s *paths) hash(i uint32) uint32        { return s.hashName(s.at(i).name) }
func (s *paths) link(i uint32) *uint32       { return &s.at(i).hashLink }
func (s *paths) hashName(name string) uint32 { return uint32(maphash.String(s.seed, name)) }

// member is one connection.
type member[C any] struct {
	conn  C
	found uint64 // the last search that found it
	first uint32 // its records
	data  uint32 // the paths it watches in the data table
	live  bool
	bytes int // what its records take, see recordBytes
}

// Counts are the sizes of a Registry. A connection that watches a path in one table in
// several modes counts there once, as in ZooKeeper.
type Counts struct {
	Watches int // both tables; what mntr calls watch_count
	Data    int // the data table alone, as the wchs command counts
	Paths   int // paths watched in the data table
	Members int // connections that watch something in the data table
}

// Registry holds the watches of connections of type C. It is safe for concurrent
// use.
type Registry[C any] struct {
	// size is the number of records, to be read without the lock.
	size atomic.Int64

	mu      sync.Mutex
	members pool[member[C]]
	paths   paths
	records records

	pathIndex   index
	recordIndex index

	recursive int // records of the recursive kind
	cursors   []*Cursor
	found     []uint32 // by the last search
	searches  uint64

	counts Counts
}

// New returns an empty registry.
func New[C any]() *Registry[C] {
	r := new(Registry[C])
	r.paths.seed = maphash.MakeSeed()
	r.reset()
	return r
}

// reset forgets all paths and records.
func (r *Registry[C]) reset() {
	r.paths.pool, r.records.pool = pool[watched]{}, pool[record]{}
	r.pathIndex, r.recordIndex = index{entries: &r.paths}, index{entries: &r.records}
}

// Join adds a connection without watches.
func (r *Registry[C]) Join(conn C) ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.members.take()
	*r.members.at(id) = member[C]{conn: conn, first: none, live: true}
	return ID(id)
}

// leaveStep is the number of watches that Leave drops before it lets others in.
const leaveStep = 256

// Leave drops a connection and all its watches; its ID may be given out again when it
// returns. It takes time in proportion to the watches, but keeps the lock for short
// moments only.
func (r *Registry[C]) Leave(id ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.member(id)
	if m == nil {
		return
	}
	m.live = false
	for n := 1; m.first != none; n++ {
		r.release(m.first)
		if n%leaveStep == 0 {
			r.mu.Unlock()
			r.mu.Lock()
		}
	}
	r.members.drop(uint32(id))
}

// member returns a connection, nil if it has left or is about to.
func (r *Registry[C]) member(id ID) *member[C] {
	if !r.members.has(uint32(id)) {
		return nil
	}
	if m := r.members.at(uint32(id)); m.live {
		return m
	}
	return nil
}

// Add lets a connection watch a path. Doing it twice is doing it once. It does
// nothing for a connection that has left. It returns the bytes that the connection's watches
// take: of each path its own length, whoever else watches it, and something for its record in
// each of the lists that it is in.
func (r *Registry[C]) Add(id ID, path string, mode Mode) (bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.member(id)
	if m == nil {
		return 0
	}
	r.add(id, path, mode)
	return m.bytes
}

// AddAll is Add for several paths, which takes the lock once. The registry keeps the strings, but
// not the slice.
func (r *Registry[C]) AddAll(id ID, paths []string, mode Mode) (bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members.at(uint32(id))
	if !m.live {
		return 0
	}
	for _, path := range paths {
		r.add(id, path, mode)
	}
	return m.bytes
}

// add is Add for a connection that lives.
func (r *Registry[C]) add(id ID, path string, mode Mode) {
	p := r.path(path)
	if p == none {
		p = r.newPath(path)
	}
	for kind, marks := range mode.marks() {
		if marks == 0 {
			continue
		}
		k := key(uint32(id), uint32(kind))
		i := r.record(p, k)
		if i == none {
			i = r.newRecord(p, k)
		}
		r.records.at(i).owner |= marks
	}
}

// Has reports whether the connection watches exactly this path in this mode.
func (r *Registry[C]) Has(id ID, path string, mode Mode) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.path(path); p != none {
		for kind, marks := range mode.marks() {
			if i := r.record(p, key(uint32(id), uint32(kind))); i != none && r.records.at(i).owner&marks != 0 {
				return true
			}
		}
	}
	return false
}

// Remove ends what Has looks for and reports whether there was something to end.
func (r *Registry[C]) Remove(id ID, path string, mode Mode) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	removed := false
	for kind, marks := range mode.marks() {
		p := r.path(path) // which the last record may have taken along
		if p == none {
			break
		}
		if i := r.record(p, key(uint32(id), uint32(kind))); i != none && r.records.at(i).owner&marks != 0 {
			r.unmark(i, marks)
			removed = true
		}
	}
	return removed
}

// Counts returns the sizes.
func (r *Registry[C]) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}
