package peer

import (
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Status is what a peer tells about itself; it is at most one half tick old.
type Status struct {
	State  fle.State
	Phase  zab.Phase
	Leader quorum.SID // None while LOOKING
	Epoch  zxid.Epoch // current epoch on disk, or of the role once it is known
	Logged zxid.ID    // end of the durable history
	// Synced are the learners that a leader has in its broadcast.
	Synced quorum.Set
	// Since is when the state was entered; ElectionTook how long the last election lasted.
	Since        time.Time
	ElectionTook time.Duration
}

// Status returns the current status. It is safe for concurrent use.
func (p *Peer) Status() Status { return *p.status.Load() }

// publish makes the status of the loop visible.
func (p *Peer) publish(t *tenure, state fle.State, d zab.Durable) {
	s := Status{State: state, Leader: quorum.None, Epoch: d.Current, Logged: d.History.Last().ID, Since: p.lookingSince}
	if t != nil {
		s.Phase, s.Leader, s.Since = t.phase, t.outcome.Vote.Leader, t.began
		s.ElectionTook = t.began.Sub(p.lookingSince)
		s.Epoch = max(s.Epoch, t.machine.Epoch())
		if t.leader != nil {
			s.Synced = t.leader.Synced()
			t.releaseSynced()
		}
	}
	p.status.Store(&s)
}

// met remembers the incarnation that a server introduced itself with, and whether it is
// the one that was once synchronised under that id.
func (p *Peer) met(sid quorum.SID, inc quorum.Incarnation) {
	if inc.IsZero() {
		return
	}
	p.seen[sid] = inc
	p.judge(sid, p.cfg.Log.Durable())
}

// judge tells the election whether sid may be counted (design "Empty, wiped and duplicated
// members", hazards H-39, H-40).
func (p *Peer) judge(sid quorum.SID, d zab.Durable) {
	life := p.seen[sid]
	var noted zxid.ID
	if told := p.notes[sid]; told.life == life {
		noted = told.noted
	}
	p.fle.Distrust(sid, d.Stranger(sid, life, noted))
}
