package oracle

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// decide returns the transaction that a request must come to as the next one of the log. It is
// false for requests that this package knows nothing of: such as need to know who asks.
func (t *tree) decide(q *request) (proto.Op, proto.TxnBody, bool) {
	op := q.op
	if op == proto.OpCloseSession {
		return op, &proto.CloseSessionTxn{}, true // the tree itself demands which nodes go along
	}
	if !t.live(q.conn.session) {
		return proto.OpError, &proto.ErrorTxn{Err: proto.CodeSessionExpired}, true
	}
	request, err := proto.DecodeRequest(op, q.body)
	if err != nil || request == nil {
		return 0, nil, false
	}
	d := decider{tree: t, session: q.conn.session, known: q.known, judged: true}
	if multi, ok := request.(*proto.MultiRequest); ok {
		return op, d.multi(multi), d.judged
	}
	txn, code := d.one(op, request)
	if code != proto.CodeOK {
		return proto.OpError, &proto.ErrorTxn{Err: code}, d.judged
	}
	return op, txn, d.judged
}

// decider decides one request.
type decider struct {
	tree    *tree
	session proto.SessionID
	known   bool // the client has more identities than everybody has
	judged  bool // false: what was decided is not known to be right
}

// multi decides the operations in their order, each on what the ones before it leave.
func (d *decider) multi(r *proto.MultiRequest) *proto.MultiTxn {
	out := &proto.MultiTxn{Txns: make([]proto.SubTxn, len(r.Ops))}
	failed, refusal := -1, proto.CodeOK
	d.tree.try(func() {
		for i, op := range r.Ops {
			op = plainInMulti(op)
			body, code := d.one(op.Op, op.Request)
			if code != proto.CodeOK {
				failed, refusal = i, code
				return
			}
			out.Txns[i] = proto.SubTxn{Type: op.Op, Body: body}
			header := proto.TxnHeader{ClientID: d.session, Type: op.Op}
			if err := d.tree.applyOne(&proto.Txn{TxnHeader: header}, body, &effect{}); err != nil {
				panic(fmt.Sprintf("oracle: decided what cannot be done: %v", err))
			}
		}
	})
	if failed < 0 {
		return out
	}
	for i := range out.Txns {
		code := proto.CodeOK
		switch {
		case i == failed:
			code = refusal
		case i > failed:
			code = proto.CodeRuntimeInconsistency
		}
		out.Txns[i] = proto.SubTxn{Type: proto.OpError, Body: &proto.ErrorTxn{Err: code}}
	}
	return out
}

// plainInMulti knows that a createTTL without a time to live is a plain create inside a multi.
func plainInMulti(op proto.MultiOp) proto.MultiOp {
	r, ok := op.Request.(*proto.CreateTTLRequest)
	if !ok || r.Mode.TTL() {
		return op
	}
	op.Op = proto.OpCreate
	if r.Mode == proto.ModeContainer {
		op.Op = proto.OpCreateContainer
	}
	op.Request = &proto.CreateRequest{Path: r.Path, Data: r.Data, ACL: r.ACL, Mode: r.Mode}
	return op
}

// one decides what concerns one node: the checks of spec semantics 3.1 in their order.
func (d *decider) one(op proto.Op, request proto.Request) (proto.TxnBody, proto.Code) {
	switch r := request.(type) {
	case *proto.CreateRequest:
		if !r.Mode.Valid() || r.Mode.TTL() {
			return nil, proto.CodeBadArguments
		}
		return d.create(op, r, 0)
	case *proto.CreateTTLRequest:
		if !r.Mode.Valid() || !r.Mode.TTL() || r.TTL < 1 || r.TTL > 1<<40-1 {
			return nil, proto.CodeBadArguments
		}
		return d.create(op, &proto.CreateRequest{Path: r.Path, Data: r.Data, ACL: r.ACL, Mode: r.Mode}, r.TTL)
	case *proto.DeleteRequest:
		return d.remove(r)
	case *proto.SetDataRequest:
		n, code := d.target(r.Path, proto.PermWrite)
		if code != proto.CodeOK {
			return nil, code
		}
		if r.Version != proto.AnyVersion && r.Version != n.version {
			return nil, proto.CodeBadVersion
		}
		return &proto.SetDataTxn{Path: r.Path, Data: r.Data, Version: after(n.version)}, proto.CodeOK
	case *proto.SetACLRequest:
		return d.setACL(r)
	case *proto.CheckVersionRequest:
		n, code := d.target(r.Path, proto.PermRead)
		if code != proto.CodeOK {
			return nil, code
		}
		if r.Version != proto.AnyVersion && r.Version != n.version {
			return nil, proto.CodeBadVersion
		}
		return &proto.CheckVersionTxn{Path: r.Path, Version: after(n.version)}, proto.CodeOK
	default:
		d.judged = false
		return nil, proto.CodeUnimplemented
	}
}

// after is the version after a change; it wraps (spec semantics 2).
func after(version int32) int32 {
	if version == math.MaxInt32 {
		return math.MinInt32
	}
	return version + 1
}

func (d *decider) live() bool {
	_, ok := d.tree.sessions[d.session]
	return ok
}

