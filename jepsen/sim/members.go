package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// membership is what the server believes the ensemble to be when it begins to look for a leader: what
// its log says, or its configuration file if that is newer.
func (p *process) membership() quorum.Membership {
	d := p.durable()
	return d.Latest(quorum.Stable(p.file))
}

// remember makes m the membership of everything that lives longer than a role, as in quorum/peer.
func (p *process) remember(m quorum.Membership) {
	p.fle.Reconfigure(m)
	if m.Equal(p.members) {
		return
	}
	p.members = m
	p.rumour = false
	p.tell()
}

// follow reaches the members of a configuration that is pending elsewhere, as in quorum/peer.
func (p *process) follow(e *quorum.Ensemble) {
	p.rumour = true
	p.talk(quorum.Membership{Committed: p.members.Committed, Seen: e})
}

// unfollow forgets the rumour.
func (p *process) unfollow() {
	if p.rumour {
		p.rumour = false
		p.talk(p.members)
	}
}

// tell passes the membership on: to the network, and to the configuration file, which server/node
// writes some time later.
func (p *process) tell() {
	s, m := p.s, p.members
	s.trace(p.server, line{label: labelConfig, n: int64(m.Seen.Version()), set: m.Voters(), text: describeMembers(m)})
	p.talk(m)
	if e := m.Committed; e.Version() > p.file.Version() {
		p.after(s.upTo(50*time.Millisecond), func() {
			if e.Version() > p.file.Version() {
				p.file = e
			}
		})
	}
}

// talk makes the network connect the server with those that m names.
func (p *process) talk(m quorum.Membership) {
	p.talks = m.Partners(p.sid)
	for peer := 1; peer <= p.s.net.n; peer++ {
		if peer != int(p.sid) {
			p.s.net.refresh(int(p.sid), peer)
		}
	}
}

func describeMembers(m quorum.Membership) string {
	if m.IsZero() {
		return "unknown"
	}
	text := fmt.Sprintf("version=%v voters=%v observers=%v", m.Committed.Version(), m.Committed.Voters(), m.Committed.Observers())
	if m.Pending() {
		text += fmt.Sprintf(", to be version=%v voters=%v observers=%v", m.Seen.Version(), m.Seen.Voters(), m.Seen.Observers())
	}
	return text
}

// adopt takes over a configuration that another server knows to be committed, as in quorum/peer. Nothing
// else is on its way to the disk while a server looks for a leader.
func (p *process) adopt(e *quorum.Ensemble) {
	m := p.members.Learn(e)
	j := job{step: &zab.Persist{Token: 1, Membership: m}}
	if p.disk.failsWrites() && p.disk.breakDown(p, j) {
		panic(errCrashed)
	}
	p.must(p.disk.write(j))
	p.crashPoint()
	p.remember(m)
}

// inherit returns the role that a reconfiguration has left behind without an election, or nil, as in
// quorum/peer.
func (p *process) inherit() *fle.Outcome {
	heir := p.heir
	p.heir = quorum.None
	d := p.durable()
	m := d.Latest(quorum.Stable(p.file))
	if heir == quorum.None || d.Untrusted || !m.Voters().Has(heir) {
		return nil
	}
	p.remember(m)
	outcome := &fle.Outcome{
		State:      fle.Following,
		Vote:       fle.Vote{Leader: heir, Zxid: d.History.Last().ID, Epoch: d.Current},
		Round:      p.fle.Round(),
		Supporters: m.Voters(),
	}
	switch {
	case heir == p.sid:
		outcome.State = fle.Leading
		p.s.counts.Inherited++
	case m.Role(p.sid) == quorum.Observer:
		outcome.State = fle.Observing
	}
	p.fle.Settle(outcome.State, outcome.Vote)
	return outcome
}

// planning is a change of the ensemble on its way through the leader.
type planning struct {
	primary *primary
	request znode.Request
	ask     proto.ReconfigRequest
	next    *quorum.Ensemble
	guard   zxid.ID // the version that the client expects, or -1
}

// errVersion: the client expects another configuration.
var errVersion = errors.New("sim: another configuration")

