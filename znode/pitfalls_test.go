package znode_test

import (
	"math"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// The tests below are named after the numbers in spec semantics 16, "What reimplementations
// get wrong", as far as this package decides them. Some numbers have their tests among
// others of their kind:
//
//	27, 8 of section 17   TestSequenceNumbers, TestSequenceSaturation
//	30, 57                TestCreateOrder, TestDeleteOrder, ... (order_test.go)
//	32                    TestCreateOrder, TestContainerAndTTLTransactions
//	36, 39, 40            TestMultiCodes, TestFailedMultiTxn, TestMultiResults
//	42, 47, 50            TestTriggers
//	49, 51                TestReadOrder, TestTriggerACLs
//	53, 55                TestFixACL
//	62 (null data, marks) TestNullDataIsNotEmptyData, TestContainerAndTTLTransactions

func TestPitfall11PendingEphemeralsDieWithTheirSession(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p")
	c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: "/p/e", ACL: open, Mode: proto.ModeEphemeral}))
	c.propose(c.request(proto.OpMulti, multi(opCreate("/p/m", proto.ModeEphemeralSequential))))
	c.propose(c.request(proto.OpCloseSession, nil))
	results := c.apply(3)
	if n := len(results[2].Triggers); n != 6 {
		t.Errorf("%d triggers, want those of two deletes", n)
	}
	if s := c.stat("/p"); s.NumChildren != 0 || s.Cversion != 4 || s.Pzxid != c.last {
		t.Errorf("parent %+v", s)
	}
}

func TestPitfall14AnySessionID(t *testing.T) {
	c := newCluster(t)
	for _, id := range []proto.SessionID{-1, math.MaxInt64, math.MinInt64 + 1, -1 << 40} {
		c.startSession(id)
		c.session = id
		r := c.must(c.create("/e-", proto.ModeEphemeralSequential))
		if r.Stat.EphemeralOwner != id {
			t.Errorf("owner %v, want %v", r.Stat.EphemeralOwner, id)
		}
	}
}

func TestPitfall22BadMultiIsRefusedAndNothingElse(t *testing.T) {
	c := newCluster(t)
	for _, body := range [][]byte{{}, {0, 0, 0, 14, 0, 0, 0, 0, 0}, {0, 0, 0, 1, 0}, {255, 255, 255, 255, 0, 255, 255, 255, 255}} {
		r := c.request(proto.OpMulti, nil)
		r.Body = body
		if got := c.send(r); got.Code != marshalling || got.Multi != nil {
			t.Errorf("%x: %v", body, got.Code)
		}
	}
	c.mustCreate("/a")
}

func TestPitfall25CversionCountsCreationsAndDeletions(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p", "/p/a", "/p/b")
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/p/a", Version: -1}))
	if s := c.stat("/p"); s.Cversion != 3 || s.NumChildren != 1 {
		t.Errorf("%+v", s)
	}
	before := c.stat("/p")
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/p/b", Version: -1}))
	c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/p/b", ACL: open, Version: -1}))
	if s := c.stat("/p"); s != before {
		t.Errorf("a change of a child changed its parent: %+v", s)
	}
}

func TestPitfall26PzxidMovesOnChildDelete(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p", "/p/a")
	c.must(c.create("/p/e", proto.ModeEphemeral))
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/p/a", Version: -1}))
	if s := c.stat("/p"); s.Pzxid != c.last || s.Mzxid == c.last {
		t.Errorf("after delete %+v", s)
	}
	c.must(c.do(proto.OpCloseSession, nil))
	if s := c.stat("/p"); s.Pzxid != c.last {
		t.Errorf("after the end of a session %+v", s)
	}
	c.session = session2
	c.mustCreate("/p/a", "/p/a/deep")
	if s := c.stat("/p"); s.Pzxid != c.last-1 {
		t.Errorf("a grandchild moved it: %+v", s)
	}
}

