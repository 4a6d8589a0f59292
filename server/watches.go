package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// addWatch sets a one-shot watch for this connection.
func (c *conn) addWatch(path string, table znode.Table) {
	c.s.watches.Add(c.watcher, path, table)
}

// fire sends an event to every connection that watches for it and may read the node.
func (a *applier) fire(t *znode.Trigger, z zxid.ID) {
	a.triggers++
	a.hit = a.s.watches.Fire(t.Table, t.Path, a.hit[:0])
	if len(a.hit) == 0 {
		return
	}
	a.frame = appendEvent(a.frame[:0], z, t.Type, t.Path)
	for i, c := range a.hit {
		a.hit[i] = nil
		previous := c.reached
		c.reached = a.triggers
		if t.SkipPrevious && previous == a.triggers-1 {
			continue
		}
		if !znode.Allowed(t.ACL, proto.PermRead, c.who.Load().judged) {
			continue
		}
		c.mu.Lock()
		c.event(a.frame)
		a.flag(c)
		c.mu.Unlock()
		a.s.stats.sent.Add(1)
	}
}

// answerSetWatches2 knows setWatches2 as far as the watches of setWatches go.
func (c *conn) answerSetWatches2(w *proto.SetWatches2, h proto.ReplyHeader) {
	if len(w.Persistent)+len(w.PersistentRecursive) > 0 {
		h.Err = proto.CodeUnimplemented
	} else {
		c.setWatches(&w.SetWatches)
	}
	c.bare(h)
}

// setWatches sets the watches of a client that reconnected, or tells it at once what it
// has missed: an event or a watch for each path, never both (spec semantics 8.4).
func (c *conn) setWatches(w *proto.SetWatches) {
	for _, path := range w.Data {
		switch n := c.node(path); {
		case n == nil:
			c.missed(proto.EventNodeDeleted, path)
		case n.Mzxid > w.RelativeZxid:
			c.missed(proto.EventNodeDataChanged, path)
		default:
			c.addWatch(path, znode.DataTable)
		}
	}
	for _, path := range w.Exist {
		if c.node(path) != nil {
			c.missed(proto.EventNodeCreated, path)
		} else {
			c.addWatch(path, znode.DataTable)
		}
	}
	for _, path := range w.Child {
		switch n := c.node(path); {
		case n == nil:
			c.missed(proto.EventNodeDeleted, path)
		case n.Pzxid > w.RelativeZxid:
			c.missed(proto.EventNodeChildrenChanged, path)
		default:
			c.addWatch(path, znode.ChildTable)
		}
	}
}

// missed appends an event that no transaction of this moment caused.
func (c *conn) missed(t proto.EventType, path string) {
	c.out = appendEvent(c.out, -1, t, path)
	c.sent++
}

func appendEvent(dst []byte, z zxid.ID, t proto.EventType, path string) []byte {
	return proto.AppendNotification(dst, z, proto.WatcherEvent{Type: t, State: proto.StateSyncConnected, Path: path})
}
