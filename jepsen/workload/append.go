package workload

import (
	"context"
	"fmt"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// appender creates persistent nodes, sequential ones and such of unique names. Nothing is ever
// tried twice: a create whose answer was lost is there or not, and the checks accept either.
type appender struct{ clients int }

// createsPerParent keeps the lists of children short.
const createsPerParent = 1000

// Name implements Workload.
func (a *appender) Name() string { return "append" }

// Paths implements Workload.
func (a *appender) Paths() []string { return []string{"/append"} }

// parents returns how many parents the run fills.
func (a *appender) parents(env *Env) int {
	return a.clients*int(env.Duration/env.Pace)/createsPerParent + 1
}

// Setup implements Workload.
func (a *appender) Setup(s *Session, env *Env) error {
	if err := ensure(s, "", "/append"); err != nil {
		return err
	}
	for i := range a.parents(env) {
		if err := ensure(s, "", fmt.Sprintf("/append/p%d", i), fmt.Sprintf("/append/u%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (a *appender) Run(ctx context.Context, env *Env) {
	spawn(env, a.Name(), a.clients, func(c *client) {
		for n := 0; c.pace(ctx); n++ {
			if c.live() != nil {
				continue
			}
			parent := (n * a.clients / createsPerParent) % a.parents(env)
			value := fmt.Sprintf("%d.%d", c.number, n)
			o := c.op(check.KindSequence, fmt.Sprintf("/append/p%d/n-", parent))
			if c.rand.IntN(3) == 0 {
				o = c.op(check.KindCreate, fmt.Sprintf("/append/u%d/%s", parent, value))
			}
			o.Value = value
			c.do(o, c.create)
		}
		if c.session != nil {
			c.session.Close()
		}
	})
}

func (c *client) create(o *check.Op) error {
	var flags int32
	if o.Kind == check.KindSequence {
		flags = zk.FlagSequence
	}
	path, err := c.session.conn.Create(o.Key, []byte(o.Value), flags, zk.WorldACL(zk.PermAll))
	if err != nil {
		return err
	}
	o.Path = path
	return nil
}

// Held implements Workload.
func (a *appender) Held(*Env) {}
