package txnlog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Arena sizes of Entries: data of many entries shares few allocations.
const (
	minArena = 4 << 10
	maxArena = 256 << 10

	typicalEntry = 128 // bytes
)

// Entries reads the entries (after, upTo] in order, until their data exceeds maxBytes;
// at least one if there is any. Entries that were written and are not yet synced are
// among them. after must be held (ErrNoPoint otherwise) and not below the base
// (ErrTrimmed). Every entry is checked against the running hash; one that does not
// fit is fatal.
func (l *Log) Entries(after, upTo zxid.ID, maxBytes int) ([]zab.Entry, error) {
	if upTo <= after {
		return nil, nil
	}
	iter, last, err := l.iterate(after, upTo)
	if err != nil || iter == nil {
		return nil, err
	}
	r := reader{maxBytes: maxBytes}
	if after.Epoch() == upTo.Epoch() { // the usual case: the room is known, or nearly
		r.entries = make([]zab.Entry, 0, min(int64(upTo-after), int64(maxBytes/typicalEntry)+1))
	}
	err = r.read(iter, last)
	if err = errors.Join(err, l.endRead(iter)); err != nil {
		return nil, l.fail(l.unreadable(err))
	}
	return r.entries, nil
}

// unreadable wraps what went wrong while reading stored entries.
func (l *Log) unreadable(err error) error {
	if errors.Is(err, errNewer) {
		return &Error{Kind: ErrFormat, Op: "read", Dir: l.cfg.Dir, Err: err, Remedy: remedyFormat}
	}
	if errors.Is(err, zab.ErrGap) || errors.Is(err, zab.ErrDiverged) || errors.Is(err, errRecord) {
		return damaged("read", l.cfg.Dir, "%v", err)
	}
	return fault("read", l.cfg.Dir, err)
}

// iterate opens an iterator that stands on the first entry behind after; it is nil if
// there is none. last is the point at after. The iterator is closed by endRead.
func (l *Log) iterate(after, upTo zxid.ID) (iter *pebble.Iterator, last zxid.Point, err error) {
	if err := l.usable(); err != nil {
		return nil, last, err
	}
	l.view.RLock()
	defer l.view.RUnlock()
	if l.closed {
		return nil, last, ErrClosed
	}
	l.mu.Lock()
	base, gen := l.now.base, l.now.gen
	l.mu.Unlock()
	if after < base.ID {
		return nil, last, fmt.Errorf("%w: %v is below %v", ErrTrimmed, after, base.ID)
	}
	lower := logKey(gen, max(after, base.ID+1))
	iter, err = l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: logKey(gen, upTo+1)})
	if err != nil {
		return nil, last, l.fail(fault("read", l.cfg.Dir, err))
	}
	l.readers.Add(1)
	found := iter.First()
	if after == base.ID {
		last = base
	} else if last, err = pointAt(iter, found, after); err == nil {
		found = iter.Next()
	}
	if err == nil && found {
		return iter, last, nil
	}
	if ioErr := l.endRead(iter); ioErr != nil {
		err = l.fail(fault("read", l.cfg.Dir, ioErr))
	}
	return nil, last, err
}

// endRead closes an iterator of iterate.
func (l *Log) endRead(iter *pebble.Iterator) error {
	defer l.readers.Done()
	return iter.Close()
}

// pointAt returns the point of the entry on which the iterator stands, which must be id.
func pointAt(iter *pebble.Iterator, found bool, id zxid.ID) (zxid.Point, error) {
	if found {
		e, err := entryAt(iter)
		if err != nil {
			return zxid.Point{}, err
		}
		if e.ID == id {
			return e.Point(), nil
		}
	}
	return zxid.Point{}, fmt.Errorf("%w: %v", ErrNoPoint, id)
}

// entryAt decodes the entry on which the iterator stands. Data is valid until it moves.
func entryAt(iter *pebble.Iterator) (zab.Entry, error) {
	_, id, err := parseLogKey(iter.Key())
	if err != nil {
		return zab.Entry{}, err
	}
	v, err := iter.ValueAndErr()
	if err != nil {
		return zab.Entry{}, err
	}
	return decodeEntry(id, v)
}

// reader collects entries.
type reader struct {
	maxBytes int
	bytes    int
	size     int // of the next arena
	arena    []byte
	entries  []zab.Entry
}

