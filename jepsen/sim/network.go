package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// network carries what servers say to each other. Servers are numbered from 1.
type network struct {
	s       *simulation
	n       int
	blocked [][]int           // [from][to]: how many faults keep this direction closed
	lag     [][]time.Duration // [from][to]: what a packet takes longer at most
	lost    [][]float64       // [from][to]: how many packets are lost and sent again
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
	// since is when the second began in which said notifications were sent.
	since time.Duration
	said  int
}

// maxNotifications is how many notifications a server sends to another one in a second at most (S-6). It
// answers votes, and repeats its own a few times.
const maxNotifications = 100

func newNetwork(s *simulation, n int) *network {
	net := &network{s: s, n: n}
	for range n + 1 {
		net.blocked = append(net.blocked, make([]int, n+1))
		net.lag = append(net.lag, make([]time.Duration, n+1))
		net.lost = append(net.lost, make([]float64, n+1))
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

// latency draws how long a packet travels. One that is lost is sent again after a while that
// doubles: links are TCP connections, on which nothing else arrives meanwhile.
func (net *network) latency(from, to int) time.Duration {
	d := net.s.between(100*time.Microsecond, 3*time.Millisecond)
	if net.s.chance(0.02) {
		d = net.s.between(5*time.Millisecond, 120*time.Millisecond)
	}
	if lag := net.lag[from][to]; lag > 0 {
		d += net.s.upTo(lag)
	}
	if p := net.lost[from][to]; p > 0 {
		for again := firstResend; again <= lastResend && net.s.chance(p); again *= 2 {
			d += again
		}
	}
	return d
}

// How long a lost packet is missing before it is sent again, at first and in the end.
const (
	firstResend = 200 * time.Millisecond
	lastResend  = 1600 * time.Millisecond
)

// block closes or opens one direction. What several faults have closed is open when all are over.
func (net *network) block(from, to int, closed bool) {
	was := net.blocked[from][to]
	now := was - 1
	if closed {
		now = was + 1
	}
	net.blocked[from][to] = now
	if (was > 0) == (now > 0) {
		return
	}
	net.refresh(from, to)
	if closed {
		if net.s.chance(0.3) {
			net.reset(from, to)
		}
		return
	}
	net.pumpAll()
}

func (net *network) pumpAll() {
	for _, l := range net.links {
		l.pump(toAcceptor)
		l.pump(toDialer)
	}
}

// heal ends every fault of the network.
func (net *network) heal() {
	for a := 1; a <= net.n; a++ {
		clear(net.blocked[a])
		clear(net.lag[a])
		clear(net.lost[a])
	}
	for a := 1; a <= net.n; a++ {
		for b := a + 1; b <= net.n; b++ {
			net.refresh(a, b)
		}
	}
	net.pumpAll()
}

// open reports whether both directions are open.
func (net *network) open(a, b int) bool { return net.blocked[a][b] <= 0 && net.blocked[b][a] <= 0 }

// refresh brings the election connection of two servers to what it can be.
func (net *network) refresh(a, b int) {
	if a > b {
		a, b = b, a
	}
	p := net.pairs[a][b]
	x, y := net.s.servers[a-1], net.s.servers[b-1]
	can := net.open(a, b) && x.proc.alive() && y.proc.alive() && (x.talks.Has(y.sid) || y.talks.Has(x.sid))
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
	if net.s.now-slot.since >= time.Second {
		slot.since, slot.said = net.s.now, 0
	}
	if slot.said++; slot.said > maxNotifications {
		net.s.fail(quietElection, "server %v tells %v of its vote %v more than %d times a second", n.From, n.To, n.Vote, maxNotifications)
	}
	net.s.trace(net.s.server(n.From), line{
		label: labelVoteSent, peer: n.To, vote: &n.Vote, n: int64(n.Round), text: n.State.String(),
	})
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
	net.s.after(net.latency(from, to), func() {
		slot.moving = false
		if !slot.waiting {
			return
		}
		dst := net.s.servers[to-1].proc
		if !p.up || !dst.alive() {
			return
		}
		slot.waiting = false
		net.s.trace(dst.server, line{
			label: labelVoteRecv, peer: slot.note.From, vote: &slot.note.Vote, n: int64(slot.note.Round), text: slot.note.State.String(),
		})
		dst.put(message{kind: evNotification, note: slot.note})
	})
}
