package server_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// manyPaths is more than one request looks up at once, several times over.
const manyPaths = 500

// gate is a store that halts who looks a certain node up for the first time.
type gate struct {
	server.Store
	path         atomic.Pointer[string]
	reached, let chan struct{}
}

func (g *gate) Node(path string) *znode.Node {
	if at := g.path.Load(); at != nil && *at == path && g.path.CompareAndSwap(at, nil) {
		g.reached <- struct{}{}
		<-g.let
	}
	return g.Store.Node(path)
}

// halt halts the next one at path.
func (g *gate) halt(path string) { g.path.Store(&path) }

// gatedTwin is a server with a gate, a client that is to be halted, and another one.
func gatedTwin(t *testing.T) (g *gate, a, b *client) {
	t.Helper()
	g = &gate{reached: make(chan struct{}), let: make(chan struct{})}
	w := newTwin(t, 1, func(c *server.Config) { g.Store, c.Store = c.Store, g })
	return g, w.members[0].connect(t), w.members[0].connect(t)
}

// numbered returns n paths, in order.
func numbered(prefix string, n int) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return paths
}

// TestChangeBetweenSteps changes nodes in the middle of a setWatches: what is watched by then
// fires, what is not is found to have changed, and everything comes once.
func TestChangeBetweenSteps(t *testing.T) {
	g, a, b := gatedTwin(t)
	paths := numbered("/n", manyPaths)
	early, late := paths[3], paths[manyPaths-3]
	since := b.last
	for _, path := range []string{early, late} {
		b.create(path, "", proto.ModePersistent)
		since = b.last
	}
	g.halt(paths[manyPaths/2])
	a.send(proto.OpSetWatches2, proto.SetWatches2{
		SetWatches: proto.SetWatches{
			RelativeZxid: since, Data: []string{early, late}, Exist: numbered("/gone", manyPaths),
			Child: paths,
		},
		Persistent: []string{"/stays"}, PersistentRecursive: []string{"/stays/too"},
	})
	<-g.reached
	b.must(proto.OpSetData, proto.SetDataRequest{Path: early, Version: -1})
	fired := b.last
	b.must(proto.OpDelete, proto.DeleteRequest{Path: late, Version: -1})
	b.create("/gone0003", "", proto.ModePersistent)
	g.let <- struct{}{}

	var got []string
	for r := a.next(); r.op != proto.OpSetWatches2; r = a.next() {
		if path := r.event.Path; path == early || path == late || strings.HasPrefix(path, "/gone") {
			got = append(got, fmt.Sprint(r.event.Type, path, r.Zxid > 0))
			if path == early && r.Zxid != fired {
				t.Errorf("%v, want zxid %v", r, fired)
			}
		}
	}
	if a.last != b.last {
		t.Errorf("the reply shows %v, want %v", a.last, b.last)
	}
	// Data watches come before the gate, and so do those on missing nodes. The child watch of late
	// comes after it, and finds nothing.
	want := []string{
		fmt.Sprint(proto.EventNodeDataChanged, early, true),
		fmt.Sprint(proto.EventNodeDeleted, late, true),
		fmt.Sprint(proto.EventNodeCreated, "/gone0003", true),
		fmt.Sprint(proto.EventNodeDeleted, late, false),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	b.create("/stays", "", proto.ModePersistent)
	b.create("/stays/too", "", proto.ModePersistent)
	if got := strings.Count(a.events(), "event"); got != 3 { // created, children changed; created
		t.Errorf("%d events of the watches that stay, want 3", got)
	}
}

// TestChangeBetweenLookups changes nodes in the middle of a multiRead: the answer is the state
// behind the change, for what was looked up before and after it.
func TestChangeBetweenLookups(t *testing.T) {
	g, a, b := gatedTwin(t)
	paths := numbered("/n", manyPaths)
	for _, path := range paths {
		b.create(path, "old", proto.ModePersistent)
	}
	ask := proto.MultiRequest{Read: true}
	for _, path := range append(paths, numbered("/missing", manyPaths)...) {
		for _, op := range []proto.Op{proto.OpGetData, proto.OpGetChildren} {
			ask.Ops = append(ask.Ops, proto.MultiOp{Op: op, Request: &proto.ReadRequest{Path: path}})
		}
	}
	g.halt(paths[manyPaths/2])
	a.send(proto.OpMultiRead, ask)
	<-g.reached
	for _, i := range []int{7, manyPaths - 7} {
		b.must(proto.OpSetData, proto.SetDataRequest{Path: paths[i], Data: []byte("new"), Version: -1})
		b.create(paths[i]+"/child", "", proto.ModePersistent)
		b.create(fmt.Sprintf("/missing%04d", i), "made", proto.ModePersistent)
		b.must(proto.OpDelete, proto.DeleteRequest{Path: paths[i+1], Version: -1})
	}
	g.let <- struct{}{}
	results := a.next().multiResults(t)
	if a.last != b.last {
		t.Errorf("the reply shows %v, want %v", a.last, b.last)
	}
	for i := range 2 * manyPaths {
		data, children := results[2*i], results[2*i+1]
		want := "old"
		var names []string
		switch i {
		case 7, manyPaths - 7:
			want, names = "new", []string{"child"}
		case 7 + manyPaths, manyPaths - 7 + manyPaths:
			want = "made"
		case 8, manyPaths - 6:
			want = ""
		default:
			if i >= manyPaths {
				want = ""
			}
		}
		if want == "" {
			if data.Err != proto.CodeNoNode || children.Err != proto.CodeNoNode {
				t.Errorf("node %d is there: %+v %+v", i, data, children)
			}
		} else if string(data.Data) != want || !slices.Equal(children.Children, names) {
			t.Errorf("node %d: %q with %v, want %q with %v", i, data.Data, children.Children, want, names)
		}
	}
}

// TestLongReadsKeepTheirTurn pipelines long reads between writes whose commits are held back:
// each answer shows exactly the state between them.
func TestLongReadsKeepTheirTurn(t *testing.T) {
	w := newTwin(t, 1, nil)
	c := w.members[0].connect(t)
	paths := numbered("/n", manyPaths)
	c.create(paths[0], "0", proto.ModePersistent)
	since := c.last
	w.hold()
	var frames []byte
	for i := range 3 {
		frames = c.append(frames, proto.OpSetData, proto.SetDataRequest{Path: paths[0], Data: fmt.Append(nil, i+1), Version: -1})
		frames = c.append(frames, proto.OpSetWatches, proto.SetWatches{RelativeZxid: since + 1, Data: paths})
		frames = c.append(frames, proto.OpMultiRead, getAll(paths))
	}
	c.write(frames)
	eventually(t, "the first write is proposed", func() bool { return w.heldTxns() == 1 })
	w.release(false)
	for i := range 3 {
		// Of the node that exists: in the first round it has not changed, in the others the watch
		// that was set then has fired, or what it was set for is long ago.
		if i == 1 {
			if r := c.next(); r.event.Type != proto.EventNodeDataChanged || r.Zxid != since+2 {
				t.Fatalf("round %d: %v instead of the event of the watch", i, r)
			}
		}
		if r := c.next(); r.op != proto.OpSetData || r.Zxid != since+1+zxid.ID(i) {
			t.Fatalf("round %d: %v instead of the answer to a write", i, r)
		}
		for n := range manyPaths {
			if i == 0 && n == 0 {
				continue
			}
			want := proto.EventNodeDeleted
			if n == 0 {
				want = proto.EventNodeDataChanged
			}
			if r := c.next(); r.event.Path != paths[n] || r.event.Type != want || r.Zxid != -1 {
				t.Fatalf("round %d: %v instead of what was missed at %s", i, r, paths[n])
			}
		}
		if r := c.next(); r.op != proto.OpSetWatches {
			t.Fatalf("round %d: %v instead of the answer to setWatches", i, r)
		}
		if got := c.next().multiResults(t)[0]; string(got.Data) != fmt.Sprint(i+1) {
			t.Fatalf("round %d: read %q", i, got.Data)
		}
	}
}

// TestLongReadsBesideChanges lets clients set watches on many nodes again and again while others
// change them, and count: whatever has changed since the state that they say to have
// seen is told once, before, in the middle, or afterwards. Others read pairs of nodes that change
// together, and never see one without the other.
func TestLongReadsBesideChanges(t *testing.T) {
	for _, crowd := range []int{0, 1000} {
		t.Run(fmt.Sprint("crowd of ", crowd), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			w := newTwin(t, 2, nil)
			w.setCrowd(crowd)
			var stopped atomic.Bool
			var changers, readers sync.WaitGroup
			paths := numbered("/n", manyPaths)
			setup := w.members[0].connect(t)
			for i := range manyPaths / 2 {
				setup.changePair(create, paths[i], paths[manyPaths-1-i])
			}
			for i := range 2 {
				c := w.members[i].connect(t)
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				changers.Go(func() {
					for !stopped.Load() {
						i := rng.IntN(manyPaths / 2)
						c.changePair(rng.IntN(pairChanges), paths[i], paths[manyPaths-1-i])
					}
				})
			}
			for i := range 20 {
				c := w.members[i%2].connect(t)
				if i < 16 {
					readers.Go(func() { c.watchAndCount(paths, i < 12) })
				} else {
					readers.Go(func() { c.readPairs(paths) })
				}
			}
			readers.Wait()
			stopped.Store(true)
			changers.Wait()
		})
	}
}

