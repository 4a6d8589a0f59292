package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
)

// The test binary is its own fake server, and its own fake user of the package.
const (
	fakeServer = "fake-server"
	fakeUser   = "fake-user"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case fakeServer:
			os.Exit(serve(os.Args[2]))
		case fakeUser:
			os.Exit(use(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

// serve answers `srvr`: server 2 leads, the others follow. "die" ends it with exit code 7.
func serve(cfg string) int {
	set := settings(cfg)
	l, err := net.Listen("tcp", net.JoinHostPort(set["clientPortAddress"], set["clientPort"]))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		fmt.Println("ended by SIGTERM")
		os.Exit(0)
	}()
	id, _ := os.ReadFile(filepath.Join(set["dataDir"], "myid"))
	mode := map[string]string{"1": "follower", "2": "leader", "3": "follower", "": "standalone"}[strings.TrimSpace(string(id))]
	fmt.Println("serving as", mode)
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		word := make([]byte, 4)
		io.ReadFull(c, word)
		switch string(word) {
		case "die!":
			return 7
		case "srvr":
			fmt.Fprintf(c, "Zookeeper version: 1\nZxid: 0x10000000a\nMode: %s\nNode count: 5\n", mode)
		}
		c.Close()
	}
}

// use starts one server and waits to be killed.
func use(dir string) int {
	c, err := cluster.New(cluster.Config{Dir: dir, Servers: 1, Launch: launch()})
	if err == nil {
		err = errors.Join(c.StartAll(), c.WaitServing(context.Background()))
	}
	fmt.Println(c.Addr(1), err)
	select {}
}

func settings(cfg string) map[string]string {
	set := map[string]string{}
	text, _ := os.ReadFile(cfg)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		set[key] = value
	}
	return set
}

func launch() cluster.Launch {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return cluster.Launch{Argv: []string{self, fakeServer, "{cfg}"}}
}

