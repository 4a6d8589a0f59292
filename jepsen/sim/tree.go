package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
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
}

var _ znode.View = (*tree)(nil)

func newTree() *tree {
	t := emptyTree()
	for _, n := range znode.InitialNodes() {
		t.put(n.Path, n.Node)
	}
	t.digest = t.scan()
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

// same says how two trees differ, or nothing.
func (t *tree) same(o *tree) string {
	switch {
	case t.applied != o.applied:
		return fmt.Sprintf("applied %v and %v", t.applied, o.applied)
	case t.digest != o.digest || t.scan() != o.scan() || t.scan() != t.digest:
		return fmt.Sprintf("digests %016x (scan %016x) and %016x (scan %016x)", t.digest, t.scan(), o.digest, o.scan())
	case !maps.Equal(t.sessions, o.sessions):
		return fmt.Sprintf("sessions %v and %v", t.sessions, o.sessions)
	}
	return ""
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

// image is a snapshot: a tree at one point, cut into chunks.
type image struct {
	at     zxid.Point
	chunks [][]byte
}

// chunkNodes is how many nodes go into one chunk.
const chunkNodes = 12

// image takes a snapshot.
func (t *tree) image() *image {
	img := &image{at: t.applied}
	var b []byte
	for i, id := range slices.Sorted(maps.Keys(t.sessions)) {
		if i == 0 {
			b = jute.AppendInt(b, int32(len(t.sessions)))
		}
		b = jute.AppendLong(b, int64(id))
		b = jute.AppendInt(b, t.sessions[id])
	}
	if b == nil {
		b = jute.AppendInt(b, 0)
	}
	b = jute.AppendLong(b, int64(t.digest))
	img.chunks = append(img.chunks, b)
	b = nil
	for i, path := range slices.Sorted(maps.Keys(t.nodes)) {
		if i > 0 && i%chunkNodes == 0 {
			img.chunks = append(img.chunks, b)
			b = nil
		}
		b = appendNode(b, path, t.nodes[path])
	}
	img.chunks = append(img.chunks, b)
	return img
}

func appendNode(b []byte, path string, n *znode.Node) []byte {
	b = jute.AppendString(b, path)
	b = jute.AppendBuffer(b, n.Data)
	b = jute.AppendCount(b, len(n.ACL))
	for _, a := range n.ACL {
		b = jute.AppendInt(b, int32(a.Perms))
		b = jute.AppendString(b, a.ID.Scheme)
		b = jute.AppendString(b, a.ID.ID)
	}
	for _, v := range []int64{
		int64(n.Czxid), int64(n.Mzxid), int64(n.Pzxid), n.Ctime, n.Mtime, int64(n.Version),
		int64(n.Aversion), int64(n.Created), int64(n.NumChildren), int64(n.Owner),
	} {
		b = jute.AppendLong(b, v)
	}
	return b
}

var errImage = errors.New("sim: damaged snapshot")

// staging receives a snapshot.
type staging struct {
	t     *tree
	begun bool
	want  uint64
}

func newStaging(at zxid.Point) *staging {
	s := &staging{t: emptyTree()}
	s.t.applied = at
	return s
}

// write takes the next chunk.
func (s *staging) write(chunk []byte) error {
	c := jute.NewCursor(chunk)
	if !s.begun {
		s.begun = true
		for range c.Int() {
			id := proto.SessionID(c.Long())
			s.t.sessions[id] = c.Int()
		}
		s.want = uint64(c.Long())
		return c.Err()
	}
	for len(c.Rest()) > 0 && c.Err() == nil {
		path, n := readNode(&c)
		s.t.put(path, n)
	}
	return c.Err()
}

func readNode(c *jute.Cursor) (string, *znode.Node) {
	n := &znode.Node{}
	path := c.String()
	n.Data = slices.Clone(c.Buffer())
	for range c.Count(1) {
		n.ACL = append(n.ACL, proto.ACL{Perms: proto.Perms(c.Int()), ID: proto.ID{Scheme: c.String(), ID: c.String()}})
	}
	n.Czxid, n.Mzxid, n.Pzxid = zxid.ID(c.Long()), zxid.ID(c.Long()), zxid.ID(c.Long())
	n.Ctime, n.Mtime = c.Long(), c.Long()
	n.Version, n.Aversion = int32(c.Long()), int32(c.Long())
	n.Created, n.NumChildren = int32(c.Long()), int32(c.Long())
	n.Owner = proto.SessionID(c.Long())
	return path, n
}

// finish verifies that everything has come.
func (s *staging) finish() (*tree, error) {
	if s.t.digest = s.t.scan(); !s.begun || s.t.digest != s.want {
		return nil, errImage
	}
	return s.t, nil
}
