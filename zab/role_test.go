package zab_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// established returns a quiet ensemble led by server 1.
func established(t failer, voters ...quorum.SID) *fuzz {
	f := &fuzz{world: newWorld(t, ensemble(voters, nil))}
	f.start(f.node(1), f.nodes)
	f.calm()
	return f
}

// hazard H-11: a role that has stopped withdraws what it had not given out: no step,
// no message, no commit.
func TestStoppedWantsNothing(t *testing.T) {
	f := established(t, 1, 2, 3)
	l := f.node(1).leader
	f.node(1).propose("a")
	l.Answer(1, zab.Sync, nil)
	for l.Phase() != zab.Stopped {
		l.Tick()
	}
	l.Step(zab.Message{Kind: zab.Ack, From: 2, Epoch: 1, Zxid: zxid.Make(1, 1)})
	if err := l.Propose(l.Next(), [][]byte{nil}); !errors.Is(err, zab.ErrNotLeading) {
		t.Errorf("a stopped leader proposes: %v", err)
	}
	if rd := l.Ready(); rd.Persist != nil || len(rd.Messages) > 0 || rd.Commit != 0 || len(rd.Deliver) > 0 {
		t.Errorf("a stopped leader wants %+v", rd)
	}

	n := f.node(2).learner
	n.Submit(zab.Request, []byte("x"))
	n.Step(zab.Message{Kind: zab.UpToDate, From: 1, Epoch: 1})
	if rd := n.Ready(); n.Phase() != zab.Stopped || rd.Persist != nil || len(rd.Messages) > 0 {
		t.Errorf("a stopped follower, in %v, wants %+v", n.Phase(), rd)
	}
}

// What the driver was given by one Ready stays as it is until the next: the order of work
// does not depend on what happens meanwhile.
func TestReadyIsStable(t *testing.T) {
	f := established(t, 1, 2, 3)
	l := f.node(1).leader
	f.node(1).propose("a", "b")
	rd := l.Ready()
	entries, msgs := rd.Persist.Append, len(rd.Messages)
	want := []zab.Entry{entries[0], entries[1]}
	for i := range 100 {
		f.node(1).propose("c", "d")
		if i < 5 {
			l.Tick()
		}
		if len(rd.Messages) != msgs || rd.Messages[0].Kind != zab.Proposal {
			t.Fatalf("messages changed: %v", rd.Messages)
		}
	}
	for range 100 {
		f.node(1).propose("e")
		l.Ready()
	}
	for i := range want {
		if entries[i].ID != want[i].ID || entries[i].Hash != want[i].Hash || string(entries[i].Data) != string(want[i].Data) {
			t.Fatalf("entry %d became %+v", i, entries[i])
		}
	}
}

// An answer that waited for a commit does not reach a learner that dialed again meanwhile: it
// asked on the old link.
func TestAnswersEndWithTheLink(t *testing.T) {
	f := established(t, 1, 2, 3)
	l := f.node(1).leader
	f.node(1).propose("a")
	l.Answer(2, zab.Sync, []byte("old"))
	step := l.Ready().Persist
	l.Step(zab.Message{Kind: zab.FollowerInfo, From: 2, Epoch: 1, Incarnation: f.node(2).disk.incarnation})
	l.Persisted(step.Token)
	l.Step(zab.Message{Kind: zab.Ack, From: 3, Epoch: 1, Zxid: zxid.Make(1, 1)})
	for _, m := range l.Ready().Messages {
		if m.Kind == zab.Sync {
			t.Errorf("answered on the new link: %+v", m)
		}
	}
	if l.LastCommitted() != zxid.Make(1, 1) {
		t.Errorf("committed %v, want the proposal that the answer waited for", l.LastCommitted())
	}
}

// hazard H-14: an entry that does not follow the one before ends the role wherever in a batch it stands,
// in the broadcast and before, and nothing of the batch is kept.
func TestGapInsideABatch(t *testing.T) {
	for _, live := range []bool{false, true} {
		f := established(t, 1, 2, 3)
		n := f.node(2).learner
		epoch, kinds := zxid.Epoch(1), []zab.Message(nil)
		if !live {
			cfg := f.node(2).config()
			n = zab.NewFollower(cfg, 1)
			epoch = 2
			kinds = []zab.Message{{Kind: zab.LeaderInfo, From: 1, Epoch: 2}, {Kind: zab.Diff, From: 1, Epoch: 2}}
		}
		for _, m := range kinds {
			n.Step(m)
			if rd := n.Ready(); rd.Persist != nil {
				n.Persisted(rd.Persist.Token)
			}
		}
		n.Ready()
		a := zab.NewEntry(zxid.Point{}, zxid.Make(epoch, 1), []byte("a"))
		b := zab.NewEntry(a.Point(), zxid.Make(epoch, 2), []byte("b"))
		c := zab.NewEntry(b.Point(), zxid.Make(epoch, 3), []byte("c"))
		n.Step(zab.Message{Kind: zab.Proposal, From: 1, Epoch: epoch, Entries: []zab.Entry{a, c}})
		if rd := n.Ready(); n.Phase() != zab.Stopped || rd.Persist != nil || len(rd.Stage) > 0 {
			t.Errorf("live %v: in %v after a hole in a batch, wants %+v", live, n.Phase(), rd)
		}
	}
}

