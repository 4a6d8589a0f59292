package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/docs/recipes"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

var open = zk.WorldACL(zk.PermAll)

// errEnough ends a watch that has seen what it waited for.
var errEnough = errors.New("enough")

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// bounded is the time that a test may take.
func bounded(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 2*zktest.Patience)
	tb.Cleanup(cancel)
	return ctx
}

func create(tb testing.TB, conn *zk.Conn, path string) {
	tb.Helper()
	_, err := conn.Create(path, nil, 0, open)
	must(tb, err)
}

// together runs n functions and returns when all have ended; the test fails with their errors.
func together(tb testing.TB, n int, f func(i int) error) (wait func()) {
	tb.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				tb.Errorf("%d: %v", i, err)
			}
		})
	}
	return wg.Wait
}

// killLeader kills the leading server, and starts it again, each time that so many steps are done.
func killLeader(ctx context.Context, tb testing.TB, e *zktest.Ensemble, steps <-chan struct{}, every ...int) {
	tb.Helper()
	for _, n := range every {
		for range n {
			select {
			case <-steps:
			case <-ctx.Done():
				tb.Fatal("no progress")
			}
		}
		leader := e.Leader(tb)
		leader.Kill(tb)
		leader.Restart(tb)
	}
}

// note writes a token to the history while the lock is held. A lost answer makes it write twice, which does no harm.
func note(ctx context.Context, conn *zk.Conn, held *recipes.Held) error {
	for {
		_, err := conn.Multi(held.Guard(), &zk.CreateRequest{
			Path: "/history/n-", Data: fmt.Appendf(nil, "%016x", held.Token()), Acl: open, Flags: zk.FlagSequence,
		})
		if ctx.Err() != nil || !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrNoServer) {
			return err
		}
	}
}

func TestLockExcludesWhileLeadersDie(t *testing.T) {
	const clients, rounds = 4, 10
	ctx, e := bounded(t), zktest.Start(t, 3)
	conns := make([]*zk.Conn, clients)
	for i := range conns {
		conns[i] = e.Connect(t)
	}
	create(t, conns[0], "/history")
	steps := make(chan struct{}, clients*rounds)
	wait := together(t, clients, func(i int) error {
		lock, err := recipes.NewLock(ctx, conns[i], "/locks/a")
		if err != nil {
			return err
		}
		for done := 0; done < rounds; {
			held, err := lock.Acquire(ctx, "")
			if err == nil {
				// Two notes: when two hold the lock at once, theirs are mixed.
				err = errors.Join(note(ctx, conns[i], held), note(ctx, conns[i], held), held.Release(ctx))
			}
			switch {
			case err == nil:
				done++
				steps <- struct{}{}
			case !errors.Is(err, recipes.ErrSessionLost) && !errors.Is(err, zk.ErrNoNode):
				return err
			}
		}
		return nil
	})
	killLeader(ctx, t, e, steps, 8, 12)
	wait()
	_, err := conns[0].Sync("/")
	must(t, err)
	names, _, err := conns[0].Children("/history")
	must(t, err)
	if len(names) < 2*clients*rounds {
		t.Errorf("%d notes, want at least %d", len(names), 2*clients*rounds)
	}
	slices.Sort(names)
	last := ""
	for _, name := range names {
		token, _, err := conns[0].Get("/history/" + name)
		must(t, err)
		if string(token) < last {
			t.Errorf("token %s wrote after token %s", token, last)
		}
		last = string(token)
	}
	if names, _, err := conns[0].Children("/locks/a"); err != nil || len(names) != 0 {
		t.Errorf("the lock's directory holds %v (%v), want nothing left behind", names, err)
	}
}

func TestGuardedWritesAreAdmitted(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	var fence recipes.Fence
	writes := 0
	conns := []*zk.Conn{e.Connect(t), e.Connect(t)}
	for i := range 6 {
		must(t, guarded(ctx, conns[i%2], &fence, func() error { writes++; return nil }))
	}
	if writes != 6 {
		t.Errorf("%d writes of 6 holders in turn", writes)
	}
}

