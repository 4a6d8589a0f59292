package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/server/node"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// alterable is the directory of one server that may get others beside it.
type alterable struct {
	t    *testing.T
	dir  string
	disk *vfs.MemFS
}

// start runs the server by its file, at ports that it names.
func (a *alterable) start() (*running, *zk.Conn) {
	a.t.Helper()
	text, err := os.ReadFile(a.file(""))
	must(a.t, err)
	c, err := conf.Load(conf.Input{
		Name: a.file(""), Text: text,
		ReadFile: func(name string) ([]byte, error) {
			if filepath.Base(name) == "myid" {
				return []byte("1\n"), nil
			}
			return os.ReadFile(name)
		},
	})
	must(a.t, err)
	n := start(a.t, node.Config{Conf: c, FS: a.disk})
	conn, events, err := zk.Connect([]string{n.ClientAddr().String()}, 10_000_000_000, zk.WithLogger(silent{}))
	must(a.t, err)
	a.t.Cleanup(conn.Close)
	for ev := range events {
		if ev.State == zk.StateHasSession {
			break
		}
	}
	must(a.t, conn.AddAuth("digest", []byte("super:admin")))
	return n, conn
}

func (a *alterable) file(suffix string) string { return filepath.Join(a.dir, "zoo.cfg"+suffix) }

// holds waits until a file has this content; "" stands for no file.
func (a *alterable) holds(path, want string) {
	a.t.Helper()
	zktest.Eventually(a.t, filepath.Base(path), func() error {
		got, err := os.ReadFile(path)
		if string(got) != want || (err == nil) != (want != "") {
			return fmt.Errorf("%q, %w, want %q", got, err, want)
		}
		return nil
	})
}

// TestDynamicFiles follows spec operations 1.6: the list of the members moves to a file with the version in
// its name, for each version one, and the configuration file names it in its last line (hazard H-80).
func TestDynamicFiles(t *testing.T) {
	a := &alterable{t: t, dir: t.TempDir(), disk: vfs.NewCrashableMem()}
	l := reserveServers(t, 1)[0]
	for _, l := range l {
		must(t, l.Close())
	}
	own := fmt.Sprintf("server.1=127.0.0.1:%s:%s:participant;127.0.0.1:%s", port(l[1]), port(l[2]), port(l[0]))
	common := "# ours\ntickTime=200\ninitLimit=50\nsyncLimit=10\ndataDir=/data\nreconfigEnabled=true\nstandaloneEnabled=false\n" +
		"DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n"
	static := common + own + "\n"
	must(t, os.WriteFile(a.file(""), []byte(static), 0o600))

	n, conn := a.start()
	a.holds(a.file(".dynamic.100000000"), own)
	a.holds(a.file(""), common+"dynamicConfigFile="+a.file(".dynamic.100000000")+"\n")
	a.holds(a.file(".bak"), static)
	a.holds(a.file(".dynamic.next"), "")

	other := "server.2=127.0.0.2:1:2:observer;127.0.0.2:3"
	stat, err := conn.IncrementalReconfig([]string{other}, nil, 1<<32)
	must(t, err)
	second := fmt.Sprintf(".dynamic.%x", stat.Mzxid)
	a.holds(a.file(second), own+"\n"+other)
	a.holds(a.file(""), common+"dynamicConfigFile="+a.file(second)+"\n")
	a.holds(a.file(".bak"), static)
	n.stop()

	// The rewritten file starts the same server, and what it says is what the log says.
	n, conn = a.start()
	data, _, err := conn.Get("/zookeeper/config")
	must(t, err)
	if want := own + "\n" + other + fmt.Sprintf("\nversion=%x", stat.Mzxid); string(data) != want {
		t.Errorf("after a restart %q, want %q", data, want)
	}
	n.stop()

	// A file from before counts for nothing: the log knows better (hazard H-83).
	must(t, os.WriteFile(a.file(""), []byte(static), 0o600))
	_, conn = a.start()
	again, _, err := conn.Get("/zookeeper/config")
	must(t, err)
	if string(again) != string(data) {
		t.Errorf("by the old file %q, want %q", again, data)
	}
	a.holds(a.file(""), common+"dynamicConfigFile="+a.file(second)+"\n")
	if left, _ := filepath.Glob(a.file("*.new*")); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, " "))
	}
}

// A directory that cannot be written keeps nobody from being reconfigured.
func TestDynamicFilesCannotBeWritten(t *testing.T) {
	a := &alterable{t: t, dir: t.TempDir(), disk: vfs.NewCrashableMem()}
	l := reserveServers(t, 1)[0]
	for _, l := range l {
		must(t, l.Close())
	}
	static := fmt.Sprintf("tickTime=200\ninitLimit=50\nsyncLimit=10\ndataDir=/data\nreconfigEnabled=true\nstandaloneEnabled=false\n"+
		"DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n"+
		"server.1=127.0.0.1:%s:%s:participant;127.0.0.1:%s\n", port(l[1]), port(l[2]), port(l[0]))
	must(t, os.WriteFile(a.file(""), []byte(static), 0o600))
	must(t, os.Mkdir(a.file(".dynamic.100000000"), 0o700)) // in the way, also of root
	n, conn := a.start()
	stat, err := conn.IncrementalReconfig([]string{"server.2=127.0.0.2:1:2:observer;127.0.0.2:3"}, nil, -1)
	must(t, err)
	a.holds(a.file(fmt.Sprintf(".dynamic.%x", stat.Mzxid)), strings.Split(static, "\n")[7]+"\nserver.2=127.0.0.2:1:2:observer;127.0.0.2:3")
	n.stop()
	if info, err := os.Stat(a.file(".dynamic.100000000")); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}
