package store

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// Default budgets, in bytes. Together with the garbage collector's room they keep a
// server with a million small nodes under 128 MiB, and an idle one grows into none of them.
const (
	DefaultCacheBytes      = 16 << 20
	DefaultBlockCacheBytes = 16 << 20
	DefaultMemTableBytes   = 8 << 20
)

// What Pebble is told.
const (
	// diskFormat is pinned, so that an upgrade of the library does not silently make a
	// directory unreadable for the version before.
	diskFormat = pebble.FormatValueSeparation
	// separateFrom is the size from which values go to blob files.
	separateFrom = 1 << 10
	// queuedMemTables bounds memory when installs outrun flushes; then installs wait.
	queuedMemTables = 3
	// usualMemTables is how many there are while flushes keep up.
	usualMemTables  = 2
	bloomBitsPerKey = 10
	indexBlockBytes = 32 << 10
	openFiles       = 256
)

// Config says where a Store lives and what it may use.
type Config struct {
	// Dir is the directory of the store; made when missing.
	Dir string
	// FS is the file system; nil is the operating system's.
	FS vfs.FS

	// Budgets in bytes; 0 is the default, a negative CacheBytes caches no nodes.
	CacheBytes      int64 // decoded nodes
	BlockCacheBytes int64 // Pebble's cache of table blocks
	MemTableBytes   int64 // one of Pebble's memtables; up to three exist

	Logger zerolog.Logger
	// Fatal is called once, from any goroutine, with the fault that makes the store
	// useless: an I/O error, a full disk, corruption. It must end the process without
	// calling the store. If it returns all the same, the store refuses every later
	// change, and a read that cannot be answered panics.
	Fatal func(error)
}

func (c Config) withDefaults() Config {
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	c.CacheBytes = max(c.CacheBytes, 0)
	if c.BlockCacheBytes <= 0 {
		c.BlockCacheBytes = DefaultBlockCacheBytes
	}
	if c.MemTableBytes <= 0 {
		c.MemTableBytes = DefaultMemTableBytes
	}
	return c
}

// pebbleOptions returns the options of the tree's Pebble. The caller owns the
// block cache inside.
func (s *Store) pebbleOptions(c Config, lock *pebble.Lock) *pebble.Options {
	// Memtables take their room from the block cache: without this addition they would
	// leave little of it, and reads would go to the disk for every index block.
	cacheBytes := c.BlockCacheBytes + usualMemTables*c.MemTableBytes
	opts := &pebble.Options{
		FS:                          s.fs,
		Lock:                        lock,
		FormatMajorVersion:          diskFormat,
		DisableWAL:                  true,
		Cache:                       pebble.NewCache(cacheBytes),
		MemTableSize:                uint64(c.MemTableBytes),
		MemTableStopWritesThreshold: queuedMemTables,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                openFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      pebbleLogger{s},
		EventListener:               s.eventListener(),
	}
	// Point reads never consult filters of the lowest level, so none are written there:
	// a filter saves the search of a level that does not hold the key.
	for i := range opts.Levels {
		l := &opts.Levels[i]
		l.IndexBlockSize = indexBlockBytes
		l.FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
		if i == len(opts.Levels)-1 {
			l.FilterPolicy = pebble.NoFilterPolicy
		}
	}
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           separateFrom,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.2,
		}
	}
	// A lazily ingested table lives in Pebble's own log alone until the next flush. With
	// that log off, a crash would lose it and Replace would not be durable (hazard H-92).
	opts.Experimental.DisableIngestAsFlushable = func() bool { return true }
	opts.EnsureDefaults()
	return opts
}

// eventListener turns background faults into the end of the process (hazard H-94) and
// tells the operator about a disk that is slow or nearly full. fault keeps the error for
// all who come later; here there is nobody to return it to.
func (s *Store) eventListener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { _ = s.fault("background work", err) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			_ = s.fault("read "+info.Path, info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.log.Warn().Str("reason", info.Reason).Msg("tree: installs wait for the disk")
		},
		WriteStallEnd: func() { s.log.Info().Msg("tree: installs go on") },
		DiskSlow: func(info pebble.DiskSlowInfo) {
			s.log.Warn().Str("file", info.Path).Dur("took_ms", info.Duration).Msg("tree: disk is slow")
		},
		LowDiskSpace: func(info pebble.LowDiskSpaceInfo) {
			s.log.Warn().Uint64("availBytes", info.AvailBytes).Msg("tree: disk is nearly full")
		},
	}
}

// pebbleLogger passes Pebble's own messages on.
type pebbleLogger struct{ s *Store }

func (l pebbleLogger) Infof(format string, args ...any) {
	if e := l.s.log.Debug(); e.Enabled() {
		e.Msg("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.log.Error().Msg("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called by Pebble where it cannot go on, such as after a failed write of its
// manifest; it must not return.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok { // the text alone has no kind, and so no remedy
			err = cause
		}
	}
	panic(l.s.fault("pebble", err))
}
