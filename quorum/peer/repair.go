package peer

import "errors"

// Repair says that the state of this server is not what the history makes of it: its role ends, it asks
// its next leader for a snapshot, and stands back in elections until it has one. reason is for the
// log.
func (p *Peer) Repair(reason string) {
	p.inbox.put(event{kind: evRepair, err: errors.New(reason)})
}

// repair ends a role because of Repair.
func (t *tenure) repair(e event) {
	t.p.spoil()
	t.reason = e.err.Error()
}

// spoil notes that the state of this server is wrong.
func (p *Peer) spoil() { p.spoilt, p.stoodBack = true, false }
