package server_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// Tests of spec semantics 16 that a script cannot say; the others are named after their number in
// testdata/scripts.

// A wrong password is answered byte for byte like an expired session.
func TestPitfall03WrongPasswordLooksExpired(t *testing.T) {
	w := newTwin(t, 2, nil)
	leader, follower := w.members[0], w.members[1]
	expired := follower.dial(t)
	expired.open(proto.ConnectRequest{TimeOut: 200})
	living := follower.connect(t)
	for range 4 {
		leader.ticks <- time.Time{}
	}
	expired.closed()
	for _, m := range w.members {
		for _, readOnly := range []bool{false, true} {
			gone, wrong := m.dial(t), m.dial(t)
			want := gone.open(proto.ConnectRequest{
				TimeOut: 1000, SessionID: expired.session, Passwd: expired.passwd[:], HasReadOnly: readOnly,
			})
			got := wrong.open(proto.ConnectRequest{
				TimeOut: 1000, SessionID: living.session, Passwd: make([]byte, proto.PasswordLen), HasReadOnly: readOnly,
			})
			if !bytes.Equal(got, want) || wrong.session != 0 || wrong.timeout != 0 {
				t.Errorf("%v: wrong password %x, expired session %x", m, got, want)
			}
			if a, b := gone.closed(), wrong.closed(); len(a)+len(b) > 0 {
				t.Errorf("%v: %x and %x behind the refusals", m, a, b)
			}
		}
	}
	living.must(proto.OpPing, nil)
}

// Passwords are 16 bytes that every server computes alike, with java.util.Random's generator.
func TestPitfall05PasswordIsComputedFromTheID(t *testing.T) {
	w := newTwin(t, 3, nil)
	for _, m := range w.members {
		c := m.connect(t)
		const mask = 1<<48 - 1
		seed := (uint64(c.session) ^ 0xB3415C00 ^ 0x5DEECE66D) & mask
		var want []byte
		for range 4 {
			seed = (seed*0x5DEECE66D + 0xB) & mask
			want = binary.LittleEndian.AppendUint32(want, uint32(seed>>16))
		}
		if !bytes.Equal(c.passwd[:], want) {
			t.Errorf("%v: password %x of session %v, want %x", m, c.passwd, c.session, want)
		}
		for _, other := range w.members {
			again := other.dial(t)
			again.open(proto.ConnectRequest{TimeOut: 1000, SessionID: c.session, Passwd: want})
			if again.session != c.session || !bytes.Equal(again.passwd[:], want) {
				t.Errorf("%v answers session %v, password %x to a session of %v", other, again.session, again.passwd, m)
			}
		}
	}
}

// A version goes from the largest number to the smallest, and is any version only as an argument.
func TestPitfall34VersionsWrap(t *testing.T) {
	w := newTwin(t, 2, nil)
	w.depose()
	w.inject(
		createTxn("/a", 1),
		proto.Txn{
			TxnHeader: proto.TxnHeader{Type: proto.OpSetData},
			Body:      &proto.SetDataTxn{Path: "/a", Version: math.MaxInt32},
		},
		proto.Txn{
			TxnHeader: proto.TxnHeader{Type: proto.OpSetACL},
			Body:      &proto.SetACLTxn{Path: "/a", ACL: proto.WorldACL(proto.PermAll), Version: math.MaxInt32},
		},
		createTxn("/b", 2),
		proto.Txn{
			TxnHeader: proto.TxnHeader{Type: proto.OpSetData},
			Body:      &proto.SetDataTxn{Path: "/b", Version: -2},
		},
	)
	w.lead(0)
	c := w.members[1].connect(t)
	set := func(path string, version int32) proto.Stat {
		t.Helper()
		r := c.must(proto.OpSetData, proto.SetDataRequest{Path: path, Version: version})
		return r.decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat
	}
	if s := set("/a", math.MaxInt32); s.Version != math.MinInt32 {
		t.Errorf("the version after the largest is %d", s.Version)
	}
	acl := proto.SetACLRequest{Path: "/a", ACL: proto.WorldACL(proto.PermAll), Version: math.MaxInt32}
	if r := c.must(proto.OpSetACL, acl); r.decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat.Aversion != math.MinInt32 {
		t.Errorf("aversion: %v", r)
	}
	if s := set("/b", -2); s.Version != -1 {
		t.Errorf("the version after -2 is %d", s.Version)
	}
	if s := set("/b", -1); s.Version != 0 {
		t.Errorf("the version after -1 is %d", s.Version)
	}
	if r := c.call(proto.OpSetData, proto.SetDataRequest{Path: "/b", Version: -2}); r.Err != proto.CodeBadVersion {
		t.Errorf("-2: %v", r.Err)
	}
}

// createTxn creates an open node as the n-th child of its parent.
func createTxn(path string, n int32) proto.Txn {
	return proto.Txn{
		TxnHeader: proto.TxnHeader{Type: proto.OpCreate},
		Body:      &proto.CreateTxn{Path: path, ACL: proto.WorldACL(proto.PermAll), ParentCVersion: n},
	}
}

// Servers whose clocks are years apart show the leader's times, all of them.
func TestPitfall35TimesAreTheLeaders(t *testing.T) {
	years := 0
	w := newTwin(t, 3, func(c *server.Config) {
		year := 2000 + 10*years
		years++
		c.Now = func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	})
	for leader := range w.members {
		if leader > 0 {
			w.depose()
			w.lead(leader)
		}
		want := time.Date(2000+10*leader, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		path := "/" + string(rune('a'+leader))
		writer := w.members[(leader+1)%3].connect(t)
		writer.create(path, "data", 0)
		writer.must(proto.OpSetData, proto.SetDataRequest{Path: path, Data: []byte("seven b"), Version: -1})
		for _, m := range w.members {
			c := m.connect(t)
			c.must(proto.OpSync, proto.SyncRequest{})
			r := c.must(proto.OpExists, proto.ReadRequest{Path: path})
			s := r.decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat
			if s.Ctime != want || s.Mtime != want || s.DataLength != 7 {
				t.Errorf("%v: %+v, want times %d", m, s, want)
			}
		}
	}
}
