package znode_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// TestOnlyKnownWritesArePrepared: whatever arrives gets exactly one transaction (hazard H-64).
func TestOnlyKnownWritesArePrepared(t *testing.T) {
	c := newCluster(t)
	for op := proto.Op(-20); op < 120; op++ {
		switch op {
		case proto.OpCreateSession, proto.OpCloseSession:
			continue
		}
		want := unimpl
		switch op {
		case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete,
			proto.OpSetData, proto.OpSetACL, proto.OpMulti:
			want = marshalling // the body is empty
		case proto.OpReconfig:
			want = proto.CodeNoAuth
		}
		if r := c.do(op, nil); r.Code != want || r.Multi != nil {
			t.Errorf("%v: %v", op, r.Code)
		}
	}
}

func TestSkipACL(t *testing.T) {
	c := newClusterWith(t, znode.PrepareOptions{SkipACL: true})
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: proto.WorldACL(0)}))
	c.mustCreate("/a/b")
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1}))
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/a/b", Version: -1}))
	if r := c.do(proto.OpCreate, proto.CreateRequest{Path: "/b", ACL: []proto.ACL{entry(31, "auth", "")}}); r.Code != badACL {
		t.Errorf("lists are still checked: %v", r.Code)
	}
}

func TestIdentitiesDecide(t *testing.T) {
	c := newCluster(t)
	alice := znode.DigestID(znode.DigestSHA1, []byte("alice:secret"))
	c.ids = []proto.ID{id("ip", "10.0.0.1"), alice}
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: []proto.ACL{entry(31, "auth", "")}}))
	c.mustCreate("/a/b")
	c.ids = []proto.ID{id("ip", "10.0.0.1")}
	for op, body := range map[proto.Op]proto.Appender{
		proto.OpCreate:  proto.CreateRequest{Path: "/a/c", ACL: open},
		proto.OpDelete:  proto.DeleteRequest{Path: "/a/b", Version: -1},
		proto.OpSetData: proto.SetDataRequest{Path: "/a", Version: -1},
		proto.OpSetACL:  proto.SetACLRequest{Path: "/a", ACL: open, Version: -1},
	} {
		if r := c.do(op, body); r.Code != noAuth {
			t.Errorf("%v by a stranger: %v", op, r.Code)
		}
	}
	c.ids = []proto.ID{znode.SuperID()}
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1}))
}

// TestSequenceNumbers has the rules of spec semantics 4.1.
func TestSequenceNumbers(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/q")
	for _, step := range []struct {
		path string
		mode proto.CreateMode
		want string
	}{
		{"/q/a-", proto.ModePersistentSequential, "/q/a-0000000000"},
		{"/q/b-", proto.ModeEphemeralSequential, "/q/b-0000000001"},
		{"/q/plain", proto.ModePersistent, "/q/plain"},
		{"/q/", proto.ModePersistentSequential, "/q/0000000003"},
		{"/q/.", proto.ModePersistentSequential, "/q/.0000000004"},
	} {
		r := c.must(c.create(step.path, step.mode))
		if r.Path != step.want || c.tree.nodes[step.want] == nil {
			t.Errorf("%q became %q, want %q", step.path, r.Path, step.want)
		}
	}
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/q/plain", Version: -1}))
	if r := c.create("/q/a-0000000000", 0); r.Code != exists {
		t.Fatal(r.Code)
	}
	if r := c.must(c.create("/q/c-", proto.ModePersistentSequential)); r.Path != "/q/c-0000000005" {
		t.Errorf("deletes and failures count: %q", r.Path)
	}
	if r := c.must(c.create("/r-", proto.ModePersistentSequential)); r.Path != "/r-0000000001" {
		t.Errorf("child of the root: %q", r.Path)
	}
}

