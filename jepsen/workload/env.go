package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// Env is what every workload works in.
type Env struct {
	Servers  []string
	Recorder *Recorder
	Timeout  time.Duration // of sessions
	Seed     uint64
	Pace     time.Duration // mean time between two operations of one client
	Duration time.Duration // of the run, for sizing

	mu   sync.Mutex
	open []*Session // of all clients
	over bool       // no client gets another one
}

// Abandon lets go of every session of the clients, so that operations under way end with an
// unknown outcome. A call of the library waits as long as it takes: of servers that serve nobody
// any more, for ever. No client can open a session after that.
func (e *Env) Abandon() {
	e.mu.Lock()
	sessions := slices.Clone(e.open)
	e.over = true
	e.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(s.Abandon)
	}
	wg.Wait()
}

// track notes an open session for Abandon; false when that has been called.
func (e *Env) track(s *Session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = append(slices.DeleteFunc(e.open, (*Session).Dead), s)
	return !e.over
}

// Workload is one kind of use. A workload is used once.
type Workload interface {
	// Name is the name by which it is asked for.
	Name() string
	// Setup creates what its clients need, before any fault.
	Setup(s *Session, env *Env) error
	// Run drives its clients until ctx ends and returns when they have ended.
	Run(ctx context.Context, env *Env)
	// Held proves once more that the sessions that it keeps over the final walks live, and then
	// closes them. It is called when the walks are done.
	Held(env *Env)
	// Paths are the nodes under which it works.
	Paths() []string
}

// All names every workload, as New takes them.
const All = "register,pipeline,append,lock,ephemeral,bank,queue,latch,membership,watch,move,config"

// New returns the workloads of a comma-separated list of names.
func New(list string) ([]Workload, error) {
	var out []Workload
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "register":
			out = append(out, &register{clients: 4})
		case "pipeline":
			out = append(out, &pipeline{clients: 1})
		case "append":
			out = append(out, &appender{clients: 2})
		case "lock":
			out = append(out, &lock{clients: 3, locks: 1})
		case "ephemeral":
			out = append(out, &ephemeral{clients: 2, root: "/ephemeral"})
		case "bank":
			out = append(out, &bank{clients: 2, accounts: 5})
		case "queue":
			out = append(out, &queue{producers: 1, consumers: 2})
		case "latch":
			out = append(out, &latch{clients: 2})
		case "membership":
			out = append(out, newMembership())
		case "watch":
			out = append(out, &watching{writers: 2, watchers: 1})
		case "move":
			out = append(out, &move{clients: 1})
		case "config":
			out = append(out, &config{clients: 2})
		default:
			return nil, fmt.Errorf("workload: unknown workload %q, want some of %s", name, All)
		}
	}
	return out, nil
}

// client is one goroutine's share of a workload.
type client struct {
	env     *Env
	name    string
	number  int
	rand    *rand.Rand
	session *Session
	opened  uint64
}

// spawn runs n clients and waits for them.
func spawn(env *Env, name string, n int, run func(c *client)) {
	var wg sync.WaitGroup
	for i := range n {
		c := &client{env: env, name: name, number: i, rand: rand.New(rand.NewPCG(env.Seed, hash(name)+uint64(i)))}
		wg.Go(func() { run(c) })
	}
	wg.Wait()
}

// hash tells names apart for the seeds of their clients.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// op returns an operation of the client to be filled.
func (c *client) op(k check.Kind, key string) check.Op {
	return check.Op{Workload: c.name, Client: c.number, Kind: k, Key: key}
}

// do runs one operation in the client's session.
func (c *client) do(o check.Op, f func(o *check.Op) error) check.Op {
	return c.session.do(c.env.Recorder, o, f)
}

// live makes sure that the client has a session that was not expired.
func (c *client) live() error {
	if c.session != nil && !c.session.Dead() {
		return nil
	}
	if c.session != nil {
		c.session.Close()
	}
	c.opened++
	s, err := Open(c.env.Servers, c.env.Timeout, c.env.Seed^hash(c.name)^uint64(c.number)<<32^c.opened, c.env.Recorder)
	if err != nil {
		return err
	}
	c.session = s
	if !c.env.track(s) {
		s.Abandon()
		return errDead
	}
	return nil
}

// pace waits between operations; false when ctx has ended.
func (c *client) pace(ctx context.Context) bool {
	return wait(ctx, time.Duration(float64(c.env.Pace)*(0.5+c.rand.Float64())))
}

// wait waits for d; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ensure creates persistent nodes during set-up.
func ensure(s *Session, data string, paths ...string) error {
	for _, path := range paths {
		if _, err := s.conn.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll)); err != nil {
			return fmt.Errorf("workload: create %s: %w", path, err)
		}
	}
	return nil
}

// stat takes over a Stat of the library.
func stat(st *zk.Stat) check.Stat {
	if st == nil {
		return check.Stat{}
	}
	return check.Stat{
		Czxid: st.Czxid, Mzxid: st.Mzxid, Pzxid: st.Pzxid, Ctime: st.Ctime, Mtime: st.Mtime,
		Version: st.Version, Cversion: st.Cversion, Aversion: st.Aversion,
		EphemeralOwner: st.EphemeralOwner, DataLength: st.DataLength, NumChildren: st.NumChildren,
	}
}

// replyStat keeps of a reply what histories need.
func replyStat(st *zk.Stat) check.Stat {
	s := stat(st)
	return check.Stat{Czxid: s.Czxid, Mzxid: s.Mzxid, Version: s.Version, EphemeralOwner: s.EphemeralOwner}
}

// AwaitGone waits until no ephemeral node is left under the given parents, except those of the
// kept sessions, and returns those that are left when ctx ends.
func AwaitGone(ctx context.Context, s *Session, parents []string, kept []int64) []string {
	for {
		left := leftOver(s, parents, kept)
		if len(left) == 0 || !wait(ctx, 100*time.Millisecond) {
			return left
		}
	}
}

func leftOver(s *Session, parents []string, kept []int64) []string {
	if _, err := s.conn.Sync("/"); err != nil {
		return []string{"sync: " + err.Error()}
	}
	var left []string
	for _, p := range parents {
		children, _, err := s.conn.Children(p)
		if err != nil {
			return append(left, p+": "+err.Error())
		}
		for _, name := range children {
			ok, st, err := s.conn.Exists(p + "/" + name)
			if err != nil || ok && st.EphemeralOwner != 0 && !slices.Contains(kept, st.EphemeralOwner) {
				left = append(left, p+"/"+name)
			}
		}
	}
	return left
}
