package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// tree is a znode tree in memory: the twin of znode/store.
type tree struct {
	nodes      map[string]*znode.Node
	children   map[string]map[string]struct{}
	ephemerals map[proto.SessionID]map[string]struct{}
	sessions   map[proto.SessionID]int32
	applied    zxid.Point
	digest     uint64
	system     uint64 // the part of it that does not travel with transactions
}

var _ znode.View = (*tree)(nil)

func newTree() *tree {
	t := emptyTree()
	for _, n := range znode.InitialNodes() {
		t.put(n.Path, n.Node)
	}
	t.digest, t.system = t.scan(), znode.SystemDigest(t)
	return t
}

func emptyTree() *tree {
	return &tree{
		nodes: map[string]*znode.Node{}, children: map[string]map[string]struct{}{},
		ephemerals: map[proto.SessionID]map[string]struct{}{}, sessions: map[proto.SessionID]int32{},
	}
}

// clone copies the tree; nodes are immutable and shared.
func (t *tree) clone() *tree {
	c := *t
	c.nodes, c.sessions = maps.Clone(t.nodes), maps.Clone(t.sessions)
	c.children, c.ephemerals = maps.Clone(t.children), maps.Clone(t.ephemerals)
	for k, v := range c.children {
		c.children[k] = maps.Clone(v)
	}
	for k, v := range c.ephemerals {
		c.ephemerals[k] = maps.Clone(v)
	}
	return &c
}

// Node implements znode.View.
func (t *tree) Node(path string) *znode.Node { return t.nodes[path] }

// Children implements znode.View.
func (t *tree) Children(path string, yield func(string) bool) { each(t.children[path], yield) }

// Ephemerals implements znode.View.
func (t *tree) Ephemerals(owner proto.SessionID, yield func(string) bool) {
	each(t.ephemerals[owner], yield)
}

// Session implements znode.View.
func (t *tree) Session(id proto.SessionID) (int32, bool) {
	timeout, ok := t.sessions[id]
	return timeout, ok
}

// Subtree implements znode.View.
func (t *tree) Subtree(path string) (nodes int, bytes int64) {
	for p, n := range t.nodes { // sums: the order does not matter
		if znode.Within(p, path) {
			nodes++
			bytes += int64(len(n.Data))
		}
	}
	return nodes, bytes
}

func each(set map[string]struct{}, yield func(string) bool) {
	for _, s := range slices.Sorted(maps.Keys(set)) {
		if !yield(s) {
			return
		}
	}
}

func (t *tree) put(path string, n *znode.Node) {
	if old := t.nodes[path]; old != nil && old.Ephemeral() {
		delete(t.ephemerals[old.Owner], path)
	}
	parent := znode.Parent(path)
	if n == nil {
		delete(t.nodes, path)
		delete(t.children[parent], znode.Name(path))
		return
	}
	t.nodes[path] = n
	if n.Ephemeral() {
		add(t.ephemerals, n.Owner, path)
	}
	if path != znode.RootPath {
		add(t.children, parent, znode.Name(path))
	}
}

func add[K comparable](sets map[K]map[string]struct{}, k K, s string) {
	if sets[k] == nil {
		sets[k] = map[string]struct{}{}
	}
	sets[k][s] = struct{}{}
}

// install makes a batch of changes visible.
func (t *tree) install(c *znode.Changes, at zxid.Point) {
	t.digest += c.DigestDelta()
	t.system += c.DigestDelta() - c.PublicDelta()
	c.Nodes(func(path string, _, n *znode.Node) { t.put(path, n) })
	c.Sessions(func(id proto.SessionID, timeout int32, live bool) {
		if live {
			t.sessions[id] = timeout
		} else {
			delete(t.sessions, id)
		}
	})
	t.applied = at
}

// scan computes the digest from the nodes.
func (t *tree) scan() uint64 {
	var sum uint64
	for path, n := range t.nodes {
		sum += znode.NodeDigest(path, n) // a sum: the order does not matter
	}
	return sum
}

// orphans returns an ephemeral whose owner has no session, or "" (hazard H-68).
func (t *tree) orphans() string {
	for _, owner := range slices.Sorted(maps.Keys(t.ephemerals)) {
		if _, ok := t.sessions[owner]; !ok && len(t.ephemerals[owner]) > 0 {
			return fmt.Sprintf("%v of session %v", slices.Sorted(maps.Keys(t.ephemerals[owner])), owner)
		}
	}
	return ""
}
