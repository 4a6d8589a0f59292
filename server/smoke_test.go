package server_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

func TestDailyOperations(t *testing.T) {
	w := newTwin(t, 1, nil)
	c := w.members[0].connect(t)
	if got := c.create("/a", "hi", proto.ModePersistent); got != "/a" {
		t.Fatalf("created %s", got)
	}
	r := c.must(proto.OpGetData, proto.ReadRequest{Path: "/a"})
	if d := r.decode(t, new(proto.GetDataResponse)).(*proto.GetDataResponse); string(d.Data) != "hi" || d.Stat.Czxid != r.Zxid {
		t.Fatalf("got %q %+v at %v", d.Data, d.Stat, r.Zxid)
	}
	c.must(proto.OpPing, nil)
	c.must(proto.OpCloseSession, nil)
	if rest := c.closed(); len(rest) != 0 {
		t.Fatalf("%x behind the answer to closeSession", rest)
	}
}
