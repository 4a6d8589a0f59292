package peer

import (
	"errors"
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// remember makes m the membership of everything that lives longer than a role.
func (p *Peer) remember(m quorum.Membership) {
	p.fle.Reconfigure(m)
	if m.Equal(p.members) {
		return
	}
	p.members = m
	p.rumour = nil
	p.tell()
}

// follow has the transport reach the members of a configuration that is pending elsewhere, until a
// leader is established: one of them may have to be it (hazard H-82).
func (p *Peer) follow(e *quorum.Ensemble) {
	p.rumour = e
	if p.cfg.Transport != nil {
		p.cfg.Transport.SetMembers(quorum.Membership{Committed: p.members.Committed, Seen: e})
	}
}

// unfollow forgets the rumour.
func (p *Peer) unfollow() {
	if p.rumour == nil {
		return
	}
	p.rumour = nil
	if p.cfg.Transport != nil {
		p.cfg.Transport.SetMembers(p.members)
	}
}

// tell passes the membership on.
func (p *Peer) tell() {
	if p.cfg.Transport != nil {
		p.cfg.Transport.SetMembers(p.members)
	}
	p.cfg.StateMachine.Reconfigured(p.members)
}

// adopt takes over a configuration that another server knows to be committed, so that this one,
// which was away, looks for a leader where there may be one (spec zab-and-election 3.7).
func (p *Peer) adopt(e *quorum.Ensemble) error {
	m := p.members.Learn(e)
	writer, err := p.cfg.Log.NewWriter(func(uint64) {})
	if err != nil {
		return fmt.Errorf("peer: open the log for writing: %w", err)
	}
	err = writer.Submit(&zab.Persist{Token: 1, Membership: m})
	writer.Close()
	if err != nil {
		return fmt.Errorf("peer: keep configuration %v: %w", e.Version(), err)
	}
	p.cfg.Logger.Info().Stringer("version", e.Version()).Stringer("voters", e.Voters()).
		Msg("learnt of a newer configuration")
	p.remember(m)
	return nil
}

// inherit returns the role that the last one has left behind: under the leader that a
// reconfiguration has designated, without an election. It is nil if there is none. Should that
// leader not come up, the role ends as any other (spec zab-and-election 15.5).
func (p *Peer) inherit() *fle.Outcome {
	heir := p.heir
	p.heir = quorum.None
	d := p.cfg.Log.Durable()
	m := d.Latest(p.cfg.Membership)
	if heir == quorum.None || d.Untrusted || !m.Voters().Has(heir) {
		return nil
	}
	p.remember(m)
	p.lookingSince = time.Now()
	outcome := &fle.Outcome{
		State:      fle.Following,
		Vote:       fle.Vote{Leader: heir, Zxid: d.History.Last().ID, Epoch: d.Current},
		Round:      p.fle.Round(),
		Supporters: m.Voters(),
	}
	switch {
	case heir == p.cfg.Self:
		outcome.State = fle.Leading
	case m.Role(p.cfg.Self) == quorum.Observer:
		outcome.State = fle.Observing
	}
	p.fle.Settle(outcome.State, outcome.Vote)
	return outcome
}

// Planned is what becomes of a plan: the next ensemble, or why there is none.
type Planned struct {
	Next *quorum.Ensemble
	Err  error
}

// PlanReconfig has plan make the next ensemble of the present membership, on the leader's loop, if
// nothing stands against a reconfiguration, and asks whether a quorum of what it returns is there.
// Errors are those of zab.Leader.CheckReconfig and plan's own. The channel holds one answer; there is
// none if the peer ends before.
func (p *Peer) PlanReconfig(generation uint64, plan func(quorum.Membership) (*quorum.Ensemble, error)) <-chan Planned {
	planned := make(chan Planned, 1)
	p.inbox.put(event{kind: evPlan, generation: generation, plan: plan, planned: planned})
	return planned
}

// ProposeReconfig proposes the transaction that makes next, which was planned, the configuration. It
// is otherwise as Propose.
func (p *Peer) ProposeReconfig(generation uint64, first zxid.ID, txn []byte, next *quorum.Ensemble) {
	p.inbox.put(event{kind: evReconfigure, generation: generation, first: first, payloads: [][]byte{txn}, next: next})
}

func (t *tenure) plan(e event) {
	if t.leader == nil || e.generation != t.generation {
		e.planned <- Planned{Err: zab.ErrNotLeading}
		return
	}
	next, err := t.nextEnsemble(e.plan)
	e.planned <- Planned{Next: next, Err: err}
}

func (t *tenure) nextEnsemble(plan func(quorum.Membership) (*quorum.Ensemble, error)) (*quorum.Ensemble, error) {
	if err := t.leader.MayReconfigure(); err != nil {
		return nil, err
	}
	next, err := plan(t.leader.Membership())
	if err != nil {
		return nil, err
	}
	return next, t.leader.CheckReconfig(next)
}

// reconfigure proposes what was planned. If an incarnation is being adopted by now the role ends:
// the transaction has its zxid, and no other can take its place.
func (t *tenure) reconfigure(e event) error {
	return t.propose(e, func(first zxid.ID, txns [][]byte) error {
		err := t.leader.ProposeReconfig(first, txns[0], e.next)
		if errors.Is(err, zab.ErrReconfigInProgress) {
			t.reason = err.Error()
			return nil
		}
		return err
	})
}
