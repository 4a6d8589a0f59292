package cluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
)

func changeable(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Servers: 2, Spares: 2, Changeable: true, Launch: launch()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func config(t *testing.T, c *cluster.Cluster, id int) (path, text string) {
	t.Helper()
	path = filepath.Join(filepath.Dir(c.LogFile(id)), "zoo.cfg")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(b)
}

func TestSparesAreEnlistedAndRetired(t *testing.T) {
	c := changeable(t)
	if got := c.IDs(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("servers %v", got)
	}
	if got := c.List(); got != c.Entry(1, false, false)+"\n"+c.Entry(2, false, false) || !strings.Contains(got, ":participant;127.0.0.1:") {
		t.Errorf("the list is %q", got)
	}
	if err := errors.Join(c.StartAll(), c.Start(3)); err != nil || c.Running(3) || c.Running(4) {
		t.Fatalf("idle servers run, or %v", err)
	}
	if err := errors.Join(c.Enlist(3, []string{c.Entry(1, false, false), c.Entry(3, false, true)}), c.Start(3)); err != nil {
		t.Fatal(err)
	}
	if got := c.IDs(); !slices.Equal(got, []int{1, 2, 3}) || !c.Running(3) || c.Enlist(3, nil) == nil {
		t.Errorf("servers %v after 3 was enlisted", got)
	}
	_, text := config(t, c, 3)
	if !strings.Contains(text, c.Entry(3, true, false)+"\n") || !strings.Contains(text, c.Entry(1, false, false)+"\n") || strings.Contains(text, "server.2=") || strings.Count(text, "server.3=") != 1 {
		t.Errorf("the configuration of one that joins is %q", text)
	}
	if err := c.Retire(3, 10*time.Second); err != nil || c.Running(3) || !slices.Equal(c.Idle(), []int{3, 4}) {
		t.Errorf("after 3 was retired %v are idle: %v", c.Idle(), err)
	}
	if err := c.Surprises(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Start(3), c.Enlist(3, nil)); err != nil || c.Running(3) {
		t.Errorf("an idle server was started: %v", err)
	}
	if _, again := config(t, c, 3); again != text {
		t.Errorf("one that comes back has the configuration %q, had %q", again, text)
	}
}

// No server starts from a list that it is not in: the list that it keeps gets it as an observer.
func TestAServerThatHasLeftIsReadmitted(t *testing.T) {
	c := changeable(t)
	path, text := config(t, c, 2)
	list := path + ".dynamic.100000007"
	kept := []byte(c.Entry(1, false, false) + "\n")
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "server.") {
			lines = append(lines, line)
		}
	}
	changed := strings.Join(lines, "") + "dynamicConfigFile=" + list + "\n"
	if err := errors.Join(os.WriteFile(list, kept, 0o644), os.WriteFile(path, []byte(changed), 0o644), c.Start(2)); err != nil {
		t.Fatal(err)
	}
	if _, got := config(t, c, 2); !strings.Contains(got, c.Entry(2, true, false)+"\n") || !strings.Contains(got, string(kept)) || strings.Contains(got, "dynamicConfigFile") {
		t.Errorf("the configuration is %q", got)
	}
	if _, got := config(t, c, 1); got == "" || c.Start(1) != nil {
		t.Error("server 1 does not start")
	}
	if _, got := config(t, c, 1); !strings.Contains(got, c.Entry(1, false, false)+"\n") {
		t.Errorf("the configuration of a member is %q", got)
	}
}

// A server is found at either of its client ports.
func TestStatusOfAMovedPort(t *testing.T) {
	c := changeable(t)
	first := c.Addr(1)
	path, text := config(t, c, 1)
	at := func(addr string) string {
		host, port, _ := strings.Cut(addr, ":")
		return text + "clientPortAddress=" + host + "\nclientPort=" + port + "\n" // what the fake server listens at
	}
	for _, addr := range []string{c.MovedAddr(1), first, c.MovedAddr(1)} {
		if err := errors.Join(c.Kill(1), os.WriteFile(path, []byte(at(addr)), 0o644), c.Start(1), c.WaitServing(t.Context(), 1)); err != nil {
			t.Fatal(err)
		}
		if got := c.Addr(1); got != addr {
			t.Errorf("found at %s, want %s", got, addr)
		}
	}
	if got := c.Addrs()[0]; got != first {
		t.Errorf("begins at %s, want %s", got, first)
	}
}

func TestRefusedSpares(t *testing.T) {
	for _, cfg := range []cluster.Config{
		{Servers: 3, Spares: 1}, {Servers: 8, Spares: 2, Changeable: true}, {Servers: 3, Spares: -1, Changeable: true},
	} {
		cfg.Dir, cfg.Launch = t.TempDir(), launch()
		if _, err := cluster.New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
