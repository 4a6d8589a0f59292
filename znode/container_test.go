package znode_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// kinds is a cluster where nodes may have a time to live.
func kinds(t *testing.T) *cluster {
	t.Helper()
	return newClusterWith(t, znode.PrepareOptions{ExtendedTypes: true})
}

func (c *cluster) container(path string, mode proto.CreateMode) znode.Result {
	c.t.Helper()
	return c.do(proto.OpCreateContainer, proto.CreateRequest{Path: path, ACL: open, Mode: mode})
}

func (c *cluster) ttl(path string, mode proto.CreateMode, ttl int64) znode.Result {
	c.t.Helper()
	return c.do(proto.OpCreateTTL, proto.CreateTTLRequest{Path: path, ACL: open, Mode: mode, TTL: ttl})
}

// expire prepares and applies the expiry of a node.
func (c *cluster) expire(path string) (znode.Result, proto.Code) {
	c.t.Helper()
	txn, code := c.prep.PrepareExpiry(path, c.last+1, c.now)
	if code != ok {
		return znode.Result{}, code
	}
	c.last++
	want := proto.TxnHeader{Zxid: c.last, Time: c.now, Type: proto.OpDeleteContainer}
	if txn.TxnHeader != want {
		c.t.Fatalf("header %+v, want %+v", txn.TxnHeader, want)
	}
	b := proto.AppendTxn(nil, &txn)
	c.log, c.queue = append(c.log, b), append(c.queue, b)
	results := c.apply(len(c.queue))
	c.prep.Applied(c.last)
	return results[len(results)-1], ok
}

// TestKindsOfNodes has the table of spec semantics 4.
func TestKindsOfNodes(t *testing.T) {
	c := kinds(t)
	for mode := range proto.CreateMode(5) {
		r := c.must(c.container("/c", mode))
		n := c.tree.nodes[r.Path]
		if n.Owner != znode.ContainerOwner || n.Ephemeral() || r.Stat.EphemeralOwner != 0 || r.Stat.Czxid != c.last {
			t.Errorf("createContainer with mode %v made %+v, stat %+v", mode, n, r.Stat)
		}
		if mode.Sequential() != (r.Path != "/c") {
			t.Errorf("createContainer with mode %v made %q", mode, r.Path)
		}
		c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: r.Path, Version: -1}))
	}
	if r := c.must(c.create("/plain", proto.ModeContainer)); c.tree.nodes[r.Path].Owner != 0 {
		t.Errorf("create2 with the container flag made %+v, want a plain node", c.tree.nodes[r.Path])
	}
	for mode, want := range map[proto.CreateMode]string{5: "/t-", 6: "/t-0000000006"} {
		r := c.must(c.ttl("/t-", mode, 1234))
		n := c.tree.nodes[want]
		if r.Path != want || n == nil || n.TTL() != 1234 || r.Stat.EphemeralOwner != 0 {
			t.Errorf("createTTL with mode %v made %q %+v, want %q", mode, r.Path, n, want)
		}
		c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: r.Path, Version: -1}))
		c.setState("/", func(n *znode.Node) { n.Created = 6 })
	}
	c.tree.check(t)
}

// TestKindsInMulti: the container flag makes a container there, whatever the operation, and
// createTTL without a TTL flag a plain node (spec client-protocol 8 and the original's code).
func TestKindsInMulti(t *testing.T) {
	container := func(path string, mode proto.CreateMode) proto.MultiOp {
		return proto.MultiOp{Op: proto.OpCreateContainer, Request: &proto.CreateRequest{Path: path, ACL: open, Mode: mode}}
	}
	for _, tc := range []struct {
		name  string
		op    proto.MultiOp
		typ   proto.Op
		owner proto.SessionID
	}{
		{"create, container flag", opCreate("/x", 4), proto.OpCreate2, znode.ContainerOwner},
		{"create2, container flag", opCreate2("/x", 4), proto.OpCreate2, znode.ContainerOwner},
		{"createContainer", container("/x", 4), proto.OpCreate2, znode.ContainerOwner},
		{"createContainer, plain flag", container("/x", 0), proto.OpCreate2, znode.ContainerOwner},
		{"createContainer, ephemeral flag", container("/x", 1), proto.OpCreate2, znode.ContainerOwner},
		{"createTTL", opTTL("/x", 5, 9), proto.OpCreate2, znode.TTLOwner(9)},
		{"createTTL, no flag", opTTL("/x", 0, 9), proto.OpCreate, 0},
		{"createTTL, ephemeral flag", opTTL("/x", 1, -1), proto.OpCreate, session1},
		{"createTTL, container flag", opTTL("/x", 4, 9), proto.OpCreate2, znode.ContainerOwner},
	} {
		c := kinds(t)
		r := c.do(proto.OpMulti, multi(tc.op, opCheck("/x", 0)))
		n := c.tree.nodes["/x"]
		if r.Code != ok || len(r.Multi) != 2 || r.Multi[0].Type != tc.typ || n == nil || n.Owner != tc.owner {
			t.Errorf("%s: %v %v made %+v", tc.name, r.Code, r.Multi, n)
		}
		c.tree.check(t)
	}
	for ttl, want := range map[int64]proto.Code{0: badArgs, -1: badArgs, znode.MaxTTL + 1: badArgs, znode.MaxTTL: ok} {
		c := kinds(t)
		if r := c.do(proto.OpMulti, multi(opTTL("/x", 5, ttl))); r.Multi[0].Err != want {
			t.Errorf("ttl %d: %v, want %v", ttl, r.Multi[0].Err, want)
		}
	}
}

