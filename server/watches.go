package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// addWatch lets this connection watch a path. The caller holds the tree's lock, so that
// the watch begins at exactly the state that the request's reply shows.
//
// A client that watches more than it may is sent away: a watch that it believes in and that is
// not there would be worse. The caller holds c.mu as well.
func (c *conn) addWatch(path string, mode watch.Mode) {
	c.boundWatches(c.s.watches.Add(c.watcher, path, mode))
}

// addWatches is addWatch for several paths.
func (c *conn) addWatches(paths []string, mode watch.Mode) {
	if len(paths) > 0 {
		c.boundWatches(c.s.watches.AddAll(c.watcher, paths, mode))
	}
}

// boundWatches closes a connection whose watches take too many bytes. The caller holds c.mu.
func (c *conn) boundWatches(bytes int) {
	if bytes > c.s.cfg.MaxWatchBytes && !c.closed {
		c.s.quiet.Warn("closing a connection that watches too much").
			Str("client", c.remote).Stringer("session", c.session).Int("bytes", bytes).Send()
		c.killLocked("watch limit")
	}
}

// answerAddWatch sets a watch that stays. The path may be any string, and no permission is
// asked for before an event is delivered (spec semantics 8.1, 8.5).
func (c *conn) answerAddWatch(r *proto.AddWatchRequest, h proto.ReplyHeader) {
	switch r.Mode {
	case proto.AddWatchPersistent:
		c.addWatch(r.Path, watch.Persistent)
	case proto.AddWatchPersistentRecursive:
		c.addWatch(r.Path, watch.Recursive)
	default:
		c.failed(h, proto.CodeMarshallingError)
		return
	}
	out, mark := proto.BeginReply(c.out, h)
	c.out = proto.EndFrame(proto.ErrorResponse{}.Append(out), mark)
}

// answerWatchesOf answers checkWatches and removeWatches: both look at what this
// connection watches at exactly this path (spec semantics 8.3).
func (c *conn) answerWatchesOf(op proto.Op, r *proto.RemoveWatchesRequest, h proto.ReplyHeader) {
	mode, ok := watchMode(r.Type)
	switch {
	case !ok:
		h.Err = proto.CodeMarshallingError
	case op == proto.OpCheckWatches && !c.s.watches.Has(c.watcher, r.Path, mode),
		op == proto.OpRemoveWatches && !c.s.watches.Remove(c.watcher, r.Path, mode):
		h.Err = proto.CodeNoWatcher
	}
	c.bare(h)
}

// watchMode returns the mode that a client means by a type of watcher.
func watchMode(t proto.WatcherType) (mode watch.Mode, ok bool) {
	switch t {
	case proto.WatcherChildren:
		return watch.Child, true
	case proto.WatcherData:
		return watch.Data, true
	case proto.WatcherAny:
		return watch.Any, true
	case proto.WatcherPersistent:
		return watch.Persistent, true
	case proto.WatcherPersistentRecursive:
		return watch.Recursive, true
	}
	return 0, false
}

// tell appends an event that has reached the connection, unless the client must not read
// the node, or was told of the same deletion already. The caller holds c.mu.
func (c *conn) tell(b *broadcast) {
	previous := c.reached
	c.reached = b.number
	if b.trigger.SkipPrevious && previous == b.number-1 {
		return
	}
	if !znode.Allowed(b.trigger.ACL, proto.PermRead, c.who.Load().judged) {
		return
	}
	c.event(b.frame)
	c.s.stats.sent.Add(1)
}

// rearm is a setWatches or setWatches2 with the paths that are left of it.
type rearm struct {
	since zxid.ID // what the client has seen
	paths [rearmKinds][]string
}

// The lists of a rearm, in the order in which they are taken.
const (
	rearmData = iota
	rearmExist
	rearmChild
	rearmPersistent
	rearmRecursive
	rearmKinds
)

// newRearm returns what a setWatches or setWatches2 asks for, nil if the request is neither.
func newRearm(body proto.Request) *rearm {
	var all proto.SetWatches2
	switch w := body.(type) {
	case *proto.SetWatches:
		all.SetWatches = *w
	case *proto.SetWatches2:
		all = *w
	default:
		return nil
	}
	return &rearm{since: all.RelativeZxid, paths: [rearmKinds][]string{
		rearmData: all.Data, rearmExist: all.Exist, rearmChild: all.Child,
		rearmPersistent: all.Persistent, rearmRecursive: all.PersistentRecursive,
	}}
}

// len returns the number of paths that are left.
func (a *rearm) len() (n int) {
	for _, list := range a.paths {
		n += len(list)
	}
	return n
}

// warmWatches loads up to n of the nodes that the next watches are about into the cache.
func (c *conn) warmWatches(a *rearm, n int) {
	for _, list := range a.paths[:rearmPersistent] {
		some := list[:min(n, len(list))]
		n -= len(some)
		for _, path := range some {
			c.node(path)
		}
	}
}

// setWatches sets up to n of the watches that are left. The caller holds the tree's lock and
// c.mu.
func (c *conn) setWatches(a *rearm, n int) {
	for kind := range a.paths {
		list := a.paths[kind]
		some := list[:min(n, len(list))]
		a.paths[kind] = list[len(some):]
		n -= len(some)
		c.setWatchesOf(kind, some, a.since)
	}
}

// setWatchesOf sets the watches of a client that reconnected, or tells it at once what it has
// missed: an event or a watch for each path, never both (spec semantics 8.4). The watches that
// stay never cause an event here. It uses paths up.
func (c *conn) setWatchesOf(kind int, paths []string, since zxid.ID) {
	keep := paths[:0]
	for _, path := range paths {
		if event := c.missing(kind, path, since); event != 0 {
			c.missed(event, path)
		} else {
			keep = append(keep, path)
		}
	}
	c.addWatches(keep, [rearmKinds]watch.Mode{
		rearmData: watch.Data, rearmExist: watch.Data, rearmChild: watch.Child,
		rearmPersistent: watch.Persistent, rearmRecursive: watch.Recursive,
	}[kind])
}

// missing returns the event that a watch would have caused since, 0 for none.
func (c *conn) missing(kind int, path string, since zxid.ID) proto.EventType {
	if kind >= rearmPersistent {
		return 0
	}
	n := c.node(path)
	switch {
	case kind == rearmExist && n != nil:
		return proto.EventNodeCreated
	case kind == rearmExist:
		return 0
	case n == nil:
		return proto.EventNodeDeleted
	case kind == rearmData && n.Mzxid > since:
		return proto.EventNodeDataChanged
	case kind == rearmChild && n.Pzxid > since:
		return proto.EventNodeChildrenChanged
	}
	return 0
}

// missed appends an event that no transaction of this moment caused.
func (c *conn) missed(t proto.EventType, path string) {
	c.out = appendEvent(c.out, -1, t, path)
	c.sent++
}

func appendEvent(dst []byte, z zxid.ID, t proto.EventType, path string) []byte {
	return proto.AppendNotification(dst, z, proto.WatcherEvent{Type: t, State: proto.StateSyncConnected, Path: path})
}
