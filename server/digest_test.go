package server_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// majority is an ensemble of so many voters.
type majority int

func (n majority) Votes(server.Origin) bool        { return true }
func (n majority) Quorum(ids []server.Origin) bool { return len(ids) > int(n)/2 }

// newJudged returns three servers that judge each other's trees.
func newJudged(t *testing.T, adjust func(*server.Config)) *twin {
	t.Helper()
	var w *twin
	w = newTwin(t, 3, func(c *server.Config) {
		c.Electorate = majority(3)
		c.Repair = func(string) { w.members[c.Self-1].repairs.Add(1) }
		if adjust != nil {
			adjust(c)
		}
	})
	return w
}

// otherDigest makes the digest that a transaction announces another one: a server that applies it finds
// its tree beyond that by one.
func otherDigest(b []byte) []byte {
	txn, err := proto.DecodeTxn(b)
	if err != nil {
		panic(err)
	}
	txn.Digest--
	return proto.AppendTxn(nil, &txn)
}

// spoil lets what is committed from now on show that the members' trees are damaged.
func (w *twin) spoil(members ...*member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range members {
		m.tamper, m.mismatches = otherDigest, m.mismatches+1
	}
}

// endEra lets every server report.
func (w *twin) endEra() {
	for _, m := range w.members {
		m.eras <- time.Now()
	}
}

