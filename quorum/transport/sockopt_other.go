//go:build !linux

package transport

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the kernel has no such option.
func setUserTimeout(*net.TCPConn, time.Duration) {}
