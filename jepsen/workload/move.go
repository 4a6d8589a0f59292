package workload

import (
	"context"
	"fmt"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// move has sessions that go from server to server with their password while requests are under way,
// and then try the connection that they have left. All its writes are creates of unique names.
type move struct{ clients int }

const (
	moveBurst      = 4   // requests before a session moves
	moveAwaited    = 2   // of which so many are answered by then, at most
	movesPerParent = 200 // moves that share a parent
)

// Name implements Workload.
func (m *move) Name() string { return "move" }

// Paths implements Workload.
func (m *move) Paths() []string { return []string{"/move"} }

// parents returns how many parents the run fills: a move takes some operations.
func (m *move) parents(env *Env) int {
	return m.clients*int(env.Duration/env.Pace)/movesPerParent + 1
}

// Setup implements Workload.
func (m *move) Setup(s *Session, env *Env) error {
	if err := ensure(s, "", "/move"); err != nil {
		return err
	}
	for i := range m.parents(env) {
		if err := ensure(s, "", fmt.Sprintf("/move/p%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (m *move) Run(ctx context.Context, env *Env) {
	spawn(env, m.Name(), m.clients, func(c *client) {
		number := 0
		name := func() (path, value string) {
			number++
			value = fmt.Sprintf("m%d.%d", c.number, number)
			parent := number / (movesPerParent * moveBurst) % m.parents(env)
			return fmt.Sprintf("/move/p%d/%s", parent, value), value
		}
		c.rawRounds(ctx, func(s *raw) {
			c.moveOnce(s, name)
			for range moveBurst { // what it has used of its rate
				if !c.pace(ctx) {
					return
				}
			}
		})
	})
}

// moveOnce sends writes, moves without waiting for their answers, tries the old connection, and
// writes over the new one.
func (c *client) moveOnce(s *raw, name func() (path, value string)) {
	old := s.link
	type sent struct {
		o   check.Op
		xid proto.Xid
	}
	var burst []sent
	for range moveBurst {
		o, xid, err := c.sendCreate(s, old, check.KindCreate, name)
		burst = append(burst, sent{o, xid})
		if err != nil {
			break
		}
	}
	answers := map[proto.Xid]proto.ReplyHeader{}
	collect := func(most int) {
		for len(old.waiting) > 0 && len(answers) < most {
			h, _, err := s.await(old)
			if err != nil {
				return
			}
			answers[h.Xid] = h
		}
	}
	collect(c.rand.IntN(moveAwaited + 1))
	next, err := s.dial(c.elsewhere(old.server))
	moved := err == nil
	if moved {
		s.link = next
		late, xid, _ := c.sendCreate(s, old, check.KindLeft, name) // the server may have hung up already
		burst = append(burst, sent{late, xid})
	}
	collect(moveBurst + 1)
	for _, b := range burst {
		h, ok := answers[b.xid]
		c.finish(b.o, h, ok)
	}
	old.c.Close()
	if !moved {
		s.link = nil
		return
	}
	path, value := name()
	o := c.op(check.KindCreate, path)
	o.Value = value
	s.do(o, func(o *check.Op) (zxid.ID, error) {
		var answer proto.CreateResponse
		z, err := s.ask(proto.OpCreate, createOf(path, value), &answer)
		o.Path = answer.Path
		return z, err
	})
}

func createOf(path, value string) proto.CreateRequest {
	return proto.CreateRequest{Path: path, Data: []byte(value), ACL: proto.WorldACL(proto.PermAll)}
}

// elsewhere returns another server.
func (c *client) elsewhere(server string) string {
	at := c.rand.IntN(len(c.env.Servers))
	if c.env.Servers[at] == server {
		at = (at + 1) % len(c.env.Servers)
	}
	return c.env.Servers[at]
}

// sendCreate sends a create and returns the operation as far as it is known.
func (c *client) sendCreate(s *raw, l *link, kind check.Kind, name func() (path, value string)) (check.Op, proto.Xid, error) {
	path, value := name()
	o := c.op(kind, path)
	o.Value, o.Session, o.Server, o.Call = value, int64(s.id), l.server, c.env.Recorder.now()
	xid, err := s.send(l, proto.OpCreate, createOf(path, value))
	return o, xid, err
}

// finish records an operation whose answer has come, or will not come any more.
func (c *client) finish(o check.Op, h proto.ReplyHeader, answered bool) {
	o.Return, o.Outcome = c.env.Recorder.now(), check.Info
	if answered {
		o.Zxid, o.Path = int64(h.Zxid), o.Key
		if o.Outcome, o.Refused = outcome(h.Err.Err()); o.Outcome != check.OK {
			o.Path, o.Err = "", h.Err.Error()
		}
	}
	c.env.Recorder.add(o)
}

// Held implements Workload.
func (m *move) Held(*Env) {}
