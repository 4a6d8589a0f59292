package watch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/znode"
)

// everybody is a limit that no test reaches.
const everybody = 1 << 30

func fire(tb testing.TB, r *watch.Registry[string], table znode.Table, path string) []string {
	tb.Helper()
	got, ok := r.Fire(table, path, everybody, nil)
	if !ok {
		tb.Fatalf("fire at %q gave up", path)
	}
	slices.Sort(got)
	return got
}

func TestWatchFiresOnce(t *testing.T) {
	r := watch.New[string]()
	a, b := r.Join("a"), r.Join("b")
	r.Add(a, "/x", watch.Data)
	r.Add(a, "/x", watch.Data)
	r.Add(b, "/x", watch.Data)
	r.Add(b, "/x", watch.Child)
	if got, want := r.Counts(), (watch.Counts{Watches: 3, Data: 2, Paths: 1, Members: 2}); got != want {
		t.Fatalf("counts %+v, want %+v", got, want)
	}
	if got, want := fire(t, r, znode.DataTable, "/x"), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Fatalf("data watches reached %v, want %v", got, want)
	}
	if got := fire(t, r, znode.DataTable, "/x"); len(got) != 0 {
		t.Fatalf("a standard watch fired twice: %v", got)
	}
	if got := fire(t, r, znode.ChildTable, "/x"); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("child watches reached %v, want [b]", got)
	}
	if got := r.Counts(); got != (watch.Counts{}) {
		t.Fatalf("counts %+v after everything fired", got)
	}
}

func TestWatchesEndWithTheConnection(t *testing.T) {
	r := watch.New[string]()
	a := r.Join("a")
	for _, mode := range []watch.Mode{watch.Data, watch.Child, watch.Persistent, watch.Recursive} {
		r.Add(a, "/x", mode)
	}
	r.Leave(a)
	r.Leave(a)
	r.Add(a, "/x", watch.Persistent) // a read that was still under way
	b := r.Join("b")
	if got := fire(t, r, znode.DataTable, "/x"); len(got) != 0 {
		t.Fatalf("watches of a closed connection reached %v", got)
	}
	r.Add(b, "/x", watch.Child)
	if got := fire(t, r, znode.ChildTable, "/x"); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("reached %v, want [b]", got)
	}
}

// TestWatchBytes: what a connection's watches take grows with each new one by no less than its
// path, does not with one that is there already, and is given back.
func TestWatchBytes(t *testing.T) {
	r := watch.New[string]()
	a, b := r.Join("a"), r.Join("b")
	one := r.Add(a, "/x", watch.Data)
	path := "/" + strings.Repeat("p", 1000)
	two := r.Add(a, path, watch.Data)
	if one <= 2 || two < one+len(path) {
		t.Fatalf("%d bytes with one watch, %d with that of a path of %d", one, two, len(path))
	}
	if again := r.Add(a, path, watch.Data); again != two {
		t.Errorf("%d bytes when it is set twice, want %d", again, two)
	}
	if other := r.Add(b, path, watch.Data); other != two-one {
		t.Errorf("%d bytes for another connection, want %d", other, two-one)
	}
	if both := r.Add(a, path, watch.Persistent); both != two+(two-one) {
		t.Errorf("%d bytes in both tables, want %d", both, two+(two-one))
	}
	r.Remove(a, path, watch.Any)
	fire(t, r, znode.DataTable, "/x")
	if left := r.Add(a, "/x", watch.Data); left != one {
		t.Errorf("%d bytes when all but one are gone, want %d", left, one)
	}
	r.Leave(b)
	if gone := r.Add(b, path, watch.Data); gone != 0 {
		t.Errorf("%d bytes of a connection that has left", gone)
	}
	if next := r.Add(r.Join("c"), "/x", watch.Data); next != one {
		t.Errorf("%d bytes for a connection in the place of one that has left, want %d", next, one)
	}
}

