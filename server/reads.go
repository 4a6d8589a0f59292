package server

import (
	"math"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/znode"
)

// answer appends the reply to a request that waits for nothing (any more), computed from
// the tree as it is. The caller holds the tree's lock and c.mu.
func (c *conn) answer(r *request) {
	if r.silent {
		if r.last {
			c.lastAnswer()
		}
		return
	}
	c.catchUp()
	c.sent++
	h := proto.ReplyHeader{Xid: r.xid, Zxid: c.s.tree.applied, Err: r.code}
	if r.fixed {
		h.Zxid = r.zxid
	}
	if r.last {
		c.lastAnswer()
	}
	if r.fixed || r.code != proto.CodeOK {
		c.tally.noteRefusal(r, h.Zxid)
	} else {
		c.tally.note(r.op, r.xid, h.Zxid)
	}
	if r.fixed || r.code != proto.CodeOK {
		if answer, ok := r.body.(*proto.SetSASLResponse); ok {
			c.reply(h, answer) // the one error with a body
		} else {
			c.bare(h)
		}
		return
	}
	switch r.op {
	case proto.OpGetData:
		c.answerGetData(r, h)
	case proto.OpExists:
		c.answerExists(r, h)
	case proto.OpGetChildren, proto.OpGetChildren2:
		c.answerGetChildren(r, h)
	case proto.OpGetACL:
		acl, stat, code := znode.GetACL(c.s.tree.store, r.path, r.who.judged)
		if !c.failed(h, code) {
			c.reply(h, proto.GetACLResponse{ACL: acl, Stat: stat})
		}
	case proto.OpGetAllChildrenNumber:
		c.answerNumber(r, h)
	case proto.OpSync:
		c.reply(h, proto.SyncResponse{Path: r.body.(*proto.SyncRequest).Path})
	case proto.OpSetWatches, proto.OpSetWatches2:
		c.setWatches(r.rearm, math.MaxInt)
		c.bare(h)
	case proto.OpAddWatch:
		c.answerAddWatch(r.body.(*proto.AddWatchRequest), h)
	case proto.OpCheckWatches, proto.OpRemoveWatches:
		c.answerWatchesOf(r.op, r.body.(*proto.RemoveWatchesRequest), h)
	case proto.OpMultiRead:
		c.reply(h, c.multiRead(r))
	case proto.OpGetEphemerals:
		c.answerEphemerals(r.body.(*proto.GetEphemeralsRequest).PrefixPath, h)
	case proto.OpWhoAmI:
		c.reply(h, c.whoAmI(r.who))
	case proto.OpCloseSession: // of a local session
		c.s.locals.remove(c.session)
		c.bare(h)
	default: // ping
		c.bare(h)
	}
}

// reply appends a reply with a body.
func (c *conn) reply(h proto.ReplyHeader, body proto.Appender) {
	c.out = proto.AppendReply(c.out, h, body)
}

// failed appends the reply of an operation that came to an error; of one that came to none it
// appends nothing, and returns false.
func (c *conn) failed(h proto.ReplyHeader, code proto.Code) bool {
	if code == proto.CodeOK {
		return false
	}
	h.Err = code
	c.bare(h)
	return true
}

func (c *conn) answerGetData(r *request, h proto.ReplyHeader) {
	data, stat, code := znode.GetData(c.s.tree.store, r.path, r.who.judged)
	if c.failed(h, code) {
		return
	}
	if r.watch {
		c.addWatch(r.path, watch.Data)
	}
	out, mark := proto.BeginReply(c.out, h)
	out = jute.AppendBuffer(out, data)
	c.out = proto.EndFrame(stat.Append(out), mark)
}

// answerExists leaves its watch at a missing node too.
func (c *conn) answerExists(r *request, h proto.ReplyHeader) {
	stat, code := znode.Exists(c.s.tree.store, r.path, r.who.judged)
	if r.watch && (code == proto.CodeOK || code == proto.CodeNoNode) {
		c.addWatch(r.path, watch.Data)
	}
	if c.failed(h, code) {
		return
	}
	out, mark := proto.BeginReply(c.out, h)
	c.out = proto.EndFrame(stat.Append(out), mark)
}

