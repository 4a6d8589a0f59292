package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// TestLongAnswersAreRefused asks for lists that are as long as an answer may be, and then for ones
// that are a byte longer.
func TestLongAnswersAreRefused(t *testing.T) {
	const most = 8 << 10
	m := newTwin(t, 1, func(c *server.Config) { c.MaxList = most }).members[0]
	c := m.connect(t)
	c.create("/list", "", proto.ModePersistent)
	name := strings.Repeat("n", most/2-4-1)
	list := func(children, ephemerals proto.Code) {
		t.Helper()
		for _, q := range []struct {
			op   proto.Op
			body proto.Appender
			want proto.Code
		}{
			{proto.OpGetChildren, proto.ReadRequest{Path: "/list"}, children},
			{proto.OpGetChildren2, proto.ReadRequest{Path: "/list"}, children},
			{proto.OpGetEphemerals, proto.GetEphemeralsRequest{}, ephemerals},
			{proto.OpGetEphemerals, proto.GetEphemeralsRequest{PrefixPath: "/list/1"}, proto.CodeOK},
			{proto.OpGetAllChildrenNumber, proto.PathRequest{Path: "/list"}, proto.CodeOK},
		} {
			if r := c.call(q.op, q.body); r.Err != q.want {
				t.Errorf("%v %+v is answered with %v, want %v", q.op, q.body, r.Err, q.want)
			}
		}
	}
	for i := range 2 {
		c.create(fmt.Sprintf("/list/%d%s", i, name), "", proto.ModePersistent)
	}
	list(proto.CodeOK, proto.CodeOK)
	// Its name takes five bytes of the list of children, its path eleven of the ephemerals.
	c.create("/list/x", "", proto.ModeEphemeral)
	list(proto.CodeMarshallingError, proto.CodeOK)
	for i := range 2 {
		c.must(proto.OpDelete, proto.DeleteRequest{Path: fmt.Sprintf("/list/%d%s", i, name), Version: -1})
		c.create(fmt.Sprintf("/%d%s", i, name[1:]), "", proto.ModeEphemeral)
	}
	list(proto.CodeOK, proto.CodeMarshallingError)
}

// TestLongMultiReads: an answer has room for what comes first, the rest is refused one by one.
func TestLongMultiReads(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) { c.MaxAnswer = 10 << 10 }).members[0]
	c := m.connect(t)
	c.create("/data", strings.Repeat("d", 4<<10), proto.ModePersistent)
	c.create("/small", "s", proto.ModePersistent)
	body := reads(0, "")
	for _, path := range []string{"/data", "/none", "/data", "/small", "/data", "/small"} {
		body.Ops = append(body.Ops, proto.MultiOp{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: path}})
	}
	var res proto.MultiResponse
	c.must(proto.OpMultiRead, body).decode(t, &res)
	const refused = proto.CodeMarshallingError
	want := []proto.Code{0, proto.CodeNoNode, 0, 0, refused, refused}
	if len(res.Results) != len(want) {
		t.Fatalf("%d results of %d reads", len(res.Results), len(want))
	}
	for i := range want {
		if got := res.Results[i].Err; got != want[i] {
			t.Errorf("result %d is %v, want %v", i, got, want[i])
		}
	}
}