func TestPitfall28FailedCreatesBurnNoNumber(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/q")
	c.create("/q/\x01", proto.ModePersistentSequential)
	c.do(proto.OpMulti, multi(opCreate("/q/n", proto.ModePersistentSequential), opCheck("/nope", 0)))
	if r := c.must(c.create("/q/n", proto.ModePersistentSequential)); r.Path != "/q/n0000000000" {
		t.Errorf("%q", r.Path)
	}
}

func TestPitfall29FreshTree(t *testing.T) {
	tree := newMemTree()
	for path, want := range map[string]proto.Stat{
		"/":                 {Cversion: -1, NumChildren: 1},
		"":                  {Cversion: -1, NumChildren: 1},
		"/zookeeper":        {Cversion: -2, NumChildren: 2},
		"/zookeeper/quota":  {},
		"/zookeeper/config": {Aversion: -1},
	} {
		data, got, code := znode.GetData(tree, path, nil)
		if code != ok || got != want || data == nil || len(data) != 0 {
			t.Errorf("%q: %v %q %+v", path, code, data, got)
		}
	}
	if acl, _, _ := znode.GetACL(tree, "/zookeeper/config", nil); !slices.Equal(acl, proto.WorldACL(proto.PermRead)) {
		t.Errorf("config: %v", acl)
	}
	if names, _, _ := znode.GetChildren(tree, "/zookeeper", nil, math.MaxInt); !slices.Equal(names, []string{"config", "quota"}) {
		t.Errorf("children %v", names)
	}
}

func TestPitfall31SetACLTouchesOnlyTheACL(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/a")
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1}))
	before := c.stat("/a")
	r := c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/a", ACL: proto.WorldACL(17), Version: 0}))
	before.Aversion = 1
	if r.Stat != before || c.stat("/a") != before || len(r.Triggers) != 0 {
		t.Errorf("%+v", r)
	}
	if r := c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/a", ACL: open, Version: 0}); r.Code != badVersion {
		t.Errorf("second: %v", r.Code)
	}
}

func TestPitfall34VersionsWrap(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/a")
	c.setState("/a", func(n *znode.Node) { n.Version, n.Aversion = math.MaxInt32, math.MaxInt32 })
	r := c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: math.MaxInt32}))
	a := c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/a", ACL: open, Version: math.MaxInt32}))
	if r.Stat.Version != math.MinInt32 || a.Stat.Aversion != math.MinInt32 {
		t.Errorf("version %d, aversion %d", r.Stat.Version, a.Stat.Aversion)
	}
	c.setState("/a", func(n *znode.Node) { n.Version = -1 })
	if r := c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1})); r.Stat.Version != 0 {
		t.Errorf("after -1 comes %d", r.Stat.Version)
	}
	if r := c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -2}); r.Code != badVersion {
		t.Errorf("-2: %v", r.Code)
	}
}

func TestPitfall35TimesAreTheTransactions(t *testing.T) {
	c := newCluster(t)
	r := c.must(c.create("/a", 0))
	if r.Stat.Ctime != c.now || r.Stat.Mtime != c.now || r.Stat.DataLength != 1 {
		t.Errorf("%+v", r.Stat)
	}
	created := c.now
	r = c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Data: []byte("long"), Version: 0}))
	if r.Stat.Ctime != created || r.Stat.Mtime != c.now || r.Stat.DataLength != 4 || r.Stat.Mzxid != c.last {
		t.Errorf("%+v", r.Stat)
	}
}

func TestPitfall41PendingTransactionsAreSeen(t *testing.T) {
	c := newCluster(t)
	c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: open}))
	c.propose(c.request(proto.OpMulti, multi(opCreate("/a/b", 0), opCheck("/a/b", 0), opSet("/a", "n", 0))))
	c.propose(c.request(proto.OpDelete, proto.DeleteRequest{Path: "/a", Version: 1}))
	c.propose(c.request(proto.OpSetACL, proto.SetACLRequest{Path: "/a", ACL: proto.WorldACL(0), Version: 0}))
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 1}))
	for i, want := range []proto.Code{ok, ok, notEmpty, ok, noAuth} {
		if r := c.apply(1)[0]; r.Code != want {
			t.Errorf("%d: %v, want %v", i, r.Code, want)
		}
	}
}

