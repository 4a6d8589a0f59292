package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is what the name of the program ends with in its second life.
const mark = " (in its own network)"

// Enter moves the program into a network and mount namespace of its own by running it there once
// more, with the same arguments, files and signals. It returns true in that second life. In the
// first it returns false and the exit code of the second when that has ended; an error means that
// there was no second life, and says what is missing.
//
// Call it first thing in main: everything before it is done twice.
func Enter() (inside bool, code int, err error) {
	if strings.HasSuffix(os.Args[0], mark) {
		return true, 0, arrive()
	}
	// The kernel's death signal is tied to the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := probe(); err != nil {
		return false, 0, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{os.Args[0] + mark}, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = namespaces()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return false, 0, fmt.Errorf("network: hosts of their own need root, or user namespaces (sysctl user.max_user_namespaces; "+
			"on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; in a container the capability SYS_ADMIN): %w", err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, 0, fmt.Errorf("network: %w", err)
	}
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		code = 1 // ended by a signal
	}
	return false, code, nil
}

// namespaces are those of the second life. A plain user needs a user namespace around the others.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// probe finds out whether this user can make network devices, once there are namespaces for them.
func probe() error {
	const device = "/dev/net/tun"
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("network: hosts of their own need %s, which is open to everybody on most systems: %w", device, err)
	}
	if err = f.Close(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return nil
}

// arrive makes the namespaces fit to live in.
func arrive() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("network: keep our mounts to ourselves: %w", err)
	}
	return up("lo")
}
