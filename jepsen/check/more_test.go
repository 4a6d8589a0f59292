package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// tale is what a check gets to see.
type tale struct {
	h []check.Op
	f check.Final
}

// lie changes a good tale; says is part of the complaint that there must be.
type lie struct {
	name, says string
	change     func(t *tale)
}

// tell holds a check against a good tale and lies about it.
func tell(t *testing.T, good func() *tale, judge func(t *tale) []check.Violation, lies []lie) {
	t.Helper()
	if v := judge(good()); len(v) > 0 {
		t.Errorf("a good history was refused: %v", v)
	}
	for _, l := range lies {
		story := good()
		l.change(story)
		v := judge(story)
		if !slices.ContainsFunc(v, func(v check.Violation) bool { return strings.Contains(v.Text, l.says) }) {
			t.Errorf("%s: got %v, want a violation that says %q", l.name, v, l.says)
		}
	}
}

func treeOf(server int, nodes map[string]check.Node) check.Tree {
	return check.Tree{Server: server, Nodes: nodes}
}

func TestBank(t *testing.T) {
	good := func() *tale {
		return &tale{
			h: []check.Op{
				{Kind: check.KindTotal, Value: "100,100,100,100,100", Outcome: check.OK},
				{Kind: check.KindTransfer, Outcome: check.OK, Zxid: 5},
				{Kind: check.KindTransfer, Outcome: check.Fail, Refused: true},
				{Kind: check.KindTransfer, Outcome: check.Info},
				{Kind: check.KindTotal, Value: "90,110,100,100,100", Outcome: check.OK},
				{Kind: check.KindTotal, Value: "90,110", Outcome: check.Info},
			},
			f: check.Final{Trees: []check.Tree{treeOf(1, map[string]check.Node{
				"/bank": {}, "/bank/a0": {Data: "90", Stat: check.Stat{Version: 1}}, "/bank/a1": {Data: "410", Stat: check.Stat{Version: 1}},
			})}},
		}
	}
	set := func(path, data string, version int32) func(*tale) {
		return func(t *tale) {
			t.f.Trees[0].Nodes[path] = check.Node{Data: data, Stat: check.Stat{Version: version}}
		}
	}
	tell(t, good, func(t *tale) []check.Violation { return check.Bank(t.h, t.f) }, []lie{
		{"money is made", "is 501, not 500", func(t *tale) { t.h[4].Value = "91,110,100,100,100" }},
		{"an account is overdrawn", "below 0", func(t *tale) { t.h[4].Value = "-10,210,100,100,100" }},
		{"an account is empty", `holds ""`, func(t *tale) { t.h[4].Value = ",200,100,100,100" }},
		{"money is lost in the end", "is 499", set("/bank/a0", "89", 1)},
		{"a transfer is done twice", "add up to 6", set("/bank/a0", "90", 5)},
		{"a transfer is half done", "add up to 3", set("/bank/a0", "90", 2)},
		{"a transfer is lost", "add up to 0", func(t *tale) { set("/bank/a0", "90", 0)(t); set("/bank/a1", "410", 0)(t) }},
	})
}

