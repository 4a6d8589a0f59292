package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// faultError is the first fault of a store.
type faultError struct{ err error }

// owner is the store as its guard sees it.
type owner struct{ s *Store }

// Fail implements disk.Owner.
func (o owner) Fail(err *disk.FileError) { _ = o.s.fault(err.Op, err) }

// Failed implements disk.Owner.
func (o owner) Failed() bool { return o.s.failed.Load() != nil }

// Survives implements disk.Owner: no file is dispensable.
func (o owner) Survives(string) bool { return false }

// fault reports the first fault to Config.Fatal, stops all further changes, and
// returns the fault.
func (s *Store) fault(op string, err error) error {
	f := &faultError{fmt.Errorf("store: %s: %s: %w", s.cfg.Dir, op, remedied(err))}
	if s.failed.CompareAndSwap(nil, f) && s.cfg.Fatal != nil {
		s.cfg.Fatal(f.err)
	}
	return f.err
}

// refusal returns the error that changes are refused with, nil while all is well.
func (s *Store) refusal() error {
	if f := s.failed.Load(); f != nil {
		return fmt.Errorf("%w: %w", ErrFailed, f.err)
	}
	return nil
}

// remedied adds to an error its kind and what an operator can do about it.
func remedied(err error) error { return withRemedy(err, disk.Judge) }

// unopened is remedied for what Pebble refuses to open.
func unopened(err error) error { return withRemedy(err, disk.JudgeOpen) }

func withRemedy(err error, judge func(error) (string, error)) error {
	remedy, kind := judge(err)
	if kind == nil {
		return err
	}
	text := disk.Line(err)
	if !errors.Is(err, kind) {
		text = kind.Error() + ": " + text
	}
	return &remediedError{text: text + " (" + remedy + ")", kind: kind, err: err}
}

// remediedError is an error in one line with its kind and remedy.
type remediedError struct {
	text      string
	kind, err error
}

// Error implements error.
func (e *remediedError) Error() string { return e.text }

// Unwrap lets errors.Is see both the kind and the cause.
func (e *remediedError) Unwrap() []error { return []error{e.kind, e.err} }

// checkBlobs finds out whether blob files are missing, as far as their number tells. Pebble
// v2.1.7 looks for tables alone, and a read of a blob file that is not there is a panic.
func (s *Store) checkBlobs(dir string) error {
	names, err := s.fs.List(dir)
	if err != nil {
		return err
	}
	there := uint64(0)
	for _, name := range names {
		if strings.HasSuffix(name, ".blob") {
			there++
		}
	}
	if want := s.db.Metrics().BlobFiles.LiveCount; there < want {
		return fmt.Errorf("%w: %d of %d blob files are missing", ErrCorrupt, want-there, want)
	}
	return nil
}
