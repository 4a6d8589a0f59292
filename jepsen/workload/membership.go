package workload

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// membership is a group: members are ephemeral nodes of sessions that come and go, and watchers know
// the group by child watches alone. They look at it again only when an event tells them to.
type membership struct {
	ephemeral
	watchers int

	last []*groupWatcher
}

// groupWatcher is a watcher's view, which outlives the run.
type groupWatcher struct {
	c       *client
	changed <-chan zk.Event // nil: there is no watch
	seen    string          // the group as it was last seen
}

func newMembership() *membership {
	return &membership{ephemeral: ephemeral{clients: 2, root: "/membership"}, watchers: 1}
}

// Name implements Workload.
func (m *membership) Name() string { return "membership" }

// Run implements Workload.
func (m *membership) Run(ctx context.Context, env *Env) {
	var wg sync.WaitGroup
	wg.Go(func() {
		spawn(env, m.Name()+"-watcher", m.watchers, func(c *client) {
			w := &groupWatcher{c: c}
			for c.pace(ctx) {
				m.watch(w)
			}
			m.mu.Lock()
			m.last = append(m.last, w)
			m.mu.Unlock()
		})
	})
	m.members(ctx, env, m.Name())
	wg.Wait()
}

// watch looks at the group, if an event says that it has changed since. A watch that outlives its connection is set
// again by the library.
func (m *membership) watch(w *groupWatcher) {
	if w.c.session != nil && w.c.session.Dead() {
		w.changed = nil
	}
	if w.c.live() != nil {
		return
	}
	if w.changed == nil {
		m.view(w)
		return
	}
	select {
	case <-w.changed:
		w.changed = nil
	default:
	}
}

// view reads the group and leaves a watch.
func (m *membership) view(w *groupWatcher) bool {
	o := w.c.do(w.c.op(check.KindView, m.root), func(o *check.Op) error {
		names, _, changed, err := w.c.session.conn.ChildrenW(m.root)
		if err != nil {
			return err
		}
		slices.Sort(names)
		o.Value, w.changed = strings.Join(names, ","), changed
		return nil
	})
	w.seen = o.Value
	return o.Outcome == check.OK
}

// Held implements Workload. Now that nobody comes and goes, each watcher tells what it knows. Behind
// the answer to a sync it has been told everything.
func (m *membership) Held(env *Env) {
	for _, w := range m.last {
		m.settle(w)
		if w.c.session != nil {
			w.c.session.Close()
		}
	}
	m.ephemeral.Held(env)
}

// settle lets a watcher follow its events up to the present and records what it has come to: if no
// event tells it to look again, it believes what it saw last.
func (m *membership) settle(w *groupWatcher) {
	for range settleRounds {
		if w.c.session == nil || w.c.session.Dead() || w.changed == nil {
			return // it has no view, and makes no claim
		}
		if _, err := w.c.session.conn.Sync(m.root); err != nil {
			return
		}
		select {
		case e := <-w.changed:
			if e.Type != zk.EventNodeChildrenChanged || !m.view(w) {
				return
			}
		default:
			o := w.c.op(check.KindBelief, m.root)
			o.Value = w.seen
			w.c.do(o, func(*check.Op) error { return nil })
			return
		}
	}
}

// settleRounds bounds how often a watcher may be told of changes while nothing changes.
const settleRounds = 100
