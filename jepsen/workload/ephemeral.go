package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// ephemeral opens sessions that register nodes, look at them for a while, and then close or fall
// silent. The last session of each client is kept over the final walks. An observer looks at the
// nodes of all of them.
type ephemeral struct {
	clients int
	root    string // of its nodes

	mu    sync.Mutex
	seen  []string // nodes to look at, newest last
	held  []*client
	nodes map[*client][]string // what the held sessions registered
}

// nodesPerSession and recentNodes bound what a session registers and the observer looks at.
const (
	nodesPerSession = 3
	recentNodes     = 12
	looks           = 10 // of a session at its own nodes
)

// Name implements Workload.
func (e *ephemeral) Name() string { return "ephemeral" }

// Paths implements Workload.
func (e *ephemeral) Paths() []string { return []string{e.root} }

// Setup implements Workload.
func (e *ephemeral) Setup(s *Session, _ *Env) error { return ensure(s, "", e.root) }

// Run implements Workload.
func (e *ephemeral) Run(ctx context.Context, env *Env) {
	var wg sync.WaitGroup
	wg.Go(func() { spawn(env, e.Name()+"-observer", 1, func(c *client) { e.observe(ctx, c) }) })
	e.members(ctx, env, e.Name())
	wg.Wait()
}

// members lets sessions come and go until ctx ends.
func (e *ephemeral) members(ctx context.Context, env *Env, name string) {
	e.nodes = map[*client][]string{}
	spawn(env, name, e.clients, func(c *client) {
		for round := 0; ; round++ {
			if !e.round(ctx, c, round) {
				return
			}
		}
	})
}

// round lives through one session. It is false when ctx has ended and the session is kept.
func (e *ephemeral) round(ctx context.Context, c *client, round int) bool {
	if c.live() != nil {
		return c.pace(ctx)
	}
	var mine []string
	for i := range nodesPerSession {
		path := fmt.Sprintf("%s/%d-%d-%d", e.root, c.number, round, i)
		if e.register(c, path) {
			mine = append(mine, path)
		}
	}
	for n := range looks {
		if !c.pace(ctx) {
			e.keep(c, mine)
			return false
		}
		if c.session.Dead() {
			break
		}
		if len(mine) > 0 {
			c.own(mine[n%len(mine)])
		}
	}
	if c.session.Dead() || c.rand.IntN(2) == 0 {
		c.endSession()
		return true
	}
	s := c.session
	c.do(c.op(check.KindEnd, ""), func(*check.Op) error {
		s.Abandon()
		return zk.ErrConnectionClosed // nobody knows when it will be over
	})
	c.session = nil
	return true
}

// register creates one ephemeral node.
func (e *ephemeral) register(c *client, path string) bool {
	o := c.op(check.KindRegister, "")
	o.Path = path
	o = c.do(o, func(*check.Op) error {
		_, err := c.session.conn.Create(path, nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
		return err
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, path)
	e.seen = e.seen[max(0, len(e.seen)-recentNodes):]
	return o.Outcome == check.OK
}

// own looks at a node of the client's own session.
func (c *client) own(path string) {
	o := c.op(check.KindOwn, "")
	o.Path = path
	c.do(o, c.look)
}

func (c *client) look(o *check.Op) error {
	ok, st, err := c.session.conn.Exists(o.Path)
	if err != nil {
		return err
	}
	if o.Found = ok; ok {
		o.Owner = st.EphemeralOwner
	}
	return nil
}

// observe looks at the nodes of others, after a sync.
func (e *ephemeral) observe(ctx context.Context, c *client) {
	for c.pace(ctx) {
		e.mu.Lock()
		path := ""
		if len(e.seen) > 0 {
			path = e.seen[c.rand.IntN(len(e.seen))]
		}
		e.mu.Unlock()
		if path == "" || c.live() != nil {
			continue
		}
		o := c.op(check.KindObserve, "")
		o.Path = path
		c.do(o, func(o *check.Op) error {
			generation := c.session.generation()
			if _, err := c.session.conn.Sync("/"); err != nil {
				return err
			}
			if err := c.look(o); err != nil {
				return err
			}
			if c.session.generation() != generation {
				o.Kind = check.KindOther
			}
			return nil
		})
	}
	if c.session != nil {
		c.session.Close()
	}
}

func (e *ephemeral) keep(c *client, nodes []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = append(e.held, c)
	e.nodes[c] = nodes
}

// Kept returns the sessions that stay over the final walks.
func (e *ephemeral) Kept() []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]int64, len(e.held))
	for i, c := range e.held {
		ids[i] = c.session.ID()
	}
	return ids
}

// Held implements Workload.
func (e *ephemeral) Held(*Env) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.held {
		for _, path := range e.nodes[c] {
			c.own(path)
			wait(context.Background(), time.Millisecond) // one after the other on the clock, too
		}
		c.endSession()
	}
}