// A tree that differs answers nobody: neither the write that shows it, nor reads behind it, nor a watch; new
// clients have to wait. Its server applies on, is told that it is wrong, and serves when its tree is
// replaced [H-78].
func TestDivergedServerServesNobody(t *testing.T) {
	w := newJudged(t, nil)
	leader, bad := w.members[0], w.members[1]
	good, c, watcher := leader.connect(t), bad.connect(t), bad.connect(t)
	good.create("/node", "old", proto.ModePersistent)
	c.must(proto.OpSync, proto.ReadRequest{Path: "/"})
	watcher.must(proto.OpGetData, proto.ReadRequest{Path: "/node", Watch: true})
	w.spoil(bad)
	burst := c.append(nil, proto.OpSetData, proto.SetDataRequest{Path: "/node", Data: []byte("new"), Version: 0})
	burst = c.append(burst, proto.OpGetData, proto.ReadRequest{Path: "/node"})
	c.write(burst)
	for name, client := range map[string]*client{"writer": c, "watcher": watcher} {
		if frame, err := client.frame(); !errors.Is(err, io.EOF) {
			t.Errorf("the %s gets %x, %v from a tree that differs", name, frame, err)
		}
	}
	if bad.srv.Serving() || bad.srv.Suspended() == "" {
		t.Error("the server serves")
	}
	good.must(proto.OpSetData, proto.SetDataRequest{Path: "/node", Data: []byte("newer"), Version: 1})
	bad.caughtUp(t)
	w.endEra()
	eventually(t, "it is to be repaired", func() bool { return bad.repairs.Load() > 0 })
	for _, m := range []*member{leader, w.members[2]} {
		if m.repairs.Load() != 0 || !m.srv.Serving() {
			t.Errorf("%v: %d repairs, serves: %v", m, m.repairs.Load(), m.srv.Serving())
		}
	}
	w.mu.Lock()
	bad.tamper = nil
	w.mu.Unlock()
	bad.srv.StopServing("repair")
	if err := bad.srv.Replace(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	bad.srv.Serve("follower")
	eventually(t, "it serves again", bad.srv.Serving)
	good.must(proto.OpSetData, proto.SetDataRequest{Path: "/node", Data: []byte("newest"), Version: 2})
	again := bad.connect(t)
	again.must(proto.OpSetData, proto.SetDataRequest{Path: "/node", Version: 3})
}

// A server notes that its tree is suspect before it goes on, and that it is not any more: one that was stopped
// in doubt is cleared by a quorum with the same tree, and doubted again when it differs [H-78].
func TestDoubtIsNoted(t *testing.T) {
	notes := make(chan server.Doubt, 4)
	w := newJudged(t, func(c *server.Config) {
		if c.Self == 2 {
			c.Doubt, c.Doubted = func(d server.Doubt) { notes <- d }, server.Suspect
		}
	})
	c, doubted := w.members[0].connect(t), w.members[1]
	c.create("/node", "", proto.ModePersistent)
	doubted.caughtUp(t)
	w.endEra()
	if d := <-notes; d != server.NoDoubt {
		t.Errorf("the tree is %v once more", d)
	}
	eventually(t, "it serves", doubted.srv.Serving)
	w.spoil(doubted)
	c.must(proto.OpSetData, proto.SetDataRequest{Path: "/node", Version: 0})
	if d := <-notes; d != server.Suspect {
		t.Errorf("the tree is %v, and differs", d)
	}
}

// A leader that does not apply what it announces, as the others do, is wrong [H-78].
func TestLeaderAppliesSomethingElse(t *testing.T) {
	w := newJudged(t, nil)
	leader := w.members[0]
	w.spoil(leader)
	w.members[1].connect(t).create("/node", "", proto.ModePersistent)
	w.endEra()
	eventually(t, "the leader is to be repaired", func() bool { return leader.repairs.Load() > 0 })
	for _, m := range w.members[1:] {
		if m.repairs.Load() != 0 || !m.srv.Serving() {
			t.Errorf("%v: %d repairs, serves: %v", m, m.repairs.Load(), m.srv.Serving())
		}
	}
}

// Where all trees are equal and the announcement is not theirs nobody is wrong: the service goes on [H-78].
func TestWrongAnnouncement(t *testing.T) {
	w := newJudged(t, nil)
	c := w.members[1].connect(t)
	w.spoil(w.members...)
	c.send(proto.OpCreate, createRequest("/node", "", proto.ModePersistent))
	for _, m := range w.members {
		eventually(t, "everybody has noticed", func() bool { return m.srv.Mismatches() == 1 })
	}
	w.endEra()
	for _, m := range w.members {
		eventually(t, m.String()+" serves", m.srv.Serving)
		if m.repairs.Load() != 0 {
			t.Errorf("%v is to be repaired", m)
		}
	}
	// The difference that a quorum has is no mismatch any more.
	again := w.members[1].connect(t)
	again.create("/other", "", proto.ModePersistent)
}

// Trees of which no quorum has the same are served by nobody, no client is blamed for its silence
// meanwhile, and a new leader finds out anew [H-78].
func TestContestedTrees(t *testing.T) {
	w := newJudged(t, func(c *server.Config) { c.SyncLimit, c.Electorate = 1, majority(4) })
	c := w.members[0].connect(t)
	w.spoil(w.members[1:2]...)
	c.create("/node", "", proto.ModeEphemeral)
	// Two of four have one tree, and one another.
	eventually(t, "nobody is served", func() bool {
		w.endEra()
		return w.members[0].srv.Suspended() != "" && w.members[1].srv.Suspended() != "" && w.members[2].srv.Suspended() != ""
	})
	for _, m := range w.members {
		if m.srv.Serving() || m.repairs.Load() != 0 {
			t.Errorf("%v serves: %v, %d repairs", m, m.srv.Serving(), m.repairs.Load())
		}
	}
	for range 30 { // as many ticks as end the session three times
		w.endEra()
		w.members[0].ticks <- time.Now()
	}
	w.mu.Lock()
	w.members[1].tamper = nil
	w.mu.Unlock()
	w.depose()
	w.lead(2)
	late := w.members[2].connect(t)
	late.must(proto.OpExists, proto.ReadRequest{Path: "/node"})
}

// A leader gives no copy of its tree away while voters have different trees and no quorum has the same, though
// it serves: whoever got one would count as one more that is like it. It is over with its reign [H-78].
func TestCopiesAreWithheld(t *testing.T) {
	w := newJudged(t, func(c *server.Config) { c.SyncLimit, c.Electorate = 1_000_000, majority(4) })
	leader := w.members[0]
	c := leader.connect(t)
	if why := leader.srv.Withheld(); why != "" {
		t.Errorf("withheld while all trees are the same: %s", why)
	}
	w.spoil(w.members[1])
	c.create("/node", "", proto.ModePersistent)
	eventually(t, "the leader's copies are withheld", func() bool {
		w.endEra()
		return leader.srv.Withheld() != ""
	})
	if why := leader.srv.Suspended(); why != "" {
		t.Errorf("the leader is suspended before the patience of its jury ends: %s", why)
	}
	if w.members[2].srv.Withheld() != "" {
		t.Error("a follower that knows nothing against its tree withholds it")
	}
	w.depose()
	if why := leader.srv.Withheld(); why != "" {
		t.Errorf("withheld by a leader that is none any more: %s", why)
	}
}
