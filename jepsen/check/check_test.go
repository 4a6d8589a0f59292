package check_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// The histories below use small numbers: call and return times in ns, zxids counting from 1.

func set(client int, call, ret int64, value string, version int32, zxid int64) check.Op {
	return check.Op{
		Kind: check.KindSet, Client: client, Session: int64(client), Key: "/k", Value: value, Call: call, Return: ret,
		Outcome: check.OK, Stat: check.Stat{Mzxid: zxid, Version: version}, Zxid: zxid,
	}
}

func cas(o check.Op, expect int32) check.Op {
	o.Kind, o.Expect = check.KindCAS, expect
	return o
}

func read(kind check.Kind, client int, call, ret int64, value string, version int32, mzxid, zxid int64) check.Op {
	o := set(client, call, ret, value, version, mzxid)
	o.Kind, o.Zxid = kind, zxid
	return o
}

func lost(o check.Op) check.Op {
	o.Outcome, o.Stat, o.Zxid = check.Info, check.Stat{}, 0
	return o
}

func refused(o check.Op) check.Op {
	o.Outcome, o.Refused, o.Stat, o.Zxid = check.Fail, true, check.Stat{}, 0
	return o
}

func unsent(o check.Op) check.Op {
	o = refused(o)
	o.Refused = false
	return o
}

type historyCase struct {
	name string
	h    []check.Op
	want string // part of the text of a violation; "" for a good history
}

func run(t *testing.T, cases []historyCase, judge func(h []check.Op) []check.Violation) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			expect(t, judge(c.h), c.want)
		})
	}
}

func expect(t *testing.T, got []check.Violation, want string) {
	t.Helper()
	if want == "" {
		if len(got) > 0 {
			t.Fatalf("a good history was refused: %v", got)
		}
		return
	}
	for _, v := range got {
		if strings.Contains(v.Text, want) {
			return
		}
	}
	t.Fatalf("got %v, want a violation saying %q", got, want)
}

func TestRegister(t *testing.T) {
	const stuck = "cannot be put in any order"
	sync, get := check.KindSyncGet, check.KindGet
	run(t, []historyCase{
		{"nothing", nil, ""},
		{"in sequence", []check.Op{set(1, 1, 2, "a", 1, 11), read(sync, 2, 3, 4, "a", 1, 11, 11), set(2, 5, 6, "b", 2, 12)}, ""},
		{"first read is the initial value", []check.Op{read(sync, 1, 1, 2, "init", 0, 10, 10)}, ""},
		{"concurrent either way", []check.Op{set(1, 1, 9, "a", 2, 12), set(2, 1, 9, "b", 1, 11), read(sync, 3, 10, 11, "a", 2, 12, 12)}, ""},
		{"a stale plain read is legal", []check.Op{set(1, 1, 2, "a", 1, 11), read(get, 2, 3, 4, "init", 0, 10, 10)}, ""},
		{"a stale read after sync", []check.Op{set(1, 1, 2, "a", 1, 11), read(sync, 2, 3, 4, "init", 0, 10, 10)}, stuck},
		{"read of the future", []check.Op{read(sync, 2, 1, 2, "a", 1, 11, 11), set(1, 3, 4, "a", 1, 11)}, stuck},
		{"lost write", []check.Op{set(1, 1, 2, "a", 1, 11), set(1, 3, 4, "b", 1, 12)}, stuck},
		{"doubled write", []check.Op{set(1, 1, 2, "a", 1, 11), set(1, 3, 4, "b", 3, 13)}, stuck},
		{"unknown write happened", []check.Op{lost(set(1, 1, 2, "a", 0, 0)), read(sync, 2, 3, 4, "a", 1, 11, 11)}, ""},
		{"unknown write happened much later", []check.Op{
			lost(set(1, 1, 2, "a", 0, 0)), read(sync, 2, 3, 4, "init", 0, 10, 10), set(2, 5, 6, "b", 1, 12), set(2, 7, 8, "c", 3, 14),
		}, ""},
		{"unknown write never happened", []check.Op{lost(set(1, 1, 2, "a", 0, 0)), set(2, 5, 6, "b", 1, 12)}, ""},
		{"unknown write happened twice", []check.Op{lost(set(1, 1, 2, "a", 0, 0)), set(2, 5, 6, "b", 3, 12)}, stuck},
		{"unknown write happened before its call", []check.Op{read(sync, 2, 1, 2, "a", 1, 11, 11), lost(set(1, 3, 4, "a", 0, 0))}, stuck},
		{"refused write shows", []check.Op{unsent(set(1, 1, 2, "a", 0, 0)), read(sync, 2, 3, 4, "a", 1, 11, 11)}, stuck},
		{"cas at the right version", []check.Op{set(1, 1, 2, "a", 1, 11), cas(set(1, 3, 4, "b", 2, 12), 1)}, ""},
		{"cas at the wrong version", []check.Op{set(1, 1, 2, "a", 1, 11), cas(set(1, 3, 4, "b", 2, 12), 0)}, stuck},
		{"cas rightly refused", []check.Op{set(1, 1, 2, "a", 1, 11), refused(cas(set(1, 3, 4, "b", 0, 0), 0))}, ""},
		{"cas wrongly refused", []check.Op{set(1, 1, 2, "a", 1, 11), refused(cas(set(1, 3, 4, "b", 0, 0), 1))}, stuck},
		{"cas never sent", []check.Op{set(1, 1, 2, "a", 1, 11), unsent(cas(set(1, 3, 4, "b", 0, 0), 1))}, ""},
		{"unknown cas that cannot have happened", []check.Op{
			set(1, 1, 2, "a", 1, 11), lost(cas(set(1, 3, 4, "b", 0, 0), 0)), read(sync, 2, 5, 6, "a", 1, 11, 11),
		}, ""},
		{"two cas won at one version", []check.Op{cas(set(1, 1, 5, "a", 1, 11), 0), cas(set(2, 1, 5, "b", 1, 12), 0)}, stuck},
	}, func(h []check.Op) []check.Violation {
		v, unknown := check.Register(h, check.RegisterOptions{SyncGets: true, Timeout: time.Minute})
		if len(unknown) > 0 {
			t.Errorf("undecided: %v", unknown)
		}
		return v
	})
}

