package workload

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// register writes and reads registers. Keys are used for a while and then left for fresh ones, so
// that the search for an order of their operations stays short.
type register struct {
	clients int
	keys    int
	count   atomic.Int64 // operations so far
}

// opsPerKey is how many operations a key takes before the next one; registersAtOnce of them are
// in use at a time.
const (
	opsPerKey       = 120
	registersAtOnce = 3
	maxKeys         = 2000
)

// Name implements Workload.
func (r *register) Name() string { return "register" }

// Paths implements Workload.
func (r *register) Paths() []string { return []string{"/register"} }

// Setup implements Workload.
func (r *register) Setup(s *Session, env *Env) error {
	r.keys = min(int(int64(r.clients)*int64(env.Duration/env.Pace)/opsPerKey)+registersAtOnce+1, maxKeys)
	if err := ensure(s, "", "/register"); err != nil {
		return err
	}
	for i := range r.keys {
		if err := ensure(s, check.RegisterInit, r.key(i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *register) key(i int) string { return fmt.Sprintf("/register/k%04d", i) }

// Run implements Workload.
func (r *register) Run(ctx context.Context, env *Env) {
	spawn(env, r.Name(), r.clients, func(c *client) {
		versions := map[string]int32{}
		for n := 0; c.pace(ctx); n++ {
			if c.live() != nil {
				continue
			}
			base := int(r.count.Add(1) / opsPerKey)
			key := r.key((base + c.rand.IntN(registersAtOnce)) % r.keys)
			r.step(c, n, key, versions)
		}
		if c.session != nil {
			c.session.Close()
		}
	})
}

// step does one operation. versions is what the client knows of the keys.
func (r *register) step(c *client, n int, key string, versions map[string]int32) {
	value := fmt.Sprintf("%d.%d", c.number, n)
	var o check.Op
	switch p := c.rand.IntN(100); {
	case p < 30:
		o = c.do(c.op(check.KindGet, key), c.get)
	case p < 55:
		o = c.do(c.op(check.KindSyncGet, key), c.syncGet)
	case p < 80:
		o = c.op(check.KindSet, key)
		o.Value, o.Expect = value, -1
		o = c.do(o, c.set)
	default:
		o = c.op(check.KindCAS, key)
		o.Value, o.Expect = value, versions[key]
		o = c.do(o, c.set)
	}
	if o.Outcome == check.OK {
		versions[key] = o.Stat.Version
	}
	if o.Refused { // somebody else was faster: look before the next try
		if o = c.do(c.op(check.KindGet, key), c.get); o.Outcome == check.OK {
			versions[key] = o.Stat.Version
		}
	}
}

// get is a plain read.
func (c *client) get(o *check.Op) error {
	data, st, err := c.session.conn.Get(o.Key)
	if err != nil {
		return err
	}
	o.Value, o.Stat = string(data), replyStat(st)
	return nil
}

// syncGet is a read after a sync. When the two went over different connections, to different
// servers perhaps, it is no more than a plain read.
func (c *client) syncGet(o *check.Op) error {
	generation := c.session.generation()
	if _, err := c.session.conn.Sync(o.Key); err != nil {
		return err
	}
	if err := c.get(o); err != nil {
		return err
	}
	if c.session.generation() != generation {
		o.Kind = check.KindGet
	}
	return nil
}

// set writes, at a version when one is demanded.
func (c *client) set(o *check.Op) error {
	st, err := c.session.conn.Set(o.Key, []byte(o.Value), o.Expect)
	if err != nil {
		return err
	}
	o.Stat, o.Zxid = replyStat(st), st.Mzxid
	return nil
}

// Held implements Workload.
func (r *register) Held(*Env) {}
