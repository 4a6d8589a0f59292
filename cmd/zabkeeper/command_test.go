package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/quorum/quiet/logbook"
)

// binary is the command under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "zabkeeper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // the operating system's concern
	binary = filepath.Join(dir, "zabkeeper")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}

// patience is how long a process may take for anything.
const patience = 60 * time.Second

var open = zk.WorldACL(zk.PermAll)

// must fails the test on an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// environment is what the command is given: nothing of this process's flags.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.Getenv("TMPDIR")}, more...)
}

// result is how a finished command ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs the command to its end.
func run(tb testing.TB, args ...string) result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = tb.TempDir(), environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// process is a running server.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	addr   string
	output logbook.Book
	exited chan struct{}
}

// launch starts a program that becomes a server listening at addr, and waits until it serves.
func launch(tb testing.TB, dir, addr string, env []string, program string, args ...string) *process {
	tb.Helper()
	p := &process{t: tb, cmd: exec.Command(program, args...), addr: addr, exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, env
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	must(tb, p.cmd.Start())
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState tells
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill() // has ended, as a rule
		<-p.exited
		if tb.Failed() {
			tb.Logf("output of the server:\n%s", p.output.String())
		}
	})
	eventually(tb, "the server serves", func() error {
		select {
		case <-p.exited:
			tb.Fatalf("the server ended with code %d:\n%s", p.cmd.ProcessState.ExitCode(), p.output.String())
		default:
		}
		if got := word(p.addr, "srvr"); !strings.Contains(got, "Mode: standalone") {
			return fmt.Errorf("srvr answers %q", got)
		}
		return nil
	})
	return p
}

// serve starts "zabkeeper server" with the given arguments in dir.
func serve(tb testing.TB, dir, addr string, args ...string) *process {
	tb.Helper()
	return launch(tb, dir, addr, environment(), binary, append([]string{"server"}, args...)...)
}

// exit waits for the end and returns the exit code, -1 for a signal.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the server does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// signal sends a signal and returns the exit code.
func (p *process) signal(s os.Signal) int {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
	return p.exit()
}

// eventually tries until ready returns nil.
func eventually(tb testing.TB, what string, ready func() error) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		<-tick.C
	}
}

// word asks a four-letter word.
func word(addr, w string) string {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }() // read to the end
	if _, err := io.WriteString(c, w); err != nil {
		return err.Error()
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

// freePort returns a port that nobody listens at now.
func freePort(tb testing.TB) (port, addr string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	must(tb, l.Close())
	_, port, err = net.SplitHostPort(l.Addr().String())
	must(tb, err)
	return port, l.Addr().String()
}

// zooCfg writes a configuration of a standalone server and returns its name.
func zooCfg(tb testing.TB, port string, more ...string) (file, dataDir string) {
	tb.Helper()
	dir := tb.TempDir()
	dataDir = filepath.Join(dir, "data")
	lines := append([]string{"tickTime=2000", "dataDir=" + dataDir, "clientPort=" + port, "clientPortAddress=127.0.0.1"}, more...)
	file = filepath.Join(dir, "zoo.cfg")
	must(tb, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return file, dataDir
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// connect opens a client that has a session.
func connect(tb testing.TB, addr string) *zk.Conn {
	tb.Helper()
	conn, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogger(silent{}))
	must(tb, err)
	tb.Cleanup(conn.Close)
	deadline := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			tb.Fatal("no session")
		}
	}
}

