package zktest_test

import (
	"errors"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// defects are what ZooKeeper 3.9.5 does wrong and this server does not (spec semantics 17), as far as every
// server must show it; 7 to 10 are tests of package server.
var defects = []pitfall{
	{"Defect01BrokenWritesStayWhereTheyCame", brokenWrites},
	{"Defect02TimesToLiveNeedTheirFlags", ttlFlags},
	{"Defect03NoQuotaOnTheRoot", rootQuota},
	{"Defect04DeleteContainerIsForTheCleaner", deleteContainer},
	{"Defect05CreateSessionIsNoRequest", createSession},
	{"Defect06AWrongPasswordHurtsNobody", wrongPassword},
	{"Defect11LimitsThatCannotBeReadLimitNothing", brokenLimits},
}

// goesOn checks that every server of the ensemble takes writes.
func (f *face) goesOn(t *testing.T) {
	t.Helper()
	for _, s := range f.all {
		c := openAt(t, s, lifetime)
		c.create("/goes-on")
		c.set("/goes-on")
		c.delete("/goes-on")
		c.do(proto.OpCloseSession, nil)
	}
}

func brokenWrites(t *testing.T, f *face) {
	c := f.dir(t)
	before := f.server.Node().Applied()
	for _, op := range []proto.Op{
		proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpSetData,
		proto.OpSetACL, proto.OpMulti,
	} {
		for _, b := range []body{nil, {0, 0}, {0, 0, 0, 2, '/', 'x'}, {0x7f, 0xff, 0xff, 0xff, '/'}, {0xff, 0xff, 0xff, 0xfe}} {
			c.fails(proto.CodeMarshallingError, op, b)
		}
	}
	if now := f.server.Node().Applied(); now != before {
		t.Errorf("from %v to %v: the ensemble was asked", before, now)
	}
	f.goesOn(t)
	c.create(f.root + "/after")
}

func ttlFlags(t *testing.T, f *face) {
	c := f.dir(t)
	for _, ttl := range []int64{-1, 0, 1000} {
		for mode := proto.ModePersistent; mode <= proto.ModeContainer; mode++ {
			c.fails(proto.CodeBadArguments, proto.OpCreateTTL, ttlNode(f.root+"/x", mode, ttl))
		}
	}
	for _, ttl := range []int64{-1, 0, 1 << 40} {
		c.fails(proto.CodeBadArguments, proto.OpCreateTTL, ttlNode(f.root+"/x", proto.ModePersistentWithTTL, ttl))
	}
	f.goesOn(t)
}

// A hard limit of nothing, on everything: it must not be kept.
func rootQuota(t *testing.T, f *face) {
	c := f.dir(t)
	limits := "/zookeeper/quota/zookeeper_limits"
	for _, path := range []string{limits, "/zookeeper/quota/zookeeper_stats", "/zookeeper/zookeeper_limits", "/zookeeper/zookeeper_stats"} {
		req := node(path, 0)
		req.Data = []byte("count=0,bytes=0=;byteHardLimit=0;countHardLimit=0")
		c.do(proto.OpCreate, req)
		c.create(f.root + "/x")
		c.set(f.root + "/x")
		c.delete(f.root + "/x")
		got := read[proto.GetDataResponse](t, c.do(proto.OpGetData, proto.ReadRequest{Path: path}))
		if string(got.Data) != string(req.Data) || got.Stat.Version != 0 {
			t.Errorf("%s became %q, %+v", path, got.Data, got.Stat)
		}
		c.delete(path)
		f.goesOn(t)
	}
}

func deleteContainer(t *testing.T, f *face) {
	c := f.dir(t)
	a := f.root + "/a"
	c.createACL(a, entry(0, "world", "anyone"))
	c.do(proto.OpCreateContainer, node(f.root+"/k", proto.ModeContainer))
	for _, path := range []string{a, f.root + "/k"} {
		stranger := f.open(t)
		if r := stranger.call(proto.OpDeleteContainer, proto.DeleteContainerRequest{Path: path}); r.Err != proto.CodeUnimplemented {
			t.Errorf("%s: %v", path, r.Err)
		}
		stranger.closes()
	}
	c.sync()
	if s := c.stat(f.root); s.NumChildren != 2 {
		t.Errorf("%d nodes are left of 2", s.NumChildren)
	}
}

func createSession(t *testing.T, f *face) {
	c := f.open(t)
	r := c.call(proto.OpCreateSession, proto.CreateSessionTxn{TimeOut: lifetime})
	if r.Err != proto.CodeUnimplemented || r.Zxid != -1 || len(r.body) > 0 {
		t.Errorf("%+v", r)
	}
	c.closes()
	c.reopen(f.server).do(proto.OpPing, nil) // the session is none the worse
}

func wrongPassword(t *testing.T, f *face) {
	c := f.dir(t)
	c.do(proto.OpCreate, node(f.root+"/e", proto.ModeEphemeral))
	c.watch(proto.OpGetData, f.root)
	for _, s := range append([]*zktest.Server{f.server}, f.all...) {
		wrong := c.res.Passwd
		wrong[7] ^= 1
		for _, passwd := range [][]byte{wrong[:], nil, wrong[:3]} {
			thief, err := dialRaw(t, s, proto.ConnectRequest{TimeOut: lifetime, SessionID: c.res.SessionID, Passwd: passwd, HasReadOnly: true})
			if !errors.Is(err, errRefused) || thief.res.TimeOut != 0 {
				t.Fatalf("server %d: %v", s.ID, err)
			}
			must(t, thief.ended())
		}
	}
	c.set(f.root + "/e")
	c.write(c.frame(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1}))
	if e := c.next(); e.event() != "NodeDataChanged "+f.root {
		t.Errorf("%q: the watch is lost", e.event())
	}
	c.next()
}

func brokenLimits(t *testing.T, f *face) {
	c := f.dir(t)
	quota := "/zookeeper/quota" + f.root
	c.create(quota)
	for _, text := range []string{"garbage", "count=many,bytes=-1", "", "count=1,bytes", "countHardLimit=99999999999999999999"} {
		limits := node(quota+"/zookeeper_limits", 0)
		limits.Data = []byte(text)
		c.do(proto.OpCreate, limits)
		c.do(proto.OpCreate, node(quota+"/zookeeper_stats", 0))
		c.create(f.root+"/a", f.root+"/b")
		c.set(f.root + "/a")
		c.delete(f.root + "/a")
		c.delete(f.root + "/b")
		c.delete(limits.Path)
		c.delete(quota + "/zookeeper_stats")
	}
	f.goesOn(t)
}
