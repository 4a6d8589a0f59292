package server_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// setCrowd calls SetCrowd on all servers unless n is negative.
func (w *twin) setCrowd(n int) {
	if n < 0 {
		return
	}
	for _, m := range w.members {
		m.srv.SetCrowd(n)
	}
}

// change is one write to a path.
type change struct {
	at   zxid.ID
	path string
}

// heard is one frame that a client got: an event, or a reply together with what was asked.
type heard struct {
	at    zxid.ID
	event bool
	path  string
	op    proto.Op
	watch bool
	code  proto.Code
}

// TestEventsStandWhereTheyBelong lets clients on two servers write, read, watch and unwatch the
// same few nodes while commits come in lumps, with events delivered by the applier, by
// broadcasts, and by both. Each client's stream must have every event that its watches call
// for, once, in order, and ahead of the first reply that shows the change (spec semantics 8.6).
func TestEventsStandWhereTheyBelong(t *testing.T) {
	for _, crowd := range []int{0, 2, 1000} {
		t.Run(fmt.Sprint("crowd of ", crowd), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			w := newTwin(t, 2, nil)
			w.setCrowd(crowd)
			nodes := []string{"/n0", "/n1", "/n2"}
			setup := w.members[0].connect(t)
			for _, path := range nodes {
				setup.create(path, "", proto.ModePersistent)
			}
			stop := w.lumps()
			streams := make([][]heard, 8)
			var clients sync.WaitGroup
			for i := range streams {
				c := w.members[i%2].connect(t)
				c.call(proto.OpSync, proto.SyncRequest{})
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				clients.Go(func() { streams[i] = c.chatter(rng, nodes, i%4 == 0) })
			}
			clients.Wait()
			stop()
			changes := allChanges(t, streams)
			for i, s := range streams {
				checkStream(t, i, s, changes)
			}
		})
	}
}

// lumps holds back and lets out what the leader says, again and again, until stop.
func (w *twin) lumps() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				w.hold()
			}
			<-time.After(time.Millisecond) // lets a lump gather
			w.release(true)
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// chatter sends bursts of requests and returns what came back, a last sync included.
// Everywhere watches the whole tree.
func (c *client) chatter(rng *rand.Rand, nodes []string, everywhere bool) []heard {
	var got []heard
	for burst := range 40 {
		var frames []byte
		var asked []heard
		ask := func(h heard, body proto.Appender) {
			frames = c.append(frames, h.op, body)
			asked = append(asked, h)
		}
		if everywhere && burst == 0 {
			ask(heard{op: proto.OpAddWatch, path: "/"}, proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchPersistentRecursive})
		}
		for range 1 + rng.IntN(16) {
			path := nodes[rng.IntN(len(nodes))]
			switch rng.IntN(6) {
			case 0, 1:
				ask(heard{op: proto.OpSetData, path: path}, proto.SetDataRequest{Path: path, Version: -1})
			case 2, 3:
				ask(heard{op: proto.OpGetData, path: path, watch: true}, proto.ReadRequest{Path: path, Watch: true})
			case 4:
				ask(heard{op: proto.OpGetData, path: path}, proto.ReadRequest{Path: path})
			case 5:
				ask(heard{op: proto.OpRemoveWatches, path: path}, proto.RemoveWatchesRequest{Path: path, Type: proto.WatcherData})
			}
		}
		ask(heard{op: proto.OpSync}, proto.SyncRequest{Path: proto.Str("/")})
		c.write(frames)
		for len(asked) > 0 {
			r := c.next()
			if r.op == proto.OpNotification {
				got = append(got, heard{at: r.Zxid, event: true, path: r.event.Path})
				continue
			}
			h := asked[0]
			h.at, h.code = r.Zxid, r.Err
			asked = asked[1:]
			got = append(got, h)
		}
	}
	return got
}

// allChanges collects what the writers were told, in order.
func allChanges(t *testing.T, streams [][]heard) []change {
	t.Helper()
	byZxid := map[zxid.ID]string{}
	var first, last zxid.ID
	for _, s := range streams {
		for _, h := range s {
			if h.op == proto.OpSetData && !h.event {
				byZxid[h.at] = h.path
				if first == 0 || h.at < first {
					first = h.at
				}
				last = max(last, h.at)
			}
		}
	}
	var changes []change
	for z := first; z <= last; z++ {
		if path, ok := byZxid[z]; ok {
			changes = append(changes, change{z, path})
		}
	}
	if len(changes) < 100 {
		t.Fatalf("only %d changes", len(changes))
	}
	return changes
}

