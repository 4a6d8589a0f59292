package sim

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// oracle knows what no server knows: everything that ever happened. It checks the
// invariants of spec hazards 12 as it happens.
type oracle struct {
	s *simulation

	// chain is the committed history, told by whoever applied each entry first.
	chain []zxid.Point
	at    map[zxid.ID]int // index in chain
	// decided are points that a leader has committed and nobody has applied yet, ascending.
	decided []zxid.Point
	// ref is the fold over chain; digests[i] is its digest after chain[i].
	ref     *tree
	changes *znode.Changes
	digests []uint64
	// public is what transactions carry of the digest of ref. tainted are the servers whose trees were
	// ever wrong, spoilt the snapshots that were taken of such trees.
	public  uint64
	tainted quorum.Set
	spoilt  map[zxid.Point]bool

	// made are the transactions that leaders proposed, with their hashes.
	made map[zxid.ID]uint64
	// reigns says who has established an epoch; established are these epochs, ascending.
	reigns      map[zxid.Epoch]*reign
	established []zxid.Epoch
	// proposals is the last zxid proposed in an epoch.
	proposals map[zxid.Epoch]zxid.ID
	// holders says which servers ever had a point durably, one bit each.
	holders map[zxid.Point]uint32
	// cxids is the last request of each session that was applied.
	cxids map[proto.SessionID]proto.Xid
	// closed is where sessions ended.
	closed map[proto.SessionID]zxid.ID

	configs configs

	acked    zxid.ID // highest zxid that a client was told of
	sessions int64   // ids given out
	writes   int     // acknowledged since the faults stopped
}

// reign is one establishment.
type reign struct {
	sid        quorum.SID
	life       int
	generation uint64
	committed  zxid.ID
	history    zxid.ID // end of its initial history
}

func newOracle(s *simulation) *oracle {
	o := &oracle{
		s: s, at: map[zxid.ID]int{}, ref: newTree(), made: map[zxid.ID]uint64{}, reigns: map[zxid.Epoch]*reign{},
		proposals: map[zxid.Epoch]zxid.ID{}, spoilt: map[zxid.Point]bool{},
		holders: map[zxid.Point]uint32{}, cxids: map[proto.SessionID]proto.Xid{}, closed: map[proto.SessionID]zxid.ID{},
	}
	o.changes = znode.NewChanges(o.ref)
	o.public = o.ref.digest - o.ref.system
	o.configs = newConfigs(s.ensemble)
	return o
}

// end returns the end of what is known to be committed, applied somewhere or not.
func (o *oracle) end() zxid.Point {
	if n := len(o.decided); n > 0 {
		return o.decided[n-1]
	}
	return o.applied0()
}

// endBefore returns the end of what is known to be committed of epochs before e.
func (o *oracle) endBefore(e zxid.Epoch) zxid.Point {
	for _, points := range [][]zxid.Point{o.decided, o.chain} {
		for i := len(points) - 1; i >= 0; i-- {
			if points[i].ID.Epoch() < e {
				return points[i]
			}
		}
	}
	return zxid.Point{}
}

// applied0 returns the end of what was applied anywhere.
func (o *oracle) applied0() zxid.Point {
	if n := len(o.chain); n > 0 {
		return o.chain[n-1]
	}
	return zxid.Point{}
}

// agrees reports whether the committed history, as far as it is known, passes through p.
func (o *oracle) agrees(p zxid.Point) bool {
	if p.ID == 0 {
		return true
	}
	i, ok := o.at[p.ID]
	return ok && o.chain[i] == p
}

// begin looks at what a role starts from (I12).
func (o *oracle) begin(p *process, d *zab.Durable) {
	m := &p.disk.model
	if d.Promise.Epoch < m.promise.Epoch || d.Current < m.current || d.Current > d.Promise.Epoch ||
		d.History.Last().ID.Epoch() > d.Current {
		o.s.fail(epochMonotony, "server %v starts with promise %d, current %d, last %v; had %d and %d",
			p.sid, d.Promise.Epoch, d.Current, d.History.Last().ID, m.promise.Epoch, m.current)
	}
}

