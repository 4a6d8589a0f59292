package txnlog

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Config says where a log lives and whose it is. Dir and Fatal must be set.
type Config struct {
	// Dir is the directory; it is created if it is missing.
	Dir string
	// BackupDir, if not empty, is a directory on another disk to which Pebble diverts its
	// write-ahead log while the disk of Dir stalls or fails. From its first use on the log is not
	// opened without it as long as a write-ahead log is left there.
	BackupDir string
	// FS is the file system; nil: the disk, watched for stalls.
	FS vfs.FS
	// SID is the server's id. It is ignored when Standalone is set.
	SID quorum.SID
	// Standalone marks a server without an ensemble. Its directory can be taken over by
	// any member of an ensemble later; a member's directory is refused to it.
	Standalone bool
	// NoSync acknowledges before the disk did: ZooKeeper's forceSync=no. Never for a voter
	// of an ensemble (hazard H-91).
	NoSync bool
	// Rand is the source of the store's incarnation; nil: crypto/rand.
	Rand io.Reader
	// Logger gets what Pebble says and what Open found.
	Logger zerolog.Logger
	// Fatal is called once, with the first error after which the disk cannot be trusted; it
	// must end the process. When it returns, as in tests, the log refuses
	// everything, calls nobody back and stays unusable. It may be called from any goroutine,
	// with Pebble's locks held, so it must not call into the Log.
	Fatal func(error)

	// WatermarkBytes is how much is written between two updates of the durable ack
	// watermark; 0: 16 MiB.
	WatermarkBytes int64
	// ReturnAfter is how long the disk of Dir must have been well before the write-ahead log goes back to it
	// from BackupDir; 0: 15 s.
	ReturnAfter time.Duration
	// TrimStep is the least number of entries that a Trim removes at once; 0: 16384.
	TrimStep int64
}

const (
	defaultWatermarkBytes = 16 << 20
	defaultReturnAfter    = 15 * time.Second
	defaultTrimStep       = 16 << 10
)

// Log is the durable history of one server. All methods may be called from any
// goroutine. Lock order: commitMu, view, markMu, mu.
type Log struct {
	cfg   Config
	guard *disk.Guard // Config.FS
	watch io.Closer   // nil: Config.FS was given
	lock  *pebble.Lock
	db    *pebble.DB

	failure atomic.Pointer[error]
	stats   counters
	away    atomic.Bool // the write-ahead log goes to BackupDir

	// commitMu is held while something is written, syncs included.
	commitMu sync.Mutex
	batch    *pebble.Batch // reused
	taken    []item        // reused: the queue being written
	ahead    state         // reused: the state behind what is being written
	unmarked int64         // bytes written since the watermark was last to be raised

	// markMu is held while the WATERMARK file is written.
	markMu  sync.Mutex
	mark    watermark      // what the file says; zero: there is none
	cutting bool           // entries are being removed
	marked  atomic.Uint32  // mark.promised
	marking atomic.Bool    // one of markers runs
	markers sync.WaitGroup // goroutines that raise the watermark; joined by Close

	// view is held exclusively while the log's lower or upper end is cut, so that a
	// reader's base and its iterator agree; and by Close.
	view    sync.RWMutex
	closed  bool           // under view and mu
	readers sync.WaitGroup // open iterators; joined under view

	mu     sync.Mutex
	idle   sync.Cond // the queue was written, or the writer ended
	now    state     // as of the last sync
	next   state     // as of everything submitted
	staged staging   // as of everything submitted
	writer *Writer   // nil: none
	pins   []*zxid.ID
	// reserved is what Reserve noted last.
	reserved uint64
}

// Stats are counters since Open.
type Stats struct {
	Syncs    uint64        // groups written with one sync each
	Entries  uint64        // entries appended
	Bytes    uint64        // bytes of batches written
	SyncTime time.Duration // spent writing and syncing groups
	SlowSync time.Duration // the slowest group
}

type counters struct{ syncs, entries, bytes, nanos, slowest, switches atomic.Uint64 }

// Stats returns the counters.
func (l *Log) Stats() Stats {
	return Stats{
		Syncs:    l.stats.syncs.Load(),
		Entries:  l.stats.entries.Load(),
		Bytes:    l.stats.bytes.Load(),
		SyncTime: time.Duration(l.stats.nanos.Load()),
		SlowSync: time.Duration(l.stats.slowest.Load()),
	}
}

