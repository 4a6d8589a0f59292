package znode_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// modelRequest is a request that both sides understand.
type modelRequest struct {
	session proto.SessionID
	op      proto.Op
	body    proto.Request // nil for sessions
	ids     []proto.ID
}

var (
	aliceID = proto.ID{Scheme: "digest", ID: "alice:h"}
	bobID   = proto.ID{Scheme: "digest", ID: "bob:h"}
)

func genPath() *rapid.Generator[string] {
	name := rapid.SampledFrom([]string{"a", "a", "b", "c", "s-", "a0000000000", "s-0000000001", "."})
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 19).Draw(t, "odd") == 0 {
			return rapid.SampledFrom([]string{
				"", "a", "/", "/a/", "//a", "/a//b", "/zookeeper", "/zookeeper/config",
				"/\x00", "/a/\x01", "/b/..", "/nope/x/y",
			}).Draw(t, "odd path")
		}
		path := ""
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			path += "/" + name.Draw(t, "name")
		}
		return path
	})
}

func genACL() *rapid.Generator[[]proto.ACL] {
	return rapid.SampledFrom([][]proto.ACL{
		open, open, open, open, open, open, proto.WorldACL(proto.PermRead), proto.WorldACL(30),
		{},
		{{Perms: 31, ID: aliceID}},
		{{Perms: 31, ID: proto.ID{Scheme: "auth"}}},
		{{Perms: 31, ID: aliceID}, {Perms: 31, ID: proto.ID{Scheme: "auth"}}, {Perms: 31, ID: aliceID}},
		{{Perms: 1, ID: proto.ID{Scheme: "nonsense"}}},
	})
}

func genVersion() *rapid.Generator[int32] {
	return rapid.SampledFrom([]int32{-1, -1, -1, 0, 0, 1, 2, -2})
}

// genOp makes the body of one operation; the ones a multi cannot hold are left out in it.
func genOp(inMulti bool) *rapid.Generator[proto.MultiOp] {
	return rapid.Custom(func(t *rapid.T) proto.MultiOp {
		path := genPath().Draw(t, "path")
		version := genVersion().Draw(t, "version")
		data := rapid.SampledFrom([][]byte{nil, {}, []byte("x"), []byte("some more")}).Draw(t, "data")
		ops := []proto.Op{
			proto.OpCreate, proto.OpCreate, proto.OpCreate2, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL,
			proto.OpDelete, proto.OpSetData, proto.OpSetACL,
		}
		modes := []proto.CreateMode{0, 0, 1, 1, 2, 3, 4, 5, 9}
		if inMulti {
			ops[len(ops)-1] = proto.OpCheck
			modes = modes[:6]
		}
		op := rapid.SampledFrom(ops).Draw(t, "op")
		switch op {
		case proto.OpDelete:
			return proto.MultiOp{Op: op, Request: &proto.DeleteRequest{Path: path, Version: version}}
		case proto.OpSetData:
			return proto.MultiOp{Op: op, Request: &proto.SetDataRequest{Path: path, Data: data, Version: version}}
		case proto.OpSetACL:
			return proto.MultiOp{Op: op, Request: &proto.SetACLRequest{Path: path, ACL: genACL().Draw(t, "acl"), Version: version}}
		case proto.OpCheck:
			return proto.MultiOp{Op: op, Request: &proto.CheckVersionRequest{Path: path, Version: version}}
		case proto.OpCreateTTL:
			return proto.MultiOp{Op: op, Request: &proto.CreateTTLRequest{
				Path: path, Data: data, ACL: genACL().Draw(t, "acl"),
				Mode: rapid.SampledFrom([]proto.CreateMode{5, 5, 6, 6, 0, 9}).Draw(t, "mode"),
				TTL:  rapid.SampledFrom([]int64{1, 7, znode.MaxTTL, 0, -1}).Draw(t, "ttl"),
			}}
		default:
			return proto.MultiOp{Op: op, Request: &proto.CreateRequest{
				Path: path, Data: data, ACL: genACL().Draw(t, "acl"), Mode: rapid.SampledFrom(modes).Draw(t, "mode"),
			}}
		}
	})
}

func genRequest() *rapid.Generator[*modelRequest] {
	return rapid.Custom(func(t *rapid.T) *modelRequest {
		r := &modelRequest{
			session: rapid.SampledFrom([]proto.SessionID{session1, session2, -1}).Draw(t, "session"),
			ids: rapid.SampledFrom([][]proto.ID{
				nil,
				{aliceID},
				{aliceID, bobID},
				{znode.SuperID()},
				{{Scheme: "ip", ID: "10.0.0.1"}},
			}).Draw(t, "ids"),
		}
		switch kind := rapid.IntRange(0, 29).Draw(t, "kind"); {
		case kind <= 1:
			r.op = proto.OpCloseSession
		case kind <= 3:
			r.op = proto.OpCreateSession
		case kind <= 9:
			r.op = proto.OpMulti
			r.body = &proto.MultiRequest{Ops: rapid.SliceOfN(genOp(true), 0, 6).Draw(t, "ops")}
		default:
			op := genOp(false).Draw(t, "op")
			r.op, r.body = op.Op, op.Request
		}
		return r
	})
}