// TestWhoIsReached is spec semantics 8.2 by example: every mode at the root, at a node and at its child, each held by a
// connection of that name, and who a trigger at a path reaches, the first time and the second.
func TestWhoIsReached(t *testing.T) {
	const data, child = znode.DataTable, znode.ChildTable
	tests := []struct {
		table znode.Table
		path  string
		first []string
		again []string
	}{
		{data, "/", []string{"data /", "persistent /", "recursive /"}, []string{"persistent /", "recursive /"}},
		{child, "/", []string{"child /", "persistent /"}, []string{"persistent /"}},
		{data, "/a", []string{"data /a", "persistent /a", "recursive /", "recursive /a"}, []string{"persistent /a", "recursive /", "recursive /a"}},
		{child, "/a", []string{"child /a", "persistent /a"}, []string{"persistent /a"}},
		{data, "/a/b", []string{"data /a/b", "persistent /a/b", "recursive /", "recursive /a", "recursive /a/b"}, []string{"persistent /a/b", "recursive /", "recursive /a", "recursive /a/b"}},
		{data, "/a/b/c/d", []string{"recursive /", "recursive /a", "recursive /a/b"}, []string{"recursive /", "recursive /a", "recursive /a/b"}},
		{child, "/a/b/c/d", nil, nil},
		{data, "/ab", []string{"recursive /"}, []string{"recursive /"}},
	}
	modes := map[string]watch.Mode{"data": watch.Data, "child": watch.Child, "persistent": watch.Persistent, "recursive": watch.Recursive}
	for _, tt := range tests {
		r := watch.New[string]()
		for name, mode := range modes {
			for _, path := range []string{"/", "/a", "/a/b"} {
				r.Add(r.Join(name+" "+path), path, mode)
			}
		}
		if got := fire(t, r, tt.table, tt.path); !slices.Equal(got, tt.first) {
			t.Errorf("table %v at %s reached %q, want %q", tt.table, tt.path, got, tt.first)
		}
		if got := fire(t, r, tt.table, tt.path); !slices.Equal(got, tt.again) {
			t.Errorf("table %v at %s reached %q the second time, want %q", tt.table, tt.path, got, tt.again)
		}
	}
}

// What ZooKeeper counts is connections per path and table, not modes.
func TestCountsIgnoreModes(t *testing.T) {
	r := watch.New[string]()
	a := r.Join("a")
	r.Add(a, "/x", watch.Persistent)
	if got, want := r.Counts(), (watch.Counts{Watches: 2, Data: 1, Paths: 1, Members: 1}); got != want {
		t.Fatalf("a persistent watch: %+v, want %+v", got, want)
	}
	for _, mode := range []watch.Mode{watch.Recursive, watch.Data, watch.Child} {
		r.Add(a, "/x", mode)
	}
	if got, want := r.Counts(), (watch.Counts{Watches: 2, Data: 1, Paths: 1, Members: 1}); got != want {
		t.Fatalf("all modes: %+v, want %+v", got, want)
	}
}

// entry is one (table, path, connection) of spec semantics 8.1.
type entry struct {
	table znode.Table
	path  string
	conn  int
}

// naive is a registry made of the words of spec semantics 8.1 to 8.3.
type naive map[entry]map[string]bool // the modes: standard, persistent, recursive

func (n naive) add(e entry, mode string) {
	if n[e] == nil {
		n[e] = map[string]bool{}
	}
	n[e][mode] = true
}

func (n naive) drop(e entry, mode string) bool {
	had := n[e][mode]
	if delete(n[e], mode); len(n[e]) == 0 {
		delete(n, e)
	}
	return had
}

func (n naive) watch(conn int, path string, mode watch.Mode) {
	data, child := entry{znode.DataTable, path, conn}, entry{znode.ChildTable, path, conn}
	switch mode {
	case watch.Data:
		n.add(data, "standard")
	case watch.Child:
		n.add(child, "standard")
	case watch.Persistent:
		n.add(data, "persistent")
		n.add(child, "persistent")
	case watch.Recursive:
		n.add(data, "recursive")
	case watch.Any: // not to be set
	}
}

func (n naive) has(conn int, path string, mode watch.Mode) bool {
	data, child := n[entry{znode.DataTable, path, conn}], n[entry{znode.ChildTable, path, conn}]
	switch mode {
	case watch.Data:
		return data["standard"]
	case watch.Child:
		return child["standard"]
	case watch.Persistent:
		return data["persistent"]
	case watch.Recursive:
		return data["recursive"]
	case watch.Any:
	}
	return len(data)+len(child) > 0
}

