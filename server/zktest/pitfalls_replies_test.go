package zktest_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// replyPitfalls are about framing and replies.
var replyPitfalls = []pitfall{
	{"Pitfall15UnknownOperationsAreAnsweredInTurn", unknownOperations},
	{"Pitfall16CheckAloneIsUnknown", checkAlone},
	{"Pitfall17PingsHaveOneXidOthersEcho", xids},
	{"Pitfall18AuthDoesNotOvertake", authInTurn},
	{"Pitfall19AddWatchHasABody", addWatchBody},
	{"Pitfall20AllWaysToCreate", waysToCreate},
	{"Pitfall21NullsErrorsBooleans", nullsErrorsBooleans},
	{"Pitfall22BadMultiHurtsNobody", badMultis},
	{"Pitfall23EventsCarryTheTransaction", eventZxids},
	{"Pitfall24RepliesCarryWhatIsApplied", replyZxids},
}

// A write, an unknown operation and a read in one piece: answers come in order, the last one is the
// refusal, then the connection ends.
func unknownOperations(t *testing.T, f *face) {
	owner := f.dir(t)
	for i, op := range []proto.Op{0, -1, 10, 23, 99, 108, 1 << 30} {
		c := f.open(t)
		path := f.root + "/" + string(rune('a'+i))
		c.write(c.frame(proto.OpCreate, node(path, 0)), c.frame(op, nil), c.frame(proto.OpGetData, proto.ReadRequest{Path: path}))
		if r := c.next(); r.Xid != 1 || r.Err != proto.CodeOK {
			t.Errorf("%v: the write before it: %+v", op, r)
		}
		if r := c.next(); r.Xid != 2 || r.Zxid != -1 || r.Err != proto.CodeUnimplemented {
			t.Errorf("%v: %+v", op, r)
		}
		c.closes()
	}
	owner.create(f.root + "/after")
}

func checkAlone(t *testing.T, f *face) {
	c := f.dir(t)
	if r := c.call(proto.OpCheck, proto.CheckVersionRequest{Path: f.root}); r.Err != proto.CodeUnimplemented || r.Zxid != -1 {
		t.Errorf("%+v", r)
	}
	c.closes()
}

func xids(t *testing.T, f *face) {
	c := f.open(t)
	for _, op := range []proto.Op{proto.OpPing, proto.OpAuth, proto.OpSetWatches, proto.OpSetWatches2, proto.OpExists, proto.OpCreate} {
		for _, xid := range []proto.Xid{7, 7, 0, -2, -4, -8, -100, 3} {
			var body proto.Appender
			switch op {
			case proto.OpAuth:
				body = proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}
			case proto.OpSetWatches:
				body = proto.SetWatches{}
			case proto.OpSetWatches2:
				body = proto.SetWatches2{}
			case proto.OpExists:
				body = proto.ReadRequest{Path: "/"}
			case proto.OpCreate:
				body = node("/", 0)
			}
			c.write(proto.AppendRequest(nil, proto.RequestHeader{Xid: xid, Op: op}, body))
			want := xid
			if op == proto.OpPing {
				want = proto.XidPing
			}
			if r := c.next(); r.Xid != want {
				t.Errorf("%v with xid %d is answered with %d", op, xid, r.Xid)
			}
		}
	}
}

// kazoo takes the answer to auth for that of its oldest request.
func authInTurn(t *testing.T, f *face) {
	c := f.open(t)
	get := proto.ReadRequest{Path: f.root}
	auth := func(scheme string) []byte {
		return c.frame(proto.OpAuth, proto.AuthPacket{Scheme: scheme, Auth: []byte("u:p")})
	}
	c.write(c.frame(proto.OpCreate, node(f.root, 0)), auth("digest"), c.frame(proto.OpGetData, get),
		c.frame(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1}), auth("nonsense"), c.frame(proto.OpGetData, get))
	for xid := proto.Xid(1); xid <= 5; xid++ {
		r := c.next()
		want := proto.CodeOK
		if xid == 5 {
			want = proto.CodeAuthFailed
		}
		if r.Xid != xid || r.Err != want || (xid == 2 || xid == 5) != (r.Zxid == 0) {
			t.Errorf("answer %d: %+v", xid, r.ReplyHeader)
		}
	}
	c.closes()
}

