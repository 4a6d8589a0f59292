package zktest

import (
	"fmt"
	"syscall"
	"testing"
)

// reserve returns an address that is this test's until it ends, whether somebody listens there or not:
// a socket that is bound to it keeps the kernel from giving the port to others that ask for any,
// connections and other processes' listeners included, and yet lets the address be listened at, as it
// says SO_REUSEADDR and does not listen.
func reserve(tb testing.TB) string {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(tb, err)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	must(tb, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	must(tb, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	must(tb, err)
	in4, ok := at.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("bound to %v", at)
	}
	return fmt.Sprintf("127.0.0.1:%d", in4.Port)
}
