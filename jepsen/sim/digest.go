package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// standing is what a server knows of its own tree, as in package server (hazard H-78): a tree whose digest is
// not the one that the leader announced is suspect, until the leader, for a quorum, has ruled that it is
// right after all, or it was replaced by a snapshot. Nobody is served meanwhile.
type standing struct {
	version    uint64     // raised by each change: a ruling is on what was reported
	epoch      zxid.Epoch // of the announcement compared last
	difference uint64     // by how much the digest is beyond the announced one
	accepted   uint64     // the difference that the trees of a quorum have
	suspect    bool
}

// serves reports whether clients are served.
func (a *applier) serves() bool { return a.serving && !a.standing.suspect }

// compare holds the digest that the tree will have behind a batch against the one that the leader announced
// with its last transaction.
func (a *applier) compare(last *proto.Txn) {
	difference := a.tree.public() + a.changes.PublicDelta() - last.Digest
	st := &a.standing
	if epoch := last.Zxid.Epoch(); st.epoch != epoch {
		st.version++
		st.epoch, st.difference, st.accepted = epoch, 0, 0
	}
	if difference == st.difference {
		return
	}
	st.version++
	st.difference = difference
	a.p.s.trace(a.p.server, line{label: labelDigest, point: zxid.Point{ID: last.Zxid}, n: int64(difference), text: "differs by"})
	if difference != st.accepted {
		a.p.s.counts.Suspects++
		a.suspect()
	}
}

// suspect keeps the server from serving until it is cleared, and lets the leader know. A leader's pipeline
// goes on: the log is right whatever the tree is.
func (a *applier) suspect() {
	if !a.standing.suspect {
		a.standing.suspect, a.p.disk.doubted = true, true
		for _, c := range a.p.clients {
			c.dropped()
		}
		a.report()
	}
}

// report tells the leader how the tree is, until that has come to something.
func (a *applier) report() {
	a.p.timer(a.p.s.between(20*time.Millisecond, 300*time.Millisecond), func() {
		if a.standing.suspect {
			a.p.hearing()
			a.report()
		}
	})
}

// replaced begins anew with another tree.
func (a *applier) replaced() {
	a.standing = standing{version: a.standing.version + 1}
	a.p.disk.doubted = false
}

// wrong reports what no server knows: whether the tree is not what the history makes of it.
func (a *applier) wrong() bool {
	i, ok := a.p.s.oracle.at[a.tree.at().ID]
	return ok && a.tree.sum() != a.p.s.oracle.digests[i]
}

// heardFor is how long a leader remembers a report: longer than the next one takes.
const heardFor = 500 * time.Millisecond

// hearing finds out at the leader of a suspect server whose trees are right: those that a quorum has. This
// is the only part of the digests that is played: who differs from whom is what the jury of package server
// computes from reports, and what comes of it here is what that must come to.
func (p *process) hearing() {
	court := p.court()
	if court == nil {
		return
	}
	var right, wrong quorum.Set
	for _, x := range court {
		if x.app.wrong() {
			wrong.Add(x.sid)
		} else {
			right.Add(x.sid)
		}
	}
	leader := p.s.server(p.tenure.outcome.Vote.Leader).proc
	m := leader.members
	if m.HasQuorum(wrong.And(m.Voters())) {
		p.s.fail(stateIsFold, "the trees of %v are wrong, and a quorum", wrong)
	}
	if !m.HasQuorum(right.And(m.Voters())) {
		if t := leader.tenure; t != nil && wrong.And(m.Voters()) != (quorum.Set{}) && right.And(m.Voters()) != (quorum.Set{}) {
			t.undecided = p.s.now + heardFor
		}
		return // contested, until there are more
	}
	for _, x := range court {
		if bad := wrong.Has(x.sid); bad || x.app.standing.suspect {
			version := x.app.standing.version
			x.after(p.s.upTo(20*time.Millisecond), func() { x.app.ruled(version, bad) })
		}
	}
}

// court returns those who serve under the leader of a server, itself included; nil if it has none whom it
// could ask.
func (p *process) court() []*process {
	if p.tenure == nil || p.closing || p.tenure.phase != zab.Broadcast {
		return nil
	}
	epoch, leader := p.tenure.machine.Epoch(), p.tenure.outcome.Vote.Leader
	var court []*process
	for _, v := range p.s.servers {
		x := v.proc
		if !x.alive() || x.paused() || x.closing || x.tenure == nil || x.tenure.phase != zab.Broadcast || x.tenure.machine.Epoch() != epoch {
			continue
		}
		if v.sid == leader || p.s.net.open(int(v.sid), int(leader)) {
			court = append(court, x)
		}
	}
	if !slices.ContainsFunc(court, func(x *process) bool { return x.sid == leader && x.tenure.leader != nil }) {
		return nil
	}
	return court
}

// ruled acts on what the leader says of the tree.
func (a *applier) ruled(version uint64, wrong bool) {
	st := &a.standing
	if version != st.version {
		return // on a tree, or a difference, of before
	}
	st.version++
	if wrong {
		a.suspect()
		a.p.s.counts.Repairs++
		a.p.put(message{kind: evRepair})
		return
	}
	a.p.s.trace(a.p.server, line{label: labelDigest, point: zxid.Point{ID: a.tree.at().ID}, text: "is right: a quorum has the same tree"})
	st.accepted, st.suspect, a.p.disk.doubted = st.difference, false, false
}

