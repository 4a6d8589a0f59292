package transport_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// counter is a learner that counts entries and answers the last of every burst.
type counter struct {
	*recorder
	tr     *transport.Transport
	seen   atomic.Int64
	bursts atomic.Int64
}

func (c *counter) Received(link uint64, msgs []zab.Message) {
	var n int64
	for i := range msgs {
		n += int64(len(msgs[i].Entries))
	}
	c.bursts.Add(1)
	c.tr.Send(link, []zab.Message{{Kind: zab.Ack, Zxid: zxid.ID(c.seen.Add(n))}})
}

// acked hears of acknowledgements.
type acked struct {
	*recorder
	upTo chan zxid.ID
}

func (a *acked) Received(_ uint64, msgs []zab.Message) { a.upTo <- msgs[len(msgs)-1].Zxid }

// BenchmarkLink sends proposals of 180 bytes, as many per message as named, over loopback with a window of
// 4096 and cumulative acknowledgements. One operation is one transaction at one learner.
func BenchmarkLink(b *testing.B) {
	for _, batch := range []int{1, 32, 256} {
		b.Run("batch="+strconv.Itoa(batch), func(b *testing.B) { benchmarkLink(b, batch) })
	}
}

func benchmarkLink(b *testing.B, batch int) {
	b.Helper()
	c := newCluster(b, 1, 2)
	a := &acked{recorder: newRecorder(), upTo: make(chan zxid.ID, 4096)}
	leader := benchServer(b, c, 1, a, a.recorder)
	defer leader.stop()
	learnerHandler := &counter{recorder: newRecorder()}
	learner := benchServer(b, c, 2, learnerHandler, learnerHandler.recorder)
	defer learner.stop()
	learnerHandler.tr = learner.node.(*transport.Transport)
	learner.Connect(1)
	link := leader.awaitLink(b, 1)

	entries := make([]zab.Entry, batch)
	for i := range entries {
		entries[i] = zab.Entry{ID: zxid.ID(i + 1), Prev: zxid.ID(i), Hash: 1 << 60, Data: make([]byte, 180)}
	}
	msgs := []zab.Message{{Kind: zab.Proposal, Epoch: 1, Entries: entries}}
	b.ReportAllocs()
	var sent, done zxid.ID
	for b.Loop() {
		if sent++; int(sent)%batch == 0 {
			leader.Send(link, msgs)
			for sent-done >= 4096 {
				done = <-a.upTo
			}
		}
	}
	for target := sent - sent%zxid.ID(batch); done < target; {
		done = <-a.upTo
	}
	b.ReportMetric(float64(sent)/float64(max(1, learnerHandler.bursts.Load())), "entries/burst")
}

func benchServer(b *testing.B, c *cluster, sid quorum.SID, h transport.Handler, r *recorder) *server {
	b.Helper()
	cfg := c.config(sid, r)
	cfg.Handler, cfg.Logger = h, zerolog.Nop()
	tr, err := transport.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return run(b, tr, r)
}
