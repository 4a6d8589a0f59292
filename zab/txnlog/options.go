package txnlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	memTableBytes    = 4 << 20
	maxQueuedTables  = 4
	blockCacheBytes  = 2 << 20
	backgroundSync   = 1 << 20
	tableBytes       = 4 << 20
	reclaimDelay     = 10 * time.Second
	blockBytes       = 32 << 10
	maxOpenFiles     = 256
	neverStopWrites  = 1000
	levelBaseBytes   = 256 << 20
	readSamplingNone = -1
)

// pebbleOptions tunes Pebble for a queue: keys arrive in ascending order and leave from
// the other end in coarse steps. Tables of the log never overlap, so compactions move
// or drop them and hardly ever rewrite one.
func (l *Log) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          l.cfg.FS,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLogger{l},
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: maxQueuedTables,
		CacheSize:                   blockCacheBytes,
		BytesPerSync:                backgroundSync,
		WALBytesPerSync:             backgroundSync,
		MaxOpenFiles:                maxOpenFiles,
		LBaseMaxBytes:               levelBaseBytes,
		L0StopWritesThreshold:       neverStopWrites,
		FlushDelayDeleteRange:       reclaimDelay,
	}
	o.TargetFileSizes[0] = tableBytes
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockBytes
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	o.Experimental.ReadSamplingMultiplier = readSamplingNone
	o.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	o.Experimental.FileCacheShards = 1
	// Metadata goes to tables of its own: a table that held both would overlap with every
	// later table of the log.
	o.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		if len(start) > 0 && start[0] < prefixMeta {
			return pebble.SpanPolicy{}, []byte{prefixMeta}, nil
		}
		return pebble.SpanPolicy{}, nil, nil
	}
	o.EventListener = l.listener()
	l.failOver(o)
	return o
}

// listener ends the process on every error in the background: Pebble would go on and
// retry, and a later success would hide a damaged disk (hazards H-03, H-94). fail keeps the
// error for all who come later; here there is nobody to return it to.
func (l *Log) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { _ = l.fail(fault("write", l.cfg.Dir, err)) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			_ = l.fail(damaged("read", l.cfg.Dir, "%s: %v", info.Path, info.Details))
		},
	}
}

// pebbleLogger hands Pebble's words to the server's logger.
type pebbleLogger struct{ log *Log }

// Infof logs at debug level: Pebble is talkative.
func (p pebbleLogger) Infof(format string, args ...any) {
	if e := p.log.cfg.Logger.Debug(); e.Enabled() {
		e.Str("from", "pebble").Msgf(format, args...)
	}
}

// Errorf logs an error that Pebble survives.
func (p pebbleLogger) Errorf(format string, args ...any) {
	p.log.cfg.Logger.Error().Str("from", "pebble").Msgf(format, args...)
}

// Fatalf reports an error after which Pebble's state is undefined. It returns only if
// Config.Fatal does; nothing is written or acknowledged after it.
func (p pebbleLogger) Fatalf(format string, args ...any) {
	err := error(nil)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = errors.Join(err, cause)
		}
	}
	if err == nil {
		err = fmt.Errorf(format, args...)
	}
	_ = p.log.fail(fault("write", p.log.cfg.Dir, err))
}
