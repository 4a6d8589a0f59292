package network

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// Host is a place on the network: a server by its number, or Clients.
type Host int

// Clients is the host that all clients are on.
const Clients Host = 0

// maxHosts bounds the hosts of a fabric: servers 1 to 9 and the clients.
const maxHosts = 10

// Condition is the state of a link in one direction. The zero value is a perfect link.
type Condition struct {
	Cut    bool          // nothing gets through, what is under way is lost
	Loss   float64       // share of the packets that are lost, 0 to 1
	Delay  time.Duration // of every packet
	Jitter time.Duration // up to so much more; packets keep their order
	Rate   int           // bytes a second, 0 for no limit
}

// Fabric carries packets between hosts. Its methods are safe for concurrent use.
type Fabric struct {
	links [maxHosts][maxHosts]*link
	done  chan struct{}
	tasks sync.WaitGroup

	mu    sync.RWMutex
	ports [maxHosts]io.ReadWriteCloser
}

// link is the way from one host to another.
type link struct {
	mu    sync.Mutex
	cond  Condition
	rand  *rand.Rand
	last  time.Time // when the last packet that was delayed arrives, or has arrived
	queue chan parcel
}

// parcel is a packet under way.
type parcel struct {
	due    time.Time
	packet []byte
}

// maxQueue is how many packets a link holds; what comes then is lost, as in a router.
const maxQueue = 1000

// maxPacket is the longest IP packet.
const maxPacket = 64 << 10

// NewFabric returns a fabric of perfect links. The seed decides which packets are lost, and how far
// a delay wavers.
func NewFabric(seed uint64) *Fabric {
	f := &Fabric{done: make(chan struct{})}
	for from := range f.links {
		for to := range f.links[from] {
			l := &link{rand: rand.New(rand.NewPCG(seed, uint64(from*maxHosts+to))), queue: make(chan parcel, maxQueue)}
			f.links[from][to] = l
			if from != to {
				f.tasks.Go(func() { f.deliver(l, Host(to)) })
			}
		}
	}
	return f
}

// Attach connects a host. Each Read of the port must give one IPv4 packet, each Write takes one.
// The fabric closes the port in the end.
func (f *Fabric) Attach(h Host, port io.ReadWriteCloser) {
	f.mu.Lock()
	f.ports[h] = port
	f.mu.Unlock()
	f.tasks.Go(func() { f.forward(h, port) })
}

// Close takes the fabric down: the ports are closed, what is under way is lost.
func (f *Fabric) Close() error {
	close(f.done)
	f.mu.Lock()
	var errs []error
	for _, p := range f.ports {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	f.mu.Unlock()
	f.tasks.Wait()
	return errors.Join(errs...)
}

// Set puts the link from one host to another into a condition.
func (f *Fabric) Set(from, to Host, c Condition) {
	l := f.links[from][to]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cond = c
	l.last = time.Time{}
}

// Apply puts links into a condition and leaves the others as they are.
func (f *Fabric) Apply(links []Link, c Condition) {
	for _, l := range links {
		f.Set(l.From, l.To, c)
	}
}

// Heal makes every link perfect.
func (f *Fabric) Heal() {
	for from := range f.links {
		for to := range f.links[from] {
			f.Set(Host(from), Host(to), Condition{})
		}
	}
}

// forward carries what a host sends until its port is closed.
func (f *Fabric) forward(from Host, port io.Reader) {
	packet := make([]byte, maxPacket)
	for {
		n, err := port.Read(packet)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) {
			return
		}
		if to, ok := receiver(packet[:n]); err == nil && ok && to != from {
			f.send(f.links[from][to], to, packet[:n])
		}
		select {
		case <-f.done:
			return
		default:
		}
	}
}

// receiver returns the host that an IPv4 packet is for.
func receiver(packet []byte) (Host, bool) {
	const headerLen, destination = 20, 16
	if len(packet) < headerLen || packet[0]>>4 != 4 {
		return 0, false
	}
	return hostOf([4]byte(packet[destination : destination+4]))
}

// send puts a packet on a link.
func (f *Fabric) send(l *link, to Host, packet []byte) {
	l.mu.Lock()
	c, now := l.cond, time.Now()
	if c.Cut || c.Loss > 0 && l.rand.Float64() < c.Loss {
		l.mu.Unlock()
		return
	}
	due := now.Add(c.Delay)
	if c.Jitter > 0 {
		due = due.Add(time.Duration(l.rand.Int64N(int64(c.Jitter))))
	}
	if due.Before(l.last) { // no overtaking
		due = l.last
	}
	if c.Rate > 0 {
		due = due.Add(time.Duration(float64(len(packet)) / float64(c.Rate) * float64(time.Second)))
	}
	if c == (Condition{}) && len(l.queue) == 0 {
		l.mu.Unlock()
		f.arrive(to, packet)
		return
	}
	select {
	case l.queue <- parcel{due: due, packet: append([]byte(nil), packet...)}:
		l.last = due
	default: // full
	}
	l.mu.Unlock()
}

// deliver hands over the packets of a link when they are due.
func (f *Fabric) deliver(l *link, to Host) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-f.done:
			return
		case p := <-l.queue:
			t.Reset(time.Until(p.due))
			select {
			case <-f.done:
				return
			case <-t.C:
			}
			l.mu.Lock()
			cut := l.cond.Cut
			l.mu.Unlock()
			if !cut {
				f.arrive(to, p.packet)
			}
		}
	}
}

// arrive gives a packet to its receiver. What cannot be taken is lost: the network promises nothing.
func (f *Fabric) arrive(to Host, packet []byte) {
	f.mu.RLock()
	port := f.ports[to]
	f.mu.RUnlock()
	if port != nil {
		_, _ = port.Write(packet)
	}
}
