package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// network carries what servers say to each other. Servers are numbered from 1.
type network struct {
	s       *simulation
	n       int
	blocked [][]bool          // [from][to]: nothing passes in this direction
	pairs   [][]*pair         // [a][b], a < b: election connections
	slots   [][]letter        // [from][to]: the election's mail
	links   []*link           // not yet over
	seq     uint64            // of links
	ordered [][]time.Duration // [at][peer]: when the last change of a connection is heard
}

// pair is an election connection between two servers.
type pair struct {
	up    bool
	epoch int // counts changes
}

// letter is the newest notification on its way, and the last one sent.
type letter struct {
	note    fle.Notification
	any     bool
	waiting bool
	moving  bool
}

func newNetwork(s *simulation, n int) *network {
	net := &network{s: s, n: n}
	for range n + 1 {
		net.blocked = append(net.blocked, make([]bool, n+1))
		net.pairs = append(net.pairs, make([]*pair, n+1))
		net.slots = append(net.slots, make([]letter, n+1))
		net.ordered = append(net.ordered, make([]time.Duration, n+1))
	}
	for a := 1; a <= n; a++ {
		for b := a + 1; b <= n; b++ {
			net.pairs[a][b] = &pair{}
		}
	}
	return net
}

// latency draws how long a packet travels.
func (net *network) latency() time.Duration {
	if net.s.chance(0.02) {
		return net.s.between(5*time.Millisecond, 120*time.Millisecond)
	}
	return net.s.between(100*time.Microsecond, 3*time.Millisecond)
}

// block closes or opens one direction.
func (net *network) block(from, to int, closed bool) {
	if net.blocked[from][to] == closed {
		return
	}
	net.blocked[from][to] = closed
	net.refresh(from, to)
	if closed {
		if net.s.chance(0.3) {
			net.reset(from, to)
		}
		return
	}
	for _, l := range net.links {
		l.pump(toAcceptor)
		l.pump(toDialer)
	}
}

// open reports whether both directions are open.
func (net *network) open(a, b int) bool { return !net.blocked[a][b] && !net.blocked[b][a] }

// refresh brings the election connection of two servers to what it can be.
func (net *network) refresh(a, b int) {
	if a > b {
		a, b = b, a
	}
	p := net.pairs[a][b]
	can := net.open(a, b) && net.s.servers[a-1].proc.alive() && net.s.servers[b-1].proc.alive()
	p.epoch++
	epoch := p.epoch
	if can == p.up {
		return
	}
	if !can {
		p.up = false
		net.tellReachable(a, b, false)
		net.tellReachable(b, a, false)
		return
	}
	net.s.after(net.s.between(time.Millisecond, 60*time.Millisecond), func() {
		if p.epoch != epoch {
			return
		}
		p.up = true
		net.tellReachable(a, b, true)
		net.tellReachable(b, a, true)
		net.repeat(a, b)
		net.repeat(b, a)
	})
}

// tellReachable tells one end of a connection how it is, in the order of its changes.
func (net *network) tellReachable(at, peer int, up bool) {
	s := net.s
	p := s.servers[at-1].proc
	if !p.alive() {
		return
	}
	d := s.between(100*time.Microsecond, 5*time.Millisecond)
	if !up && s.servers[peer-1].proc.alive() {
		d = s.between(10*time.Millisecond, 400*time.Millisecond) // a partition shows late
	}
	when := max(s.now+d, net.ordered[at][peer])
	net.ordered[at][peer] = when
	inc := s.servers[peer-1].disk.model.incarnation
	p.after(when-s.now, func() {
		p.put(message{kind: evReachable, sid: quorum.SID(peer), up: up, incarnation: inc})
	})
}

// repeat sends the last notification again over a new connection: it may have died with
// the old one.
func (net *network) repeat(from, to int) {
	slot := &net.slots[from][to]
	if slot.any && (slot.waiting || net.s.chance(0.7)) {
		slot.waiting = true
		net.carry(from, to)
	}
}

// notify sends a notification; it replaces one that is still waiting.
func (net *network) notify(n fle.Notification) {
	slot := &net.slots[n.From][n.To]
	slot.note, slot.any, slot.waiting = n, true, true
	net.carry(int(n.From), int(n.To))
}

func (net *network) pair(a, b int) *pair { return net.pairs[min(a, b)][max(a, b)] }

func (net *network) carry(from, to int) {
	slot, p := &net.slots[from][to], net.pair(from, to)
	if !p.up || slot.moving {
		return
	}
	slot.moving = true
	net.s.after(net.latency(), func() {
		slot.moving = false
		if !slot.waiting {
			return
		}
		dst := net.s.servers[to-1].proc
		if !p.up || !dst.alive() {
			return
		}
		slot.waiting = false
		net.s.tracef("%v>%v %v %v round %d", from, to, slot.note.State, slot.note.Vote, slot.note.Round)
		dst.put(message{kind: evNotification, note: slot.note})
	})
}

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
	l.net.s.after(wait+l.net.latency(), func() {
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
	l.net.s.after(l.net.latency(), func() {
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
	return l.net.blocked[l.sids[1-to]][l.sids[to]]
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
		if k := p.msgs[i].Kind; k != zab.Ping {
			l.net.s.tracef("%v>%v %s", l.sids[1-to], l.sids[to], brief(&p.msgs[i]))
		}
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
			net.s.after(net.latency(), func() { l.deliver(to, packet{kind: evLinkDown}) })
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