// TestOvertakenHolderIsRefused holds hazard H-93.
func TestOvertakenHolderIsRefused(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	first, second := e.Connect(t), e.Connect(t)
	create(t, first, "/resource")
	lock1, err := recipes.NewLock(ctx, first, "/lock")
	must(t, err)
	lock2, err := recipes.NewLock(ctx, second, "/lock")
	must(t, err)
	old, err := lock1.Acquire(ctx, "first")
	must(t, err)
	_, err = first.Multi(old.Guard(), &zk.SetDataRequest{Path: "/resource", Data: []byte("first"), Version: -1})
	must(t, err)
	// The ensemble takes the lock from its holder, as the end of the session does.
	must(t, second.Delete(old.Guard().Path, -1))
	now, err := lock2.Acquire(ctx, "second")
	must(t, err)
	must(t, old.Lost(ctx))

	var fence recipes.Fence
	must(t, fence.Do(now.Token(), func() error { return nil }))
	if err := fence.Do(old.Token(), func() error { t.Error("an overtaken holder wrote"); return nil }); !errors.Is(err, recipes.ErrStale) {
		t.Errorf("an overtaken holder got %v, want %v", err, recipes.ErrStale)
	}
	_, err = first.Multi(old.Guard(), &zk.SetDataRequest{Path: "/resource", Data: []byte("late"), Version: -1})
	if !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("a guarded write of an overtaken holder: %v, want %v", err, zk.ErrNoNode)
	}
	if data, _, err := second.Get("/resource"); err != nil || string(data) != "first" {
		t.Errorf("the resource is %q (%v), want first", data, err)
	}
}

func TestWaiterThatGivesUpLeavesTheLine(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 1)
	var locks []*recipes.Lock
	for range 3 {
		lock, err := recipes.NewLock(ctx, e.Connect(t), "/lock")
		must(t, err)
		locks = append(locks, lock)
	}
	observer := e.Connect(t)
	inLine := func(n int) {
		zktest.Eventually(t, fmt.Sprintf("%d in line", n), func() error {
			names, _, err := observer.Children("/lock")
			if err == nil && len(names) != n {
				err = fmt.Errorf("%d", len(names))
			}
			return err
		})
	}
	first, err := locks[0].Acquire(ctx, "first")
	must(t, err)
	impatient, giveUp := context.WithCancel(ctx)
	gaveUp := together(t, 1, func(int) error {
		if _, err := locks[1].Acquire(impatient, "impatient"); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("got %w, want %w", err, context.Canceled)
		}
		return nil
	})
	inLine(2)
	got := together(t, 1, func(int) error {
		_, err := locks[2].Acquire(ctx, "third")
		return err
	})
	inLine(3)
	giveUp()
	gaveUp()
	inLine(2)
	must(t, first.Release(ctx))
	got()
	inLine(1)
}

