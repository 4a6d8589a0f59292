package fle_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func drawVote(t *rapid.T, leader quorum.SID) fle.Vote {
	return fle.Vote{
		Leader: leader,
		Epoch:  zxid.Epoch(rapid.IntRange(0, 3).Draw(t, "epoch")),
		Zxid:   zxid.ID(rapid.IntRange(0, 5).Draw(t, "zxid")),
	}
}

// TestVoteOrderIsTotal holds Compare to the laws of a total order [ZOOKEEPER-1419, H-43].
func TestVoteOrderIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() fle.Vote { return drawVote(t, quorum.SID(rapid.IntRange(0, 3).Draw(t, "leader"))) }
		a, b, c := draw(), draw(), draw()
		if a.Compare(b) != -b.Compare(a) {
			t.Fatalf("Compare(%v, %v) is not antisymmetric", a, b)
		}
		if (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v and %v compare equal without being equal", a, b)
		}
		if a.Compare(b) >= 0 && b.Compare(c) >= 0 && a.Compare(c) < 0 {
			t.Fatalf("order of %v, %v, %v is not transitive", a, b, c)
		}
	})
}

// TestElectionSettles runs random electorates over a network that delays, reorders between
// pairs and loses, with servers that restart their search, and demands: whoever is elected by a
// quorum that holds is the best of those that looked together, all end the same way once the
// network is well, and nobody is elected whom the rules exclude [H-43].
func TestElectionSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "voters")
		var voters []quorum.SID
		for i := range n {
			voters = append(voters, quorum.SID(i+1))
		}
		w := newWorld(voters, nil, 0)
		own := map[quorum.SID]fle.Vote{}
		for _, sid := range voters {
			own[sid] = drawVote(t, sid)
		}
		look := func(sid quorum.SID) {
			w.machines[sid].Look(own[sid])
			delete(w.outcomes, sid)
			w.collect()
		}
		for _, sid := range rapid.Permutation(voters).Draw(t, "order") {
			look(sid)
		}
		// Bad times.
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			sid := rapid.SampledFrom(voters).Draw(t, "server")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				w.take([]quorum.SID{sid}, nil) // lost
			case 1:
				w.machines[sid].Tick()
				w.collect()
			case 2:
				look(sid)
			case 3:
				other := rapid.SampledFrom(voters).Draw(t, "other")
				w.machines[sid].Reach(other, rapid.Bool().Draw(t, "up"))
				w.collect()
			default:
				for _, note := range w.take([]quorum.SID{sid}, nil) {
					w.machines[sid].Step(note)
					w.collect()
				}
			}
		}
		w.checkOutcomes(t)
		// Good times: all links are up, and are seen to be. A server whose leader does not lead a
		// majority after some patience looks again, as discovery would make it do.
		for _, sid := range voters {
			for _, other := range voters {
				w.machines[sid].Reach(other, true)
			}
		}
		w.collect()
		const patience = 50
		waited := map[quorum.SID]int{}
		for range 2000 {
			w.deliver(nil, nil)
			settled := true
			for _, sid := range voters {
				m := w.machines[sid]
				m.Tick()
				w.collect()
				if m.State() == fle.Looking {
					settled = false
				} else if leader := m.Vote().Leader; w.machines[leader].State() != fle.Leading || !w.led(leader) {
					settled = false
					if waited[sid]++; waited[sid] > patience {
						waited[sid] = 0
						look(sid)
					}
				}
			}
			if settled {
				w.checkOutcomes(t)
				return
			}
		}
		for _, sid := range voters {
			t.Logf("%v: %v round %d %v", sid, w.machines[sid].State(), w.machines[sid].Round(), w.machines[sid].Vote())
		}
		t.Fatal("the election never settled")
	})
}

// led reports whether a majority follows the leader.
func (w *world) led(leader quorum.SID) bool {
	count := 0
	for _, sid := range w.sids {
		if m := w.machines[sid]; m.State() != fle.Looking && m.Vote().Leader == leader {
			count++
		}
	}
	return 2*count > len(w.sids)
}

func (w *world) checkOutcomes(t *rapid.T) {
	for sid, o := range w.outcomes {
		if 2*o.Supporters.Len() <= len(w.sids) {
			t.Fatalf("%v ended with %v, no quorum of %d", sid, o.Supporters, len(w.sids))
		}
		if (o.State == fle.Leading) != (o.Vote.Leader == sid) {
			t.Fatalf("%v is %v under %v", sid, o.State, o.Vote.Leader)
		}
	}
}

// FuzzStep feeds arbitrary notifications to a machine: whatever they say, it neither panics
// nor elects anybody who is not a voter.
func FuzzStep(f *testing.F) {
	f.Add(int16(2), uint8(0), int16(2), int64(5), uint32(1), uint64(1))
	f.Add(int16(3), uint8(2), int16(3), int64(-1), uint32(1<<31), uint64(1<<63))
	f.Fuzz(func(t *testing.T, from int16, state uint8, leader int16, zx int64, epoch uint32, round uint64) {
		w := newWorld([]quorum.SID{1, 2, 3}, []quorum.SID{4}, 0)
		m := w.machines[1]
		m.Look(fle.Vote{Leader: 1, Zxid: 5, Epoch: 1})
		n := fle.Notification{
			From: quorum.SID(from), To: 1, State: fle.State(state), Round: round,
			Vote: fle.Vote{Leader: quorum.SID(leader), Zxid: zxid.ID(zx), Epoch: zxid.Epoch(epoch)},
		}
		m.Step(n)
		m.Tick()
		m.Step(n)
		if o := m.Ready().Outcome; o != nil && (o.Vote.Leader < 1 || o.Vote.Leader > 3) {
			t.Fatalf("%+v elected %v", n, o.Vote.Leader)
		}
	})
}
