package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// pairs runs a test over sockets and over the twin in memory: both keep the same promises.
func pairs(t *testing.T, test func(t *testing.T, leader, learner *server), tweaks ...func(*transport.Config)) {
	t.Helper()
	t.Run("tcp", func(t *testing.T) {
		c := newCluster(t, 1, 2)
		test(t, c.start(1, tweaks...), c.start(2, tweaks...))
	})
	t.Run("memory", func(t *testing.T) {
		m := newMemory(t, 1, 2)
		test(t, m.start(1, tweaks...), m.start(2, tweaks...))
	})
}

// connect opens a link from learner to the server with sid 1.
func connect(t *testing.T, leader, learner *server) (atLeader, atLearner uint64) {
	t.Helper()
	atLearner = learner.Connect(1)
	if got := learner.awaitLink(t, 1); got != atLearner {
		t.Fatalf("link %d is up, asked for %d", got, atLearner)
	}
	return leader.awaitLink(t, 1), atLearner
}

func proposal(id zxid.ID, data []byte) zab.Message {
	return zab.Message{Kind: zab.Proposal, Epoch: 1, Entries: []zab.Entry{{ID: id, Prev: id - 1, Hash: 7, Data: data}}}
}

// Bursts of every size arrive complete, in order and undamaged, in both directions at once.
func TestLinkOrder(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		atLeader, atLearner := connect(t, leader, learner)
		const total = 3000
		rnd := rand.New(rand.NewPCG(1, 2))
		for sent := 0; sent < total; {
			var down, up []zab.Message
			for range min(1+rnd.IntN(50), total-sent) {
				sent++
				data := bytes.Repeat([]byte{byte(sent)}, 1+rnd.IntN(2000))
				down = append(down, proposal(zxid.ID(sent), data))
				up = append(up, zab.Message{Kind: zab.Ack, Zxid: zxid.ID(sent)})
			}
			leader.Send(atLeader, down)
			learner.Send(atLearner, up)
			clear(down) // the slice is the sender's again
			clear(up)
		}
		for i, m := range learner.awaitMessages(t, atLearner, total) {
			want := zxid.ID(i + 1)
			if m.Kind != zab.Proposal || m.From != 1 || m.To != 2 || m.Entries[0].ID != want {
				t.Fatalf("message %d is %+v", i, m)
			}
			for _, b := range m.Entries[0].Data {
				if b != byte(want) {
					t.Fatalf("data of message %d was overwritten by %d", i, b)
				}
			}
		}
		for i, m := range leader.awaitMessages(t, atLeader, total) {
			if m.Kind != zab.Ack || m.From != 2 || m.To != 1 || m.Zxid != zxid.ID(i+1) {
				t.Fatalf("message %d is %+v", i, m)
			}
		}
	})
}

// Messages far larger than any buffer arrive whole; a large batch may come in parts, which
// together are the batch.
func TestLargeMessages(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		atLeader, atLearner := connect(t, leader, learner)
		var batch []zab.Entry
		at := zxid.Point{}
		for i := range 40 {
			e := zab.NewEntry(at, zxid.ID(i+1), bytes.Repeat([]byte{byte(i)}, 100_000))
			batch, at = append(batch, e), e.Point()
		}
		big := bytes.Repeat([]byte("chunk"), 1_000_000)
		learner.Send(atLearner, []zab.Message{{Kind: zab.Request, Data: big}, {Kind: zab.Ack, Zxid: 1}})
		leader.Send(atLeader, []zab.Message{{Kind: zab.Proposal, Entries: batch}, {Kind: zab.Commit, Zxid: 40}})

		got := leader.awaitMessages(t, atLeader, 2)
		if !bytes.Equal(got[0].Data, big) || got[1].Kind != zab.Ack {
			t.Errorf("a large request arrived damaged, or out of order")
		}
		learner.await(t, "the commit came", func() bool {
			msgs := learner.msgs[atLearner]
			return len(msgs) > 0 && msgs[len(msgs)-1].Kind == zab.Commit
		})
		var entries []zab.Entry
		msgs := learner.awaitMessages(t, atLearner, 2)
		for _, m := range msgs[:len(msgs)-1] {
			entries = append(entries, m.Entries...)
		}
		if !reflect.DeepEqual(entries, batch) {
			t.Errorf("a batch of %d entries arrived as %d, or damaged", len(batch), len(entries))
		}
	}, func(cfg *transport.Config) { cfg.Heartbeat = 5 * time.Second })
}