func (d *decider) create(op proto.Op, r *proto.CreateRequest, ttl int64) (proto.TxnBody, proto.Code) {
	switch {
	case !d.live():
		return nil, proto.CodeSessionExpired
	case !strings.Contains(r.Path, "/") || strings.Contains(r.Path, "\x00"):
		return nil, proto.CodeBadArguments
	}
	acl := d.stored(r.ACL)
	parent := d.tree.nodes[parentOf(r.Path)]
	switch {
	case len(acl) == 0:
		return nil, proto.CodeInvalidACL
	case parent == nil:
		return nil, proto.CodeNoNode
	case !d.allowed(parent, proto.PermCreate):
		return nil, proto.CodeNoAuth
	}
	path := r.Path
	if r.Mode.Sequential() {
		path = fmt.Sprintf("%s%010d", path, parent.born)
	}
	switch {
	case !validPath(path):
		return nil, proto.CodeBadArguments
	case d.tree.nodes[path] != nil:
		return nil, proto.CodeNodeExists
	case parent.owner != 0:
		return nil, proto.CodeNoChildrenForEphemerals
	}
	born := parent.born
	if born < math.MaxInt32 {
		born++
	}
	switch op {
	case proto.OpCreateContainer:
		return &proto.CreateContainerTxn{Path: path, Data: r.Data, ACL: acl, ParentCVersion: born}, proto.CodeOK
	case proto.OpCreateTTL:
		return &proto.CreateTTLTxn{Path: path, Data: r.Data, ACL: acl, ParentCVersion: born, TTL: ttl}, proto.CodeOK
	}
	return &proto.CreateTxn{Path: path, Data: r.Data, ACL: acl, Ephemeral: r.Mode.Ephemeral(), ParentCVersion: born}, proto.CodeOK
}

func (d *decider) remove(r *proto.DeleteRequest) (proto.TxnBody, proto.Code) {
	special := []string{rootPath, systemPath, quotaPath, configPath}
	switch {
	case !d.live():
		return nil, proto.CodeSessionExpired
	case !strings.Contains(r.Path, "/") || strings.Contains(r.Path, "\x00") || slices.Contains(special, r.Path):
		return nil, proto.CodeBadArguments
	}
	n, parent := d.tree.nodes[r.Path], d.tree.nodes[parentOf(r.Path)]
	switch {
	case parent == nil:
		return nil, proto.CodeNoNode
	case !d.allowed(parent, proto.PermDelete):
		return nil, proto.CodeNoAuth
	case n == nil:
		return nil, proto.CodeNoNode
	case r.Version != proto.AnyVersion && r.Version != n.version:
		return nil, proto.CodeBadVersion
	case len(n.children) > 0:
		return nil, proto.CodeNotEmpty
	}
	return &proto.DeleteTxn{Path: r.Path}, proto.CodeOK
}

func (d *decider) setACL(r *proto.SetACLRequest) (proto.TxnBody, proto.Code) {
	acl := d.stored(r.ACL)
	switch {
	case !d.live():
		return nil, proto.CodeSessionExpired
	case !validPath(r.Path):
		return nil, proto.CodeBadArguments
	case len(acl) == 0:
		return nil, proto.CodeInvalidACL
	}
	n, code := d.target(r.Path, proto.PermAdmin)
	switch {
	case code != proto.CodeOK:
		return nil, code
	case r.Version != proto.AnyVersion && r.Version != n.aversion:
		return nil, proto.CodeBadVersion
	}
	return &proto.SetACLTxn{Path: r.Path, ACL: acl, Version: after(n.aversion)}, proto.CodeOK
}

// target makes the checks that setData, setACL and check begin with.
func (d *decider) target(path string, perm proto.Perms) (*node, proto.Code) {
	n := d.tree.nodes[path]
	switch {
	case !d.live():
		return nil, proto.CodeSessionExpired
	case !validPath(path):
		return nil, proto.CodeBadArguments
	case n == nil:
		return nil, proto.CodeNoNode
	case !d.allowed(n, perm):
		return nil, proto.CodeNoAuth
	}
	return n, proto.CodeOK
}

// stored returns the list that a node gets: each entry once. Of identities only everybody is known
// here.
func (d *decider) stored(acl []proto.ACL) []proto.ACL {
	var out []proto.ACL
	for _, a := range acl {
		d.judged = d.judged && everybody(a)
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func (d *decider) allowed(n *node, perm proto.Perms) bool {
	ok, known := allowed(n.acl, perm)
	d.judged = d.judged && (ok || known && !d.known)
	return ok
}

func everybody(a proto.ACL) bool { return a.ID == proto.ID{Scheme: "world", ID: "anyone"} }

// allowed reports whether a list allows something to everybody; known is false when it depends on
// who asks.
func allowed(acl []proto.ACL, perm proto.Perms) (ok, known bool) {
	known = true
	for _, a := range acl {
		if a.Perms&perm == 0 {
			continue
		}
		if everybody(a) {
			return true, true
		}
		known = false
	}
	return len(acl) == 0, known
}

// validPath is rule VP of spec semantics 1.2.
func validPath(path string) bool {
	if path == rootPath {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	for _, r := range path { // malformed bytes are U+FFFD
		if r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0 {
			return false
		}
	}
	return true
}
