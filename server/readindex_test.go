package server_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// A read of many nodes, which no queue takes, waits for the sync all the same, and shows what was
// committed before it.
func TestLongLinearizableRead(t *testing.T) {
	w := newTwin(t, 2, func(c *server.Config) { c.LinearizableReads = true })
	writer, reader := w.members[0].connect(t), w.members[1].connect(t)
	paths := numbered("/n", manyPaths)
	for _, path := range paths {
		writer.must(proto.OpCreate, proto.CreateRequest{Path: path, ACL: proto.WorldACL(proto.PermAll)})
	}
	reader.send(proto.OpMultiRead, getAll(paths))
	for i, res := range reader.next().multiResults(t) {
		if res.Err != proto.CodeOK {
			t.Fatalf("%s: %v, though it was created before", paths[i], res.Err)
		}
	}
	w.hold()
	reader.send(proto.OpMultiRead, getAll(paths))
	eventually(t, "the leader is asked", func() bool { return w.heldAnswers() == 1 })
	w.release(false)
	if r := reader.next(); r.op != proto.OpMultiRead || r.Err != proto.CodeOK {
		t.Errorf("%v instead of the answer to a multiRead", r)
	}
}

// A server that serves linearizable reads has nothing to say without a leader.
func TestNoReadOnlyModeWithLinearizableReads(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.LinearizableReads = true })
	w.depose()
	w.members[0].srv.ServeReadOnly()
	w.lead(0)
	if w.members[0].srv.ReadOnly() {
		t.Error("serves reads without a leader")
	}
	w.members[0].connect(t).must(proto.OpCreate, proto.CreateRequest{Path: "/x", ACL: proto.WorldACL(proto.PermAll)})
}
