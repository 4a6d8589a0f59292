package clock_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/clock"
)

// The test binary is its own fake server, which tells the time when it is asked.
const fakeServer = "fake-server"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == fakeServer {
		start := time.Now()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			fmt.Println(time.Now().Unix(), int64(time.Since(start).Seconds()))
		}
		return
	}
	os.Exit(m.Run())
}

func TestClock(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, fakeServer)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	ask := func() (wall, monotonic int64) {
		fmt.Fprintln(in)
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		a, b, _ := strings.Cut(strings.TrimSpace(line), " ")
		wall, err = strconv.ParseInt(a, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		monotonic, err = strconv.ParseInt(b, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return wall, monotonic
	}
	ask() // the program is up
	c := take(t, cmd.Process.Pid)
	for _, offset := range []int64{0, 3600, -3600, 400 * 86_400, 0} {
		if err := c.Set(offset); err != nil {
			t.Fatal(err)
		}
		before := time.Now().Unix()
		wall, monotonic := ask()
		after := time.Now().Unix()
		if wall < before+offset || wall > after+offset {
			t.Errorf("with an offset of %d the process reads %d, want %d to %d", offset, wall, before+offset, after+offset)
		}
		if monotonic < 0 || monotonic > 60 {
			t.Errorf("with an offset of %d the monotonic clock moved by %d s", offset, monotonic)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended badly: %v", err)
	}
}

// take stops the process and takes its clock.
func take(t *testing.T, pid int) *clock.Clock {
	t.Helper()
	for range 100 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Fatalf("the process did not stop: %v", err)
		}
		c, err := clock.Take(pid)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			return c
		}
		if !clock.Busy(err) {
			t.Fatal(err)
		}
	}
	t.Fatal("a thread reads the clock all the time")
	return nil
}