// checkStream replays what one client got against all changes.
func checkStream(t *testing.T, who int, stream []heard, changes []change) {
	t.Helper()
	armed := map[string]zxid.ID{} // one-shot watches and the state that they were set at
	var everywhere, now zxid.ID
	// due is whether a change calls for an event, given the watches.
	due := func(ch change) bool {
		at, ok := armed[ch.path]
		return ok && ch.at > at || everywhere != 0 && ch.at > everywhere
	}
	next := 0 // the first change that the stream has not passed
	pass := func(upTo zxid.ID) {
		for ; next < len(changes) && changes[next].at <= upTo; next++ {
			if due(changes[next]) {
				t.Fatalf("client %d: state %v is shown before the event of %+v", who, upTo, changes[next])
			}
		}
	}
	for _, h := range stream {
		if h.at < now {
			t.Fatalf("client %d: %+v behind state %v", who, h, now)
		}
		now = h.at
		if h.event {
			pass(h.at - 1)
			if next == len(changes) || changes[next] != (change{h.at, h.path}) || !due(changes[next]) {
				t.Fatalf("client %d: an event that nothing calls for: %+v", who, h)
			}
			delete(armed, h.path)
			next++
			continue
		}
		pass(h.at)
		_, had := armed[h.path]
		switch {
		case h.watch:
			armed[h.path] = h.at
		case h.op == proto.OpAddWatch:
			everywhere = h.at
		case h.op == proto.OpRemoveWatches:
			if had != (h.code == proto.CodeOK) {
				t.Fatalf("client %d: %+v, and the watch is there: %v", who, h, had)
			}
			delete(armed, h.path)
		}
	}
}

// TestCrowdIsTold lets a thousand connections watch in every way, some of them twice, and
// changes things often enough that broadcasts overlap. It counts.
func TestCrowdIsTold(t *testing.T) {
	l := newMemListener()
	w := newTwinOn(t, 1, nil, func() (net.Listener, error) { return l, nil })
	m := w.members[0]
	c := m.memClient(t, l)
	c.create("/hot", "", proto.ModePersistent)
	const n = 1000
	data := seat(t, l, n, opening(proto.OpGetData, proto.ReadRequest{Path: "/hot", Watch: true}))
	child := seat(t, l, n, opening(proto.OpGetChildren, proto.ReadRequest{Path: "/hot", Watch: true}))
	persistent := seat(t, l, n, opening(proto.OpAddWatch, proto.AddWatchRequest{Path: "/hot"}))
	recursive := seat(t, l, n, opening(proto.OpAddWatch, proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchPersistentRecursive}))
	const changes = 20
	for range changes {
		c.must(proto.OpSetData, proto.SetDataRequest{Path: "/hot", Version: -1})
	}
	c.create("/hot/c", "", proto.ModePersistent)
	c.must(proto.OpDelete, proto.DeleteRequest{Path: "/hot/c", Version: -1})
	c.must(proto.OpDelete, proto.DeleteRequest{Path: "/hot", Version: -1})
	for _, want := range []struct {
		who    string
		got    *audience
		events int64
	}{
		{"data", data, n},
		{"child", child, n},
		{"persistent", persistent, n * (changes + 2 + 1)},
		{"recursive", recursive, n * (changes + 2 + 1)},
	} {
		eventually(t, fmt.Sprintf("%d events for %s watches", want.events, want.who), func() bool {
			return want.got.events.Load() == want.events
		})
	}
	if got := m.srv.Stats().Watches; got != 3*n {
		t.Fatalf("%d watches are left, want the %d that stay", got, 3*n)
	}
}

// TestCrowdThatDoesNotRead fills the sockets of some of a crowd: the others are told.
func TestCrowdThatDoesNotRead(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.MaxOutput = 64 << 20 })
	w.setCrowd(0)
	m := w.members[0]
	c := m.connect(t)
	path := "/" + strings.Repeat("p", 250<<10)
	c.create(path, "", proto.ModePersistent)
	n := 40 // of 10 MB each
	if testing.Short() {
		n = 8
	}
	var deaf []*client
	for range n {
		d := m.connect(t)
		d.must(proto.OpAddWatch, proto.AddWatchRequest{Path: path})
		deaf = append(deaf, d)
	}
	last := m.connect(t)
	last.must(proto.OpAddWatch, proto.AddWatchRequest{Path: path})
	const changes = 40
	for range changes {
		c.must(proto.OpSetData, proto.SetDataRequest{Path: path, Version: -1})
		if r := last.next(); r.op != proto.OpNotification {
			t.Fatalf("%v instead of an event", r)
		}
	}
	for _, d := range deaf { // who reads after all has lost nothing
		for range changes {
			if r := d.next(); r.op != proto.OpNotification {
				t.Fatalf("%v instead of an event", r)
			}
		}
	}
}
