package store

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zabkeeper/zabkeeper/znode"
)

const (
	// cacheShards is a power of two. More shards mean less waiting, and a smaller
	// largest node that can be cached.
	cacheShards = 32
	// cacheLargest is the part of a shard, as a divisor, that one node may fill.
	cacheLargest = 4
	// cacheOverhead is what an entry costs beside itself, its path and its data: its slot
	// in the map at an average load.
	cacheOverhead = 48
)

// cache holds decoded nodes, bounded in bytes. A hit takes one shard's read lock; it
// shares no written memory with hits in other shards but the entry's used mark, written only
// when it changes. Replacement is second-chance FIFO: entries queue up, and one that was hit
// since it joined goes back to the end instead of out.
//
// A reader that misses gets the shard's version with the miss, reads the node from disk
// and offers it under that version; a change of any node of the shard in between makes
// the offer void. So no outdated node ever gets in, without any lock held around
// the read.
type cache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	version uint64 // counts changes; written under mu
	limit   int
	size    int
	entries map[string]*cacheEntry
	// queue heads the ring of all entries: queue.next is the oldest, queue.prev the newest.
	queue cacheEntry
	_     [64]byte // keeps neighbours' locks on other cache lines
}

type cacheEntry struct {
	node znode.Node // immutable
	path string
	size int
	used atomic.Bool // hit since it joined the queue

	prev, next *cacheEntry // in the queue; the shard's lock guards them
}

func newCache(bytes int64) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].limit = int(bytes / cacheShards)
		c.shards[i].reset()
	}
	return c
}

func (c *cache) shard(path string) *cacheShard {
	return &c.shards[maphash.String(c.seed, path)%cacheShards]
}

// get returns the node at path, or nil and the version to offer it under.
func (c *cache) get(path string) (*znode.Node, uint64) {
	s := c.shard(path)
	s.mu.RLock()
	e := s.entries[path]
	version := s.version
	s.mu.RUnlock()
	if e == nil {
		return nil, version
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return &e.node, version
}

// offer puts in a node that was read from disk, unless something changed since the miss
// that returned version. The entry's node must be complete; its path is copied.
func (c *cache) offer(path string, e *cacheEntry, version uint64) {
	s := c.shard(path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != version || s.entries[path] != nil {
		return
	}
	e.path = strings.Clone(path)
	s.insert(e)
}

// change records that path now holds n, nil for nothing. It copies the node, but keeps
// its data and the path.
func (c *cache) change(path string, n *znode.Node) {
	s := c.shard(path)
	var fresh *cacheEntry
	if n != nil && len(n.Data) < s.limit {
		fresh = &cacheEntry{node: *n, path: path}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	old := s.entries[path]
	if old != nil {
		s.remove(old)
	}
	if fresh == nil {
		return
	}
	if old != nil {
		fresh.used.Store(old.used.Load())
	}
	s.insert(fresh)
}

// clear empties the cache and voids every offer under way.
func (c *cache) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.version++
		s.reset()
		s.mu.Unlock()
	}
}

// bytes returns what the entries are accounted for.
func (c *cache) bytes() (total int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		total += int64(s.size)
		s.mu.RUnlock()
	}
	return total
}

// insert adds e and evicts until the shard is within its limit. s.mu is held.
func (s *cacheShard) insert(e *cacheEntry) {
	e.size = entrySize(e)
	if e.size > s.limit/cacheLargest {
		return
	}
	for s.size+e.size > s.limit {
		s.evict()
	}
	s.join(e)
	s.entries[e.path] = e
	s.size += e.size
}

// evict removes one entry, of which there must be some. s.mu is held.
func (s *cacheShard) evict() {
	for {
		e := s.queue.next
		if !e.used.Load() {
			s.remove(e)
			return
		}
		e.used.Store(false)
		s.leave(e)
		s.join(e)
	}
}

// remove takes e out. s.mu is held.
func (s *cacheShard) remove(e *cacheEntry) {
	s.leave(e)
	delete(s.entries, e.path)
	s.size -= e.size
}

// reset makes the shard empty. s.mu is held, or nobody else knows the shard.
func (s *cacheShard) reset() {
	s.entries = make(map[string]*cacheEntry)
	s.queue.prev, s.queue.next = &s.queue, &s.queue
	s.size = 0
}

// join puts e at the end of the queue.
func (s *cacheShard) join(e *cacheEntry) {
	e.prev, e.next = s.queue.prev, &s.queue
	e.prev.next, e.next.prev = e, e
}

// leave takes e out of the queue, and drops its links: a reader may keep e's node for long.
func (s *cacheShard) leave(e *cacheEntry) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}

// entrySize is the memory that e takes, with the allocator's rounding.
func entrySize(e *cacheEntry) int {
	size := int(unsafe.Sizeof(*e)) + cacheOverhead + roundAlloc(len(e.path)) + roundAlloc(len(e.node.Data))
	for i := range e.node.ACL {
		id := &e.node.ACL[i].ID
		size += int(unsafe.Sizeof(e.node.ACL[i])) + roundAlloc(len(id.Scheme)) + roundAlloc(len(id.ID))
	}
	return size
}

// roundAlloc is about what the allocator takes for n bytes: its size classes are an
// eighth apart.
func roundAlloc(n int) int { return (n + n/16 + 15) &^ 15 }
