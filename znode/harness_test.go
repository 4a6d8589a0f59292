package znode_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// memTree is a View in maps, the dumbest store there can be.
type memTree struct {
	nodes      map[string]*znode.Node
	children   map[string]map[string]bool
	ephemerals map[proto.SessionID]map[string]bool
	sessions   map[proto.SessionID]int32
	digest     uint64
	count      int
	ephCount   int
	bytes      int64
}

func newMemTree() *memTree {
	m := &memTree{
		nodes:      map[string]*znode.Node{},
		children:   map[string]map[string]bool{},
		ephemerals: map[proto.SessionID]map[string]bool{},
		sessions:   map[proto.SessionID]int32{},
	}
	for _, n := range znode.InitialNodes() {
		m.set(n.Path, n.Node)
		m.digest += znode.NodeDigest(n.Path, n.Node)
		m.bytes += int64(len(n.Path) + len(n.Node.Data))
		m.count++
	}
	return m
}

func (m *memTree) set(path string, n *znode.Node) {
	parent := znode.Parent(path)
	if n == nil {
		delete(m.nodes, path)
		delete(m.children[parent], znode.Name(path))
		return
	}
	m.nodes[path] = n
	if path == "/" {
		return
	}
	if m.children[parent] == nil {
		m.children[parent] = map[string]bool{}
	}
	m.children[parent][znode.Name(path)] = true
}

func (m *memTree) Node(path string) *znode.Node { return m.nodes[path] }

func (m *memTree) Children(path string, yield func(string) bool) {
	for _, name := range slices.Sorted(maps.Keys(m.children[path])) {
		if !yield(name) {
			return
		}
	}
}

func (m *memTree) Ephemerals(owner proto.SessionID, yield func(string) bool) {
	for _, path := range slices.Sorted(maps.Keys(m.ephemerals[owner])) {
		if !yield(path) {
			return
		}
	}
}

func (m *memTree) Session(id proto.SessionID) (int32, bool) {
	timeout, ok := m.sessions[id]
	return timeout, ok
}

func (m *memTree) Subtree(path string) (nodes int, bytes int64) {
	n := m.nodes[path]
	if n == nil {
		return 0, 0
	}
	nodes, bytes = 1, int64(len(n.Data))
	m.Children(path, func(name string) bool {
		below, size := m.Subtree(znode.Join(path, name))
		nodes, bytes = nodes+below, bytes+size
		return true
	})
	return nodes, bytes
}

// install takes over a batch the way a store does, and checks that the batch reports its
// changes in order and against the right old state.
func (m *memTree) install(tb testing.TB, c *znode.Changes) {
	tb.Helper()
	m.digest += c.DigestDelta()
	nodes, ephemerals, bytes := c.CountDelta()
	m.count += nodes
	m.ephCount += ephemerals
	m.bytes += bytes
	last := ""
	c.Nodes(func(path string, old, updated *znode.Node) {
		if path <= last {
			tb.Errorf("Nodes shows %q after %q", path, last)
		}
		if m.nodes[path] != old {
			tb.Errorf("Nodes shows the wrong old node of %q", path)
		}
		last = path
		m.set(path, updated)
	})
	c.EphemeralChanges(func(owner proto.SessionID, path string, added bool) {
		if m.ephemerals[owner][path] == added {
			tb.Errorf("EphemeralChanges: %v %q added=%v, but so it was", owner, path, added)
		}
		if m.ephemerals[owner] == nil {
			m.ephemerals[owner] = map[string]bool{}
		}
		if added {
			m.ephemerals[owner][path] = true
		} else {
			delete(m.ephemerals[owner], path)
		}
	})
	c.Sessions(func(id proto.SessionID, timeout int32, live bool) {
		if live {
			m.sessions[id] = timeout
		} else {
			delete(m.sessions, id)
		}
	})
	c.Reset(m)
}

