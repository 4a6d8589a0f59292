package watch_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/znode"
)

func TestWatchFiresOnce(t *testing.T) {
	r := watch.New[string]()
	a, b := r.Join("a"), r.Join("b")
	r.Add(a, "/x", znode.DataTable)
	r.Add(a, "/x", znode.DataTable)
	r.Add(b, "/x", znode.DataTable)
	r.Add(b, "/x", znode.ChildTable)
	if got, want := r.Counts(), (watch.Counts{Watches: 3, Data: 2, Paths: 1, Members: 2}); got != want {
		t.Fatalf("counts %+v, want %+v", got, want)
	}
	got := r.Fire(znode.DataTable, "/x", nil)
	slices.Sort(got)
	if want := []string{"a", "b"}; !slices.Equal(got, want) {
		t.Fatalf("data watches reached %v, want %v", got, want)
	}
	if got := r.Fire(znode.DataTable, "/x", nil); len(got) != 0 {
		t.Fatalf("a standard watch fired twice: %v", got)
	}
	if got := r.Fire(znode.ChildTable, "/x", nil); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("child watches reached %v, want [b]", got)
	}
	if got := r.Counts(); got != (watch.Counts{}) {
		t.Fatalf("counts %+v after everything fired", got)
	}
}

func TestWatchesEndWithTheConnection(t *testing.T) {
	r := watch.New[string]()
	a := r.Join("a")
	r.Add(a, "/x", znode.DataTable)
	r.Leave(a)
	r.Leave(a)
	r.Add(a, "/x", znode.DataTable) // a read that was still under way
	b := r.Join("b")
	if got := r.Fire(znode.DataTable, "/x", nil); len(got) != 0 {
		t.Fatalf("watches of a closed connection reached %v", got)
	}
	r.Add(b, "/x", znode.ChildTable)
	if got := r.Fire(znode.ChildTable, "/x", nil); !slices.Equal(got, []string{"b"}) {
		t.Fatalf("reached %v, want [b]", got)
	}
}

// TestAgainstSets holds the slab against plain sets.
func TestAgainstSets(t *testing.T) {
	type key struct {
		conn  int
		path  string
		table znode.Table
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := watch.New[int]()
		set := map[key]bool{}
		ids := map[int]watch.ID{}
		conns := rapid.IntRange(0, 5)
		paths := rapid.SampledFrom([]string{"", "/", "/a", "/a/b", "not a path"})
		tables := rapid.SampledFrom([]znode.Table{znode.DataTable, znode.ChildTable})
		rt.Repeat(map[string]func(*rapid.T){
			"join or leave": func(rt *rapid.T) {
				c := conns.Draw(rt, "conn")
				if id, ok := ids[c]; ok {
					r.Leave(id)
					delete(ids, c)
					for k := range set {
						if k.conn == c {
							delete(set, k)
						}
					}
					return
				}
				ids[c] = r.Join(c)
			},
			"add": func(rt *rapid.T) {
				k := key{conns.Draw(rt, "conn"), paths.Draw(rt, "path"), tables.Draw(rt, "table")}
				if id, ok := ids[k.conn]; ok {
					r.Add(id, k.path, k.table)
					set[k] = true
				}
			},
			"fire": func(rt *rapid.T) {
				path, table := paths.Draw(rt, "path"), tables.Draw(rt, "table")
				var want []int
				for k := range set {
					if k.path == path && k.table == table {
						want = append(want, k.conn)
						delete(set, k)
					}
				}
				got := r.Fire(table, path, nil)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					rt.Fatalf("fire %v at %q reached %v, want %v", table, path, got, want)
				}
			},
			"": func(rt *rapid.T) {
				var want watch.Counts
				data, members := map[string]bool{}, map[int]bool{}
				for k := range set {
					want.Watches++
					if k.table == znode.DataTable {
						want.Data++
						data[k.path], members[k.conn] = true, true
					}
				}
				want.Paths, want.Members = len(data), len(members)
				if got := r.Counts(); got != want {
					rt.Fatalf("counts %+v, want %+v", got, want)
				}
			},
		})
	})
}

// TestManyWatchesComeAndGo runs through the release of the slabs.
func TestManyWatchesComeAndGo(t *testing.T) {
	r := watch.New[int]()
	for round := range 3 {
		id := r.Join(round)
		for i := range 5000 {
			r.Add(id, fmt.Sprint("/", i), znode.DataTable)
		}
		if got := r.Counts().Watches; got != 5000 {
			t.Fatalf("round %d: %d watches, want 5000", round, got)
		}
		r.Leave(id)
		if got := r.Counts(); got != (watch.Counts{}) {
			t.Fatalf("round %d: counts %+v after the connection left", round, got)
		}
	}
}

func BenchmarkAddFire(b *testing.B) {
	r := watch.New[int]()
	id := r.Join(1)
	var dst []int
	b.ReportAllocs()
	for b.Loop() {
		r.Add(id, "/some/path", znode.DataTable)
		dst = r.Fire(znode.DataTable, "/some/path", dst[:0])
	}
}
