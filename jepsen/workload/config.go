package workload

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// config has clients that know the ensemble by its own list of servers alone: they watch /zookeeper/config, look
// again when an event tells them to, connect to whom it names from then on, and leave a server that it does not name
// any more. Meanwhile each uses a register of its own.
type config struct {
	clients int

	mu   sync.Mutex
	last []*configWatcher
}

// configWatcher is a client's view, which outlives the run.
type configWatcher struct {
	c       *client
	changed <-chan zk.Event // nil: there is no watch
	seen    string          // the list as it was last seen
	version int32           // of the register, as it was last seen
}

const configRoot = "/config"

// Name implements Workload.
func (g *config) Name() string { return "config" }

// Paths implements Workload.
func (g *config) Paths() []string { return []string{configRoot} }

// Setup implements Workload.
func (g *config) Setup(s *Session, _ *Env) error {
	if err := ensure(s, "", configRoot); err != nil {
		return err
	}
	for i := range g.clients {
		if err := ensure(s, check.RegisterInit, configKey(i)); err != nil {
			return err
		}
	}
	return nil
}

func configKey(client int) string { return fmt.Sprintf("%s/c%d", configRoot, client) }

// Run implements Workload.
func (g *config) Run(ctx context.Context, env *Env) {
	spawn(env, g.Name(), g.clients, func(c *client) {
		w := &configWatcher{c: c}
		for n := 0; c.pace(ctx); n++ {
			w.step(n)
		}
		g.mu.Lock()
		g.last = append(g.last, w)
		g.mu.Unlock()
	})
}

// step looks at the list, if an event says that it has changed since, or uses the register.
func (w *configWatcher) step(n int) {
	if w.c.session != nil && w.c.session.Dead() {
		w.changed = nil
	}
	if w.c.live() != nil {
		return
	}
	if w.changed == nil {
		w.view()
		return
	}
	select {
	case <-w.changed:
		w.changed = nil
		return
	default:
	}
	key := configKey(w.c.number)
	var o check.Op
	switch w.c.rand.IntN(4) {
	case 0:
		o = w.c.do(w.c.op(check.KindGet, key), w.c.get)
	case 1:
		o = w.c.do(w.c.op(check.KindSyncGet, key), w.c.syncGet)
	default:
		o = w.c.op(check.KindCAS, key)
		o.Value, o.Expect = fmt.Sprintf("%d.%d", w.c.number, n), w.version
		o = w.c.do(o, w.c.set)
	}
	if o.Outcome == check.OK {
		w.version = o.Stat.Version
	}
}

// view reads the list, leaves a watch, and goes by what the list says.
func (w *configWatcher) view() bool {
	s := w.c.session
	o := w.c.do(w.c.op(check.KindConfig, ConfigPath), func(o *check.Op) error {
		data, st, changed, err := s.conn.GetW(ConfigPath)
		if err != nil {
			return err
		}
		all := stat(st)
		o.Value, w.changed = string(data), changed
		o.Stat = check.Stat{Czxid: all.Czxid, Mzxid: all.Mzxid, Version: all.Version, DataLength: all.DataLength}
		return nil
	})
	if o.Outcome != check.OK {
		return false
	}
	w.seen = o.Value
	if servers := clientAddrs(o.Value); len(servers) > 0 {
		s.follow(servers)
	}
	return true
}

// clientAddrs returns where the servers of a list serve clients, as far as it says so.
func clientAddrs(list string) []string {
	e, err := quorum.ParseEnsemble(list)
	if err != nil {
		return nil
	}
	var out []string
	for _, m := range e.Members() {
		if m.Client == nil {
			continue
		}
		if ip, err := netip.ParseAddr(m.Client.Host); err == nil && ip.IsUnspecified() {
			continue
		}
		out = append(out, m.Client.String())
	}
	return out
}

// follow lets the session go by a new list of servers. When the present one is not among them the connection ends.
func (s *Session) follow(servers []string) {
	s.hosts.use(servers)
	s.state.mu.Lock()
	stay := slices.Contains(servers, s.state.server)
	s.state.mu.Unlock()
	if stay {
		return
	}
	s.mu.Lock()
	raw := s.raw
	s.mu.Unlock()
	raw.Close() // the library finds another one
}

// Held implements Workload. Now that nothing changes, each client tells which list it knows. Behind the answer to a
// sync it has been told of every change.
func (g *config) Held(*Env) {
	for _, w := range g.last {
		w.settle()
		if w.c.session != nil {
			w.c.session.Close()
		}
	}
}

// settle lets a client follow its events up to the present and records what it has come to.
func (w *configWatcher) settle() {
	for range settleRounds {
		if w.c.session == nil || w.c.session.Dead() || w.changed == nil {
			return // it has no view, and makes no claim
		}
		if _, err := w.c.session.conn.Sync(ConfigPath); err != nil {
			return
		}
		select {
		case e := <-w.changed:
			w.changed = nil
			if e.Type != zk.EventNodeDataChanged || !w.view() {
				return
			}
		default:
			o := w.c.op(check.KindKnown, ConfigPath)
			o.Value = w.seen
			w.c.do(o, func(*check.Op) error { return nil })
			return
		}
	}
}