// TestSequenceSaturation: at 2^31-1 the counter sticks, but pzxid moves (spec semantics 17,
// defect 8), also for creates behind a pending one.
func TestSequenceSaturation(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/q")
	c.setState("/q", func(n *znode.Node) { n.Created = math.MaxInt32 - 1 })
	create := func(path string, mode proto.CreateMode) {
		c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: path, ACL: open, Mode: mode}))
	}
	create("/q/a", proto.ModePersistentSequential)
	create("/q/a", proto.ModePersistentSequential)
	create("/q/a", proto.ModePersistentSequential)
	create("/q/b", proto.ModePersistentSequential)
	create("/q/plain", proto.ModePersistent)
	results := c.apply(5)
	for i, want := range []struct {
		path string
		code proto.Code
	}{
		{"/q/a2147483646", ok},
		{"/q/a2147483647", ok},
		{"", exists},
		{"/q/b2147483647", ok},
		{"/q/plain", ok},
	} {
		if results[i].Code != want.code || results[i].Path != want.path {
			t.Errorf("%d: %v %q", i, results[i].Code, results[i].Path)
		}
	}
	s := c.stat("/q")
	if n := c.tree.nodes["/q"]; n.Created != math.MaxInt32 || s.NumChildren != 4 || s.Pzxid != c.last {
		t.Errorf("counter %d, %d children, pzxid %v; last %v", n.Created, s.NumChildren, s.Pzxid, c.last)
	}
	if want := int32(-6); s.Cversion != want { // 2*(2^31-1) wraps to -2, less 4 children
		t.Errorf("cversion %d, want %d", s.Cversion, want)
	}
	c.tree.check(t)
}

// TestSessions holds hazard H-69.
func TestSessions(t *testing.T) {
	c := newCluster(t)
	create := func(id proto.SessionID) proto.Code {
		return c.send(&znode.Request{Session: id, Op: proto.OpCreateSession, Timeout: 5000, SessionCode: expired}).Code
	}
	if timeout, live := c.tree.Session(session1); !live || timeout != 4000 {
		t.Errorf("session: %d, %v", timeout, live)
	}
	if code := create(session1); code != expired {
		t.Errorf("id in use: %v", code)
	}
	for _, id := range []proto.SessionID{0, znode.ContainerOwner, znode.TTLOwner(1), znode.TTLOwner(znode.MaxTTL)} {
		if code := create(id); code != badArgs {
			t.Errorf("id %v has another meaning: %v", id, code)
		}
	}
	for _, id := range []proto.SessionID{-1, 3, -1 << 56, 0x7fffffffffffffff} {
		if code := create(id); code != ok {
			t.Errorf("any other id is fine, %v: %v", id, code)
		}
	}
	c.session = -1
	c.must(c.create("/e", proto.ModeEphemeral))
	if s := c.stat("/e"); s.EphemeralOwner != -1 {
		t.Errorf("owner %v", s.EphemeralOwner)
	}
	c.must(c.do(proto.OpCloseSession, nil))
	if c.tree.nodes["/e"] != nil {
		t.Error("ephemeral outlived its session")
	}
	if r := c.create("/e", proto.ModeEphemeral); r.Code != expired {
		t.Errorf("ephemeral of a closed session: %v", r.Code)
	}
	if code := create(-1); code != ok {
		t.Errorf("a closed id may be used again: %v", code)
	}
}

// TestPendingSessions: the session of a pending createSession may create ephemerals, that of
// a pending closeSession may not (hazard H-68).
func TestPendingSessions(t *testing.T) {
	c := newCluster(t)
	const fresh = proto.SessionID(77)
	ephemeral := proto.CreateRequest{Path: "/e", ACL: open, Mode: proto.ModeEphemeral}
	c.propose(&znode.Request{Session: fresh, Op: proto.OpCreateSession, Timeout: 1})
	c.propose(&znode.Request{Session: fresh, Op: proto.OpCreateSession, Timeout: 1})
	c.session = fresh
	c.propose(c.request(proto.OpCreate, ephemeral))
	c.propose(c.request(proto.OpCloseSession, nil))
	c.propose(c.request(proto.OpCreate, ephemeral))
	for i, want := range []proto.Code{ok, expired, ok, ok, expired} {
		if r := c.apply(1)[0]; r.Code != want {
			t.Errorf("%d: %v, want %v", i, r.Code, want)
		}
	}
	c.prep.Applied(c.last)
	if c.tree.nodes["/e"] != nil || len(c.tree.ephemerals[fresh]) != 0 {
		t.Error("zombie ephemeral")
	}
	c.tree.check(t)
}

