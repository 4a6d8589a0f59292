//go:build !linux

package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// uncache does nothing: this system does not let its cache be told.
func uncache(vfs.File, int64, int64) {}
