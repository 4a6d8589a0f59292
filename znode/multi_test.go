package znode_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// TestMultiCodes has the rules of spec semantics 6 and client-protocol 8.
func TestMultiCodes(t *testing.T) {
	container := opCreate("/k", proto.ModeContainer)
	for _, tc := range []struct {
		name string
		ops  []proto.MultiOp
		want []proto.Code
	}{
		{"empty", nil, nil},
		{"parent, then child", []proto.MultiOp{opCreate("/a", 0), opCreate("/a/b", 0)}, []proto.Code{0, 0}},
		{"check after set sees the new version", []proto.MultiOp{opSet("/free", "n", 0), opCheck("/free", 1)}, []proto.Code{0, 0}},
		{"delete, then create", []proto.MultiOp{opDelete("/free/kid/deep", -1), opDelete("/free/kid", -1), opCreate("/free/kid", 0)}, []proto.Code{0, 0, 0}},
		{"first fails", []proto.MultiOp{opCheck("/nope", -1), opCreate("/a", 0)}, []proto.Code{noNode, -2}},
		{"middle fails", []proto.MultiOp{opCreate("/a", 0), opCreate("/free", 0), opCreate("/b", 0), opCheck("/nope", 0)}, []proto.Code{0, exists, -2, -2}},
		{"last fails", []proto.MultiOp{opSet("/free", "n", 0), opDelete("/free", -1)}, []proto.Code{0, notEmpty}},
		{"checks alone", []proto.MultiOp{opCheck("/free", 0), opCheck("/", -1)}, []proto.Code{0, 0}},
		{"same name twice", []proto.MultiOp{opCreate("/a", 0), opCreate("/a", 0)}, []proto.Code{0, exists}},
		{"permission", []proto.MultiOp{opCreate("/a", 0), opCreate("/shut/x", 0)}, []proto.Code{0, noAuth}},
		{"ephemeral", []proto.MultiOp{opCreate("/e", proto.ModeEphemeral), opCreate2("/e2", proto.ModeEphemeralSequential)}, []proto.Code{0, 0}},
		{"child of a new ephemeral", []proto.MultiOp{opCreate("/e", proto.ModeEphemeral), opCreate("/e/x", 0)}, []proto.Code{0, noChildren}},
		{"container", []proto.MultiOp{opCreate("/a", 0), container}, []proto.Code{0, 0}},
		{"TTL while that is off", []proto.MultiOp{opCreate("/a", 0), opTTL("/t", 5, 1)}, []proto.Code{0, unimpl}},
		{"TTL with unknown flags", []proto.MultiOp{opCreate("/a", 0), opTTL("/t", 9, 1)}, []proto.Code{0, badArgs}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tableTree(t)
			before, last := c.tree.digest, c.last
			r := c.do(proto.OpMulti, multi(tc.ops...))
			if r.Code != ok || r.Multi == nil || !slices.Equal(codes(r.Multi), tc.want) {
				t.Errorf("%v %v, want %v", r.Code, codes(r.Multi), tc.want)
			}
			if c.last != last+1 {
				t.Errorf("a multi takes one zxid")
			}
			failed := slices.ContainsFunc(tc.want, func(c proto.Code) bool { return c != ok })
			if failed && (c.tree.digest != before || len(r.Triggers) > 0) {
				t.Errorf("a failed multi left a trace")
			}
			for i, result := range r.Multi {
				if failed != (result.Type == proto.OpError) {
					t.Errorf("result %d has type %v", i, result.Type)
				}
			}
			c.tree.check(t)
		})
	}
}

// TestMultiUndecodable: what may not stand in a multi spoils it as a whole.
func TestMultiUndecodable(t *testing.T) {
	nullACL := proto.MultiOp{Op: proto.OpCreate, Request: &proto.CreateRequest{Path: "/a"}}
	for name, ops := range map[string][]proto.MultiOp{
		"invalid flags": {opCreate("/a", 9)},
		"TTL flag":      {opCreate("/a", proto.ModePersistentWithTTL)},
		"null ACL":      {nullACL},
		"setACL":        {{Op: proto.OpSetACL, Request: &proto.SetACLRequest{Path: "/", ACL: open}}},
		"a read":        {{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: "/"}}},
	} {
		c := newCluster(t)
		if r := c.do(proto.OpMulti, multi(append([]proto.MultiOp{opCheck("/", -1)}, ops...)...)); r.Code != marshalling || r.Multi != nil {
			t.Errorf("%s: %v %v", name, r.Code, r.Multi)
		}
	}
}

