package zktest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// freshPitfalls need a tree in which nothing was done.
var freshPitfalls = []pitfall{{"Pitfall29AFreshTree", freshTree}}

// treePitfalls are about the data model. 27 and 34 stand below and in package server.
var treePitfalls = []pitfall{
	{"Pitfall25CversionCountsBothWays", cversion},
	{"Pitfall26EveryDeleteMovesPzxid", pzxid},
	{"Pitfall28FailuresBurnNoNumber", failuresBurnNoNumber},
	{"Pitfall30OrderOfChecks", orderOfChecks},
	{"Pitfall31SetACLIsQuiet", setACLIsQuiet},
	{"Pitfall32KindsAndTheirOwners", kindsAndOwners},
	{"Pitfall33LongListsAreSent", longLists},
	{"Pitfall34MinusOneIsAnyVersion", anyVersion},
	{"Pitfall35StatsAreTheSameEverywhere", sameStats},
}

func freshTree(t *testing.T, f *face) {
	c := f.open(t)
	for path, want := range map[string]proto.Stat{
		"/": {Cversion: -1, NumChildren: 1}, "": {Cversion: -1, NumChildren: 1},
		"/zookeeper": {Cversion: -2, NumChildren: 2}, "/zookeeper/quota": {},
	} {
		if got := c.stat(path); got != want {
			t.Errorf("%q: %+v, want %+v", path, got, want)
		}
	}
	if config := c.stat("/zookeeper/config"); config.Czxid != 0 || config.Ctime != 0 || config.Aversion != -1 {
		t.Errorf("config: %+v", config)
	}
	names := read[proto.GetChildrenResponse](t, c.do(proto.OpGetChildren, proto.ReadRequest{Path: "/zookeeper"})).Children
	if slices.Sort(names); !slices.Equal(names, []string{"config", "quota"}) {
		t.Errorf("/zookeeper has %v", names)
	}
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		c.fails(proto.CodeBadArguments, proto.OpDelete, proto.DeleteRequest{Path: path, Version: -1})
	}
}

func cversion(t *testing.T, f *face) {
	c := f.dir(t)
	want := func(cversion, children int32) proto.Stat {
		t.Helper()
		s := c.stat(f.root)
		if s.Cversion != cversion || s.NumChildren != children {
			t.Errorf("cversion %d, %d children, want %d, %d", s.Cversion, s.NumChildren, cversion, children)
		}
		return s
	}
	want(0, 0)
	c.create(f.root+"/a", f.root+"/b")
	want(2, 2)
	c.delete(f.root + "/a")
	before := want(3, 1)
	c.set(f.root + "/b")
	c.do(proto.OpSetACL, proto.SetACLRequest{Path: f.root + "/b", ACL: proto.WorldACL(proto.PermAll), Version: -1})
	c.create(f.root + "/b/deep")
	if after := c.stat(f.root); after != before {
		t.Errorf("what happens to a child moves its parent from %+v to %+v", before, after)
	}
}

func pzxid(t *testing.T, f *face) {
	c, short := f.dir(t), f.open(t)
	last := c.stat(f.root)
	moved := func(what string) {
		t.Helper()
		s := c.stat(f.root)
		if s.Pzxid <= last.Pzxid || s.Mzxid != last.Mzxid {
			t.Errorf("%s: pzxid from %v to %v, mzxid from %v to %v", what, last.Pzxid, s.Pzxid, last.Mzxid, s.Mzxid)
		}
		last = s
	}
	c.create(f.root + "/a")
	moved("create")
	c.delete(f.root + "/a")
	moved("delete")
	short.create(f.root + "/c")
	short.do(proto.OpCreate, node(f.root+"/e", proto.ModeEphemeral))
	short.do(proto.OpCreateContainer, node(f.root+"/k", proto.ModeContainer))
	c.sync()
	moved("ephemeral, container")
	end := short.call(proto.OpCloseSession, nil)
	c.sync()
	moved("the end of a session")
	if last.Pzxid != end.Zxid {
		t.Errorf("pzxid %v, the session ended at %v", last.Pzxid, end.Zxid)
	}
	gone := func(path string) {
		t.Helper()
		zktest.Eventually(t, path+" goes", func() error {
			if r := c.call(proto.OpExists, proto.ReadRequest{Path: path}); r.Err != proto.CodeNoNode {
				return fmt.Errorf("%s: %w", path, r.Err)
			}
			return nil
		})
	}
	c.create(f.root + "/k/x")
	c.delete(f.root + "/k/x")
	gone(f.root + "/k")
	moved("a used container")
	created := c.call(proto.OpCreateTTL, ttlNode(f.root+"/t", proto.ModePersistentWithTTL, 1)).Zxid
	gone(f.root + "/t")
	moved("a time to live")
	if last.Pzxid <= created {
		t.Errorf("pzxid %v: the deletion did not move it, only the creation at %v", last.Pzxid, created)
	}
}

