package znode

import (
	"cmp"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Changes is what a batch of transactions changes in a tree: an overlay over a base View
// which it never writes to. It is a View itself, of the tree after the transactions that were
// applied so far. The zero Changes is not usable; one Changes serves any number of batches
// through Reset. It has no locks: one goroutine at a time.
//
// A node that a Changes returns belongs to it until Reset and shows the state of the moment;
// a later Apply may change it. After Reset the nodes are the store's and change no more.
type Changes struct {
	base View

	// list holds the changed nodes in the order of their first change; index finds them.
	list  []change
	index map[string]int32
	// highest is the longest list since index was made: what clearing it costs.
	highest int

	sessions map[proto.SessionID]sessionChange
	// added lists where ephemerals were created, by owner. It is a hint: list says
	// whether they are still there.
	added map[proto.SessionID][]string
	// quotas says whether the tree has any, see hasQuotas.
	quotas presence

	// moved is DigestDelta, movedSystem the part of it below SystemPath, if they are known.
	moved, movedSystem uint64
	movedGood          bool

	// triggers and order are kept for their memory.
	triggers []Trigger
	order    []int32
}

// change is one path's difference from the base. New was allocated by this batch, so it
// may be changed in place until it is published.
type change struct {
	path     string
	old, new *Node
}

type sessionChange struct {
	timeout int32
	live    bool
}

// NewChanges returns an empty overlay over base.
func NewChanges(base View) *Changes {
	return &Changes{
		base:     base,
		index:    make(map[string]int32),
		sessions: make(map[proto.SessionID]sessionChange),
		added:    make(map[proto.SessionID][]string),
	}
}

// Reset forgets everything and starts over with base. Nodes that Nodes has shown are not
// touched again; the slices in earlier Results are reused.
func (c *Changes) Reset(base View) {
	c.base = base
	// Clearing a map costs as much as the most it ever held: after one large batch a
	// small one must not pay for it again and again.
	switch n := len(c.list); {
	case c.highest <= 8*n || c.highest < 128:
		clear(c.index)
	case c.highest > 1<<14:
		c.index, c.highest = make(map[string]int32), 0
	default:
		for i := range c.list {
			delete(c.index, c.list[i].path)
		}
	}
	clear(c.list)
	c.list = c.list[:0]
	clear(c.triggers)
	c.triggers = c.triggers[:0]
	clear(c.sessions)
	clear(c.added)
	c.quotas = notLooked
	c.movedGood = false
}

// Node implements View.
func (c *Changes) Node(path string) *Node {
	n, _ := c.find(path)
	return n
}

// find returns the node at path, nil if there is none, and its place in list, -1 if
// it has not changed yet.
func (c *Changes) find(path string) (n *Node, at int32) {
	if i, ok := c.index[path]; ok {
		return c.list[i].new, i
	}
	return c.base.Node(path), -1
}

// own returns the node that find has found, which must not be nil, for changing in place.
func (c *Changes) own(path string, n *Node, at int32) *Node {
	if at >= 0 {
		return n
	}
	copied := *n
	c.add(path, n, &copied)
	return &copied
}

// add records the first change at path.
func (c *Changes) add(path string, old, n *Node) {
	c.index[path] = int32(len(c.list))
	c.list = append(c.list, change{path: path, old: old, new: n})
	c.highest = max(c.highest, len(c.list))
}

// Session implements View.
func (c *Changes) Session(id proto.SessionID) (timeout int32, ok bool) {
	if s, ok := c.sessions[id]; ok {
		return s.timeout, s.live
	}
	return c.base.Session(id)
}

// Children implements View. It looks at every change of the batch.
func (c *Changes) Children(path string, yield func(name string) bool) {
	var born []string
	var gone map[string]bool
	for i := range c.list {
		ch := &c.list[i]
		if (ch.old == nil) == (ch.new == nil) || ch.path == RootPath || Parent(ch.path) != path {
			continue
		}
		if ch.new != nil {
			born = append(born, Name(ch.path))
			continue
		}
		if gone == nil {
			gone = make(map[string]bool)
		}
		gone[Name(ch.path)] = true
	}
	slices.Sort(born)
	merge(born, yield, func(yield func(string) bool) {
		c.base.Children(path, func(name string) bool {
			return gone[name] || yield(name)
		})
	})
}

// Ephemerals implements View.
func (c *Changes) Ephemerals(owner proto.SessionID, yield func(path string) bool) {
	var born []string
	for _, path := range c.added[owner] {
		if ownedBy(c.list[c.index[path]].new, owner) {
			born = append(born, path)
		}
	}
	slices.Sort(born)
	merge(slices.Compact(born), yield, func(yield func(string) bool) {
		c.base.Ephemerals(owner, func(path string) bool {
			if i, changed := c.index[path]; changed && !ownedBy(c.list[i].new, owner) {
				return true
			}
			return yield(path)
		})
	})
}

func ownedBy(n *Node, owner proto.SessionID) bool { return n != nil && n.Owner == owner }

// Subtree implements View. It looks at every change of the batch.
func (c *Changes) Subtree(path string) (nodes int, bytes int64) {
	nodes, bytes = c.base.Subtree(path)
	for i := range c.list {
		ch := &c.list[i]
		if !Within(ch.path, path) {
			continue
		}
		if ch.old != nil {
			nodes--
			bytes -= int64(len(ch.old.Data))
		}
		if ch.new != nil {
			nodes++
			bytes += int64(len(ch.new.Data))
		}
	}
	return nodes, bytes
}

// merge yields the ascending strings of born and of base in order, those in both once.
func merge(born []string, yield func(string) bool, base func(yield func(string) bool)) {
	stopped := false
	base(func(s string) bool {
		for len(born) > 0 && born[0] <= s {
			next := born[0]
			born = born[1:]
			if next != s && !yield(next) {
				stopped = true
				return false
			}
		}
		stopped = !yield(s)
		return !stopped
	})
	for len(born) > 0 && !stopped {
		stopped = !yield(born[0])
		born = born[1:]
	}
}

// Len returns the number of nodes and sessions that differ, or may differ, from the base.
func (c *Changes) Len() int { return len(c.list) + len(c.sessions) }

// Nodes calls f for every node that was created (old is nil), changed, or deleted (updated
// is nil), by ascending path.
func (c *Changes) Nodes(f func(path string, old, updated *Node)) {
	c.order = c.order[:0]
	for i := range c.list {
		if c.list[i].old != nil || c.list[i].new != nil {
			c.order = append(c.order, int32(i))
		}
	}
	slices.SortFunc(c.order, func(a, b int32) int {
		return strings.Compare(c.list[a].path, c.list[b].path)
	})
	for _, i := range c.order {
		f(c.list[i].path, c.list[i].old, c.list[i].new)
	}
}

// Sessions calls f for every session that was created (live, with its timeout in ms) or
// closed, by ascending id. A session may be closed that the base does not know.
func (c *Changes) Sessions(f func(id proto.SessionID, timeout int32, live bool)) {
	if len(c.sessions) == 0 {
		return
	}
	ids := make([]proto.SessionID, 0, len(c.sessions))
	for id := range c.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		f(id, c.sessions[id].timeout, c.sessions[id].live)
	}
}

