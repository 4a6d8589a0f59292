package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// direction of a packet on a link.
type direction int

const (
	toAcceptor direction = iota
	toDialer
)

// link is a learner's link to a leader: FIFO in each direction, until it ends.
type link struct {
	net      *network
	id       uint64
	ends     [2]*process // [toAcceptor], [toDialer]: who receives in that direction
	sids     [2]int
	queue    [2][]packet
	pumping  [2]bool
	left     [2]bool // this end has hung up, or was told of the end
	accepted bool
	broken   bool // by a reset: nothing goes through any more but the word of it
	waits    int
	stage    [2]stage // what was said in that direction (I-17)
}

// packet is what travels in one piece.
type packet struct {
	kind evKind // evLinkUp, evReceived, evLinkDown
	msgs []zab.Message
}

// dial begins to connect a learner to a leader.
func (net *network) dial(from *process, to quorum.SID) *link {
	net.seq++
	l := &link{net: net, id: net.seq, sids: [2]int{int(to), int(from.sid)}}
	l.ends[toDialer] = from
	net.links = append(net.links, l)
	l.retry()
	return l
}

func (l *link) retry() {
	wait := min(10*time.Millisecond<<min(l.waits, 5), 200*time.Millisecond)
	if l.waits == 0 {
		wait = 0
	}
	l.waits++
	l.net.s.after(wait+l.net.latency(l.sids[1], l.sids[0]), func() {
		if l.left[toDialer] || l.accepted {
			return
		}
		to := l.net.s.servers[l.sids[toAcceptor]-1].proc
		if !to.alive() || !l.net.open(l.sids[0], l.sids[1]) {
			l.retry()
			return
		}
		l.accepted, l.ends[toAcceptor] = true, to
		l.put(toAcceptor, packet{kind: evLinkUp})
		l.put(toDialer, packet{kind: evLinkUp})
	})
}

// send queues messages from one end.
func (l *link) send(to direction, msgs []zab.Message) {
	if l.accepted && !l.broken && !l.left[1-to] {
		l.put(to, packet{kind: evReceived, msgs: msgs})
	}
}

func (l *link) put(to direction, p packet) {
	l.queue[to] = append(l.queue[to], p)
	l.pump(to)
}

// pump carries the next packet if nothing is in its way.
func (l *link) pump(to direction) {
	if l.pumping[to] || len(l.queue[to]) == 0 || l.blocked(to) {
		return
	}
	l.pumping[to] = true
	l.net.s.after(l.net.latency(l.sids[1-to], l.sids[to]), func() {
		l.pumping[to] = false
		if l.blocked(to) || len(l.queue[to]) == 0 {
			return
		}
		n := 1 + l.net.s.rng.IntN(len(l.queue[to]))
		for range n {
			if len(l.queue[to]) == 0 {
				break // the link ended meanwhile
			}
			p := l.queue[to][0]
			l.queue[to] = l.queue[to][1:]
			l.deliver(to, p)
		}
		l.pump(to)
	})
}

// blocked reports whether nothing can pass; what an end must be told of itself is not.
func (l *link) blocked(to direction) bool {
	return l.net.blocked[l.sids[1-to]][l.sids[to]] > 0
}

func (l *link) deliver(to direction, p packet) {
	end := l.ends[to]
	if l.left[to] || !end.alive() {
		return
	}
	if p.kind == evLinkDown {
		l.left[to] = true
		l.net.prune()
	}
	for i := range p.msgs {
		l.legal(to, &p.msgs[i])
		l.net.s.trace(end.server, line{label: labelRecv, peer: quorum.SID(l.sids[1-to]), msg: &p.msgs[i]})
	}
	end.put(message{kind: p.kind, link: l, sid: quorum.SID(l.sids[1-to]), msgs: p.msgs})
}

// hangup ends the link from one side: the other hears of it behind what is in
// flight, or instead of it.
func (l *link) hangup(p *process) {
	side := toDialer
	if l.ends[toAcceptor] == p {
		side = toAcceptor
	}
	if l.left[side] {
		return
	}
	l.left[side] = true
	l.queue[side] = nil
	if l.accepted {
		l.end(1-side, l.net.s.chance(0.5))
	}
	l.net.prune()
}

// end tells one side that the link is over.
func (l *link) end(to direction, flush bool) {
	if !flush {
		l.queue[to] = nil
	}
	l.put(to, packet{kind: evLinkDown})
}

// reset breaks the links between two servers; both sides hear of it at once, whatever
// is blocked.
func (net *network) reset(a, b int) {
	for _, l := range net.links {
		if l.sids != [2]int{a, b} && l.sids != [2]int{b, a} || !l.accepted {
			continue
		}
		l.broken = true
		for _, to := range []direction{toAcceptor, toDialer} {
			l.queue[to] = nil
			net.s.after(net.latency(l.sids[1-to], l.sids[to]), func() { l.deliver(to, packet{kind: evLinkDown}) })
		}
	}
}

// died ends the links of a process.
func (net *network) died(p *process, power bool) {
	for _, l := range net.links {
		for _, side := range []direction{toAcceptor, toDialer} {
			if l.ends[side] != p || l.left[side] {
				continue
			}
			l.left[side] = true
			l.queue[side] = nil
			if !l.accepted {
				continue
			}
			other := 1 - side
			if power {
				n := len(l.queue[other])
				l.queue[other] = l.queue[other][:net.s.rng.IntN(n+1)]
			}
			silence := time.Duration(0)
			if power && net.s.chance(0.5) {
				silence = net.s.between(100*time.Millisecond, 4*time.Second)
			}
			net.s.after(silence, func() { l.end(other, true) })
		}
	}
	for peer := 1; peer <= net.n; peer++ {
		net.slots[p.sid][peer].any, net.slots[p.sid][peer].waiting = false, false
	}
}

// prune forgets links that are over.
func (net *network) prune() {
	if len(net.links) < 64 {
		return
	}
	kept := net.links[:0:0]
	for _, l := range net.links {
		if !l.over() {
			kept = append(kept, l)
		}
	}
	net.links = kept
}

func (l *link) over() bool {
	for _, side := range []direction{toAcceptor, toDialer} {
		if !l.left[side] && l.ends[side].alive() {
			return false
		}
	}
	return true
}