func TestQueue(t *testing.T) {
	good := func() *tale {
		return &tale{
			h: []check.Op{
				{Kind: check.KindEnqueue, Value: "a", Path: "/q/1", Outcome: check.OK},
				{Kind: check.KindEnqueue, Value: "b", Path: "/q/2", Outcome: check.OK},
				{Kind: check.KindEnqueue, Value: "c", Path: "/q/3", Outcome: check.OK},
				{Kind: check.KindEnqueue, Value: "d", Outcome: check.Info},
				{Kind: check.KindEnqueue, Value: "e", Outcome: check.Fail},
				{Kind: check.KindDequeue, Value: "a", Path: "/q/1", Outcome: check.OK},
				{Kind: check.KindDequeue, Value: "a", Path: "/q/1", Outcome: check.Fail, Refused: true},
				{Kind: check.KindDequeue, Value: "b", Path: "/q/2", Outcome: check.Info},
				{Kind: check.KindDequeue, Value: "d", Path: "/q/4", Outcome: check.OK},
			},
			f: check.Final{Trees: []check.Tree{treeOf(1, map[string]check.Node{"/q/3": {Data: "c"}})}},
		}
	}
	tell(t, good, func(t *tale) []check.Violation { return check.Queue(t.h, t.f) }, []lie{
		{"two have one item", "consumed twice", func(t *tale) { t.h[6].Outcome = check.OK }},
		{"an item is lost", "nobody consumed", func(t *tale) { delete(t.f.Trees[0].Nodes, "/q/3") }},
		{"a consumed item is back", "still has", func(t *tale) { t.f.Trees[0].Nodes["/q/1"] = check.Node{Data: "a"} }},
		{"an item has changed", `has "x"`, func(t *tale) { t.f.Trees[0].Nodes["/q/3"] = check.Node{Data: "x"} }},
		{"an item comes from nowhere", "nobody enqueued", func(t *tale) { t.h[8].Value = "z" }},
		{"an item that failed is there", "had failed", func(t *tale) { t.h[8].Value = "e" }},
		{"an item is in another place", "another place", func(t *tale) { t.h[7].Path = "/q/9" }},
	})
}

func TestLatch(t *testing.T) {
	claim := func(session, token, zxid int64) check.Op {
		return check.Op{Kind: check.KindLead, Key: "/latch", Outcome: check.OK, Session: session, Token: token, Zxid: zxid}
	}
	good := func() *tale {
		return &tale{h: []check.Op{claim(1, 5, 6), claim(2, 7, 20), claim(1, 5, 9), claim(1, 5, 9), {Kind: check.KindLead, Key: "/latch", Outcome: check.Info}}}
	}
	tell(t, good, func(t *tale) []check.Violation { return check.Latch(t.h) }, []lie{
		{"two lead", "both led", func(t *tale) { t.h = append(t.h, claim(1, 5, 21)) }},
		{"two lead in one state", "one state", func(t *tale) { t.h = append(t.h, claim(2, 7, 9)) }},
		{"a token has two holders", "by one token", func(t *tale) { t.h[2].Session = 3 }},
		{"a token is from the future", "before its node", func(t *tale) { t.h[1].Token = 21 }},
	})
}

func TestGroups(t *testing.T) {
	good := func() *tale {
		return &tale{
			h: []check.Op{
				{Kind: check.KindRegister, Path: "/g/a", Session: 1, Outcome: check.OK, Zxid: 5, Call: 10, Return: 11},
				{Kind: check.KindRegister, Path: "/g/b", Session: 2, Outcome: check.OK, Zxid: 7, Call: 12, Return: 13},
				{Kind: check.KindRegister, Path: "/g/c", Session: 2, Outcome: check.Fail, Call: 12, Return: 13},
				{Kind: check.KindView, Key: "/g", Value: "a", Zxid: 6, Outcome: check.OK, Call: 20, Return: 21},
				{Kind: check.KindView, Key: "/g", Value: "b", Zxid: 8, Outcome: check.OK, Call: 30, Return: 31},
				{Kind: check.KindView, Key: "/g", Outcome: check.Info, Call: 30, Return: 31},
				{Kind: check.KindView, Key: "/g", Value: "", Zxid: 10, Outcome: check.OK, Call: 32, Return: 33},   // all have gone
				{Kind: check.KindOwn, Path: "/g/b", Session: 2, Outcome: check.OK, Zxid: 9, Call: 40, Return: 41}, // of a server that lags
				{Kind: check.KindEnd, Session: 1, Outcome: check.OK, Call: 25, Return: 26},
				{Kind: check.KindBelief, Key: "/g", Value: "b", Outcome: check.OK, Call: 50, Return: 51},
			},
			f: check.Final{Trees: []check.Tree{treeOf(1, map[string]check.Node{"/g": {}, "/g/b": {}, "/g/b/x": {}, "/gg/y": {}})}},
		}
	}
	judge := func(t *tale) []check.Violation { return check.Groups(t.h, t.f, true) }
	tell(t, good, judge, []lie{
		{"a stranger is seen", "nobody registered: x", func(t *tale) { t.h[3].Value = "a,x" }},
		{"a refused member is seen", "had failed", func(t *tale) { t.h[3].Value = "a,c" }},
		{"a member is seen too early", "before it was registered", func(t *tale) { t.h[0].Call = 22 }},
		{"a living member is not seen", "and alive", func(t *tale) { t.h[4].Value = "" }},
		{"an event is lost", "believes in [a b]", func(t *tale) { t.h[9].Value = "a,b" }},
		{"a member is not believed in", "believes in []", func(t *tale) { t.h[9].Value = "" }},
	})
	t.Run("an id that is given out again proves nothing", func(t *testing.T) {
		story := good()
		story.h = append(story.h, check.Op{Kind: check.KindOwn, Session: 1, Outcome: check.OK, Zxid: 12, Call: 60, Return: 61})
		if v := check.Groups(story.h, story.f, true); len(v) > 0 {
			t.Error(v)
		}
	})
	t.Run("headers that are not exact prove nothing", func(t *testing.T) {
		story := good()
		story.h[4].Value = ""
		if v := check.Groups(story.h, story.f, false); len(v) > 0 {
			t.Error(v)
		}
	})
}