// TestCloseSessionList: the list in the transaction is complete, sorted, and knows of
// pending creates and deletes.
func TestCloseSessionList(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/p")
	for _, path := range []string{"/p/b", "/p/a", "/z"} {
		c.must(c.create(path, proto.ModeEphemeral))
	}
	c.session = session2
	c.must(c.create("/other", proto.ModeEphemeral))
	c.session = session1
	del := func(path string) {
		c.propose(c.request(proto.OpDelete, proto.DeleteRequest{Path: path, Version: -1}))
	}
	create := func(path string, mode proto.CreateMode) {
		c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: path, ACL: open, Mode: mode}))
	}
	del("/z")
	create("/new", proto.ModeEphemeral)
	del("/p/a")
	create("/p/a", proto.ModePersistent) // same path, no ephemeral any more
	create("/gone", proto.ModeEphemeral)
	del("/gone")
	create("/new2", proto.ModeEphemeral)
	c.propose(c.request(proto.OpCloseSession, nil))
	txn, err := proto.DecodeTxn(c.queue[len(c.queue)-1])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(txn.Body.(*proto.CloseSessionTxn).Paths), "[/new /new2 /p/b]"; got != want {
		t.Errorf("list %s, want %s", got, want)
	}
	// The parent's children are gone for whoever comes next, applied or not.
	del("/p/a")
	del("/p")
	for i, r := range c.apply(len(c.queue)) {
		if r.Code != ok {
			t.Errorf("%d: %v", i, r.Code)
		}
	}
	if n := len(c.tree.nodes); n != 4+1 { // and /other
		t.Errorf("%d nodes left", n)
	}
	c.tree.check(t)
}

// TestOversizedTransactions: what followers could not read is never proposed (hazard H-67).
func TestOversizedTransactions(t *testing.T) {
	const limit = 4096
	c := newClusterWith(t, znode.PrepareOptions{JuteMaxBuffer: limit})
	for i := range 40 {
		c.ids = append(c.ids, id("digest", fmt.Sprintf("user%d:%s", i, strings.Repeat("h", 60))))
	}
	auth := func(n int) (acl []proto.ACL) {
		for i := range n {
			acl = append(acl, entry(proto.Perms(i+1), "auth", ""))
		}
		return acl
	}
	c.must(c.do(proto.OpCreate, proto.CreateRequest{Path: "/fits", ACL: auth(2)}))
	for name, body := range map[string]proto.Appender{
		"ACL":  proto.CreateRequest{Path: "/x", ACL: auth(3)},
		"data": proto.CreateRequest{Path: "/x", ACL: auth(1), Data: make([]byte, limit+1500)},
	} {
		if r := c.do(proto.OpCreate, body); r.Code != marshalling {
			t.Errorf("create with too much %s: %v", name, r.Code)
		}
	}
	if r := c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/fits", ACL: auth(3), Version: -1}); r.Code != marshalling {
		t.Errorf("setACL: %v", r.Code)
	}
	sub := func(path string) proto.MultiOp {
		return proto.MultiOp{Op: proto.OpCreate, Request: &proto.CreateRequest{Path: path, ACL: auth(1)}}
	}
	r := c.do(proto.OpMulti, multi(sub("/m1"), sub("/m2"), sub("/m3"), sub("/m4")))
	if got, want := fmt.Sprint(codes(r.Multi)), fmt.Sprint([]proto.Code{ok, ok, marshalling, -2}); got != want {
		t.Errorf("multi: %s, want %s", got, want)
	}
	if c.tree.nodes["/m1"] != nil {
		t.Error("part of a refused multi was applied")
	}
}

// TestOversizedCloseSession: a session with more ephemerals than a transaction can list is
// closed all the same, and completely (hazard H-67).
func TestOversizedCloseSession(t *testing.T) {
	c := newClusterWith(t, znode.PrepareOptions{JuteMaxBuffer: 2048})
	name := strings.Repeat("n", 200)
	for i := range 50 {
		c.must(c.create(fmt.Sprintf("/%s%d", name, i), proto.ModeEphemeral))
	}
	c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: "/pending", ACL: open, Mode: proto.ModeEphemeral}))
	c.propose(c.request(proto.OpCloseSession, nil))
	txn, err := proto.DecodeTxn(c.queue[1])
	if err != nil {
		t.Fatal(err)
	}
	if n := len(txn.Body.(*proto.CloseSessionTxn).Paths); n == 0 || n >= 50 {
		t.Fatalf("%d paths are listed", n)
	}
	c.apply(2)
	if len(c.tree.nodes) != 4 {
		t.Errorf("%d nodes left", len(c.tree.nodes))
	}
	c.tree.check(t)
}

