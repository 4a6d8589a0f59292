package txnlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// Names of the markers that bind a log's directory and its backup directory to each other. What
// is in the backup directory may be the only copy of what was acknowledged: a log must not
// be opened without it, nor with another one.
const (
	backupMarker  = "SECONDARY" // in the log's directory
	primaryMarker = "PRIMARY"   // in the backup directory
	markerIDLen   = 16
	maxMarker     = 8 << 10
	// probeFile is Pebble's, by which it finds out whether the log's directory is well again.
	probeFile = "probe-file"
	// maxDiverted is what memtables may take while the disk of the log stalls and the
	// write-ahead log goes to the backup directory: Pebble itself sets no bound then.
	maxDiverted = 512 << 20
	// probesToReturn is how often the disk is tried within Config.ReturnAfter.
	probesToReturn = 15
)

// marker is the content of both marker files.
type marker struct {
	id  [markerIDLen]byte
	dir string // the other directory
}

func (m *marker) encode() []byte { return seal(kindBackup, append(m.id[:], m.dir...)) }

func decodeMarker(r []byte) (m marker, err error) {
	f, err := unseal(kindBackup, r)
	if err != nil {
		return m, err
	}
	if len(f) < markerIDLen {
		return m, errRecord
	}
	copy(m.id[:], f)
	m.dir = string(f[markerIDLen:])
	return m, nil
}

// readMarker returns the marker of a directory; found is false if there is none.
func (l *Log) readMarker(dir, name string) (m marker, found bool, err error) {
	f, err := l.cfg.FS.Open(l.cfg.FS.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxMarker+1))
	if err == nil {
		m, err = decodeMarker(b)
	}
	if err != nil {
		return m, true, fmt.Errorf("%s: %w", l.cfg.FS.PathJoin(dir, name), err)
	}
	return m, true, nil
}

