package znode_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// model is the tree written down naively: one step per request, in place, without pending
// states, transactions or overlays. It shares nothing with the package but the check of
// paths and of single permissions, which have tests of their own.
type model struct {
	nodes    map[string]*modelNode
	sessions map[proto.SessionID]bool
	zxid     zxid.ID
	now      int64
	// enforce is enforceQuota; before is the tree that quotas are judged by.
	enforce bool
	before  map[string]*modelNode
}

type modelNode struct {
	data                []byte
	acl                 []proto.ACL
	czxid, mzxid, pzxid zxid.ID
	ctime, mtime        int64
	version, aversion   int32
	born, died, initial int32 // children
	owner               proto.SessionID
	container           bool
	ttl                 int64
}

// outcome is everything a client or a watcher can see of a request.
type outcome struct {
	code     proto.Code
	path     string
	stat     proto.Stat
	multi    []proto.MultiResult
	triggers string
}

func newModel() *model {
	m := &model{nodes: map[string]*modelNode{}, sessions: map[proto.SessionID]bool{}}
	for path, initial := range map[string]int32{"/": 1, "/zookeeper": 2, "/zookeeper/quota": 0, "/zookeeper/config": 0} {
		m.nodes[path] = &modelNode{data: []byte{}, acl: open, initial: initial}
	}
	m.nodes["/zookeeper/config"].acl = proto.WorldACL(proto.PermRead)
	m.nodes["/zookeeper/config"].aversion = -1
	return m
}

func (m *model) clone() map[string]*modelNode {
	nodes := map[string]*modelNode{}
	for path, n := range m.nodes {
		copied := *n
		nodes[path] = &copied
	}
	return nodes
}

func (m *model) children(path string) []string {
	var names []string
	for p := range m.nodes {
		if p != "/" && parentOf(p) == path {
			names = append(names, p[strings.LastIndex(p, "/")+1:])
		}
	}
	slices.Sort(names)
	return names
}

func parentOf(path string) string {
	if p := path[:strings.LastIndex(path, "/")]; p != "" {
		return p
	}
	return "/"
}

func (m *model) stat(path string) proto.Stat {
	n := m.nodes[path]
	return proto.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion, Cversion: n.born + n.died - n.initial,
		EphemeralOwner: n.owner, DataLength: int32(len(n.data)), NumChildren: int32(len(m.children(path))),
	}
}

// exec executes a request as the next transaction.
func (m *model) exec(r *modelRequest) outcome {
	var o outcome
	if m.enforce {
		m.before = m.clone()
	}
	switch body := r.body.(type) {
	case nil:
		return m.session(r)
	case *proto.MultiRequest:
		o.multi = []proto.MultiResult{}
		saved := m.clone()
		for k, op := range body.Ops {
			sub := m.one(r, op.Op, op.Request)
			o.triggers += sub.triggers
			if sub.code != ok {
				m.nodes = saved
				return outcome{multi: proto.FailedMulti(len(body.Ops), k, sub.code).Results}
			}
			result := proto.MultiResult{Type: op.Op}
			switch op.Op {
			case proto.OpCreate:
				result.Path = sub.path
			case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
				result.Type, result.Path, result.Stat = proto.OpCreate2, sub.path, sub.stat
				if ttl, is := op.Request.(*proto.CreateTTLRequest); is && ttl.Mode < 5 {
					result.Type, result.Stat = proto.OpCreate, proto.Stat{}
				}
			case proto.OpSetData:
				result.Stat = sub.stat
			}
			o.multi = append(o.multi, result)
		}
	default:
		o = m.one(r, r.op, r.body)
	}
	return o
}

func (m *model) session(r *modelRequest) outcome {
	if r.op == proto.OpCreateSession {
		if m.sessions[r.session] {
			return outcome{code: expired}
		}
		m.sessions[r.session] = true
		return outcome{}
	}
	delete(m.sessions, r.session)
	var o outcome
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if m.nodes[path].owner == r.session {
			o.triggers += m.erase(path)
		}
	}
	return o
}

func (m *model) erase(path string) string {
	size := len(m.nodes[path].data)
	delete(m.nodes, path)
	parent := parentOf(path)
	m.nodes[parent].died++
	m.nodes[parent].pzxid = m.zxid
	m.charge(path, -1, -size)
	return fmt.Sprintf("data %s NodeDeleted\nchild %s NodeDeleted skip\nchild %s NodeChildrenChanged\n", path, path, parent)
}

