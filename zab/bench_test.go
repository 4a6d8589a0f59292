package zab_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// BenchmarkBroadcast takes batches through propose, log, ack and commit at a leader and
// two followers, all three roles included, disks and links as cheap as can be. The number
// is per batch.
func BenchmarkBroadcast(b *testing.B) {
	for _, size := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			w := newWorld(b, ensemble([]quorum.SID{1, 2, 3}, nil))
			f := &fuzz{world: w}
			f.start(w.node(1), w.nodes)
			f.calm()
			leader := w.node(1).leader
			if leader.Phase() != zab.Broadcast {
				b.Fatalf("leader is in %v", leader.Phase())
			}
			followers := map[quorum.SID]learner{2: w.node(2).learner, 3: w.node(3).learner}
			batch := make([][]byte, size)
			for i := range batch {
				batch[i] = make([]byte, 180)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := leader.Propose(leader.Next(), batch); err != nil {
					b.Fatal(err)
				}
				for turn := 0; leader.LastCommitted() != leader.LastProposed() || turn < 2; turn++ {
					relay(leader, followers)
				}
			}
			if got := leader.LastCommitted(); got != leader.LastProposed() {
				b.Fatalf("committed %v of %v", got, leader.LastProposed())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/txn")
		})
	}
}

// relay carries one leader's Ready to the followers and their answers back, with disks that
// are durable at once.
func relay(leader *zab.Leader, followers map[quorum.SID]learner) {
	rd := leader.Ready()
	for _, m := range rd.Messages {
		followers[m.To].Step(m)
	}
	if rd.Persist != nil {
		leader.Persisted(rd.Persist.Token)
	}
	for sid := quorum.SID(2); sid <= 3; sid++ {
		f := followers[sid]
		if rd := f.Ready(); rd.Persist != nil {
			f.Persisted(rd.Persist.Token)
		}
		for _, m := range f.Ready().Messages {
			leader.Step(m)
		}
	}
}