// TestExpired has the candidate rules of spec semantics 11.1.
func TestExpired(t *testing.T) {
	const born, neverUsed = 1000, 50
	container := znode.Node{Owner: znode.ContainerOwner, Mtime: born}
	used, parent := container, container
	used.Created = 1
	parent.Created, parent.NumChildren = 2, 1
	ttl := znode.Node{Owner: znode.TTLOwner(20), Mtime: born}
	ttlParent := ttl
	ttlParent.NumChildren = 1
	for _, tc := range []struct {
		name      string
		node      znode.Node
		now       int64
		neverUsed int64
		want      bool
	}{
		{"container that had children", used, born, 0, true},
		{"container with a child", parent, born + 1e9, neverUsed, false},
		{"fresh container", container, born, 0, false},
		{"fresh container, old", container, born + 1e9, 0, false},
		{"unused container at the limit", container, born + neverUsed, neverUsed, false},
		{"unused container beyond the limit", container, born + neverUsed + 1, neverUsed, true},
		{"TTL at the limit", ttl, born + 20, 0, false},
		{"TTL beyond the limit", ttl, born + 21, 0, true},
		{"TTL with a child", ttlParent, born + 1e9, neverUsed, false},
		{"TTL, clock set back", ttl, born - 1e9, neverUsed, false},
		{"persistent", znode.Node{Created: 1}, born + 1e9, neverUsed, false},
		{"ephemeral", znode.Node{Owner: session1}, born + 1e9, neverUsed, false},
	} {
		if got := tc.node.Expired(tc.now, tc.neverUsed); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// TestExpiryOrder has the checks of deleteContainer in spec semantics 3.1, and that nodes which
// are no candidates any more are kept.
func TestExpiryOrder(t *testing.T) {
	prepare := func(t *testing.T) *cluster {
		t.Helper()
		c := kinds(t)
		c.must(c.container("/c", 4))
		c.mustCreate("/c/kid", "/p", "/q", "/q/kid")
		c.must(c.container("/shut", 4))
		c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/", ACL: proto.WorldACL(proto.PermRead | proto.PermCreate), Version: -1}))
		c.must(c.create("/e", proto.ModeEphemeral))
		c.must(c.ttl("/t", 5, 1))
		return c
	}
	set := func(path string) func(c *cluster) {
		return func(c *cluster) {
			c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: path, Version: -1}))
		}
	}
	for _, tc := range []struct {
		name    string
		path    string
		pending func(c *cluster)
		want    proto.Code
	}{
		{"container, whatever the ACL of its parent", "/shut", nil, ok},
		{"TTL", "/t", nil, ok},
		{"no slash", "t", nil, badArgs},
		{"reserved", "/zookeeper/quota", nil, badArgs},
		{"missing", "/nope", nil, noNode},
		{"children", "/c", nil, notEmpty},
		{"children before kind", "/q", nil, notEmpty},
		{"ephemeral", "/e", nil, badVersion},
		{"persistent", "/p", nil, badVersion},
		{"new data", "/t", set("/t"), badVersion},
		{"pending child", "/shut", func(c *cluster) {
			c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: "/shut/x", ACL: open}))
		}, notEmpty},
		{"other things pending", "/t", set("/shut"), ok},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := prepare(t)
			if tc.pending != nil {
				tc.pending(c)
			}
			r, code := c.expire(tc.path)
			if code != tc.want || r.Code != ok {
				t.Errorf("got %v, then %v, want %v", code, r.Code, tc.want)
			}
			if tc.want == ok && (c.tree.nodes[tc.path] != nil || c.stat("/").Pzxid != c.last || len(r.Triggers) != 3) {
				t.Errorf("the node is not deleted as by delete: %+v", r)
			}
			c.tree.check(t)
		})
	}
}

// TestExpiryOfANodeMadeAnew: between the look at the tree and the proposal the container was
// deleted and made again, by something that is pending; the new one has not been used.
func TestExpiryOfANodeMadeAnew(t *testing.T) {
	c := kinds(t)
	c.must(c.container("/c", 4))
	c.mustCreate("/c/x")
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/c/x", Version: -1}))
	c.propose(c.request(proto.OpDelete, proto.DeleteRequest{Path: "/c", Version: -1}))
	c.propose(c.request(proto.OpCreateContainer, proto.CreateRequest{Path: "/c", ACL: open, Mode: 4}))
	if !c.tree.nodes["/c"].Expired(c.now, 0) {
		t.Fatal("the old one is no candidate")
	}
	if _, code := c.expire("/c"); code != badVersion {
		t.Errorf("got %v, want %v", code, badVersion)
	}
	c.apply(2)
	c.prep.Applied(c.last)
	if _, code := c.expire("/c"); code != ok {
		t.Errorf("with nothing pending: %v", code)
	}
}

// TestExpiryIsSeenByWhatFollows: what is proposed behind an expiry finds the node gone.
func TestExpiryIsSeenByWhatFollows(t *testing.T) {
	c := kinds(t)
	c.must(c.ttl("/t", 5, 1))
	z := c.last + 1
	txn, code := c.prep.PrepareExpiry("/t", z, c.now)
	if code != ok {
		t.Fatal(code)
	}
	c.last = z
	b := proto.AppendTxn(nil, &txn)
	c.log, c.queue = append(c.log, b), append(c.queue, b)
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/t", Version: -1}))
	c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: "/t", ACL: open}))
	if r := c.apply(3); r[0].Code != ok || r[1].Code != noNode || r[2].Code != ok {
		t.Errorf("%v, %v, %v", r[0].Code, r[1].Code, r[2].Code)
	}
	c.tree.check(t)
}
