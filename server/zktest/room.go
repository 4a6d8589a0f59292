package zktest

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomyFS is a server's disk that says how much of it is free.
type roomyFS struct {
	vfs.FS
	s *Server
}

// Unwrap lets Pebble find the file system below.
func (r roomyFS) Unwrap() vfs.FS { return r.FS }

// GetDiskUsage implements vfs.FS.
func (r roomyFS) GetDiskUsage(dir string) (vfs.DiskUsage, error) {
	free := r.s.free.Load()
	if free == 0 {
		return r.FS.GetDiskUsage(dir)
	}
	const total = 1 << 40
	return vfs.DiskUsage{AvailBytes: uint64(free), TotalBytes: total, UsedBytes: total - uint64(free)}, nil
}

// SetFree says how many bytes of a tebibyte are free on the server's disk from now on; 0: that is not
// known, as in the beginning.
func (s *Server) SetFree(bytes int64) { s.free.Store(bytes) }

// EndsBy does something that ends the server, and returns why it says that it has ended.
func (s *Server) EndsBy(tb testing.TB, cause func()) error {
	tb.Helper()
	n := s.take()
	if n == nil {
		tb.Fatalf("server %d is not running", s.ID)
	}
	cause()
	return n.Wait()
}

// Refused starts a server that must refuse to, and returns why it does.
func (s *Server) Refused(tb testing.TB) error {
	tb.Helper()
	err := s.tryStart(tb)
	if err == nil {
		tb.Fatalf("server %d has started", s.ID)
	}
	return err
}