func addWatchBody(t *testing.T, f *face) {
	c := f.dir(t)
	for _, mode := range []proto.AddWatchMode{proto.AddWatchPersistent, proto.AddWatchPersistentRecursive} {
		if b := c.do(proto.OpAddWatch, proto.AddWatchRequest{Path: f.root, Mode: mode}); !bytes.Equal(b, make([]byte, 4)) {
			t.Errorf("addWatch: body %x", b)
		}
	}
	for _, op := range []proto.Op{proto.OpCheckWatches, proto.OpRemoveWatches} {
		if b := c.do(op, proto.RemoveWatchesRequest{Path: f.root, Type: proto.WatcherAny}); len(b) > 0 {
			t.Errorf("%v: body %x", op, b)
		}
	}
}

func waysToCreate(t *testing.T, f *face) {
	c := f.dir(t)
	const day = 24 * 3600 * 1000
	for path, make := range map[string]func(path string) []byte{
		"/create2":   func(path string) []byte { return c.do(proto.OpCreate2, node(path, 0)) },
		"/container": func(path string) []byte { return c.do(proto.OpCreateContainer, node(path, proto.ModeContainer)) },
		"/ttl": func(path string) []byte {
			return c.do(proto.OpCreateTTL, ttlNode(path, proto.ModePersistentWithTTL, day))
		},
	} {
		path = f.root + path
		res := read[proto.Create2Response](t, make(path))
		if res.Path != path || res.Stat != c.stat(path) {
			t.Errorf("%+v, exists shows %+v", res, c.stat(path))
		}
	}
	res := read[proto.Create2Response](t, c.do(proto.OpCreateTTL, ttlNode(f.root+"/s", proto.ModePersistentSequentialWithTTL, day)))
	if res.Path != f.root+"/s0000000003" {
		t.Errorf("sequential: %s", res.Path)
	}
	// The time to live does not run into the next operation.
	ttl, plain := ttlNode(f.root+"/m", proto.ModePersistentWithTTL, day), node(f.root+"/m/x", 0)
	results := read[proto.MultiResponse](t, c.do(proto.OpMulti, proto.MultiRequest{Ops: []proto.MultiOp{
		{Op: proto.OpCreateTTL, Request: &ttl}, {Op: proto.OpCreate2, Request: &plain},
	}})).Results
	if len(results) != 2 || results[0].Type != proto.OpCreate2 || results[1].Path != plain.Path {
		t.Errorf("%+v", results)
	}
}

func nullsErrorsBooleans(t *testing.T, f *face) {
	c := f.dir(t)
	data := func(path string) []byte {
		return read[proto.GetDataResponse](t, c.do(proto.OpGetData, proto.ReadRequest{Path: path})).Data
	}
	for name, value := range map[string][]byte{"/null": nil, "/empty": {}} {
		req := node(f.root+name, 0)
		req.Data = value
		c.do(proto.OpCreate, req)
		if got := data(req.Path); (got == nil) != (value == nil) || len(got) > 0 {
			t.Errorf("%s reads as %#v", name, got)
		}
		swapped := []byte{}
		if value != nil {
			swapped = nil
		}
		c.do(proto.OpSetData, proto.SetDataRequest{Path: req.Path, Data: swapped, Version: -1})
		if got := data(req.Path); (got == nil) != (swapped == nil) || len(got) > 0 {
			t.Errorf("%s set to %#v reads as %#v", name, swapped, got)
		}
	}
	c.fails(proto.CodeNoNode, proto.OpGetData, proto.ReadRequest{Path: f.root + "/none"}) // looks for a body, too
	for _, yes := range []byte{1, 2, 0x80, 0xff} {
		c.do(proto.OpExists, body(append(jute.AppendString(nil, f.root), yes)))
		c.write(c.frame(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1}))
		if e := c.next(); e.event() != "NodeDataChanged "+f.root {
			t.Fatalf("the boolean %#x is not true: %q before the answer", yes, e.event())
		}
		c.next()
	}
}