// errorLine returns the error of the one log line of level error.
func (r result) errorLine(tb testing.TB) string {
	tb.Helper()
	var found []string
	for line := range strings.Lines(r.stderr) {
		var entry struct{ Level, Error, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			tb.Errorf("%q is no log line: %v", line, err)
		}
		if entry.Level == "error" {
			found = append(found, entry.Error)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("%d error lines, want one:\n%s", len(found), r.stderr)
	}
	return found[0]
}

func TestBadConfigurationIsRefusedInOneLine(t *testing.T) {
	port, _ := freePort(t)
	for name, c := range map[string]struct {
		lines []string
		args  []string
		want  []string // parts of the line; %s is the file
	}{
		"no number":      {lines: []string{"syncLimit=five"}, want: []string{"%s:5: syncLimit=five: "}},
		"negative":       {lines: []string{"", "# comment", "initLimit=-3"}, want: []string{"%s:7: initLimit=-3: "}},
		"server entry":   {lines: []string{"server.1=nonsense"}, want: []string{"%s:5: server.1=nonsense: "}},
		"no myid":        {lines: []string{"server.1=a:1:2", "server.2=b:1:2", "server.3=c:1:2"}, want: []string{"/data/myid: ", "missing"}},
		"unknown key":    {lines: []string{"tikTime=3"}, args: []string{"--strict-config"}, want: []string{"%s:5: tikTime=3: ", "tickTime"}},
		"command line":   {args: []string{"-D", "tickTime=x"}, want: []string{"command line: tickTime=x: "}},
		"-D without =":   {args: []string{"-D", "tickTime"}, want: []string{"tickTime: ", "key=value"}},
		"unsafe silence": {lines: []string{"ssl.crl=true"}, want: []string{"%s:5: ssl.crl=true: "}},
	} {
		file, dataDir := zooCfg(t, port, c.lines...)
		r := run(t, append(append([]string{"server"}, c.args...), file)...)
		line := r.errorLine(t)
		if r.code != 2 || r.stdout != "" {
			t.Errorf("%s: exit code %d, want 2; stdout %q", name, r.code, r.stdout)
		}
		for _, part := range c.want {
			if part = strings.ReplaceAll(part, "%s", file); !strings.Contains(line, part) {
				t.Errorf("%s: the line %q does not say %q", name, line, part)
			}
		}
		if _, err := os.Stat(dataDir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the data directory was touched (%v)", name, err)
		}
	}
}

func TestMissingConfigurationFile(t *testing.T) {
	r := run(t, "server", "/does/not/exist.cfg")
	if line := r.errorLine(t); r.code != 2 || !strings.Contains(line, "/does/not/exist.cfg: cannot be read") {
		t.Errorf("exit code %d, %q", r.code, line)
	}
}

func TestDataDirectoryThatIsAFile(t *testing.T) {
	port, _ := freePort(t)
	file, dataDir := zooCfg(t, port)
	must(t, os.WriteFile(dataDir, nil, 0o600))
	r := run(t, "server", file)
	if line := r.errorLine(t); r.code != 3 || !strings.Contains(line, dataDir+" is not a directory") {
		t.Errorf("exit code %d, %q", r.code, line)
	}
}

func TestClientPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	file, _ := zooCfg(t, port)
	r := run(t, "server", file)
	if line := r.errorLine(t); r.code != 1 || !strings.Contains(line, l.Addr().String()) || !strings.Contains(line, "in use") {
		t.Errorf("exit code %d, %q", r.code, line)
	}
}

func TestElectionPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	port, _ := freePort(t)
	quorumPort, _ := freePort(t)
	file, dataDir := zooCfg(t, port, "initLimit=5", "syncLimit=2", "electionPortBindRetry=1",
		"server.1=127.0.0.1:"+quorumPort+":"+taken, "server.2=127.0.0.1:1:2", "server.3=127.0.0.1:3:4")
	must(t, os.MkdirAll(dataDir, 0o755))
	must(t, os.WriteFile(filepath.Join(dataDir, "myid"), []byte("1\n"), 0o600))
	r := run(t, "server", file)
	if r.code != 14 || !strings.Contains(r.stderr, "cannot bind "+l.Addr().String()) {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
}

func TestSignalsStopTheServerInOrder(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		port, addr := freePort(t)
		file, _ := zooCfg(t, port)
		p := serve(t, t.TempDir(), addr, file)
		conn := connect(t, addr)
		_, err := conn.Create("/kept", nil, 0, open)
		must(t, err)
		conn.Close()
		if code := p.signal(s); code != 0 {
			t.Errorf("%v: exit code %d, want 0", s, code)
		}
		out := p.output.String()
		if !strings.Contains(out, `"message":"stopped"`) || strings.Contains(out, `"level":"error"`) || strings.Contains(out, "panic") {
			t.Errorf("%v: the end does not look orderly", s)
		}
	}
}

