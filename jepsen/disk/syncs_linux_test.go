package disk_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/disk"
	"github.com/zabkeeper/zabkeeper/jepsen/network"
)

// The test binary is its own fake server, which writes and syncs a file when it is asked. The tests
// run in namespaces of their own, where the kernel gives them.
const fakeServer = "fake-server"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == fakeServer {
		serve(os.Args[2])
		return
	}
	if inside, code, err := network.Enter(); err == nil && !inside {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// serve syncs once per line that it reads, and says what came of it and how long it took.
func serve(name string) {
	f, err := os.Create(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		start := time.Now()
		_, err := f.WriteString("x")
		if err == nil && in.Text() == "data" {
			err = syscall.Fdatasync(int(f.Fd()))
		} else if err == nil {
			err = f.Sync()
		}
		fmt.Println(time.Since(start).Milliseconds(), errors.Is(err, syscall.EIO), err)
	}
}

// start starts a fake server whose syncs are those of server 1.
func start(t *testing.T, s *disk.Syncs) (ask func(how string) (took time.Duration, failed bool)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, fakeServer, filepath.Join(t.TempDir(), "file"))
	in, out := pipes(t, cmd)
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		err := s.Thread(1)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	return func(how string) (time.Duration, bool) {
		fmt.Fprintln(in, how)
		line, err := lines.ReadString('\n')
		var ms int64
		var failed bool
		if _, err2 := fmt.Sscan(line, &ms, &failed); err != nil || err2 != nil || !failed && !strings.Contains(line, "<nil>") {
			t.Fatalf("the server said %q, %v", line, errors.Join(err, err2))
		}
		return time.Duration(ms) * time.Millisecond, failed
	}
}

func pipes(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

func TestSyncs(t *testing.T) {
	var s disk.Syncs
	ask := start(t, &s)
	const slow = 300 * time.Millisecond
	for _, how := range []string{"all", "data"} {
		if _, failed := ask(how); failed {
			t.Errorf("%s: a sync failed on a good disk", how)
		}
		s.Slow(1, slow)
		if took, failed := ask(how); failed || took < slow {
			t.Errorf("%s: on a slow disk a sync took %v, failed=%v", how, took, failed)
		}
		s.Fail(1)
		if _, failed := ask(how); !failed || s.Met(1) != 1 {
			t.Errorf("%s: on a broken disk a sync went well; %d have met it", how, s.Met(1))
		}
		s.Slow(2, time.Hour) // somebody else
		s.Heal(1)
		if _, failed := ask(how); failed || s.Met(1) != 0 {
			t.Errorf("%s: after healing a sync failed", how)
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir := data(t)
	if err := disk.Fill(dir); err == nil || !strings.Contains(err.Error(), "no file system of its own") {
		t.Fatalf("the disk of the machine was to be filled: %v", err)
	}
	if inside, _, err := network.Enter(); !inside || err != nil {
		if err := disk.Mount(dir, 1<<20); os.Geteuid() != 0 && err == nil {
			t.Error("a plain user could mount outside of namespaces")
		} else if err == nil {
			t.Cleanup(func() { disk.Unmount(dir) })
		}
		return
	}
	if err := disk.Mount(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Unmount(dir); err != nil {
			t.Error(err)
		}
	})
	name := filepath.Join(dir, "file")
	write := func() error { return os.WriteFile(name, make([]byte, 1<<16), 0o644) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(name), disk.Fill(dir)); err != nil {
		t.Fatal(err)
	}
	if err := write(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing to a full disk: %v", err)
	}
	if err := errors.Join(disk.Drain(dir), disk.Drain(dir), write()); err != nil {
		t.Errorf("after it was drained: %v", err)
	}
}