// hazard H-18: a snapshot that ends below what is known to be committed is proof of loss as a cut is: it
// is not accepted, and no other one is asked for.
func TestSnapshotBelowCommitted(t *testing.T) {
	f := established(t, 1, 2, 3)
	f.node(1).propose("a", "b", "c")
	f.calm()
	cfg := f.node(2).config()
	if cfg.Durable.Committed = cfg.Durable.History.Last().ID; cfg.Durable.Committed == 0 {
		t.Fatal("nothing is committed")
	}
	n := zab.NewFollower(cfg, 1)
	below := zxid.Point{ID: zxid.Make(1, 2), Hash: 7}
	for _, m := range []zab.Message{
		{Kind: zab.LeaderInfo, From: 1, Epoch: 2}, {Kind: zab.Snap, From: 1, Epoch: 2, Point: below},
	} {
		n.Step(m)
		if rd := n.Ready(); rd.Persist != nil {
			n.Persisted(rd.Persist.Token)
		}
	}
	n.SnapshotStaged(below)
	n.Step(zab.Message{Kind: zab.NewLeader, From: 1, Epoch: 2, Point: below})
	rd := n.Ready()
	if n.Phase() != zab.Stopped || rd.Persist != nil || n.NeedSnap() {
		t.Errorf("in %v, wants %+v, asks for a snapshot: %v", n.Phase(), rd.Persist, n.NeedSnap())
	}
}

func TestProposeErrors(t *testing.T) {
	f := established(t, 1, 2, 3)
	l := f.node(1).leader
	for _, first := range []zxid.ID{0, zxid.Make(1, 2), zxid.Make(2, 1)} {
		if err := l.Propose(first, [][]byte{nil}); !errors.Is(err, zab.ErrOutOfOrder) {
			t.Errorf("Propose(%v) = %v, want ErrOutOfOrder", first, err)
		}
	}
	if l.LastProposed() != 0 || l.Next() != zxid.Make(1, 1) {
		t.Errorf("a refused proposal left a trace: %v", l.LastProposed())
	}
	idle := zab.Lead(f.node(1).config())
	if err := idle.Propose(idle.Next(), [][]byte{nil}); !errors.Is(err, zab.ErrNotLeading) {
		t.Errorf("a leader in %v proposes: %v", idle.Phase(), err)
	}
}

// hostile draws a message that anybody might send.
func hostile(t *rapid.T, from quorum.SID) zab.Message {
	epoch := rapid.SampledFrom([]zxid.Epoch{0, 1, 2, 3, zxid.MaxEpoch, 1<<32 - 1})
	id := rapid.Custom(func(t *rapid.T) zxid.ID {
		return zxid.Make(epoch.Draw(t, "epoch"), rapid.SampledFrom([]zxid.Counter{0, 1, 2, 3, 1<<32 - 1}).Draw(t, "counter"))
	})
	at := rapid.Custom(func(t *rapid.T) zxid.Point {
		return zxid.Point{ID: id.Draw(t, "id"), Hash: rapid.Uint64Max(2).Draw(t, "hash")}
	})
	m := zab.Message{
		Kind: zab.Kind(rapid.IntRange(0, 22).Draw(t, "kind")), From: from, Epoch: epoch.Draw(t, "of"),
		Zxid: id.Draw(t, "zxid"), Point: at.Draw(t, "point"), Current: epoch.Draw(t, "current"),
		Fresh: rapid.Bool().Draw(t, "fresh"), NeedSnap: rapid.Bool().Draw(t, "needSnap"),
		Untrusted: rapid.Bool().Draw(t, "untrusted"), Seq: rapid.Uint64().Draw(t, "seq"),
		Incarnation: quorum.Incarnation{byte(rapid.IntRange(0, 3).Draw(t, "life"))},
	}
	for range rapid.IntRange(0, 2).Draw(t, "entries") {
		e := zab.NewEntry(at.Draw(t, "prev"), id.Draw(t, "entry"), []byte("x"))
		m.Entries = append(m.Entries, e)
	}
	m.History.Base = at.Draw(t, "base")
	for range rapid.IntRange(0, 3).Draw(t, "runs") {
		p := at.Draw(t, "run")
		m.History.Runs = append(m.History.Runs, zab.Run{Epoch: p.ID.Epoch(), Last: p.ID.Counter(), Hash: p.Hash})
	}
	for range rapid.IntRange(0, 2).Draw(t, "known") {
		m.Known = append(m.Known, zab.Known{SID: quorum.SID(rapid.IntRange(-2, 300).Draw(t, "sid")), Incarnation: m.Incarnation})
	}
	return m
}

// Bad input ends links and roles; it never panics and never breaks an invariant.
func TestHostileMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fuzz{rt: t}
		f.world = newWorld(t, ensemble([]quorum.SID{1, 2, 3}, []quorum.SID{4}))
		f.cfg.InitTicks, f.cfg.SyncTicks = 20, 10
		f.start(f.node(1), f.nodes)
		for range rapid.IntRange(0, 20).Draw(t, "rounds") {
			f.round()
		}
		for range rapid.IntRange(1, 20).Draw(t, "attacks") {
			n := f.nodes[rapid.IntRange(0, 3).Draw(t, "victim")]
			if n.idle() {
				continue
			}
			var err error
			if n.leader != nil {
				n.leader.Step(hostile(t, quorum.SID(rapid.IntRange(-3, 300).Draw(t, "from"))))
				err = n.leader.Check()
				n.leader.Ready()
			} else {
				n.learner.Step(hostile(t, 1))
				err = n.learner.Check()
				n.learner.Ready()
			}
			if err != nil {
				t.Fatalf("server %v: %v", n.sid, err)
			}
		}
	})
}
