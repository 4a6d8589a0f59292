package txnlog

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// maxBatch is where a group of plain appends is cut into several Pebble batches, far
// below the size that makes Pebble rotate its memtable for a single batch.
const maxBatch = 1 << 20

// write makes a group durable and publishes l.ahead, the state behind it. Callers hold
// commitMu. Every error is fatal.
func (l *Log) write(group []item) error {
	start := time.Now()
	cuts, err := l.lowerWatermark(group)
	if err != nil {
		return l.fail(err)
	}
	if cuts {
		defer l.uncut()
		l.view.Lock()
		defer l.view.Unlock()
	}
	sync, err := l.encode(group)
	if err != nil {
		l.batch.Reset()
		return l.fail(fault("append to", l.cfg.Dir, err))
	}
	option := pebble.NoSync
	if sync {
		option = l.syncOption()
	}
	if err := l.commit(option); err != nil {
		return err
	}
	if sync {
		l.mu.Lock()
		l.ahead.committed = max(l.ahead.committed, l.now.committed)
		l.now, l.ahead = l.ahead, l.now
		l.mu.Unlock()
		l.count(time.Since(start))
	}
	return nil
}

func (l *Log) count(took time.Duration) {
	l.stats.syncs.Add(1)
	l.stats.nanos.Add(uint64(took))
	if uint64(took) > l.stats.slowest.Load() {
		l.stats.slowest.Store(uint64(took))
	}
}

// encode puts a group into the batch; l.ahead is the state behind it. A group of plain
// items may be committed in several batches, all but the last unsynced. It reports
// whether the rest needs a sync.
func (l *Log) encode(group []item) (sync bool, err error) {
	plain := true
	for i := range group {
		plain = plain && group[i].plain()
		sync = sync || group[i].step != nil
	}
	gen, last := l.now.gen, l.now.last()
	for i := range group {
		it := &group[i]
		if it.step == nil {
			err = l.encodeStage(gen, it)
		} else {
			gen, last, err = l.encodeStep(gen, last, it)
		}
		if err != nil {
			return sync, err
		}
		if plain && i < len(group)-1 && l.batch.Len() >= maxBatch {
			if err := l.commit(pebble.NoSync); err != nil {
				return sync, err
			}
		}
	}
	return sync, l.encodeMeta(group)
}

// encodeStep adds the log part of one step and returns generation and end behind it.
func (l *Log) encodeStep(gen uint32, last zxid.Point, it *item) (uint32, zxid.Point, error) {
	p := it.step
	switch {
	case p.Install != nil:
		// Everything older goes, whatever generation it is of (hazard H-07).
		gen++
		end := logKey(gen, 0)
		if it.reset {
			end = logKey(gen+1, 0)
		}
		if err := l.batch.DeleteRange(logKey(0, 0), end, nil); err != nil {
			return gen, last, err
		}
		last = it.from
	case p.Truncate != nil:
		last = *p.Truncate
		if err := l.batch.DeleteRange(logKey(gen, last.ID+1), logKey(gen+1, 0), nil); err != nil {
			return gen, last, err
		}
	}
	last, err := l.encodeEntries(gen, last, p.Append)
	return gen, last, err
}

// encodeStage adds staged entries.
func (l *Log) encodeStage(gen uint32, it *item) error {
	if it.reset {
		if err := l.batch.DeleteRange(logKey(gen+1, 0), logKey(gen+2, 0), nil); err != nil {
			return err
		}
	}
	for i := range it.stage {
		l.encodeEntry(gen+1, &it.stage[i])
		if i > 0 {
			if err := it.stage[i].Check(it.stage[i-1].Point()); err != nil {
				return err
			}
		}
	}
	return nil
}

// encodeEntries adds entries behind last. Each is checked against the running hash once
// more: what the disk gets is what was received, or nothing.
func (l *Log) encodeEntries(gen uint32, last zxid.Point, es []zab.Entry) (zxid.Point, error) {
	for i := range es {
		if err := es[i].Check(last); err != nil {
			return last, err
		}
		l.encodeEntry(gen, &es[i])
		last = es[i].Point()
	}
	l.stats.entries.Add(uint64(len(es)))
	return last, nil
}

func (l *Log) encodeEntry(gen uint32, e *zab.Entry) {
	op := l.batch.SetDeferred(logKeyLen, entryHeader+len(e.Data))
	putLogKey(op.Key, gen, e.ID)
	putEntry(op.Value, e)
	if err := op.Finish(); err != nil {
		panic(fmt.Sprintf("txnlog: batch without an index refused an entry: %v", err))
	}
}

// encodeMeta adds the records that the group changes, as they are behind it.
func (l *Log) encodeMeta(group []item) error {
	var identity, epochs, history, known, members, intent bool
	for i := range group {
		if p := group[i].step; p != nil {
			identity = identity || !p.Cluster.IsZero()
			epochs = epochs || p.Promise != nil || p.Current != nil
			history = history || p.Install != nil
			known = known || p.Known != nil
			members = members || !p.Membership.IsZero()
			intent = intent || p.Install != nil
		}
	}
	s := &l.ahead
	var errs []error
	set := func(dirty bool, k kind, encode func() []byte) {
		if dirty {
			errs = append(errs, l.batch.Set(k.key(), encode(), nil))
		}
	}
	set(identity, kindIdentity, s.identity.encode)
	set(epochs, kindEpochs, s.epochs.encode)
	set(history, kindHistory, s.history.encode)
	set(known, kindKnown, func() []byte { return encodeKnown(s.known) })
	set(members, kindMembers, func() []byte { return encodeMembers(s.members) })
	set(intent && s.intent != nil, kindIntent, func() []byte { return encodeIntent(*s.intent) })
	return errors.Join(errs...)
}

// commit writes the batch and empties it. Callers hold commitMu. Any error, and any
// failure that Pebble reported meanwhile, is fatal: nothing is retried (hazard H-03).
func (l *Log) commit(option *pebble.WriteOptions) (err error) {
	if err := l.failed(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil { // Pebble panics when its write-ahead log refuses a write
			cause, ok := r.(error)
			if _, bug := r.(runtime.Error); bug {
				panic(r)
			}
			if !ok {
				cause = fmt.Errorf("%v", r)
			}
			err = l.fail(fault("append to", l.cfg.Dir, cause))
		}
	}()
	size := l.batch.Len()
	if err := l.db.Apply(l.batch, option); err != nil {
		return l.fail(fault("append to", l.cfg.Dir, err))
	}
	if err := l.failed(); err != nil {
		return err
	}
	l.batch.Reset()
	l.unmarked += int64(size)
	l.stats.bytes.Add(uint64(size))
	return nil
}
