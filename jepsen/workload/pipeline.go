package workload

import (
	"context"
	"fmt"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// pipeline uses registers like register does, but a session has a whole burst of operations under
// way, on few keys, so that reads stand between writes of the same key.
type pipeline struct {
	clients int
	keys    int // of each client
}

// burst is how many operations are under way together; burstsPerKey is how many bursts a key takes.
const (
	burst        = 8
	burstsPerKey = 25
)

// Name implements Workload.
func (p *pipeline) Name() string { return "pipeline" }

// Paths implements Workload.
func (p *pipeline) Paths() []string { return []string{"/pipeline"} }

// Setup implements Workload.
func (p *pipeline) Setup(s *Session, env *Env) error {
	p.keys = min(int(env.Duration/env.Pace)/(burst*burstsPerKey)+2, maxKeys)
	if err := ensure(s, "", "/pipeline"); err != nil {
		return err
	}
	for c := range p.clients {
		for k := range p.keys {
			if err := ensure(s, check.RegisterInit, p.key(c, k)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pipeline) key(client, k int) string { return fmt.Sprintf("/pipeline/c%d-k%04d", client, k) }

// Run implements Workload.
func (p *pipeline) Run(ctx context.Context, env *Env) {
	spawn(env, p.Name(), p.clients, func(c *client) {
		for n := 0; p.rest(ctx, c); n++ {
			if c.live() != nil {
				continue
			}
			ops := make([]check.Op, burst)
			for i := range ops {
				o := c.op(check.KindGet, p.key(c.number, n/burstsPerKey%p.keys))
				if c.rand.IntN(2) == 0 {
					o.Kind, o.Expect, o.Value = check.KindSet, -1, fmt.Sprintf("%d.%d.%d", c.number, n, i)
				}
				ops[i] = o
			}
			c.session.together(env.Recorder, ops, func(o *check.Op) error {
				if o.Kind == check.KindGet {
					return c.get(o)
				}
				return c.set(o)
			})
		}
		if c.session != nil {
			c.session.Close()
		}
	})
}

// rest keeps the rate of operations at that of the other clients.
func (p *pipeline) rest(ctx context.Context, c *client) bool {
	for range burst {
		if !c.pace(ctx) {
			return false
		}
	}
	return true
}

// Held implements Workload.
func (p *pipeline) Held(*Env) {}