func (n naive) remove(conn int, path string, mode watch.Mode) bool {
	data, child := entry{znode.DataTable, path, conn}, entry{znode.ChildTable, path, conn}
	switch mode {
	case watch.Data:
		return n.drop(data, "standard")
	case watch.Child:
		return n.drop(child, "standard")
	case watch.Persistent:
		was := n.drop(data, "persistent")
		return n.drop(child, "persistent") || was
	case watch.Recursive:
		return n.drop(data, "recursive")
	case watch.Any:
	}
	was := len(n[data])+len(n[child]) > 0
	delete(n, data)
	delete(n, child)
	return was
}

// reached is who a trigger reaches.
func (n naive) reached(table znode.Table, path string) []int {
	set := map[int]bool{}
	for e, modes := range n {
		below := strings.HasPrefix(path, strings.TrimSuffix(e.path, "/")+"/") && path != "/" && strings.HasPrefix(e.path, "/")
		if e.table == table && (e.path == path || below && modes["recursive"]) {
			set[e.conn] = true
		}
	}
	var conns []int
	for c := range set {
		conns = append(conns, c)
	}
	slices.Sort(conns)
	return conns
}

func (n naive) consume(table znode.Table, path string, conns []int) {
	for _, c := range conns {
		n.drop(entry{table, path, c}, "standard")
	}
}

func (n naive) counts() watch.Counts {
	var c watch.Counts
	data, members := map[string]bool{}, map[int]bool{}
	for e := range n {
		c.Watches++
		if e.table == znode.DataTable {
			c.Data++
			data[e.path], members[e.conn] = true, true
		}
	}
	c.Paths, c.Members = len(data), len(members)
	return c
}

// machine drives a Registry and its naive twin.
type machine struct {
	r   *watch.Registry[int]
	n   naive
	ids map[int]watch.ID
}

func (m *machine) joinOrLeave(c int) {
	id, ok := m.ids[c]
	if !ok {
		m.ids[c] = m.r.Join(c)
		return
	}
	m.r.Leave(id)
	delete(m.ids, c)
	for e := range m.n {
		if e.conn == c {
			delete(m.n, e)
		}
	}
}

// reach holds what Watchers, Walk and Fire find against the twin.
func (m *machine) reach(tb rapid.TB, table znode.Table, path string, limit int) {
	tb.Helper()
	want := m.n.reached(table, path)
	compare := func(how string, got []int) {
		tb.Helper()
		if slices.Sort(got); !slices.Equal(got, want) {
			tb.Fatalf("%s: table %v at %q reached %v, want %v", how, table, path, got, want)
		}
	}
	all, _ := m.r.Watchers(table, path, everybody, nil)
	compare("watchers", all)
	var walked []int
	cursor := m.r.Walk(table, path)
	for more := true; more; {
		walked, more = m.r.Step(cursor, 2, walked)
	}
	slices.Sort(walked)
	compare("walk", slices.Compact(walked))
	if got, ok := m.r.Fire(table, path, limit, nil); ok != (len(want) <= limit) {
		tb.Fatalf("table %v at %q: fire with limit %d says %v, there are %v", table, path, limit, ok, want)
	} else if ok {
		compare("fire", got)
		m.n.consume(table, path, want)
	}
}

func (m *machine) hit(tb rapid.TB, conn int, table znode.Table, path string) {
	tb.Helper()
	id, ok := m.ids[conn]
	if !ok {
		return
	}
	want := slices.Contains(m.n.reached(table, path), conn)
	if got := m.r.Hit(id, table, path); got != want {
		tb.Fatalf("hit %d in table %v at %q: %v, want %v", conn, table, path, got, want)
	}
	m.n.consume(table, path, []int{conn})
}

func (m *machine) check(tb rapid.TB) {
	tb.Helper()
	if got, want := m.r.Counts(), m.n.counts(); got != want {
		tb.Fatalf("counts %+v, want %+v", got, want)
	}
	m.checkLists(tb, 1+m.n.counts().Watches%3)
}

var somePaths = []string{"", "/", "/a", "/a/b", "/a/b/c", "/ab", "not a path", "a/b"}

