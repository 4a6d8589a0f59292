package zab_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// Every cell of role x kind is either handled or empty on purpose; nothing is forgotten when a
// kind is added.
func TestDispatchTable(t *testing.T) {
	learner := []zab.Kind{
		zab.LeaderInfo, zab.Diff, zab.Trunc, zab.Snap, zab.Proposal, zab.Commit, zab.NewLeader,
		zab.UpToDate, zab.Ping, zab.Sync, zab.Revalidate,
	}
	for role, handled := range map[string][]zab.Kind{
		"leader":   {zab.AckEpoch, zab.Ack, zab.Ping, zab.Touch, zab.Request, zab.Sync, zab.Revalidate},
		"follower": learner,
		"observer": append([]zab.Kind{zab.Inform}, learner...),
	} {
		want := make(map[zab.Kind]string)
		for _, k := range handled {
			want[k] = "handled"
		}
		cells := zab.Cells(role)
		for k := zab.Kind(0); k.Valid() || k == zab.KindInvalid; k++ {
			w := want[k]
			switch {
			case k == zab.KindInvalid:
				w = "forgotten" // never looked up: Step refuses it
			case w == "":
				w = "illegal"
			}
			if cells[k] != w {
				t.Errorf("%s, %v: cell is %s, want %s", role, k, cells[k], w)
			}
		}
	}
}

// Kinds that mean nothing end a link and nothing else; they never reach a table.
func TestInvalidKinds(t *testing.T) {
	for _, k := range []zab.Kind{zab.KindInvalid, zab.Revalidate + 1, 255} {
		w := newWorld(t, ensemble([]quorum.SID{1, 2, 3}, nil))
		w.node(1).lead()
		w.node(2).follow(w.node(1))
		w.node(2).settle()
		w.node(2).link.deliverToLeader()
		w.node(2).learner.Step(zab.Message{Kind: k, From: 1})
		if p := w.node(2).learner.Phase(); p != zab.Stopped {
			t.Errorf("follower after %v: %v, want stopped", k, p)
		}
		w.node(1).leader.Step(zab.Message{Kind: k, From: 2})
		if rd := w.node(1).leader.Ready(); len(rd.Drop) != 1 || rd.Drop[0] != 2 {
			t.Errorf("leader after %v drops %v, want 2", k, rd.Drop)
		}
	}
}
