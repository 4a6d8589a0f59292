package server

import (
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// census is the number of nodes below a path for one getAllChildrenNumber. Counting takes as
// long as there are nodes, so it must not happen under the tree's lock: the state is pinned under
// it, counted outside by the connection's reader, and what is installed from then on is added. The
// answer is that of the tree at the moment in which it is given, like every other.
type census struct {
	prefix string // of the paths that count
	pinned int    // counted in the pinned state; written by the reader before it puts the request
	since  int    // what changed since; written under the tree's lock, held for writing
}

// takeCensus counts the nodes below path, without a lock. Of the whole tree the store knows
// the number: nil.
func (c *conn) takeCensus(path string) *census {
	if path == "" || path == znode.RootPath {
		return nil
	}
	t := &c.s.tree
	t.mu.RLock()
	count := t.store.Below(path)
	n := &census{prefix: path + "/"}
	t.openMu.Lock()
	t.open[n] = struct{}{}
	t.openMu.Unlock()
	t.mu.RUnlock()
	n.pinned = count(c.dead)
	return n
}

// finish ends a census and returns its result. The caller holds the lock.
func (t *tree) finish(n *census) int {
	t.openMu.Lock()
	delete(t.open, n)
	t.openMu.Unlock()
	return n.pinned + n.since
}

// recount adds what was just installed. The caller holds the lock for writing. The order of the
// counts does not matter.
func (t *tree) recount(changes *znode.Changes) {
	changes.Nodes(func(path string, old, updated *znode.Node) {
		by := 1
		switch {
		case (old == nil) == (updated == nil):
			return
		case updated == nil:
			by = -1
		}
		for n := range t.open {
			if strings.HasPrefix(path, n.prefix) {
				n.since += by
			}
		}
	})
}

// answerNumber answers getAllChildrenNumber (spec semantics 3.3). The root is no node below
// itself, but one below its alias, the empty path.
func (c *conn) answerNumber(r *request, h proto.ReplyHeader) {
	t := &c.s.tree
	var n int
	switch {
	case r.census != nil:
		n = t.finish(r.census)
	case r.path == "":
		n = t.store.NodeCount()
	default:
		n = t.store.NodeCount() - 1
	}
	if _, _, h.Err = znode.GetData(t.store, r.path, r.who.judged); h.Err != proto.CodeOK {
		c.bare(h)
		return
	}
	c.reply(h, proto.GetAllChildrenNumberResponse{TotalNumber: int32(n)})
}

// closeCensuses ends those that this connection, which has ended, still waits with.
func (c *conn) closeCensuses() {
	t := &c.s.tree
	t.mu.RLock()
	defer t.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.queue.len() {
		if n := c.queue.at(i).census; n != nil {
			t.finish(n)
		}
	}
}
