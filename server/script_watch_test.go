package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// events returns the events that were caused by what is committed now. The reply to a sync
// stands behind them.
func (c *client) events() string {
	c.t.Helper()
	c.send(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	var out strings.Builder
	for {
		r := c.next()
		if r.op == proto.OpSync {
			break
		}
		if r.op != proto.OpNotification {
			c.t.Fatalf("%v among the events", r)
		}
		fmt.Fprintln(&out, r)
	}
	if out.Len() == 0 {
		return "none\n"
	}
	return out.String()
}

// watchRequest reads a line of a script that is about watches alone:
//
//	addwatch <path> <mode>                persistent, recursive, or a number
//	checkwatches, removewatches <path> <type>
//	                                      children, data, any, persistent, recursive, or a number
//	setwatches <zxid> data=<path> exist=<path> child=<path> ...
//	setwatches2, the same with persistent= and recursive=
//
//	openup <path>                         everybody may do everything there
//
// A path of "-" is the empty one.
func watchRequest(t *testing.T, f []string) (proto.Op, proto.Appender) {
	t.Helper()
	path := func() string { return strings.TrimPrefix(f[1], "-") }
	switch f[0] {
	case "addwatch":
		mode := number(t, f[2], map[string]int32{"persistent": 0, "recursive": 1})
		return proto.OpAddWatch, proto.AddWatchRequest{Path: path(), Mode: proto.AddWatchMode(mode)}
	case "checkwatches", "removewatches":
		op := proto.OpCheckWatches
		if f[0] == "removewatches" {
			op = proto.OpRemoveWatches
		}
		kind := number(t, f[2], map[string]int32{"children": 1, "data": 2, "any": 3, "persistent": 4, "recursive": 5})
		return op, proto.RemoveWatchesRequest{Path: path(), Type: proto.WatcherType(kind)}
	case "openup":
		return proto.OpSetACL, proto.SetACLRequest{Path: path(), ACL: proto.WorldACL(proto.PermAll), Version: -1}
	case "setwatches":
		return proto.OpSetWatches, watchLists(t, f[1:]).SetWatches
	case "setwatches2":
		return proto.OpSetWatches2, watchLists(t, f[1:])
	}
	return 0, nil
}

func number(t *testing.T, s string, names map[string]int32) int32 {
	t.Helper()
	if n, ok := names[s]; ok {
		return n
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// watchLists reads "<zxid> data=/a exist=/b child=/c ...".
func watchLists(t *testing.T, f []string) proto.SetWatches2 {
	t.Helper()
	z, err := strconv.ParseInt(f[0], 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	var w proto.SetWatches2
	w.RelativeZxid = zxid.ID(z)
	lists := map[string]*[]string{
		"data": &w.Data, "exist": &w.Exist, "child": &w.Child,
		"persistent": &w.Persistent, "recursive": &w.PersistentRecursive,
	}
	for _, f := range f[1:] {
		kind, path, _ := strings.Cut(f, "=")
		if lists[kind] == nil {
			t.Fatalf("what is %q?", f)
		}
		*lists[kind] = append(*lists[kind], path)
	}
	return w
}
