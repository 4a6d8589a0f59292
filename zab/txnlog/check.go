package txnlog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// tailCheck is how many entries at the end of the log Open reads and verifies.
const tailCheck = 1024

// checkLog builds the runs with two seeks per epoch, checks how the epochs join, reads the
// tail, and checks the log against the epochs (R1, R3 of spec zab-and-election 14.5).
// Whoever wants every entry checked calls Verify.
func (l *Log) checkLog() error {
	iter, err := l.db.NewIter(&pebble.IterOptions{
		LowerBound: logKey(l.now.gen, l.now.base.ID+1), UpperBound: logKey(l.now.gen+1, 0),
	})
	if err != nil {
		return fault("read", l.cfg.Dir, err)
	}
	err = l.findRuns(iter)
	if err == nil {
		err = l.checkTail(iter)
	}
	if err = errors.Join(err, iter.Error()); err != nil {
		return errors.Join(l.unreadable(err), iter.Close())
	}
	if err := iter.Close(); err != nil {
		return fault("read", l.cfg.Dir, err)
	}
	s := &l.now
	if last := s.last(); last.ID.Epoch() > s.current || s.current > s.promise.Epoch {
		return &Error{
			Kind: ErrEpochs, Op: "open", Dir: l.cfg.Dir, Remedy: remedyDamaged,
			Detail: fmt.Sprintf("log ends at %v, current epoch %d, accepted epoch %d", last.ID, s.current, s.promise.Epoch),
		}
	}
	if s.committed > s.last().ID {
		return damaged("open", l.cfg.Dir, "log ends at %v, committed was %v", s.last().ID, s.committed)
	}
	return nil
}

// findRuns walks from the first entry of an epoch to its last and on to the next epoch's.
func (l *Log) findRuns(iter *pebble.Iterator) error {
	last := l.now.base
	var end [logKeyLen]byte
	for ok := iter.First(); ok; ok = iter.Next() {
		first, err := entryAt(iter)
		if err != nil {
			return err
		}
		if err := first.Check(last); err != nil {
			return err
		}
		epoch := first.ID.Epoch()
		putLogKey(end[:], l.now.gen, zxid.Make(epoch+1, 0))
		if !iter.SeekLT(end[:]) {
			return fmt.Errorf("%w: epoch %d has no end", errRecord, epoch)
		}
		e, err := entryAt(iter)
		if err != nil {
			return err
		}
		last = e.Point()
		l.now.runs = append(l.now.runs, zab.Run{Epoch: epoch, Last: e.ID.Counter(), Hash: e.Hash})
	}
	return nil
}

// checkTail verifies the links and hashes of the last entries.
func (l *Log) checkTail(iter *pebble.Iterator) error {
	ok := iter.Last()
	for n := 0; ok && n < tailCheck; n++ {
		ok = iter.Prev()
	}
	last := l.now.base
	if ok { // one more entry in front gives the hash to start from
		e, err := entryAt(iter)
		if err != nil {
			return err
		}
		last, ok = e.Point(), iter.Next()
	} else {
		ok = iter.First()
	}
	for ; ok; ok = iter.Next() {
		e, err := entryAt(iter)
		if err != nil {
			return err
		}
		if err := e.Check(last); err != nil {
			return err
		}
		last = e.Point()
	}
	return nil
}

// dropLeavings removes entries that are not of the log: staged by an unfinished
// synchronisation, or of an older generation (R5, hazard H-92).
func (l *Log) dropLeavings() error {
	gen := l.now.gen
	for _, span := range [][2][]byte{
		{logKey(0, 0), logKey(gen, l.now.base.ID+1)},
		{logKey(gen+1, 0), {prefixLog + 1}},
	} {
		iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: span[0], UpperBound: span[1]})
		if err != nil {
			return fault("read", l.cfg.Dir, err)
		}
		found := iter.First()
		if err := iter.Close(); err != nil {
			return fault("read", l.cfg.Dir, err)
		}
		if !found {
			continue
		}
		if err := l.batch.DeleteRange(span[0], span[1], nil); err != nil {
			return fault("write", l.cfg.Dir, err)
		}
		if err := l.commit(pebble.Sync); err != nil {
			return err
		}
	}
	return nil
}
