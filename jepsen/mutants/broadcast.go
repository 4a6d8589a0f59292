package mutants

// broadcast holds the bugs of proposals, acknowledgements and commits.
var broadcast = []Mutant{
	{
		Name: "ack-on-receipt", Bug: "a follower acknowledges what it has received, not what is on disk",
		IDs: []string{"H-23", "H-91", "I13"}, Listed: "ack before fsync",
		Edits:   []Edit{{"zab/learner.go", "\t\tl.durable = f.last\n\t\tl.ack()", "\t\tl.durable = l.last.ID\n\t\tl.ack()"}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "leader-acks-unsynced", Bug: "a leader counts itself for what is not on its disk",
		IDs: []string{"H-11", "I13"}, Listed: "leader's ack without fsync",
		Edits:   []Edit{{"zab/leader.go", "\t\tl.me.acked = f.last\n", "\t\tl.me.acked = l.win.last().ID\n"}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "one-ack-commits", Bug: "whatever one voter holds is committed",
		IDs:     []string{"I4", "I11", "I16"},
		Edits:   []Edit{{"zab/leader_broadcast.go", `	if z > best && l.held(z) {`, `	if z > best {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "acks-are-single", Bug: "an acknowledgement counts for its own zxid alone, so that the order of arrival decides",
		IDs: []string{"H-57"}, Listed: "COMMIT order by ack arrival",
		Edits:   []Edit{{"zab/leader_reconfig.go", `return v.acked >= z })`, `return v.acked == z })`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "commit-goes-back", Bug: "a late COMMIT takes the committed end back",
		IDs:     []string{"H-57", "I11"},
		Edits:   []Edit{{"zab/learner_sync.go", `	l.committed = max(l.committed, m.Zxid)`, `	l.committed = m.Zxid`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "apply-on-proposal", Bug: "a follower applies what is proposed",
		IDs: []string{"H-88", "I4"}, Listed: "apply on PROPOSAL",
		Edits:   []Edit{{"zab/learner.go", `	to := l.committed`, `	to := l.last.ID`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "applied-ahead-of-disk", Bug: "a follower applies what is committed and not on its own disk yet",
		IDs:     []string{"H-05", "I14", "ZK-4882"},
		Edits:   []Edit{{"zab/learner.go", `to = min(to, max(l.durable, l.delivered))`, `to = max(to, l.delivered)`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "commit-before-uptodate-refused", Bug: "a COMMIT between the ACK of NEWLEADER and UPTODATE ends the follower",
		IDs:     []string{"H-26", "ZK-4394"},
		Edits:   []Edit{{"zab/learner_sync.go", `	if l.state < receiving {`, `	if l.state < receiving || l.state == awaitingUpToDate {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "commit-before-uptodate-lost", Bug: "a COMMIT between the ACK of NEWLEADER and UPTODATE is forgotten, and UPTODATE names an older one",
		IDs: []string{"H-26", "ZK-4785"},
		Edits: []Edit{
			{"zab/learner_sync.go", "\t\tl.illegal(m)\n\t\treturn\n\t}\n\tl.commit(m)", "\t\tl.illegal(m)\n\t\treturn\n\t}\n\tif l.state == awaitingUpToDate {\n\t\treturn\n\t}\n\tl.commit(m)"},
			{"zab/leader_sync.go", "Zxid: min(l.committed, l.sentTo(p)),", "Zxid: p.end.ID,"},
		},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "ack-overtakes-newleader", Bug: "a follower acknowledges proposals before NEWLEADER",
		IDs:     []string{"H-25", "ZK-4685"},
		Edits:   []Edit{{"zab/learner.go", "\tif l.state >= awaitingUpToDate {\n\t\tl.durable = f.last", "\tif l.state >= receiving {\n\t\tl.durable = f.last"}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "any-ack-is-newleaders", Bug: "a leader takes the first ACK for that of NEWLEADER",
		IDs:     []string{"H-25", "I9", "ZK-4685"},
		Edits:   []Edit{{"zab/leader_broadcast.go", `case p.state == linkForwarded && m.Zxid == zxid.Make(l.epoch, 0):`, `case p.state == linkForwarded:`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "speaks-after-the-end", Bug: "a role that has ended still commits and answers what it had not given out",
		IDs:     []string{"H-11"},
		Edits:   []Edit{{"zab/outbox.go", "\to.out = Ready{Events: o.out.Events, Drop: o.out.Drop}\n", ""}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "lost-quorum-ignored", Bug: "a leader that has lost its quorum goes on",
		IDs:     []string{"H-52"},
		Edits:   []Edit{{"zab/leader_liveness.go", "\tif l.view.HasQuorum(alive) {", "\tif l.view.HasQuorum(l.view.Voters()) {"}},
		Killers: []Trial{{Suite: "zab", Run: "TestScripts"}},
	},
	{
		Name: "heard-is-alive", Bug: "an answer to an old ping proves contact now",
		IDs:     []string{"H-53"},
		Edits:   []Edit{{"zab/leader_liveness.go", `	p.proof = max(p.proof, tick)`, `	p.proof = l.now`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "stuck-disk-ignored", Bug: "a leader whose disk stands still keeps its office",
		IDs:     []string{"H-74"},
		Edits:   []Edit{{"zab/leader_liveness.go", `if l.me.acked >= l.committed || l.me.acked != l.stuckAt {`, `if l.me.acked <= l.committed || l.me.acked != l.stuckAt {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "old-role-is-heard", Bug: "what the disk did for a role that is over counts for the next one",
		IDs: []string{"H-28", "ZK-4712"}, Listed: "generation fencing removed",
		Edits:   []Edit{{"quorum/peer/tenure.go", "\tif e.generation != t.generation {\n\t\treturn nil\n\t}\n\tif t.installToken", "\tif t.installToken"}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "old-writer-reports", Bug: "a fenced writer of the log still reports",
		IDs:     []string{"H-28", "ZK-4712"},
		Edits:   []Edit{{"zab/txnlog/writer.go", `return !w.fenced && w.log.failed() == nil`, `return w.log.failed() == nil`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "old-proposals-proposed", Bug: "what an ended leadership had prepared is proposed by the next one",
		IDs:     []string{"H-72"},
		Edits:   []Edit{{"quorum/peer/tenure.go", `if t.leader == nil || e.generation != t.generation || t.leader.Phase() != zab.Broadcast {`, `if t.leader == nil || t.leader.Phase() != zab.Broadcast {`}},
		Killers: []Trial{{Suite: "peer"}},
	},
}
