package check_test

import (
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

const (
	list1 = "server.1=a:1:2:participant\nversion=100000000"
	list5 = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=100000005"
	list9 = "server.2=b:1:2:participant\nversion=100000009"
)

// listed is an operation of a session that has seen a list.
func listed(kind check.Kind, session, call int64, list string) check.Op {
	at := check.ConfigVersion(list)
	return check.Op{
		Kind: kind, Session: session, Call: call, Return: call + 1, Outcome: check.OK, Value: list, Zxid: max(at, 0x100000001),
		Stat: check.Stat{Mzxid: at, Version: -1, DataLength: int32(len(list))},
	}
}

func configHistory() ([]check.Op, check.Final) {
	h := []check.Op{
		listed(check.KindConfig, 1, 10, list1),
		listed(check.KindReconfig, 2, 20, list5),
		listed(check.KindConfig, 1, 30, list1), // a plain read may be stale
		listed(check.KindConfig, 1, 40, list5),
		listed(check.KindReconfig, 2, 50, list9),
		listed(check.KindConfig, 3, 60, list9),
		{Kind: check.KindReconfig, Session: 2, Call: 70, Return: 71, Outcome: check.Info},
		{Kind: check.KindKnown, Session: 1, Call: 90, Return: 90, Outcome: check.OK, Value: list9},
	}
	h[5].Found = true // after a sync
	return h, check.Final{Trees: []check.Tree{{Server: 1, Config: list9}, {Server: 2, Config: list9}}}
}

func TestConfigs(t *testing.T) {
	h, f := configHistory()
	if v := check.Configs(h, f, true); len(v) > 0 {
		t.Errorf("a good history: %v", v)
	}
	for name, c := range map[string]struct {
		says string
		lie  func(h []check.Op, f *check.Final)
	}{
		"two lists of one version":          {"two lists", func(h []check.Op, _ *check.Final) { h[3].Value = strings.Replace(list5, "b", "c", 1) }},
		"the Stat is of another version":    {"with the Stat", func(h []check.Op, _ *check.Final) { h[3].Stat.Mzxid++ }},
		"the Stat counts":                   {"with the Stat", func(h []check.Op, _ *check.Final) { h[3].Stat.Version = 0 }},
		"a list of the future":              {"with the Stat", func(h []check.Op, _ *check.Final) { h[3].Zxid = 0x100000004 }},
		"a change at another zxid":          {"was made at", func(h []check.Op, _ *check.Final) { h[1].Zxid++ }},
		"a session goes back":               {"after", func(h []check.Op, _ *check.Final) { h[5] = listed(check.KindConfig, 1, 60, list1) }},
		"a sync does not help":              {"behind a sync", func(h []check.Op, _ *check.Final) { h[2].Found = true }},
		"a change is made of an older list": {"behind a sync", func(h []check.Op, _ *check.Final) { h[4] = listed(check.KindReconfig, 4, 50, list1) }},
		"servers end with two lists":        {"in the end server 1", func(_ []check.Op, f *check.Final) { f.Trees[1].Config = list5 }},
		"a change is lost":                  {"in the end the servers", func(_ []check.Op, f *check.Final) { f.Trees[0].Config, f.Trees[1].Config = list5, list5 }},
		"a watcher was not told":            {"watcher", func(h []check.Op, _ *check.Final) { h[7].Value = list5 }},
	} {
		broken, end := configHistory()
		c.lie(broken, &end)
		found := check.Configs(broken, end, true)
		if len(found) == 0 || !strings.Contains(found[0].String(), c.says) && !strings.Contains(found[len(found)-1].String(), c.says) {
			t.Errorf("%s: got %v", name, found)
		}
	}
	h, f = configHistory()
	h[2].Found = true
	if v := check.Configs(h, f, false); len(v) > 0 {
		t.Errorf("a stale sync where that is allowed: %v", v)
	}
}

func TestConfigVersion(t *testing.T) {
	for text, want := range map[string]int64{list5: 0x100000005, "version=0": 0, "": -1, "version=x": -1, "version=1\nserver.1=a": -1} {
		if got := check.ConfigVersion(text); got != want {
			t.Errorf("%q: got %#x, want %#x", text, got, want)
		}
	}
}
