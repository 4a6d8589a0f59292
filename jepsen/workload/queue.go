package workload

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// queue has producers, who append sequential nodes, and consumers, who delete the first node that
// they see; whoever's delete succeeds has the item.
type queue struct{ producers, consumers int }

const queuePath = "/queue"

// Name implements Workload.
func (q *queue) Name() string { return "queue" }

// Paths implements Workload.
func (q *queue) Paths() []string { return []string{queuePath} }

// Setup implements Workload.
func (q *queue) Setup(s *Session, _ *Env) error { return ensure(s, "", queuePath) }

// Run implements Workload.
func (q *queue) Run(ctx context.Context, env *Env) {
	spawn(env, q.Name(), q.producers+q.consumers, func(c *client) {
		for n := 0; c.pace(ctx); n++ {
			switch {
			case c.live() != nil:
			case c.number < q.producers:
				o := c.op(check.KindEnqueue, queuePath+"/q-")
				o.Value = fmt.Sprintf("%d.%d", c.number, n)
				c.do(o, func(o *check.Op) (err error) {
					o.Path, err = c.session.conn.Create(o.Key, []byte(o.Value), zk.FlagSequence, zk.WorldACL(zk.PermAll))
					return err
				})
			default:
				c.consume()
			}
		}
		if c.session != nil {
			c.session.Close()
		}
	})
}

// consume takes the first item, if there is one.
func (c *client) consume() {
	conn := c.session.conn
	names, _, err := conn.Children(queuePath)
	if err != nil || len(names) == 0 {
		return
	}
	path := queuePath + "/" + slices.Min(names)
	data, _, err := conn.Get(path)
	if err != nil {
		return // somebody else has it, or nobody answers
	}
	o := c.op(check.KindDequeue, queuePath)
	o.Path, o.Value = path, string(data)
	c.do(o, func(*check.Op) error { return conn.Delete(path, 0) })
}

// Held implements Workload.
func (q *queue) Held(*Env) {}
