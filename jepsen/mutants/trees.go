package mutants

// trees holds the bugs of the rules of the tree.
var trees = []Mutant{
	{
		Name: "multi-half-done", Bug: "the operations of a multi before the one that fails are carried out",
		IDs: []string{"H-90"},
		Edits: []Edit{
			{"znode/prepare.go", `failMulti(txns, i, code)`, `failMulti(txns[i:], 0, code)`},
			{"znode/apply.go", `if failed, ok := body.Txns[k].Body.(*proto.ErrorTxn); ok {`, `if failed, ok := body.Txns[k].Body.(*proto.ErrorTxn); ok && k == 0 {`},
		},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "failed-multi-remembered", Bug: "a multi that failed leaves its traces in what is pending",
		IDs:     []string{"H-90"},
		Edits:   []Edit{{"znode/prepare.go", `p.pending.endUndo(true)`, `p.pending.endUndo(false)`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "cversion-stands-still", Bug: "a parent does not count the children created",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/apply.go", `	parent.Created = max(parent.Created, created)`, `	parent.Created = min(parent.Created, created)`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "pzxid-stands-still", Bug: "a deletion does not move the parent's pzxid",
		IDs:     []string{"I14", "ZK-3249"},
		Edits:   []Edit{{"znode/apply.go", "\tparent.Pzxid = z\n", ""}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "sequence-reused", Bug: "sequential nodes are numbered by how many children there are",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/prepare_ops.go", `path = appendSequence(path, parent.created)`, `path = appendSequence(path, parent.children)`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "pending-unseen", Bug: "a write is judged without those before it that are not applied yet",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/prepare.go", "\tif e := p.pending.nodes[path]; e != nil {\n\t\treturn e.nodeState", "\tif e := p.pending.nodes[path]; e != nil && !e.exists {\n\t\treturn e.nodeState"}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "version-unchecked", Bug: "setData takes any version",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/prepare_ops.go", "\t\treturn nil, proto.CodeQuotaExceeded\n\tcase !versionMatches(node.version, r.Version):", "\t\treturn nil, proto.CodeQuotaExceeded\n\tcase r.Version < proto.AnyVersion:"}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "delete-unasked", Bug: "a deletion asks for no permission",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/prepare_ops.go", `	case !p.allowed(&parent, proto.PermDelete):`, `	case !p.allowed(&parent, proto.PermAll):`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "quota-ignored", Bug: "a hard quota on the number of nodes limits nothing",
		IDs:     []string{"I14"},
		Edits:   []Edit{{"znode/prepare_ops.go", `p.exceedsQuota(path, 1, len(n.data))`, `p.exceedsQuota(path, 0, len(n.data))`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "large-transaction", Bug: "a transaction may be larger than what followers can read",
		IDs:     []string{"H-67", "ZK-4882"},
		Edits:   []Edit{{"znode/prepare_ops.go", "\tif sizeBody(txn) > p.room {\n\t\treturn nil, proto.CodeMarshallingError\n\t}\n\tparent.children++", "\tparent.children++"}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "ephemerals-survive", Bug: "the end of a session leaves its ephemeral nodes",
		IDs: []string{"H-68", "I15", "ZK-1367"},
		Edits: []Edit{
			{"znode/apply.go", `_ = c.remove(path, t.Zxid) // one that is gone is as it should be`, `_ = path`},
			{"znode/apply.go", `_ = c.remove(path, t.Zxid) // it is there: it was just listed`, `_ = path`},
		},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "ephemeral-of-the-dead", Bug: "an ephemeral node is created behind the end of its session",
		IDs:     []string{"H-68", "ZK-1367"},
		Edits:   []Edit{{"znode/prepare_ops.go", `	case n.mode.Ephemeral() && !p.live(p.request.Session):`, `	case n.mode.Ephemeral() && p.request.Session < 0:`}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "session-id-reused", Bug: "a session is created under the id of a living one",
		IDs:     []string{"H-69", "ZK-3113"},
		Edits:   []Edit{{"znode/prepare.go", "\tif p.live(id) {\n", "\tif p.live(id) && !isSession(id) {\n"}},
		Killers: []Trial{{Suite: "znode"}},
	},
	{
		Name: "divergence-unnoticed", Bug: "nobody compares the digest of the tree with the one that the leader announced",
		IDs:     []string{"H-78", "I14"},
		Edits:   []Edit{{"server/digest.go", `	if difference == st.difference {`, `	if difference == st.difference || a.s.cfg.Digest {`}},
		Killers: []Trial{{Suite: "server", Run: "Diverged|SomethingElse|Announcement|Contested"}},
	},
	{
		Name: "damage-forgiven", Bug: "a server whose files are damaged serves again because its digest is right",
		IDs:     []string{"H-94"},
		Edits:   []Edit{{"server/digest.go", `		if st.suspect && !st.damaged {`, `		if st.suspect {`}},
		Killers: []Trial{{Suite: "server", Run: "DamagedFiles"}},
	},
	{
		Name: "damage-forgotten", Bug: "a restart makes a tree whose files are damaged one like any other",
		IDs:     []string{"H-94"},
		Edits:   []Edit{{"server/doubt.go", `	case st.noted == Damaged:`, `	case st.noted > Damaged:`}},
		Killers: []Trial{{Suite: "server", Run: "DamageIsRemembered"}},
	},
	{
		Name: "doubt-alone", Bug: "a server that is alone serves a tree that it was in doubt of",
		IDs:     []string{"H-78"},
		Edits:   []Edit{{"server/node/doubt.go", `judges == nil || judges.Quorum(`, `judges != nil && judges.Quorum(`}},
		Killers: []Trial{{Suite: "node", Run: "InDoubtAndAlone"}},
	},
	{
		Name: "doubtful-copies", Bug: "a leader gives copies of its tree away while nobody knows whose is right",
		IDs:     []string{"H-78"},
		Edits:   []Edit{{"server/suspend.go", `pr != nil && pr.undecided.Load()`, `pr != nil && false`}},
		Killers: []Trial{{Suite: "server", Run: "CopiesAreWithheld"}},
	},
	{
		Name: "divergence-served", Bug: "a server whose tree is not the leader's goes on serving",
		IDs: []string{"H-78"},
		Edits: []Edit{{
			"server/digest.go", `a.suspect("the digest of its tree is not the one that the leader announced")`,
			`a.s.log.Warn().Msg("the digest of its tree is not the one that the leader announced")`,
		}},
		Killers: []Trial{{Suite: "server", Run: "Diverged|SomethingElse|Announcement|Contested"}},
	},
}
