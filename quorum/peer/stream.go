package peer

import (
	"context"
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// streamBytes is about how much history goes into one message of a stream.
const streamBytes = 256 << 10

// stream is history on its way from this leader's disk to one learner.
type stream struct {
	cancel  context.CancelFunc
	release func() // of the log's pin
}

// startStream begins what the leader asks for on a goroutine of its own, which the
// tenure waits for. The log is pinned from where the learner will stand, until the learner
// needs nothing from disk any more.
func (t *tenure) startStream(s zab.Stream) {
	link, ok := t.links[s.To]
	if !ok {
		return // it left meanwhile; the machine hears of that
	}
	// A snapshot's point is not known before it is open, and may be behind what was handed
	// over: s.From is zero then, and nothing is trimmed.
	release := t.p.cfg.Log.Pin(s.From)
	t.stopStream(s.To)
	ctx, cancel := context.WithCancel(t.ctx)
	t.streams[s.To] = &stream{cancel: cancel, release: release}
	generation, p := t.generation, t.p
	t.wg.Go(func() {
		e := event{kind: evStreamDone, generation: generation, sid: s.To, link: link}
		if s.Snapshot {
			e.point, e.err = p.streamSnapshot(ctx, link, s)
		} else {
			e.point, e.err = p.streamLog(ctx, link, s)
		}
		if e.err != nil {
			e.kind = evStreamFailed
		}
		p.inbox.put(e)
	})
}

// stopStream ends the stream to a learner, if there is one, without waiting for it.
func (t *tenure) stopStream(sid quorum.SID) {
	if s := t.streams[sid]; s != nil {
		s.cancel()
		s.release()
		delete(t.streams, sid)
	}
}

// streamEnded tells the leader how a stream ended. The pin stays until the next stream to that
// learner replaces it or the learner is synchronised, since the leader may go on from there.
func (t *tenure) streamEnded(e event) {
	if t.leader == nil || e.generation != t.generation || t.links[e.sid] != e.link {
		return
	}
	if e.kind == evStreamFailed {
		t.p.quiet.Warn("sending history failed", e.sid.String()).Stringer("peer", e.sid).Err(e.err).Send()
		t.leader.StreamFailed(e.sid)
		return
	}
	t.leader.StreamDone(e.sid, e.point)
}

// releaseSynced lets the log be trimmed again where learners have caught up.
func (t *tenure) releaseSynced() {
	if len(t.streams) == 0 || t.leader == nil {
		return
	}
	for sid := range t.leader.Synced().All() {
		t.stopStream(sid)
	}
}

// streamLog sends the entries (s.From, s.UpTo] of the log.
func (p *Peer) streamLog(ctx context.Context, link uint64, s zab.Stream) (zxid.Point, error) {
	at := zxid.Point{ID: s.From}
	for at.ID < s.UpTo {
		entries, err := p.cfg.Log.Entries(at.ID, s.UpTo, streamBytes)
		if err != nil {
			return at, fmt.Errorf("read the log after %v: %w", at.ID, err)
		}
		if len(entries) == 0 || entries[0].Prev != at.ID {
			return at, fmt.Errorf("the log no longer holds what follows %v", at.ID)
		}
		msg := zab.Message{Kind: zab.Proposal, From: p.cfg.Self, To: s.To, Epoch: s.Epoch, Entries: entries}
		if err := p.cfg.Transport.SendWait(ctx, link, []zab.Message{msg}); err != nil {
			return at, err
		}
		at = entries[len(entries)-1].Point()
	}
	return at, nil
}

// streamSnapshot sends an exact snapshot of the state and returns its point.
func (p *Peer) streamSnapshot(ctx context.Context, link uint64, s zab.Stream) (zxid.Point, error) {
	src, err := p.cfg.StateMachine.OpenSnapshot()
	if err != nil {
		return zxid.Point{}, fmt.Errorf("open a snapshot: %w", err)
	}
	defer func() { _ = src.Close() }() // read-only: nothing can be lost
	point := src.Point()
	head := zab.Message{Kind: zab.Snap, From: p.cfg.Self, To: s.To, Epoch: s.Epoch, Point: point}
	if err := p.cfg.Transport.SendWait(ctx, link, []zab.Message{head}); err != nil {
		return point, err
	}
	for {
		chunk, done, err := src.Next(streamBytes)
		if err != nil {
			return point, fmt.Errorf("read the snapshot at %v: %w", point.ID, err)
		}
		msg := zab.Message{Kind: zab.SnapChunk, From: p.cfg.Self, To: s.To, Epoch: s.Epoch, Data: chunk, Done: done}
		if err := p.cfg.Transport.SendWait(ctx, link, []zab.Message{msg}); err != nil {
			return point, err
		}
		if done {
			return point, nil
		}
	}
}
