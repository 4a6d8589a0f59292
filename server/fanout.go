package server

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

const (
	// crowd is the number of events that the applier delivers itself, under the tree's lock,
	// for one batch. Triggers that reach more connections than are left of it become broadcasts.
	crowd = 512
	// crowdStep is the number of connections that a broadcast takes from the registry at once.
	crowdStep = 64
	// crowdLag, in ns, is how far broadcasts may fall behind before no more changes are
	// applied: a path with a crowd that changes faster than the crowd can be told.
	crowdLag = int64(time.Second)
	// writersPerCPU bounds the writers of broadcasts.
	writersPerCPU = 4
	// writersPatience is how long none of them may come to an end before all of them are
	// taken to wait for clients that do not read, and the next ones replace them.
	writersPatience = 2 * time.Millisecond
)

// broadcast is a trigger and the frame of its event.
type broadcast struct {
	number  uint64 // of the trigger
	trigger znode.Trigger
	frame   []byte
	since   int64 // when it was fired, see Server.now
}

// fanout delivers the events of triggers with many watchers, outside the tree's lock. The
// package comment tells why nobody can see the difference.
type fanout struct {
	s *Server
	// crowd is the constant, but in tests. Guarded by the tree's lock.
	crowd int
	// pending is the length of queue, to be read without the lock.
	pending atomic.Int32

	mu sync.Mutex
	// queue holds the broadcasts that are not over, in the order of their numbers. Its
	// elements are not changed: connections look at them without the lock.
	queue   []*broadcast
	running bool
	over    sync.Cond // signalled when a broadcast is over

	// Of run alone.
	slots chan struct{} // holds one entry per writer at work
	timer *time.Timer
}

func (f *fanout) init(s *Server) {
	f.s, f.crowd = s, crowd
	f.over.L = &f.mu
}

// idle reports whether no broadcast is under way. Only the applier may rely on the answer.
func (f *fanout) idle() bool { return f.pending.Load() == 0 }

// add begins a broadcast. The caller is the applier and holds the tree's lock.
func (f *fanout) add(b *broadcast) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, b)
	f.pending.Add(1)
	f.s.tree.fired = b.number
	if !f.running {
		f.running = true
		f.s.wg.Add(1)
		go f.run(f.queue[0])
	}
}

// after returns the broadcasts under way with numbers above the given one.
func (f *fanout) after(number uint64) []*broadcast {
	if f.idle() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.queue, number+1, func(b *broadcast, n uint64) int {
		return cmp.Compare(b.number, n)
	})
	return f.queue[i:len(f.queue):len(f.queue)]
}

// await blocks the applier while broadcasts are too far behind.
func (f *fanout) await() {
	if f.idle() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) > 0 && f.s.now()-f.queue[0].since > crowdLag {
		f.over.Wait()
	}
}

// run is the goroutine that works off the queue; it ends with the queue.
func (f *fanout) run(b *broadcast) {
	defer f.s.wg.Done()
	f.timer = time.NewTimer(writersPatience)
	defer f.timer.Stop()
	f.slots = make(chan struct{}, writersPerCPU*runtime.GOMAXPROCS(0))
	var conns []*conn
	for ; b != nil; b = f.next() {
		cursor := f.s.watches.Walk(b.trigger.Table, b.trigger.Path)
		for more := true; more; {
			conns, more = f.s.watches.Step(cursor, crowdStep, conns[:0])
			for _, c := range conns {
				if c.tellPending() {
					f.send(c)
				}
			}
			runtime.Gosched() // requests that wait for a processor go first
		}
	}
}

// next ends the first broadcast and returns the one behind it, nil if there is none.
func (f *fanout) next() *broadcast {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = f.queue[1:]
	f.pending.Add(-1)
	f.over.Signal()
	if len(f.queue) > 0 {
		return f.queue[0]
	}
	f.queue, f.running = nil, false
	return nil
}

// send starts a writer for a connection as soon as there are not too many. Those that wait
// for their clients do not count in the end: each holds up the others once, for a moment.
func (f *fanout) send(c *conn) {
	select {
	case f.slots <- struct{}{}:
	default:
		f.timer.Reset(writersPatience)
		select {
		case f.slots <- struct{}{}:
		case <-f.timer.C:
			f.slots = make(chan struct{}, cap(f.slots))
			f.slots <- struct{}{}
		}
	}
	f.s.wg.Add(1)
	go func(slots chan struct{}) {
		c.flushAndLeave()
		<-slots
	}(f.slots)
}

// fire lets out the event of a trigger: to few connections at once, to many by a broadcast.
func (a *applier) fire(t *znode.Trigger, z zxid.ID) {
	a.triggers++
	watches, idle := a.s.watches, a.s.fanout.idle()
	few := false
	if idle {
		a.hit, few = watches.Fire(t.Table, t.Path, a.alone, a.hit[:0])
	} else {
		a.hit, few = watches.Watchers(t.Table, t.Path, a.alone, a.hit[:0])
	}
	if !few {
		a.s.fanout.add(&broadcast{number: a.triggers, trigger: *t, frame: appendEvent(nil, z, t.Type, t.Path), since: a.now})
		return
	}
	if len(a.hit) == 0 {
		return
	}
	a.alone -= len(a.hit)
	a.event.number, a.event.trigger = a.triggers, *t
	a.event.frame = appendEvent(a.event.frame[:0], z, t.Type, t.Path)
	for i, c := range a.hit {
		a.hit[i] = nil
		c.mu.Lock()
		if idle {
			c.tell(&a.event)
		} else { // what was broadcast before comes first, and may use the watch up
			c.catchUp()
			c.hear(&a.event)
		}
		a.flag(c)
		c.mu.Unlock()
	}
}

// catchUp appends the events of all broadcasts that have not come by yet. The caller holds the
// tree's lock and c.mu.
func (c *conn) catchUp() {
	if c.heard != c.s.tree.fired {
		c.hearAll()
		c.heard = c.s.tree.fired
	}
}

// tellPending is catchUp for a broadcast that comes by. It returns true if there is output
// that nobody writes.
func (c *conn) tellPending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hearAll()
	return len(c.out) > 0 && !c.flushing && !c.closed
}

// hearAll appends the events of the broadcasts under way that the connection has not heard.
// The caller holds c.mu.
func (c *conn) hearAll() {
	for _, b := range c.s.fanout.after(c.heard) {
		c.heard = b.number
		c.hear(b)
	}
}

// hear appends the event if the trigger reaches the connection. The caller holds c.mu.
func (c *conn) hear(b *broadcast) {
	if c.watching && c.s.watches.Hit(c.watcher, b.trigger.Table, b.trigger.Path) {
		c.tell(b)
	}
}
