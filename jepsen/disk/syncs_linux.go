package disk

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Syncs decides what becomes of the syncs of servers. Its methods are safe for concurrent use. The
// zero value lets all syncs pass.
type Syncs struct {
	mu     sync.Mutex
	faults map[int]fault
}

// fault is what a server's syncs meet.
type fault struct {
	delay time.Duration
	fails bool
	met   int // how many have met it
}

// Slow lets every sync of a server take so much longer.
func (s *Syncs) Slow(id int, delay time.Duration) { s.set(id, fault{delay: delay}) }

// Fail lets every sync of a server fail with an input/output error, without being carried out.
func (s *Syncs) Fail(id int) { s.set(id, fault{fails: true}) }

// Met returns how many syncs of a server have met the fault that it has now.
func (s *Syncs) Met(id int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[id].met
}

// Heal lets the syncs of a server pass.
func (s *Syncs) Heal(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, id)
}

func (s *Syncs) set(id int, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = map[int]fault{}
	}
	s.faults[id] = f
}

// meet returns what the next sync of a server meets.
func (s *Syncs) meet(id int) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.faults[id]
	if ok {
		f.met++
		s.faults[id] = f
	}
	return f
}

// notification and answer are struct seccomp_notif and seccomp_notif_resp of the kernel.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	errno int32 // negative
	flags uint32
}

// Thread makes the syncs of the calling thread, and of every process that it starts, those of a
// server. The thread must be locked to its goroutine and end with it. What it makes goes with the
// last of those processes.
func (s *Syncs) Thread(id int) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("disk: no new privileges: %w", err)
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// A signal to the waiting thread, which Go programs send to themselves all the time, must not
	// let the call begin again: WAIT_KILLABLE_RECV (Linux 5.19).
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("disk: no filter of system calls (needs Linux 5.19): %w", errno)
	}
	go s.serve(id, int(fd))
	return nil
}

// serve answers for the syncs of a server's process until that has ended.
func (s *Syncs) serve(id, fd int) {
	var waiting sync.WaitGroup
	defer func() {
		waiting.Wait()
		_ = unix.Close(fd) // nobody is behind it
	}()
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return // hung up: the processes have ended
		}
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		if errno != 0 {
			continue // it was killed in between
		}
		f := s.meet(id)
		waiting.Go(func() { reply(fd, n.id, f) })
	}
}

// reply lets one sync go on, or fail.
func reply(fd int, id uint64, f fault) {
	if f.delay > 0 {
		<-time.After(f.delay)
	}
	a := answer{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if f.fails {
		a = answer{id: id, errno: -int32(unix.EIO)}
	}
	// When the process was killed meanwhile nobody waits for the answer.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
}
