package mutants

// election holds the bugs of elections and of quorums.
var election = []Mutant{
	{
		Name: "half-is-enough", Bug: "half of an even number of voters is a quorum",
		IDs: []string{"I16"}, Listed: "majority computed with >=",
		Edits:   []Edit{{"quorum/verifier.go", `need: voters.Len()/2 + 1}`, `need: (voters.Len() + 1) / 2}`}},
		Killers: []Trial{{Suite: "quorum"}},
	},
	{
		Name: "observer-counted", Bug: "an observer's word counts in a majority",
		IDs: []string{"H-49", "ZK-764"}, Listed: "observer counted",
		Edits:   []Edit{{"quorum/verifier.go", `n := s.And(m.voters).Len()`, `n := s.Len()`}},
		Killers: []Trial{{Suite: "quorum"}},
	},
	{
		Name: "weight-ignored", Bug: "in groups every server weighs the same",
		IDs:     []string{"H-50", "I16"},
		Edits:   []Edit{{"quorum/verifier.go", `sum += w.Weight`, `sum++`}},
		Killers: []Trial{{Suite: "quorum"}},
	},
	{
		Name: "untrusted-votes", Bug: "a server whose store lost something votes like any other",
		IDs: []string{"H-51", "H-18", "ZK-261"}, Listed: "zxid -1 server votes",
		Edits: []Edit{{
			"fle/step.go", `case n.State == Looking && m.own.Zxid == zxid.Untrusted && m.role == quorum.Participant:`,
			`case n.State == Looking && m.own.Zxid < zxid.Untrusted && m.role == quorum.Participant:`,
		}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "untrusted-elects-itself", Bug: "a lone server whose store lost something elects itself",
		IDs: []string{"H-51", "ZK-261"},
		Edits: []Edit{{
			"fle/machine.go", `return m.own.Zxid != zxid.Untrusted && m.role == quorum.Participant`,
			`return m.role == quorum.Participant`,
		}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "untrusted-leads", Bug: "a server whose store lost something leads if it is elected",
		IDs:     []string{"H-51", "H-18"},
		Edits:   []Edit{{"zab/leader.go", `case d.Untrusted || cfg.Distrusted.Has(cfg.Self):`, `case cfg.Distrusted.Has(cfg.Self):`}},
		Killers: []Trial{{Suite: "zab"}},
	},
	{
		Name: "older-copy-counts", Bug: "a voter on an older copy of its disk counts under the next leader",
		IDs:     []string{"H-41"},
		Edits:   []Edit{{"zab/trust.go", `last >= l.known[i].Acked`, `l.known[i].Acked >= 0`}},
		Killers: []Trial{{Suite: "zab"}, {Suite: "peer"}},
	},
	{
		Name: "adopted-is-doubted", Bug: "who was away when a new store was adopted never believes it",
		IDs:     []string{"H-40"},
		Edits:   []Edit{{"zab/types.go", `&& noted <= d.Known[i].Noted`, `&& noted >= 0`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "observer-keeps-its-round", Bug: "a voter ignores the later round of another one that votes for nobody who could lead",
		IDs:     []string{"H-82", "L1"},
		Edits:   []Edit{{"fle/step.go", `		if n.State == Looking && m.counts(n.From) {`, `		if n.State == Looking && n.Vote.Leader == quorum.None && m.counts(n.From) {`}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "always-answered", Bug: "two servers that disagree of a vote answer each other as fast as the network can",
		IDs:     []string{"H-82"},
		Edits:   []Edit{{"fle/step.go", "	if m.answered.Has(sid) {\n", "	if false {\n"}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "no-hearsay", Bug: "nobody votes for a server that only a pending configuration makes a voter, without having seen that",
		IDs:     []string{"H-82"},
		Edits:   []Edit{{"fle/step.go", "	m.hearOf(n.Pending)\n", ""}},
		Killers: []Trial{{Suite: "fle"}, {Suite: "peer"}},
	},
	{
		Name: "ghost-leader", Bug: "followers of a dead leader are believed without its own word",
		IDs:     []string{"H-42", "ZK-975"},
		Edits:   []Edit{{"fle/vote.go", `return ok && b.state == Leading`, `return ok || b.state != Leading`}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "zxid-before-epoch", Bug: "votes are ordered by zxid before epoch",
		IDs: []string{"H-43", "ZK-1419"},
		Edits: []Edit{{
			"fle/vote.go", "cmp.Compare(v.Epoch, w.Epoch),\n\t\tcmp.Compare(v.Zxid, w.Zxid),",
			"cmp.Compare(v.Zxid, w.Zxid),\n\t\tcmp.Compare(v.Epoch, w.Epoch),",
		}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "partial-vote-order", Bug: "servers with equal histories do not agree on who is better",
		IDs:     []string{"H-43", "ZK-1419"},
		Edits:   []Edit{{"fle/vote.go", `		cmp.Compare(v.Leader, w.Leader),`, `		cmp.Compare(v.Leader%2, w.Leader%2),`}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "old-round-counts", Bug: "a vote of an earlier round is counted",
		IDs:     []string{"H-42"},
		Edits:   []Edit{{"fle/step.go", `	case n.Round < m.round:`, `	case n.Round < m.round && m.round < 2:`}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "settled-votes-differ", Bug: "a server that comes later wants settled votes to be equal in every field",
		IDs: []string{"H-44", "ZK-1732"},
		Edits: []Edit{{
			"fle/vote.go", `return b.vote.Leader == c.vote.Leader && b.vote.Epoch == c.vote.Epoch`, `return b.vote == c.vote`,
		}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "settled-vote-keeps-epoch", Bug: "who has settled goes on naming the epoch before",
		IDs:     []string{"H-44", "ZK-1732"},
		Edits:   []Edit{{"quorum/peer/settle.go", `	vote.Epoch = epoch // so`, `	// so`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "vote-from-memory", Bug: "a vote names what was applied, not the end of the log",
		IDs: []string{"H-27", "ZK-2845"},
		Edits: []Edit{{
			"quorum/peer/peer.go", `own := fle.Vote{Leader: p.cfg.Self, Zxid: d.History.Last().ID,`,
			`own := fle.Vote{Leader: p.cfg.Self, Zxid: p.delivered,`,
		}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "stranded-leader-waits", Bug: "a leader whose quorum has left before the epoch began waits for initLimit",
		IDs:     []string{"H-45", "ZK-3109"},
		Edits:   []Edit{{"zab/leader_liveness.go", `return l.phase == Synchronization && !l.view`, `return l.phase == Stopped && !l.view`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "never-stands-back", Bug: "who is elected again and again, and never gets a quorum, stands each time",
		IDs:     []string{"H-55"},
		Edits:   []Edit{{"quorum/peer/abstain.go", `if p.failures >= 2 {`, `if p.failures < 0 {`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "stands-back-longer-each-time", Bug: "the time for which a server stands back grows with each election in vain",
		IDs:     []string{"H-55"},
		Edits:   []Edit{{"quorum/peer/abstain.go", `min(p.failures, maxAbstention)`, `max(p.failures, maxAbstention)`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "lost-quorum-is-failure", Bug: "a leader that loses its quorum twice stands back, though it had led",
		IDs:     []string{"H-55"},
		Edits:   []Edit{{"quorum/peer/tenure.go", `p.learnFrom(t.leader != nil, t.settled)`, `p.learnFrom(t.leader != nil, t.phase == zab.Broadcast)`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "elected-while-abstaining", Bug: "who begins to abstain in the midst of an election is elected all the same, and does not lead",
		IDs:     []string{"H-55"},
		Edits:   []Edit{{"fle/machine.go", `	if m.abstains() {`, `	if m.abstains() && m.state != Looking {`}},
		Killers: []Trial{{Suite: "fle"}},
	},
	{
		Name: "turn-never-comes", Bug: "what a server stands back for goes by only while it looks for a leader",
		IDs:     []string{"H-55", "L1"},
		Edits:   []Edit{{"fle/machine.go", `m.abstain = max(0, m.abstain-ticks)`, `m.abstain = max(m.abstain, 0*ticks)`}},
		Killers: []Trial{{Suite: "fle"}, {Suite: "peer"}},
	},
	{
		Name: "stands-back-for-ever", Bug: "a server whose tree is wrong stands back anew in every election",
		IDs:     []string{"H-55", "L1"},
		Edits:   []Edit{{"quorum/peer/abstain.go", `if p.spoilt && !p.stoodBack {`, `if p.spoilt {`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "stands-back-once", Bug: "a server whose tree is wrong is elected again, behind a leader that could not help it",
		IDs:     []string{"H-78"},
		Edits:   []Edit{{"quorum/peer/abstain.go", `		p.stoodBack = false`, `		p.stoodBack = p.spoilt`}},
		Killers: []Trial{{Suite: "peer"}},
	},
	{
		Name: "adoption-begins-again", Bug: "a wiped voter that was cut off while it was adopted is voided once more",
		IDs:     []string{"H-40"},
		Edits:   []Edit{{"zab/trust.go", `if v.joining = true; v.adopted == 0 {`, `if v.joining, v.adopted = true, 0; v.adopted == 0 {`}},
		Killers: []Trial{{Suite: "zab"}},
	},
}
