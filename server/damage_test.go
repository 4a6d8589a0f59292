package server_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

var errRot = errors.New("a block is not what was written")

func yes() bool { return true }

// A server whose files are damaged serves nobody until its tree is replaced. That its digest, which does not show
// it, is right in the eyes of the others does not matter; and what is known is asked for once [H-94].
func TestDamagedFilesAreNotServed(t *testing.T) {
	w := newJudged(t, nil)
	bad, doubted := w.members[1], w.members[2]
	bad.connect(t).create("/node", "", proto.ModePersistent)
	bad.srv.TreeDamaged(errRot)
	if bad.srv.Suspended() == "" || bad.srv.Serving() || bad.repairs.Load() != 1 {
		t.Fatalf("it serves: %v, %d repairs", bad.srv.Serving(), bad.repairs.Load())
	}
	w.endEra()
	doubted.mismatches++
	// Another server is in doubt without reason: when it is cleared, the leader has ruled on both.
	doubted.srv.TreeDiffers(errRot, 0, yes, func() error { return nil })
	eventually(t, "the doubt is taken back", func() bool {
		w.endEra()
		return doubted.srv.Suspended() == ""
	})
	bad.srv.TreeDamaged(errRot) // behind every ruling
	if bad.srv.Suspended() == "" || bad.srv.Serving() || bad.repairs.Load() != 1 {
		t.Errorf("after a ruling on its digest it serves: %v, %d repairs", bad.srv.Serving(), bad.repairs.Load())
	}
	bad.srv.StopServing("repair")
	if err := bad.srv.Replace(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	bad.srv.Serve("follower")
	eventually(t, "it serves again", bad.srv.Serving)
	bad.connect(t).create("/other", "", proto.ModePersistent)
}

// A tree whose nodes have another digest than the one kept is wrong if a quorum has that one, and is told of once,
// whatever is committed meanwhile; if the tree was replaced in between, nothing is wrong [H-78, H-94].
func TestDigestOfTheNodesDiffers(t *testing.T) {
	w := newJudged(t, nil)
	good, bad := w.members[0].connect(t), w.members[1]
	good.create("/node", "", proto.ModePersistent)
	bad.caughtUp(t)
	bad.srv.TreeDiffers(errRot, 5, func() bool { return false }, func() error { t.Error("another tree is corrected"); return nil })
	if bad.srv.Suspended() != "" || bad.srv.Mismatches() != 0 {
		t.Error("what was found in a tree that is gone counts")
	}
	bad.mismatches++
	bad.srv.TreeDiffers(errRot, 5, yes, func() error {
		if bad.srv.Suspended() == "" {
			t.Error("it agrees with itself before it is in doubt")
		}
		return nil
	})
	if bad.srv.Suspended() == "" || bad.srv.Serving() {
		t.Error("it serves")
	}
	eventually(t, "it is to be repaired", func() bool {
		w.endEra()
		return bad.repairs.Load() > 0
	})
	for _, m := range []*member{w.members[0], w.members[2]} {
		if m.repairs.Load() != 0 || !m.srv.Serving() {
			t.Errorf("%v: %d repairs, serves: %v", m, m.repairs.Load(), m.srv.Serving())
		}
	}
	if n := bad.srv.Mismatches(); n != 1 {
		t.Errorf("%d mismatches, want 1", n)
	}
}

// Where nobody compares digests one that differs is corrected, and the service goes on; damage is damage
// all the same.
func TestDigestOfTheNodesDiffersUncompared(t *testing.T) {
	w := newJudged(t, func(c *server.Config) { c.Digest = false })
	m, corrected := w.members[1], false
	m.srv.TreeDiffers(errRot, 5, yes, func() error { corrected = true; return nil })
	if !corrected || m.srv.Suspended() != "" {
		t.Errorf("corrected: %v, suspended: %q", corrected, m.srv.Suspended())
	}
	m.srv.TreeDamaged(errRot)
	if m.srv.Suspended() == "" || m.repairs.Load() != 1 {
		t.Errorf("damage: suspended: %q, %d repairs", m.srv.Suspended(), m.repairs.Load())
	}
}

// remembered returns three judged servers one of which was stopped in doubt, with the notes that it makes, and the
// number of repairs that it asks for.
func remembered(t *testing.T, id server.Origin, d server.Doubt, adjust func(*server.Config)) (*twin, <-chan server.Doubt, *atomic.Int32) {
	t.Helper()
	notes, repairs := make(chan server.Doubt, 4), new(atomic.Int32)
	w := newTwin(t, 3, func(c *server.Config) {
		c.Electorate, c.Repair = majority(3), func(string) {}
		if c.Self == id {
			c.Doubt, c.Doubted = func(d server.Doubt) { notes <- d }, d
			c.Repair = func(string) { repairs.Add(1) }
		}
		if adjust != nil {
			adjust(c)
		}
	})
	return w, notes, repairs
}

// A server that ended with damaged files asks for another tree as soon as it runs, has a role or not, and is not
// cleared because its digest is right: with the snapshot it serves, and nothing is noted any more [H-78, H-94].
func TestDamageIsRemembered(t *testing.T) {
	for name, adjust := range map[string]func(*server.Config){
		"judged": nil, "no digests": func(c *server.Config) { c.Digest = false },
	} {
		t.Run(name, func(t *testing.T) {
			w, notes, repairs := remembered(t, 2, server.Damaged, adjust)
			bad, c := w.members[1], w.members[0].connect(t)
			eventually(t, "another tree is asked for", func() bool { return repairs.Load() == 1 })
			c.create("/node", "", proto.ModePersistent)
			bad.caughtUp(t)
			w.endEra()
			w.endEra()
			bad.srv.TreeDamaged(errRot) // behind every ruling; it is known
			if bad.srv.Serving() || bad.srv.Suspended() == "" || repairs.Load() != 1 || len(notes) != 0 {
				t.Errorf("it serves: %v, %d repairs, %d notes", bad.srv.Serving(), repairs.Load(), len(notes))
			}
			bad.srv.StopServing("repair")
			if err := bad.srv.Replace(func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			if d := <-notes; d != server.NoDoubt {
				t.Errorf("with another tree it is %v", d)
			}
			bad.srv.Serve("follower")
			eventually(t, "it serves", bad.srv.Serving)
			bad.connect(t).create("/other", "", proto.ModePersistent)
		})
	}
}

// A damaged server that leads all the same, since nobody else could, asks again: the others have its history then [H-94].
func TestDamagedLeaderAsksAgain(t *testing.T) {
	w, _, repairs := remembered(t, 1, server.Damaged, nil)
	eventually(t, "it asks at its start and as a leader", func() bool { return repairs.Load() == 2 })
	w.members[1].connect(t).create("/node", "", proto.ModePersistent)
	w.depose()
	w.lead(1)
	w.endEra()
	if leader := w.members[0]; leader.srv.Serving() || repairs.Load() != 2 {
		t.Errorf("it serves: %v, %d repairs", leader.srv.Serving(), repairs.Load())
	}
}

// Damage is noted over a suspicion, and not the other way round [H-78].
func TestTheWorstDoubtIsNoted(t *testing.T) {
	w, notes, _ := remembered(t, 2, server.NoDoubt, nil)
	bad := w.members[1]
	for _, want := range []server.Doubt{server.Suspect, server.Damaged} {
		if want == server.Damaged {
			bad.srv.TreeDamaged(errRot)
		}
		bad.mismatches++
		bad.srv.TreeDiffers(errRot, 5, yes, func() error { return nil })
		d := <-notes
		if d == server.NoDoubt { // the leader has found the same tree
			d = <-notes
		}
		if d != want {
			t.Errorf("the tree is %v, want %v", d, want)
		}
	}
	bad.caughtUp(t)
	if n := len(notes); n != 0 {
		t.Errorf("%d notes more: %v", n, <-notes)
	}
}

// Where nobody compares digests a suspect tree is served, and stays noted until there is another one.
func TestSuspicionWithoutDigests(t *testing.T) {
	w, notes, repairs := remembered(t, 2, server.Suspect, func(c *server.Config) { c.Digest = false })
	m := w.members[1]
	m.connect(t).create("/node", "", proto.ModePersistent)
	if repairs.Load() != 0 || len(notes) != 0 {
		t.Errorf("%d repairs, %d notes", repairs.Load(), len(notes))
	}
	m.srv.StopServing("a snapshot comes")
	if err := m.srv.Replace(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if d := <-notes; d != server.NoDoubt {
		t.Errorf("with another tree it is %v", d)
	}
}