// TestAgainstTheWords holds the registry against spec semantics 8.1 to 8.3 taken literally.
func TestAgainstTheWords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := machine{r: watch.New[int](), n: naive{}, ids: map[int]watch.ID{}}
		conns := rapid.IntRange(0, 5)
		paths := rapid.SampledFrom(somePaths)
		tables := rapid.SampledFrom([]znode.Table{znode.DataTable, znode.ChildTable})
		modes := rapid.SampledFrom([]watch.Mode{watch.Data, watch.Child, watch.Persistent, watch.Recursive, watch.Any})
		rt.Repeat(map[string]func(*rapid.T){
			"join or leave": func(rt *rapid.T) { m.joinOrLeave(conns.Draw(rt, "conn")) },
			"add": func(rt *rapid.T) {
				c, path, mode := conns.Draw(rt, "conn"), paths.Draw(rt, "path"), modes.Draw(rt, "mode")
				if id, ok := m.ids[c]; ok && mode != watch.Any {
					m.r.Add(id, path, mode)
					m.n.watch(c, path, mode)
				}
			},
			"add all": func(rt *rapid.T) {
				c, some, mode := conns.Draw(rt, "conn"), rapid.SliceOf(paths).Draw(rt, "paths"), modes.Draw(rt, "mode")
				if id, ok := m.ids[c]; ok && mode != watch.Any {
					m.r.AddAll(id, some, mode)
					for _, path := range some {
						m.n.watch(c, path, mode)
					}
				}
			},
			"remove": func(rt *rapid.T) {
				c, path, mode := conns.Draw(rt, "conn"), paths.Draw(rt, "path"), modes.Draw(rt, "mode")
				id, ok := m.ids[c]
				if !ok {
					return
				}
				if got, want := m.r.Has(id, path, mode), m.n.has(c, path, mode); got != want {
					rt.Fatalf("%d has mode %d at %q: %v, want %v", c, mode, path, got, want)
				}
				if got, want := m.r.Remove(id, path, mode), m.n.remove(c, path, mode); got != want {
					rt.Fatalf("remove mode %d of %d at %q: %v, want %v", mode, c, path, got, want)
				}
			},
			"fire": func(rt *rapid.T) {
				m.reach(rt, tables.Draw(rt, "table"), paths.Draw(rt, "path"), rapid.IntRange(0, 7).Draw(rt, "limit"))
			},
			"hit": func(rt *rapid.T) {
				m.hit(rt, conns.Draw(rt, "conn"), tables.Draw(rt, "table"), paths.Draw(rt, "path"))
			},
			"": func(rt *rapid.T) { m.check(rt) },
		})
	})
}

// FuzzRegistry is the same with bytes for dice: one for what to do, one for whom, where and how.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0x10, 3, 0x10})
	f.Add([]byte{0, 1, 1, 0x29, 1, 0x3b, 4, 0x29, 2, 0xff, 0, 1})
	f.Fuzz(func(t *testing.T, dice []byte) {
		m := machine{r: watch.New[int](), n: naive{}, ids: map[int]watch.ID{}}
		for ; len(dice) >= 2; dice = dice[2:] {
			d := int(dice[1])
			c, path, mode := d&3, somePaths[d>>2&7], watch.Mode(d>>5%5)
			table := znode.Table(d >> 5 & 1)
			id, ok := m.ids[c]
			switch dice[0] % 5 {
			case 0:
				m.joinOrLeave(c)
			case 1:
				if ok && mode != watch.Any {
					m.r.Add(id, path, mode)
					m.n.watch(c, path, mode)
				}
			case 2:
				if ok && m.r.Remove(id, path, mode) != m.n.remove(c, path, mode) {
					t.Fatalf("remove mode %d of %d at %q", mode, c, path)
				}
			case 3:
				m.reach(t, table, path, d>>6)
			case 4:
				m.hit(t, c, table, path)
			}
			m.check(t)
		}
	})
}

