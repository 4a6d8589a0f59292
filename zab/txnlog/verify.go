package txnlog

import (
	"context"
	"errors"

	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// verifyChunk is how much Verify reads between two looks at its context.
const verifyChunk = 1 << 20

// Verify reads the whole log and checks every link and every hash, from the base to the
// end as of the call. It returns ErrDamaged with the place, or ctx's error. It may run
// beside everything else and starts again when the log is cut meanwhile.
func (l *Log) Verify(ctx context.Context) error {
	return l.verifyAll(ctx, func(int) error { return nil })
}

// Scrub looks for damage that nobody has met yet, while everything else goes on: it has what stands in the
// write-ahead log alone written to tables, so that no copy of it lies on the disk unread, compares all blocks
// of all tables with their checksums (disk.Guard.Scrub), and then does what Verify does. Entries are kept from
// being trimmed as long as that reads.
//
// pace is called after each piece with its length; it waits for as long as the next one has to, and ends Scrub
// with its error, as ctx does.
func (l *Log) Scrub(ctx context.Context, pace func(bytes int) error) error {
	flushed, err := l.flush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-ctx.Done():
		return ctx.Err()
	}
	err = l.guard.Scrub(l.cfg.Dir, disk.Deleting(l.db), pace)
	if _, kind := disk.Judge(err); kind != nil {
		return fault("scrub", l.cfg.Dir, err)
	} else if err != nil {
		return err
	}
	return l.verifyAll(ctx, pace)
}

// flush has the memtable written, unless the disk that its table would go to lags behind, and returns what is
// closed when that is done.
func (l *Log) flush() (<-chan struct{}, error) {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	if err := l.usable(); err != nil {
		return nil, err
	}
	if l.away.Load() {
		nothing := make(chan struct{})
		close(nothing)
		return nothing, nil
	}
	flushed, err := l.db.AsyncFlush()
	if err != nil {
		return nil, l.fail(fault("flush", l.cfg.Dir, err))
	}
	return flushed, nil
}

func (l *Log) verifyAll(ctx context.Context, pace func(int) error) error {
	for {
		l.mu.Lock()
		base, gen, end := l.now.base, l.now.gen, l.now.last()
		l.mu.Unlock()
		release := l.Pin(base.ID)
		err := l.verify(ctx, base, end, pace)
		release()
		if err == nil || ctx.Err() != nil || !l.wasCut(gen, base.ID, end.ID) {
			return err
		}
	}
}

// wasCut reports whether some of (base, end] was removed on purpose.
func (l *Log) wasCut(gen uint32, base, end zxid.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return gen != l.now.gen || base < l.now.base.ID || !l.now.holds(end)
}

func (l *Log) verify(ctx context.Context, last, end zxid.Point, pace func(int) error) error {
	for last.ID < end.ID {
		if err := ctx.Err(); err != nil {
			return err
		}
		iter, at, err := l.iterate(last.ID, end.ID)
		switch {
		case errors.Is(err, ErrNoPoint), err == nil && iter == nil:
			return damaged("verify", l.cfg.Dir, "the log stops at %v, it should end at %v", last, end)
		case err != nil:
			return err
		case at != last:
			return errors.Join(damaged("verify", l.cfg.Dir, "%v reads as %v", last, at), l.endRead(iter))
		}
		r := reader{maxBytes: verifyChunk}
		err = r.read(iter, last)
		if err = errors.Join(err, l.endRead(iter)); err != nil {
			return l.unreadable(err)
		}
		last = r.entries[len(r.entries)-1].Point()
		if err := pace(r.bytes); err != nil {
			return err
		}
	}
	if last != end {
		return damaged("verify", l.cfg.Dir, "the log ends at %v, expected %v", last, end)
	}
	return nil
}