func TestRegisterWithoutStrictSync(t *testing.T) {
	h := []check.Op{set(1, 1, 2, "a", 1, 11), read(check.KindSyncGet, 2, 3, 4, "init", 0, 10, 10)}
	if v, _ := check.Register(h, check.RegisterOptions{Timeout: time.Minute}); len(v) > 0 {
		t.Errorf("a stale read after sync was not to count: %v", v)
	}
	if v := check.Reads(h, check.ReadOptions{}); len(v) > 0 {
		t.Errorf("a stale read after sync was not to count: %v", v)
	}
}

func TestWriteOrder(t *testing.T) {
	run(t, []historyCase{
		{"in sequence", []check.Op{set(1, 1, 2, "a", 1, 11), set(2, 3, 4, "b", 2, 12)}, ""},
		{"concurrent, other way round", []check.Op{set(1, 1, 4, "a", 2, 12), set(2, 2, 3, "b", 1, 11)}, ""},
		{"against real time", []check.Op{set(1, 1, 2, "a", 1, 12), set(2, 3, 4, "b", 2, 11)}, "ordered before"},
		{"against real time, long ago", []check.Op{
			set(1, 1, 2, "a", 1, 20), set(2, 3, 4, "b", 2, 21), set(2, 1, 9, "c", 3, 22), set(1, 10, 11, "d", 4, 19),
		}, "ordered before"},
		{"one zxid twice", []check.Op{set(1, 1, 2, "a", 1, 11), set(2, 1, 2, "b", 2, 11)}, "two writes with zxid"},
		{"unknown ones have none", []check.Op{set(1, 1, 2, "a", 1, 12), lost(set(2, 3, 4, "b", 0, 0))}, ""},
	}, check.WriteOrder)
}

func TestReads(t *testing.T) {
	sync, get := check.KindSyncGet, check.KindGet
	a := set(1, 1, 2, "a", 1, 11)
	b := set(1, 3, 4, "b", 2, 12)
	run(t, []historyCase{
		{"good", []check.Op{a, b, read(get, 2, 5, 6, "b", 2, 12, 12), read(get, 3, 5, 6, "init", 0, 9, 10)}, ""},
		{"stale", []check.Op{a, b, read(get, 2, 5, 6, "a", 1, 11, 11)}, ""},
		{"stale after sync", []check.Op{a, b, read(sync, 2, 5, 6, "a", 1, 11, 11)}, "missed a write"},
		{"concurrent with sync", []check.Op{a, b, read(sync, 2, 4, 6, "a", 1, 11, 11)}, ""},
		{"from nowhere", []check.Op{a, read(get, 2, 5, 6, "x", 1, 11, 11)}, "nobody wrote"},
		{"refused", []check.Op{refused(a), read(get, 2, 5, 6, "a", 1, 11, 11)}, "had been refused"},
		{"of the future", []check.Op{read(get, 2, 0, 0, "a", 1, 11, 11), a}, "before it was written"},
		{"other version", []check.Op{a, read(get, 2, 5, 6, "a", 2, 11, 11)}, "another mzxid or version"},
		{"other zxid", []check.Op{a, read(get, 2, 5, 6, "a", 1, 13, 13)}, "another mzxid or version"},
		{"unknown write", []check.Op{lost(a), read(get, 2, 5, 6, "a", 1, 11, 11)}, ""},
		{"unknown write, twice", []check.Op{lost(a), read(get, 2, 5, 6, "a", 1, 11, 11), read(get, 3, 5, 6, "a", 2, 14, 14)}, "took effect at two"},
		{"one zxid, two values", []check.Op{lost(a), lost(b), read(get, 2, 5, 6, "a", 1, 11, 11), read(get, 3, 5, 6, "b", 1, 11, 11)}, "two values"},
		{"version fell", []check.Op{a, set(1, 3, 4, "b", 1, 12)}, "did not grow"},
		{"two writes at once", []check.Op{a, set(2, 1, 2, "b", 1, 11)}, "one zxid"},
		{"header too old", []check.Op{a, b, read(get, 2, 5, 6, "b", 2, 12, 11)}, "later than the zxid"},
		{"header too new", []check.Op{a, b, read(get, 2, 5, 6, "a", 1, 11, 12)}, "does not show"},
	}, func(h []check.Op) []check.Violation {
		return check.Reads(h, check.ReadOptions{SyncGets: true, Exact: true})
	})
}