func (r *reader) read(iter *pebble.Iterator, last zxid.Point) error {
	for ok := true; ok && (len(r.entries) == 0 || r.bytes < r.maxBytes); ok = iter.Next() {
		e, err := entryAt(iter)
		if err != nil {
			return err
		}
		if err := e.Check(last); err != nil {
			return err
		}
		last = e.Point()
		e.Data = r.keep(e.Data)
		r.bytes += len(e.Data)
		r.entries = append(r.entries, e)
	}
	return iter.Error()
}

// keep copies data into an arena.
func (r *reader) keep(data []byte) []byte {
	n := len(data)
	if n > cap(r.arena)-len(r.arena) {
		r.size = min(max(2*r.size, minArena), maxArena)
		r.arena = make([]byte, 0, max(n, r.size))
	}
	at := len(r.arena)
	r.arena = append(r.arena, data...)
	return r.arena[at : at+n : at+n]
}

// locate checks that the log passes through p. Callers hold mu; everything submitted has
// been written.
func (l *Log) locate(p zxid.Point) error {
	if !l.next.holds(p.ID) {
		return fmt.Errorf("%w: %v", ErrNoPoint, p)
	}
	got := l.next.base
	if p.ID != got.ID {
		v, closer, err := l.db.Get(logKey(l.next.gen, p.ID))
		if err != nil {
			return l.fail(fault("read", l.cfg.Dir, err))
		}
		e, err := decodeEntry(p.ID, v)
		if err = errors.Join(err, closer.Close()); err != nil {
			return l.fail(l.unreadable(err))
		}
		got = e.Point()
	}
	if got != p {
		return fmt.Errorf("%w: %v, held is %v", ErrNoPoint, p, got)
	}
	return nil
}

// Generation names the present history for Trim; it changes when a snapshot is installed. ok is
// false while the tree has perhaps not taken that snapshot yet: there is nothing to trim then.
func (l *Log) Generation() (generation uint32, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.gen, l.now.intent == nil
}

// Trim removes entries up to and with upTo, which must be applied and flushed in the tree
// store. It works in coarse steps, at least Config.TrimStep entries and a quarter
// of the log at once, and spares what is pinned: calling it often is cheap, and a call that
// is not worth its work does nothing. It is not synced: after a crash the entries may
// be back.
//
// generation is what Generation said before the tree was asked how far it is flushed. If the
// history was replaced since, that answer was about another tree, and nothing is removed.
func (l *Log) Trim(generation uint32, upTo zxid.ID) error {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.mu.Lock()
	gen := l.now.gen
	if gen != generation || l.now.intent != nil {
		l.mu.Unlock()
		return nil
	}
	for _, p := range l.pins {
		upTo = min(upTo, *p)
	}
	upTo = min(upTo, l.now.last().ID, l.next.last().ID)
	n, held := l.now.entries(upTo), l.now.entries(l.now.last().ID)
	idle := gen == l.next.gen && upTo > l.now.base.ID && n >= max(l.cfg.TrimStep, held/4)
	l.mu.Unlock()
	if !idle {
		return nil
	}
	to, err := l.heldAtOrBelow(gen, upTo)
	if err != nil {
		return l.fail(l.unreadable(err))
	}
	return l.trimTo(gen, to)
}

// heldAtOrBelow finds the last entry up to upTo; there is one.
func (l *Log) heldAtOrBelow(gen uint32, upTo zxid.ID) (p zxid.Point, err error) {
	iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: logKey(gen, 0), UpperBound: logKey(gen, upTo+1)})
	if err != nil {
		return p, err
	}
	if !iter.Last() {
		return p, errors.Join(fmt.Errorf("%w: no entry up to %v", errRecord, upTo), iter.Close())
	}
	e, err := entryAt(iter)
	return e.Point(), errors.Join(err, iter.Close())
}

// trimTo makes the held point to the base. Callers hold commitMu.
func (l *Log) trimTo(gen uint32, to zxid.Point) error {
	l.view.Lock()
	defer l.view.Unlock()
	l.mu.Lock()
	h := l.now.history
	l.mu.Unlock()
	h.base, h.committed = to, max(h.committed, to.ID)
	err := l.batch.DeleteRange(logKey(0, 0), logKey(gen, to.ID+1), nil)
	if err = errors.Join(err, l.batch.Set(kindHistory.key(), h.encode(), nil)); err != nil {
		return l.fail(fault("trim", l.cfg.Dir, err))
	}
	if err := l.commit(pebble.NoSync); err != nil {
		return err
	}
	l.mu.Lock()
	l.now.trim(to)
	l.next.trim(to)
	l.mu.Unlock()
	return nil
}