// TestMultiSession: an expired session fails the first operation; without any there is nothing
// to fail.
func TestMultiSession(t *testing.T) {
	c := newCluster(t)
	r := c.request(proto.OpMulti, multi(opCheck("/", -1), opCreate("/a", 0)))
	r.SessionCode = expired
	if got := c.send(r); got.Code != ok || !slices.Equal(codes(got.Multi), []proto.Code{expired, -2}) {
		t.Errorf("%v %v", got.Code, codes(got.Multi))
	}
	r = c.request(proto.OpMulti, multi())
	r.SessionCode = expired
	if got := c.send(r); got.Code != ok || got.Multi == nil || len(got.Multi) != 0 {
		t.Errorf("empty: %v %v", got.Code, got.Multi)
	}
}

// TestMultiResults: each Stat is the node's right after that very operation.
func TestMultiResults(t *testing.T) {
	c := newCluster(t)
	r := c.must(c.do(proto.OpMulti, multi(
		opCreate("/a", 0), opSet("/a", "one", 0), opCreate2("/a/s-", proto.ModePersistentSequential),
		opCreate2("/a/s-", proto.ModePersistentSequential), opSet("/a", "second", 1), opCheck("/a", 2),
		opDelete("/a/s-0000000000", 0),
	)))
	z, now := c.last, c.now
	stat := func(version, cversion, length, children int32) proto.Stat {
		return proto.Stat{
			Czxid: z, Mzxid: z, Pzxid: z, Ctime: now, Mtime: now,
			Version: version, Cversion: cversion, DataLength: length, NumChildren: children,
		}
	}
	want := []proto.MultiResult{
		{Type: proto.OpCreate, Path: "/a"},
		{Type: proto.OpSetData, Stat: stat(1, 0, 3, 0)},
		{Type: proto.OpCreate2, Path: "/a/s-0000000000", Stat: stat(0, 0, 0, 0)},
		{Type: proto.OpCreate2, Path: "/a/s-0000000001", Stat: stat(0, 0, 0, 0)},
		{Type: proto.OpSetData, Stat: stat(2, 2, 6, 2)},
		{Type: proto.OpCheck},
		{Type: proto.OpDelete},
	}
	for i := range want {
		if got := fmt.Sprintf("%+v", r.Multi[i]); got != fmt.Sprintf("%+v", want[i]) {
			t.Errorf("%d:\n got %s\nwant %+v", i, got, want[i])
		}
	}
	if s := c.stat("/a"); s.Cversion != 3 || s.NumChildren != 1 {
		t.Errorf("afterwards %+v", s)
	}
	wantTriggers := `data /a NodeCreated
child / NodeChildrenChanged
data /a NodeDataChanged
data /a/s-0000000000 NodeCreated
child /a NodeChildrenChanged
data /a/s-0000000001 NodeCreated
child /a NodeChildrenChanged
data /a NodeDataChanged
data /a/s-0000000000 NodeDeleted
child /a/s-0000000000 NodeDeleted skip
child /a NodeChildrenChanged
`
	if got := describe(r.Triggers); got != wantTriggers {
		t.Errorf("triggers:\n%s", got)
	}
}

