package node

import (
	"errors"
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// settleMembers decides at the start which membership counts: the log's, once it has one that is not
// older than the configuration's.
func (n *Node) settleMembers() {
	d := history{Log: n.stores.log, alone: n.conf.Standalone}.Durable()
	configured := quorum.Stable(n.configured)
	m := d.Latest(configured)
	n.members.Store(&m)
	if m.Equal(configured) {
		return
	}
	ev := n.log.Info()
	if m.Committed.String() != n.configured.String() {
		ev = n.log.Warn()
	}
	ev.Stringer("version", m.Committed.Version()).Stringer("voters", m.Committed.Voters()).
		Stringer("configuredVersion", n.configured.Version()).Stringer("configuredVoters", n.configured.Voters()).
		Bool("reconfigEnabled", n.conf.ReconfigEnabled).
		Msg("the ensemble was reconfigured: its own record of the members counts, not the configuration file")
}

// ensemble returns the committed configuration.
func (n *Node) ensemble() *quorum.Ensemble { return n.members.Load().Committed }

// alone reports whether this server will never have another one beside it.
func (n *Node) alone() bool {
	return n.conf.Standalone || n.members.Load().SIDs() == quorum.SetOf(n.sid) && !n.conf.ReconfigEnabled
}

// Reconfigured implements peer.StateMachine. What takes its time is left to follow.
func (m *machine) Reconfigured(members quorum.Membership) {
	n := m.n
	n.members.Store(&members)
	// What a transaction has made of the ensemble is in the tree when that is applied.
	if e := members.Committed; e.Version().Counter() == 0 {
		n.server.SetEnsemble(server.Ensemble{Text: []byte(e.ConfigData()), Version: e.Version()})
	}
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// errVersion: the client expects another configuration.
var errVersion = errors.New("the ensemble has another configuration")

// Reconfigure implements server.Proposer.
func (p *proposer) Reconfigure(at zxid.ID, change *proto.ReconfigRequest, stop <-chan struct{}) server.Reconfiguration {
	joining, leaving := change.JoiningServers.Value, change.LeavingServers.Value
	planned := p.n.peer.PlanReconfig(p.generation, func(m quorum.Membership) (*quorum.Ensemble, error) {
		if is := m.Seen.Version(); change.CurConfigID != -1 && change.CurConfigID != is {
			return nil, fmt.Errorf("%w: %v, not %v", errVersion, is, change.CurConfigID)
		}
		return m.Seen.Reconfigure(quorum.Change{
			Full: change.NewMembers.Valid, NewMembers: change.NewMembers.Value, Joining: joining, Leaving: leaving,
		}, p.n.leastVoters())
	})
	select {
	case plan := <-planned:
		if plan.Err != nil {
			p.n.log.Warn().Err(plan.Err).Str("joining", joining).Str("leaving", leaving).Str("members", change.NewMembers.Value).
				Msg("refused a reconfiguration")
			if errors.Is(plan.Err, quorum.ErrRange) {
				return server.Reconfiguration{Last: proto.CodeBadArguments}
			}
			return server.Reconfiguration{Code: reconfigCode(plan.Err)}
		}
		p.next = plan.Next
		return server.Reconfiguration{Data: []byte(plan.Next.WithVersion(at).ConfigData())}
	case <-stop:
		return server.Reconfiguration{Code: proto.CodeNewConfigNoQuorum} // which nobody will hear
	}
}

// leastVoters is how many voters an ensemble may shrink to (spec semantics 12.3).
func (n *Node) leastVoters() int {
	if n.conf.StandaloneEnabled {
		return 2
	}
	return 1
}

// reconfigCode is what a client is told.
func reconfigCode(err error) proto.Code {
	switch {
	case errors.Is(err, zab.ErrReconfigInProgress):
		return proto.CodeReconfigInProgress
	case errors.Is(err, errVersion):
		return proto.CodeBadVersion
	case errors.Is(err, quorum.ErrNoNumber):
		return proto.CodeMarshallingError
	case errors.Is(err, quorum.ErrChange):
		return proto.CodeBadArguments
	}
	return proto.CodeNewConfigNoQuorum
}

// ProposeReconfig implements server.Proposer.
func (p *proposer) ProposeReconfig(at zxid.ID, txn []byte) {
	p.n.peer.ProposeReconfig(p.generation, at, txn, p.next)
}
