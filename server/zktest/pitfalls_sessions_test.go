package zktest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// sessionPitfalls are about the handshake and sessions. Those that need time, an order of messages
// or a change of leader are scripts and tests of package server.
var sessionPitfalls = []pitfall{
	{"Pitfall01UnknownSessionsAreRefused", unknownSessions},
	{"Pitfall02SessionsGoAnywhere", sessionsGoAnywhere},
	{"Pitfall03AWrongPasswordLooksExpired", wrongLooksExpired},
	{"Pitfall04TheByteIsSentBack", readOnlyByte},
	{"Pitfall05PasswordsAreComputed", passwords},
	{"Pitfall06TravellersInTimeAreNotExpired", timeTravellers},
	{"Pitfall07RequestsMayFollowTheHandshake", pipelinedHandshake},
	{"Pitfall10CloseSessionIsAnswered", closeIsAnswered},
	{"Pitfall11PendingEphemeralsGo", pendingEphemeralsGo},
	{"Pitfall13TimeoutsAreClamped", clampedTimeouts},
	{"Pitfall14AnyNumberIsASession", anyNumber},
	{"Pitfall59ReadsSeeTheWriteBeforeThem", readsSeeWrites},
	{"Pitfall60SyncShowsWhatOthersWrote", syncShows},
	{"Pitfall61WhatMovedWritesNothing", movedWritesNothing},
}

// refused shakes hands with a server that refuses the session, and returns its answer.
func (f *face) refused(t *testing.T, req proto.ConnectRequest) proto.ConnectResponse {
	t.Helper()
	c, err := dialRaw(t, f.server, req)
	if !errors.Is(err, errRefused) {
		t.Fatalf("%+v: %v", req, err)
	}
	must(t, c.ended())
	return c.res
}

// ended opens a session and closes it.
func (f *face) ended(t *testing.T) *speaker {
	t.Helper()
	c := f.open(t)
	c.do(proto.OpCloseSession, nil)
	c.closes()
	return c
}

// rough is a connection on which nothing was said.
func (f *face) rough(t *testing.T) *speaker {
	t.Helper()
	nc, err := net.Dial("tcp", f.server.Addr())
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	return &speaker{&raw{nc: nc}, t}
}

func unknownSessions(t *testing.T, f *face) {
	gone := f.ended(t).res.SessionID
	for _, id := range []proto.SessionID{gone, gone + 100, 1, 0x7700000000000000} {
		passwd := proto.Password(id)
		if res := f.refused(t, proto.ConnectRequest{TimeOut: lifetime, SessionID: id, Passwd: passwd[:]}); res != (proto.ConnectResponse{}) {
			t.Errorf("%v: %+v", id, res)
		}
	}
}

func sessionsGoAnywhere(t *testing.T, f *face) {
	c := f.dir(t)
	e := f.root + "/e"
	c.do(proto.OpCreate, node(e, proto.ModeEphemeral))
	for _, s := range f.all {
		c = c.reopen(s)
		c.sync()
		if owner := c.stat(e).EphemeralOwner; owner != c.res.SessionID {
			t.Errorf("server %d: %v owns %s, want %v", s.ID, owner, e, c.res.SessionID)
		}
		c.set(e)
	}
	c.do(proto.OpCloseSession, nil)
	after := f.open(t)
	after.sync()
	after.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: e})
}

func wrongLooksExpired(t *testing.T, f *face) {
	gone, living := f.ended(t), f.open(t)
	for _, readOnly := range []bool{false, true} {
		req := proto.ConnectRequest{TimeOut: lifetime, SessionID: gone.res.SessionID, Passwd: gone.res.Passwd[:], HasReadOnly: readOnly}
		expired := f.refused(t, req)
		req.SessionID, req.Passwd = living.res.SessionID, make([]byte, proto.PasswordLen)
		if wrong := f.refused(t, req); wrong != expired {
			t.Errorf("wrong password %+v, expired %+v", wrong, expired)
		}
	}
}

