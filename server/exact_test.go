package server_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// seen is one observation of a node's value at a zxid.
type seen struct {
	at    zxid.ID
	path  string
	value string
	write bool
}

// TestRepliesShowExactlyTheirZxid lets pipelining clients on two servers write and read
// the same few nodes while what the leader says comes in lumps, and then checks every read
// against the log of all writes at the read's own zxid (spec semantics 14, hazard H-61).
func TestRepliesShowExactlyTheirZxid(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newTwin(t, 2, nil)
	nodes := []string{"/n0", "/n1", "/n2"}
	setup := w.members[0].connect(t)
	for _, path := range nodes {
		setup.create(path, "", proto.ModePersistent)
	}
	var mu sync.Mutex
	var all []seen
	var clients sync.WaitGroup
	for i := range 6 {
		c := w.members[i%2].connect(t)
		c.call(proto.OpSync, proto.SyncRequest{}) // behind the creation of the nodes
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		clients.Go(func() {
			got := observe(c, rng, i, nodes)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, got...)
		})
	}
	stop, lumps := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(lumps)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				w.hold()
			}
			<-time.After(time.Millisecond) // lets a lump gather
			w.release(true)
		}
	}()
	clients.Wait()
	close(stop)
	<-lumps
	checkSeen(t, all)
}

// observe sends bursts of writes and reads and returns what the replies say.
func observe(c *client, rng *rand.Rand, who int, nodes []string) []seen {
	var got []seen
	serial := 0
	for range 60 {
		var frames []byte
		var burst []seen
		for range 1 + rng.IntN(20) {
			s := seen{path: nodes[rng.IntN(len(nodes))], write: rng.IntN(3) == 0}
			if s.write {
				serial++
				s.value = fmt.Sprint(who, "-", serial)
				frames = c.append(frames, proto.OpSetData, proto.SetDataRequest{Path: s.path, Data: []byte(s.value), Version: -1})
			} else {
				frames = c.append(frames, proto.OpGetData, proto.ReadRequest{Path: s.path})
			}
			burst = append(burst, s)
		}
		c.write(frames)
		for i := range burst {
			r := c.next() // checks that zxids do not fall
			if r.Err != proto.CodeOK {
				c.t.Errorf("%v", r)
			}
			burst[i].at = r.Zxid
			if !burst[i].write {
				var d proto.GetDataResponse
				r.decode(c.t, &d)
				burst[i].value = string(bytes.Clone(d.Data))
			}
		}
		got = append(got, burst...)
	}
	return got
}

// checkSeen replays the writes in the order of their zxids and compares each read.
func checkSeen(t *testing.T, all []seen) {
	t.Helper()
	// Writes first: a read at a zxid shows the write with that zxid.
	slices.SortStableFunc(all, func(a, b seen) int {
		switch {
		case a.at != b.at:
			return int(a.at - b.at)
		case a.write == b.write:
			return 0
		case a.write:
			return -1
		}
		return 1
	})
	state := map[string]string{}
	reads, last := 0, zxid.ID(0)
	for _, s := range all {
		if s.write {
			if s.at == last {
				t.Errorf("two writes have zxid %v", s.at)
			}
			last = s.at
			state[s.path] = s.value
			continue
		}
		reads++
		if state[s.path] != s.value {
			t.Fatalf("a read of %s at %v shows %q, the log has %q", s.path, s.at, s.value, state[s.path])
		}
	}
	if reads == 0 {
		t.Fatal("nothing was read")
	}
}
