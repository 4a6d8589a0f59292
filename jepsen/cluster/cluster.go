package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Config describes an ensemble.
type Config struct {
	Dir     string // existing directory for everything, one sub-directory a server
	Servers int    // 1 starts a standalone server
	Launch  Launch

	Observers int // so many of the servers, the last ones, do not vote

	// Changeable makes an ensemble whose members can be changed while it runs, by the super user
	// (see Super): the entries of the servers name where their clients connect, as such changes
	// demand. Spares are so many further servers, numbered behind the others, which are in no list
	// and do not run before Enlist.
	Changeable bool
	Spares     int

	Tick      time.Duration // tickTime, default 500 ms
	InitLimit int           // ticks, default 20
	SyncLimit int           // ticks, default 5
	// Extra lines of zoo.cfg.
	Extra map[string]string

	// Host returns the address that server id listens on, and that the others and the clients
	// reach it at. Nil: all are on 127.0.0.1.
	Host func(id int) string
	// Thread, if not nil, is called before a process of server id is started, on the thread that
	// starts it. What it makes of that thread (its namespaces, its filters of system calls) the
	// process has too. The thread is used for nothing else and ends after the process.
	Thread func(id int) error
}

// Cluster is an ensemble of processes. Servers are numbered from 1.
type Cluster struct {
	cfg     Config
	servers []*server
}