func TestElectionOutlivesLeaders(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	watcher := e.Connect(t)
	create(t, watcher, "/plan")
	elections := make([]*recipes.Election, 3)
	conns := make([]*zk.Conn, 3)
	for i := range elections {
		var err error
		conns[i] = e.Connect(t)
		elections[i], err = recipes.NewElection(ctx, conns[i], "/election")
		must(t, err)
	}
	type office struct {
		who  int
		term *recipes.Term
	}
	elected := make(chan office, len(elections))
	wait := together(t, len(elections), func(i int) error {
		term, err := elections[i].Campaign(ctx, fmt.Sprintf("candidate-%d", i))
		if err == nil {
			elected <- office{i, term}
		}
		return err
	})
	view, err := recipes.NewElection(ctx, watcher, "/election")
	must(t, err)
	last := int64(0)
	for n := range elections {
		var now office
		select {
		case now = <-elected:
		case <-ctx.Done():
			t.Fatal("nobody was elected")
		}
		if now.term.Number() <= last {
			t.Errorf("term %#x after %#x, want a greater number", now.term.Number(), last)
		}
		last = now.term.Number()
		must(t, lead(conns[now.who], now.term, fmt.Sprint(n)))
		err := view.Follow(ctx, func(leader string, term int64) error {
			if leader == fmt.Sprintf("candidate-%d", now.who) && term == last {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		switch n {
		case 0: // a leading server dies; the term does not end with it
			e.Leader(t).Kill(t)
			zktest.Eventually(t, "the leader leads on", func() error { return lead(conns[now.who], now.term, "still") })
			must(t, now.term.Resign(ctx))
			must(t, now.term.Ended(ctx))
		case 1: // a leading client ends without a word to its rivals
			conns[now.who].Close()
		}
		if n < 2 {
			zktest.Eventually(t, "writes of an ended term fail", func() error {
				if err := lead(watcher, now.term, "late"); !errors.Is(err, zk.ErrNoNode) {
					return fmt.Errorf("got %w, want %w", err, zk.ErrNoNode)
				}
				return nil
			})
		}
	}
	wait()
}

func TestQueueLosesNothing(t *testing.T) {
	const producers, each, workers = 2, 30, 3
	ctx, e := bounded(t), zktest.Start(t, 3)
	observer := e.Connect(t)
	create(t, observer, "/results")
	steps := make(chan struct{}, producers*each)
	queues := make([]*recipes.Queue, producers+workers)
	conns := make([]*zk.Conn, len(queues))
	for i := range queues {
		var err error
		conns[i] = e.Connect(t)
		queues[i], err = recipes.OpenQueue(ctx, conns[i], "/queue")
		must(t, err)
	}
	// One worker takes an item and ends.
	must(t, queues[0].Put(ctx, []byte("forgotten")))
	dead, err := recipes.OpenQueue(ctx, e.Connect(t), "/queue")
	must(t, err)
	item, err := dead.Take(ctx)
	must(t, err)
	must(t, dead.Close(ctx))
	if err := item.Done(ctx); !errors.Is(err, recipes.ErrSessionLost) {
		t.Errorf("a worker without its mark finished an item: %v, want %v", err, recipes.ErrSessionLost)
	}

	put := together(t, producers, func(p int) error {
		for i := range each {
			if err := queues[p].Put(ctx, fmt.Appendf(nil, "p%d-i%d", p, i)); err != nil {
				return err
			}
			steps <- struct{}{}
		}
		return nil
	})
	working, stop := context.WithCancel(ctx)
	worked := together(t, workers, func(w int) error {
		if err := work(working, queues[producers+w]); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	killLeader(ctx, t, e, steps, 10, 25)
	put()
	if n, err := queues[0].Reclaim(ctx); err != nil || n != 1 {
		t.Errorf("reclaimed %d items (%v), want the one of the dead worker", n, err)
	}
	// A result that was stored twice would have failed a worker: its node existed.
	zktest.Eventually(t, "all items are done", func() error {
		names, _, err := observer.Children("/results")
		if err == nil && len(names) != producers*each+1 {
			err = fmt.Errorf("%d results", len(names))
		}
		return err
	})
	stop()
	worked()
	for _, dir := range []string{"/queue/items", "/queue/claims"} {
		_, err := observer.Sync(dir)
		must(t, err)
		if names, _, err := observer.Children(dir); err != nil || len(names) != 0 {
			t.Errorf("%s holds %v (%v), want nothing", dir, names, err)
		}
	}
}

func TestReclaimedItemIsRefusedToItsOldWorker(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 1)
	admin := e.Connect(t)
	q, err := recipes.OpenQueue(ctx, admin, "/queue")
	must(t, err)
	must(t, q.Put(ctx, []byte("a")))
	must(t, q.Put(ctx, []byte("b")))
	item, err := q.Take(ctx)
	must(t, err)
	claims, _, err := admin.Children("/queue/claims")
	must(t, err)
	must(t, admin.Delete("/queue/claims/"+claims[0], -1))
	if err := item.Done(ctx); !errors.Is(err, recipes.ErrClaimLost) {
		t.Errorf("done without the claim: %v, want %v", err, recipes.ErrClaimLost)
	}
	next, err := q.Take(ctx)
	must(t, err)
	if string(next.Data) != "b" {
		t.Errorf("took %q, want b", next.Data)
	}
}

func TestConfigUpdatesDoNotUndoEachOther(t *testing.T) {
	const clients, keys = 3, 8
	ctx, e := bounded(t), zktest.Start(t, 3)
	steps := make(chan struct{}, clients*keys)
	watched, err := recipes.NewConfig(ctx, e.Connect(t), "/app/config")
	must(t, err)
	saw := together(t, 1, func(int) error {
		last := int32(-1)
		err := watched.Watch(ctx, func(value []byte, version int32) error {
			if version <= last {
				t.Errorf("version %d after %d", version, last)
			}
			last = version
			if strings.Count(string(value), "=") == clients*keys {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			return err
		}
		return nil
	})
	conns := []*zk.Conn{e.Connect(t), e.Connect(t), e.Connect(t)}
	wait := together(t, clients, func(i int) error {
		config, err := recipes.NewConfig(ctx, conns[i], "/app/config")
		if err != nil {
			return err
		}
		for k := range keys {
			if err := setting(ctx, config, fmt.Sprintf("c%d.k%d", i, k), "v"); err != nil {
				return err
			}
			steps <- struct{}{}
		}
		return nil
	})
	killLeader(ctx, t, e, steps, 6)
	wait()
	saw()
}

func TestMembersAreThoseAlive(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	see := func(want ...string) {
		t.Helper()
		g, err := recipes.NewGroup(ctx, e.Connect(t), "/group")
		must(t, err)
		err = g.Watch(ctx, func(members []string) error {
			if slices.Equal(members, want) {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatalf("waiting for %v: %v", want, err)
		}
	}
	leave := map[string]context.CancelFunc{}
	var waits []func()
	join := func(name string) {
		g, err := recipes.NewGroup(ctx, e.Connect(t), "/group")
		must(t, err)
		staying, cancel := context.WithCancel(ctx)
		leave[name] = cancel
		waits = append(waits, together(t, 1, func(int) error { return g.Join(staying, name, nil) }))
	}
	join("a")
	join("b")
	see("a", "b")
	e.Leader(t).Kill(t)
	join("c")
	see("a", "b", "c")
	leave["b"]()
	see("a", "c")
	// What the end of a session does to a member that lives on: it comes back.
	conn := e.Connect(t)
	_, old, err := conn.Get("/group/a")
	must(t, err)
	must(t, conn.Delete("/group/a", -1))
	zktest.Eventually(t, "a is back", func() error {
		_, stat, err := conn.Get("/group/a")
		if err == nil && stat.Czxid <= old.Czxid {
			err = errors.New("the old node")
		}
		return err
	})
	leave["a"]()
	leave["c"]()
	for _, wait := range waits {
		wait()
	}
	see()
}

func TestServicesAreFound(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	find := func(want ...string) {
		t.Helper()
		r, err := recipes.NewRegistry(ctx, e.Connect(t), "/services")
		must(t, err)
		err = r.Watch(ctx, "search", func(addresses []string) error {
			slices.Sort(addresses)
			if slices.Equal(addresses, want) {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatalf("waiting for %v: %v", want, err)
		}
	}
	first, stopFirst := context.WithCancel(ctx)
	second, stopSecond := context.WithCancel(ctx)
	conns := []*zk.Conn{e.Connect(t), e.Connect(t)}
	wait := together(t, 2, func(i int) error {
		r, err := recipes.NewRegistry(ctx, conns[i], "/services")
		if err != nil {
			return err
		}
		return r.Announce([]context.Context{first, second}[i], "search", fmt.Sprintf("host-%d:80", i))
	})
	find("host-0:80", "host-1:80")
	stopFirst()
	find("host-1:80")
	stopSecond()
	find()
	wait()
}

func TestSubscribersSeeEachMessageOnceInOneOrder(t *testing.T) {
	const publishers, each = 2, 20
	ctx, e := bounded(t), zktest.Start(t, 3)
	steps := make(chan struct{}, publishers*each)
	topics := make([]*recipes.Topic, 2+publishers)
	for i := range topics {
		var err error
		topics[i], err = recipes.OpenTopic(ctx, e.Connect(t), "/topic")
		must(t, err)
	}
	var seen [2][]string
	subscribed := together(t, 2, func(i int) error {
		err := topics[i].Subscribe(ctx, "", func(m recipes.Message) error {
			seen[i] = append(seen[i], string(m.Data))
			if len(seen[i]) == publishers*each {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			return err
		}
		return nil
	})
	published := together(t, publishers, func(p int) error {
		for i := range each {
			if err := topics[2+p].Publish(ctx, fmt.Appendf(nil, "p%d-%02d", p, i)); err != nil {
				return err
			}
			steps <- struct{}{}
		}
		return nil
	})
	killLeader(ctx, t, e, steps, 10, 15)
	published()
	subscribed()
	if !slices.Equal(seen[0], seen[1]) {
		t.Errorf("two subscribers saw\n%v\n%v\nwant one order", seen[0], seen[1])
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(seen[0])))); n != publishers*each {
		t.Errorf("%d different messages of %d", n, publishers*each)
	}
	must(t, topics[0].Trim(ctx, 1))
	err := topics[0].Subscribe(ctx, "", func(m recipes.Message) error {
		if string(m.Data) != seen[0][len(seen[0])-1] {
			t.Errorf("after the trim %q is left, want the last message", m.Data)
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

func TestBarrierHoldsAllUp(t *testing.T) {
	ctx, e := bounded(t), zktest.Start(t, 3)
	conn := e.Connect(t)
	barrier := recipes.NewBarrier(conn, "/maintenance")
	must(t, barrier.Wait(ctx)) // not raised
	must(t, barrier.Raise(ctx))
	var lowered atomic.Bool
	conns := []*zk.Conn{e.Connect(t), e.Connect(t), e.Connect(t)}
	wait := together(t, len(conns), func(i int) error {
		if _, err := conns[i].Sync("/maintenance"); err != nil {
			return err
		}
		if err := recipes.NewBarrier(conns[i], "/maintenance").Wait(ctx); err != nil {
			return err
		}
		if !lowered.Load() {
			return errors.New("passed a raised barrier")
		}
		return nil
	})
	lowered.Store(true)
	must(t, barrier.Lower(ctx))
	wait()
}

func TestDoubleBarrierBeginsAndEndsTogether(t *testing.T) {
	const n = 4
	ctx, e := bounded(t), zktest.Start(t, 3)
	conns := make([]*zk.Conn, n)
	for i := range conns {
		conns[i] = e.Connect(t)
	}
	steps := make(chan struct{}, n)
	var mu sync.Mutex
	arrived, finished := 0, 0
	wait := together(t, n, func(i int) error {
		b, err := recipes.NewDoubleBarrier(ctx, conns[i], "/round-1", n)
		if err != nil {
			return err
		}
		mu.Lock()
		arrived++
		mu.Unlock()
		steps <- struct{}{}
		if err := b.Enter(ctx); err != nil {
			return err
		}
		mu.Lock()
		if arrived != n {
			t.Errorf("one began when %d of %d had arrived", arrived, n)
		}
		finished++
		mu.Unlock()
		if err := b.Leave(ctx); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if finished != n {
			t.Errorf("one left when %d of %d had finished", finished, n)
		}
		return nil
	})
	killLeader(ctx, t, e, steps, 2)
	wait()
}
