package mutants

// members holds the bugs of reconfiguration.
var members = []Mutant{
	{
		Name: "old-quorum-commits", Bug: "a quorum of the old configuration alone commits a reconfiguration",
		IDs:     []string{"H-80", "I16"},
		Edits:   []Edit{{"zab/leader_reconfig.go", `	return l.view.HasQuorum(holders)`, `	return l.view.Committed.Verifier().HasQuorum(holders)`}},
		Killers: []Trial{{Suite: "zab"}, {Suite: "ensembles"}},
	},
	{
		Name: "pending-needs-one-quorum", Bug: "while a reconfiguration is under way the committed configuration decides elections alone",
		IDs:     []string{"H-82", "I16"},
		Edits:   []Edit{{"quorum/membership.go", `return !m.Pending() || m.Seen.Verifier().HasQuorum(s)`, `return m.Pending() || m.Seen.Verifier().HasQuorum(s)`}},
		Killers: []Trial{{Suite: "quorum"}},
	},
	{
		Name: "joiner-not-synchronised", Bug: "a joiner counts for the new configuration before it has the history",
		IDs:     []string{"H-79"},
		Edits:   []Edit{{"zab/leader_reconfig.go", `if p.follower && p.state == linkSynced && l.mayCount(p)`, `if p.follower && l.mayCount(p)`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "two-at-once", Bug: "a reconfiguration begins while another one is under way",
		IDs:     []string{"I19", "H-82"},
		Edits:   []Edit{{"zab/leader_reconfig.go", `	case l.view.Pending() || l.adopting():`, `	case l.adopting():`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "version-unguarded", Bug: "a reconfiguration is made of another configuration than the client named",
		IDs:     []string{"I19"},
		Edits:   []Edit{{"server/node/members.go", `change.CurConfigID != -1 && change.CurConfigID != is {`, `change.CurConfigID > is {`}},
		Killers: []Trial{{Suite: "zktest", Run: "Reconf"}},
	},
	{
		Name: "older-configuration-leads", Bug: "a leader leads a server that knows a later configuration",
		IDs:     []string{"H-86", "I19"},
		Edits:   []Edit{{"zab/leader_discovery.go", `	case m.Config > l.view.Seen.Version():`, `	case m.Config < 0:`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "removed-leader-goes-on", Bug: "a leader that has been removed goes on committing",
		IDs:     []string{"H-81"},
		Edits:   []Edit{{"zab/leader_reconfig.go", "\tif designated != l.self {\n\t\tl.leave(designated)\n\t\treturn\n\t}\n", ""}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "leaving-leader-answers", Bug: "a leader that refuses proposals, since it has to leave, still answers what came behind them",
		IDs:     []string{"H-81"},
		Edits:   []Edit{{"zab/leader_answers.go", `l.phase != Broadcast || l.leaving || to`, `l.phase != Broadcast || to`}},
		Killers: []Trial{{Suite: "zab"}},
	},
}