func TestHangup(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		atLeader, atLearner := connect(t, leader, learner)
		learner.Hangup(atLearner)
		learner.Hangup(atLearner) // again, and of nothing: ignored
		learner.Hangup(12345)
		learner.Send(atLearner, []zab.Message{{Kind: zab.Ping}})
		leader.awaitDown(t, atLeader)

		// The next link has a new number, and only then would news of the old one be late.
		second := learner.Connect(1)
		learner.awaitLink(t, 2)
		learner.mu.Lock()
		if err, told := learner.down[atLearner]; told || second == atLearner {
			t.Errorf("LinkDown(%v) after Hangup; links %d and %d", err, atLearner, second)
		}
		learner.mu.Unlock()
		leader.Hangup(leader.awaitLink(t, 2))
		if err := learner.awaitDown(t, second); errors.Is(err, transport.ErrHungUp) {
			t.Errorf("the side that was hung up on says %v", err)
		}
		if err := learner.SendWait(t.Context(), second, nil); err == nil {
			t.Error("SendWait on a dead link succeeded")
		}
	})
}

// A learner that connects again replaces its older link, which ends first.
func TestReconnectReplaces(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		atLeader, atLearner := connect(t, leader, learner)
		learner.Connect(1)
		leader.awaitLink(t, 2)
		if err := leader.awaitDown(t, atLeader); !errors.Is(err, transport.ErrReplaced) {
			t.Errorf("the older link ended with %v", err)
		}
		learner.awaitDown(t, atLearner)
		leader.mu.Lock()
		defer leader.mu.Unlock()
		if want := []string{"up 2", "down 2", "up 2"}; !reflect.DeepEqual(leader.log, want) {
			t.Errorf("the leader saw %v, want %v", leader.log, want)
		}
	})
}

// Connect goes on until the leader is there, and what was sent meanwhile arrives.
func TestConnectBeforeLeader(t *testing.T) {
	test := func(t *testing.T, start func(quorum.SID) *server) {
		learner := start(2)
		given := learner.Connect(1)
		learner.Hangup(given)
		link := learner.Connect(1)
		learner.Send(link, []zab.Message{{Kind: zab.FollowerInfo, Epoch: 3}})
		learner.Connect(99) // nobody: never up
		leader := start(1)
		got := leader.awaitMessages(t, leader.awaitLink(t, 1), 1)
		if got[0].Kind != zab.FollowerInfo || got[0].Epoch != 3 {
			t.Errorf("got %+v", got[0])
		}
		learner.mu.Lock()
		defer learner.mu.Unlock()
		if _, up := learner.peer[given]; up {
			t.Error("a link came up after Hangup")
		}
	}
	t.Run("tcp", func(t *testing.T) {
		c := newCluster(t, 1, 2)
		for _, ln := range c.listeners[1] {
			_ = ln.Close()
		}
		delete(c.listeners, 1)
		test(t, func(sid quorum.SID) *server { return c.start(sid) })
	})
	t.Run("memory", func(t *testing.T) {
		m := newMemory(t, 1, 2)
		test(t, func(sid quorum.SID) *server { return m.start(sid) })
	})
}

// A process that ends is noticed at the other end, and its own links end.
func TestStopEndsLinks(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		_, atLearner := connect(t, leader, learner)
		leader.stop()
		learner.awaitDown(t, atLearner)
		leader.Send(1, []zab.Message{{Kind: zab.Ping}})
		leader.Connect(2)
	})
}

// small makes queues that fill quickly.
func small(cfg *transport.Config) {
	cfg.QueueBytes, cfg.StreamBytes = 4<<20, 64<<10
}

// Hazard H-66: a learner that does not read costs a bounded amount of memory and then its link.
func TestBudgetClosesLink(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		hold := make(chan struct{})
		defer close(hold)
		learner.event(func() { learner.hold = hold })
		atLeader, _ := connect(t, leader, learner)
		data := make([]byte, 100_000)
		for i := range 2000 {
			leader.Send(atLeader, []zab.Message{proposal(zxid.ID(i+1), data)})
		}
		if err := leader.awaitDown(t, atLeader); !errors.Is(err, transport.ErrQueueFull) {
			t.Errorf("the link ended with %v", err)
		}
		if err := leader.SendWait(t.Context(), atLeader, []zab.Message{{Kind: zab.Ping}}); err == nil {
			t.Error("SendWait on a dead link succeeded")
		}
	}, small)
}

