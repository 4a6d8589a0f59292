package mutants

// sessions holds the bugs of sessions.
var sessions = []Mutant{
	{
		Name: "touch-revives", Bug: "a sign of life revives a session that is being closed",
		IDs: []string{"H-71", "I15"}, Listed: "touch after close",
		Edits:   []Edit{{"server/session/tracker.go", "\tif !ok || e.closing {\n\t\treturn\n\t}\n", "\tif !ok {\n\t\treturn\n\t}\n\te.closing = false\n"}},
		Killers: []Trial{{Suite: "session"}},
	},
	{
		Name: "closing-goes-on", Bug: "requests behind the end of a session are let through",
		IDs:     []string{"H-68", "H-71"},
		Edits:   []Edit{{"server/session/tracker.go", "\tcase !ok || e.closing:\n\t\treturn Expired", "\tcase !ok:\n\t\treturn Expired"}},
		Killers: []Trial{{Suite: "session"}},
	},
	{
		Name: "expiry-by-wall-clock", Bug: "sessions expire by the time of day",
		IDs: []string{"H-77", "H-71", "ZK-1366"}, Listed: "session deadline by wall clock",
		Edits: []Edit{
			{"server/primary.go", "\tlastTick time.Time\n", "\tlastTick time.Time\n\twall     int64\n"},
			{
				"server/primary.go", "\tp.expired = append(p.expired, p.sessions.Tick()...)\n",
				"\twall := cfg.Now().UnixNano() / int64(cfg.TickTime)\n\tif p.wall == 0 {\n\t\tp.wall = wall - 1\n\t}\n\tfor ; p.wall < wall; p.wall++ {\n\t\tp.expired = append(p.expired, p.sessions.Tick()...)\n\t}\n",
			},
		},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "pause-blamed-on-clients", Bug: "after a pause of the leader sessions get no extra time",
		IDs:     []string{"H-71", "H-77"},
		Edits:   []Edit{{"server/session/tracker.go", `	t.now -= int64(max(ticks, 0))`, `	t.now -= int64(min(ticks, 0))`}},
		Killers: []Trial{{Suite: "session"}},
	},
	{
		Name: "moved-connection-writes", Bug: "the connection that a session has left still writes",
		IDs:     []string{"H-70", "ZK-710"},
		Edits:   []Edit{{"server/session/tracker.go", "\tcase e.owned && e.owner != owner:\n\t\treturn Moved\n", ""}},
		Killers: []Trial{{Suite: "session"}},
	},
	{
		Name: "left-connection-stays", Bug: "the connection that a session has left on this server is not closed",
		IDs:     []string{"H-70", "ZK-710"},
		Edits:   []Edit{{"server/handshake.go", `old.kill("the session has a newer connection")`, `_ = old`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "expired-connection-stays", Bug: "the connection of a session that has expired is not closed",
		IDs:     []string{"I15"},
		Edits:   []Edit{{"server/applier.go", `c.kill("the session is closed or expired")`, `_ = c`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "password-unchecked", Bug: "a session is renewed without its password",
		IDs:     []string{"H-69"},
		Edits:   []Edit{{"server/handshake.go", `	if !proto.CheckPassword(id, passwd) {`, `	if len(passwd) == 0 {`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "timeouts-forgotten", Bug: "a new leader expires the sessions of the one before at once",
		IDs:     []string{"H-71"},
		Edits:   []Edit{{"server/primary.go", `		p.sessions.Restore(id, timeout)`, `		p.sessions.Restore(id, timeout-timeout)`}},
		Killers: []Trial{{Suite: "server", Run: "TestScripts$"}},
	},
	{
		Name: "orphans-stay", Bug: "ephemeral nodes without a session are not removed",
		IDs:     []string{"H-96"},
		Edits:   []Edit{{"server/primary.go", `			p.expired = append(p.expired, owner)`, `			_ = owner`}},
		Killers: []Trial{{Suite: "server", Run: "Orphan"}},
	},
	{
		Name: "wiped-twice-same-ids", Bug: "a server that is wiped twice gives the same ids to sessions both times",
		IDs:     []string{"H-69"},
		Edits:   []Edit{{"server/sessionids.go", `ids.beyond(number+idMargin), true`, `(number+idMargin)%idNumbers, true`}},
		Killers: []Trial{{Suite: "server", Run: "SessionIDs"}},
	},
}
