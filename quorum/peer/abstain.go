package peer

import "time"

// abstain keeps this server from standing for election for a while, which begins now.
func (p *Peer) abstain(ticks int) {
	p.elapse()
	p.fle.Abstain(ticks)
}

// elapse tells the election of the time that went by since it heard of that last: its ticks come only
// while this server looks for a leader.
func (p *Peer) elapse() {
	now := time.Now()
	p.fle.Skip(int(now.Sub(p.ticked) / electionTick))
	p.ticked = now
}

// maxAbstention is how many ticks beside the first one a server stands back at most, however often it has led in
// vain: when the network is whole again it may be the one that is needed.
const maxAbstention = 8

// learnFrom keeps a server that is elected again and again but never gets a quorum
// behind it from standing in the way of one that would (hazard H-55), and counts how often
// a learner was not let in.
func (p *Peer) learnFrom(led, established bool) {
	p.refusals++
	if led || established {
		p.refusals = 0
	}
	if established {
		p.stoodBack = false
	}
	if !led || established {
		p.failures = 0
		return
	}
	p.failures++
	if p.failures >= 2 {
		ticks := electionTicks(p.cfg.TickTime)
		p.abstain(ticks + int(p.cfg.Rand.Uint32()%uint32(ticks*min(p.failures, maxAbstention)+1)))
	}
}

// standBack lets others lead who have a state that is right. It is for so long only as an election
// needs, and not again before somebody leads: if nobody else can, this server's history is needed, and that is
// right.
func (p *Peer) standBack() {
	if p.spoilt && !p.stoodBack {
		p.stoodBack = true
		p.abstain(2 * electionTicks(p.cfg.TickTime))
	}
}
