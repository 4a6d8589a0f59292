//go:build !linux

package cluster

import "syscall"

// attr keeps the terminal's signals away from the server.
func attr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped is not known here.
func stopped(int) bool { return true }
