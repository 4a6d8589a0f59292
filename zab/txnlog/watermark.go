package txnlog

import (
	"errors"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// The file names of the watermark, inside the log's directory. Pebble ignores both.
const (
	watermarkFile = "WATERMARK"
	watermarkTemp = "WATERMARK.tmp"
)

// readWatermark returns the stored watermark; found is false if there is none.
func readWatermark(fsys vfs.FS, dir string) (w watermark, found bool, err error) {
	f, err := fsys.Open(fsys.PathJoin(dir, watermarkFile))
	if errors.Is(err, fs.ErrNotExist) {
		return watermark{}, false, nil
	}
	if err != nil {
		return watermark{}, false, err
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, recordFrame+watermarkLen+1))
	if err != nil {
		return watermark{}, true, err
	}
	w, err = decodeWatermark(b)
	return w, true, err
}

// writeWatermark replaces the file: temporary file, sync, rename, sync of the directory
// (spec zab-and-election 14.11, hazard H-21).
func writeWatermark(fsys vfs.FS, dir string, w watermark) error {
	temp := fsys.PathJoin(dir, watermarkTemp)
	f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(w.encode())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temp, fsys.PathJoin(dir, watermarkFile)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// setWatermark writes the watermark unless it says so already. Callers hold markMu, or are
// alone.
func (l *Log) setWatermark(w watermark) error {
	if w == l.mark {
		return nil
	}
	if err := writeWatermark(l.cfg.FS, l.cfg.Dir, w); err != nil {
		return fault("write the watermark in", l.cfg.Dir, err)
	}
	l.mark = w
	l.marked.Store(uint32(w.promised))
	return nil
}

// Mark notes how far the log is durable, so that a loss of what is behind it would be noticed
// at the next start. The log does so by itself, but seldom. Writers are not held up.
func (l *Log) Mark() error {
	if l.cfg.NoSync {
		return nil // there is nothing that it could vouch for
	}
	l.view.RLock()
	defer l.view.RUnlock()
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.raiseMark(); err != nil {
		return l.fail(err)
	}
	return nil
}

// raiseMark writes the watermark of the present state, unless that is about to be cut.
func (l *Log) raiseMark() error {
	l.markMu.Lock()
	defer l.markMu.Unlock()
	if l.cutting {
		return nil
	}
	l.mu.Lock()
	w := l.now.watermark()
	l.mu.Unlock()
	return l.setWatermark(w)
}

// raiseWatermark notes what is synced: once enough was written since the last time, after
// every new promise, and when it is forced to. With a backup directory that goes on beside the
// writing: the disk of the watermark may stall. Callers hold commitMu.
func (l *Log) raiseWatermark(force bool) error {
	if l.cfg.NoSync {
		return nil
	}
	l.mu.Lock()
	promised := l.now.promise.Epoch
	l.mu.Unlock()
	if !force && l.unmarked < l.cfg.WatermarkBytes && uint32(promised) == l.marked.Load() {
		return nil
	}
	l.unmarked = 0
	if err := l.checkDiverted(); err != nil {
		return err
	}
	if force || l.cfg.BackupDir == "" {
		return l.raiseMark()
	}
	if l.marking.CompareAndSwap(false, true) {
		l.markers.Go(func() {
			defer l.marking.Store(false)
			if err := l.raiseMark(); err != nil {
				_ = l.fail(err)
			}
		})
	}
	return nil
}

// lowerWatermark prepares for items that remove entries: the watermark must never lie
// above what a crash can leave behind. It does not hide a loss: that is recorded in the
// store itself since Open. It reports whether there are such items; nobody raises the watermark
// then until uncut.
func (l *Log) lowerWatermark(group []item) (cuts bool, err error) {
	for i := range group {
		cuts = cuts || group[i].cuts()
	}
	if !cuts {
		return false, nil
	}
	l.markMu.Lock()
	defer l.markMu.Unlock()
	l.cutting = true
	w := l.mark
	for i := range group {
		if !group[i].cuts() {
			continue
		}
		if group[i].step.Install != nil {
			w.at = zxid.Point{}
		} else if p := *group[i].step.Truncate; p.ID < w.at.ID {
			w.at = p
		}
	}
	return true, l.setWatermark(w)
}

// uncut ends what lowerWatermark began.
func (l *Log) uncut() {
	l.markMu.Lock()
	defer l.markMu.Unlock()
	l.cutting = false
}

// checkWatermark compares the log with what it once had durable (R6). A loss is recorded
// in the store before the watermark is lowered to what is left: only the installation of
// a snapshot clears it (hazards H-17, H-18), or, on a standalone server, the removal of the file.
func (l *Log) checkWatermark(created bool) error {
	w, found, err := readWatermark(l.cfg.FS, l.cfg.Dir)
	switch {
	case err != nil && !errors.Is(err, errRecord) && !errors.Is(err, errNewer):
		return fault("read the watermark in", l.cfg.Dir, err)
	case err != nil:
		l.cfg.Logger.Warn().Err(err).Str("dir", l.cfg.Dir).Msg("watermark is unreadable, taken for zero")
		return nil
	case !found && l.now.untrusted && l.cfg.Standalone:
		// There is no ensemble to resynchronise from; the operator accepts the loss.
		l.now.untrusted = false
		l.cfg.Logger.Warn().Str("dir", l.cfg.Dir).Stringer("has", l.now.last()).Msg("the watermark was removed, the log is trusted again")
		if err := l.batch.Set(kindHistory.key(), l.now.history.encode(), nil); err != nil {
			return fault("write", l.cfg.Dir, err)
		}
		return l.commit(pebble.Sync)
	case !found:
		return nil
	}
	kept, err := l.passes(w.at)
	if err != nil {
		return err
	}
	l.mark = w
	l.marked.Store(uint32(w.promised))
	if kept && !created && w.incarnation == l.now.incarnation && w.promised <= l.now.promise.Epoch {
		if l.cfg.NoSync { // from now on a crash may take back what was acknowledged
			return l.setWatermark(watermark{incarnation: w.incarnation})
		}
		return nil
	}
	l.cfg.Logger.Error().Str("dir", l.cfg.Dir).Stringer("had", w.at).Uint32("promised", uint32(w.promised)).
		Stringer("has", l.now.last()).Uint32("accepted", uint32(l.now.promise.Epoch)).
		Str("remedy", remedyUntrusted).Msg("what was durable is lost, the log is not trusted")
	l.now.untrusted = true
	if err := l.batch.Set(kindHistory.key(), l.now.history.encode(), nil); err != nil {
		return fault("write", l.cfg.Dir, err)
	}
	if err := l.commit(pebble.Sync); err != nil {
		return err
	}
	return l.setWatermark(l.now.watermark())
}

// passes reports whether the log passes through p or starts above it.
func (l *Log) passes(p zxid.Point) (bool, error) {
	if p.ID < l.now.base.ID || p.ID == 0 {
		return true, nil
	}
	l.next.copyFrom(&l.now)
	err := l.locate(p)
	if errors.Is(err, ErrNoPoint) {
		return false, nil
	}
	return err == nil, err
}
