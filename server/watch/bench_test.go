package watch_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/znode"
)

func BenchmarkAddFire(b *testing.B) {
	r := watch.New[int]()
	id := r.Join(1)
	var dst []int
	b.ReportAllocs()
	for b.Loop() {
		r.Add(id, "/some/path", watch.Data)
		dst, _ = r.Fire(znode.DataTable, "/some/path", everybody, dst[:0])
	}
}

// BenchmarkFireUnwatched is the cost of a change that nobody watches.
func BenchmarkFireUnwatched(b *testing.B) {
	for _, bm := range []struct {
		name string
		mode watch.Mode
		path string
	}{
		{"no watches", watch.Any, ""},
		{"elsewhere", watch.Data, "/else"},
		{"recursive elsewhere", watch.Recursive, "/else"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r := watch.New[int]()
			if bm.path != "" {
				r.Add(r.Join(1), bm.path, bm.mode)
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Fire(znode.DataTable, "/some/path/of/five/names", everybody, nil)
			}
		})
	}
}

// BenchmarkMemory reports the bytes of heap that a watch costs, its path of 30 bytes included,
// and the longest time that setting one took.
func BenchmarkMemory(b *testing.B) {
	for _, bm := range []struct{ paths, conns int }{{1_000_000, 1}, {1, 100_000}, {1000, 1000}} {
		b.Run(fmt.Sprintf("%d paths, %d connections", bm.paths, bm.conns), func(b *testing.B) {
			for b.Loop() {
				r := watch.New[*int]()
				ids := make([]watch.ID, bm.conns)
				for i := range ids {
					ids[i] = r.Join(new(int))
				}
				before := heap()
				var slowest time.Duration
				begin := time.Now()
				for p := range bm.paths {
					path := fmt.Sprintf("/service/instances/%011d", p)
					for _, id := range ids {
						start := time.Now()
						r.Add(id, path, watch.Data)
						slowest = max(slowest, time.Since(start))
					}
				}
				n := float64(bm.paths * bm.conns)
				b.ReportMetric(float64(time.Since(begin).Nanoseconds())/n, "ns/watch")
				b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest-ms")
				b.ReportMetric(float64(heap()-before)/n, "B/watch")
				runtime.KeepAlive(r)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
