//go:build unix

package node

import (
	"errors"
	"syscall"
)

// isReadOnly reports whether a file could not be written because its file system is read-only, as a mounted
// ConfigMap is.
func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EBUSY)
}
