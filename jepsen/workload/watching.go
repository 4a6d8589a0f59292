package workload

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// watching has writers, who create, change and delete nodes, and watchers, who watch all of them by
// one persistent recursive watch and write down every event.
type watching struct{ writers, watchers int }

const (
	watchedPath  = "/watched"
	watchedNodes = 6
)

// Name implements Workload.
func (w *watching) Name() string { return "watch" }

// Paths implements Workload.
func (w *watching) Paths() []string { return []string{watchedPath} }

// Setup implements Workload.
func (w *watching) Setup(s *Session, _ *Env) error { return ensure(s, "", watchedPath) }

// Run implements Workload.
func (w *watching) Run(ctx context.Context, env *Env) {
	var wg sync.WaitGroup
	wg.Go(func() {
		spawn(env, w.Name()+"-watcher", w.watchers, func(c *client) { c.watchAll(ctx) })
	})
	spawn(env, w.Name(), w.writers, func(c *client) {
		for n := 0; c.pace(ctx); n++ {
			if c.live() == nil {
				c.change(n)
			}
		}
		if c.session != nil {
			c.session.Close()
		}
	})
	wg.Wait()
}

// change does something to one of the nodes. Whether it can be done is the servers' to say.
func (c *client) change(n int) {
	conn := c.session.conn
	o := c.op(check.KindChange, watchedPath)
	o.Path = fmt.Sprintf("%s/n%d", watchedPath, c.rand.IntN(watchedNodes))
	data := fmt.Appendf(nil, "%d.%d", c.number, n)
	switch c.rand.IntN(5) {
	case 0, 1:
		o.Value = proto.EventNodeCreated.String()
		c.do(o, func(o *check.Op) error {
			_, err := conn.Create(o.Path, data, 0, zk.WorldACL(zk.PermAll))
			return err
		})
	case 2, 3:
		o.Value = proto.EventNodeDataChanged.String()
		c.do(o, func(o *check.Op) error {
			_, err := conn.Set(o.Path, data, -1)
			return err
		})
	default:
		o.Value = proto.EventNodeDeleted.String()
		c.do(o, func(o *check.Op) error { return conn.Delete(o.Path, -1) })
	}
}

// watchAll watches over one connection after the other: what happens between two of them nobody is
// told of.
func (c *client) watchAll(ctx context.Context) {
	number := int64(0)
	var here *link
	c.rawRounds(ctx, func(s *raw) {
		if here != s.link {
			here = s.link
			number++
			c.beginWatch(s, number)
			return
		}
		// The answer to a ping comes behind every event up to its zxid.
		o := c.op(check.KindHeard, watchedPath)
		o.Token = number
		s.do(o, func(*check.Op) (zxid.ID, error) { return s.ask(proto.OpPing, nil, nil) })
	})
}

// beginWatch sets the watch of a new connection.
func (c *client) beginWatch(s *raw, number int64) {
	s.link.onEvent = func(z zxid.ID, e proto.WatcherEvent) {
		o := c.op(check.KindEvent, watchedPath)
		o.Token, o.Path, o.Value = number, e.Path, e.Type.String()
		// Servers before 3.9 say -1.
		s.do(o, func(*check.Op) (zxid.ID, error) { return max(z, 0), nil })
	}
	o := c.op(check.KindWatch, watchedPath)
	o.Token = number
	s.do(o, func(*check.Op) (zxid.ID, error) {
		return s.ask(proto.OpAddWatch, proto.AddWatchRequest{Path: watchedPath, Mode: proto.AddWatchPersistentRecursive}, new(proto.ErrorResponse))
	})
}

// Held implements Workload.
func (w *watching) Held(*Env) {}
