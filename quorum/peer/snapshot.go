package peer

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// beginSnapshot prepares to receive the state from the leader.
func (t *tenure) beginSnapshot() error {
	if t.sink != nil {
		if err := t.sink.Discard(); err != nil {
			return fmt.Errorf("peer: discard a partial snapshot: %w", err)
		}
		t.sink = nil
	}
	sink, err := t.p.cfg.StateMachine.StageSnapshot()
	if err != nil {
		return fmt.Errorf("peer: stage a snapshot: %w", err)
	}
	t.sink = sink
	return nil
}

// snapshotChunk writes a piece of the snapshot; the last one completes it. What does not
// verify is the link's fault or the leader's: the role ends and asks again.
func (t *tenure) snapshotChunk(m zab.Message) error {
	if t.sink == nil || t.installToken != 0 {
		t.learner.SnapshotFailed()
		return nil
	}
	if err := t.sink.Write(m.Data); err != nil {
		t.p.quiet.Error("snapshot refused").Err(err).Send()
		t.learner.SnapshotFailed()
		return nil
	}
	if !m.Done {
		return nil
	}
	point, err := t.sink.Finish()
	if err != nil {
		t.p.quiet.Error("snapshot refused").Err(err).Send()
		t.learner.SnapshotFailed()
		return nil
	}
	t.p.cfg.Logger.Info().Stringer("zxid", point.ID).Msg("snapshot received and verified")
	t.learner.SnapshotStaged(point)
	return nil
}

// install makes the staged snapshot the state, after the log has durably replaced its
// history by it.
func (t *tenure) install() error {
	p := t.p
	if err := p.cfg.StateMachine.Install(t.sink); err != nil {
		return fmt.Errorf("peer: install the snapshot at %v: %w", t.installPoint.ID, err)
	}
	p.delivered, p.spoilt = t.installPoint.ID, false
	if err := p.cfg.Log.InstallDone(); err != nil {
		return fmt.Errorf("peer: complete the snapshot at %v: %w", t.installPoint.ID, err)
	}
	t.sink, t.installToken, t.installPoint = nil, 0, zxid.Point{}
	return nil
}

// endSnapshot settles, once the log's writer is closed, what becomes of a snapshot at
// the end of a role. If the step that replaces the history is durable, the state must follow
// before anything else happens. If the log has failed and it is not, the state must not be ahead.
func (t *tenure) endSnapshot() error {
	switch {
	case t.installToken != 0:
		if t.p.cfg.Log.Durable().History.Base == t.installPoint {
			return t.install()
		}
	case t.sink != nil:
		if err := t.sink.Discard(); err != nil {
			return fmt.Errorf("peer: discard a partial snapshot: %w", err)
		}
	}
	return nil
}
