package watch_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/znode"
)

// lists returns "path connection" for each watch in the data table, once as seen from the paths and
// once as seen from the connections, in pages of n.
func lists(r *watch.Registry[int], n int) (byPath, byConn []string) {
	var paths []string
	for from := uint32(0); ; {
		if paths, from = r.Paths(from, n, paths); from == 0 {
			break
		}
	}
	for _, path := range paths {
		var conns []int
		for cursor, more := r.WalkPath(path), true; more; {
			conns, more = r.Step(cursor, n, conns)
		}
		for _, c := range conns {
			byPath = append(byPath, fmt.Sprint(path, " ", c))
		}
	}
	var members []watch.Member[int]
	for from := uint32(0); ; {
		if members, from = r.Members(from, n, members); from == 0 {
			break
		}
	}
	for _, m := range members {
		cursor, conn := r.WalkMember(m.ID)
		var paths []string
		for more := true; more; {
			paths, more = r.StepPaths(cursor, n, paths)
		}
		for _, path := range paths {
			if conn == m.Conn {
				byConn = append(byConn, fmt.Sprint(path, " ", m.Conn))
			}
		}
	}
	return unique(byPath), unique(byConn)
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// checkLists holds the lists for operators against the twin.
func (m *machine) checkLists(tb rapid.TB, n int) {
	tb.Helper()
	var want []string
	for e := range m.n {
		if e.table == znode.DataTable {
			want = append(want, fmt.Sprint(e.path, " ", e.conn))
		}
	}
	slices.Sort(want)
	byPath, byConn := lists(m.r, n)
	if !slices.Equal(byPath, want) || !slices.Equal(byConn, want) {
		tb.Fatalf("in pages of %d: by path %q, by connection %q, want %q", n, byPath, byConn, want)
	}
}

// TestListsWhileOthersMove lets connections watch more, less, and leave in the middle of the lists: a
// watch that is there all the time is in both.
func TestListsWhileOthersMove(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := watch.New[int]()
		stays := r.Join(1)
		paths := []string{"/a", "/b", "/c", "/d", "/e"}
		others := map[int]watch.ID{}
		for i, path := range paths {
			others[10+i] = r.Join(10 + i)
			r.Add(others[10+i], path, watch.Data)
			r.Add(stays, path, watch.Recursive)
			r.Add(stays, path+"/gone", watch.Child)
			r.Add(stays, path, watch.Child)
		}
		move := func() {
			c := 10 + rapid.IntRange(0, 4).Draw(rt, "conn")
			switch rapid.IntRange(0, 3).Draw(rt, "move") {
			case 0:
				r.Leave(others[c])
				others[c] = r.Join(c)
			case 1:
				r.Add(others[c], rapid.SampledFrom(paths).Draw(rt, "path"), watch.Data)
			case 2:
				r.Fire(znode.DataTable, rapid.SampledFrom(paths).Draw(rt, "path"), everybody, nil)
			case 3:
				r.Remove(stays, rapid.SampledFrom(paths).Draw(rt, "path")+"/gone", watch.Any)
				r.Add(stays, rapid.SampledFrom(paths).Draw(rt, "path")+"/new", watch.Data)
			}
		}
		cursor, _ := r.WalkMember(stays)
		var got []string
		for more := true; more; {
			got, more = r.StepPaths(cursor, 1, got)
			move()
		}
		for _, path := range paths {
			var conns []int
			for cursor, more := r.WalkPath(path), true; more; {
				conns, more = r.Step(cursor, 1, conns)
				move()
			}
			if !slices.Contains(got, path) || !slices.Contains(conns, 1) {
				rt.Fatalf("the watch at %s was missed: %v, %v", path, got, conns)
			}
		}
	})
}
