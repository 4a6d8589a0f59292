package mutants

// epochs holds the bugs of discovery, and of who is believed.
var epochs = []Mutant{
	{
		Name: "older-epoch-accepted", Bug: "a follower accepts an epoch below the one that it has promised",
		IDs: []string{"I12", "H-34"}, Listed: "accept LEADERINFO of lower epoch",
		Edits:   []Edit{{"zab/learner_sync.go", `	case m.Epoch < l.promise.Epoch &&`, `	case m.Epoch+1 < l.promise.Epoch &&`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "promise-binds-everybody", Bug: "who has no vote stays outside while an earlier epoch lasts than it has promised",
		IDs:     []string{"L3"},
		Edits:   []Edit{{"zab/learner_sync.go", `	return m.Epoch >= l.cfg.Durable.Current &&`, `	return false && m.Epoch >= l.cfg.Durable.Current &&`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "vote-without-promise", Bug: "who gets its vote back in an epoch before the one that it has promised acknowledges that epoch",
		IDs:     []string{"I12", "H-34"},
		Edits:   []Edit{{"zab/learner_sync.go", `	if l.epoch < l.promise.Epoch && l.view.Voters().Has(l.self) {`, `	if false {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "lost-store-outranks-nobody", Bug: "a voter with a new store that has promised a later epoch stays outside while this one lasts",
		IDs:     []string{"L3", "H-40"},
		Edits:   []Edit{{"zab/leader_discovery.go", `return l.phase == Broadcast && v != nil && v != l.me && !duplicate &&`, `return l.phase == Broadcast && v != nil && v != l.me && !duplicate && !m.Untrusted && (v.life.IsZero() || v.life == m.Incarnation) &&`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "file-frees-of-promise", Bug: "a leader's file takes a vote away that the server's own file gives it, and its promise with it",
		IDs:     []string{"I12", "H-34", "H-83"},
		Edits:   []Edit{{"zab/learner_sync.go", `(m.Membership.Committed.Version() > 0 || !l.view.Voters().Has(l.self))`, `true`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "epoch-gone-back", Bug: "who has no vote follows the leader of an epoch before the one that it has accepted",
		IDs:     []string{"I12"},
		Edits:   []Edit{{"zab/learner_sync.go", `	return m.Epoch >= l.cfg.Durable.Current && `, `	return `}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "epoch-reused", Bug: "a leader takes the highest epoch that was accepted, not the one above",
		IDs: []string{"H-37", "I1", "ZK-1343"}, Listed: "reuse epoch on equal accepted",
		Edits:   []Edit{{"zab/leader_discovery.go", `l.epoch = l.accepted + 1`, `l.epoch = max(l.accepted, 1)`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "promise-given-twice", Bug: "a follower that has promised an epoch promises it to another leader again",
		IDs:     []string{"H-34", "I1"},
		Edits:   []Edit{{"zab/learner_sync.go", `Fresh: l.fresh,`, `Fresh: true,`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "promise-rewritten", Bug: "the log lets an epoch be promised to two leaders",
		IDs:     []string{"H-34", "I1"},
		Edits:   []Edit{{"zab/txnlog/state.go", `q.Epoch == ep.promise.Epoch && q.Leader != ep.promise.Leader {`, `q.Epoch == 0 && q.Leader != ep.promise.Leader {`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "epoch-offered-unsynced", Bug: "a leader offers its epoch before its own promise is on disk",
		IDs: []string{"H-34", "I13"},
		Edits: []Edit{{
			"zab/leader_discovery.go", `l.event(EventEpoch, l.self, zxid.Make(l.epoch, 0), "proposed")`,
			"l.event(EventEpoch, l.self, zxid.Make(l.epoch, 0), \"proposed\")\n\tl.offerAll()",
		}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "newer-follower-helps", Bug: "a leader goes on though a follower of its quorum has a newer history",
		IDs:     []string{"I10", "H-18"},
		Edits:   []Edit{{"zab/leader_discovery.go", `newer := l.newer(p, m)`, `newer := l.newer(p, m) && m.Current > l.epoch`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "established-by-promises", Bug: "an epoch begins when a quorum has promised it, not when it has the history",
		IDs:     []string{"I9", "I10", "ZK-3911"},
		Edits:   []Edit{{"zab/leader_sync.go", `func(v *voter) bool { return v.accepted })`, `func(v *voter) bool { return v.promised })`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "wiped-counts", Bug: "a voter on a new disk counts as its former self",
		IDs:     []string{"H-40", "ZK-261"},
		Edits:   []Edit{{"zab/trust.go", `	if ok && known != life || untrusted ||`, `	if untrusted ||`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "rolled-back-counts", Bug: "a voter that comes back with less than it acknowledged is counted on",
		IDs:     []string{"H-41", "I11"},
		Edits:   []Edit{{"zab/leader_discovery.go", `acked := max(p.voter.acked, l.lost(p.sid, p.life, last)); last < acked`, `acked := l.lost(p.sid, p.life, last); last < acked`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "second-of-an-id", Bug: "a second server under a connected one's id takes its place",
		IDs:     []string{"H-39"},
		Edits:   []Edit{{"zab/leader.go", `p != nil && ok && p.life == known && life != known`, `p != nil && ok && p.life != known && life == known`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "other-ensemble-followed", Bug: "a server with the history of another ensemble is led",
		IDs:     []string{"H-41"},
		Edits:   []Edit{{"zab/leader_discovery.go", `case !m.Cluster.IsZero() && !l.cluster.IsZero() && m.Cluster != l.cluster:`, `case !m.Cluster.IsZero() && l.cluster.IsZero() && m.Cluster != l.cluster:`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "counter-rolls-over", Bug: "a leader does not hand over when the zxids of its epoch run out",
		IDs:     []string{"H-38", "ZK-1277"},
		Edits:   []Edit{{"zab/leader_liveness.go", `l.outstanding() > 0 {`, `l.outstanding() >= 0 {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
}
