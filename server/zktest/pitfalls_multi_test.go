package zktest_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

// multiPitfalls are about multi and multiRead.
var multiPitfalls = []pitfall{
	{"Pitfall36AFailedMultiTellsWhere", failedMulti},
	{"Pitfall37MultiReadErrorsHaveTheirType", multiReadErrors},
	{"Pitfall38MultiReadSetsNoWatches", multiReadWatches},
	{"Pitfall39WatchesFireForPartsOfAMulti", multiEvents},
	{"Pitfall40ControllersAsKafkaElectsThem", kafkaController},
	{"Pitfall41EarlierAndPendingChangesAreSeen", pendingChanges},
}

func multi(ops ...proto.MultiOp) proto.MultiRequest { return proto.MultiRequest{Ops: ops} }

func opCreate(path string, mode proto.CreateMode) proto.MultiOp {
	req := node(path, mode)
	return proto.MultiOp{Op: proto.OpCreate, Request: &req}
}

func opSet(path string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: path, Data: []byte("m"), Version: version}}
}

func opDelete(path string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: path, Version: version}}
}

func opCheck(path string, version int32) proto.MultiOp {
	return proto.MultiOp{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: path, Version: version}}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	must(tb, err)
	return b
}

func failedMulti(t *testing.T, f *face) {
	c := f.dir(t)
	r := c.call(proto.OpMulti, multi(opCreate(f.root+"/a", 0), opCheck(f.root, 7), opCreate(f.root+"/b", 0), opDelete(f.root, 9)))
	want := unhex(t, "ffffffff 00 00000000 00000000"+
		"ffffffff 00 ffffff99 ffffff99"+
		"ffffffff 00 fffffffe fffffffe ffffffff 00 fffffffe fffffffe ffffffff 01 ffffffff")
	if r.Err != proto.CodeOK || !bytes.Equal(r.body, want) {
		t.Errorf("%v\n%x, want\n%x", r.Err, r.body, want)
	}
	c.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: f.root + "/a"})
}

func opRead(op proto.Op, path string) proto.MultiOp {
	return proto.MultiOp{Op: op, Request: &proto.ReadRequest{Path: path, Watch: true}}
}

func multiReadErrors(t *testing.T, f *face) {
	c := f.dir(t)
	shut := node(f.root+"/shut", 0)
	shut.ACL = proto.WorldACL(proto.PermWrite)
	c.do(proto.OpCreate, shut)
	r := c.call(proto.OpMultiRead, proto.MultiRequest{Read: true, Ops: []proto.MultiOp{
		opRead(proto.OpGetData, f.root+"/none"), opRead(proto.OpGetChildren, f.root), opRead(proto.OpGetData, shut.Path),
		opRead(proto.OpGetChildren, shut.Path), opRead(proto.OpGetChildren, f.root+"/none"),
	}})
	noNode, noAuth := "ffffffff 00 ffffff9b ffffff9b", "ffffffff 00 ffffff9a ffffff9a"
	want := unhex(t, noNode+"00000008 00 00000000 00000001 00000004 73687574"+noAuth+noAuth+noNode+"ffffffff 01 ffffffff")
	if r.Err != proto.CodeOK || !bytes.Equal(r.body, want) {
		t.Errorf("%v\n%x, want\n%x", r.Err, r.body, want)
	}
}

// Bytes with the watch flag set: the requests of this project's encoder never have it.
func multiReadWatches(t *testing.T, f *face) {
	c := f.dir(t)
	var b body
	for _, op := range []proto.Op{proto.OpGetData, proto.OpGetChildren} {
		b = proto.MultiHeader{Type: op, Err: -1}.Append(b)
		b = proto.ReadRequest{Path: f.root, Watch: true}.Append(b)
	}
	b = proto.MultiHeader{Type: -1, Done: true, Err: -1}.Append(b)
	c.do(proto.OpMultiRead, b)
	c.fails(proto.CodeNoWatcher, proto.OpCheckWatches, proto.RemoveWatchesRequest{Path: f.root, Type: proto.WatcherAny})
	c.set(f.root)
	c.create(f.root + "/x")
	c.wantEvents()
}

