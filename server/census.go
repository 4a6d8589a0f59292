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
func (c *conn) takeCensus(path string) follower {
	if path == "" || path == znode.RootPath {
		return nil
	}
	t := &c.s.tree
	t.mu.RLock()
	count := t.store.Below(path)
	n := &census{prefix: path + "/"}
	t.follow(n)
	t.mu.RUnlock()
	n.pinned = count(c.dead)
	return n
}

// finish ends a census and returns its result. The caller holds the lock.
func (t *tree) finish(n *census) int {
	t.unfollow(n)
	return n.pinned + n.since
}

// changed implements follower.
func (n *census) changed(path string, old, updated *znode.Node) {
	if (old == nil) == (updated == nil) || !strings.HasPrefix(path, n.prefix) {
		return
	}
	if updated == nil {
		n.since--
	} else {
		n.since++
	}
}

// answerNumber answers getAllChildrenNumber (spec semantics 3.3). The root is no node below
// itself, but one below its alias, the empty path.
func (c *conn) answerNumber(r *request, h proto.ReplyHeader) {
	t := &c.s.tree
	taken, counted := r.aside.(*census)
	var n int
	switch {
	case counted:
		n = t.finish(taken)
	case r.path == "":
		n = t.store.NodeCount()
	default:
		n = t.store.NodeCount() - 1
	}
	if _, _, code := znode.GetData(t.store, r.path, r.who.judged); !c.failed(h, code) {
		c.reply(h, proto.GetAllChildrenNumberResponse{TotalNumber: int32(n)})
	}
}

// unfollow ends what this connection, which has ended, still follows the tree's changes with.
func (c *conn) unfollow() {
	t := &c.s.tree
	t.mu.RLock()
	defer t.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.queue.len() {
		if f := c.queue.at(i).aside; f != nil {
			t.unfollow(f)
		}
	}
}