func (m *model) may(r *modelRequest, path string, perm proto.Perms) bool {
	return znode.Allowed(m.nodes[path].acl, perm, r.ids)
}

func fails(current, expected int32) bool { return expected != -1 && current != expected }

func (m *model) one(r *modelRequest, op proto.Op, body proto.Request) outcome {
	var o outcome
	if !m.sessions[r.session] {
		if create, is := body.(*proto.CreateRequest); is && (create.Mode < 0 || create.Mode > 4) {
			return outcome{code: badArgs}
		}
		if create, is := body.(*proto.CreateTTLRequest); is && badTTL(r, create) {
			return outcome{code: badArgs}
		}
		return outcome{code: expired}
	}
	switch q := body.(type) {
	case *proto.CreateRequest:
		if q.Mode < 0 || q.Mode > 4 {
			return outcome{code: badArgs}
		}
		return m.create(r, op, q, 0)
	case *proto.CreateTTLRequest:
		if badTTL(r, q) {
			return outcome{code: badArgs}
		}
		plain := &proto.CreateRequest{Path: q.Path, Data: q.Data, ACL: q.ACL, Mode: q.Mode}
		if q.Mode < 5 {
			return m.create(r, proto.OpCreate, plain, 0)
		}
		plain.Mode = map[proto.CreateMode]proto.CreateMode{5: 0, 6: 2}[q.Mode]
		return m.create(r, op, plain, q.TTL)
	case *proto.DeleteRequest:
		n, parent := m.nodes[q.Path], ""
		if strings.Contains(q.Path, "/") {
			parent = parentOf(q.Path)
		}
		switch {
		case parent == "" || strings.Contains(q.Path, "\x00") ||
			slices.Contains([]string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}, q.Path):
			o.code = badArgs
		case m.nodes[parent] == nil:
			o.code = noNode
		case !m.may(r, parent, proto.PermDelete):
			o.code = noAuth
		case n == nil:
			o.code = noNode
		case fails(n.version, q.Version):
			o.code = badVersion
		case len(m.children(q.Path)) > 0:
			o.code = notEmpty
		default:
			o.triggers = m.erase(q.Path)
		}
	case *proto.SetDataRequest:
		n := m.nodes[q.Path]
		if o.code = m.guard(r, q.Path, proto.PermWrite); o.code != ok {
			return o
		}
		difference := len(q.Data) - len(n.data)
		if m.overQuota(q.Path, 0, difference) {
			return outcome{code: proto.CodeQuotaExceeded}
		}
		if fails(n.version, q.Version) {
			return outcome{code: badVersion}
		}
		n.data, n.mzxid, n.mtime, n.version = q.Data, m.zxid, m.now, n.version+1
		o.stat, o.triggers = m.stat(q.Path), "data "+q.Path+" NodeDataChanged\n"
		m.charge(q.Path, 0, difference)
	case *proto.SetACLRequest:
		if !znode.ValidatePath(q.Path) {
			return outcome{code: badArgs}
		}
		acl := fixModelACL(q.ACL, r.ids)
		if acl == nil {
			return outcome{code: badACL}
		}
		if o.code = m.guard(r, q.Path, proto.PermAdmin); o.code != ok {
			return o
		}
		n := m.nodes[q.Path]
		if fails(n.aversion, q.Version) {
			return outcome{code: badVersion}
		}
		n.acl, n.aversion = acl, n.aversion+1
		o.stat = m.stat(q.Path)
	case *proto.CheckVersionRequest:
		if o.code = m.guard(r, q.Path, proto.PermRead); o.code == ok && fails(m.nodes[q.Path].version, q.Version) {
			o.code = badVersion
		}
	}
	return o
}

func (m *model) guard(r *modelRequest, path string, perm proto.Perms) proto.Code {
	switch {
	case !znode.ValidatePath(path):
		return badArgs
	case m.nodes[path] == nil:
		return noNode
	case !m.may(r, path, perm):
		return noAuth
	}
	return ok
}

// badTTL: inside a multi modes without a time to live are plain creations.
func badTTL(r *modelRequest, q *proto.CreateTTLRequest) bool {
	if q.Mode < 5 && q.Mode >= 0 {
		return r.op != proto.OpMulti
	}
	return q.Mode < 0 || q.Mode > 6 || q.TTL < 1 || q.TTL > 1<<40-1
}

