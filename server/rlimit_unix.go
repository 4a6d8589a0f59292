//go:build unix

package server

import "syscall"

// descriptorLimit returns how many files the process may have open.
func descriptorLimit() (int64, error) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
	return int64(r.Cur), err
}
