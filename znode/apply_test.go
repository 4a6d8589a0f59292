package znode_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// TestTriggers goes through the table of spec semantics 8.2.
func TestTriggers(t *testing.T) {
	for _, tc := range []struct {
		name string
		op   proto.Op
		body proto.Appender
		want string
	}{
		{
			"create", proto.OpCreate,
			proto.CreateRequest{Path: "/free/n", ACL: open},
			"data /free/n NodeCreated\nchild /free NodeChildrenChanged\n",
		},
		{
			"create below the root", proto.OpCreate,
			proto.CreateRequest{Path: "/n", ACL: open},
			"data /n NodeCreated\nchild / NodeChildrenChanged\n",
		},
		{
			"sequential", proto.OpCreate,
			proto.CreateRequest{Path: "/free/n", ACL: open, Mode: 2},
			"data /free/n0000000001 NodeCreated\nchild /free NodeChildrenChanged\n",
		},
		{
			"delete", proto.OpDelete,
			proto.DeleteRequest{Path: "/free/kid/deep", Version: -1},
			"data /free/kid/deep NodeDeleted\nchild /free/kid/deep NodeDeleted skip\nchild /free/kid NodeChildrenChanged\n",
		},
		{"setData", proto.OpSetData, proto.SetDataRequest{Path: "/free/kid", Version: -1}, "data /free/kid NodeDataChanged\n"},
		{"setACL", proto.OpSetACL, proto.SetACLRequest{Path: "/free", ACL: open, Version: -1}, ""},
		{"check", proto.OpMulti, multi(opCheck("/free", -1)), ""},
		{"failed create", proto.OpCreate, proto.CreateRequest{Path: "/free", ACL: open}, ""},
		{"failed multi", proto.OpMulti, multi(opSet("/free", "n", -1), opCheck("/nope", -1)), ""},
		{"session without ephemerals", proto.OpCreateSession, nil, ""},
		{
			"session with ephemerals", proto.OpCloseSession, nil,
			"data /free/e NodeDeleted\nchild /free/e NodeDeleted skip\nchild /free NodeChildrenChanged\n" +
				"data /mine NodeDeleted\nchild /mine NodeDeleted skip\nchild / NodeChildrenChanged\n",
		},
	} {
		c := tableTree(t)
		switch tc.op {
		case proto.OpCreateSession:
			c.session = 99
		case proto.OpCloseSession:
			c.must(c.create("/free/e", proto.ModeEphemeral))
		}
		if got := describe(c.do(tc.op, tc.body).Triggers); got != tc.want {
			t.Errorf("%s:\n%swant\n%s", tc.name, got, tc.want)
		}
	}
}

