package server_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

func (c *client) number(path string) int32 {
	c.t.Helper()
	r := c.must(proto.OpGetAllChildrenNumber, proto.PathRequest{Path: path})
	return r.decode(c.t, new(proto.GetAllChildrenNumberResponse)).(*proto.GetAllChildrenNumberResponse).TotalNumber
}

// TestNumberIsThatOfItsZxid: while another client adds and removes nodes, every answer to
// getAllChildrenNumber is exactly the number at its zxid: the writer makes one node per
// transaction, so that the number follows from the zxid.
func TestNumberIsThatOfItsZxid(t *testing.T) {
	const nodes = 3000
	w := newTwin(t, 2, nil)
	writer, reader := w.members[0].connect(t), w.members[1].connect(t)
	r := writer.must(proto.OpCreate, createRequest("/d", "", 0))
	base := r.Zxid
	reader.must(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	var b []byte
	for i := range nodes {
		path := fmt.Sprintf("/d/%d", i)
		if i%3 == 0 {
			path = fmt.Sprintf("/d/%d/x", i-1) // below the node before
		}
		if i == 0 {
			path = "/d/x"
		}
		b = writer.append(b, proto.OpCreate, createRequest(path, "", 0))
	}
	writer.write(b)
	for last := int32(-1); last < nodes; {
		r := reader.must(proto.OpGetAllChildrenNumber, proto.PathRequest{Path: "/d"})
		n := r.decode(t, new(proto.GetAllChildrenNumberResponse)).(*proto.GetAllChildrenNumberResponse).TotalNumber
		if want := int32(r.Zxid - base); n != want || n < last {
			t.Fatalf("%d nodes at %v, want %d, had %d", n, r.Zxid, want, last)
		}
		last = n
	}
}

// TestNumberBehindWrites: a count that began before the writes ahead of it were applied has them in
// it, those of deeper levels and deletions too.
func TestNumberBehindWrites(t *testing.T) {
	w := newTwin(t, 2, nil)
	c := w.members[1].connect(t)
	c.create("/d", "", 0)
	c.create("/d/a", "", 0)
	w.hold()
	var b []byte
	create := func(path string) { b = c.append(b, proto.OpCreate, createRequest(path, "", 0)) }
	count := func(path string) { b = c.append(b, proto.OpGetAllChildrenNumber, proto.PathRequest{Path: path}) }
	count("/d") // at once
	create("/d/b")
	create("/d/b/c")
	create("/dd")
	count("/d")
	count("/new")
	b = c.append(b, proto.OpDelete, proto.DeleteRequest{Path: "/d/a", Version: -1})
	create("/new")
	create("/new/x")
	count("/d")
	count("/new")
	count("/")
	c.write(b)
	eventually(t, "six transactions are held back", func() bool { return w.heldTxns() == 6 })
	w.release(true)
	want := []string{"1", "-", "-", "-", "3", "NoNode (-101)", "-", "-", "-", "2", "1", "9"}
	for i, want := range want {
		r := c.next()
		got := "-"
		if r.op == proto.OpGetAllChildrenNumber {
			if got = r.show(); r.Err != proto.CodeOK {
				got = r.Err.Error()
			}
		}
		if got != want {
			t.Errorf("reply %d to %v: %s, want %s", i, r.op, got, want)
		}
	}
	// A client that leaves with counts in its queue leaves none behind that later batches serve.
	w.hold()
	b = nil
	create("/late")
	count("/d")
	count("/new")
	c.write(b)
	eventually(t, "one transaction is held back", func() bool { return w.heldTxns() == 1 })
	if n := w.members[1].srv.OpenCensuses(); n != 2 {
		t.Errorf("%d counts are open, want 2", n)
	}
	c.nc.Close()
	eventually(t, "the counts are given up", func() bool { return w.members[1].srv.OpenCensuses() == 0 })
	w.release(false)
}

// TestNumberNeedsRead: the ACL of the node alone counts, and a missing node goes first.
func TestNumberNeedsRead(t *testing.T) {
	c := newTwin(t, 1, nil).members[0].connect(t)
	req := createRequest("/shut", "", 0)
	req.ACL = proto.WorldACL(proto.PermCreate)
	c.must(proto.OpCreate, req)
	c.create("/shut/x", "", 0)
	if r := c.call(proto.OpGetAllChildrenNumber, proto.PathRequest{Path: "/shut"}); r.Err != proto.CodeNoAuth {
		t.Errorf("without READ: %v", r)
	}
	for path, want := range map[string]proto.Code{"/nope": proto.CodeNoNode, "/shut/": proto.CodeNoNode, "no/slash\x00": proto.CodeNoNode} {
		if r := c.call(proto.OpGetAllChildrenNumber, proto.PathRequest{Path: path}); r.Err != want {
			t.Errorf("%q: %v, want %v", path, r, want)
		}
	}
	req = createRequest("/open", "", 0)
	c.must(proto.OpCreate, req)
	req = createRequest("/open/shut", "", 0)
	req.ACL = proto.WorldACL(0)
	c.must(proto.OpCreate, req)
	if n := c.number("/open"); n != 1 {
		t.Errorf("%d nodes below /open, want the unreadable one", n)
	}
}
