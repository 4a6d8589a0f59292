package watch

const (
	pageBits = 9
	pageLen  = 1 << pageBits
	// none is no entry: the end of a list.
	none = ^uint32(0)
)

// slab is a list of T in pages: it grows without moving what it has, so that neither an
// append nor the memory that it takes ever jumps by more than a page.
type slab[T any] struct {
	pages []*[pageLen]T
	n     uint32
}

func (s *slab[T]) at(i uint32) *T { return &s.pages[i>>pageBits][i&(pageLen-1)] }

// push appends a zero T and returns its index.
func (s *slab[T]) push() uint32 {
	i := s.n
	if int(i>>pageBits) == len(s.pages) {
		s.pages = append(s.pages, new([pageLen]T))
	}
	s.n++
	return i
}

// pop drops the last entry; one empty page is kept for the next push.
func (s *slab[T]) pop() {
	s.n--
	var zero T
	*s.at(s.n) = zero
	if last := len(s.pages) - 1; last > int((s.n+pageLen-1)>>pageBits) {
		s.pages[last] = nil
		s.pages = s.pages[:last]
	}
}

// chained are entries that an index can find: each has a hash that does not change, and
// room for a link to the next one of its bucket.
type chained interface {
	hash(i uint32) uint32
	link(i uint32) *uint32
}

// index finds entries by their hash. It is a linear hash table: its buckets are split and
// merged one at a time, one per entry, so that no insertion has to pay for a rehash of
// all (Litwin, VLDB 1980).
type index struct {
	entries chained
	heads   slab[uint32]
	// mask is the number of buckets, rounded up to a power of two, minus one.
	mask uint32
	n    uint32
}

// bucket returns where entries of hash h are. Buckets above the last one are not
// split off yet: what belongs into them is still in their lower half.
func (x *index) bucket(h uint32) uint32 {
	b := h & x.mask
	if b >= x.heads.n {
		b &= x.mask >> 1
	}
	return b
}

// first returns the first entry of the bucket of hash h; the others follow by link.
func (x *index) first(h uint32) uint32 {
	if x.n == 0 {
		return none
	}
	return *x.heads.at(x.bucket(h))
}

func (x *index) insert(i uint32) {
	if x.n >= x.heads.n {
		x.split()
	}
	x.n++
	x.put(x.heads.at(x.bucket(x.entries.hash(i))), i)
}

func (x *index) put(head *uint32, i uint32) {
	*x.entries.link(i) = *head
	*head = i
}

// remove takes out an entry that is in.
func (x *index) remove(i uint32) {
	at := x.heads.at(x.bucket(x.entries.hash(i)))
	for *at != i {
		at = x.entries.link(*at)
	}
	*at = *x.entries.link(i)
	x.n--
	for x.heads.n > 2*x.n+pageLen {
		x.merge()
	}
}

// split adds a bucket and moves there what belongs into it.
func (x *index) split() {
	fresh := x.heads.push()
	if fresh > x.mask {
		x.mask = x.mask<<1 | 1
	}
	*x.heads.at(fresh) = none
	if fresh == 0 {
		return
	}
	old := x.heads.at(fresh & (x.mask >> 1))
	i := *old
	*old = none
	for i != none {
		next := *x.entries.link(i)
		x.put(x.heads.at(x.bucket(x.entries.hash(i))), i)
		i = next
	}
}

// merge takes the last bucket back into the one that it was split from.
func (x *index) merge() {
	last := x.heads.n - 1
	into := x.heads.at(last & (x.mask >> 1))
	for i := *x.heads.at(last); i != none; {
		next := *x.entries.link(i)
		x.put(into, i)
		i = next
	}
	x.heads.pop()
	if last-1 <= x.mask>>1 {
		x.mask >>= 1
	}
}
