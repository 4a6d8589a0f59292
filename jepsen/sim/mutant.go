package sim

import (
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// mutant is a deliberate bug of the driver, or the absence of any. Each stands for a
// bug that such systems really had.
type mutant struct {
	name string
	why  string

	ackEarly       bool // report a step as durable when it is submitted
	epochFirst     bool // persist the current epoch before the history
	dropTruncation bool // forget to cut the log
	deliverEarly   bool // apply proposals before they are committed
	applyTwice     bool // apply an entry again behind the next one
	noFence        bool // do not wait for, nor fence off, the steps of an ended role
	forgetIntent   bool // do not complete the installation of a snapshot after a crash
	noRepair       bool // go on with a tree that is wrong
	forgetDoubt    bool // trust a tree that was in doubt after a restart
	countJoiner    bool // take the word of who joins before it was heard
	trimUnflushed  bool // cut the log as if the flush of the tree had not failed
	durable        func(*process, *zab.Durable)
}

// mutants lists the bugs by name.
var mutants = []mutant{
	{name: "ack-early", why: "ACK before fsync (hazards H-03, H-23, H-91)", ackEarly: true},
	{name: "epoch-first", why: "current epoch before the history (ZOOKEEPER-4643, H-24)", epochFirst: true},
	{name: "lose-epoch", why: "a crash takes the promised epoch back (H-34)", durable: loseEpoch},
	{name: "drop-truncation", why: "TRUNC is acknowledged and not done (H-01)", dropTruncation: true},
	{name: "deliver-early", why: "proposals are applied before they are committed (H-88)", deliverEarly: true},
	{name: "apply-twice", why: "an entry is applied twice (H-89)", applyTwice: true},
	{name: "no-fence", why: "an old role's steps reach the disk of the next one (H-28)", noFence: true},
	{name: "forget-intent", why: "a snapshot is half installed after a crash (H-92)", forgetIntent: true},
	{name: "no-repair", why: "a tree that is wrong is not replaced (H-78)", noRepair: true},
	{name: "forget-doubt", why: "a restart makes a tree trusted that was in doubt (H-78)", forgetDoubt: true},
	{name: "trim-unflushed", why: "the log is trimmed though the tree's flush has failed (H-05, H-19)", trimUnflushed: true},
	{name: "count-joiner", why: "who joins counts before it has the reconfiguration (H-81)", countJoiner: true},
	{name: "forget-pending", why: "a reconfiguration that is not committed is completed by the old quorum (H-82)", durable: forgetPending},
	{name: "config-early", why: "a configuration is in force as soon as it is seen (H-80)", durable: configEarly},
	{name: "config-file", why: "a restart goes by the configuration file: who was removed still votes (H-79, H-83)", durable: configFile},
	{name: "trust-wiped", why: "a wiped member counts as its old self (H-40)", durable: trustWiped},
}

// Mutants lists the names that Config.Mutant may have.
func Mutants() []string {
	var names []string
	for _, m := range mutants {
		names = append(names, m.name)
	}
	return names
}

// MutantTree returns the kind of tree (Config.Tree) with which a mutant can show.
func MutantTree(name string) string {
	if m, err := findMutant(name); err == nil && m.trimUnflushed {
		return treeStore
	}
	return treeTwin
}

func findMutant(name string) (mutant, error) {
	if name == "" {
		return mutant{}, nil
	}
	for _, m := range mutants {
		if m.name == name {
			return m, nil
		}
	}
	return mutant{}, fmt.Errorf("sim: no mutant %q: there are %s", name, strings.Join(Mutants(), ", "))
}

// loseEpoch forgets the last promise, as a lost rename of an epoch file does, unless the epoch
// was accepted.
func loseEpoch(_ *process, d *zab.Durable) {
	if d.Promise.Epoch > d.Current {
		d.Promise = zab.Promise{Epoch: d.Current, Leader: d.Promise.Leader}
	}
}

// trustWiped forgets which stores were ever synchronised.
func trustWiped(_ *process, d *zab.Durable) { d.Known = nil }

// forgetPending forgets the configuration that was seen and is not committed.
func forgetPending(_ *process, d *zab.Durable) {
	if m := d.Membership; !m.IsZero() && m.Pending() {
		d.Membership = quorum.Stable(m.Committed)
	}
}

// configEarly takes it for committed.
func configEarly(_ *process, d *zab.Durable) {
	if m := d.Membership; !m.IsZero() && m.Pending() {
		d.Membership = m.Settled()
	}
}

// configFile believes in the members that the ensemble began with.
func configFile(p *process, d *zab.Durable) {
	if m := d.Membership; !m.IsZero() {
		d.Membership = quorum.Stable(p.s.ensemble.WithVersion(m.Committed.Version()))
	}
}

// expectJoiners notes who joins with what is proposed at a zxid.
func (t *tenure) expectJoiners(at zxid.ID, next *quorum.Ensemble) {
	t.joinAt, t.joining = at, quorum.Set{}
	was := t.p.members.Voters()
	for sid := range next.Voters().All() {
		if t.links[sid] != nil && !was.Has(sid) {
			t.joining.Add(sid)
		}
	}
}

// countJoiners lets the leader hear that those who join have what was just sent to them.
func (t *tenure) countJoiners() {
	joining := t.joining
	t.joining = quorum.Set{}
	for sid := range joining.All() {
		t.leader.Step(zab.Message{Kind: zab.Ack, From: sid, Epoch: t.leader.Epoch(), Zxid: t.joinAt})
		t.p.wake()
	}
}
