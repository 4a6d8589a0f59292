package check

import (
	"strconv"
	"strings"
)

// Configs demands of everything that was seen of the list of the ensemble's servers that there is one list of each
// version, whose version is the zxid that wrote it; that nobody is shown an older version than his
// session was before, nor, after a sync, than anybody had been shown before that; that in the end all
// servers have one list, which is none of the replaced ones; and that watchers, who look again only
// when an event tells them to, know it then.
func Configs(h []Op, f Final, syncGets bool) []Violation {
	v := violations{check: "configs"}
	seen := byCall(h, func(o Op) bool { // a standalone server has no list
		return (o.Kind == KindConfig || o.Kind == KindReconfig) && o.Outcome == OK && o.Value != ""
	})
	lists := map[int64]Op{}
	for _, o := range seen {
		at := ConfigVersion(o.Value)
		if first, ok := lists[at]; ok && first.Value != o.Value {
			v.addf([]Op{first, o}, "two lists of version %#x", at)
		} else {
			lists[at] = o
		}
		if at != o.Stat.Mzxid || at > o.Zxid || o.Stat.Version != -1 || int(o.Stat.DataLength) != len(o.Value) {
			v.addf([]Op{o}, "a list of version %#x with the Stat %+v at %#x", at, o.Stat, o.Zxid)
		}
		if o.Kind == KindReconfig && at != o.Zxid {
			v.addf([]Op{o}, "a change that was made at %#x came to version %#x", o.Zxid, at)
		}
	}
	backwards(&v, seen, syncGets)
	finalConfigs(&v, h, seen, f)
	return v.list
}

// backwards finds those who were shown an older list than they had to be.
func backwards(v *violations, seen []Op, syncGets bool) {
	returned := byReturn(seen)
	var latest Op // of those that had returned
	sessions := map[int64]Op{}
	next := 0
	for _, o := range seen {
		for ; next < len(returned) && returned[next].Return < o.Call; next++ {
			r := returned[next]
			if ConfigVersion(r.Value) >= ConfigVersion(latest.Value) {
				latest = r
			}
			if ConfigVersion(r.Value) >= ConfigVersion(sessions[r.Session].Value) {
				sessions[r.Session] = r
			}
		}
		at := ConfigVersion(o.Value)
		if before := sessions[o.Session]; at < ConfigVersion(before.Value) {
			v.addf([]Op{before, o}, "a session was shown version %#x after %#x", at, ConfigVersion(before.Value))
		}
		if (o.Found && syncGets || o.Kind == KindReconfig) && at < ConfigVersion(latest.Value) {
			v.addf([]Op{latest, o}, "version %#x behind a sync, when %#x had been shown before", at, ConfigVersion(latest.Value))
		}
	}
}

// finalConfigs holds the lists of the servers, and what watchers know, against each other.
func finalConfigs(v *violations, h, seen []Op, f Final) {
	if len(f.Trees) == 0 {
		return
	}
	last := f.Trees[0].Config
	for _, t := range f.Trees[1:] {
		if t.Config != last {
			v.addf(nil, "in the end server %d has the list %q, server %d %q", f.Trees[0].Server, last, t.Server, t.Config)
		}
	}
	for _, o := range seen {
		if at, end := ConfigVersion(o.Value), ConfigVersion(last); at > end || at == end && o.Value != last {
			v.addf([]Op{o}, "in the end the servers have the list %q", last)
		}
	}
	for _, o := range h {
		if o.Kind == KindKnown && o.Outcome == OK && o.Value != last {
			v.addf([]Op{o}, "a watcher was not told of the list %q", last)
		}
	}
}

// ConfigVersion returns the version of a list, its last line; -1 when there is none.
func ConfigVersion(text string) int64 {
	_, version, ok := strings.Cut(text[strings.LastIndexByte(text, '\n')+1:], "version=")
	if !ok {
		return -1
	}
	n, err := strconv.ParseInt(version, 16, 64)
	if err != nil {
		return -1
	}
	return n
}