// create makes a node; a mode of 4 says nothing but that.
func (m *model) create(r *modelRequest, op proto.Op, q *proto.CreateRequest, ttl int64) outcome {
	ephemeral, sequential := q.Mode&1 != 0, q.Mode&2 != 0
	if !strings.Contains(q.Path, "/") || strings.Contains(q.Path, "\x00") {
		return outcome{code: badArgs}
	}
	acl := fixModelACL(q.ACL, r.ids)
	if acl == nil {
		return outcome{code: badACL}
	}
	path, parent := q.Path, parentOf(q.Path)
	p := m.nodes[parent]
	if p == nil {
		return outcome{code: noNode}
	}
	if !m.may(r, parent, proto.PermCreate) {
		return outcome{code: noAuth}
	}
	if sequential {
		path = fmt.Sprintf("%s%010d", path, p.born)
	}
	switch {
	case !znode.ValidatePath(path):
		return outcome{code: badArgs}
	case m.nodes[path] != nil:
		return outcome{code: exists}
	case p.owner != 0:
		return outcome{code: noChildren}
	case m.overQuota(path, 1, len(q.Data)):
		return outcome{code: proto.CodeQuotaExceeded}
	}
	n := &modelNode{data: q.Data, acl: acl, czxid: m.zxid, mzxid: m.zxid, pzxid: m.zxid, ctime: m.now, mtime: m.now}
	n.container = op == proto.OpCreateContainer || q.Mode == 4 && r.op == proto.OpMulti
	n.ttl = ttl
	if ephemeral && !n.container {
		n.owner = r.session
	}
	m.nodes[path] = n
	p.born++
	p.pzxid = m.zxid
	o := outcome{path: path, triggers: "data " + path + " NodeCreated\nchild " + parent + " NodeChildrenChanged\n"}
	if op != proto.OpCreate {
		o.stat = m.stat(path)
	}
	m.charged(path, len(q.Data))
	return o
}

// fixModelACL knows the few entries that the generator makes; nil is refused.
func fixModelACL(acl []proto.ACL, ids []proto.ID) []proto.ACL {
	var fixed []proto.ACL
	for i, a := range acl {
		if slices.Contains(acl[:i], a) {
			continue
		}
		switch a.ID.Scheme {
		case "world", "digest":
			fixed = append(fixed, a)
		case "auth":
			n := len(fixed)
			for _, id := range ids {
				if id.Scheme == "digest" {
					fixed = append(fixed, proto.ACL{Perms: a.Perms, ID: id})
				}
			}
			if len(fixed) == n {
				return nil
			}
		default:
			return nil
		}
	}
	return fixed
}

// differences compares a whole tree with the model.
func (m *model) differences(tree *memTree) string {
	var b strings.Builder
	admin := []proto.ID{znode.SuperID()}
	if len(tree.nodes) != len(m.nodes) {
		fmt.Fprintf(&b, "%d nodes, want %d\n", len(tree.nodes), len(m.nodes))
	}
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		want := m.nodes[path]
		data, stat, code := znode.GetData(tree, path, admin)
		if code != ok {
			fmt.Fprintf(&b, "%q: %v\n", path, code)
			continue
		}
		if stat != m.stat(path) {
			fmt.Fprintf(&b, "%q:\n got %+v\nwant %+v\n", path, stat, m.stat(path))
		}
		if !bytes.Equal(data, want.data) || (data == nil) != (want.data == nil) {
			fmt.Fprintf(&b, "%q: data %q, want %q\n", path, data, want.data)
		}
		if acl, _, _ := znode.GetACL(tree, path, admin); !slices.Equal(acl, want.acl) {
			fmt.Fprintf(&b, "%q: ACL %v, want %v\n", path, acl, want.acl)
		}
		if names, _, _ := znode.GetChildren(tree, path, admin, math.MaxInt); !slices.Equal(names, m.children(path)) {
			fmt.Fprintf(&b, "%q: children %v, want %v\n", path, names, m.children(path))
		}
		if n := tree.nodes[path]; n.Created != want.born {
			fmt.Fprintf(&b, "%q: counter %d, want %d of %d\n", path, n.Created, want.born, math.MaxInt32)
		}
	}
	for id := range tree.sessions {
		if !m.sessions[id] {
			fmt.Fprintf(&b, "session %v should be closed\n", id)
		}
	}
	if len(tree.sessions) != len(m.sessions) {
		fmt.Fprintf(&b, "%d sessions, want %d\n", len(tree.sessions), len(m.sessions))
	}
	return b.String()
}
