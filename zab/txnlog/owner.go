package txnlog

import (
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// owner is the log as its guard sees it.
type owner struct{ log *Log }

// Fail implements disk.Owner.
func (o owner) Fail(err *disk.FileError) { _ = o.log.fail(fault(err.Op, o.log.cfg.Dir, err)) }

// Failed implements disk.Owner.
func (o owner) Failed() bool { return o.log.failed() != nil }

// Survives implements disk.Owner: with a backup directory Pebble turns to that by itself when a
// write-ahead log fails.
func (o owner) Survives(path string) bool {
	return o.log.cfg.BackupDir != "" && (strings.HasSuffix(path, ".log") || o.log.cfg.FS.PathBase(path) == probeFile)
}
