package server_test

import (
	"errors"
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
