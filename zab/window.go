package zab

import "github.com/zabkeeper/zabkeeper/zab/zxid"

// window is the recent end of a leader's history: everything after start. It serves three
// readers at once: what is outstanding (not committed), what is committed and not
// yet durable here, and what a learner lacks that joins now. One structure cannot
// disagree with itself about what comes after what (hazards H-14, H-59).
//
// All its entries are of the leader's own epoch, so that their counters count them
// and finding one is arithmetic. The slab is append-only: an element that was written
// never changes, so sub-slices are handed out to messages and to the log as they are.
// When the slab is full the live part moves to a new one.
type window struct {
	start zxid.Point // the point before the first live entry
	slab  []Entry
	head  int // slab[head:] is live
	bytes int // cost of the live entries
	dead  int // cost of slab[:head], which the slab keeps from the collector
}

// last returns the end of the history.
func (w *window) last() zxid.Point {
	if w.head == len(w.slab) {
		return w.start
	}
	return w.slab[len(w.slab)-1].Point()
}

// len returns the number of live entries.
func (w *window) len() int { return len(w.slab) - w.head }

// grow makes room for n more entries without writing to what was handed out.
func (w *window) grow(n int) {
	if len(w.slab)+n <= cap(w.slab) {
		return
	}
	w.move(max(64, 2*(w.len()+n)))
}

// move puts the live entries into a new slab.
func (w *window) move(capacity int) {
	slab := make([]Entry, w.len(), capacity)
	copy(slab, w.slab[w.head:])
	w.slab, w.head, w.dead = slab, 0, 0
}

// push appends an entry that follows last. Room must have been made.
func (w *window) push(e Entry) {
	w.slab = append(w.slab, e)
	w.bytes += e.cost()
}

// index returns the position in the slab of the first entry after id.
func (w *window) index(id zxid.ID) int {
	if id <= w.start.ID || w.head == len(w.slab) {
		return w.head
	}
	first := w.slab[w.head].ID
	if id < first {
		return w.head
	}
	return min(w.head+int(id-first)+1, len(w.slab))
}

// between returns the entries after one zxid up to and with another. The slice
// stays valid and unchanged for ever.
func (w *window) between(after, upTo zxid.ID) []Entry {
	i, j := w.index(after), w.index(upTo)
	if i >= j {
		return nil
	}
	return w.slab[i:j:j]
}

// point returns the point at id if the window covers it.
func (w *window) point(id zxid.ID) (zxid.Point, bool) {
	if id == w.start.ID {
		return w.start, true
	}
	if i := w.index(id); id > w.start.ID && i > w.head && w.slab[i-1].ID == id {
		return w.slab[i-1].Point(), true
	}
	return zxid.Point{}, false
}

// trim forgets the oldest entries while there are too many, but none above floor.
func (w *window) trim(limits *Limits, floor zxid.ID) {
	for w.head < len(w.slab) && (w.len() > limits.WindowEntries || w.bytes > limits.WindowBytes) {
		e := w.slab[w.head]
		if e.ID > floor {
			break
		}
		w.start = e.Point()
		w.bytes -= e.cost()
		w.dead += e.cost()
		w.head++
	}
	if w.dead > limits.WindowBytes {
		w.move(max(64, 2*w.len()))
	}
}