// ResetSlowSync begins to look for the slowest group afresh, and returns the counters of before.
func (l *Log) ResetSlowSync() Stats {
	stats := l.Stats()
	l.stats.slowest.Store(0)
	return stats
}

// Durable returns what the disk says, as of the last sync. A role starts from
// it, after the writer of the role before was closed (hazards H-05, H-27).
func (l *Log) Durable() zab.Durable {
	l.mu.Lock()
	defer l.mu.Unlock()
	return zab.Durable{
		Cluster:     l.now.cluster,
		Incarnation: l.now.incarnation,
		Promise:     l.now.promise,
		Current:     l.now.current,
		History:     l.now.summary(),
		Committed:   l.now.committed,
		Known:       slices.Clone(l.now.known),
		Membership:  l.now.members,
		Untrusted:   l.now.untrusted,
	}
}

// NoteCommitted says that everything up to id is committed. It is remembered lazily, with
// the next trim, installation or clean close, and guards against truncations below it.
func (l *Log) NoteCommitted(id zxid.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.committed = max(l.now.committed, min(id, l.now.last().ID))
	l.next.committed = max(l.next.committed, l.now.committed)
}

// Intent returns the point of a snapshot that was installed here and that the tree store
// has perhaps not taken yet: its owner finishes that work before anything else, then
// calls InstallDone.
func (l *Log) Intent() (at zxid.Point, pending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.intent == nil {
		return zxid.Point{}, false
	}
	return *l.now.intent, true
}

// InstallDone forgets the intent of the last installed snapshot, durably.
func (l *Log) InstallDone() error {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	l.mu.Lock()
	done := l.now.intent
	l.mu.Unlock()
	if done == nil {
		return nil
	}
	if err := l.batch.Delete(kindIntent.key(), nil); err != nil {
		return l.fail(fault("write", l.cfg.Dir, err))
	}
	if err := l.commit(l.syncOption()); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.intent = nil
	if l.next.intent == done {
		l.next.intent = nil
	}
	return nil
}

// Pin keeps the entries above id from being trimmed until release is called.
func (l *Log) Pin(id zxid.ID) (release func()) {
	pin := &id
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pins = append(l.pins, pin)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.pins, pin); i >= 0 {
			l.pins = slices.Delete(l.pins, i, i+1)
		}
	}
}

// Size returns the bytes that the log takes on disk, deleted files that are not yet
// removed included.
func (l *Log) Size() int64 {
	l.view.RLock()
	defer l.view.RUnlock()
	if l.closed || l.failure.Load() != nil {
		return 0
	}
	return int64(l.db.Metrics().DiskSpaceUsage())
}

// Close drains the writer, notes the end of the log and closes the files. After a fatal
// error it changes nothing on the disk, and returns that error.
func (l *Log) Close() error {
	l.mu.Lock()
	w := l.writer
	l.mu.Unlock()
	if w != nil {
		w.Close()
	}
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	l.view.Lock()
	defer l.view.Unlock()
	l.readers.Wait()
	l.markers.Wait()
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	if err := l.failed(); err != nil {
		return errors.Join(err, l.release())
	}
	l.mu.Lock()
	end := l.now.history.encode()
	l.mu.Unlock()
	if err := l.batch.Set(kindHistory.key(), end, nil); err != nil {
		return err
	}
	if err := l.commit(pebble.Sync); err != nil {
		return err
	}
	if err := l.raiseWatermark(true); err != nil {
		return l.fail(err)
	}
	return fault("close", l.cfg.Dir, l.release())
}

// fail records the first error that makes the disk untrustworthy and ends the process.
// It returns the recorded error.
func (l *Log) fail(err error) error {
	if l.failure.CompareAndSwap(nil, &err) {
		l.cfg.Logger.Error().Err(err).Msg("transaction log failed")
		l.cfg.Fatal(err)
	}
	return *l.failure.Load()
}

// failed returns the error that made the log unusable, or nil.
func (l *Log) failed() error {
	if p := l.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// usable returns why nothing may be written or read, or nil.
func (l *Log) usable() error {
	if err := l.failed(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return nil
}

func (l *Log) syncOption() *pebble.WriteOptions {
	if l.cfg.NoSync {
		return pebble.NoSync
	}
	return pebble.Sync
}