// TestSizesAtTheLimit: up to MaxTxn a transaction passes, and its predicted length is exact.
func TestSizesAtTheLimit(t *testing.T) {
	const limit = 2048
	c := newClusterWith(t, znode.PrepareOptions{JuteMaxBuffer: limit})
	c.mustCreate("/a")
	empty := len(proto.AppendTxn(nil, &proto.Txn{
		TxnHeader: proto.TxnHeader{Type: proto.OpSetData}, Body: &proto.SetDataTxn{Path: "/a", Data: []byte{}}, HasDigest: true,
	}))
	most := znode.MaxTxn(limit) - empty
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Data: make([]byte, most), Version: -1}))
	if r := c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Data: make([]byte, most+1), Version: -1}); r.Code != marshalling {
		t.Errorf("one byte more: %v", r.Code)
	}
}

func TestTooDeep(t *testing.T) {
	c := newCluster(t)
	path := strings.Repeat("/a", znode.MaxDepth)
	n := &znode.Node{}
	c.tree.nodes[path] = n // the parents do not matter here
	if r := c.do(proto.OpCreate, proto.CreateRequest{Path: path + "/a", ACL: open}); r.Code != badArgs {
		t.Errorf("%v", r.Code)
	}
	txn := proto.Txn{
		TxnHeader: proto.TxnHeader{Type: proto.OpCreate, Zxid: zxid.Make(1, 99)},
		Body:      &proto.CreateTxn{Path: path + "/a"},
	}
	if r := c.changes.Apply(&txn); r.Code != badArgs {
		t.Errorf("apply: %v", r.Code)
	}
}

// TestPrepareIgnoresWhetherTheViewHasCaughtUp: pending states are absolute, so neither a late
// Applied nor an early one of older zxids changes a judgement.
func TestPrepareIgnoresWhetherTheViewHasCaughtUp(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/a")
	first := c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 0}))
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 1}))
	c.apply(2)
	c.prep.Applied(first) // late
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 2}))
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 2}))
	if r := c.apply(2); r[0].Code != ok || r[1].Code != badVersion {
		t.Errorf("%v, %v", r[0].Code, r[1].Code)
	}
}

// TestReconfigOrder: what is wrong with a reconfiguration is told in the order of spec semantics 12.3.
func TestReconfigOrder(t *testing.T) {
	text := []byte("server.1=a:1:2:participant\nversion=100000009")
	ok := znode.Reconfig{Data: text}
	for name, tc := range map[string]struct {
		request znode.Request
		want    proto.Code
	}{
		"disabled comes first":     {znode.Request{SessionCode: proto.CodeSessionExpired, Reconfig: znode.Reconfig{Code: proto.CodeReconfigDisabled}}, proto.CodeReconfigDisabled},
		"then the session":         {znode.Request{SessionCode: proto.CodeSessionExpired, Reconfig: znode.Reconfig{Code: proto.CodeBadVersion}}, proto.CodeSessionExpired},
		"then what leaders judge":  {znode.Request{Reconfig: znode.Reconfig{Code: proto.CodeNewConfigNoQuorum}}, proto.CodeNewConfigNoQuorum},
		"then permission":          {znode.Request{Reconfig: ok}, proto.CodeNoAuth},
		"then what only we refuse": {znode.Request{Reconfig: znode.Reconfig{Last: proto.CodeBadArguments}}, proto.CodeNoAuth},
		"even to super":            {znode.Request{Reconfig: znode.Reconfig{Last: proto.CodeBadArguments}, IDs: []proto.ID{{Scheme: "super", ID: ""}}}, proto.CodeBadArguments},
		"super may":                {znode.Request{Reconfig: ok, IDs: []proto.ID{{Scheme: "super", ID: ""}}}, proto.CodeOK},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			r := tc.request
			r.Op, r.Session, r.Cxid = proto.OpReconfig, session1, 7
			res := c.send(&r)
			if res.Code != tc.want {
				t.Fatalf("%v, want %v", res.Code, tc.want)
			}
			n := c.tree.Node(znode.ConfigPath)
			if wrote := string(n.Data) == string(text); wrote != (tc.want == proto.CodeOK) {
				t.Errorf("the node holds %q", n.Data)
			}
			if tc.want == proto.CodeOK && (res.Stat.Version != -1 || res.Stat.Mzxid != n.Mzxid) {
				t.Errorf("stat %+v", res.Stat)
			}
		})
	}
}