// EphemeralChanges calls f for every ephemeral that an owner has gained (added) or lost, by
// ascending owner and path.
func (c *Changes) EphemeralChanges(f func(owner proto.SessionID, path string, added bool)) {
	type entry struct {
		owner proto.SessionID
		path  string
		added bool
	}
	var entries []entry
	for i := range c.list {
		ch := &c.list[i]
		was, is := ephemeralOwner(ch.old), ephemeralOwner(ch.new)
		if was == is {
			continue
		}
		if was != 0 {
			entries = append(entries, entry{was, ch.path, false})
		}
		if is != 0 {
			entries = append(entries, entry{is, ch.path, true})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), strings.Compare(a.path, b.path))
	})
	for _, e := range entries {
		f(e.owner, e.path, e.added)
	}
}

// ephemeralOwner returns the session that owns n, 0 if none does or n is nil.
func ephemeralOwner(n *Node) proto.SessionID {
	if n == nil || !n.Ephemeral() {
		return 0
	}
	return n.Owner
}

// DigestDelta returns by how much the digest of the tree has moved, modulo 2^64. It is computed
// once for all that was applied.
func (c *Changes) DigestDelta() uint64 {
	c.digest()
	return c.moved
}

// PublicDelta is DigestDelta without what lies below SystemPath: by how much the digest moves that
// travels with transactions.
func (c *Changes) PublicDelta() uint64 {
	c.digest()
	return c.moved - c.movedSystem
}

func (c *Changes) digest() {
	if c.movedGood {
		return
	}
	c.moved, c.movedSystem, c.movedGood = 0, 0, true
	for i := range c.list {
		ch := &c.list[i]
		delta := NodeDigest(ch.path, ch.new) - NodeDigest(ch.path, ch.old)
		c.moved += delta
		if undigested(ch.path) {
			c.movedSystem += delta
		}
	}
}

// CountDelta returns by how much the number of nodes, the number of ephemerals, and the
// number of bytes in paths and data have changed.
func (c *Changes) CountDelta() (nodes, ephemerals int, bytes int64) {
	for i := range c.list {
		ch := &c.list[i]
		for _, side := range [2]struct {
			n    *Node
			sign int
		}{{ch.new, 1}, {ch.old, -1}} {
			if side.n == nil {
				continue
			}
			nodes += side.sign
			bytes += int64(side.sign) * int64(len(ch.path)+len(side.n.Data))
			if side.n.Ephemeral() {
				ephemerals += side.sign
			}
		}
	}
	return nodes, ephemerals, bytes
}
