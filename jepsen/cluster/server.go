package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// server is one member: its files, which outlive its processes, and its present process.
type server struct {
	id      int
	dir     string
	host    string
	ports   [portsPerServer]int
	movable bool         // a configuration can move where it serves clients
	before  func() error // is called before each start; nil: nothing is to be done
	launch  Launch
	thread  func(id int) error

	mu        sync.Mutex
	idle      bool // not to be started
	at        int  // of addrs, where it served clients when it was asked last
	proc      *process
	paused    bool
	starts    int
	surprises []error // of processes before proc
}

// process is one life of a server.
type process struct {
	pid   int
	asked bool // we ended it, so its end is no surprise; guarded by server.mu
	done  chan struct{}
	state *os.ProcessState // after done
}

func (s *server) cfg() string     { return filepath.Join(s.dir, "zoo.cfg") }
func (s *server) data() string    { return filepath.Join(s.dir, "data") }
func (s *server) logFile() string { return filepath.Join(s.dir, "server.log") }

// start starts the process when there is none, and is to be one.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle || s.proc != nil && !s.proc.ended() {
		return nil
	}
	if err := s.surprise(); err != nil {
		s.surprises = append(s.surprises, err)
	}
	if s.before != nil {
		if err := s.before(); err != nil {
			return fmt.Errorf("cluster: server %d: %w", s.id, err)
		}
	}
	out, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cluster: server %d: %w", s.id, err)
	}
	s.starts++
	fmt.Fprintf(out, "--- start %d of server %d\n", s.starts, s.id)
	cmd := s.launch.command(s.dir, s.cfg())
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, attr()
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel's death signal is tied to the thread that started the process, not to the
		// whole of us: this one stays until the server has ended.
		runtime.LockOSThread()
		if s.thread == nil { // otherwise the thread ends with this goroutine
			defer runtime.UnlockOSThread()
		}
		defer out.Close() //nolint:errcheck // the log is the server's
		defer close(p.done)
		var err error
		if s.thread != nil {
			err = s.thread(s.id)
		}
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // the state says it all
			p.state = cmd.ProcessState
		}
	}()
	if err = <-started; err != nil {
		return fmt.Errorf("cluster: start server %d: %w", s.id, err)
	}
	s.proc, s.paused = p, false
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends a signal to the living process. It returns the process, nil when there is none.
func (s *server) signal(sig syscall.Signal, ends bool) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.proc
	if p == nil || p.ended() {
		return nil, nil
	}
	// Between the check and the signal the process can end, but its id is not given to another
	// one before it was waited for, and after that done is closed: an error is the worst.
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("cluster: server %d: %v: %w", s.id, sig, err)
	}
	p.asked = p.asked || ends
	if sig == syscall.SIGSTOP || sig == syscall.SIGCONT {
		s.paused = sig == syscall.SIGSTOP
	}
	return p, nil
}

// kill ends the process by SIGKILL and waits for its end.
func (s *server) kill() error {
	p, err := s.signal(syscall.SIGKILL, true)
	if p != nil {
		<-p.done
	}
	return err
}

// terminate ends the process by SIGTERM and waits for a clean end.
func (s *server) terminate(patience time.Duration) error {
	if _, err := s.signal(syscall.SIGCONT, false); err != nil {
		return err
	}
	p, err := s.signal(syscall.SIGTERM, true)
	if p == nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("cluster: server %d did not end within %v of SIGTERM", s.id, patience), s.kill())
	}
}

// running returns the pid of the living process, 0 when there is none.
func (s *server) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || s.proc.ended() {
		return 0
	}
	return s.proc.pid
}

// excuse makes the end of the present process one that was asked for.
func (s *server) excuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.asked = true
	}
}

// surprise returns an error when the process has ended by itself. The caller holds mu.
func (s *server) surprise() error {
	if p := s.proc; p != nil && p.ended() && !p.asked {
		return fmt.Errorf("cluster: server %d ended by itself: %v; see %s", s.id, p.state, s.logFile())
	}
	return nil
}

// ended returns an error when the present process has ended by itself.
func (s *server) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.surprise()
}

// all returns every surprise so far, nil when there was none.
func (s *server) all() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(slices.Clone(s.surprises), s.surprise())...)
}
