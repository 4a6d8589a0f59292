package mutants

// watches holds the bugs of watches.
var watches = []Mutant{
	{
		Name: "reply-before-event", Bug: "the reply to a write comes before the event that it causes",
		IDs: []string{"I15"},
		Edits: []Edit{
			{"server/applier.go", "\tfor i := range st.result.Triggers {\n\t\ta.fire(&st.result.Triggers[i], st.txn.Zxid)\n\t}\n\tif st.conn != nil {\n\t\ta.reply(st.conn, st)\n\t}\n", "\tif st.conn != nil {\n\t\ta.reply(st.conn, st)\n\t}\n\tfor i := range st.result.Triggers {\n\t\ta.fire(&st.result.Triggers[i], st.txn.Zxid)\n\t}\n"},
		},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "read-before-event", Bug: "a read that waited for a write is answered before the event of the write",
		IDs: []string{"I15"},
		Edits: []Edit{
			{"server/applier.go", "\tfor i := range a.batch {\n\t\ta.finish(&a.batch[i])\n\t}\n", "\tfor i := range a.batch {\n\t\tif c := a.batch[i].conn; c != nil {\n\t\t\ta.reply(c, &a.batch[i])\n\t\t\tc.mu.Lock()\n\t\t\tc.runReady(softOutput)\n\t\t\tc.mu.Unlock()\n\t\t\ta.batch[i].conn = nil\n\t\t}\n\t\ta.finish(&a.batch[i])\n\t}\n"},
		},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "recursive-misses-root", Bug: "a recursive watch on the root does not see what is below",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watch/fire.go", `	if i < 0 || len(t.path) == 1 {`, `	if i <= 0 {`}},
		Killers: []Trial{{Suite: "watch"}},
	},
	{
		Name: "recursive-misses-grandchildren", Bug: "a recursive watch sees one level",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watch/fire.go", "\tt.path = t.path[:max(i, 1)]\n", "\tt.path, t.here = t.path[:max(i, 1)], true\n"}},
		Killers: []Trial{{Suite: "watch"}},
	},
	{
		Name: "persistent-fires-once", Bug: "a persistent watch is gone when it has fired",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watch/fire.go", "\t\tif rec.kind() != inTree {\n\t\t\tr.unmark(i, standard)", "\t\tif rec.kind() != inTree {\n\t\t\tr.unmark(i, allMarks)"}},
		Killers: []Trial{{Suite: "watch"}},
	},
	{
		Name: "one-watcher-dropped", Bug: "of several watchers of a node one is left out",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watch/fire.go", "\t\t\tif len(r.found) >= limit {", "\t\t\tif len(r.found) == 2 {\n\t\t\t\tbreak\n\t\t\t}\n\t\t\tif len(r.found) >= limit {"}},
		Killers: []Trial{{Suite: "watch"}},
	},
	{
		Name: "missed-data-forgotten", Bug: "setWatches does not tell that data has changed meanwhile",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watches.go", `	case kind == rearmData && n.Mzxid > since:`, `	case kind == rearmData && n.Mzxid < 0:`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "missed-children-forgotten", Bug: "setWatches does not tell that children have come and gone meanwhile",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watches.go", `	case kind == rearmChild && n.Pzxid > since:`, `	case kind == rearmChild && n.Pzxid < 0:`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "event-for-strangers", Bug: "an event is told to who may not read the node",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watches.go", `if !znode.Allowed(b.trigger.ACL, proto.PermRead, c.who.Load().judged) {`, `if !znode.Allowed(b.trigger.ACL, proto.PermAll, c.who.Load().judged) {`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "delete-told-twice", Bug: "who watches data and children of a node hears twice of its deletion",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/watches.go", `if b.trigger.SkipPrevious && previous == b.number-1 {`, `if b.trigger.SkipPrevious && previous == b.number {`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
}
