package disk

import (
	"errors"
	"io/fs"
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// KeepBallast makes sure that there is a file of the given size that takes room on the disk,
// durably. What it cannot finish it removes.
func KeepBallast(fsys vfs.FS, path string, size int64) error {
	switch info, err := fsys.Stat(path); {
	case err == nil && info.Size() == size:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := fsys.MkdirAll(fsys.PathDir(path), 0o755); err != nil {
		return err
	}
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f, size), f.Close()); err != nil {
		_, removeErr := ReleaseBallast(fsys, path)
		return errors.Join(err, removeErr)
	}
	return nil
}

// fill gives a new file blocks for size bytes, and that length.
func fill(f vfs.File, size int64) error {
	zeros := make([]byte, 64<<10)
	// Only there Preallocate does anything, and not on every file system.
	if runtime.GOOS == "linux" && f.Preallocate(0, size) == nil {
		if _, err := f.WriteAt(zeros[:1], size-1); err != nil {
			return err
		}
		return f.Sync()
	}
	for left := size; left > 0; {
		n, err := f.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	return f.Sync()
}

// ReleaseBallast removes the file, and returns how much room that gives back: 0 if there was
// none.
func ReleaseBallast(fsys vfs.FS, path string) (freed int64, err error) {
	info, err := fsys.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return 0, err
	}
	return info.Size(), fsys.Remove(path)
}