// SendWait waits for a slow learner in place of overrunning it, and gives up when told to [H-66].
func TestSendWait(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		hold := make(chan struct{})
		learner.event(func() { learner.hold = hold })
		atLeader, atLearner := connect(t, leader, learner)

		const total = 400
		var sent []zxid.ID
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		next := func(ctx context.Context) error {
			id := zxid.ID(len(sent) + 1)
			err := leader.SendWait(ctx, atLeader, []zab.Message{proposal(id, make([]byte, 100_000))})
			if err == nil {
				sent = append(sent, id)
			}
			return err
		}
		for len(sent) < total {
			if err := next(ctx); err != nil {
				break
			}
		}
		if len(sent) == total || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("sent %d messages to a learner that does not read", len(sent))
		}
		close(hold)
		for len(sent) < total {
			if err := next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i, m := range learner.awaitMessages(t, atLearner, total) {
			if m.Entries[0].ID != zxid.ID(i+1) {
				t.Fatalf("message %d is %v", i, m.Entries[0].ID)
			}
		}
	}, small, func(cfg *transport.Config) { cfg.WriteTimeout = time.Minute })
}

// SendWait on a link that ends while it waits returns.
func TestSendWaitEndsWithLink(t *testing.T) {
	pairs(t, func(t *testing.T, leader, learner *server) {
		hold := make(chan struct{})
		defer close(hold)
		learner.event(func() { learner.hold = hold })
		atLeader, _ := connect(t, leader, learner)
		ended := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = leader.SendWait(context.Background(), atLeader, []zab.Message{{Kind: zab.SnapChunk, Data: make([]byte, 10_000)}})
			}
			ended <- err
		}()
		leader.Hangup(atLeader)
		select {
		case err := <-ended:
			if !errors.Is(err, transport.ErrHungUp) && !errors.Is(err, transport.ErrNoLink) {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Error("SendWait outlives the link")
		}
	}, small)
}

// Hazards H-56, H-65: a peer that takes nothing is given up after the write timeout, without
// a full queue.
func TestWriteTimeout(t *testing.T) {
	c := newCluster(t, 1, 2)
	hold := make(chan struct{})
	defer close(hold)
	impatientWriter := func(cfg *transport.Config) { cfg.WriteTimeout = 100 * time.Millisecond }
	leader, learner := c.start(1, impatientWriter), c.start(2)
	learner.event(func() { learner.hold = hold })
	atLeader, _ := connect(t, leader, learner)
	for range 40 { // more than the kernel buffers, less than the budget
		leader.Send(atLeader, []zab.Message{{Kind: zab.SnapChunk, Data: make([]byte, 1<<20)}})
	}
	if err := leader.awaitDown(t, atLeader); errors.Is(err, transport.ErrQueueFull) || errors.Is(err, io.EOF) {
		t.Errorf("the link ended with %v", err)
	}
}

// A peer that takes what it is sent, but too slowly, is given up by the age of the queue's head [H-66, H-74].
func TestQueueAge(t *testing.T) {
	c := newCluster(t, 1, 2)
	hold := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(hold) })
	defer letGo()
	leader := c.start(1, func(cfg *transport.Config) { cfg.QueueAge = 50 * time.Millisecond })
	learner := c.start(2)
	learner.event(func() { learner.hold = hold })
	atLeader, _ := connect(t, leader, learner)
	for range 40 {
		leader.Send(atLeader, []zab.Message{{Kind: zab.SnapChunk, Data: make([]byte, 1<<20)}})
	}
	timer := time.AfterFunc(200*time.Millisecond, letGo)
	defer timer.Stop()
	if err := leader.awaitDown(t, atLeader); !errors.Is(err, transport.ErrTooSlow) {
		t.Errorf("the link ended with %v", err)
	}
}

// A message that no frame can hold ends the link in place of being sent in vain for ever.
func TestTooLarge(t *testing.T) {
	c := newCluster(t, 1, 2)
	limit := func(cfg *transport.Config) { cfg.MaxFrame = 1 << 20 }
	leader, learner := c.start(1, limit), c.start(2, limit)
	atLeader, atLearner := connect(t, leader, learner)
	leader.Send(atLeader, []zab.Message{{Kind: zab.SnapChunk, Data: make([]byte, 1<<20-100)}})
	learner.awaitMessages(t, atLearner, 1)
	leader.Send(atLeader, []zab.Message{{Kind: zab.SnapChunk, Data: make([]byte, 1<<20)}})
	if err := leader.awaitDown(t, atLeader); !errors.Is(err, transport.ErrTooLarge) {
		t.Errorf("the link ended with %v", err)
	}
}
