package server_test

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// Tests of spec semantics 17, what ZooKeeper 3.9.5 does wrong and this server does not, that need a state
// or a clock of their own; 7 and 9 are scripts, the others run on all kinds of servers in package zktest.

// At its end the counter of children stays, as in ZooKeeper, but pzxid goes on with every child.
func TestDefect08PzxidMovesAtTheLastNumber(t *testing.T) {
	w := newTwin(t, 2, nil)
	w.depose()
	w.inject(createTxn("/q", 1), createTxn("/q/last-but-one", math.MaxInt32-1))
	w.lead(0)
	c := w.members[1].connect(t)
	stat := func() proto.Stat {
		t.Helper()
		r := c.must(proto.OpExists, proto.ReadRequest{Path: "/q"})
		return r.decode(t, new(proto.StatResponse)).(*proto.StatResponse).Stat
	}
	for i, want := range []string{"/q/a2147483646", "/q/a2147483647", "", "/q/b2147483647", "/q/c2147483647"} {
		prefix := "/q/" + string("aaabc"[i])
		before := stat()
		r := c.call(proto.OpCreate, createRequest(prefix, "", proto.ModePersistentSequential))
		after := stat()
		if want == "" {
			if r.Err != proto.CodeNodeExists || after != before {
				t.Errorf("%s once more: %v, from %+v to %+v", prefix, r.Err, before, after)
			}
			continue
		}
		if got := r.decode(t, new(proto.CreateResponse)).(*proto.CreateResponse).Path; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if after.Pzxid != r.Zxid || after.NumChildren != before.NumChildren+1 {
			t.Errorf("%s made at %v: from %+v to %+v", want, r.Zxid, before, after)
		}
	}
}

// A server that comes back with its clock set back gives no session a name that a living one has,
// nor one of those that it gives out from then on [H-69, H-77].
func TestDefect10SessionIDsAreNotRepeated(t *testing.T) {
	var now atomic.Int64
	now.Store(goldenNow)
	w := newTwin(t, 2, func(c *server.Config) { c.Now = func() time.Time { return time.UnixMilli(now.Load()) } })
	w.depose()
	first := proto.InitialSessionID(goldenNow, 1)
	seen := map[proto.SessionID]bool{}
	for id := range proto.SessionID(5) { // of the life before
		w.inject(sessionTxn(first + id))
		seen[first+id] = true
	}
	w.lead(1)
	for range 5 {
		c := w.members[0].connect(t)
		if seen[c.session] || byte(uint64(c.session)>>56) != 1 {
			t.Fatalf("session %v is given out again", c.session)
		}
		seen[c.session] = true
		now.Add(-1)
	}
}
