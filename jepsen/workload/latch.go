package workload

import (
	"context"
	"slices"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// latch is an election: candidates have ephemeral sequential nodes, and whoever sees its own as the
// lowest leads, until it gives up or its session ends.
type latch struct{ clients int }

const (
	latchPath = "/latch"
	terms     = 6 // how often a leader looks whether it still leads
)

// Name implements Workload.
func (l *latch) Name() string { return "latch" }

// Paths implements Workload.
func (l *latch) Paths() []string { return []string{latchPath} }

// Setup implements Workload.
func (l *latch) Setup(s *Session, _ *Env) error { return ensure(s, "", latchPath) }

// Run implements Workload.
func (l *latch) Run(ctx context.Context, env *Env) {
	spawn(env, l.Name(), l.clients, func(c *client) {
		for c.pace(ctx) {
			if c.live() != nil {
				continue
			}
			if !c.candidate(ctx) {
				c.endSession() // and with it a node that may be left
			}
		}
		c.endSession()
	})
}

// candidate waits for leadership, leads for some time and gives up. It is false when anything went
// wrong on the way.
func (c *client) candidate(ctx context.Context) bool {
	o := c.do(c.op(check.KindOther, latchPath), func(o *check.Op) (err error) {
		o.Path, err = c.session.conn.Create(latchPath+"/n-", nil, zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
		return err
	})
	if o.Outcome != check.OK {
		return false
	}
	for range terms {
		if !c.await(ctx, latchPath, o.Path) || !c.lead(o.Path, o.Zxid) || !c.pace(ctx) {
			return false
		}
	}
	return c.session.conn.Delete(o.Path, -1) == nil
}

// lead looks whether the client leads, and records that it does. The state in which it does is the
// one that the reply's header names.
func (c *client) lead(path string, token int64) bool {
	o := c.op(check.KindLead, latchPath)
	o.Path, o.Token = path, token
	o = c.do(o, func(o *check.Op) error {
		names, _, err := c.session.conn.Children(latchPath)
		if err != nil {
			return err
		}
		if o.Found = len(names) > 0 && latchPath+"/"+slices.Min(names) == path; !o.Found {
			o.Kind = check.KindOther
		}
		return nil
	})
	return o.Outcome == check.OK && o.Found
}

// Held implements Workload.
func (l *latch) Held(*Env) {}