func TestSessions(t *testing.T) {
	get := check.KindGet
	run(t, []historyCase{
		{"forward", []check.Op{set(1, 1, 2, "a", 1, 11), read(get, 1, 3, 4, "a", 1, 11, 12), read(get, 1, 5, 6, "a", 1, 11, 12)}, ""},
		{"two sessions", []check.Op{set(1, 1, 2, "a", 1, 11), read(get, 2, 3, 4, "init", 0, 5, 6)}, ""},
		{"header went back", []check.Op{read(get, 1, 1, 2, "a", 1, 11, 13), read(get, 1, 3, 4, "a", 1, 11, 12)}, "back in time"},
		{"did not read its own write", []check.Op{set(1, 1, 2, "a", 1, 11), read(get, 1, 3, 4, "init", 0, 5, 12)}, "older state"},
		{"under way together", []check.Op{set(1, 1, 9, "b", 2, 12), read(get, 1, 2, 8, "a", 1, 11, 11)}, ""},
		{"back behind one of two", []check.Op{set(1, 1, 9, "b", 2, 12), read(get, 1, 2, 8, "a", 1, 11, 11), read(get, 1, 10, 11, "a", 1, 11, 11)}, "back in time"},
		{"state went back", []check.Op{read(get, 1, 1, 2, "b", 2, 12, 13), read(get, 1, 3, 4, "a", 1, 11, 14)}, "older state"},
	}, check.Sessions)
}

func TestLocks(t *testing.T) {
	acquire := func(session, token int64) check.Op {
		return check.Op{Kind: check.KindAcquire, Session: session, Owner: session, Key: "/lock", Token: token, Outcome: check.OK}
	}
	guard := func(token, zxid int64, version int32) check.Op {
		return check.Op{Kind: check.KindGuard, Key: "/lock", Token: token, Outcome: check.OK, Stat: check.Stat{Mzxid: zxid, Version: version}}
	}
	stolen := acquire(1, 10)
	stolen.Owner = 2
	late := guard(10, 22, 3)
	late.Outcome = check.Info
	run(t, []historyCase{
		{"one after the other", []check.Op{acquire(1, 10), guard(10, 11, 1), guard(10, 12, 2), acquire(2, 20), guard(20, 21, 3)}, ""},
		{"recorded late", []check.Op{guard(20, 21, 3), guard(10, 11, 1), guard(10, 12, 2)}, ""},
		{"unknown", []check.Op{guard(10, 11, 1), guard(20, 21, 2), late}, ""},
		{"both held it", []check.Op{guard(10, 11, 1), guard(20, 21, 2), guard(10, 22, 3)}, "both held the lock"},
		{"one token twice", []check.Op{acquire(1, 10), acquire(2, 10)}, "two holders"},
		{"the node of another session", []check.Op{stolen}, "belongs to session"},
		{"before it was there", []check.Op{guard(10, 9, 1)}, "before its node"},
		{"lost a write", []check.Op{guard(10, 11, 1), guard(10, 12, 1)}, "did not grow"},
	}, check.Locks)
}

func TestHistoryIsKept(t *testing.T) {
	want := []check.Op{set(1, 1, 2, "a", 1, 11), lost(cas(set(2, 3, 4, "b", 0, 0), 1)), {Kind: check.KindOwn, Path: "/e", Found: true, Owner: 7}}
	var b bytes.Buffer
	if err := check.WriteJSON(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := check.ReadJSON(&b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v; want %v", got, err, want)
	}
	if _, err = check.ReadJSON(strings.NewReader(`{"Kind":`)); err == nil {
		t.Fatal("half a history was accepted")
	}
}

func TestLongestGap(t *testing.T) {
	h := []check.Op{set(1, 1, 100, "a", 1, 1), set(1, 110, 150, "b", 2, 2), lost(set(1, 160, 200, "c", 0, 0)), read(check.KindGet, 1, 210, 230, "b", 2, 2, 2), set(1, 230, 250, "d", 3, 4)}
	if gap, at := check.LongestGap(h, 300); gap != 100 || at != 150 {
		t.Errorf("got a gap of %d at %d, want 100 at 150: lost writes and reads do not end it", gap, at)
	}
	if gap, at := check.LongestGap(h, 400); gap != 150 || at != 250 {
		t.Errorf("got a gap of %d at %d, want 150 at 250: the run ended in it", gap, at)
	}
	if gap, _ := check.LongestGap(nil, 400); gap != 400 {
		t.Errorf("got %d of a run without writes, want all of it", gap)
	}
}