func failuresBurnNoNumber(t *testing.T, f *face) {
	c := f.dir(t)
	next := node(f.root+"/n", proto.ModePersistentSequential)
	bad := next
	bad.Path = f.root + "/\x01"
	bare := next
	bare.ACL = nil
	ops := []proto.MultiOp{
		{Op: proto.OpCreate, Request: &next},
		{Op: proto.OpCreate, Request: &next},
		{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: f.root + "/none"}},
	}
	for want := range 3 {
		c.write( // the failures are pending when the numbers are given out
			c.frame(proto.OpCreate, bad), c.frame(proto.OpCreate, bare), c.frame(proto.OpMulti, proto.MultiRequest{Ops: ops}),
			c.frame(proto.OpCreate, next),
		)
		if r := c.next(); r.Err != proto.CodeBadArguments {
			t.Errorf("bad path: %v", r.Err)
		}
		if r := c.next(); r.Err != proto.CodeInvalidACL {
			t.Errorf("no ACL: %v", r.Err)
		}
		c.next()
		if got := read[proto.CreateResponse](t, c.next().body).Path; got != fmt.Sprintf("%s/n%010d", f.root, want) {
			t.Errorf("number %d is %s", want, got)
		}
	}
}

// Several things are wrong with each request; the answer tells which is looked at first.
func orderOfChecks(t *testing.T, f *face) {
	c := f.dir(t)
	none, shut, full, eph := f.root+"/none", f.root+"/shut", f.root+"/full", f.root+"/eph"
	c.create(shut, shut+"/kid", full, full+"/kid")
	c.do(proto.OpCreate, node(eph, proto.ModeEphemeral))
	c.do(proto.OpSetACL, proto.SetACLRequest{Path: shut, ACL: proto.WorldACL(proto.PermRead), Version: -1})
	badACL := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	good := proto.WorldACL(proto.PermAll)
	const every, wrong = -1, 7
	for _, row := range []struct {
		want proto.Code
		op   proto.Op
		req  proto.Appender
	}{
		{proto.CodeBadArguments, proto.OpCreate, proto.CreateRequest{Path: "relative", ACL: badACL}},
		{proto.CodeBadArguments, proto.OpCreate, proto.CreateRequest{Path: none + "/x", ACL: badACL, Mode: 7}},
		{proto.CodeInvalidACL, proto.OpCreate, proto.CreateRequest{Path: none + "/x", ACL: badACL}},
		{proto.CodeInvalidACL, proto.OpCreate, proto.CreateRequest{Path: shut + "/kid", ACL: nil}},
		{proto.CodeNoNode, proto.OpCreate, proto.CreateRequest{Path: none + "/\x01", ACL: good}},
		{proto.CodeNoNode, proto.OpCreate, proto.CreateRequest{Path: f.root + "//x", ACL: good}},
		{proto.CodeNoAuth, proto.OpCreate, proto.CreateRequest{Path: shut + "/\x01", ACL: good}},
		{proto.CodeNoAuth, proto.OpCreate, proto.CreateRequest{Path: shut + "/kid", ACL: good}},
		{proto.CodeBadArguments, proto.OpCreate, proto.CreateRequest{Path: eph + "/\x01", ACL: good}},
		{proto.CodeNodeExists, proto.OpCreate, proto.CreateRequest{Path: eph, ACL: good}},
		{proto.CodeNodeExists, proto.OpCreate, proto.CreateRequest{Path: "/", ACL: good}},
		{proto.CodeNoChildrenForEphemerals, proto.OpCreate, proto.CreateRequest{Path: eph + "/x", ACL: good}},
		{proto.CodeBadArguments, proto.OpDelete, proto.DeleteRequest{Path: "/zookeeper", Version: wrong}},
		{proto.CodeNoNode, proto.OpDelete, proto.DeleteRequest{Path: none + "/x", Version: wrong}},
		{proto.CodeNoAuth, proto.OpDelete, proto.DeleteRequest{Path: shut + "/none", Version: wrong}},
		{proto.CodeNoNode, proto.OpDelete, proto.DeleteRequest{Path: none, Version: wrong}},
		{proto.CodeBadVersion, proto.OpDelete, proto.DeleteRequest{Path: full, Version: wrong}},
		{proto.CodeNotEmpty, proto.OpDelete, proto.DeleteRequest{Path: full, Version: every}},
		{proto.CodeBadArguments, proto.OpSetData, proto.SetDataRequest{Path: none + "/", Version: wrong}},
		{proto.CodeNoNode, proto.OpSetData, proto.SetDataRequest{Path: none, Version: wrong}},
		{proto.CodeNoAuth, proto.OpSetData, proto.SetDataRequest{Path: shut, Version: wrong}},
		{proto.CodeBadVersion, proto.OpSetData, proto.SetDataRequest{Path: full, Version: wrong}},
		{proto.CodeBadArguments, proto.OpSetACL, proto.SetACLRequest{Path: none + "/", ACL: badACL, Version: wrong}},
		{proto.CodeInvalidACL, proto.OpSetACL, proto.SetACLRequest{Path: none, ACL: badACL, Version: wrong}},
		{proto.CodeNoNode, proto.OpSetACL, proto.SetACLRequest{Path: none, ACL: good, Version: wrong}},
		{proto.CodeNoAuth, proto.OpSetACL, proto.SetACLRequest{Path: shut, ACL: good, Version: wrong}},
		{proto.CodeBadVersion, proto.OpSetACL, proto.SetACLRequest{Path: full, ACL: good, Version: wrong}},
	} {
		c.fails(row.want, row.op, row.req)
	}
}