func TestWatches(t *testing.T) {
	changed := func(zxid int64, path, event string, o check.Outcome) check.Op {
		return check.Op{Kind: check.KindChange, Zxid: zxid, Path: path, Value: event, Outcome: o}
	}
	event := func(zxid int64, path, event string) check.Op {
		return check.Op{Kind: check.KindEvent, Token: 1, Zxid: zxid, Path: path, Value: event, Outcome: check.OK}
	}
	good := func() *tale {
		return &tale{h: []check.Op{
			changed(4, "/w/a", "NodeCreated", check.OK),
			{Kind: check.KindWatch, Token: 1, Zxid: 5, Outcome: check.OK},
			event(6, "/w/b", "NodeCreated"),
			event(7, "/w/a", "NodeDeleted"),
			event(8, "/w/b", "NodeDataChanged"),
			{Kind: check.KindHeard, Token: 1, Zxid: 8, Outcome: check.OK},
			{Kind: check.KindHeard, Token: 1, Outcome: check.Info},
			changed(7, "/w/a", "NodeDeleted", check.OK),
			changed(6, "/w/b", "NodeCreated", check.OK),
			changed(0, "/w/b", "NodeDataChanged", check.Info),
			changed(9, "/w/b", "NodeDeleted", check.OK), // the watch did not live to see it
			changed(10, "/w/c", "NodeDeleted", check.Fail),
		}}
	}
	tell(t, good, func(t *tale) []check.Violation { return check.Watches(t.h) }, []lie{
		{"an event is missing", "not told", func(t *tale) { t.h = slices.Delete(t.h, 2, 3) }},
		{"an event comes twice", "twice", func(t *tale) { t.h = slices.Insert(t.h, 3, t.h[2]) }},
		{"events change places", "out of order", func(t *tale) { t.h[2], t.h[3] = t.h[3], t.h[2] }},
		{"an event of before", "had happened before", func(t *tale) { t.h[2] = event(4, "/w/a", "NodeCreated") }},
		{"an event of nothing", "nobody made", func(t *tale) { t.h[2].Path = "/w/z" }},
		{"an event of a refused write", "nobody made", func(t *tale) { t.h[4] = event(8, "/w/c", "NodeDeleted") }},
		{"an event before the watch", "before the watch was set", func(t *tale) { t.h[2].Token = 2 }},
	})
}

func TestMoves(t *testing.T) {
	good := func() *tale {
		return &tale{
			h: []check.Op{{Kind: check.KindLeft, Key: "/m/a", Outcome: check.Info}, {Kind: check.KindLeft, Key: "/m/b", Outcome: check.Fail}},
			f: check.Final{Trees: []check.Tree{treeOf(1, map[string]check.Node{"/m": {}})}},
		}
	}
	tell(t, good, func(t *tale) []check.Violation { return check.Moves(t.h, t.f) }, []lie{
		{"it is acknowledged", "acknowledged", func(t *tale) { t.h[0].Outcome = check.OK }},
		{"it is there", "server 1 has", func(t *tale) { t.f.Trees[0].Nodes["/m/a"] = check.Node{} }},
	})
}