// step looks at a step before it is done: it must not undo what is committed (I11), nor lower
// an epoch (I12).
func (o *oracle) step(d *disk, p *zab.Persist) {
	m := &d.model
	o.keeps(d, p)
	if !p.Membership.IsZero() {
		o.configures(d, p)
	}
	if p.Promise != nil && p.Promise.Epoch < m.promise.Epoch || p.Current != nil && *p.Current < m.current {
		o.s.fail(epochMonotony, "server %v: %s, had promised %d and was in %d", d.sid, describe(p), m.promise.Epoch, m.current)
	}
}

func (o *oracle) isDecided(p zxid.Point) bool {
	for _, q := range o.decided {
		if p == q {
			return true
		}
	}
	return false
}

// durable notes what a disk holds now. That of a wiped voter counts from when it holds the note that it was
// taken in, which an established leader has made: its holder can show it to anybody.
func (o *oracle) durable(d *disk) {
	if life := d.model.incarnation; d.amnesiac && !life.IsZero() && d.model.remembers(d.sid) == life {
		d.amnesiac = false
	}
	if d.amnesiac {
		return
	}
	o.configs.took(d)
	bit := uint32(1) << d.sid
	for i := len(d.model.entries) - 1; i >= 0; i-- {
		p := d.model.entries[i]
		if o.holders[p]&bit != 0 {
			return
		}
		o.holders[p] |= bit
	}
}

// has reports whether a voter is known to have held p durably, in a life that counts.
func (o *oracle) has(sid quorum.SID, p zxid.Point) bool {
	d := o.s.server(sid).disk
	return o.holders[p]&(1<<sid) != 0 || !d.amnesiac && d.model.has(p)
}

// proposed notes what a leader gives to its log (I3, I18).
func (o *oracle) proposed(t *tenure, entries []zab.Entry) {
	if len(entries) == 0 {
		return
	}
	o.s.trace(t.p.server, line{label: labelPropose, entries: entries})
	for i := range entries {
		e := &entries[i]
		// What it proposed last may be in the step in which a configuration without it ends its reign.
		if phase := t.leader.Phase(); e.ID.Epoch() != t.leader.Epoch() || phase != zab.Broadcast && phase != zab.Stopped {
			o.s.fail(commitConsistent, "server %v proposes %v in epoch %d, %v", t.p.sid, e.ID, t.leader.Epoch(), t.leader.Phase())
		}
		if was, ok := o.made[e.ID]; ok {
			o.s.fail(leaderUniqueness, "%v was proposed twice, as %016x and %016x", e.ID, was, e.Hash)
		}
		if last := o.proposals[e.ID.Epoch()]; e.ID.Counter() != last.Counter()+1 || last != 0 && e.Prev != last {
			o.s.fail(localPrimaryOrder, "server %v proposes %v behind %v, before that was %v", t.p.sid, e.ID, e.Prev, last)
		}
		o.proposals[e.ID.Epoch()] = e.ID
		o.made[e.ID] = e.Hash
	}
}

// leads looks at a leader between two steps: whether it has just established its epoch (I1,
// I10) and what it has committed (I16).
func (o *oracle) leads(t *tenure) {
	e := t.leader.Epoch()
	me := &reign{sid: t.p.sid, life: t.p.lives, generation: t.generation}
	r, ok := o.reigns[e]
	// What a leader commits last may be what ends it: a configuration without it.
	ended := ok && t.leader.Phase() == zab.Stopped && r.sid == me.sid && r.life == me.life && r.generation == me.generation
	if t.leader.Phase() != zab.Broadcast && !ended {
		return
	}
	if !ok {
		o.s.counts.Epochs++
		o.s.trace(t.p.server, line{label: labelEstablish, n: int64(e), point: t.p.disk.model.last()})
		// A word of its quorum that was long under way may make a leader of one whose followers
		// have gone on to a later epoch: it commits nothing, and owes nothing of that epoch.
		if end := o.endBefore(e); !t.p.disk.model.has(end) {
			o.s.fail(leaderCompleteness, "server %v establishes epoch %d with %v, committed is %v",
				t.p.sid, e, t.p.disk.model.last(), end)
		}
		o.establishes(t)
		me.history = t.p.disk.model.last().ID
		r = me
		o.reigns[e] = r
		at, _ := slices.BinarySearch(o.established, e)
		o.established = slices.Insert(o.established, at, e)
	}
	if r.sid != me.sid || r.life != me.life || r.generation != me.generation {
		o.s.fail(leaderUniqueness, "epoch %d is established by %v and by %v", e, r.sid, me.sid)
	}
	if z := t.leader.LastCommitted(); z > r.committed || !ok {
		o.decide(t, z)
		r.committed = z
	}
}

