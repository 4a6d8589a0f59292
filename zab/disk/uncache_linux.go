package disk

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// uncache asks the system to forget a part of a file that is on the disk, so that it is read from there.
func uncache(f vfs.File, at, length int64) {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return
	}
	if rest := length % pageBytes; rest != 0 {
		length += pageBytes - rest // a page that is not covered is kept
	}
	_ = unix.Fadvise(int(fd), at, length, unix.FADV_DONTNEED) // advice: what cannot be done is not
}