// plan judges a change on the loop of the leader; the pipeline waits for it.
func (t *tenure) plan(m message) {
	if t.leader == nil || m.generation != t.generation {
		return // the pipeline has ended, too
	}
	w := m.planning
	next, err := t.nextEnsemble(w)
	t.p.after(t.p.s.upTo(time.Millisecond), func() { t.p.app.planned(w, next, err) })
}

func (t *tenure) nextEnsemble(w *planning) (*quorum.Ensemble, error) {
	if err := t.leader.MayReconfigure(); err != nil {
		return nil, err
	}
	m := t.leader.Membership()
	if w.guard != -1 && w.guard != m.Seen.Version() {
		return nil, errVersion
	}
	next, err := m.Seen.Reconfigure(quorum.Change{
		Full: w.ask.NewMembers.Valid, NewMembers: w.ask.NewMembers.Value,
		Joining: w.ask.JoiningServers.Value, Leaving: w.ask.LeavingServers.Value,
	}, 1)
	if err != nil {
		return nil, err
	}
	if t.p.s.rottenDecides(next) {
		return nil, zab.ErrNewConfigNoQuorum
	}
	if err := t.leader.CheckReconfig(next); err != nil {
		return nil, err
	}
	t.planned = next
	return next, nil
}

// reconfigure proposes what was planned. If an incarnation is being adopted by now the role ends.
func (t *tenure) reconfigure(m message) {
	t.planned = nil
	t.propose(m, func(first zxid.ID, txns [][]byte) error {
		err := t.leader.ProposeReconfig(first, txns[0], m.planning.next)
		if errors.Is(err, zab.ErrReconfigInProgress) {
			t.reason = err.Error()
			return nil
		}
		if err == nil {
			t.p.s.oracle.reconfigures(t, first, m.planning)
			t.expectJoiners(first, m.planning.next)
		}
		return err
	})
}

// reconfigure begins to make a transaction of a change of the ensemble: it is a batch of its own, and
// what comes behind it waits until the loop has judged it.
func (a *applier) reconfigure(l *primary, req *znode.Request) {
	w := &planning{primary: l, request: *req}
	c := jute.NewCursor(req.Body)
	if w.ask.Decode(&c); c.Err() != nil {
		panic("sim: a change of the ensemble was damaged on its way")
	}
	w.guard = w.ask.CurConfigID
	l.planning = true
	a.p.put(message{kind: evPlan, generation: l.generation, planning: w})
}

// planned makes the transaction.
func (a *applier) planned(w *planning, next *quorum.Ensemble, err error) {
	l := w.primary
	if a.primary != l {
		return
	}
	if err != nil {
		a.p.s.counts.Refused++
		w.request.Reconfig.Code = reconfigCode(err)
		a.p.s.trace(a.p.server, line{label: labelReconfig, n: int64(w.request.Cxid), text: err.Error()})
	} else {
		w.next = next
		w.request.Reconfig.Data = []byte(next.WithVersion(l.next).ConfigData())
	}
	txn := l.prep.Prepare(&w.request, l.next, a.p.wallClock())
	m := message{kind: evPropose, generation: l.generation, first: l.next, txns: [][]byte{proto.AppendTxn(nil, &txn)}}
	if txn.Type == proto.OpReconfig {
		m.kind, m.planning = evReconfigure, w
		a.p.s.trace(a.p.server, line{label: labelReconfig, point: zxid.Point{ID: l.next}, set: next.Voters(), text: "planned"})
	}
	a.p.put(m)
	l.next++
	l.planning = false
	a.prepareSoon()
}

// reconfigCode is what a client is told, as in server/node.
func reconfigCode(err error) proto.Code {
	switch {
	case errors.Is(err, zab.ErrReconfigInProgress):
		return proto.CodeReconfigInProgress
	case errors.Is(err, errVersion):
		return proto.CodeBadVersion
	case errors.Is(err, quorum.ErrChange):
		return proto.CodeBadArguments
	}
	return proto.CodeNewConfigNoQuorum
}