func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	port, addr := freePort(t)
	file, _ := zooCfg(t, port)
	var want []string
	for round := range 3 {
		p := serve(t, t.TempDir(), addr, file)
		conn := connect(t, addr)
		for _, path := range want {
			ok, _, err := conn.Exists(path)
			must(t, err)
			if !ok {
				t.Fatalf("%s was acknowledged and is gone", path)
			}
		}
		for i := range 50 {
			path, err := conn.Create(fmt.Sprintf("/n-%d-%d", round, i), []byte("v"), 0, open)
			must(t, err)
			want = append(want, path)
		}
		if code := p.signal(syscall.SIGKILL); code != -1 {
			t.Fatalf("a killed server exits with code %d", code)
		}
		conn.Close()
	}
}

func TestDefaultServer(t *testing.T) {
	port, addr := freePort(t)
	dir := t.TempDir()
	p := serve(t, dir, addr, "-D", "clientPort="+port)
	conn := connect(t, addr)
	_, err := conn.Create("/n", nil, 0, open)
	must(t, err)
	conn.Close()
	eventually(t, "a word of welcome", func() error {
		if out := p.output.String(); !strings.Contains(out, "listens on "+addr) || !strings.Contains(out, filepath.Join(dir, "zabkeeper-data")) {
			return errors.New("none")
		}
		return nil
	})
	if code := p.signal(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "zabkeeper-data", "zabkeeper", "log")); err != nil {
		t.Errorf("the data is not where it was promised: %v", err)
	}
	p = serve(t, dir, addr, "-D", "clientPort="+port, "--data-dir", filepath.Join(dir, "other"))
	if ok, _, err := connect(t, addr).Exists("/n"); ok || err != nil {
		t.Errorf("--data-dir is not honoured: /n exists %v (%v)", ok, err)
	}
	p.signal(syscall.SIGTERM)
}

func TestFlagsOfTheEnvironmentCount(t *testing.T) {
	port, addr := freePort(t)
	file, _ := zooCfg(t, port)
	p := launch(t, t.TempDir(), addr, environment("SERVER_JVMFLAGS=-Xmx1g -Dzookeeper.4lw.commands.whitelist=ruok"),
		binary, "server", file)
	if got := word(addr, "ruok"); got != "imok" {
		t.Errorf("ruok answers %q though SERVER_JVMFLAGS allows it", got)
	}
	if got := word(addr, "stat"); !strings.Contains(got, "not in the whitelist") {
		t.Errorf("stat answers %q though SERVER_JVMFLAGS does not list it", got)
	}
	if out := p.output.String(); !strings.Contains(out, "SERVER_JVMFLAGS") {
		t.Error("the log does not tell where the setting came from")
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		r := run(t, arg)
		if r.code != 0 || !strings.HasPrefix(r.stdout, "zabkeeper ") || !strings.Contains(r.stdout, "protocol of ZooKeeper 3.9.") || strings.Count(r.stdout, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", arg, r.code, r.stdout)
		}
	}
}