// TestWalkWhileOthersMove lets connections end, fire alone and arrive in the middle of a
// walk: who was there and stays is passed.
func TestWalkWhileOthersMove(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := watch.New[int]()
		stays := map[int]watch.ID{}
		mode := rapid.SampledFrom([]watch.Mode{watch.Data, watch.Persistent, watch.Recursive})
		join := func(c int) watch.ID {
			id := r.Join(c)
			r.Add(id, rapid.SampledFrom([]string{"/a/b", "/a/b", "/a", "/"}).Draw(rt, "path"), mode.Draw(rt, "mode"))
			return id
		}
		for c := range rapid.IntRange(0, 40).Draw(rt, "conns") {
			if id := join(c); slices.Contains(reached(r), c) {
				stays[c] = id
			}
		}
		seen := map[int]bool{}
		cursor := r.Walk(znode.DataTable, "/a/b")
		for more, next := true, 1000; more; next++ {
			var got []int
			got, more = r.Step(cursor, rapid.IntRange(1, 4).Draw(rt, "step"), nil)
			for _, c := range got {
				seen[c] = true
			}
			for c, id := range stays {
				switch rapid.IntRange(0, 20).Draw(rt, "fate") {
				case 0:
					r.Leave(id)
					delete(stays, c)
				case 1:
					r.Hit(id, znode.DataTable, "/a/b")
					if !slices.Contains(reached(r), c) {
						delete(stays, c)
					}
				}
			}
			join(next)
		}
		for c := range stays {
			if !seen[c] {
				rt.Fatalf("the walk missed %d", c)
			}
		}
	})
}

func reached(r *watch.Registry[int]) []int {
	got, _ := r.Watchers(znode.DataTable, "/a/b", everybody, nil)
	return got
}

// TestManyWatchesComeAndGo runs through growth, shrinking and release of the slabs.
func TestManyWatchesComeAndGo(t *testing.T) {
	r := watch.New[int]()
	const n = 5000
	path := func(i int) string { return fmt.Sprint("/", i) }
	for round := range 3 {
		id := r.Join(round)
		for i := range n {
			r.Add(id, path(i), watch.Data)
		}
		if got := r.Counts().Watches; got != n {
			t.Fatalf("round %d: %d watches, want %d", round, got, n)
		}
		for i := range n {
			if i%3 == 0 && !r.Hit(id, znode.DataTable, path(i)) {
				t.Fatalf("round %d: the watch at %s is lost", round, path(i))
			}
		}
		for i := range n {
			if got, want := r.Has(id, path(i), watch.Data), i%3 != 0; got != want {
				t.Fatalf("round %d: a watch at %s: %v, want %v", round, path(i), got, want)
			}
		}
		r.Leave(id)
		if got := r.Counts(); got != (watch.Counts{}) {
			t.Fatalf("round %d: counts %+v after the connection left", round, got)
		}
	}
}

// What a crowd of watches took is given back when most of them are gone, even if some stay.
func TestMemoryIsGivenBack(t *testing.T) {
	const n, crowd = 100_000, 100
	r := watch.New[int]()
	before := heap()
	stays := r.Join(-1)
	ids := make([]watch.ID, crowd)
	for c := range ids {
		ids[c] = r.Join(c)
		for i := range n / crowd {
			r.Add(ids[c], fmt.Sprintf("/service/instances/%d/%d", c, i), watch.Data)
			if i == 0 && c%10 == 0 {
				r.Add(stays, fmt.Sprintf("/stays/%d", c), watch.Persistent)
			}
		}
	}
	full := heap() - before
	for c, id := range ids {
		if c%2 == 0 {
			r.Leave(id)
			continue
		}
		for i := range n / crowd {
			if !r.Hit(id, znode.DataTable, fmt.Sprintf("/service/instances/%d/%d", c, i)) {
				t.Fatalf("watch %d of connection %d is lost", i, c)
			}
		}
	}
	left := int64(heap()) - int64(before)
	t.Logf("%d KiB with %d watches, %d KiB with %d", full>>10, n, left>>10, r.Counts().Watches)
	if full < n*50 || left > int64(full)/20 {
		t.Errorf("%d bytes of %d are held for %d watches", left, full, r.Counts().Watches)
	}
	for c := 0; c < crowd; c += 10 {
		if !r.Has(stays, fmt.Sprintf("/stays/%d", c), watch.Persistent) {
			t.Errorf("the watch that stays at /stays/%d is lost", c)
		}
	}
}
