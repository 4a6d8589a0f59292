package znode

import (
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
)

// The checks below stand in the order of spec semantics 3.1, line by line: the first one
// that fails decides.

// create prepares create, create2 and createContainer. Containers and TTL nodes are not
// offered, which is answered where ZooKeeper answers that its extended types are off.
func (p *Preparer) create(op proto.Op, r *proto.CreateRequest) (proto.TxnBody, proto.Code) {
	switch {
	case !r.Mode.Valid():
		return nil, proto.CodeBadArguments
	case op == proto.OpCreateContainer || r.Mode == proto.ModeContainer || r.Mode.TTL():
		return nil, proto.CodeUnimplemented
	case p.request.SessionCode != proto.CodeOK:
		return nil, p.request.SessionCode
	case r.Mode.Ephemeral() && !p.live(p.request.Session):
		// An ephemeral ordered behind the end of its owner would never go away (hazard H-68).
		return nil, proto.CodeSessionExpired
	case !weakPath(r.Path):
		return nil, proto.CodeBadArguments
	}
	acl, code := p.schemes.FixACL(r.ACL, p.request.IDs, p.room)
	if code != proto.CodeOK {
		return nil, code
	}
	parentPath := Parent(r.Path)
	parent := p.look(parentPath)
	switch {
	case !parent.exists:
		return nil, proto.CodeNoNode
	case !p.allowed(&parent, proto.PermCreate):
		return nil, proto.CodeNoAuth
	}
	path := r.Path
	if r.Mode.Sequential() {
		path = appendSequence(path, parent.created)
	}
	switch {
	case !ValidatePath(path) || tooDeep(path):
		return nil, proto.CodeBadArguments
	case p.look(path).exists:
		return nil, proto.CodeNodeExists
	case isSession(parent.owner):
		return nil, proto.CodeNoChildrenForEphemerals
	}
	txn := &proto.CreateTxn{
		Path: path, Data: r.Data, ACL: acl, Ephemeral: r.Mode.Ephemeral(),
		ParentCVersion: nextCreated(parent.created),
	}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	p.putCreated(parentPath, parent, txn)
	return txn, proto.CodeOK
}

// putCreated records the creation of a node.
func (p *Preparer) putCreated(parentPath string, parent nodeState, txn *proto.CreateTxn) {
	parent.created = txn.ParentCVersion
	parent.children++
	p.put(parentPath, parent)
	node := nodeState{exists: true, acl: compactACL(txn.ACL)}
	if txn.Ephemeral {
		node.owner = p.request.Session
	}
	p.put(txn.Path, node)
}

// createTTL refuses modes without a time to live, which kill ZooKeeper (spec semantics 17,
// defect 2), and says of the others that they are not offered.
func (p *Preparer) createTTL(r *proto.CreateTTLRequest) (proto.TxnBody, proto.Code) {
	if !r.Mode.Valid() || !r.Mode.TTL() {
		return nil, proto.CodeBadArguments
	}
	return nil, proto.CodeUnimplemented
}

func (p *Preparer) remove(r *proto.DeleteRequest) (proto.TxnBody, proto.Code) {
	switch {
	case p.request.SessionCode != proto.CodeOK:
		return nil, p.request.SessionCode
	case !weakPath(r.Path) || reserved(r.Path):
		return nil, proto.CodeBadArguments
	}
	parent := p.look(Parent(r.Path))
	switch {
	case !parent.exists:
		return nil, proto.CodeNoNode
	case !p.allowed(&parent, proto.PermDelete):
		return nil, proto.CodeNoAuth
	}
	node := p.look(r.Path)
	switch {
	case !node.exists:
		return nil, proto.CodeNoNode
	case !versionMatches(node.version, r.Version):
		return nil, proto.CodeBadVersion
	case node.children > 0:
		return nil, proto.CodeNotEmpty
	}
	txn := &proto.DeleteTxn{Path: r.Path}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	p.putDeleted(r.Path)
	return txn, proto.CodeOK
}

func (p *Preparer) setData(r *proto.SetDataRequest) (proto.TxnBody, proto.Code) {
	node, code := p.target(r.Path, proto.PermWrite)
	switch {
	case code != proto.CodeOK:
		return nil, code
	case !versionMatches(node.version, r.Version):
		return nil, proto.CodeBadVersion
	}
	node.version = nextVersion(node.version)
	txn := &proto.SetDataTxn{Path: r.Path, Data: r.Data, Version: node.version}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	p.put(r.Path, node)
	return txn, proto.CodeOK
}

func (p *Preparer) setACL(r *proto.SetACLRequest) (proto.TxnBody, proto.Code) {
	switch {
	case p.request.SessionCode != proto.CodeOK:
		return nil, p.request.SessionCode
	case !ValidatePath(r.Path):
		return nil, proto.CodeBadArguments
	}
	acl, code := p.schemes.FixACL(r.ACL, p.request.IDs, p.room)
	if code != proto.CodeOK {
		return nil, code
	}
	node, code := p.target(r.Path, proto.PermAdmin)
	switch {
	case code != proto.CodeOK:
		return nil, code
	case !versionMatches(node.aversion, r.Version):
		return nil, proto.CodeBadVersion
	}
	node.aversion = nextVersion(node.aversion)
	txn := &proto.SetACLTxn{Path: r.Path, ACL: acl, Version: node.aversion}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	node.acl = compactACL(acl)
	p.put(r.Path, node)
	return txn, proto.CodeOK
}

// check holds a version inside a multi. Like ZooKeeper's its transaction carries the
// version that a change would have made.
func (p *Preparer) check(r *proto.CheckVersionRequest) (proto.TxnBody, proto.Code) {
	node, code := p.target(r.Path, proto.PermRead)
	switch {
	case code != proto.CodeOK:
		return nil, code
	case !versionMatches(node.version, r.Version):
		return nil, proto.CodeBadVersion
	}
	txn := &proto.CheckVersionTxn{Path: r.Path, Version: nextVersion(node.version)}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	return txn, proto.CodeOK
}

// target makes the checks that setData, setACL and check have in common and returns the node.
func (p *Preparer) target(path string, needed proto.Perms) (nodeState, proto.Code) {
	switch {
	case p.request.SessionCode != proto.CodeOK:
		return nodeState{}, p.request.SessionCode
	case !ValidatePath(path):
		return nodeState{}, proto.CodeBadArguments
	}
	node := p.look(path)
	switch {
	case !node.exists:
		return nodeState{}, proto.CodeNoNode
	case !p.allowed(&node, needed):
		return nodeState{}, proto.CodeNoAuth
	}
	return node, proto.CodeOK
}

func versionMatches(current, expected int32) bool {
	return expected == proto.AnyVersion || expected == current
}

// nextVersion wraps from the largest number to the smallest (spec semantics 2).
func nextVersion(v int32) int32 {
	if v == math.MaxInt32 {
		return math.MinInt32
	}
	return v + 1
}
