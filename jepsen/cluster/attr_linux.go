package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// attr lets the kernel kill the server when the thread that started it ends, and keeps the
// terminal's signals away from it.
func attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopped reports whether every thread of the process has stopped, or is gone. SIGSTOP reaches
// them one after the other.
func stopped(pid int) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return true
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// pid (name) state ...: the name may hold anything, a bracket too.
		rest := stat[bytes.LastIndexByte(stat, ')')+1:]
		if len(rest) > 1 && rest[1] != 'T' && rest[1] != 'Z' && rest[1] != 'X' {
			return false
		}
	}
	return true
}
