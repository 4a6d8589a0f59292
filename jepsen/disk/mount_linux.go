package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Mount puts an empty file system of so many bytes on a directory. It is seen by this process and
// those that it starts, when package network has given them a mount namespace, and goes with them.
func Mount(dir string, size int64) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("disk: mount %s: %w", dir, err)
	}
	return nil
}

// Unmount takes the file system off again. Files in it are gone.
func Unmount(dir string) error {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("disk: unmount %s: %w", dir, err)
	}
	return nil
}

// ballast is the file that takes all the room.
const ballast = "ballast"

// Fill leaves no room in the file system of a directory. Mount must have made it: it is refused for
// the file system of its parent.
func Fill(dir string) error {
	var own, parent unix.Stat_t
	if err := errors.Join(unix.Stat(dir, &own), unix.Stat(filepath.Dir(dir), &parent)); err != nil {
		return fmt.Errorf("disk: fill %s: %w", dir, err)
	}
	if own.Dev == parent.Dev {
		return fmt.Errorf("disk: %s is no file system of its own", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, ballast), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("disk: fill: %w", err)
	}
	defer f.Close() //nolint:errcheck // its content does not matter
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err = f.Write(block); errors.Is(err, unix.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return fmt.Errorf("disk: fill: %w", err)
		}
	}
	return nil
}

// Drain gives the room back.
func Drain(dir string) error {
	if err := os.Remove(filepath.Join(dir, ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("disk: drain: %w", err)
	}
	return nil
}