// TestCloseSessionDeletesInTheOrderOfItsList: servers need not agree on what an unordered set
// looks like, the transaction says it; what the list leaves out goes behind it (spec semantics 9.3).
func TestCloseSessionDeletesInTheOrderOfItsList(t *testing.T) {
	for _, tc := range []struct{ listed, want []string }{
		{[]string{"/p/c", "/a", "/p/b"}, []string{"/p/c", "/a", "/p/b"}},
		{[]string{"/p/c"}, []string{"/p/c", "/a", "/p/b"}},
		{nil, []string{"/a", "/p/b", "/p/c"}},
	} {
		c := newCluster(t)
		c.mustCreate("/p")
		for _, path := range []string{"/p/b", "/a", "/p/c"} {
			c.must(c.create(path, proto.ModeEphemeral))
		}
		end := zxid.Make(1, 99)
		r := c.changes.Apply(&proto.Txn{
			TxnHeader: proto.TxnHeader{ClientID: c.session, Type: proto.OpCloseSession, Zxid: end},
			Body:      &proto.CloseSessionTxn{Paths: tc.listed},
		})
		var got []string
		for _, trigger := range r.Triggers {
			if trigger.Type == proto.EventNodeDeleted && trigger.Table == znode.DataTable {
				got = append(got, trigger.Path)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("list %v: deleted %v, want %v", tc.listed, got, tc.want)
		}
		for _, parent := range []string{"/", "/p"} {
			if n := c.changes.Node(parent); n.Pzxid != end {
				t.Errorf("list %v: pzxid of %s is %v", tc.listed, parent, n.Pzxid)
			}
		}
	}
}

// TestTriggerACLs: delivery is filtered by the new node's ACL, the changed or deleted node's,
// and for NodeChildrenChanged the parent's (spec semantics 8.5).
func TestTriggerACLs(t *testing.T) {
	c := newCluster(t)
	parentACL, nodeACL := proto.WorldACL(29), []proto.ACL{entry(31, "world", "anyone"), entry(1, "ip", "::1")}
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/p", ACL: parentACL}))
	check := func(r znode.Result, want ...[]proto.ACL) {
		t.Helper()
		c.must(r)
		for i, trigger := range r.Triggers {
			if !slices.Equal(trigger.ACL, want[i]) {
				t.Errorf("%s is filtered by %v, want %v", describe(r.Triggers[i:i+1]), trigger.ACL, want[i])
			}
		}
	}
	check(c.do(proto.OpCreate, proto.CreateRequest{Path: "/p/n", ACL: nodeACL}), nodeACL, parentACL)
	check(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/p/n", Version: -1}), nodeACL)
	check(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/p/n", Version: -1}), nodeACL, nodeACL, parentACL)
	check(c.do(proto.OpCreate, proto.CreateRequest{Path: "/open", ACL: open}), nil, nil)
}

// TestApplyTakesNothingFromTheBuffer: a store may keep nodes for long, the transaction's
// buffer goes back to its owner.
func TestApplyTakesNothingFromTheBuffer(t *testing.T) {
	tree := newMemTree()
	changes := znode.NewChanges(tree)
	txn := proto.Txn{
		TxnHeader: proto.TxnHeader{Type: proto.OpCreate, Zxid: zxid.Make(1, 1)},
		Body:      &proto.CreateTxn{Path: "/a", Data: []byte("created"), ACL: open, ParentCVersion: 1},
	}
	b := proto.AppendTxn(nil, &txn)
	txn.Body, txn.Type = &proto.SetDataTxn{Path: "/zookeeper", Data: []byte("set"), Version: 1}, proto.OpSetData
	b2 := proto.AppendTxn(nil, &txn)
	for _, b := range [][]byte{b, b2} {
		txn, err := proto.DecodeTxn(b)
		if err != nil {
			t.Fatal(err)
		}
		changes.Apply(&txn)
		clear(b)
	}
	if a, z := changes.Node("/a"), changes.Node("/zookeeper"); string(a.Data) != "created" || string(z.Data) != "set" {
		t.Errorf("data %q, %q", a.Data, z.Data)
	}
}

// TestNullDataIsNotEmptyData: and both survive.
func TestNullDataIsNotEmptyData(t *testing.T) {
	c := newCluster(t)
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/null", ACL: open}))
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/empty", ACL: open, Data: []byte{}}))
	if n := c.tree.nodes["/null"]; n.Data != nil {
		t.Errorf("null became %q", n.Data)
	}
	if n := c.tree.nodes["/empty"]; n.Data == nil || len(n.Data) != 0 {
		t.Errorf("empty became %v", n.Data)
	}
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/empty", Version: -1}))
	if n := c.tree.nodes["/empty"]; n.Data != nil {
		t.Errorf("set to null, is %v", n.Data)
	}
	same := *c.tree.nodes["/empty"]
	same.Data = []byte{}
	if znode.NodeDigest("/empty", &same) == znode.NodeDigest("/empty", c.tree.nodes["/empty"]) {
		t.Error("the digest cannot tell null from empty")
	}
}

// TestNodeDigestCoversEverything: a change of any field shows.
func TestNodeDigestCoversEverything(t *testing.T) {
	base := znode.Node{
		Data: []byte("d"), ACL: open, Czxid: 1, Mzxid: 2, Pzxid: 3, Ctime: 4, Mtime: 5,
		Version: 6, Aversion: 7, Created: 8, NumChildren: 9, Owner: 10,
	}
	seen := map[uint64]string{znode.NodeDigest("/p", &base): "base", znode.NodeDigest("/q", &base): "path", 0: "nil"}
	for name, f := range map[string]func(n *znode.Node){
		"data": func(n *znode.Node) { n.Data = []byte("e") }, "no data": func(n *znode.Node) { n.Data = nil },
		"acl": func(n *znode.Node) { n.ACL = proto.WorldACL(1) }, "acl id": func(n *znode.Node) { n.ACL = []proto.ACL{entry(31, "world", "x")} },
		"acl scheme": func(n *znode.Node) { n.ACL = []proto.ACL{entry(31, "x", "anyone")} }, "no acl": func(n *znode.Node) { n.ACL = nil },
		"two acls": func(n *znode.Node) { n.ACL = append(slices.Clone(open), open...) },
		"czxid":    func(n *znode.Node) { n.Czxid++ }, "mzxid": func(n *znode.Node) { n.Mzxid++ }, "pzxid": func(n *znode.Node) { n.Pzxid++ },
		"ctime": func(n *znode.Node) { n.Ctime++ }, "mtime": func(n *znode.Node) { n.Mtime++ },
		"version": func(n *znode.Node) { n.Version++ }, "aversion": func(n *znode.Node) { n.Aversion++ },
		"created": func(n *znode.Node) { n.Created++ }, "children": func(n *znode.Node) { n.NumChildren++ }, "owner": func(n *znode.Node) { n.Owner++ },
	} {
		n := base
		f(&n)
		d := znode.NodeDigest("/p", &n)
		if other, dup := seen[d]; dup {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

// TestImpossibleTransactions: a log that no leader can have written changes nothing and
// panics nowhere.
func TestImpossibleTransactions(t *testing.T) {
	for _, tc := range []struct {
		name string
		op   proto.Op
		body proto.TxnBody
		want proto.Code
	}{
		{"create twice", proto.OpCreate, &proto.CreateTxn{Path: "/free"}, exists},
		{"create without parent", proto.OpCreate, &proto.CreateTxn{Path: "/nope/x"}, noNode},
		{"create the root", proto.OpCreate, &proto.CreateTxn{Path: "/"}, badArgs},
		{"create nothing", proto.OpCreate, &proto.CreateTxn{}, badArgs},
		{"create without slash", proto.OpCreate, &proto.CreateTxn{Path: "x"}, badArgs},
		{"create relative", proto.OpCreate, &proto.CreateTxn{Path: "free/x"}, badArgs},
		{"create without name", proto.OpCreate, &proto.CreateTxn{Path: "/free/"}, badArgs},
		{"create beside the root", proto.OpCreate, &proto.CreateTxn{Path: "//x"}, badArgs},
		{"create below an ephemeral", proto.OpCreate2, &proto.CreateTxn{Path: "/mine/x"}, noChildren},
		{"TTL of nothing", proto.OpCreateTTL, &proto.CreateTTLTxn{Path: "/free/x"}, badArgs},
		{"TTL too long", proto.OpCreateTTL, &proto.CreateTTLTxn{Path: "/free/x", TTL: 1 << 40}, badArgs},
		{"delete nothing", proto.OpDelete, &proto.DeleteTxn{}, badArgs},
		{"delete the root", proto.OpDelete, &proto.DeleteTxn{Path: "/"}, badArgs},
		{"delete a missing node", proto.OpDelete, &proto.DeleteTxn{Path: "/nope"}, noNode},
		{"delete a parent", proto.OpDeleteContainer, &proto.DeleteTxn{Path: "/free"}, notEmpty},
		{"set a missing node", proto.OpSetData, &proto.SetDataTxn{Path: "/nope"}, noNode},
		{"ACL of a missing node", proto.OpSetACL, &proto.SetACLTxn{Path: "/nope"}, noNode},
		{"reconfig of a missing node", proto.OpReconfig, &proto.SetDataTxn{Path: ""}, noNode},
		{"unknown error", proto.OpError, &proto.ErrorTxn{Err: -9999}, -9999},
		{"close an unknown session", proto.OpCloseSession, &proto.CloseSessionTxn{Paths: []string{"", "/", "/nope", "/free"}}, ok},
	} {
		c := tableTree(t)
		before := c.tree.digest
		r := c.changes.Apply(&proto.Txn{TxnHeader: proto.TxnHeader{ClientID: 5, Type: tc.op, Zxid: zxid.Make(1, 99)}, Body: tc.body})
		c.tree.install(t, c.changes)
		if r.Code != tc.want || len(r.Triggers) > 0 || c.tree.digest != before {
			t.Errorf("%s: %v, want %v; %s", tc.name, r.Code, tc.want, describe(r.Triggers))
		}
		c.tree.check(t)
	}
}

// TestContainerAndTTLTransactions: the transactions of other kinds of nodes set their marks and are
// undone by deleteContainer.
func TestContainerAndTTLTransactions(t *testing.T) {
	tree := newMemTree()
	changes := znode.NewChanges(tree)
	apply := func(op proto.Op, body proto.TxnBody) znode.Result {
		return changes.Apply(&proto.Txn{TxnHeader: proto.TxnHeader{ClientID: session1, Type: op, Zxid: 9}, Body: body})
	}
	for _, r := range []znode.Result{
		apply(proto.OpCreateContainer, &proto.CreateContainerTxn{Path: "/c", ParentCVersion: 1}),
		apply(proto.OpCreateTTL, &proto.CreateTTLTxn{Path: "/t", ParentCVersion: 2, TTL: 1234}),
		apply(proto.OpCreate, &proto.CreateTxn{Path: "/c/x", ParentCVersion: -1}), // a parent's counter in an old log
	} {
		if r.Code != ok || r.Stat.EphemeralOwner != 0 {
			t.Errorf("%+v", r)
		}
	}
	c, ttl := changes.Node("/c"), changes.Node("/t")
	if c.Owner != znode.ContainerOwner || c.Ephemeral() || c.TTL() != 0 || c.Created != 1 {
		t.Errorf("container %+v", c)
	}
	if uint64(ttl.Owner) != 0xff000000000004d2 || ttl.Ephemeral() || ttl.TTL() != 1234 {
		t.Errorf("TTL %+v", ttl)
	}
	if r := apply(proto.OpDeleteContainer, &proto.DeleteTxn{Path: "/t"}); r.Code != ok || len(r.Triggers) != 3 {
		t.Errorf("deleteContainer: %+v", r)
	}
	tree.install(t, changes)
	tree.check(t)
}

// TestCreationCounterNeverFalls: it sticks where a transaction would lower it, as one of
// Apache's does at the end of its range; children and pzxid move all the same.
func TestCreationCounterNeverFalls(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p", "/p/a", "/p/b")
	for i, created := range []int32{math.MinInt32, 0, 1, -1, 7} {
		c.last++
		c.changes.Apply(&proto.Txn{
			TxnHeader: proto.TxnHeader{Type: proto.OpCreate, Zxid: c.last},
			Body:      &proto.CreateTxn{Path: fmt.Sprintf("/p/n%d", i), ParentCVersion: created},
		})
		c.tree.install(t, c.changes)
		p, want := c.tree.nodes["/p"], []int32{2, 2, 2, 3, 7}[i]
		if p.Created != want || p.NumChildren != int32(i+3) || p.Pzxid != c.last {
			t.Errorf("after %d: counter %d, want %d; %d children, pzxid %v", created, p.Created, want, p.NumChildren, p.Pzxid)
		}
	}
}

// TestChangesIsAView: in the middle of a batch an overlay shows what the store shows
// after it.
func TestChangesIsAView(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p", "/p/b", "/p/d", "/q")
	for _, path := range []string{"/p/a", "/p/e", "/q/z"} {
		c.must(c.create(path, proto.ModeEphemeral))
	}
	propose := func(op proto.Op, body proto.Appender) { c.propose(c.request(op, body)) }
	for _, path := range []string{"/p/d", "/p/e", "/q/z"} {
		propose(proto.OpDelete, proto.DeleteRequest{Path: path, Version: -1})
	}
	for path, mode := range map[string]proto.CreateMode{"/p/c": 0, "/p/f": 1, "/p/0": 1, "/q/z": 1} {
		propose(proto.OpCreate, proto.CreateRequest{Path: path, ACL: open, Mode: mode})
	}
	propose(proto.OpDelete, proto.DeleteRequest{Path: "/p/f", Version: -1})
	propose(proto.OpDelete, proto.DeleteRequest{Path: "/p/0", Version: -1})
	propose(proto.OpCreate, proto.CreateRequest{Path: "/p/0", ACL: open, Mode: proto.ModeEphemeral}) // once more
	for _, b := range c.queue {
		txn, err := proto.DecodeTxn(b)
		if err != nil {
			t.Fatal(err)
		}
		if r := c.changes.Apply(&txn); r.Code != ok {
			t.Fatalf("%v", r.Code)
		}
	}
	show := func(v znode.View, most int) string {
		var b bytes.Buffer
		for _, path := range []string{"/", "/p", "/q", "/p/c", "/nope"} {
			left := most
			v.Children(path, func(name string) bool { left--; fmt.Fprintf(&b, "%s:%s ", path, name); return left > 0 })
		}
		for _, owner := range []proto.SessionID{session1, session2} {
			left := most
			v.Ephemerals(owner, func(path string) bool { left--; fmt.Fprintf(&b, "%v:%s ", owner, path); return left > 0 })
		}
		return b.String()
	}
	during := []string{show(c.changes, 1), show(c.changes, 2), show(c.changes, 99)}
	c.tree.install(t, c.changes)
	after := []string{show(c.tree, 1), show(c.tree, 2), show(c.tree, 99)}
	if !slices.Equal(during, after) {
		t.Errorf("during %q\nafter  %q", during, after)
	}
	const want = "/:p /:q /:zookeeper /p:0 /p:a /p:b /p:c /q:z 0x100000000000001:/p/0 0x100000000000001:/p/a 0x100000000000001:/q/z "
	if during[2] != want {
		t.Errorf("got  %s\nwant %s", during[2], want)
	}
}

// TestResetForgets: after a large batch, small ones start from nothing, and results of one
// batch do not show in the next.
func TestResetForgets(t *testing.T) {
	c := newCluster(t)
	for round, n := range []int{1, 20_000, 1, 3000, 2, 0, 300, 5} {
		for i := range n {
			c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: fmt.Sprintf("/r%d-%d", round, i), ACL: open}))
		}
		c.apply(n)
		c.prep.Applied(c.last)
		if c.changes.Len() != 0 {
			t.Fatalf("round %d: %d changes are left", round, c.changes.Len())
		}
		if n, _, _ := c.changes.CountDelta(); n != 0 || c.changes.DigestDelta() != 0 {
			t.Fatalf("round %d: differences are left", round)
		}
	}
	c.tree.check(t)
}
