package disk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Kinds of faults, tested with errors.Is.
var (
	// ErrFull: no space is left, or no quota (hazard H-16).
	ErrFull = errors.New("the disk is full")
	// ErrNotWritable: a directory or file cannot be created, read or written by this user.
	ErrNotWritable = errors.New("the directory is not writable")
	// ErrDamaged: stored bytes are missing or are not what was written (hazards H-04, H-94).
	ErrDamaged = errors.New("the store is damaged")
	// ErrFormat: written by a newer version, or by something else.
	ErrFormat = errors.New("unknown on-disk format")
	// ErrIO: the disk refused to read or write.
	ErrIO = errors.New("the disk failed")
)

// Remedies, by kind.
const (
	RemedyFull     = "free space on that file system and start the server again; delete nothing in the directory"
	RemedyWritable = "make the directory and the files in it readable and writable for the server's user, or correct dataDir and dataLogDir"
	RemedyDamaged  = "keep a copy for analysis, then empty dataDir and dataLogDir so that the server is resynchronised from its ensemble; a standalone server: restore a backup"
	RemedyFormat   = "start the version that wrote it, or a newer one"
	RemedyIO       = "see the kernel's log; start the server again when the disk is sound, or with empty directories on another one"
)

// Judge returns what an operator can do about an error of the file system or of Pebble, and its
// kind; "" and nil if it has none.
func Judge(err error) (remedy string, kind error) {
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return RemedyFull, ErrFull
	case errors.Is(err, ErrNotWritable), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM),
		errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return RemedyWritable, ErrNotWritable
	case errors.Is(err, ErrFormat):
		return RemedyFormat, ErrFormat
	case errors.Is(err, ErrDamaged), pebble.IsCorruptionError(err):
		return RemedyDamaged, ErrDamaged
	case errors.Is(err, ErrIO), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO),
		errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ESTALE):
		return RemedyIO, ErrIO
	}
	return "", nil
}

// JudgeOpen is Judge for what Pebble refuses to open: without a better reason the files
// contradict each other. Pebble does not call it corruption when a table is missing or has the
// wrong size.
func JudgeOpen(err error) (remedy string, kind error) {
	if err != nil && strings.Contains(err.Error(), "format major version") {
		return RemedyFormat, ErrFormat
	}
	if remedy, kind = Judge(err); kind != nil || err == nil {
		return remedy, kind
	}
	return RemedyDamaged, ErrDamaged
}

// FileError is a failed operation on a file.
type FileError struct {
	Op     string // what was attempted: write, sync, read
	Path   string
	Offset int64 // where in the file; negative: nowhere in particular
	Err    error
}

// Error prints operation, file, offset and cause.
func (e *FileError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
	}
	return e.Op + " " + e.Path + " at " + strconv.FormatInt(e.Offset, 10) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Line is the text of an error in one line. Pebble joins what it finds by line breaks, and adds
// notes to itself.
func Line(err error) string {
	var parts []string
	for part := range strings.Lines(err.Error()) {
		if part = strings.TrimSpace(part); part != "" && part != "<corruption detail carrier>" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}