// check verifies what must hold for every tree.
func (m *memTree) check(tb testing.TB) {
	tb.Helper()
	var digest uint64
	var bytes int64
	ephemerals := 0
	for path, n := range m.nodes {
		digest += znode.NodeDigest(path, n)
		bytes += int64(len(path) + len(n.Data))
		if got := len(m.children[path]); got != int(n.NumChildren) {
			tb.Errorf("%q has %d children and counts %d", path, got, n.NumChildren)
		}
		if n.Ephemeral() {
			ephemerals++
			if n.NumChildren != 0 {
				tb.Errorf("ephemeral %q has children", path)
			}
			if !m.ephemerals[n.Owner][path] {
				tb.Errorf("ephemeral %q is not in its owner's list", path)
			}
		}
		if path != "/" && m.nodes[znode.Parent(path)] == nil {
			tb.Errorf("%q has no parent", path)
		}
	}
	if digest != m.digest || bytes != m.bytes || len(m.nodes) != m.count || ephemerals != m.ephCount {
		tb.Errorf("running digest %x, bytes %d, nodes %d, ephemerals %d; recounted %x, %d, %d, %d",
			m.digest, m.bytes, m.count, m.ephCount, digest, bytes, len(m.nodes), ephemerals)
	}
}

const (
	epoch    = 1
	session1 = proto.SessionID(0x100000000000001)
	session2 = proto.SessionID(0x200000000000002)
	startMs  = 1_700_000_000_000
)

var open = proto.WorldACL(proto.PermAll)

// cluster is a leader and one server in a test: requests are prepared at once, and applied
// when the test says so.
type cluster struct {
	announced uint64 // the digest of the last transaction applied
	t         testing.TB
	tree      *memTree
	prep      *znode.Preparer
	changes   *znode.Changes
	last      zxid.ID
	now       int64
	ids       []proto.ID
	session   proto.SessionID
	log       [][]byte
	queue     [][]byte
	maxTxn    int
}

func newCluster(tb testing.TB) *cluster {
	tb.Helper()
	return newClusterWith(tb, znode.PrepareOptions{})
}

func newClusterWith(tb testing.TB, opts znode.PrepareOptions) *cluster {
	tb.Helper()
	tree := newMemTree()
	limit := opts.JuteMaxBuffer
	if limit == 0 {
		limit = proto.DefaultMaxFrame
	}
	opts.Digest, opts.TreeDigest = true, tree.publicDigest()
	c := &cluster{
		announced: opts.TreeDigest,
		t:         tb, tree: tree, prep: znode.NewPreparer(tree, opts), changes: znode.NewChanges(tree),
		last: zxid.Make(epoch, 0), now: startMs, session: session1, maxTxn: znode.MaxTxn(limit),
	}
	c.startSession(session1)
	c.startSession(session2)
	return c
}

func (c *cluster) startSession(id proto.SessionID) {
	c.t.Helper()
	r := c.send(&znode.Request{Session: id, Op: proto.OpCreateSession, Timeout: 4000})
	if r.Code != proto.CodeOK {
		c.t.Fatalf("createSession %v: %v", id, r.Code)
	}
}

// request builds a request of the current session and identities.
func (c *cluster) request(op proto.Op, body proto.Appender) *znode.Request {
	r := &znode.Request{Session: c.session, Cxid: 7, Op: op, IDs: c.ids}
	if body != nil {
		r.Body = body.Append(nil)
	}
	return r
}

// propose prepares a request, and sends its transaction through its encoding.
func (c *cluster) propose(r *znode.Request) zxid.ID {
	c.t.Helper()
	c.last++
	c.now += 10
	txn := c.prep.Prepare(r, c.last, c.now)
	want := proto.TxnHeader{ClientID: r.Session, Cxid: r.Cxid, Zxid: c.last, Time: c.now, Type: txn.Type}
	if txn.TxnHeader != want || (txn.Type != r.Op && txn.Type != proto.OpError) {
		c.t.Fatalf("header %+v of a request of type %v", txn.TxnHeader, r.Op)
	}
	b := proto.AppendTxn(nil, &txn)
	if len(b) > c.maxTxn {
		c.t.Fatalf("transaction of %d bytes, limit %d", len(b), c.maxTxn)
	}
	c.log = append(c.log, b)
	c.queue = append(c.queue, b)
	return c.last
}