// decide checks that a quorum of every configuration in force holds what a leader commits (I16, I13).
func (o *oracle) decide(t *tenure, z zxid.ID) {
	p := zxid.Point{ID: z, Hash: o.made[z]}
	if z.Epoch() != t.leader.Epoch() {
		p, _ = t.p.disk.model.point(z)
	}
	var holders quorum.Set
	if z > 0 {
		holders = o.holding(p)
		o.commits(t, p, holders)
	}
	o.s.trace(t.p.server, line{label: labelCommit, point: p, set: holders})
	switch end := o.end(); {
	case z > end.ID:
		o.decided = append(o.decided, p)
		o.configured(t, end.ID, z)
	case !o.agrees(p) && !o.isDecided(p) && z > o.applied0().ID && z >= end.ID:
		o.s.fail(prefixConsistency, "server %v commits %v, decided was %v", t.p.sid, p, end)
	}
}

// applied checks an entry that a server applies now (I2, I3, I5, I7, I15).
func (o *oracle) applied(p *process, e *zab.Entry) {
	at := e.Point()
	if i, ok := o.at[e.ID]; ok {
		if o.chain[i] != at {
			o.s.fail(prefixConsistency, "server %v applies %v, committed was %v", p.sid, at, o.chain[i])
		}
	} else {
		o.extend(p, e)
	}
	if i := o.at[e.ID]; i > 0 && o.chain[i-1].ID != e.Prev || i == 0 && e.Prev != 0 {
		o.s.fail(prefixConsistency, "server %v applies %v after %v", p.sid, at, e.Prev)
	}
	if last := p.app.last; e.ID <= last || e.Prev != last {
		o.s.fail(totalOrder, "server %v applies %v, which follows %v, behind %v", p.sid, at, e.Prev, last)
	} else if e.ID.Epoch() < last.Epoch() {
		o.s.fail(globalPrimaryOrder, "server %v applies %v behind %v", p.sid, at, last)
	}
	p.app.last = e.ID
	o.s.trace(p.server, line{label: labelApply, point: at})
}

// extend takes an entry that nobody has applied before.
func (o *oracle) extend(p *process, e *zab.Entry) {
	if err := e.Check(o.applied0()); err != nil {
		o.s.fail(prefixConsistency, "server %v applies %v after the committed %v: %v", p.sid, e.Point(), o.applied0(), err)
	}
	if hash, ok := o.made[e.ID]; !ok || hash != e.Hash {
		o.s.fail(integrity, "server %v applies %v, proposed was %016x", p.sid, e.Point(), hash)
	}
	if end := o.end(); e.ID > end.ID {
		o.s.fail(noReplyWithoutCommit, "server %v applies %v, no leader has committed more than %v", p.sid, e.Point(), end)
	}
	for len(o.decided) > 0 && o.decided[0].ID <= e.ID {
		if o.decided[0] != e.Point() && o.decided[0].ID == e.ID || !o.reached(o.decided[0], e) {
			o.s.fail(committedDurability, "server %v applies %v, committed was %v", p.sid, e.Point(), o.decided[0])
		}
		o.decided = o.decided[1:]
	}
	for i := len(o.established) - 1; i >= 0 && o.established[i] > e.ID.Epoch(); i-- {
		later := o.established[i]
		if r := o.reigns[later]; o.proposals[later] != 0 && r.history < e.ID {
			o.s.fail(primaryIntegrity, "server %v applies %v, which the leader of epoch %d did not have when it began", p.sid, e.Point(), later)
		}
	}
	o.at[e.ID] = len(o.chain)
	o.chain = append(o.chain, e.Point())
	o.s.counts.Commits++
	txn, err := proto.DecodeTxn(e.Data)
	if err != nil {
		o.s.fail(integrity, "committed %v does not decode: %v", e.ID, err)
	}
	o.reconfigured(&txn)
	o.changes.Reset(o.ref)
	o.changes.Apply(&txn)
	o.public += o.changes.PublicDelta()
	o.announced(&txn)
	o.ref.install(o.changes, e.Point())
	o.digests = append(o.digests, o.ref.digest)
	o.order(&txn)
}

