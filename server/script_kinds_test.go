package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// clean lets the leader's cleaner begin a run, or go on behind a pause.
func clean(t *testing.T, what string, at chan<- time.Time) {
	t.Helper()
	select {
	case at <- time.Time{}:
	case <-time.After(patience):
		t.Fatalf("the cleaner does not %s", what)
	}
}

// kindRequest reads a line of a script that is about kinds of nodes; flags are the number on
// the wire, a path of "-" is the empty one:
//
//	container <path> [flags]              createContainer, flags 4 if not said
//	ttl <path> <ms> [flags]               createTTL, flags 5 if not said
//	flags <path> <flags>                  create2 with any flags
//	number <path>                         getAllChildrenNumber
//	setany <path> <version>               setData
func kindRequest(t *testing.T, f []string) (op proto.Op, body proto.Appender, ok bool) {
	t.Helper()
	num := func(i, def int) int {
		if i >= len(f) {
			return def
		}
		n, err := strconv.Atoi(f[i])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	path := ""
	if len(f) > 1 {
		path = strings.TrimPrefix(f[1], "-")
	}
	switch f[0] {
	case "container":
		return proto.OpCreateContainer, createRequest(path, "", proto.CreateMode(num(2, 4))), true
	case "flags":
		return proto.OpCreate2, createRequest(path, "", proto.CreateMode(num(2, 0))), true
	case "ttl":
		return proto.OpCreateTTL, ttlRequest(path, num(2, 0), num(3, 5)), true
	case "number":
		return proto.OpGetAllChildrenNumber, proto.PathRequest{Path: path}, true
	case "setany":
		return proto.OpSetData, proto.SetDataRequest{Path: path, Data: []byte("new"), Version: int32(num(2, -1))}, true
	}
	return 0, nil, false
}

func ttlRequest(path string, ms, flags int) proto.CreateTTLRequest {
	return proto.CreateTTLRequest{Path: path, ACL: proto.WorldACL(proto.PermAll), Mode: proto.CreateMode(flags), TTL: int64(ms)}
}

// kindOp reads an operation of a multi: "container=/x:flags", "ttl=/x:ms:flags", "flags=/x:flags", the
// last for create, and "expire=/x" for deleteContainer, which may not stand there.
func kindOp(t *testing.T, kind, arg string) proto.MultiOp {
	t.Helper()
	f := append([]string{kind}, strings.Split(arg, ":")...)
	if kind == "expire" {
		return proto.MultiOp{Op: proto.OpDeleteContainer, Request: &proto.DeleteContainerRequest{Path: arg}}
	}
	op, body, ok := kindRequest(t, f)
	switch r := body.(type) {
	case proto.CreateRequest:
		if op == proto.OpCreate2 {
			op = proto.OpCreate
		}
		return proto.MultiOp{Op: op, Request: &r}
	case proto.CreateTTLRequest:
		return proto.MultiOp{Op: op, Request: &r}
	}
	t.Fatalf("what is %q in a multi? (%v)", kind, ok)
	return proto.MultiOp{}
}

// showMulti lists the results of a multi of which some have a Stat, and so times; else nothing.
func showMulti(body []byte) string {
	var res proto.MultiResponse
	cur := jute.NewCursor(body)
	res.Decode(&cur)
	var out []string
	stats := false
	for _, r := range res.Results {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%v %s", r.Type, r.Path)))
		stats = stats || r.Stat != proto.Stat{}
	}
	if !stats {
		return ""
	}
	return strings.Join(out, ", ")
}