func start(t *testing.T, servers int) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Servers: servers, Launch: launch(), Tick: 700 * time.Millisecond, Extra: map[string]string{"snapCount": "9"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(c.StartAll(), c.WaitServing(t.Context())); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFiles(t *testing.T) {
	c := start(t, 3)
	dir := filepath.Dir(c.LogFile(2))
	set := settings(filepath.Join(dir, "zoo.cfg"))
	for key, want := range map[string]string{"tickTime": "700", "snapCount": "9", "dataDir": filepath.Join(dir, "data")} {
		if set[key] != want {
			t.Errorf("%s is %q, want %q", key, set[key], want)
		}
	}
	if set["server.1"] == "" || set["server.3"] == "" || set["server.1"] == set["server.3"] {
		t.Errorf("the servers are %v", set)
	}
	if id, err := os.ReadFile(filepath.Join(dir, "data", "myid")); err != nil || string(id) != "2\n" {
		t.Errorf("myid is %q, %v", id, err)
	}
	if log, err := os.ReadFile(c.LogFile(2)); err != nil || !strings.Contains(string(log), "serving as leader") {
		t.Errorf("the log is %q, %v", log, err)
	}
}

func TestStatus(t *testing.T) {
	c := start(t, 3)
	if got, err := c.Status(t.Context(), 3); err != nil || got != (cluster.Status{Mode: "follower", Zxid: 0x10000000a, Nodes: 5}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := c.Leader(t.Context()); got != 2 {
		t.Errorf("leader is %d, want 2", got)
	}
}

func TestKillAndStart(t *testing.T) {
	c := start(t, 3)
	if err := c.Kill(2); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context(), 2); err == nil || c.Leader(t.Context()) != 0 {
		t.Error("a killed server still answers")
	}
	if err := errors.Join(c.Kill(2), c.Pause(2), c.Resume(2), c.Terminate(2, time.Second)); err != nil {
		t.Errorf("acts on a server that is down: %v", err)
	}
	if err := errors.Join(c.Start(2), c.Start(2), c.WaitServing(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.KillAll(), c.StartAll(), c.WaitServing(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := c.Surprises(); err != nil {
		t.Errorf("kills that were asked for are no surprise: %v", err)
	}
}

func TestPause(t *testing.T) {
	c := start(t, 3)
	if err := c.Pause(2); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context(), 2); err == nil || c.Leader(t.Context()) != 0 {
		t.Error("a stopped server answers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.WaitServing(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "server 2") {
		t.Errorf("got %v, want the stopped server's name", err)
	}
	if err := errors.Join(c.Resume(2), c.WaitServing(t.Context())); err != nil || c.Leader(t.Context()) != 2 {
		t.Errorf("after going on: %v", err)
	}
}

func TestTerminate(t *testing.T) {
	c := start(t, 1)
	if err := errors.Join(c.Pause(1), c.Terminate(1, 10*time.Second), c.Surprises()); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(c.LogFile(1)); err != nil || !strings.Contains(string(log), "ended by SIGTERM") {
		t.Errorf("the log is %q, %v", log, err)
	}
}

func TestASurpriseIsKept(t *testing.T) {
	c := start(t, 1)
	conn, err := net.Dial("tcp", c.Addr(1))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "die!")
	io.Copy(io.Discard, conn) // until it is dead
	conn.Close()
	if err := c.WaitServing(t.Context()); err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("got %v, want the end of the server", err)
	}
	if err := errors.Join(c.Start(1), c.WaitServing(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := c.Surprises(); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v, want the exit status of the first process", err)
	}
}

func TestAnExcusedEndIsNoSurprise(t *testing.T) {
	c := start(t, 1)
	c.Excuse(1)
	conn, err := net.Dial("tcp", c.Addr(1))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "die!")
	io.Copy(io.Discard, conn)
	conn.Close()
	for c.Running(1) { // until it was waited for
		runtime.Gosched()
	}
	if err := errors.Join(c.Surprises(), c.Start(1), c.WaitServing(t.Context()), c.Surprises()); err != nil || c.PID(1) == 0 {
		t.Errorf("got %v, process %d", err, c.PID(1))
	}
}

// What Thread makes of the thread, the server has.
func TestThreadAndHost(t *testing.T) {
	var called atomic.Int32
	c, err := cluster.New(cluster.Config{
		Dir: t.TempDir(), Servers: 2, Launch: launch(),
		Host: func(id int) string { return fmt.Sprintf("127.0.0.%d", id) },
		Thread: func(id int) error {
			if called.Add(1); called.Load() > 2 {
				return fmt.Errorf("no thread for server %d", id)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := errors.Join(c.StartAll(), c.WaitServing(t.Context())); err != nil || called.Load() != 2 {
		t.Errorf("got %v, %d calls", err, called.Load())
	}
	if !strings.HasPrefix(c.Addr(1), "127.0.0.1:") || !strings.HasPrefix(c.Addr(2), "127.0.0.2:") {
		t.Errorf("the servers are at %v", c.Addrs())
	}
	if err := errors.Join(c.Kill(1), c.Start(1)); err == nil || !strings.Contains(err.Error(), "no thread for server 1") {
		t.Errorf("got %v, want the error of Thread", err)
	}
}

func TestServersDieWithTheirUser(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	user := exec.Command(self, fakeUser, t.TempDir())
	out, err := user.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = user.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, said, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || said != "<nil>" {
		t.Fatalf("the user said %q, %v", line, err)
	}
	if err = user.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	user.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("a server has survived the process that started it")
		}
	}
}

func TestRefusedConfigs(t *testing.T) {
	for name, cfg := range map[string]cluster.Config{
		"no servers": {Dir: t.TempDir(), Launch: launch()},
		"too many":   {Dir: t.TempDir(), Launch: launch(), Servers: 10},
		"no command": {Dir: t.TempDir(), Servers: 1},
	} {
		if _, err := cluster.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := cluster.Zabkeeper(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a binary that does not exist was accepted")
	}
}