// TestPrepareAndApplyEqualTheModel runs random requests through Prepare at once and through
// Apply with a random lag, in random batches, while Applied lags behind even
// more. Every outcome and the final tree must be those of the model, which does one after the other,
// and every digest that Prepare announces must be that of the tree [H-78].
func TestPrepareAndApplyEqualTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newClusterWith(t, znode.PrepareOptions{ExtendedTypes: true})
		m := newModel()
		m.sessions[session1], m.sessions[session2] = true, true
		var want []outcome
		var sent []*modelRequest
		apply := func(n int) {
			for i, r := range c.apply(n) {
				got := outcome{r.Code, r.Path, r.Stat, r.Multi, describe(r.Triggers)}
				if diff := compare(sent[i], got, want[i]); diff != "" {
					rt.Fatalf("%v %+v: %s", sent[i].op, sent[i].body, diff)
				}
			}
			sent, want = sent[n:], want[n:]
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if rapid.IntRange(0, 9).Draw(rt, "expire") == 0 {
				apply(len(sent))
				c.prep.Applied(c.applied())
				expire(rt, c, m)
				continue
			}
			r := genRequest().Draw(rt, "request")
			wire := &znode.Request{Session: r.session, Op: r.op, IDs: r.ids, Timeout: 1000}
			if r.body != nil {
				wire.Body = r.body.Append(nil)
			}
			if !m.sessions[r.session] {
				wire.SessionCode = expired
			}
			c.propose(wire)
			m.zxid, m.now = c.last, c.now
			if r.op == proto.OpCloseSession {
				checkCloseList(rt, c, m, r.session)
			}
			want, sent = append(want, m.exec(r)), append(sent, r)
			switch rapid.IntRange(0, 9).Draw(rt, "lag") {
			case 0, 1, 2:
				apply(rapid.IntRange(0, len(sent)).Draw(rt, "batch"))
			case 3, 4:
				c.prep.Applied(c.applied())
			case 5:
				apply(len(sent))
				c.prep.Applied(c.applied())
			}
		}
		apply(len(sent))
		if diff := m.differences(c.tree); diff != "" {
			rt.Fatal(diff)
		}
		c.tree.check(t)
		replay(t, rt, c)
	})
}

// expire deletes, with nothing pending, the containers and TTL nodes that the rules let go at the
// end of their age.
func expire(rt *rapid.T, c *cluster, m *model) {
	c.now += rapid.SampledFrom([]int64{0, 100}).Draw(rt, "age")
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		n := m.nodes[path]
		empty := len(m.children(path)) == 0
		want := n.container && empty && n.born > 0 || n.ttl > 0 && empty && c.now-n.mtime > n.ttl
		if got := c.tree.nodes[path].Expired(c.now, 0); got != want {
			rt.Fatalf("%q is expired: %v, want %v; %+v", path, got, want, n)
		}
		if !want {
			continue
		}
		c.last++
		txn, code := c.prep.PrepareExpiry(path, c.last, c.now)
		if code != ok {
			rt.Fatalf("expiry of %q: %v", path, code)
		}
		b := proto.AppendTxn(nil, &txn)
		c.log, c.queue = append(c.log, b), append(c.queue, b)
		m.zxid = c.last
		if got, want := describe(c.apply(1)[0].Triggers), m.erase(path); got != want {
			rt.Fatalf("expiry of %q fires\n%s, want\n%s", path, got, want)
		}
		c.prep.Applied(c.last)
	}
}

// checkCloseList: the newest proposal lists just what the session owns by then. (Apply would
// make up for an incomplete list, so that nothing else would show it.)
func checkCloseList(rt *rapid.T, c *cluster, m *model, session proto.SessionID) {
	txn, err := proto.DecodeTxn(c.queue[len(c.queue)-1])
	if err != nil {
		rt.Fatal(err)
	}
	var want []string
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if m.nodes[path].owner == session {
			want = append(want, path)
		}
	}
	if got := txn.Body.(*proto.CloseSessionTxn).Paths; !slices.Equal(got, want) {
		rt.Fatalf("closeSession lists %v, want %v", got, want)
	}
}

// compare says how two outcomes differ in what the request's client can see.
func compare(r *modelRequest, got, want outcome) string {
	if got.code != ok || r.op == proto.OpMulti || r.op == proto.OpDelete || r.op == proto.OpSetACL || r.op == proto.OpSetData {
		got.path = "" // echoes
	}
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		return "\n got " + g + "\nwant " + w
	}
	return ""
}

