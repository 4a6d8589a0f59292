package txnlog_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

const benchEntryBytes = 180

// BenchmarkAppend measures one synced group at a time: the writer is idle between two.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			l := benchLog(b)
			durable := make(chan uint64, 1)
			w, err := l.NewWriter(func(token uint64) { durable <- token })
			if err != nil {
				b.Fatal(err)
			}
			g := newGenerator(l.Durable().History.Last())
			b.ReportAllocs()
			b.SetBytes(int64(n * benchEntryBytes))
			token := uint64(0)
			for b.Loop() {
				token++
				if err := w.Submit(&zab.Persist{Token: token, Append: g.next(n)}); err != nil {
					b.Fatal(err)
				}
				<-durable
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
}

// BenchmarkPipelined keeps up to 64 steps in flight, as a leader under load does: each step
// is small and groups form while the disk works.
func BenchmarkPipelined(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			const window = 64
			l := benchLog(b)
			durable := make(chan uint64, window)
			w, err := l.NewWriter(func(token uint64) { durable <- token })
			if err != nil {
				b.Fatal(err)
			}
			g := newGenerator(l.Durable().History.Last())
			b.ReportAllocs()
			b.SetBytes(int64(n * benchEntryBytes))
			var token, acked uint64
			for b.Loop() {
				token++
				if err := w.Submit(&zab.Persist{Token: token, Append: g.next(n)}); err != nil {
					b.Fatal(err)
				}
				for token-acked >= window {
					acked = <-durable
				}
			}
			for acked < token {
				acked = <-durable
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
			b.ReportMetric(float64(l.Stats().Entries)/float64(l.Stats().Syncs), "entries/sync")
		})
	}
}

// BenchmarkRead reads 100 000 entries in order, in chunks of 1 MiB.
func BenchmarkRead(b *testing.B) {
	const entries = 100_000
	l := benchLog(b)
	g := newGenerator(l.Durable().History.Last())
	for range entries / 1000 {
		if err := l.Apply(&zab.Persist{Append: g.next(1000)}); err != nil {
			b.Fatal(err)
		}
	}
	end := l.Durable().History.Last().ID
	b.ReportAllocs()
	b.SetBytes(entries * benchEntryBytes)
	for b.Loop() {
		n := 0
		for at := zxid.ID(0); at < end; {
			es, err := l.Entries(at, end, 1<<20)
			if err != nil {
				b.Fatal(err)
			}
			n += len(es)
			at = es[len(es)-1].ID
		}
		if n != entries {
			b.Fatalf("read %d entries, want %d", n, entries)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
}

func benchLog(b *testing.B) *txnlog.Log {
	b.Helper()
	l := mustOpen(b, txnlog.Config{Dir: b.TempDir(), SID: 1})
	begin(b, l, 1)
	return l
}
