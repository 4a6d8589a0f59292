package check_test

import (
	"maps"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

type nodes map[string]check.Node

func node(data string, czxid, mzxid int64, version int32) check.Node {
	return check.Node{Data: data, Stat: check.Stat{Czxid: czxid, Mzxid: mzxid, Version: version}}
}

func owned(session int64) check.Node {
	return check.Node{Stat: check.Stat{Czxid: 5, Mzxid: 5, EphemeralOwner: session}}
}

// final returns two servers' trees, taken from 100 to 200, the second one changed by edit.
func final(base nodes, edit func(nodes)) check.Final {
	second := maps.Clone(base)
	if edit != nil {
		edit(second)
	}
	return check.Final{
		Trees: []check.Tree{{Server: 1, Nodes: base, Zxid: 50, Count: 9}, {Server: 2, Nodes: second, Zxid: 50, Count: 9}},
		Taken: 100, Done: 200,
	}
}

func TestReplicas(t *testing.T) {
	base := nodes{"/": node("", 0, 0, 0), "/a": node("x", 3, 4, 1)}
	for _, c := range []struct {
		name string
		f    check.Final
		want string
	}{
		{"equal", final(base, nil), ""},
		{"nothing read", check.Final{}, "no server was read"},
		{"node missing", final(base, func(n nodes) { delete(n, "/a") }), "on server 1 and not on server 2"},
		{"node too much", final(base, func(n nodes) { n["/b"] = node("", 5, 5, 0) }), "on server 2 and not on server 1"},
		{"data", final(base, func(n nodes) { n["/a"] = node("y", 3, 4, 1) }), "/a differs"},
		{"one field of a Stat", final(base, func(n nodes) { x := n["/a"]; x.Stat.Pzxid = 9; n["/a"] = x }), "/a differs"},
		{"zxid", func() check.Final { f := final(base, nil); f.Trees[1].Zxid++; return f }(), "rests at zxid"},
		{"count", func() check.Final { f := final(base, nil); f.Trees[1].Count++; return f }(), "counts"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, check.Replicas(c.f), c.want) })
	}
}

func TestSame(t *testing.T) {
	base := nodes{"/": node("", 0, 0, 0), "/a": node("x", 3, 4, 1), "/e": owned(7)}
	for _, c := range []struct {
		name string
		edit func(nodes)
		want string
	}{
		{"all there", nil, ""},
		{"ephemerals may go", func(n nodes) { delete(n, "/e") }, ""},
		{"lost", func(n nodes) { delete(n, "/a") }, "/a is lost"},
		{"rolled back", func(n nodes) { n["/a"] = node("w", 3, 3, 0) }, "/a was"},
		{"new", func(n nodes) { n["/b"] = node("", 9, 9, 0) }, "/b has appeared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := final(base, c.edit)
			expect(t, check.Same(f.Trees[0], f.Trees[1]), c.want)
		})
	}
}

func TestFinalRegisters(t *testing.T) {
	h := []check.Op{set(1, 1, 2, "a", 1, 11), set(1, 3, 4, "b", 2, 12), lost(set(2, 5, 6, "c", 0, 0)), unsent(set(2, 7, 8, "d", 0, 0))}
	for _, c := range []struct {
		name string
		n    check.Node
		want string
	}{
		{"the last one", node("b", 1, 12, 2), ""},
		{"the unknown one", node("c", 1, 13, 3), ""},
		{"rolled back", node("a", 1, 11, 1), "lost the last acknowledged write"},
		{"other data", node("x", 1, 12, 2), "at the zxid of its last write"},
		{"too many versions", node("c", 1, 13, 4), "version 4"},
		{"too few versions", node("c", 1, 13, 1), "version 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := final(nodes{"/k": node("b", 1, 12, 2)}, func(n nodes) { n["/k"] = c.n })
			expect(t, check.FinalRegisters(h, f), c.want)
		})
	}
	f := final(nodes{"/k": node("b", 1, 12, 2)}, func(n nodes) { delete(n, "/k") })
	expect(t, check.FinalRegisters(h, f), "server 2 has lost /k")
}

func sequence(call, ret int64, value, path string, zxid int64) check.Op {
	return check.Op{Kind: check.KindSequence, Key: "/p/n-", Value: value, Path: path, Call: call, Return: ret, Outcome: check.OK, Zxid: zxid}
}

