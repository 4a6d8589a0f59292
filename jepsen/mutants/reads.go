package mutants

// reads holds the bugs of reads, syncs and replies.
var reads = []Mutant{
	{
		Name: "own-write-unseen", Bug: "a read does not wait for the writes of its own session",
		IDs: []string{"H-61", "I15"}, Listed: "release read before own write",
		Edits:   []Edit{{"server/requests.go", `	if c.queued.Load() > 0 {`, `	if c.queued.Load() > 0 && r.op == proto.OpPing {`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "read-in-the-batch", Bug: "a read sent before a write shows the write",
		IDs:     []string{"H-61", "I15"},
		Edits:   []Edit{{"server/applier.go", "\t\ta.flush()\n\t\ta.answerAhead(c)\n", "\t\ta.answerAhead(c)\n"}},
		Killers: []Trial{{Suite: "server", Run: "Replies"}},
	},
	{
		Name: "wrong-request-answered", Bug: "a transaction answers whatever request of the session is next",
		IDs:     []string{"H-61"},
		Edits:   []Edit{{"server/applier.go", `	if r.xid != txn.Cxid ||`, `	if r.xid < 0 ||`}},
		Killers: []Trial{{Suite: "server", Run: "Foreign"}},
	},
	{
		Name: "zxid-falls", Bug: "the header of a read names an older zxid than was shown before",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/reads.go", `Zxid: c.s.tree.applied, Err: r.code}`, `Zxid: c.s.tree.applied - 1, Err: r.code}`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "back-in-time", Bug: "a server takes a client that has seen more than it has",
		IDs:     []string{"H-62"},
		Edits:   []Edit{{"server/tree.go", `	if z <= t.applied {`, `	if z >= 0 {`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "sync-at-once", Bug: "a leader answers a sync without asking whether it still leads",
		IDs:     []string{"H-63", "ZK-1675"},
		Edits:   []Edit{{"zab/leader_answers.go", `a.round = l.round + 1`, `a.round = 0`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "sync-by-an-old-round", Bug: "a sync is answered by a confirmation that began before it",
		IDs:     []string{"H-63", "ZK-1675"},
		Edits:   []Edit{{"zab/leader_answers.go", `a.round = l.round + 1`, `a.round = max(l.round, 1)`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "sync-before-commits", Bug: "the answer to a sync overtakes the commits before it",
		IDs:     []string{"H-63"},
		Edits:   []Edit{{"zab/learner.go", `l.answers[n].after <= l.delivered {`, `l.answers[n].after >= 0 {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "linear-read-joins-late", Bug: "a linearizable read is answered by a sync that began before it arrived",
		IDs:     []string{"H-63"},
		Edits:   []Edit{{"server/readindex.go", `	c.joined = x.begun.Load() + 1`, `	c.joined = x.begun.Load()`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "unreadable-forwarded", Bug: "a write that cannot be read is passed on to the leader",
		IDs:     []string{"H-67"},
		Edits:   []Edit{{"server/requests.go", `	if !wellFormed(r.op, body) {`, `	if len(body) == 0 {`}},
		Killers: []Trial{{Suite: "server", Run: "Scripts$|Defect|Hostile"}},
	},
}