func TestPitfall54PrecomputedDigestsNeedNoAuthentication(t *testing.T) {
	c := newCluster(t)
	owner := znode.DigestID(znode.DigestSHA1, []byte("user:password"))
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: []proto.ACL{{Perms: 31, ID: owner}}}))
	if _, _, code := znode.GetData(c.tree, "/a", nil); code != noAuth {
		t.Errorf("stranger: %v", code)
	}
	if _, _, code := znode.GetData(c.tree, "/a", []proto.ID{owner}); code != ok {
		t.Errorf("owner: %v", code)
	}
}

func TestPitfall56GetACLRedactsDigests(t *testing.T) {
	c := newCluster(t)
	admin := znode.DigestID(znode.DigestSHA1, []byte("admin:pw"))
	acl := []proto.ACL{{Perms: proto.PermAdmin, ID: admin}, entry(proto.PermRead, "world", "anyone"), entry(proto.PermWrite, "digest", "w:hash")}
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: acl}))
	got, stat, code := znode.GetACL(c.tree, "/a", nil)
	if code != ok || got[0].ID.ID != "admin:x" || got[1] != acl[1] || got[2].ID.ID != "w:x" || stat != c.stat("/a") {
		t.Errorf("%v %v", code, got)
	}
	for _, ids := range [][]proto.ID{{admin}, {znode.SuperID()}} {
		if got, _, code := znode.GetACL(c.tree, "/a", ids); code != ok || !slices.Equal(got, acl) {
			t.Errorf("%v %v", code, got)
		}
	}
}

func TestPitfall58IdentitiesAccumulate(t *testing.T) {
	c := newCluster(t)
	a, b := znode.DigestID(znode.DigestSHA1, []byte("a:1")), znode.DigestID(znode.DigestSHA1, []byte("b:2"))
	c.ids = []proto.ID{a, b}
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: []proto.ACL{entry(31, "auth", "")}}))
	for _, ids := range [][]proto.ID{{a}, {b}, {b, a}} {
		if _, _, code := znode.GetData(c.tree, "/a", ids); code != ok {
			t.Errorf("%v: %v", ids, code)
		}
	}
}

// TestReadOrder has the rows of spec semantics 3.2.
func TestReadOrder(t *testing.T) {
	c := tableTree(t)
	adminOnly := proto.WorldACL(proto.PermAdmin)
	c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/free", ACL: adminOnly, Version: -1}))
	for _, tc := range []struct {
		path                         string
		exists, data, children, acls proto.Code
	}{
		{"/shut", ok, ok, ok, ok},
		{"/shut/kid", ok, ok, ok, ok},
		{"", ok, ok, ok, ok},
		{"/nope", noNode, noNode, noNode, noNode},
		{"nope", noNode, noNode, noNode, noNode},
		{"/nope/", noNode, noNode, noNode, noNode},
		{"/a//b", noNode, noNode, noNode, noNode},
		{"/\x00", badArgs, noNode, noNode, noNode},
		{"/locked", noAuth, noAuth, noAuth, noAuth},
		{"/free", noAuth, noAuth, noAuth, ok},
	} {
		_, e := znode.Exists(c.tree, tc.path, nil)
		_, _, d := znode.GetData(c.tree, tc.path, nil)
		_, _, k := znode.GetChildren(c.tree, tc.path, nil, math.MaxInt)
		_, _, a := znode.GetACL(c.tree, tc.path, nil)
		if e != tc.exists || d != tc.data || k != tc.children || a != tc.acls {
			t.Errorf("%q: exists %v, getData %v, getChildren %v, getACL %v", tc.path, e, d, k, a)
		}
	}
	names, stat, _ := znode.GetChildren(c.tree, "/", nil, math.MaxInt)
	if want := []string{"free", "locked", "mine", "shut", "zookeeper"}; !slices.Equal(names, want) || stat.NumChildren != 5 {
		t.Errorf("children of the root %v, %+v", names, stat)
	}
	if acl, _, _ := znode.GetACL(c.tree, "/mine", nil); !slices.Equal(acl, open) {
		t.Errorf("the usual ACL reads as %v", acl)
	}
}