func setACLIsQuiet(t *testing.T, f *face) {
	c := f.dir(t)
	c.set(f.root)
	c.watch(proto.OpGetData, f.root)
	c.watch(proto.OpGetChildren, f.root)
	c.do(proto.OpAddWatch, proto.AddWatchRequest{Path: f.root, Mode: proto.AddWatchPersistentRecursive})
	want := c.stat(f.root)
	req := proto.SetACLRequest{Path: f.root, ACL: proto.WorldACL(proto.PermRead | proto.PermAdmin), Version: 0}
	got := read[proto.StatResponse](t, c.do(proto.OpSetACL, req)).Stat
	if want.Aversion = 1; got != want || c.stat(f.root) != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	c.fails(proto.CodeBadVersion, proto.OpSetACL, req)
	c.wantEvents()
}

func kindsAndOwners(t *testing.T, f *face) {
	c := f.dir(t)
	c.do(proto.OpCreate, node(f.root+"/e", proto.ModeEphemeral))
	c.do(proto.OpCreateContainer, node(f.root+"/k", proto.ModeContainer))
	c.do(proto.OpCreateTTL, ttlNode(f.root+"/t", proto.ModePersistentWithTTL, 1<<39))
	for path, want := range map[string]proto.SessionID{"/e": c.res.SessionID, "/k": 0, "/t": 0, "": 0} {
		if got := c.stat(f.root + path).EphemeralOwner; got != want {
			t.Errorf("%s is owned by %v, want %v", path, got, want)
		}
	}
	for op, req := range map[proto.Op]proto.Appender{
		proto.OpCreate: node(f.root+"/e/x", 0), proto.OpCreate2: node(f.root+"/e/s", proto.ModeEphemeralSequential),
		proto.OpCreateContainer: node(f.root+"/e/k", proto.ModeContainer),
		proto.OpCreateTTL:       ttlNode(f.root+"/e/t", proto.ModePersistentWithTTL, 1<<39),
	} {
		c.fails(proto.CodeNoChildrenForEphemerals, op, req)
	}
	c.create(f.root+"/t/x", f.root+"/k/x")
}