// writeMarker makes a marker, durably.
func (l *Log) writeMarker(dir, name string, m marker) error {
	fsys := l.cfg.FS
	temp := fsys.PathJoin(dir, name+".tmp")
	f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(m.encode())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(temp, fsys.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// checkBackup refuses to open the log without the write-ahead logs that lie in a backup
// directory, and binds the directories to each other when they are used together for
// the first time.
func (l *Log) checkBackup() error {
	bound, found, err := l.readMarker(l.cfg.Dir, backupMarker)
	if err != nil {
		return l.backupFault("%v", err)
	}
	if l.cfg.BackupDir == "" {
		if !found {
			return nil
		}
		return l.dismiss(bound)
	}
	theirs, there, err := l.readMarker(l.cfg.BackupDir, primaryMarker)
	if err != nil {
		return l.backupFault("%v", err)
	}
	switch {
	case found && !there:
		return l.backupFault("%s is not where write-ahead logs were last diverted to: its file %s is missing", l.cfg.BackupDir, primaryMarker)
	case !found && there && theirs.dir == l.cfg.Dir:
		return &Error{
			Kind: ErrBackup, Op: "open", Dir: l.cfg.Dir, Remedy: remedyPrimary,
			Detail: fmt.Sprintf("the log that was here, to which %s belongs, is gone", l.cfg.BackupDir),
		}
	case found && theirs.id != bound.id, !found && there:
		return l.backupFault("%s belongs to the log in %s", l.cfg.BackupDir, theirs.dir)
	case found && bound.dir == l.cfg.BackupDir:
		return nil
	case found: // it was moved
		bound.dir = l.cfg.BackupDir
		return fault("open", l.cfg.Dir, l.writeMarker(l.cfg.Dir, backupMarker, bound))
	}
	return l.bind()
}

// bind takes a backup directory into use.
func (l *Log) bind() error {
	if err := makeDir(l.cfg.FS, l.cfg.BackupDir); err != nil {
		return fault("create", l.cfg.BackupDir, err)
	}
	switch logs, err := l.diverted(l.cfg.BackupDir); {
	case err != nil:
		return fault("open", l.cfg.BackupDir, err)
	case logs != "":
		return l.backupFault("%s holds %s, which this log did not write", l.cfg.BackupDir, logs)
	}
	m := marker{dir: l.cfg.Dir}
	if _, err := io.ReadFull(l.cfg.Rand, m.id[:]); err != nil {
		return fmt.Errorf("txnlog: no random numbers for a backup directory: %w", err)
	}
	// The one in the log's directory comes last: it alone makes the other one required.
	if err := l.writeMarker(l.cfg.BackupDir, primaryMarker, m); err != nil {
		return fault("create", l.cfg.BackupDir, err)
	}
	m.dir = l.cfg.BackupDir
	return fault("create", l.cfg.Dir, l.writeMarker(l.cfg.Dir, backupMarker, m))
}

// dismiss lets go of a backup directory that is not configured any more, if it holds nothing.
func (l *Log) dismiss(bound marker) error {
	theirs, there, err := l.readMarker(bound.dir, primaryMarker)
	if err != nil || !there || theirs.id != bound.id {
		return l.backupFault("write-ahead logs may lie in %s, which is not configured, and cannot be looked at", bound.dir)
	}
	logs, err := l.diverted(bound.dir)
	if err != nil {
		return fault("open", bound.dir, err)
	}
	if logs != "" {
		return l.backupFault("%s holds %s, but is not configured; configure it, start the server and stop it in order, and remove the setting then",
			bound.dir, logs)
	}
	fsys := l.cfg.FS
	for _, name := range []string{fsys.PathJoin(l.cfg.Dir, backupMarker), fsys.PathJoin(bound.dir, primaryMarker)} {
		if err := fsys.Remove(name); err != nil {
			return fault("remove "+name+" from", l.cfg.Dir, err)
		}
		if err := syncDir(fsys, fsys.PathDir(name)); err != nil {
			return fault("sync", fsys.PathDir(name), err)
		}
	}
	return nil
}

// diverted names a write-ahead log in dir; "" if there is none.
func (l *Log) diverted(dir string) (name string, err error) {
	names, err := l.cfg.FS.List(dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			return name, err
		}
	}
	return "", err
}

func (l *Log) backupFault(format string, args ...any) error {
	return &Error{Kind: ErrBackup, Op: "open", Dir: l.cfg.Dir, Detail: fmt.Sprintf(format, args...), Remedy: remedyBackup}
}

// failOver has Pebble divert the write-ahead log to the backup directory while that of the log
// stalls or fails.
func (l *Log) failOver(o *pebble.Options) {
	o.Unsafe.AllowMissingWALDirs = true // checkBackup has looked
	if l.cfg.BackupDir == "" {
		return
	}
	o.WALFailover = &pebble.WALFailoverOptions{
		Secondary: wal.Dir{FS: l.cfg.FS, Dirname: l.cfg.BackupDir},
		FailoverOptions: wal.FailoverOptions{
			HealthyInterval: l.cfg.ReturnAfter, PrimaryDirProbeInterval: l.cfg.ReturnAfter / probesToReturn,
		},
	}
	o.EventListener.WALCreated = func(info pebble.WALCreateInfo) {
		if info.Err != nil {
			l.cfg.Logger.Warn().Err(info.Err).Str("file", info.Path).Msg("a write-ahead log cannot be created")
			return
		}
		away := l.cfg.FS.PathDir(info.Path) == l.cfg.BackupDir
		if away == l.away.Swap(away) {
			return
		}
		l.stats.switches.Add(1)
		if away {
			l.cfg.Logger.Warn().Str("dir", l.cfg.Dir).Str("file", info.Path).
				Msg("the disk of the log stalls or fails: the write-ahead log goes to the secondary directory")
		} else {
			l.cfg.Logger.Info().Str("file", info.Path).Msg("the write-ahead log is back in its own directory")
		}
	}
}

// Diverted reports whether the write-ahead log goes to the backup directory now, and how often
// it has moved from one directory to the other since Open.
func (l *Log) Diverted() (now bool, switches uint64) { return l.away.Load(), l.stats.switches.Load() }

// checkDiverted ends a diversion that takes too long: meanwhile nothing leaves the memtables.
func (l *Log) checkDiverted() error {
	if !l.away.Load() {
		return nil
	}
	if held := l.db.Metrics().MemTable.Size; held > maxDiverted {
		return &Error{
			Kind: ErrIO, Op: "write", Dir: l.cfg.Dir, Remedy: remedyStalled,
			Detail: fmt.Sprintf("this disk does not take tables, %d bytes wait for it while the write-ahead log goes to %s", held, l.cfg.BackupDir),
		}
	}
	return nil
}