func TestBench(t *testing.T) {
	port, addr := freePort(t)
	file, _ := zooCfg(t, port)
	serve(t, t.TempDir(), addr, file)
	r := run(t, "bench", "--servers", addr, "--loads", "set:2x4,mix:2x2", "--keys", "10", "--warmup", "50ms", "--duration", "200ms", "--json")
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(lines) != 2 {
		t.Fatalf("exit code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	for i, workload := range []string{"set", "mix"} {
		var got struct {
			Workload         string
			Sessions, Errors int
			Rate             float64 `json:"ops_per_second"`
		}
		must(t, json.Unmarshal([]byte(lines[i]), &got))
		if got.Workload != workload || got.Sessions != 2 || got.Errors != 0 || got.Rate <= 0 {
			t.Errorf("load %d: %s", i, lines[i])
		}
	}
	r = run(t, "bench", "gap", "--servers", addr, "--duration", "300ms")
	var writes, lost int
	if _, err := fmt.Sscanf(r.stdout, "%d writes, %d connections lost", &writes, &lost); err != nil || r.code != 0 || writes == 0 || lost != 0 {
		t.Errorf("gap: exit code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	r = run(t, "bench", "load", "--servers", addr, "--nodes", "2500", "--size", "10")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "2500 nodes of 10 bytes in ") {
		t.Errorf("load: exit code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	if got := word(addr, "srvr"); !strings.Contains(got, "Node count: 2") {
		t.Errorf("after the load srvr answers %q, want some 2500 nodes", got)
	}
}

func TestBenchWatch(t *testing.T) {
	port, addr := freePort(t)
	file, _ := zooCfg(t, port)
	p := serve(t, t.TempDir(), addr, file)
	for _, mode := range []string{"data", "persistent", "recursive"} {
		r := run(t, "bench", "watch", "--servers", addr, "--mode", mode, "--sessions", "5", "--paths", "1500", "--rounds", "3",
			"--idle", "20ms", "--pid", fmt.Sprint(p.cmd.Process.Pid), "--json")
		var got struct {
			Watches int
			Last    []float64          `json:"last_event_ms"`
			Reads   map[string]float64 `json:"reads_meanwhile"`
		}
		if r.code != 0 {
			t.Fatalf("%s: exit code %d, %q %q", mode, r.code, r.stdout, r.stderr)
		}
		must(t, json.Unmarshal([]byte(r.stdout), &got))
		if got.Watches != 7500 || len(got.Last) != 3 || got.Last[0] <= 0 || got.Reads["max_ms"] <= 0 {
			t.Errorf("%s: %s", mode, r.stdout)
		}
	}
	r := run(t, "bench", "watch", "--servers", addr, "--own", "--sessions", "3", "--paths", "5000")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "15000 watches set in ") {
		t.Errorf("exit code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	if r := run(t, "bench", "watch", "--mode", "sometimes"); r.code == 0 {
		t.Errorf("an unknown mode is accepted: %q", r.stdout)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{
		{"serve"},
		{"server", "a.cfg", "b.cfg"},
		{"server", "--no-such-flag"},
		{"server", "--log-level", "loud"},
		{"version", "please"},
		{"bench", "everything"},
		{"bench", "--loads", ""},
		{"bench", "--loads", "set"},
		{"bench", "--loads", "set:1x"},
		{"bench", "--loads", "set:1x1y"},
		{"bench", "--loads", "set:0x1"},
		{"bench", "--loads", "dance:1x1"},
		{"bench", "gap", "now"},
		{"bench", "load", "--nodes", "many"},
	} {
		r := run(t, args...)
		if r.code != 2 || r.stdout != "" || !strings.HasPrefix(r.stderr, "zabkeeper: ") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q, want code 2 and one line", args, r.code, r.stdout, r.stderr)
		}
	}
	if r := run(t, "bench", "--servers", "127.0.0.1:1", "--loads", "set:1x1", "--session-timeout", "300ms"); r.code != 1 {
		t.Errorf("a bench without a server: exit code %d, want 1; %q", r.code, r.stderr)
	}
	if r := run(t); r.code != 0 || !strings.Contains(r.stdout, "server") {
		t.Errorf("without arguments: exit code %d, %q", r.code, r.stdout)
	}
}

// A disk that takes no more bytes ends the server with one clear line, and nothing that was
// acknowledged is lost. The limit on the size of files stands for the end of the disk.
func TestFullDisk(t *testing.T) {
	port, addr := freePort(t)
	file, dataDir := zooCfg(t, port)
	p := launch(t, t.TempDir(), addr, environment(), "bash", "-c", `ulimit -f 2048; exec "$0" server "$1"`, binary, file)
	conn := connect(t, addr)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	var kept []string
	for i := range 2000 {
		path, err := conn.Create(fmt.Sprintf("/n-%d", i), data, 0, open)
		if err != nil {
			break
		}
		kept = append(kept, path)
	}
	conn.Close()
	if len(kept) == 0 || len(kept) == 2000 {
		t.Fatalf("%d nodes were acknowledged, want some: the limit must be hit", len(kept))
	}
	if code := p.exit(); code <= 0 {
		t.Errorf("exit code %d, want an error's", code)
	}
	out := p.output.String()
	if !strings.Contains(out, "fatal: this server stops to keep its promises") || !strings.Contains(out, dataDir) ||
		!strings.Contains(out, "file too large") || strings.Contains(out, "goroutine ") {
		t.Error("the end is not told in a clear line")
	}
	serve(t, t.TempDir(), addr, file)
	conn = connect(t, addr)
	for _, path := range kept {
		if got, _, err := conn.Get(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s, which was acknowledged: %d bytes, %v", path, len(got), err)
		}
	}
}