// New writes the files of an ensemble. Nothing is started.
func New(cfg Config) (*Cluster, error) {
	if n := cfg.Servers + cfg.Spares; cfg.Servers < 1 || cfg.Spares < 0 || n > 9 {
		return nil, fmt.Errorf("cluster: %d servers and %d spares, want 1 to 9", cfg.Servers, cfg.Spares)
	}
	if cfg.Spares > 0 && !cfg.Changeable {
		return nil, errors.New("cluster: spares need an ensemble that can be changed")
	}
	if len(cfg.Launch.Argv) == 0 {
		return nil, errors.New("cluster: no command to launch")
	}
	if cfg.Tick == 0 {
		cfg.Tick = 500 * time.Millisecond
	}
	if cfg.InitLimit == 0 {
		cfg.InitLimit = 20
	}
	if cfg.SyncLimit == 0 {
		cfg.SyncLimit = 5
	}
	if cfg.Host == nil {
		cfg.Host = func(int) string { return "127.0.0.1" }
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	cfg.Dir = dir
	ports, err := freePorts(portsPerServer * (cfg.Servers + cfg.Spares))
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg}
	for i := range cfg.Servers + cfg.Spares {
		s := &server{
			id: i + 1, dir: filepath.Join(dir, fmt.Sprintf("server%d", i+1)), launch: cfg.Launch, thread: cfg.Thread,
			host: cfg.Host(i + 1), ports: [portsPerServer]int(ports[portsPerServer*i:]), idle: i >= cfg.Servers,
			movable: cfg.Changeable,
		}
		if cfg.Changeable {
			s.before = func() error { return c.readmit(s) }
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		if err := s.write(cfg, c.list()); err != nil {
			return nil, fmt.Errorf("cluster: server %d: %w", s.id, err)
		}
	}
	return c, nil
}

// list returns the entries of the ensemble as it begins, nil for a standalone server.
func (c *Cluster) list() []string {
	if c.cfg.Servers == 1 && !c.cfg.Changeable {
		return nil
	}
	out := make([]string, c.cfg.Servers)
	for i := range out {
		out[i] = c.Entry(i+1, c.observes(i+1), false)
	}
	return out
}

// observes reports whether a server is an observer in the ensemble as it begins, or to begin with.
func (c *Cluster) observes(id int) bool { return id > c.cfg.Servers-c.cfg.Observers }

// write writes the files of a server that does not run: its configuration with the entries of the
// list, and who it is.
func (s *server) write(cfg Config, list []string) error {
	data := s.data()
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tickTime=%d\ninitLimit=%d\nsyncLimit=%d\ndataDir=%s\n", cfg.Tick.Milliseconds(), cfg.InitLimit, cfg.SyncLimit, data)
	if !cfg.Changeable {
		fmt.Fprintf(&b, "clientPort=%d\nclientPortAddress=%s\n", s.ports[clientPort], s.host)
	}
	b.WriteString("maxClientCnxns=0\n4lw.commands.whitelist=*\nadmin.enableServer=false\n")
	extra := maps.Clone(cfg.Extra)
	if cfg.Changeable {
		extra = changeable(extra)
	}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		fmt.Fprintf(&b, "%s=%s\n", key, extra[key])
	}
	if list != nil {
		b.WriteString(strings.Join(list, "\n") + "\n")
		if s.idle || s.id > cfg.Servers-cfg.Observers {
			b.WriteString("peerType=observer\n")
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Appendln(nil, s.id), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(s.cfg(), []byte(b.String()), 0o644)
}

// IDs returns the numbers of the servers, without those that are idle.
func (c *Cluster) IDs() []int {
	var ids []int
	for _, s := range c.servers {
		if !s.isIdle() {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// All returns the numbers of all servers that there are or may be.
func (c *Cluster) All() []int {
	ids := make([]int, len(c.servers))
	for i, s := range c.servers {
		ids[i] = s.id
	}
	return ids
}

// Addr returns where server id serves clients. Of one whose client port was moved it is where it was
// found last.
func (c *Cluster) Addr(id int) string { return c.servers[id-1].addr() }

// Addrs returns where the servers serve clients to begin with, idle ones too.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.servers))
	for i, s := range c.servers {
		addrs[i] = s.addrs()[0]
	}
	return addrs
}

// LogFile returns the file that everything server id prints goes to.
func (c *Cluster) LogFile(id int) string { return c.servers[id-1].logFile() }

// DataDir returns the dataDir of server id. It holds nothing but what the server put there, and its
// myid.
func (c *Cluster) DataDir(id int) string { return c.servers[id-1].data() }

// PID returns the process of server id, 0 when it does not run.
func (c *Cluster) PID(id int) int { return c.servers[id-1].running() }

// Running reports whether server id has a process, a paused one too.
func (c *Cluster) Running(id int) bool { return c.PID(id) != 0 }

// Excuse makes the end of the present process of server id no surprise, whether it has ended
// already or ends later: what was done to it must end it.
func (c *Cluster) Excuse(id int) { c.servers[id-1].excuse() }

// Start starts server id; nothing happens when it runs, or is idle.
func (c *Cluster) Start(id int) error { return c.servers[id-1].start() }

// StartAll starts every server that does not run and is not idle.
func (c *Cluster) StartAll() error {
	errs := make([]error, 0, len(c.servers))
	for _, s := range c.servers {
		errs = append(errs, s.start())
	}
	return errors.Join(errs...)
}

// Kill ends server id by SIGKILL and waits until it is gone.
func (c *Cluster) Kill(id int) error { return c.servers[id-1].kill() }

// KillAll sends SIGKILL to all servers before it waits for any.
func (c *Cluster) KillAll() error {
	errs := make([]error, 0, 2*len(c.servers))
	for _, s := range c.servers {
		_, err := s.signal(syscall.SIGKILL, true)
		errs = append(errs, err)
	}
	for _, s := range c.servers {
		errs = append(errs, s.kill())
	}
	return errors.Join(errs...)
}

// Terminate ends server id by SIGTERM; one that has not ended after the patience is killed, and
// that is an error.
func (c *Cluster) Terminate(id int, patience time.Duration) error {
	return c.servers[id-1].terminate(patience)
}

// Pause stops server id by SIGSTOP: it keeps its connections and says nothing. When Pause returns
// it has stopped, where that can be known.
func (c *Cluster) Pause(id int) error {
	p, err := c.servers[id-1].signal(syscall.SIGSTOP, false)
	if p == nil {
		return err
	}
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for range int(stopLimit / time.Millisecond) {
		if p.ended() || stopped(p.pid) {
			return nil
		}
		<-t.C
	}
	return fmt.Errorf("cluster: server %d has not stopped within %v", id, stopLimit)
}

// Resume lets server id go on after Pause.
func (c *Cluster) Resume(id int) error {
	_, err := c.servers[id-1].signal(syscall.SIGCONT, false)
	return err
}

// Surprises returns an error that names every end of a server that nobody asked for, nil when
// there was none.
func (c *Cluster) Surprises() error {
	errs := make([]error, 0, len(c.servers))
	for _, s := range c.servers {
		errs = append(errs, s.all())
	}
	return errors.Join(errs...)
}

// Status asks server id about itself. A server that is up without serving gives ErrNotServing.
func (c *Cluster) Status(ctx context.Context, id int) (Status, error) {
	text, err := c.servers[id-1].ask(ctx, "srvr")
	if err != nil {
		return Status{}, fmt.Errorf("cluster: server %d: %w", id, err)
	}
	s, err := parseStatus(text)
	if err != nil {
		return s, fmt.Errorf("cluster: server %d: %w", id, err)
	}
	return s, nil
}

// Leader returns the server that says it leads, 0 when none does. A paused server is not asked.
func (c *Cluster) Leader(ctx context.Context) int {
	for _, s := range c.servers {
		s.mu.Lock()
		skip := s.paused || s.proc == nil || s.proc.ended()
		s.mu.Unlock()
		if skip {
			continue
		}
		if st, err := c.Status(ctx, s.id); err == nil && (st.Mode == "leader" || st.Mode == "standalone") {
			return s.id
		}
	}
	return 0
}

// stopLimit bounds the wait for a process to stop: a disk that is slow to sync can hold it up.
const stopLimit = 10 * time.Second

// pollEvery is how often a condition is looked at.
const pollEvery = 50 * time.Millisecond

// WaitServing waits until all the named servers serve clients, all that are not idle without names.
func (c *Cluster) WaitServing(ctx context.Context, ids ...int) error {
	if len(ids) == 0 {
		ids = c.IDs()
	}
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for _, id := range ids {
		for {
			_, err := c.Status(ctx, id)
			if err == nil {
				break
			}
			if ended := c.servers[id-1].ended(); ended != nil {
				return ended
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("cluster: server %d does not serve: %w (%w)", id, err, ctx.Err())
			case <-t.C:
			}
		}
	}
	return nil
}

// Close kills every process and waits for their ends. The files stay.
func (c *Cluster) Close() error { return c.KillAll() }