// TestFailedMultiRollsBackPendingChanges: neither the pending states of other requests nor
// counters keep anything of a failed multi.
func TestFailedMultiRollsBackPendingChanges(t *testing.T) {
	c := newCluster(t)
	c.mustCreate("/q", "/d")
	propose := func(op proto.Op, body proto.Appender) { c.propose(c.request(op, body)) }
	sequential := proto.CreateRequest{Path: "/q/s-", ACL: open, Mode: proto.ModePersistentSequential}
	fail := opCheck("/nope", -1)
	propose(proto.OpCreate, sequential)
	propose(proto.OpSetData, proto.SetDataRequest{Path: "/d", Version: 0})
	propose(proto.OpMulti, multi(
		opCreate("/q/s-", proto.ModePersistentSequential), opCreate("/q/s-", proto.ModePersistentSequential),
		opSet("/d", "z", 1), opDelete("/d", 2), opCreate("/e", proto.ModeEphemeral), opDelete("/q/s-0000000000", -1), fail))
	propose(proto.OpCreate, sequential)
	propose(proto.OpSetData, proto.SetDataRequest{Path: "/d", Version: 1})
	propose(proto.OpCreate, proto.CreateRequest{Path: "/e/x", ACL: open})
	propose(proto.OpCloseSession, nil)
	results := c.apply(len(c.queue))
	for i, want := range []proto.Code{ok, ok, ok, ok, ok, noNode, ok} {
		if results[i].Code != want {
			t.Errorf("%d: %v, want %v", i, results[i].Code, want)
		}
	}
	if want := []proto.Code{0, 0, 0, 0, 0, 0, noNode}; !slices.Equal(codes(results[2].Multi), want) {
		t.Errorf("multi: %v", codes(results[2].Multi))
	}
	if got := results[3].Path; got != "/q/s-0000000001" {
		t.Errorf("a failed multi burnt a number: %q", got)
	}
	c.tree.check(t)
}

// TestFailedMultiGivesPendingEphemeralsBack: one whose delete was rolled back is still on its
// session's list.
func TestFailedMultiGivesPendingEphemeralsBack(t *testing.T) {
	c := newCluster(t)
	c.propose(c.request(proto.OpMulti, multi(opCreate("/e", proto.ModeEphemeral))))
	c.propose(c.request(proto.OpMulti, multi(opDelete("/e", 0), opCheck("/nope", -1))))
	c.propose(c.request(proto.OpCloseSession, nil))
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/e", Version: -1}))
	txn, err := proto.DecodeTxn(c.queue[2])
	if err != nil {
		t.Fatal(err)
	}
	if got := txn.Body.(*proto.CloseSessionTxn).Paths; !slices.Equal(got, []string{"/e"}) {
		t.Errorf("list %v", got)
	}
	if r := c.apply(4); r[3].Code != noNode {
		t.Errorf("behind the end of the session: %v", r[3].Code)
	}
}

// TestFailedMultiTxn: the transaction holds errors alone. One in the layout of Apache's
// servers, which keep the operations before the failure, is applied alike.
func TestFailedMultiTxn(t *testing.T) {
	c := newCluster(t)
	c.propose(c.request(proto.OpMulti, multi(opCreate("/a", 0), opCheck("/a", 5), opCreate("/b", 0))))
	txn, err := proto.DecodeTxn(c.queue[0])
	if err != nil {
		t.Fatal(err)
	}
	want := []proto.Code{0, badVersion, -2}
	for i, sub := range txn.Body.(*proto.MultiTxn).Txns {
		if failed, isError := sub.Body.(*proto.ErrorTxn); !isError || sub.Type != proto.OpError || failed.Err != want[i] {
			t.Errorf("%d: %v %+v", i, sub.Type, sub.Body)
		}
	}
	apache := proto.Txn{
		TxnHeader: proto.TxnHeader{Type: proto.OpMulti, Zxid: zxid.Make(1, 50)},
		Body: &proto.MultiTxn{Txns: []proto.SubTxn{
			{Type: proto.OpCreate, Body: &proto.CreateTxn{Path: "/a", ParentCVersion: 1}},
			{Type: proto.OpError, Body: &proto.ErrorTxn{Err: badVersion}},
			{Type: proto.OpError, Body: &proto.ErrorTxn{Err: -2}},
		}},
	}
	for name, txn := range map[string]*proto.Txn{"ours": &txn, "apache": &apache} {
		changes := znode.NewChanges(newMemTree())
		r := changes.Apply(txn)
		if r.Code != ok || !slices.Equal(codes(r.Multi), want) || changes.Len() != 0 {
			t.Errorf("%s: %v %v, %d changes", name, r.Code, codes(r.Multi), changes.Len())
		}
	}
}
