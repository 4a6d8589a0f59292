package peer

import "errors"

// HandOver ends the leadership that was given generation by Leading, if the others that are
// synchronised can elect somebody else, and lets them: this server does not stand for the next
// election. Otherwise nothing happens. reason is for the log.
func (p *Peer) HandOver(generation uint64, reason string) {
	p.inbox.put(event{kind: evHandOver, generation: generation, err: errors.New(reason)})
}

// handOver carries HandOver out.
func (t *tenure) handOver(e event) {
	if t.leader == nil || e.generation != t.generation {
		return
	}
	p := t.p
	others := t.leader.Synced().And(p.members.Voters())
	if !p.members.HasQuorum(others) {
		return
	}
	t.reason = e.err.Error()
	p.abstain(2 * electionTicks(p.cfg.TickTime))
}