// reached reports whether a decided point is passed through when e is applied.
func (o *oracle) reached(p zxid.Point, e *zab.Entry) bool { return p == e.Point() || o.agrees(p) }

// order checks that a session's requests take effect in their order, once (I15).
func (o *oracle) order(txn *proto.Txn) {
	id := txn.ClientID
	if _, alive := o.ref.Session(id); alive && o.closed[id] != 0 {
		o.s.fail(sessionOrder, "%v: session %v, closed at %v, is alive again", txn.Zxid, id, o.closed[id])
	}
	closes, over := txn.Type == proto.OpCloseSession, o.closed[id] != 0
	switch last, known := o.cxids[id]; {
	case over && (closes || failed(txn)):
		// What came by an earlier connection of a session that has ended may come late. It does nothing.
	case closes && txn.Cxid == 0:
		o.s.counts.Expired++
	case known && txn.Cxid <= last:
		o.s.fail(sessionOrder, "%v: request %d of session %v takes effect after %d", txn.Zxid, txn.Cxid, id, last)
	default:
		o.cxids[id] = txn.Cxid
	}
	if closes {
		if !over {
			o.closed[id] = txn.Zxid
		}
		if orphans := o.ref.orphans(); orphans != "" {
			o.s.fail(sessionOrder, "%v closes a session and leaves %s", txn.Zxid, orphans)
		}
	}
}

// failed reports whether a request was refused: a multi is so in each of its parts.
func failed(txn *proto.Txn) bool {
	multi, ok := txn.Body.(*proto.MultiTxn)
	return txn.Type == proto.OpError || ok && !slices.ContainsFunc(multi.Txns, func(sub proto.SubTxn) bool { return sub.Type != proto.OpError })
}

// installed compares a tree with the fold over the history (I14).
func (o *oracle) installed(p *process) {
	at, sum := p.app.tree.at(), p.app.tree.sum()
	if at.ID == 0 {
		return
	}
	i, ok := o.at[at.ID]
	if !ok || o.chain[i] != at {
		o.s.fail(stateIsFold, "server %v: tree at %v, which is not committed", p.sid, at)
	}
	if sum != o.digests[i] && !o.excused(p) {
		o.s.fail(stateIsFold, "server %v: tree at %v has digest %016x, the fold %016x", p.sid, at, sum, o.digests[i])
	}
}

// install checks a snapshot that becomes the state (I2, I11).
func (o *oracle) install(p *process, at zxid.Point) {
	t := p.tenure
	i, ok := o.at[at.ID]
	if at.ID != 0 && (!ok || o.chain[i] != at) || t.sinkAt != at || !t.whole {
		o.s.fail(prefixConsistency, "server %v installs a snapshot at %v of %v, which is not committed", p.sid, t.sinkAt, at)
	}
}

// leadsFrom checks that a leader's pipeline begins on the state before its first proposal (I8).
func (o *oracle) leadsFrom(a *applier) {
	if at := a.tree.at().ID; !a.primary.next.Follows(at) {
		o.s.fail(primaryIntegrity, "server %v prepares %v on the state at %v", a.p.sid, a.primary.next, at)
	}
}
