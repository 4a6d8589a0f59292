package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Readers without any lock run beside the writer. When Install has returned, nobody reads
// anything older: no reader left an outdated node in the cache.
func TestNoStaleReads(t *testing.T) {
	const nodes, rounds, readers = 64, 1000, 4
	for _, cacheBytes := range []int64{-1, 64 << 10, 1 << 20} {
		t.Run(fmt.Sprintf("cache=%d", cacheBytes), func(t *testing.T) {
			cfg := config(t, vfs.NewMem())
			cfg.CacheBytes = cacheBytes
			s, err := store.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, s)
			m := newModel()
			paths := make([]string, nodes)
			for i := range paths {
				paths[i] = fmt.Sprintf("/n%d", i)
				install(t, s, m, createTxn(m.at.ID+1, paths[i], nil))
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for r := range readers {
				rng := rand.New(rand.NewPCG(uint64(r), 1))
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							readSomething(t, s, paths[rng.IntN(nodes)])
						}
					}
				})
			}
			c := znode.NewChanges(s)
			rng := rand.New(rand.NewPCG(7, 7))
			for z := m.at.ID + 1; z <= m.at.ID+rounds; z++ {
				path := paths[rng.IntN(nodes)]
				c.Reset(s)
				c.Apply(txn(proto.OpSetData, 1, z, &proto.SetDataTxn{
					Path: path, Data: binary.BigEndian.AppendUint64(nil, uint64(z)), Version: int32(z),
				}))
				if err := s.Install(c, point(z)); err != nil {
					t.Fatal(err)
				}
				if n := s.Node(path); n.Mzxid != z {
					t.Fatalf("%s: read the state of %v after %v was installed", path, n.Mzxid, z)
				}
			}
			close(stop)
			wg.Wait()
		})
	}
}

// A read that a slow disk holds up comes back after the node was changed, deleted, or replaced
// with the whole tree. What it read may be answered, as the read began before, but must
// not stay in the cache, not even when the newer node is no longer there to prevent it.
func TestSlowReadIsNotCached(t *testing.T) {
	const path = "/a"
	old, updated := &znode.Node{Mzxid: 1}, &znode.Node{Mzxid: 2}
	for what, meanwhile := range map[string]func(c *store.Cache){
		"changed":             func(c *store.Cache) { c.Change(path, updated) },
		"deleted":             func(c *store.Cache) { c.Change(path, nil) },
		"changed and evicted": func(c *store.Cache) { c.Change(path, updated); c.Change(path, nil) },
		"replaced":            func(c *store.Cache) { c.Clear() },
	} {
		c := store.NewCache(1 << 20)
		_, version := c.Get(path)
		meanwhile(c)
		c.Offer(path, old, version)
		if n, _ := c.Get(path); n != nil && n.Mzxid == old.Mzxid {
			t.Errorf("%s: the outdated node is cached", what)
		}
	}
	c := store.NewCache(1 << 20)
	_, version := c.Get(path)
	c.Offer(path, old, version)
	if n, _ := c.Get(path); n == nil {
		t.Error("an undisturbed read is not cached")
	}
}

// readSomething checks that a node is one state, not a mixture.
func readSomething(t *testing.T, s *store.Store, path string) {
	t.Helper()
	s.Warm(path)
	n := s.Node(path)
	if n == nil {
		t.Errorf("%s is gone", path)
	} else if len(n.Data) == 8 && zxid.ID(binary.BigEndian.Uint64(n.Data)) != n.Mzxid {
		t.Errorf("%s: data of %x under mzxid %v", path, n.Data, n.Mzxid)
	}
	s.Session(1)
}

// Snapshots, scans and flushes beside the writer see exact states [H-33].
func TestSnapshotsBesideInstalls(t *testing.T) {
	s, m := open(t, vfs.NewMem()), newModel()
	defer closeStore(t, s)
	grow(t, s, m, 200, 50)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if totals, err := s.Scan(); err != nil {
				t.Errorf("scan at %v: %v", totals.At, err)
				return
			}
			if err := s.Flush(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		grow(t, s, m, 50, 50)
	}
	close(stop)
	wg.Wait()
	m.check(t, s)
}