func badMultis(t *testing.T, f *face) {
	c := f.dir(t)
	path := jute.AppendString(nil, f.root+"/never")
	op := func(code byte) []byte { return []byte{0, 0, 0, code, 0, 0xff, 0xff, 0xff, 0xff} }
	end := []byte{0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff}
	create := slices.Concat(op(1), path, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for name, b := range map[string][]byte{
		"nothing":           {},
		"half a header":     {0, 0, 0, 1, 0},
		"no end":            slices.Concat(op(2), path, []byte{0, 0, 0, 0}),
		"no body":           op(1),
		"a multi in it":     slices.Concat(op(14), end, end),
		"setACL":            slices.Concat(op(7), path, []byte{0, 0, 0, 0, 0, 0, 0, 0}, end),
		"a read":            slices.Concat(op(4), path, []byte{0}, end),
		"deleteContainer":   slices.Concat(op(20), path, end),
		"unknown operation": slices.Concat(op(99), end),
		"null path":         slices.Concat(op(2), []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, end),
		"bad flags":         slices.Concat(create[:len(create)-1], []byte{9}, end),
		"two billion ACLs":  slices.Concat(op(1), path, []byte{0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}, end),
		"a long path":       slices.Concat(op(2), []byte{0x7f, 0xff, 0xff, 0xff, 'x'}),
	} {
		t.Run(name, func(*testing.T) { c.fails(proto.CodeMarshallingError, proto.OpMulti, body(b)) })
	}
	for i, s := range f.all {
		other := openAt(t, s, lifetime)
		other.sync()
		other.create(f.root + "/" + string(rune('a'+i)))
	}
	c.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: f.root + "/never"})
}

func eventZxids(t *testing.T, f *face) {
	c, writer := f.dir(t), openAt(t, f.all[0], lifetime)
	before := c.stat(f.root).Mzxid
	c.watch(proto.OpGetData, f.root)
	writer.sync()
	r := writer.call(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1})
	if e := c.next(); e.Zxid != r.Zxid || e.event() != "NodeDataChanged "+f.root {
		t.Errorf("%q with %v, the change has %v", e.event(), e.Zxid, r.Zxid)
	}
	c.write(c.frame(proto.OpSetWatches, proto.SetWatches{RelativeZxid: before, Data: []string{f.root}}))
	if e := c.next(); e.Zxid != -1 || e.event() != "NodeDataChanged "+f.root {
		t.Errorf("%q of setWatches with %v", e.event(), e.Zxid)
	}
	c.next()
}

// The number in an answer is positive, does not fall, and was applied where it comes from.
func replyZxids(t *testing.T, f *face) {
	c, writer := f.dir(t), openAt(t, f.all[0], lifetime)
	writer.sync()
	done := make(chan struct{})
	go func() { // changes that this server may not have applied yet
		defer close(done)
		for range 100 {
			if _, _, err := writer.raw.call(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var last zxid.ID
	for range 25 {
		for _, r := range []said{
			c.call(proto.OpPing, nil), c.call(proto.OpGetData, proto.ReadRequest{Path: f.root}),
			c.call(proto.OpExists, proto.ReadRequest{Path: f.root + "/none"}),
			c.call(proto.OpCreate, node(f.root, 0)), c.call(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1}),
			c.call(proto.OpWhoAmI, nil), c.call(proto.OpCreate, body{}),
		} {
			if r.Zxid <= 0 || r.Zxid < last || r.Zxid > f.server.Node().Applied().ID {
				t.Fatalf("%+v behind %v, where %v is applied", r.ReplyHeader, last, f.server.Node().Applied().ID)
			}
			last = r.Zxid
		}
	}
	<-done
}