// replay applies the log of c again in other batches: nodes and digest must be the same.
func replay(t *testing.T, rt *rapid.T, c *cluster) {
	t.Helper()
	batch := rapid.SampledFrom([]int{1, 2, 1000}).Draw(rt, "replay batch")
	again := &cluster{t: t, tree: newMemTree(), queue: c.log}
	again.announced = again.tree.publicDigest()
	again.changes = znode.NewChanges(again.tree)
	for len(again.queue) > 0 {
		again.apply(min(batch, len(again.queue)))
	}
	if again.tree.digest != c.tree.digest || len(again.tree.nodes) != len(c.tree.nodes) {
		rt.Fatalf("in batches of %d: digest %x, %d nodes; before %x, %d",
			batch, again.tree.digest, len(again.tree.nodes), c.tree.digest, len(c.tree.nodes))
	}
	for path, n := range c.tree.nodes {
		if g, w := fmt.Sprintf("%+v", again.tree.nodes[path]), fmt.Sprintf("%+v", n); g != w {
			rt.Fatalf("%q in batches of %d:\n%s\n%s", path, batch, g, w)
		}
	}
	again.tree.check(t)
}

// TestApplyIsTotal throws transactions at a tree that no leader would propose. Whatever
// they do, it stays a tree, and its overlay agrees with it.
func TestApplyIsTotal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree := newMemTree()
		changes := znode.NewChanges(tree)
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			txn := genTxn(zxid.ID(i+1)).Draw(rt, "txn")
			decoded, err := proto.DecodeTxn(proto.AppendTxn(nil, &txn))
			if err != nil {
				rt.Fatal(err)
			}
			changes.Apply(&decoded)
			if rapid.Bool().Draw(rt, "install") {
				tree.install(t, changes)
			}
		}
		tree.install(t, changes)
		tree.check(t)
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func genTxn(z zxid.ID) *rapid.Generator[proto.Txn] {
	return rapid.Custom(func(t *rapid.T) proto.Txn {
		txn := proto.Txn{TxnHeader: proto.TxnHeader{
			Zxid: z, Time: int64(z),
			ClientID: rapid.SampledFrom([]proto.SessionID{0, 1, 2, -1, znode.ContainerOwner, znode.TTLOwner(5)}).Draw(t, "client"),
		}}
		txn.Type = rapid.SampledFrom([]proto.Op{
			proto.OpCreateSession, proto.OpCloseSession, proto.OpMulti, proto.OpSetACL,
			1, 1, 1, 15, 15, 19, 21, 2, 2, 20, 5, 16, -1,
		}).Draw(t, "type")
		switch txn.Type {
		case proto.OpCreateSession:
			txn.Body = &proto.CreateSessionTxn{TimeOut: rapid.Int32().Draw(t, "timeout")}
		case proto.OpCloseSession:
			txn.Body = &proto.CloseSessionTxn{Paths: rapid.SliceOfN(genPath(), 0, 3).Draw(t, "paths")}
		case proto.OpSetACL:
			txn.Body = &proto.SetACLTxn{Path: genPath().Draw(t, "path"), ACL: genACL().Draw(t, "acl"), Version: rapid.Int32().Draw(t, "v")}
		case proto.OpMulti:
			var multi proto.MultiTxn
			for range rapid.IntRange(0, 4).Draw(t, "n") {
				op := rapid.SampledFrom([]proto.Op{1, 1, 15, 19, 21, 2, 20, 5, 13, -1}).Draw(t, "op")
				multi.Txns = append(multi.Txns, proto.SubTxn{Type: op, Body: genBody(t, op)})
			}
			txn.Body = &multi
		default:
			txn.Body = genBody(t, txn.Type)
		}
		return txn
	})
}

func genBody(t *rapid.T, op proto.Op) proto.TxnBody {
	path := genPath().Draw(t, "path")
	counter := rapid.Int32().Draw(t, "counter")
	switch op {
	case proto.OpCreate, proto.OpCreate2:
		return &proto.CreateTxn{Path: path, ACL: genACL().Draw(t, "acl"), Ephemeral: rapid.Bool().Draw(t, "ephemeral"), ParentCVersion: counter}
	case proto.OpCreateContainer:
		return &proto.CreateContainerTxn{Path: path, ParentCVersion: counter}
	case proto.OpCreateTTL:
		return &proto.CreateTTLTxn{Path: path, ParentCVersion: counter, TTL: rapid.Int64().Draw(t, "ttl")}
	case proto.OpDelete, proto.OpDeleteContainer:
		return &proto.DeleteTxn{Path: path}
	case proto.OpSetData, proto.OpReconfig:
		return &proto.SetDataTxn{Path: path, Data: []byte("new"), Version: counter}
	case proto.OpCheck:
		return &proto.CheckVersionTxn{Path: path, Version: counter}
	default:
		return &proto.ErrorTxn{Err: proto.Code(counter)}
	}
}
