package txnlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// Open opens the log in cfg.Dir, or creates it. Everything it finds is durable when it
// returns, also what a killed process had written and not synced: Pebble replays its
// write-ahead log into tables and syncs them (R7 of spec zab-and-election 14.5,
// hazard H-15). Errors are *Error values that name the directory and the remedy.
func Open(cfg Config) (*Log, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	l.idle.L = &l.mu
	if cfg.FS == nil {
		l.cfg.FS, l.watch = disk.Watched(cfg.Logger)
	}
	l.guard = disk.NewGuard(l.cfg.FS, owner{l})
	l.cfg.FS = l.guard
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.guard.Arm()
	return l, nil
}

// open locks the directory, creating it, and opens what is in it.
func (l *Log) open() error {
	cfg := &l.cfg
	if err := makeDir(cfg.FS, cfg.Dir); err != nil {
		return fault("create", cfg.Dir, err)
	}
	lock, err := pebble.LockDirectory(cfg.Dir, cfg.FS)
	if err != nil {
		return lockFault(cfg.Dir, err)
	}
	l.lock = lock
	return l.openStore()
}

// giveUp closes Pebble after a failure. Nothing that it does then reaches the disk; left alone, it would
// keep its memory, and read a damaged table for its statistics again and again, in a process that goes
// on. How that ends is of no interest to anybody.
func (l *Log) giveUp() {
	if l.db == nil {
		return
	}
	defer func() { _ = recover() }()
	if l.batch != nil {
		_ = l.batch.Close()
	}
	_ = l.db.Close()
}

