package server_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

// A client with many watches sets them again in packets of 128 KiB, all with one xid.
func TestSetWatchesInLargePackets(t *testing.T) {
	w := newTwin(t, 2, nil)
	c, writer := w.members[1].connect(t), w.members[0].connect(t)
	const packets, perList = 4, 700
	path := func(packet, list, i int) string {
		return fmt.Sprintf("/a/path/of/thirty-five/bytes/%d/%d/%04d", packet, list, i)
	}
	var frames []byte
	for p := range packets {
		lists := make([][]string, 4)
		for l := range lists {
			for i := range perList {
				lists[l] = append(lists[l], path(p, l, i))
			}
		}
		before := len(frames)
		frames = c.append(frames, proto.OpSetWatches2, proto.SetWatches2{
			SetWatches: proto.SetWatches{Data: lists[0], Exist: lists[1]}, Persistent: lists[2], PersistentRecursive: lists[3],
		})
		if n := len(frames) - before; n < 100<<10 || n > 128<<10 {
			t.Fatalf("a packet of %d bytes", n)
		}
	}
	c.write(frames)
	for p := range packets {
		for i := range perList { // nothing is there
			r := c.next()
			if r.op != proto.OpNotification || r.Zxid != -1 || r.event.Type != proto.EventNodeDeleted || r.event.Path != path(p, 0, i) {
				t.Fatalf("%v, want the event of the data watch at %s", r, path(p, 0, i))
			}
		}
		if r := c.next(); r.op != proto.OpSetWatches2 || r.Err != proto.CodeOK {
			t.Fatalf("%v behind the events of packet %d", r, p)
		}
	}
	if got, want := w.members[1].srv.Stats().Watches, packets*perList*(1+2+1); got != want {
		t.Fatalf("%d watches, want %d", got, want)
	}
	for _, path := range []string{"/a", "/a/path", "/a/path/of", "/a/path/of/thirty-five", "/a/path/of/thirty-five/bytes", "/a/path/of/thirty-five/bytes/3", "/a/path/of/thirty-five/bytes/3/2"} {
		writer.create(path, "", proto.ModePersistent)
	}
	writer.create(path(3, 2, perList-1), "", proto.ModePersistent)
	if r := c.next(); r.event.Type != proto.EventNodeCreated || r.event.Path != path(3, 2, perList-1) {
		t.Fatalf("%v", r)
	}
}
