package sim

import (
	"cmp"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// configs is what the oracle knows of the configurations. Nothing else says who has a vote: what the
// servers believe is what is checked.
type configs struct {
	// decided are the configurations that were ever in force, each with the transaction that made it so;
	// the first is what the ensemble began with.
	decided []config
	// proposed are those that a leader has proposed, ascending, guards the version that the client
	// expected before.
	proposed []config
	guards   map[zxid.ID]zxid.ID
	// promised says who ever had the promise of an epoch to a leader on disk, accepted who had accepted
	// an epoch's NEWLEADER.
	promised map[zab.Promise]quorum.Set
	accepted map[zxid.Epoch]quorum.Set
}

// config is a configuration and the transaction that made it.
type config struct {
	at       zxid.ID
	ensemble *quorum.Ensemble
}

func newConfigs(first *quorum.Ensemble) configs {
	return configs{
		decided: []config{{0, first}}, guards: map[zxid.ID]zxid.ID{},
		promised: map[zab.Promise]quorum.Set{}, accepted: map[zxid.Epoch]quorum.Set{},
	}
}

// inForce returns the configuration that was committed last.
func (c *configs) inForce() config { return c.decided[len(c.decided)-1] }

// took notes which epochs a disk has promised and accepted.
func (c *configs) took(d *disk) {
	m := &d.model
	s := c.promised[m.promise]
	s.Add(d.sid)
	c.promised[m.promise] = s
	s = c.accepted[m.current]
	s.Add(d.sid)
	c.accepted[m.current] = s
}

// of returns the configurations that the history of a leader proposes behind from, up to to. What it has
// proposed itself may not be on its own disk yet.
func (c *configs) of(t *tenure, from, to zxid.ID) []config {
	var out []config
	for _, p := range c.proposed {
		if p.at <= from || p.at > to {
			continue
		}
		if _, logged := t.p.disk.model.point(p.at); logged || p.at.Epoch() == t.leader.Epoch() {
			out = append(out, p)
		}
	}
	return out
}

// at returns the configuration that was in force for what comes behind z.
func (c *configs) at(z zxid.ID) config {
	i := len(c.decided) - 1
	for i > 0 && c.decided[i].at > z {
		i--
	}
	return c.decided[i]
}

// find returns the configuration that was proposed at z, nil if none was.
func (c *configs) find(z zxid.ID) *quorum.Ensemble {
	i, ok := slices.BinarySearchFunc(c.proposed, z, func(p config, z zxid.ID) int { return cmp.Compare(p.at, z) })
	if !ok {
		return nil
	}
	return c.proposed[i].ensemble
}

// need checks that servers hold a quorum of a configuration (I16).
func (o *oracle) need(c config, holders quorum.Set, what string, p zxid.Point) {
	if !c.ensemble.Verifier().HasQuorum(holders) {
		o.s.fail(quorumIntersection, "%s %v, for which there are only %v, no quorum of the voters %v of %v",
			what, p, holders, c.ensemble.Voters(), c.at)
	}
}

// commits checks that what a leader commits up to z is held by a quorum of the configuration in force
// there, and what makes another one by a quorum of that as well (I16, H-80, H-81). From there on the new
// one decides alone.
func (o *oracle) commits(t *tenure, z zxid.Point, holders quorum.Set) {
	what, end := "server "+t.p.sid.String()+" commits", o.end().ID
	force := o.configs.at(min(z.ID, end))
	for _, next := range o.configs.of(t, end, z.ID) {
		p := zxid.Point{ID: next.at, Hash: o.made[next.at]}
		o.need(force, o.holding(p), what, p)
		o.need(next, o.holding(p), what, p)
		force = next
	}
	o.need(force, holders, what, z)
}

// holding returns who holds a point durably.
func (o *oracle) holding(p zxid.Point) (holders quorum.Set) {
	for _, v := range o.s.servers {
		if o.has(v.sid, p) {
			holders.Add(v.sid)
		}
	}
	return holders
}

// establishes checks that a quorum of each configuration that has a say has promised a new leader its
// epoch, and one has accepted its history (I16, H-82).
func (o *oracle) establishes(t *tenure) {
	e, last := t.leader.Epoch(), t.p.disk.model.last()
	end := min(o.endBefore(e).ID, last.ID)
	promised, accepted := o.configs.promised[zab.Promise{Epoch: e, Leader: t.p.sid}], o.configs.accepted[e]
	for _, c := range append(o.configs.of(t, end, last.ID), o.configs.at(end)) {
		o.need(c, promised, "promises for "+t.p.sid.String()+" with", last)
		o.need(c, accepted, "acceptances of NEWLEADER of "+t.p.sid.String()+" at", last)
	}
}

// reconfigures looks at the proposal of a configuration: there is one at a time (I19). The leader may not have
// heard yet that a server to which it gives a vote was wiped. It then remembers the store that is gone, which might
// have logged the proposal, and the new one counts when it was taken in.
func (o *oracle) reconfigures(t *tenure, at zxid.ID, w *planning) {
	if pending := o.configs.of(t, o.end().ID, at); len(pending) > 0 {
		o.s.fail(configMonotony, "server %v proposes configuration %v, %v is not committed", t.p.sid, at, pending[0].at)
	}
	i, _ := slices.BinarySearchFunc(o.configs.proposed, at, func(p config, z zxid.ID) int { return cmp.Compare(p.at, z) })
	o.configs.proposed = slices.Insert(o.configs.proposed, i, config{at, w.next.WithVersion(at)})
	o.configs.guards[at] = w.guard
	for _, k := range t.leader.Known() {
		if d := o.s.server(k.SID).disk; !k.Gone && !k.Incarnation.IsZero() && d.model.incarnation != k.Incarnation {
			d.amnesiac = d.amnesiac || w.next.Voters().Has(k.SID)
		}
	}
}

// configured notes the configurations that are in force since a leader has committed a part of its
// history. Whoever has no vote in one may have one again later with whatever it then holds.
func (o *oracle) configured(t *tenure, from, to zxid.ID) {
	for _, next := range o.configs.of(t, from, to) {
		was := o.configs.inForce()
		if guard := o.configs.guards[next.at]; guard != -1 && was.at != 0 && guard != was.at {
			o.s.fail(configMonotony, "configuration %v follows %v, the client wanted it to follow %v", next.at, was.at, guard)
		}
		o.s.counts.Reconfigurations++
		o.configs.decided = append(o.configs.decided, next)
		for _, v := range o.s.servers {
			if v.disk.amnesiac && !next.ensemble.Voters().Has(v.sid) {
				v.disk.amnesiac = false
				o.durable(v.disk)
			}
		}
	}
}

// reconfigured checks that what clients read of a configuration is that one.
func (o *oracle) reconfigured(txn *proto.Txn) {
	if txn.Type != proto.OpReconfig {
		return
	}
	e, body := o.configs.find(txn.Zxid), txn.Body.(*proto.SetDataTxn) //nolint:errcheck // the decoder made it
	if e == nil || string(body.Data) != e.ConfigData() {
		o.s.fail(integrity, "the configuration of %v is told as %q", txn.Zxid, strings.ReplaceAll(string(body.Data), "\n", " "))
	}
}

// configures looks at a step that changes what a server knows of the ensemble (I19): what it takes for
// committed is, and never falls, what it has seen was proposed, is not older, and is in its history.
func (o *oracle) configures(d *disk, p *zab.Persist) {
	is, was := p.Membership, d.model.members
	bad := func(why string) {
		o.s.fail(configMonotony, "server %v %s: %s, was %s", d.sid, why, describeMembers(is), describeMembers(was))
	}
	if !was.IsZero() && is.Committed.Version() < was.Committed.Version() {
		bad("goes back to an older configuration")
	}
	if is.Seen.Version() < is.Committed.Version() {
		bad("has seen less than what is committed")
	}
	for _, e := range []*quorum.Ensemble{is.Committed, is.Seen} {
		if v := e.Version(); v.Counter() > 0 && !e.Equal(o.configs.find(v)) {
			bad("knows a configuration that nobody has proposed")
		}
	}
	if v := is.Committed.Version(); v.Counter() > 0 && v > o.configs.inForce().at {
		bad("takes a configuration for committed that is not")
	}
	after := d.model.clone()
	after.apply(p)
	if v := is.Seen.Version(); is.Pending() && v.Counter() > 0 && v > after.last().ID {
		bad("has seen a configuration that is not in its history, which ends at " + after.last().ID.String())
	}
}

// finalMembers checks that in the end everybody goes by the configuration in force.
func (o *oracle) finalMembers() {
	force := o.configs.inForce()
	for _, v := range o.s.present() {
		m := v.proc.members
		if is := m.Committed; o.s.changing && (is.String() != force.ensemble.String() || force.at != 0 && is.Version() != force.at) {
			o.s.fail(configMonotony, "server %v ends with %s, in force are %v since %v", v.sid, describeMembers(m), force.ensemble.Voters(), force.at)
		}
	}
}