// repair makes the next leader send a snapshot, as in quorum/peer.
func (p *process) repair() {
	p.s.trace(p.server, line{label: labelDigest, text: "is wrong: a quorum has another tree"})
	p.spoilt, p.stoodBack = !p.s.mutant.noRepair, false
}

// rot lets the next node that a server writes go wrong in its memory, by one bit: from then on its tree is
// not the others'. One server at a time does that, and none that decides alone what is right, which would
// have to end (server.ErrDiverged).
func (a *act) rot() {
	v := a.v
	if !v.proc.alive() {
		return
	}
	for _, w := range a.servers {
		if w.disk.tainted || w.proc.alive() && w.proc.app.rots {
			return
		}
	}
	force := a.oracle.configs.inForce()
	if force.ensemble.Verifier().HasQuorum(quorum.SetOf(v.sid)) || !v.knows(force) {
		return
	}
	for _, w := range a.servers {
		if p := w.proc; p.alive() && (p.members.Pending() || p.tenure != nil && p.tenure.planned != nil) {
			return
		}
	}
	a.note(FaultRot, v, "")
	v.proc.app.rots = true
}

// rottenDecides reports whether a server whose tree is wrong, or about to be, would decide alone what is right
// in an ensemble: nobody could find that out, and no change to such an ensemble is played.
func (s *simulation) rottenDecides(e *quorum.Ensemble) bool {
	return slices.ContainsFunc(s.servers, func(v *server) bool {
		return (v.disk.tainted || v.proc.alive() && v.proc.app.rots) && e.Verifier().HasQuorum(quorum.SetOf(v.sid))
	})
}

// spoil flips a bit of what a transaction writes, if it writes something to a node that the digests cover:
// they leave out what lies below znode.SystemPath.
func (a *applier) spoil(txn *proto.Txn) {
	if txn.Type == proto.OpReconfig {
		return
	}
	flip := func(data []byte) []byte {
		data = append(slices.Clone(data), 0)
		data[0] ^= 0x10
		return data
	}
	switch body := txn.Body.(type) {
	case *proto.SetDataTxn:
		body.Data = flip(body.Data)
	case *proto.CreateTxn:
		body.Data = flip(body.Data)
	default:
		return
	}
	a.rots = false
	a.p.disk.tainted = true
	a.p.s.oracle.tainted.Add(a.p.sid)
	a.p.s.trace(a.p.server, line{label: labelDigest, point: zxid.Point{ID: txn.Zxid}, text: "goes wrong"})
}

// announced looks at the digest that travels with a transaction (I14): it is that of the tree behind it,
// unless the leader whose tree it was has, or had, a wrong one.
func (o *oracle) announced(txn *proto.Txn) {
	if txn.HasDigest && txn.Digest == o.public {
		return
	}
	if r := o.reigns[txn.Zxid.Epoch()]; r == nil || !o.tainted.Has(r.sid) {
		o.s.fail(stateIsFold, "%v carries the digest %016x (%v), the fold has %016x", txn.Zxid, txn.Digest, txn.HasDigest, o.public)
	}
}

// taintedBy notes that a snapshot of a tree that is wrong was taken: whoever installs it has it.
func (o *oracle) taintedBy(p *process, at zxid.Point) {
	if p.app.wrong() {
		o.spoilt[at] = true
	}
}

// excused reports whether the tree of a server may be wrong: its memory has failed, or another's from which
// it has it.
func (o *oracle) excused(p *process) bool {
	if o.spoilt[p.app.tree.at()] {
		p.disk.tainted = true
		o.tainted.Add(p.sid)
	}
	return p.disk.tainted
}

// recently is how long ago a server was refused a snapshot that needs one still and whom others could lead: it
// asks again long before.
const recently = 15 * time.Second

// contested reports whether nobody can tell whose tree is right, so that a suspect server neither is
// cleared nor gets another tree, and those who need a snapshot from it get none (L1 to L3 do not hold, as
// docs/operations.md says): there is no quorum, in the membership that a suspect goes by, of servers that are
// there, have a tree, and one that is right. Whoever needs a snapshot from a suspect has none: what it got would
// say nothing that is not known. It needs one still if it was refused a moment ago, or if nobody can lead without the
// suspects: it may then follow who cannot for so long that it hardly ever asks.
func (s *simulation) contested() bool {
	var suspects, others []*server
	for _, v := range s.present() {
		switch {
		case !v.proc.alive():
		case v.proc.app.standing.suspect:
			suspects = append(suspects, v)
		case !v.disk.amnesiac:
			others = append(others, v)
		}
	}
	led := slices.ContainsFunc(others, func(v *server) bool { return mayLead(v, others) })
	var right quorum.Set
	for _, v := range s.present() {
		refused := v.refused > 0 && (!led || s.now-v.refused < recently)
		if v.proc.alive() && !refused && !v.proc.app.wrong() {
			right.Add(v.sid)
		}
	}
	return slices.ContainsFunc(suspects, func(v *server) bool {
		m := v.proc.members
		return !m.HasQuorum(right.And(m.Voters()))
	})
}

// unequal says whose tree nobody has found to be wrong yet, or to be right.
func (s *simulation) unequal() string {
	for _, v := range s.present() {
		if a := v.proc.app; a.standing.suspect || a.wrong() {
			return fmt.Sprintf("the tree of server %v is suspect: %v, wrong: %v", v.sid, a.standing.suspect, a.wrong())
		}
	}
	return ""
}
