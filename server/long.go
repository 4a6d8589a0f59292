package server

import (
	"hash/maphash"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

const (
	// fewLookups is the number of nodes that a request may look up and still be queued: whoever
	// comes to answer a queue looks all of them up under the tree's lock.
	fewLookups = 16
	// lookStep is the number of nodes that are looked up under the tree's lock at once by
	// requests that are not queued. A node that is missing is looked up on disk.
	lookStep = 128
)

// lookups returns how many nodes the request is about.
func (r *request) lookups() int {
	if r.rearm != nil {
		return r.rearm.len()
	}
	if multi, ok := r.body.(*proto.MultiRequest); ok {
		return len(multi.Ops)
	}
	return 1
}

// readLong answers a read of many nodes. It is not queued: the reader waits until everything
// before it is answered, and nothing behind it is handled before it is, so that it can take its
// time, and the tree's lock for short moments only.
func (c *conn) readLong(r *request, lookups int) bool {
	if c.s.index != nil && linear(r.op) {
		if !c.awaitIndex() {
			return false
		}
	} else if c.queued.Load() > 0 {
		c.submit()
		c.flush()
		if !c.awaitAnswers() {
			return false
		}
	}
	switch {
	case r.rearm != nil:
		c.setMostWatches(r.rearm)
		c.warm(r)
	case lookups > lookStep:
		r.aside = c.takeGlance(r)
	default:
		c.warm(r)
	}
	return c.put(r)
}

// awaitAnswers blocks the reader until its queue is empty. It returns false if the
// connection ends first.
func (c *conn) awaitAnswers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.queue.len() > 0 && !c.closed {
		c.waiting = true
		c.room.Wait()
	}
	c.waiting = false
	return !c.closed
}

// setMostWatches sets watches until there is one step left, and lets changes by between the
// steps. Each path is looked up and watched in one step, so that a change finds the watch or is
// found by the look-up; the reply goes with the last step and has its zxid, so that no event
// ahead of it has a higher one.
func (c *conn) setMostWatches(a *rearm) {
	t := &c.s.tree
	for a.len() > lookStep {
		c.warmWatches(a, lookStep)
		t.mu.RLock()
		c.mu.Lock()
		if c.closed {
			a.paths = [rearmKinds][]string{}
		} else {
			c.catchUp()
			c.setWatches(a, lookStep)
		}
		missed := len(c.out) > softOutput
		c.mu.Unlock()
		t.mu.RUnlock()
		if missed {
			c.flush()
			c.awaitRoom()
		}
	}
}

// glance is what the operations of a long multiRead found without the tree's lock, each at
// another moment. Under the lock, those are repeated whose nodes may have changed since; the
// others have found the state of that moment too.
type glance struct {
	results []proto.MultiResult // written by the reader before it puts the request
	seed    maphash.Seed
	// hit has a bit for each hash of a path that has changed; written under the tree's
	// lock, held for writing.
	hit [glanceBits / 64]uint64
}

// glanceBits is a power of two. A hundred thousand changes make a tenth of the operations be
// repeated for nothing.
const glanceBits = 1 << 20

// takeGlance answers a multiRead for the time being.
func (c *conn) takeGlance(r *request) *glance {
	g := &glance{seed: maphash.MakeSeed()}
	t := &c.s.tree
	t.mu.RLock()
	t.follow(g)
	t.mu.RUnlock()
	g.results = c.multiRead(r).Results
	return g
}

func (g *glance) bit(path string) (word *uint64, mask uint64) {
	if path == "" {
		path = znode.RootPath
	}
	h := maphash.String(g.seed, path) % glanceBits
	return &g.hit[h/64], 1 << (h % 64)
}

// changed implements follower. A change of a node's children is a change of the node.
func (g *glance) changed(path string, _, _ *znode.Node) {
	word, mask := g.bit(path)
	*word |= mask
}

// holds reports whether the i-th operation, on path, would find the same again. An answer that
// was too long may not be any more.
func (g *glance) holds(i int, path string) bool {
	if g.results[i].Err == proto.CodeMarshallingError {
		return false
	}
	word, mask := g.bit(path)
	return *word&mask == 0
}