func multiEvents(t *testing.T, f *face) {
	c, writer := f.dir(t), openAt(t, f.all[len(f.all)-1], lifetime)
	c.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: f.root + "/a", Watch: true})
	c.watch(proto.OpGetData, f.root)
	c.watch(proto.OpGetChildren, f.root)
	writer.sync()
	writer.do(proto.OpMulti, multi(opCreate(f.root+"/a", 0), opCheck(f.root, 5))) // fails
	c.wantEvents()
	writer.do(proto.OpMulti, multi(opSet(f.root, 0), opCreate(f.root+"/a", 0), opDelete(f.root+"/a", 0)))
	c.wantEvents("NodeDataChanged "+f.root, "NodeCreated "+f.root+"/a", "NodeChildrenChanged "+f.root)
}

// Kafka's broker becomes controller by one multi: an ephemeral, and the epoch if nobody else has moved it.
func kafkaController(t *testing.T, f *face) {
	one, two := f.dir(t), f.open(t)
	epoch, controller := f.root+"/controller_epoch", f.root+"/controller"
	one.create(epoch)
	elect := multi(opCreate(controller, proto.ModeEphemeral), opSet(epoch, 0))
	results := read[proto.MultiResponse](t, one.do(proto.OpMulti, elect)).Results
	if len(results) != 2 || results[0].Path != controller || results[1].Stat.Version != 1 {
		t.Errorf("%+v", results)
	}
	if owner := one.stat(controller).EphemeralOwner; owner != one.res.SessionID {
		t.Errorf("the controller is %v, want %v", owner, one.res.SessionID)
	}
	results = read[proto.MultiResponse](t, two.do(proto.OpMulti, elect)).Results
	if len(results) != 2 || results[0].Err != proto.CodeNodeExists || results[1].Err != proto.CodeRuntimeInconsistency {
		t.Errorf("a second controller: %+v", results)
	}
	two.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: controller + "/none", Watch: true})
	two.do(proto.OpExists, proto.ReadRequest{Path: controller, Watch: true})
	one.do(proto.OpCloseSession, nil)
	if e := two.next(); e.event() != "NodeDeleted "+controller {
		t.Errorf("%q", e.event())
	}
	results = read[proto.MultiResponse](t, two.do(proto.OpMulti, multi(opCreate(controller, proto.ModeEphemeral), opSet(epoch, 1)))).Results
	if len(results) != 2 || results[1].Stat.Version != 2 {
		t.Errorf("the next controller: %+v", results)
	}
}

// Everything in one piece, so that nothing is applied when the rest is judged.
func pendingChanges(t *testing.T, f *face) {
	c := f.open(t)
	a := f.root + "/a"
	c.write(
		c.frame(proto.OpCreate, node(f.root, 0)),
		c.frame(proto.OpMulti, multi(opCreate(a, 0), opCheck(a, 0), opSet(a, 0), opCheck(a, 1), opCreate(a+"/b", 0))),
		c.frame(proto.OpDelete, proto.DeleteRequest{Path: a, Version: 1}),
		c.frame(proto.OpSetData, proto.SetDataRequest{Path: a, Version: 0}),
		c.frame(proto.OpMulti, multi(opDelete(a+"/b", 0), opDelete(a, 1), opCreate(a, 0), opCheck(a, 0))),
		c.frame(proto.OpSetACL, proto.SetACLRequest{Path: a, ACL: proto.WorldACL(proto.PermRead), Version: 0}),
		c.frame(proto.OpSetData, proto.SetDataRequest{Path: a, Version: 0}),
	)
	for i, want := range []proto.Code{
		proto.CodeOK, proto.CodeOK, proto.CodeNotEmpty, proto.CodeBadVersion, proto.CodeOK, proto.CodeOK, proto.CodeNoAuth,
	} {
		r := c.next()
		if r.Err != want {
			t.Errorf("request %d: %v, want %v", i+1, r.Err, want)
		}
		if i == 1 || i == 4 {
			for _, res := range read[proto.MultiResponse](t, r.body).Results {
				if res.Err != proto.CodeOK {
					t.Errorf("request %d: %+v", i+1, res)
				}
			}
		}
	}
	if s := c.stat(a); s.Version != 0 || s.Aversion != 1 || s.NumChildren != 0 {
		t.Errorf("%+v", s)
	}
}