// apply applies the n oldest proposals in one batch.
func (c *cluster) apply(n int) []znode.Result {
	c.t.Helper()
	results := make([]znode.Result, 0, n)
	var moved uint64
	for _, b := range c.queue[:n] {
		txn, err := proto.DecodeTxn(b)
		if err != nil {
			c.t.Fatal(err)
		}
		r := c.changes.Apply(&txn)
		// Relative to the last one: some tests forge nodes.
		announced := txn.Digest - c.announced
		got := c.changes.PublicDelta()
		if !txn.HasDigest || announced != got-moved {
			c.t.Fatalf("transaction %v, %T: the digest moves by %x, announced was %x", txn.Zxid, txn.Body, got-moved, announced)
		}
		c.announced, moved = txn.Digest, got
		r.Triggers = slices.Clone(r.Triggers)
		results = append(results, r)
	}
	c.queue = c.queue[n:]
	before := c.tree.publicDigest()
	c.tree.install(c.t, c.changes)
	if after := c.tree.publicDigest(); after-before != moved {
		c.t.Fatalf("the digest of the tree has moved by %x, computed afresh, and by %x by the changes", after-before, moved)
	}
	return results
}

// applied is the zxid up to which the tree has been changed.
func (c *cluster) applied() zxid.ID { return c.last - zxid.ID(len(c.queue)) }

// send takes a request all the way, together with everything that is waiting.
func (c *cluster) send(r *znode.Request) znode.Result {
	c.t.Helper()
	c.propose(r)
	results := c.apply(len(c.queue))
	c.prep.Applied(c.last)
	return results[len(results)-1]
}

func (c *cluster) do(op proto.Op, body proto.Appender) znode.Result {
	c.t.Helper()
	return c.send(c.request(op, body))
}

func (c *cluster) create(path string, mode proto.CreateMode) znode.Result {
	c.t.Helper()
	return c.do(proto.OpCreate2, proto.CreateRequest{Path: path, ACL: open, Mode: mode, Data: []byte("x")})
}

// must is for steps that a test only needs as a preparation.
func (c *cluster) must(r znode.Result) znode.Result {
	c.t.Helper()
	if r.Code != proto.CodeOK {
		c.t.Fatalf("%q: %v", r.Path, r.Code)
	}
	return r
}

func (c *cluster) mustCreate(paths ...string) {
	c.t.Helper()
	for _, path := range paths {
		c.must(c.create(path, proto.ModePersistent))
	}
}

func (c *cluster) stat(path string) proto.Stat {
	c.t.Helper()
	s, code := znode.Exists(c.tree, path, nil)
	if code != proto.CodeOK {
		c.t.Fatalf("exists %q: %v", path, code)
	}
	return s
}

// setState changes a node behind everybody's back, to reach states that take too long to reach
// in an honest way.
func (c *cluster) setState(path string, f func(n *znode.Node)) {
	n := *c.tree.nodes[path]
	old := znode.NodeDigest(path, c.tree.nodes[path])
	f(&n)
	c.tree.nodes[path] = &n
	c.tree.digest += znode.NodeDigest(path, &n) - old
}

// multi builds the body of a multi.
func multi(ops ...proto.MultiOp) proto.MultiRequest { return proto.MultiRequest{Ops: ops} }

func opCreate(path string, mode proto.CreateMode) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpCreate, Request: &proto.CreateRequest{Path: path, ACL: open, Mode: mode}}
}

func opCreate2(path string, mode proto.CreateMode) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpCreate2, Request: &proto.CreateRequest{Path: path, ACL: open, Mode: mode}}
}

func opTTL(path string, mode proto.CreateMode, ttl int64) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpCreateTTL, Request: &proto.CreateTTLRequest{Path: path, ACL: open, Mode: mode, TTL: ttl}}
}

func opDelete(path string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: path, Version: version}}
}

func opSet(path, data string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: path, Data: []byte(data), Version: version}}
}

func opCheck(path string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: path, Version: version}}
}

// codes lists the errors of a multi's results, CodeOK for successes.
func codes(results []proto.MultiResult) []proto.Code {
	var list []proto.Code
	for _, r := range results {
		list = append(list, r.Err)
	}
	return list
}

// describe writes triggers as "table path event", one per line.
func describe(triggers []znode.Trigger) string {
	var b strings.Builder
	for _, t := range triggers {
		b.WriteString([]string{"data ", "child "}[t.Table] + t.Path + " " + t.Type.String())
		if t.SkipPrevious {
			b.WriteString(" skip")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// publicDigest computes afresh the digest that travels with transactions.
func (m *memTree) publicDigest() uint64 {
	var sum uint64
	for path, n := range m.nodes {
		if !strings.HasPrefix(path, znode.SystemPath+"/") {
			sum += znode.NodeDigest(path, n)
		}
	}
	return sum
}
