package txnlog

import (
	"errors"
	"fmt"

	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// What can be wrong with a log directory, found by Open and tested with errors.Is.
// Every such error is an *Error that names the directory and a remedy.
var (
	// ErrWrongSID: the directory belongs to another server id.
	ErrWrongSID = errors.New("the directory belongs to another server")
	// ErrFormat: the directory was written by a newer version, or by something else.
	ErrFormat = disk.ErrFormat
	// ErrNotWritable: the directory cannot be created, read or written.
	ErrNotWritable = disk.ErrNotWritable
	// ErrDiskFull: no space is left (hazard H-16).
	ErrDiskFull = disk.ErrFull
	// ErrIO: the disk refused to read or write.
	ErrIO = disk.ErrIO
	// ErrLocked: another process, or another Log of this process, has the directory open.
	ErrLocked = errors.New("the directory is in use by another process")
	// ErrDamaged: a record is missing, unreadable or does not belong where it is: a hole
	// in the log, a hash that does not fit, a failed checksum (hazards H-04, H-09, H-94).
	ErrDamaged = disk.ErrDamaged
	// ErrBackup: the log and its backup directory do not belong together, or one is missing.
	ErrBackup = errors.New("the secondary directory of the write-ahead log does not fit")
	// ErrEpochs: the epochs contradict each other, the log or the promise given before
	// (R3 of spec zab-and-election 14.5, I12 of spec hazards 12).
	ErrEpochs = errors.New("inconsistent epochs")
)

// Errors of a Log in use, tested with errors.Is.
var (
	// ErrNoPoint: the point is not in the log: its zxid is not held, lies below the base,
	// or carries another hash. A learner asks for a snapshot instead (hazard H-02).
	ErrNoPoint = errors.New("txnlog: no such point in the log")
	// ErrTrimmed: the entries asked for were trimmed away; only a snapshot can help.
	ErrTrimmed = errors.New("txnlog: entries below the base are gone")
	// ErrCommitted: the step would take back what is known to be committed
	// (invariant I11, spec zab-and-election 14.9 e).
	ErrCommitted = errors.New("txnlog: step would undo committed entries")
	// ErrFenced: the writer was superseded by a newer one (hazard H-28) or closed.
	ErrFenced = errors.New("txnlog: writer is fenced off")
	// ErrBusy: Apply, StageNow or DropStaged was called while a Writer is open.
	ErrBusy = errors.New("txnlog: a writer is open")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("txnlog: closed")
)

// Error is a fault of one log directory.
type Error struct {
	Kind   error  // one of the Err values of this package; nil: an I/O error without a name
	Op     string // what was attempted: open, append, read
	Dir    string // the directory
	Detail string // what was found; may be empty
	Remedy string // what the operator can do; may be empty
	Err    error  // the underlying error; may be nil
}

// Error prints operation, directory, fault and remedy in one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("txnlog: %s %s", e.Op, e.Dir)
	if e.Kind != nil {
		s += ": " + e.Kind.Error()
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + disk.Line(e.Err)
	}
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// Unwrap lets errors.Is see both the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Remedies, by what is wrong.
const (
	remedySID       = "correct dataLogDir or the myid file"
	remedyFormat    = disk.RemedyFormat
	remedyBackup    = "mount it, or correct dataLogDirSecondary; if it is lost keep a copy, then empty dataDir and dataLogDir so that the server is resynchronised from its ensemble; one of another server must be emptied"
	remedyPrimary   = "mount its disk again; if it is lost keep a copy, then empty dataDir and dataLogDirSecondary so that the server is resynchronised from its ensemble; standalone: restore a backup"
	remedyStalled   = "see the kernel's log; start the server again when the disk is sound"
	remedyLocked    = "stop the other server, or give each server a directory of its own"
	remedyDamaged   = disk.RemedyDamaged
	remedyUntrusted = "an ensemble member is resynchronised by its leader; a standalone server: restore a backup, or remove the WATERMARK file to accept the loss"
)

// fault wraps an error of the file system or of Pebble, naming its kind if it has one.
func fault(op, dir string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	remedy, kind := disk.Judge(err)
	return &Error{Kind: kind, Op: op, Dir: dir, Err: err, Remedy: remedy}
}

// damaged is an ErrDamaged with its finding.
func damaged(op, dir, format string, args ...any) error {
	return &Error{Kind: ErrDamaged, Op: op, Dir: dir, Detail: fmt.Sprintf(format, args...), Remedy: remedyDamaged}
}