func TestCreates(t *testing.T) {
	a, b := sequence(1, 2, "a", "/p/n-0000000000", 11), sequence(3, 4, "b", "/p/n-0000000001", 12)
	named := check.Op{Kind: check.KindCreate, Key: "/p/u", Value: "u", Path: "/p/u", Call: 1, Return: 2, Outcome: check.OK, Zxid: 13}
	maybe := lost(sequence(5, 6, "c", "", 0))
	base := nodes{
		"/": node("", 0, 0, 0), "/p": node("", 1, 1, 0), "/other": node("", 1, 1, 0), "/p/u": node("u", 13, 13, 0),
		"/p/n-0000000000": node("a", 11, 11, 0), "/p/n-0000000001": node("b", 12, 12, 0),
	}
	for _, c := range []struct {
		name string
		h    []check.Op
		edit func(nodes)
		want string
	}{
		{"all there", []check.Op{a, b, named, maybe}, nil, ""},
		{"the unknown one too", []check.Op{a, b, named, maybe}, func(n nodes) { n["/p/n-0000000002"] = node("c", 14, 14, 0) }, ""},
		{"lost", []check.Op{a, b, named}, func(n nodes) { delete(n, "/p/n-0000000001") }, "lost an acknowledged create"},
		{"lost named one", []check.Op{a, b, named}, func(n nodes) { delete(n, "/p/u") }, "lost an acknowledged create"},
		{"twice", []check.Op{a, b, named}, func(n nodes) { n["/p/n-0000000002"] = node("b", 14, 14, 0) }, "twice"},
		{"unknown one twice", []check.Op{a, b, named, maybe}, func(n nodes) {
			n["/p/n-0000000002"], n["/p/n-0000000003"] = node("c", 14, 14, 0), node("c", 15, 15, 0)
		}, "twice"},
		{"elsewhere", []check.Op{a, b, named}, func(n nodes) {
			delete(n, "/p/n-0000000001")
			n["/p/n-0000000007"] = node("b", 12, 12, 0)
		}, "under /p/n-0000000007"},
		{"at another zxid", []check.Op{a, b, named}, func(n nodes) { n["/p/n-0000000001"] = node("b", 19, 19, 0) }, "czxid"},
		{"by nobody", []check.Op{a, b, named}, func(n nodes) { n["/p/x"] = node("x", 19, 19, 0) }, "nobody created"},
		{"refused", []check.Op{a, b, unsent(named)}, nil, "had been refused"},
		{"told that it exists", []check.Op{a, b, named, refused(check.Op{Kind: check.KindCreate, Key: "/p/v", Value: "v"})}, nil, "fresh name was refused"},
		{"number given twice", []check.Op{a, b, named, sequence(3, 4, "z", b.Path, 20)}, nil, "given twice"},
		{"number fell", []check.Op{sequence(1, 2, "b", b.Path, 12), sequence(3, 4, "a", a.Path, 11), named}, nil, "did not grow"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, check.Creates(c.h, final(base, c.edit)), c.want) })
	}
}

func TestEphemerals(t *testing.T) {
	op := func(kind check.Kind, session, call int64, outcome check.Outcome) check.Op {
		return check.Op{Kind: kind, Session: session, Path: "/e/7", Call: call, Return: call + 1, Outcome: outcome}
	}
	look := func(kind check.Kind, session, call int64, found bool) check.Op {
		o := op(kind, session, call, check.OK)
		if o.Found = found; found {
			o.Owner = 7
		}
		return o
	}
	const ok, info = check.OK, check.Info
	registered := op(check.KindRegister, 7, 1, ok)
	closed, abandoned := op(check.KindEnd, 7, 20, ok), op(check.KindEnd, 7, 20, info)
	stolen := look(check.KindOwn, 8, 10, true)
	there, gone := nodes{"/e/7": owned(7)}, nodes{}
	for _, c := range []struct {
		name string
		h    []check.Op
		n    nodes
		want string
	}{
		{"kept", []check.Op{registered, look(check.KindOwn, 7, 10, true), look(check.KindOwn, 7, 210, true)}, there, ""},
		{"closed", []check.Op{registered, look(check.KindObserve, 8, 10, true), closed, look(check.KindObserve, 8, 30, false)}, gone, ""},
		{"abandoned", []check.Op{registered, abandoned, look(check.KindObserve, 8, 30, true)}, gone, ""},
		{"expired in the end", []check.Op{registered, look(check.KindOwn, 7, 10, true)}, gone, ""},
		{"seen during the close", []check.Op{registered, look(check.KindObserve, 8, 20, true), closed}, gone, ""},
		{"missing from a living session", []check.Op{registered, look(check.KindOwn, 7, 10, false), op(check.KindOther, 7, 12, ok)}, gone, "did not find its own"},
		{"missing while it died", []check.Op{registered, look(check.KindOwn, 7, 10, false)}, gone, ""},
		{"never acknowledged", []check.Op{op(check.KindRegister, 7, 1, info), look(check.KindOwn, 7, 10, false), look(check.KindOwn, 7, 12, false)}, gone, ""},
		{"in another one's hands", []check.Op{registered, stolen}, there, "another one's hands"},
		{"seen after the close", []check.Op{registered, closed, look(check.KindObserve, 8, 30, true)}, gone, "after the close"},
		{"left by a closed session", []check.Op{registered, closed}, there, "still has"},
		{"left by an abandoned session", []check.Op{registered, abandoned}, there, "still has"},
		{"of nobody", nil, there, "nobody opened"},
		{"lost while the session lives", []check.Op{registered, look(check.KindOwn, 7, 210, true)}, gone, "of a living session"},
		{"taken over", []check.Op{registered, look(check.KindOwn, 7, 210, true), op(check.KindOther, 8, 5, ok)}, nodes{"/e/7": owned(8)}, "of a living session"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, check.Ephemerals(c.h, final(c.n, nil), check.EphemeralOptions{SyncGets: true}), c.want)
		})
	}
}
