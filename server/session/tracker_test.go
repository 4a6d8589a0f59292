package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/session"
)

// TestScripts runs the scripts of testdata: one tracker per file, one tick is 100 ms.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		tr := session.New(100)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return step(t, tr, d)
		})
	})
}

func step(t *testing.T, tr *session.Tracker, d *datadriven.TestData) string {
	t.Helper()
	var id, timeout, owner, n int64
	d.MaybeScanArgs(t, "id", &id)
	d.MaybeScanArgs(t, "timeout", &timeout)
	d.MaybeScanArgs(t, "owner", &owner)
	d.MaybeScanArgs(t, "n", &n)
	sid := proto.SessionID(id)
	switch d.Cmd {
	case "add":
		tr.Add(sid, int32(timeout), session.Owner(owner))
	case "restore":
		tr.Restore(sid, int32(timeout))
	case "touch":
		tr.Touch(sid)
	case "check":
		return tr.Check(sid, session.Owner(owner)).String() + "\n"
	case "alive":
		return fmt.Sprintln(tr.Alive(sid))
	case "renew":
		prev, moved, alive := tr.Renew(sid, int32(timeout), session.Owner(owner))
		return fmt.Sprintf("alive=%v moved=%v prev=%d\n", alive, moved, prev)
	case "close":
		return fmt.Sprintln(tr.Close(sid))
	case "remove":
		tr.Remove(sid)
	case "grant":
		tr.Grant(int(n))
	case "elapsed":
		var ms int64
		d.ScanArgs(t, "ms", &ms)
		tr.Elapsed(int32(ms))
	case "tick":
		var out strings.Builder
		for i := range max(n, 1) {
			if expired := tr.Tick(); len(expired) > 0 {
				fmt.Fprintf(&out, "tick %d: expired %v\n", i+1, expired)
			}
		}
		return out.String() + fmt.Sprintf("%d sessions\n", tr.Len())
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return ""
}

// TestAgainstNaiveTable holds the bucketed table against one that looks at every
// session at every tick [H-71].
func TestAgainstNaiveTable(t *testing.T) {
	type naive struct {
		deadline int64
		timeout  int32
		owner    session.Owner
		owned    bool
		closing  bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		const tickMs = 10
		tr := session.New(tickMs)
		model := map[proto.SessionID]*naive{}
		var now int64
		passed := int32(tickMs - 1)
		life := func(ms int32) int64 { return int64(passed+max(ms, 0))/tickMs + 1 }
		ids := rapid.Map(rapid.Int64Range(-2, 5), func(v int64) proto.SessionID { return proto.SessionID(v) })
		owners := rapid.Map(rapid.IntRange(1, 2), func(v int) session.Owner { return session.Owner(v) })
		timeouts := rapid.Int32Range(-5, 95)
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				id, ms, owner := ids.Draw(rt, "id"), timeouts.Draw(rt, "ms"), owners.Draw(rt, "owner")
				tr.Add(id, ms, owner)
				if model[id] == nil {
					model[id] = &naive{deadline: now + life(ms), timeout: ms, owner: owner, owned: true}
				}
			},
			"restore": func(rt *rapid.T) {
				id, ms := ids.Draw(rt, "id"), timeouts.Draw(rt, "ms")
				tr.Restore(id, ms)
				if model[id] == nil {
					model[id] = &naive{deadline: now + life(ms), timeout: ms}
				}
			},
			"touch": func(rt *rapid.T) {
				id := ids.Draw(rt, "id")
				tr.Touch(id)
				if e := model[id]; e != nil && !e.closing {
					e.deadline = now + life(e.timeout)
				}
			},
			"touch all": func(*rapid.T) {
				tr.TouchAll()
				for _, e := range model {
					if !e.closing {
						e.deadline = now + life(e.timeout)
					}
				}
			},
			"check": func(rt *rapid.T) {
				id, owner := ids.Draw(rt, "id"), owners.Draw(rt, "owner")
				want := session.OK
				if e := model[id]; e == nil || e.closing {
					want = session.Expired
				} else if e.owned && e.owner != owner {
					want = session.Moved
				} else {
					e.owner, e.owned, e.deadline = owner, true, now+life(e.timeout)
				}
				if got := tr.Check(id, owner); got != want {
					rt.Fatalf("check %v through %d: got %v, want %v", id, owner, got, want)
				}
			},
			"renew": func(rt *rapid.T) {
				id, ms, owner := ids.Draw(rt, "id"), timeouts.Draw(rt, "ms"), owners.Draw(rt, "owner")
				_, moved, alive := tr.Renew(id, ms, owner)
				e := model[id]
				if want := e != nil && !e.closing; alive != want {
					rt.Fatalf("renew %v: alive %v, want %v", id, alive, want)
				}
				if !alive {
					return
				}
				if want := e.owned && e.owner != owner; moved != want {
					rt.Fatalf("renew %v: moved %v, want %v", id, moved, want)
				}
				e.owner, e.owned, e.timeout, e.deadline = owner, true, ms, now+life(ms)
			},
			"close": func(rt *rapid.T) {
				id := ids.Draw(rt, "id")
				tr.Close(id)
				if e := model[id]; e != nil {
					e.closing = true
				}
			},
			"remove": func(rt *rapid.T) {
				id := ids.Draw(rt, "id")
				tr.Remove(id)
				delete(model, id)
			},
			"grant": func(rt *rapid.T) {
				n := rapid.IntRange(0, 4).Draw(rt, "ticks")
				tr.Grant(n)
				now -= int64(n)
			},
			"elapsed": func(rt *rapid.T) {
				ms := rapid.Int32Range(-3, tickMs+3).Draw(rt, "ms")
				tr.Elapsed(ms)
				passed = min(max(ms, 0), tickMs-1)
			},
			"tick": func(rt *rapid.T) {
				now++
				passed = tickMs - 1
				var want []proto.SessionID
				for id, e := range model {
					if !e.closing && e.deadline <= now {
						e.closing = true
						want = append(want, id)
					}
				}
				slices.Sort(want)
				if got := tr.Tick(); !slices.Equal(got, want) {
					rt.Fatalf("tick %d: expired %v, want %v", now, got, want)
				}
			},
			"": func(rt *rapid.T) {
				if tr.Len() != len(model) {
					rt.Fatalf("%d sessions, want %d", tr.Len(), len(model))
				}
			},
		})
	})
}

// TestLivesAreExact: whatever the timeout and the moment of the touch, a session dies behind its
// timeout, and at most a tick behind it (spec semantics 9.2).
func TestLivesAreExact(t *testing.T) {
	const tickMs = 20
	for timeout := range int32(4 * tickMs) {
		for at := range int32(tickMs) {
			tr := session.New(tickMs)
			tr.Add(1, timeout, 1)
			tr.Elapsed(at)
			tr.Touch(1)
			death := int32(0)
			for len(tr.Tick()) == 0 {
				death += tickMs
			}
			if life := death + tickMs - at; life <= timeout || life > timeout+tickMs {
				t.Fatalf("a session with a timeout of %d ms, touched %d ms into a tick of %d ms, lives for %d ms", timeout, at, tickMs, life)
			}
		}
	}
}