func readOnlyByte(t *testing.T, f *face) {
	for _, sent := range []bool{false, true} {
		for _, value := range []bool{false, true} {
			c, err := dialRaw(t, f.server, proto.ConnectRequest{TimeOut: lifetime, HasReadOnly: sent, ReadOnly: value && sent})
			must(t, err)
			if c.res.HasReadOnly != sent || c.res.ReadOnly {
				t.Errorf("sent %v: %+v", sent, c.res)
			}
		}
	}
}

func passwords(t *testing.T, f *face) {
	c := f.open(t)
	seed := (uint64(c.res.SessionID) ^ 0xB3415C00 ^ 0x5DEECE66D) & (1<<48 - 1)
	var want []byte
	for range 4 {
		seed = (seed*0x5DEECE66D + 0xB) & (1<<48 - 1)
		want = binary.LittleEndian.AppendUint32(want, uint32(seed>>16))
	}
	if !bytes.Equal(c.res.Passwd[:], want) {
		t.Errorf("%x, want %x", c.res.Passwd, want)
	}
	for _, s := range f.all {
		if again := c.reopen(s); !bytes.Equal(again.res.Passwd[:], want) {
			t.Errorf("server %d: %x, want %x", s.ID, again.res.Passwd, want)
		}
	}
}

func timeTravellers(t *testing.T, f *face) {
	c := f.open(t)
	for _, id := range []proto.SessionID{0, c.res.SessionID} {
		_, err := dialRaw(t, f.server, proto.ConnectRequest{
			TimeOut: lifetime, LastZxidSeen: 1 << 60, SessionID: id, Passwd: c.res.Passwd[:], HasReadOnly: true,
		})
		if !silently(err) {
			t.Errorf("session %v: %v, want no answer", id, err)
		}
	}
	again, err := dialRaw(t, f.server, proto.ConnectRequest{
		TimeOut: lifetime, LastZxidSeen: f.server.Node().Applied().ID, SessionID: c.res.SessionID, Passwd: c.res.Passwd[:],
	})
	must(t, err)
	if again.res.SessionID != c.res.SessionID {
		t.Errorf("%+v: the session is lost", again.res)
	}
}

// Java clients send the handshake, identities, watches and requests without waiting.
func pipelinedHandshake(t *testing.T, f *face) {
	c := f.rough(t)
	out, mark := proto.BeginFrame(nil)
	out = proto.EndFrame(proto.ConnectRequest{TimeOut: lifetime, HasReadOnly: true}.Append(out), mark)
	mine := node(f.root, proto.ModeEphemeral)
	mine.ACL = []proto.ACL{entry(proto.PermAll, "auth", "")}
	c.write(out, c.frame(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}), c.frame(proto.OpSetWatches, proto.SetWatches{}),
		c.frame(proto.OpCreate, mine), c.frame(proto.OpGetData, proto.ReadRequest{Path: f.root}), c.frame(proto.OpPing, nil))
	var res proto.ConnectResponse
	hello := c.bytes()
	cur := jute.NewCursor(hello)
	if res.Decode(&cur); cur.Err() != nil || res.SessionID == 0 || len(hello) != 37 {
		t.Fatalf("%x", hello)
	}
	for _, want := range []proto.Xid{1, 2, 3, 4, proto.XidPing} {
		if r := c.next(); r.Xid != want || r.Err != proto.CodeOK {
			t.Errorf("%+v, want the answer to %d", r.ReplyHeader, want)
		}
	}
}

func closeIsAnswered(t *testing.T, f *face) {
	c := f.dir(t)
	c.write(c.frame(proto.OpCreate, node(f.root+"/e", proto.ModeEphemeral)), c.frame(proto.OpCloseSession, nil), c.frame(proto.OpPing, nil))
	created, closed := c.next(), c.next()
	if created.Err != proto.CodeOK || closed.Err != proto.CodeOK || closed.Xid != c.xid-1 || closed.Zxid <= created.Zxid || len(closed.body) > 0 {
		t.Errorf("%+v, then %+v", created, closed)
	}
	c.closes()
}

