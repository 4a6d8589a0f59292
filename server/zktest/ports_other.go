//go:build !linux

package zktest

import (
	"net"
	"testing"
)

// reserve returns an address that is free.
func reserve(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	must(tb, l.Close())
	return l.Addr().String()
}