// The cache keeps to its budget, and the budget is honest: the heap grows by about what is
// accounted. No store is around it here, whose own memory would blur the measurement.
func TestCacheBudget(t *testing.T) {
	const budget = 8 << 20
	for _, size := range []int{0, 10, 100, 1000, 5000} {
		t.Run(fmt.Sprintf("size=%d", size), func(t *testing.T) {
			before := heap()
			cache := store.NewCache(budget)
			for i := range 3 * budget / (size + 200) {
				cache.Change(fmt.Sprintf("/bulk/%07d", i), &znode.Node{Data: make([]byte, size)})
			}
			counted := cache.Bytes()
			grown := int64(heap()) - int64(before)
			runtime.KeepAlive(cache)
			if counted > budget || counted < budget*9/10 {
				t.Errorf("%d bytes are accounted of a budget of %d", counted, budget)
			}
			if grown > counted*115/100 || grown < counted*7/10 {
				t.Errorf("the heap grew by %d bytes for %d accounted", grown, counted)
			}
		})
	}
}

// A replacement leaves nothing of the old tree in the cache.
func TestReplaceEmptiesCache(t *testing.T) {
	s, m := open(t, vfs.NewMem()), newModel()
	defer closeStore(t, s)
	stream := chunks(t, s, 1000)
	grow(t, s, m, 10, 100)
	if s.CachedBytes() == 0 {
		t.Fatal("nothing is cached after installs")
	}
	st, err := stage(s, "fresh", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	if got := s.CachedBytes(); got != 0 {
		t.Errorf("%d bytes are cached after a replacement", got)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// A scan of everything does not wash out what is read again and again.
func TestCacheKeepsHotNodes(t *testing.T) {
	cfg := config(t, vfs.NewMem())
	cfg.CacheBytes = 1 << 20
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	m := newModel()
	bulk(t, s, m, 20_000, 100)
	hot := s.Node("/bulk/0000005")
	i := 0
	s.Children("/bulk", func(name string) bool {
		s.Node("/bulk/" + name)
		if i++; i%20 == 0 {
			s.Node("/bulk/0000005")
		}
		return true
	})
	if s.Node("/bulk/0000005") != hot {
		t.Error("a node that was read all the time was evicted by a scan")
	}
}

// A cache that is full of other nodes takes in a new set that fits: read twice, the
// second time from memory.
func TestCacheTakesNewNodes(t *testing.T) {
	const budget, fill, set = 1 << 20, 20_000, 500
	c := store.NewCache(budget)
	n := &znode.Node{Data: make([]byte, 100)}
	read := func(path string) (hit bool) {
		got, version := c.Get(path)
		if got == nil {
			c.Offer(path, n, version)
		}
		return got != nil
	}
	for i := range fill {
		read(fmt.Sprintf("/old/%d", i))
	}
	hits := 0
	for round := range 2 {
		for i := range set {
			if read(fmt.Sprintf("/new/%d", i)) && round == 1 {
				hits++
			}
		}
	}
	if hits < set*95/100 {
		t.Errorf("%d of %d nodes that were just read are cached", hits, set)
	}
}

// bulk puts n nodes with names of equal length under /bulk, in large batches.
func bulk(t fataler, s *store.Store, m *model, n, size int) {
	t.Helper()
	z := s.Applied().ID + 1
	c := znode.NewChanges(s)
	c.Apply(createTxn(z, "/bulk", nil))
	for i := range n {
		z++
		c.Apply(createTxn(z, fmt.Sprintf("/bulk/%07d", i), make([]byte, size)))
		if (i+1)%1000 == 0 || i == n-1 {
			if err := s.Install(c, point(z)); err != nil {
				t.Fatalf("install: %v", err)
			}
			if m != nil {
				m.install(c, point(z))
			}
			c.Reset(s)
		}
	}
}
