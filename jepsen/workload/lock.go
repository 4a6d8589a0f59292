package workload

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// lock is the recipe: an ephemeral sequential node per contender, the lowest one holds, the others
// wait for the one before them. A holder writes in a multi with a check of its own node.
type lock struct{ clients, locks int }

// patience is how many session timeouts a contender waits for its turn, and guards how often a
// holder writes.
const (
	lockPatience = 2
	guards       = 4
)

// Name implements Workload.
func (l *lock) Name() string { return "lock" }

// Paths implements Workload.
func (l *lock) Paths() []string {
	paths := make([]string, l.locks)
	for i := range paths {
		paths[i] = fmt.Sprintf("/lock/l%d", i)
	}
	return paths
}

// Setup implements Workload.
func (l *lock) Setup(s *Session, _ *Env) error {
	if err := ensure(s, "", "/lock", "/guarded"); err != nil {
		return err
	}
	for i, path := range l.Paths() {
		if err := ensure(s, "", path, fmt.Sprintf("/guarded/l%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (l *lock) Run(ctx context.Context, env *Env) {
	spawn(env, l.Name(), l.clients, func(c *client) {
		for n := 0; c.pace(ctx); n++ {
			if c.live() != nil {
				continue
			}
			if !l.round(ctx, c, c.rand.IntN(l.locks)) {
				// A node of ours may be left: it goes with the session.
				c.endSession()
			}
		}
		c.endSession()
	})
}

// endSession closes the client's session, if any, and records it.
func (c *client) endSession() {
	if c.session == nil {
		return
	}
	s := c.session
	o := c.op(check.KindEnd, "")
	c.do(o, func(*check.Op) error {
		if !s.Close() {
			return zk.ErrConnectionClosed
		}
		return nil
	})
	c.session = nil
}

// round takes the lock, uses it and gives it back. It is false when anything went wrong on the
// way.
func (l *lock) round(ctx context.Context, c *client, i int) bool {
	parent := l.Paths()[i]
	conn := c.session.conn
	path, err := conn.Create(parent+"/n-", nil, zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
	if err != nil {
		return false
	}
	if !c.await(ctx, parent, path) {
		return false
	}
	o := c.op(check.KindAcquire, parent)
	o.Path = path
	o = c.do(o, func(o *check.Op) error {
		ok, st, err := conn.Exists(path)
		if err != nil {
			return err
		}
		if !ok {
			return zk.ErrNoNode
		}
		o.Token, o.Owner = st.Czxid, st.EphemeralOwner
		return nil
	})
	if o.Outcome != check.OK {
		return false
	}
	for n := range guards {
		g := c.op(check.KindGuard, parent)
		g.Path, g.Token, g.Value = path, o.Token, fmt.Sprintf("%s.%d", path, n)
		if c.do(g, func(o *check.Op) error { return c.guard(o, fmt.Sprintf("/guarded/l%d", i)) }).Outcome != check.OK {
			return false
		}
		if !c.pace(ctx) {
			break
		}
	}
	return conn.Delete(path, -1) == nil
}

// guard writes as the holder of o.Path.
func (c *client) guard(o *check.Op, guarded string) error {
	answers, err := c.session.conn.Multi(
		&zk.CheckVersionRequest{Path: o.Path, Version: -1},
		&zk.SetDataRequest{Path: guarded, Data: []byte(o.Value), Version: -1},
	)
	if err != nil {
		return err
	}
	if len(answers) != 2 || answers[1].Stat == nil {
		return fmt.Errorf("workload: a multi of 2 answered with %d results", len(answers))
	}
	o.Stat = replyStat(answers[1].Stat)
	return nil
}

// await waits until path is the lowest node of the lock.
func (c *client) await(ctx context.Context, parent, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, lockPatience*c.env.Timeout)
	defer cancel()
	conn := c.session.conn
	mine := path[len(parent)+1:]
	for {
		names, _, err := conn.Children(parent)
		if err != nil {
			return false
		}
		slices.Sort(names)
		at := slices.Index(names, mine)
		if at == 0 {
			return true
		}
		if at < 0 {
			return false
		}
		there, _, gone, err := conn.ExistsW(parent + "/" + names[at-1])
		if err != nil {
			return false
		}
		if !there {
			continue
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return false
		case <-time.After(c.env.Timeout): // a lost event must not stop us for ever
		}
	}
}

// Held implements Workload.
func (l *lock) Held(*Env) {}