// release closes what is open.
func (l *Log) release() error {
	var errs []error
	switch {
	case l.failed() != nil:
		l.giveUp()
	case l.db != nil:
		if l.batch != nil {
			errs = append(errs, l.batch.Close())
		}
		errs = append(errs, l.db.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	if l.watch != nil {
		errs = append(errs, l.watch.Close())
	}
	return errors.Join(errs...)
}

// complete validates and fills in defaults.
func (c *Config) complete() error {
	switch {
	case c.Dir == "":
		return errors.New("txnlog: Config.Dir is empty")
	case c.Fatal == nil:
		return errors.New("txnlog: Config.Fatal is nil: a log without it could not stop the server")
	case c.Standalone:
		c.SID = quorum.None
	case c.SID < 0 || c.SID > quorum.MaxSID:
		return fmt.Errorf("txnlog: server id %d is out of range", c.SID)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.WatermarkBytes <= 0 {
		c.WatermarkBytes = defaultWatermarkBytes
	}
	if c.ReturnAfter < probesToReturn {
		c.ReturnAfter = defaultReturnAfter
	}
	if c.TrimStep <= 0 {
		c.TrimStep = defaultTrimStep
	}
	return nil
}

// makeDir creates dir and makes its name durable, up to the first parent that was there.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := fsys.PathDir(dir)
	if parent != dir {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fsys, parent)
}

func lockFault(dir string, err error) error {
	e := fault("open", dir, err)
	var f *Error
	if errors.As(e, &f) && f.Kind == nil {
		f.Kind, f.Remedy = ErrLocked, remedyLocked
	}
	return e
}

// openStore opens Pebble, reads or creates the records, and checks them.
func (l *Log) openStore() error {
	if err := l.checkBackup(); err != nil {
		return err
	}
	fresh, err := disk.Inspect(l.cfg.FS, l.cfg.Dir)
	if err != nil {
		return l.unopened(err)
	}
	o := l.pebbleOptions()
	o.Lock = l.lock
	if l.db, err = pebble.Open(l.cfg.Dir, o); err != nil {
		return l.unopened(err)
	}
	if err := l.failed(); err != nil {
		return err
	}
	l.batch = l.db.NewBatchWithSize(64<<10, pebble.WithMaxRetainedSizeBytes(4*maxBatch))
	created, err := l.load(fresh)
	if err == nil && !created {
		err = errors.Join(l.adopt(), l.checkLog())
	}
	if err == nil {
		err = l.checkWatermark(created)
	}
	if err == nil && !created {
		err = l.dropLeavings()
	}
	if err == nil {
		err = l.failed()
	}
	if err != nil {
		return err
	}
	l.next.copyFrom(&l.now)
	l.cfg.Logger.Info().Str("dir", l.cfg.Dir).Bool("created", created).Str("log", l.now.summary().String()).
		Uint32("accepted", uint32(l.now.promise.Epoch)).Uint32("current", uint32(l.now.current)).
		Stringer("incarnation", l.now.incarnation).Bool("untrusted", l.now.untrusted).
		Msg("transaction log is open")
	return nil
}

// unopened is why Pebble did not open. Files that it calls missing or of the wrong size are
// damage, though it has no such word for them.
func (l *Log) unopened(err error) error {
	remedy, kind := disk.JudgeOpen(err)
	return &Error{Kind: kind, Op: "open", Dir: l.cfg.Dir, Err: err, Remedy: remedy}
}

// get reads one metadata record; nil if it is missing.
func (l *Log) get(k kind) ([]byte, error) {
	v, closer, err := l.db.Get(k.key())
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fault("read", l.cfg.Dir, err)
	}
	r := append([]byte{}, v...)
	return r, closer.Close()
}

// load reads the metadata, or creates it in a store without a key.
func (l *Log) load(fresh bool) (created bool, err error) {
	empty, err := l.isEmpty()
	if err != nil {
		return false, fault("read", l.cfg.Dir, err)
	}
	if empty {
		return true, l.create()
	}
	if fresh {
		return false, damaged("open", l.cfg.Dir, "a new store has keys")
	}
	s := &l.now
	for _, rec := range []struct {
		kind     kind
		optional bool
		decode   func(r []byte) error
	}{
		{kindIdentity, false, func(r []byte) (err error) { s.identity, err = decodeIdentity(r); return }},
		{kindEpochs, false, func(r []byte) (err error) { s.epochs, err = decodeEpochs(r); return }},
		{kindHistory, false, func(r []byte) (err error) { s.history, err = decodeHistory(r); return }},
		{kindKnown, true, func(r []byte) (err error) { s.known, err = decodeKnown(r); return }},
		{kindMembers, true, func(r []byte) (err error) { s.members, err = decodeMembers(r); return }},
		{kindReserved, true, func(r []byte) (err error) { l.reserved, err = decodeReserved(r); return }},
		{kindIntent, true, func(r []byte) (err error) {
			at, err := decodeIntent(r)
			s.intent = &at
			return err
		}},
	} {
		r, err := l.get(rec.kind)
		switch {
		case err != nil:
			return false, err
		case r == nil && rec.optional:
			continue
		case r == nil && rec.kind == kindEpochs: // never guessed from the log (hazard H-36)
			return false, &Error{
				Kind: ErrEpochs, Op: "open", Dir: l.cfg.Dir,
				Detail: "the epochs are missing in a store that is not empty", Remedy: remedyDamaged,
			}
		case r == nil:
			return false, damaged("open", l.cfg.Dir, "record %q is missing in a store that is not empty", rec.kind)
		}
		if err := l.decoded(rec.decode(r)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// decoded turns a decoder's error into a fault of the directory.
func (l *Log) decoded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNewer):
		return &Error{Kind: ErrFormat, Op: "open", Dir: l.cfg.Dir, Err: err, Remedy: remedyFormat}
	}
	return damaged("open", l.cfg.Dir, "%v", err)
}

func (l *Log) isEmpty() (bool, error) {
	iter, err := l.db.NewIter(nil)
	if err != nil {
		return false, err
	}
	found := iter.First()
	return !found, iter.Close()
}

// create writes the records of a new store, in one batch.
func (l *Log) create() error {
	s := &l.now
	s.sid = l.cfg.SID
	for s.incarnation.IsZero() {
		if _, err := io.ReadFull(l.cfg.Rand, s.incarnation[:]); err != nil {
			return fmt.Errorf("txnlog: no random numbers for a new store: %w", err)
		}
	}
	s.promise.Leader = quorum.None
	err := errors.Join(
		l.batch.Set(kindIdentity.key(), s.identity.encode(), nil),
		l.batch.Set(kindEpochs.key(), s.epochs.encode(), nil),
		l.batch.Set(kindHistory.key(), s.history.encode(), nil))
	if err != nil {
		return fault("create", l.cfg.Dir, err)
	}
	return l.commit(pebble.Sync)
}

// adopt checks whose store this is. A standalone server's becomes a member's. What it
// remembered of synchronised voters was itself, under an id that may be another member's now: that
// one would be taken for a stranger, and not counted.
func (l *Log) adopt() error {
	if l.now.sid == l.cfg.SID {
		return nil
	}
	if l.now.sid != quorum.None {
		return &Error{
			Kind: ErrWrongSID, Op: "open", Dir: l.cfg.Dir, Remedy: remedySID,
			Detail: fmt.Sprintf("recorded is server %v, configured %v", l.now.sid, l.cfg.SID),
		}
	}
	l.now.sid, l.now.known, l.now.members = l.cfg.SID, nil, quorum.Membership{}
	err := errors.Join(
		l.batch.Set(kindIdentity.key(), l.now.identity.encode(), nil),
		l.batch.Delete(kindKnown.key(), nil),
		l.batch.Delete(kindMembers.key(), nil))
	if err != nil {
		return fault("write", l.cfg.Dir, err)
	}
	return l.commit(pebble.Sync)
}