func (c *conn) answerGetChildren(r *request, h proto.ReplyHeader) {
	names, stat, code := znode.GetChildren(c.s.tree.store, r.path, r.who.judged, c.s.cfg.MaxList)
	if c.failed(h, code) {
		return
	}
	if r.watch {
		c.addWatch(r.path, watch.Child)
	}
	out, mark := proto.BeginReply(c.out, h)
	out = proto.GetChildrenResponse{Children: names}.Append(out)
	if r.op == proto.OpGetChildren2 {
		out = stat.Append(out)
	}
	c.out = proto.EndFrame(out, mark)
}

// node returns the node at path, the empty path being the root, without any check.
func (c *conn) node(path string) *znode.Node {
	if path == "" {
		path = znode.RootPath
	}
	return c.s.tree.store.Node(path)
}

// multiRead answers each operation on its own; it sets no watches. One request can ask for the
// same large node tens of thousands of times: where the answer becomes too long, the operations
// that are left are refused. What a glance has found and still holds is taken from it.
func (c *conn) multiRead(r *request) proto.MultiResponse {
	ops := r.body.(*proto.MultiRequest).Ops
	var results []proto.MultiResult
	g, glanced := r.aside.(*glance)
	if glanced {
		c.s.tree.unfollow(g)
		results = g.results
	} else {
		results = make([]proto.MultiResult, len(ops))
	}
	left := c.s.cfg.MaxAnswer
	for i := range ops {
		res := &results[i]
		path := ops[i].Request.(*proto.ReadRequest).Path
		if left >= 0 && (!glanced || !g.holds(i, path)) {
			*res = c.readOne(ops[i].Op, path, r.who, left)
		}
		if left -= resultBytes(res); left < 0 {
			*res = refusedRead(proto.CodeMarshallingError)
		}
	}
	return proto.MultiResponse{Results: results}
}

// readOne answers one operation of a multiRead. A list of children is refused when it takes more
// than limit bytes.
func (c *conn) readOne(op proto.Op, path string, who *identity, limit int) proto.MultiResult {
	res := proto.MultiResult{Type: op}
	var code proto.Code
	if op == proto.OpGetData {
		res.Data, res.Stat, code = znode.GetData(c.s.tree.store, path, who.judged)
	} else {
		res.Children, res.Stat, code = znode.GetChildren(c.s.tree.store, path, who.judged, limit)
	}
	if code != proto.CodeOK {
		return refusedRead(code)
	}
	return res
}

func refusedRead(code proto.Code) proto.MultiResult {
	return proto.MultiResult{Type: proto.OpError, Err: code}
}

// resultBytes is how much room the data or the names of a result take in an answer.
func resultBytes(r *proto.MultiResult) int {
	n := len(r.Data)
	for _, name := range r.Children {
		n += 4 + len(name)
	}
	return n
}

// answerEphemerals lists the session's ephemeral nodes whose paths begin with prefix.
func (c *conn) answerEphemerals(prefix string, h proto.ReplyHeader) {
	var paths []string
	left := c.s.cfg.MaxList
	bare := strings.TrimFunc(prefix, func(r rune) bool { return r <= ' ' }) // what Java's trim leaves
	all := bare == "" || bare == znode.RootPath
	c.s.tree.store.Ephemerals(c.session, func(path string) bool {
		if all || strings.HasPrefix(path, prefix) {
			left -= 4 + len(path)
			paths = append(paths, path)
		}
		return left >= 0
	})
	if left < 0 {
		c.failed(h, proto.CodeMarshallingError)
		return
	}
	c.reply(h, proto.GetEphemeralsResponse{Ephemerals: paths})
}

// whoAmI lists identities; of a digest, the user alone.
func (c *conn) whoAmI(who *identity) proto.WhoAmIResponse {
	infos := make([]proto.ClientInfo, len(who.ids))
	for i, id := range who.ids {
		infos[i] = proto.ClientInfo{AuthScheme: id.Scheme, User: c.s.auth.User(id)}
	}
	return proto.WhoAmIResponse{ClientInfo: infos}
}
