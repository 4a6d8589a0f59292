package txnlog

import (
	"context"
	"errors"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// verifyChunk is how much Verify reads between two looks at its context.
const verifyChunk = 1 << 20

// Verify reads the whole log and checks every link and every hash, from the base to the
// end as of the call. It returns ErrDamaged with the place, or ctx's error. It may run
// beside everything else and starts again when the log is cut meanwhile.
func (l *Log) Verify(ctx context.Context) error {
	for {
		l.mu.Lock()
		base, gen, end := l.now.base, l.now.gen, l.now.last()
		l.mu.Unlock()
		release := l.Pin(base.ID)
		err := l.verify(ctx, base, end)
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

func (l *Log) verify(ctx context.Context, last, end zxid.Point) error {
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
	}
	if last != end {
		return damaged("verify", l.cfg.Dir, "the log ends at %v, expected %v", last, end)
	}
	return nil
}
