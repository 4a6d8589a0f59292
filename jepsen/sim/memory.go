package sim

import (
	"math"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// keeps checks that a step takes nothing from a disk that is committed, whether it cuts the history or
// puts another one in its place (I11), and notes what is no longer there.
//
// What may be taken away, see mayForget, is left out since it is no loss: nobody counts on it.
func (o *oracle) keeps(d *disk, p *zab.Persist) {
	if p.Truncate == nil && p.Install == nil {
		return
	}
	if p.Truncate != nil {
		o.s.counts.Cuts++
	}
	after := d.model.clone()
	after.apply(p)
	// The snapshot of a leader that has just restarted may be older than what this server has
	// applied: the entries behind it make up for that.
	applied := o.s.server(d.sid).proc.app.tree.at()
	if !after.has(applied) {
		o.s.fail(committedDurability, "server %v: history up to %v replaces one applied up to %v", d.sid, after.last(), applied)
	}
	for _, e := range d.model.entries {
		if after.has(e) {
			continue
		}
		if (o.agrees(e) || o.isDecided(e)) && !o.mayForget(d.sid, e, after.promise.Epoch) {
			o.s.fail(committedDurability, "server %v cuts its log to %v, %v is committed", d.sid, after.last(), e)
		}
		o.holders[e] &^= 1 << d.sid
	}
}

// mayForget reports whether a server may take an entry from its disk though it is committed by now. Who
// has a vote never may: it was counted. Who has none was not, and may, in two cases.
//
// The one whom it follows has not established the epoch: it synchronises those who come as soon as it has
// its promises, while somebody with a later epoch commits what it lacks. The voters among those who have
// that entry it refuses, whose history is ahead of its own; the others it does not ask. Nothing comes of
// that epoch.
//
// Or the leader has the entry itself. It sends an observer what is committed, and makes it cut off what
// is not yet; by the time the disk does so, it is. The entry follows, with the word that it is committed.
func (o *oracle) mayForget(sid quorum.SID, e zxid.Point, epoch zxid.Epoch) bool {
	if o.configs.inForce().ensemble.Voters().Has(sid) {
		return false
	}
	leads, ok := o.reigns[epoch]
	return !ok || e.ID.Epoch() == epoch || e.ID <= leads.history
}

// wiped notes that a disk is empty from now on. If the server has a vote, what it has said was counted, and
// counts further; what it says from now on does not, until a leader has taken it in. A server without a
// vote was asked by nobody: it has nothing to make good, and what it held above the configuration in
// force, the only thing that a vote of later times could refer to, it does not hold any more. The nemesis
// wipes nobody who has a vote in a configuration that is on a disk and not committed yet: see dispensable. On its
// way to the disks one may be.
func (o *oracle) wiped(d *disk) {
	force := o.configs.inForce()
	if force.ensemble.Voters().Has(d.sid) || o.enlists(d) {
		d.amnesiac = d.amnesiac || !d.model.incarnation.IsZero()
		return
	}
	for _, e := range d.model.entries {
		if e.ID > force.at {
			o.holders[e] &^= 1 << d.sid
		}
	}
	o.configs.forget(d.sid, force.at.Epoch())
}

// enlists reports whether somebody leads who has proposed to give a server a vote, and remembers the store that it has.
func (o *oracle) enlists(d *disk) bool {
	return slices.ContainsFunc(o.s.servers, func(v *server) bool {
		if !v.proc.alive() || v.proc.tenure == nil || v.proc.tenure.leader == nil {
			return false
		}
		t := v.proc.tenure
		remembered := slices.ContainsFunc(t.leader.Known(), func(k zab.Known) bool {
			return k.SID == d.sid && !k.Gone && !k.Incarnation.IsZero() && k.Incarnation == d.model.incarnation
		})
		return remembered && slices.ContainsFunc(o.configs.of(t, o.end().ID, math.MaxInt64), func(next config) bool {
			return next.ensemble.Voters().Has(d.sid)
		})
	})
}

// forget takes back what a server has promised and accepted in later epochs.
func (c *configs) forget(sid quorum.SID, behind zxid.Epoch) {
	for p, who := range c.promised {
		if p.Epoch > behind {
			who.Remove(sid)
			c.promised[p] = who
		}
	}
	for e, who := range c.accepted {
		if e > behind {
			who.Remove(sid)
			c.accepted[e] = who
		}
	}
}

// hopeless reports whether nobody can lead this ensemble any more, whatever it does: so that it need not
// converge (L1 to L3). That is so if everyone who might lead lacks a quorum, of the configuration that is
// committed or of the one that it has seen behind it, among the servers that are still there, remember what
// they have said, and have no newer history than it. The others cannot help:
//
//   - who is gone says nothing;
//   - who was wiped cannot say what it had acknowledged, and counts when a leader has taken it in, which
//     there is none to do (design "Empty, wiped and duplicated members");
//   - who has a newer history must not follow an older one.
//
// It happens if a configuration was proposed while the leader had not heard yet that a server was wiped or
// gone for good which that configuration cannot do without, or if that strikes while the proposal is on its way to the
// disks: the nemesis takes care of the configurations that there are, not of those that clients are asking for.
func (s *simulation) hopeless() bool {
	var sound []*server
	for _, v := range s.present() {
		if !v.disk.amnesiac {
			sound = append(sound, v)
		}
	}
	return !slices.ContainsFunc(sound, func(v *server) bool { return mayLead(v, sound) })
}

// mayLead reports whether a server would be established by some of those that are sound. It goes by the
// newest configuration that any of them knows to be committed, for that is the first thing that they tell
// each other.
func mayLead(v *server, sound []*server) bool {
	m := v.believes()
	var behind quorum.Set
	for _, w := range sound {
		if c := w.believes().Committed; c.Version() > m.Committed.Version() {
			m.Committed = c
		}
		if !w.newer(v) {
			behind.Add(w.sid)
		}
	}
	if m.Seen.Version() < m.Committed.Version() {
		m = quorum.Stable(m.Committed)
	}
	return m.Weight(v.sid) > 0 && m.HasQuorum(behind)
}

// newer reports whether a server's history is more recent than another's: the epoch that it has accepted,
// then the last transaction.
func (srv *server) newer(than *server) bool {
	a, b := &srv.disk.model, &than.disk.model
	if a.current != b.current {
		return a.current > b.current
	}
	return a.last().ID > b.last().ID
}