// A list of children longer than any request may be is sent whole.
func longLists(t *testing.T, f *face) {
	c := f.dir(t)
	const batches, each = 3, 110
	want := map[string]bool{}
	for i := range batches {
		var req proto.MultiRequest
		for j := range each {
			name := fmt.Sprintf("%s-%d-%d", strings.Repeat("n", 3500), i, j)
			want[name] = true
			child := node(f.root+"/"+name, 0)
			req.Ops = append(req.Ops, proto.MultiOp{Op: proto.OpCreate, Request: &child})
		}
		c.do(proto.OpMulti, req)
	}
	body := c.do(proto.OpGetChildren, proto.ReadRequest{Path: f.root})
	if len(body) <= proto.DefaultMaxFrame {
		t.Fatalf("%d bytes are no long answer", len(body))
	}
	for _, name := range read[proto.GetChildrenResponse](t, body).Children {
		if !want[name] {
			t.Errorf("%s is listed twice, or was never made", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("%d children are missing", len(want))
	}
}

func anyVersion(t *testing.T, f *face) {
	c := f.dir(t)
	for version := range int32(3) {
		c.do(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1})
		c.do(proto.OpSetACL, proto.SetACLRequest{Path: f.root, ACL: proto.WorldACL(proto.PermAll), Version: -1})
		c.fails(proto.CodeBadVersion, proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -2})
		c.fails(proto.CodeBadVersion, proto.OpSetACL, proto.SetACLRequest{Path: f.root, ACL: proto.WorldACL(proto.PermAll), Version: -2})
		c.fails(proto.CodeBadVersion, proto.OpDelete, proto.DeleteRequest{Path: f.root, Version: version})
	}
	if s := c.stat(f.root); s.Version != 3 || s.Aversion != 3 {
		t.Errorf("%+v", s)
	}
	c.delete(f.root)
}

func sameStats(t *testing.T, f *face) {
	c := f.dir(t)
	c.do(proto.OpSetData, proto.SetDataRequest{Path: f.root, Data: []byte("seven b"), Version: 0})
	c.do(proto.OpCreate, node(f.root+"/e", proto.ModeEphemeral))
	want := map[string]proto.Stat{}
	for _, path := range []string{f.root, f.root + "/e"} {
		want[path] = c.stat(path)
	}
	if s := want[f.root]; s.DataLength != 7 || s.Mtime < s.Ctime || s.Ctime == 0 {
		t.Errorf("%+v", s)
	}
	for _, s := range f.all {
		other := openAt(t, s, lifetime)
		other.sync()
		for path, stat := range want {
			if got := other.stat(path); got != stat {
				t.Errorf("server %d: %+v, want %+v", s.ID, got, stat)
			}
		}
	}
}

// Numbers go on where they were, whatever was deleted, whoever leads, and through a restart.
func TestPitfall27NumbersGoOn(t *testing.T) {
	e := zktest.Start(t, 3)
	c := openAt(t, e.Leader(t), 4000)
	c.create("/q")
	given := 0
	next := func(c *speaker, prefix string) string {
		t.Helper()
		got := read[proto.CreateResponse](t, c.do(proto.OpCreate, node("/q/"+prefix, proto.ModePersistentSequential))).Path
		if want := fmt.Sprintf("/q/%s%010d", prefix, given); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		given++
		return got
	}
	next(c, "a-")
	c.delete(next(c, "b-"))
	c.create("/q/plain") // counts, and is not numbered
	given++
	c.delete("/q/plain")
	next(c, "")
	for range 2 {
		e.Leader(t).Kill(t)
		survivor := openAt(t, e.Leader(t), 4000)
		survivor.sync()
		survivor.delete(next(survivor, "a-"))
		for _, s := range e.Servers() {
			if !s.Running() {
				s.Restart(t)
			}
		}
		e.WaitServing(t)
	}
	for _, s := range e.Servers() {
		s.Kill(t)
	}
	for _, s := range e.Servers() {
		s.Restart(t)
	}
	e.WaitServing(t)
	for _, s := range e.Servers() {
		c := openAt(t, s, 4000)
		c.sync()
		next(c, "c-")
	}
}