// What changePair does.
const (
	create = iota
	set
	remove
	pairChanges
)

// changePair changes two nodes in one go, or none if it cannot.
func (c *client) changePair(what int, paths ...string) {
	c.t.Helper()
	var m proto.MultiRequest
	for _, path := range paths {
		var op proto.MultiOp
		switch what {
		case create:
			request := createRequest(path, "", proto.ModePersistent)
			op = proto.MultiOp{Op: proto.OpCreate, Request: &request}
		case set:
			op = proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: path, Version: -1}}
		case remove:
			op = proto.MultiOp{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: path, Version: -1}}
		}
		m.Ops = append(m.Ops, op)
	}
	c.must(proto.OpMulti, m)
}

// getAll is a multiRead of the data of nodes.
func getAll(paths []string) proto.MultiRequest {
	m := proto.MultiRequest{Read: true}
	for _, path := range paths {
		m.Ops = append(m.Ops, proto.MultiOp{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: path}})
	}
	return m
}

// watchAndCount sets watches and holds what it is told against what has changed in the end. They
// are data watches, or exists watches, whose first event must be that of a creation.
func (c *client) watchAndCount(paths []string, exists bool) {
	c.t.Helper()
	c.call(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	w := proto.SetWatches{RelativeZxid: c.last, Data: paths}
	if exists {
		w.Data, w.Exist = nil, paths
	}
	c.send(proto.OpSetWatches, w)
	c.send(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	c.send(proto.OpMultiRead, getAll(paths))
	told := map[string]int{}
	r := c.next()
	for ; r.op != proto.OpMultiRead; r = c.next() {
		if r.op != proto.OpNotification {
			continue
		}
		told[r.event.Path]++
		if exists && r.event.Type != proto.EventNodeCreated {
			c.t.Fatalf("%v of an exists watch", r)
		}
	}
	for i, res := range r.multiResults(c.t) {
		want := 0
		switch gone := res.Err == proto.CodeNoNode; {
		case exists && gone:
			want = min(told[paths[i]], 1) // it may have been there in between
		case exists, gone, res.Stat.Mzxid > w.RelativeZxid:
			want = 1
		}
		if got := told[paths[i]]; got != want {
			c.t.Fatalf("%d events of %s, want %d: seen %v, now %+v at %v", got, paths[i], want, w.RelativeZxid, res, r.Zxid)
		}
	}
}

// readPairs holds nodes against their counterparts.
func (c *client) readPairs(paths []string) {
	c.t.Helper()
	c.send(proto.OpMultiRead, getAll(paths))
	results := c.next().multiResults(c.t)
	for i := range results {
		a, b := results[i], results[len(results)-1-i]
		if a.Err != b.Err || a.Stat.Mzxid != b.Stat.Mzxid {
			c.t.Fatalf("two states in one answer: %+v and %+v", a, b)
		}
		if a.Stat.Mzxid > c.last {
			c.t.Fatalf("a change of %v in the state %v", a.Stat.Mzxid, c.last)
		}
	}
}

// multiResults returns what a reply to a multiRead says.
func (r reply) multiResults(tb testing.TB) []proto.MultiResult {
	tb.Helper()
	if r.op != proto.OpMultiRead {
		tb.Fatalf("%v instead of the answer to a multiRead", r)
	}
	var res proto.MultiResponse
	cur := jute.NewCursor(r.body)
	if res.Decode(&cur); cur.Err() != nil {
		tb.Fatal(cur.Err())
	}
	return res.Results
}

// BenchmarkLongReads measures what one request on some hundred thousand missing nodes does to
// others: how long a session that reads, and one that writes, have to wait meanwhile.
func BenchmarkLongReads(b *testing.B) {
	var paths []string
	for i, bytes := 0, 0; bytes < 1_000_000; i++ {
		path := "/" + strconv.FormatInt(int64(i), 36)
		paths, bytes = append(paths, path), bytes+4+len(path)
	}
	for _, bm := range []struct {
		name string
		op   proto.Op
		body proto.Appender
	}{
		{"exist", proto.OpSetWatches, proto.SetWatches{Exist: paths}},
		{"data", proto.OpSetWatches, proto.SetWatches{Data: paths}},
		{"persistent", proto.OpSetWatches2, proto.SetWatches2{Persistent: paths}},
		{"multiRead", proto.OpMultiRead, getAll(paths[:len(paths)/3])},
	} {
		b.Run(bm.name, func(b *testing.B) {
			m := newTwin(b, 1, nil).members[0]
			setup := m.connect(b)
			for i := range 20_000 {
				setup.create(fmt.Sprint("/node-", i), "", proto.ModePersistent)
			}
			reader, writer := newProbe(m.connect(b)), newProbe(m.connect(b))
			var all time.Duration
			rounds := 0
			for b.Loop() {
				b.StopTimer()
				c := m.connect(b)
				runtime.GC()
				b.StartTimer()
				rounds++
				reader.start(proto.OpGetData, proto.ReadRequest{Path: "/node-1"})
				writer.start(proto.OpSetData, proto.SetDataRequest{Path: "/node-2", Version: -1})
				begin := time.Now()
				c.send(bm.op, bm.body)
				for c.next().op != bm.op {
				}
				all += time.Since(begin)
				reader.end()
				writer.end()
				c.nc.Close()
			}
			b.ReportMetric(float64(all.Microseconds())/1000/float64(rounds), "all-ms")
			reader.report(b, "read")
			writer.report(b, "write")
		})
	}
}
