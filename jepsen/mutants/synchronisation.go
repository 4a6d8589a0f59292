package mutants

// synchronisation holds the bugs of bringing a learner to its leader's history.
var synchronisation = []Mutant{
	{
		Name: "newleader-acked-unsynced", Bug: "NEWLEADER is acknowledged before the history is on disk",
		IDs:     []string{"H-23", "I13", "ZK-3911", "ZK-4646"},
		Edits:   []Edit{{"zab/learner_sync.go", "\t\treturn\n\t}\n\tl.marks |= markNewLeader\n}", "\t\treturn\n\t}\n\tl.marks |= markNewLeader\n\tl.durable = l.last.ID\n\tl.ackNewLeader()\n}"}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "epoch-before-history", Bug: "the log writes the epochs, and then the history that goes with them",
		IDs: []string{"H-24", "H-35", "ZK-4643", "ZK-1653"}, Listed: "currentEpoch before history",
		Edits: []Edit{{
			"zab/txnlog/encode.go", "\tgen, last := l.now.gen, l.now.last()\n\tfor i := range group {",
			"\tgen, last := l.now.gen, l.now.last()\n\tif !plain {\n\t\tif err := errors.Join(l.encodeMeta(group), l.commit(pebble.Sync)); err != nil {\n\t\t\treturn sync, err\n\t\t}\n\t}\n\tfor i := range group {",
		}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "newleader-before-backlog", Bug: "NEWLEADER is sent ahead of the history that it stands for",
		IDs: []string{"H-22", "ZK-3104"}, Listed: "NEWLEADER before backlog",
		Edits: []Edit{
			{
				"zab/leader_sync.go", "\tchunks(l.win.between(p.pos.ID, p.end.ID), l.cfg.Limits.MessageBytes,",
				"\tl.send(Message{Kind: NewLeader, To: p.sid, Epoch: l.epoch, Point: p.pos, Known: l.known, Cluster: l.cluster, Membership: l.membershipFor(p)})\n\tchunks(l.win.between(p.pos.ID, p.end.ID), l.cfg.Limits.MessageBytes,",
			},
			{"zab/leader_sync.go", "\tl.send(Message{Kind: NewLeader, To: p.sid, Epoch: l.epoch, Point: p.end, Known: l.known, Cluster: l.cluster, Membership: l.membershipFor(p)})\n", ""},
		},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "newleader-end-unchecked", Bug: "a learner accepts NEWLEADER whatever it has received before",
		IDs:     []string{"H-22", "I9", "ZK-3104"},
		Edits:   []Edit{{"zab/learner_sync.go", "\tcase m.Point.ID != l.last.ID:\n\t\tl.resync(fmt.Sprintf(\"NEWLEADER", "\tcase m.Point.ID < 0:\n\t\tl.resync(fmt.Sprintf(\"NEWLEADER"}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "first-entry-unchecked", Bug: "the first entry of a message need not follow the history",
		IDs: []string{"H-13", "H-14", "ZK-2099", "ZK-4925"}, Listed: "no prevZxid check on first proposal",
		Edits:   []Edit{{"zab/learner_sync.go", `err := e.Check(last); err != nil {`, `err := e.Check(last); i > 0 && err != nil {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "skip-trunc", Bug: "a TRUNC is acknowledged and not carried out",
		IDs:     []string{"H-01", "I2"},
		Edits:   []Edit{{"zab/learner_sync.go", `case l.mode == SyncTrunc && from != d.History.Last():`, `case l.mode == SyncTrunc && from == d.History.Last():`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "trunc-in-the-log-only", Bug: "the log says that it has cut its end, and keeps the entries",
		IDs: []string{"H-02", "H-06", "ZK-2832"},
		Edits: []Edit{{
			"zab/txnlog/encode.go", `l.batch.DeleteRange(logKey(gen, last.ID+1), logKey(gen+1, 0), nil)`,
			`l.batch.DeleteRange(logKey(gen+1, 0), logKey(gen+1, 0), nil)`,
		}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "tree-ahead-accepted", Bug: "after a cut of the log the tree may hold what was cut off",
		IDs: []string{"H-01", "I14", "ZK-1549"}, Listed: "TRUNC keeps base",
		Edits:   []Edit{{"server/node/stores.go", `	case applied.ID > history.Last().ID:`, `	case applied.ID < 0:`}},
		Killers: []Trial{{Suite: "node", Run: "Tree"}},
	},
	{
		Name: "trunc-point-unknown", Bug: "a learner lets itself be cut to a point that it does not hold",
		IDs:     []string{"H-02", "ZK-2832"},
		Edits:   []Edit{{"zab/learner_sync.go", `	if !l.history.Holds(m.Point.ID) {`, `	if m.Point.ID < 0 {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "committed-cut-off", Bug: "a learner lets a TRUNC undo what is committed",
		IDs:     []string{"H-18", "I11"},
		Edits:   []Edit{{"zab/learner_sync.go", `	if m.Point.ID < l.cfg.Durable.Committed {`, `	if m.Point.ID < 0 {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "snap-keeps-log", Bug: "the installation of a snapshot leaves the older log where it is",
		IDs: []string{"H-07", "ZK-2872"}, Listed: "SNAP keeps old log",
		Edits:   []Edit{{"zab/txnlog/encode.go", `l.batch.DeleteRange(logKey(0, 0), end, nil)`, `l.batch.DeleteRange(end, end, nil)`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "snap-before-log", Bug: "the tree is replaced by a snapshot before the log is",
		IDs: []string{"H-08", "H-92", "ZK-3642"},
		Edits: []Edit{{
			"quorum/peer/settle.go", "t.installPoint, t.installToken = *step.Install, step.Token\n",
			"t.installPoint, t.installToken = *step.Install, step.Token\n\t\tif err := t.install(); err != nil {\n\t\t\treturn err\n\t\t}\n",
		}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "wrong-common-point", Bug: "the plan takes a point that only one of the histories holds for common",
		IDs:     []string{"H-32", "ZK-4352"},
		Edits:   []Edit{{"zab/plan.go", `if hi := min(p.hi, q.hi); hi >= max(p.lo, q.lo) {`, `if hi := max(p.hi, q.hi); hi >= max(p.lo, q.lo) {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "uncommitted-to-observers", Bug: "an observer is sent history that is not committed",
		IDs:     []string{"H-31", "ZK-2846"},
		Edits:   []Edit{{"zab/leader_sync.go", "\tif !p.follower {\n\t\tp.end, _ = l.win.point(l.committed)\n\t}", ""}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "uncommitted-from-disk", Bug: "a stream from disk goes beyond what is committed",
		IDs:     []string{"H-31", "ZK-2846"},
		Edits:   []Edit{{"zab/leader_sync.go", `return min(l.committed, l.me.acked)`, `return l.me.acked`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "pin-ignored", Bug: "the log is trimmed under the feet of who reads it",
		IDs:     []string{"H-19", "ZK-2420"},
		Edits:   []Edit{{"zab/txnlog/read.go", `upTo = min(upTo, *p)`, `upTo = max(upTo, *p)`}},
		Killers: []Trial{{Suite: "txnlog"}},
	},
	{
		Name: "hole-in-the-window", Bug: "the window of recent entries forgets where it begins",
		IDs:     []string{"H-14", "ZK-4925"},
		Edits:   []Edit{{"zab/window.go", "\t\tw.start = e.Point()\n", "\t\tif w.head%2 == 0 {\n\t\t\tw.start = e.Point()\n\t\t}\n"}},
		Killers: []Trial{{Suite: "zab"}},
	},
}