func pendingEphemeralsGo(t *testing.T, f *face) {
	c, w := f.dir(t), f.open(t)
	var frames [][]byte
	for i := range 20 {
		frames = append(frames, c.frame(proto.OpCreate, node(fmt.Sprintf("%s/e%d", f.root, i), proto.ModeEphemeral)))
	}
	c.write(append(frames, c.frame(proto.OpMulti, multi(opCreate(f.root+"/m", proto.ModeEphemeral))), c.frame(proto.OpCloseSession, nil))...)
	for range len(frames) + 1 {
		c.next()
	}
	end := c.next()
	c.closes()
	w.sync()
	if s := w.stat(f.root); s.NumChildren != 0 || s.Pzxid != end.Zxid || s.Cversion != 2*int32(len(frames)+1) {
		t.Errorf("%+v, the session ended at %v", s, end.Zxid)
	}
}

// The servers' tick is 200 ms; 20 ticks are not the maximum here, because it is configured.
func clampedTimeouts(t *testing.T, f *face) {
	for ask, want := range map[int32]int32{1: 400, -5: 400, -1 << 31: 400, 0: 400, 12345: 12345, lifetime: lifetime, 1<<31 - 1: lifetime} {
		c := openAt(t, f.server, ask)
		if c.res.TimeOut != want {
			t.Errorf("%d is made %d, want %d", ask, c.res.TimeOut, want)
		}
		c.do(proto.OpCloseSession, nil)
	}
}

func anyNumber(t *testing.T, f *face) {
	for _, id := range []proto.SessionID{-1, -1 << 63, 1<<63 - 1, -1 << 56, 1} {
		passwd := proto.Password(id)
		f.refused(t, proto.ConnectRequest{TimeOut: lifetime, SessionID: id, Passwd: passwd[:]})
		f.refused(t, proto.ConnectRequest{TimeOut: lifetime, SessionID: id})
	}
	f.dir(t)
}

func readsSeeWrites(t *testing.T, f *face) {
	c := f.dir(t)
	var frames [][]byte
	for i := range 50 {
		frames = append(frames,
			c.frame(proto.OpSetData, proto.SetDataRequest{Path: f.root, Data: []byte{byte(i)}, Version: int32(i)}),
			c.frame(proto.OpGetData, proto.ReadRequest{Path: f.root}))
	}
	c.write(frames...)
	for i := range 50 {
		if r := c.next(); r.Err != proto.CodeOK {
			t.Fatalf("write %d: %v", i, r.Err)
		}
		if got := read[proto.GetDataResponse](t, c.next().body); !bytes.Equal(got.Data, []byte{byte(i)}) {
			t.Fatalf("behind write %d stands %v of version %d", i, got.Data, got.Stat.Version)
		}
	}
}

func syncShows(t *testing.T, f *face) {
	c := f.dir(t)
	for _, s := range f.all {
		w := openAt(t, s, lifetime)
		w.sync()
		for range 10 {
			written := read[proto.StatResponse](t, w.do(proto.OpSetData, proto.SetDataRequest{Path: f.root, Version: -1})).Stat
			c.sync()
			if got := c.stat(f.root); got != written {
				t.Fatalf("behind sync stands %+v, server %d wrote %+v before", got, s.ID, written)
			}
		}
	}
}

// A session goes to each of the servers, and its old connection tries to write.
func movedWritesNothing(t *testing.T, f *face) {
	owner := f.dir(t)
	for _, s := range f.all {
		old := f.open(t)
		now := old.reopen(s)
		never := f.root + "/never"
		for _, op := range []proto.Op{proto.OpCreate, proto.OpMulti} {
			var request proto.Appender = node(never, 0)
			if op == proto.OpMulti {
				request = multi(opCreate(never, 0))
			}
			if _, _, err := old.raw.call(op, request); !silently(err) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("moved to server %d: %v of the old connection ends in %v, want silence", s.ID, op, err)
			}
		}
		now.create(fmt.Sprintf("%s/%d", f.root, s.ID))
		now.do(proto.OpCloseSession, nil)
		owner.sync()
		owner.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: never})
	}
}
