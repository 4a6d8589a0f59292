package peer

import "errors"

// Repair says that the state of this server is not what the history makes of it: its role ends, it asks
// its next leader for a snapshot, and stands back in elections until it has one. reason is for the
// log.
func (p *Peer) Repair(reason string) {
	p.inbox.put(event{kind: evRepair, err: errors.New(reason)})
}

// standBack lets others lead who have a state that is right. It is for so long only as an election
// needs: if nobody else can lead, this server's history is needed, and that is right.
func (p *Peer) standBack() {
	if p.spoilt {
		p.fle.Abstain(2 * electionTicks(p.cfg.TickTime))
	}
}
