package znode

import (
	"cmp"
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
)

// The checks below stand in the order of spec semantics 3.1, line by line: the first one
// that fails decides.

// creation is what the requests that make a node have in common.
type creation struct {
	op   proto.Op // decides the transaction
	path string
	data []byte
	acl  []proto.ACL
	mode proto.CreateMode
	ttl  int64 // ms, of createTTL
}

// txn returns the transaction that makes the node, and the node's owner word.
func (n *creation) txn(session proto.SessionID, path string, acl []proto.ACL, created int32) (proto.TxnBody, proto.SessionID) {
	switch n.op {
	case proto.OpCreateContainer:
		return &proto.CreateContainerTxn{Path: path, Data: n.data, ACL: acl, ParentCVersion: created}, ContainerOwner
	case proto.OpCreateTTL:
		return &proto.CreateTTLTxn{Path: path, Data: n.data, ACL: acl, ParentCVersion: created, TTL: n.ttl}, TTLOwner(n.ttl)
	}
	txn := &proto.CreateTxn{Path: path, Data: n.data, ACL: acl, Ephemeral: n.mode.Ephemeral(), ParentCVersion: created}
	if txn.Ephemeral {
		return txn, session
	}
	return txn, 0
}

// create prepares create, create2 and createContainer. The last makes a container whatever the
// mode; the others make a plain node of the container mode (inside a multi proto turns
// them into createContainer).
func (p *Preparer) create(op proto.Op, r *proto.CreateRequest) (proto.TxnBody, proto.Code) {
	switch {
	case !r.Mode.Valid():
		return nil, proto.CodeBadArguments
	case r.Mode.TTL() && !p.extendedTypes:
		return nil, proto.CodeUnimplemented
	case r.Mode.TTL(): // without a time to live
		return nil, proto.CodeBadArguments
	}
	return p.newNode(&creation{op: op, path: r.Path, data: r.Data, acl: r.ACL, mode: r.Mode})
}

// createTTL refuses modes without a time to live, which kill ZooKeeper (spec semantics 17,
// defect 2).
func (p *Preparer) createTTL(r *proto.CreateTTLRequest) (proto.TxnBody, proto.Code) {
	switch {
	case !r.Mode.Valid() || !r.Mode.TTL():
		return nil, proto.CodeBadArguments
	case !p.extendedTypes:
		return nil, proto.CodeUnimplemented
	case r.TTL < 1 || r.TTL > MaxTTL:
		return nil, proto.CodeBadArguments
	}
	return p.newNode(&creation{op: proto.OpCreateTTL, path: r.Path, data: r.Data, acl: r.ACL, mode: r.Mode, ttl: r.TTL})
}

// newNode prepares the creation of a node whose mode and time to live are in order.
func (p *Preparer) newNode(n *creation) (proto.TxnBody, proto.Code) {
	switch {
	case p.request.SessionCode != proto.CodeOK:
		return nil, p.request.SessionCode
	case n.mode.Ephemeral() && !p.live(p.request.Session):
		// An ephemeral ordered behind the end of its owner would never go away (hazard H-68).
		return nil, cmp.Or(p.request.EphemeralCode, proto.CodeSessionExpired)
	case !weakPath(n.path):
		return nil, proto.CodeBadArguments
	}
	acl, code := p.schemes.FixACL(n.acl, p.request.IDs, p.room)
	if code != proto.CodeOK {
		return nil, code
	}
	parentPath := Parent(n.path)
	parent := p.look(parentPath)
	switch {
	case !parent.exists:
		return nil, proto.CodeNoNode
	case !p.allowed(&parent, proto.PermCreate):
		return nil, proto.CodeNoAuth
	}
	path := n.path
	if n.mode.Sequential() {
		path = appendSequence(path, parent.created)
	}
	switch {
	case !ValidatePath(path) || tooDeep(path):
		return nil, proto.CodeBadArguments
	case p.look(path).exists:
		return nil, proto.CodeNodeExists
	case isSession(parent.owner):
		return nil, proto.CodeNoChildrenForEphemerals
	case p.exceedsQuota(path, 1, len(n.data)):
		return nil, proto.CodeQuotaExceeded
	}
	parent.created = nextCreated(parent.created)
	txn, owner := n.txn(p.request.Session, path, acl, parent.created)
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	parent.children++
	parent.pzxid = p.zxid
	p.put(parentPath, parent)
	node := nodeState{
		exists: true, acl: compactACL(acl), owner: owner,
		czxid: p.zxid, mzxid: p.zxid, pzxid: p.zxid, ctime: p.now, mtime: p.now,
	}
	node.setData(n.data, p.digesting)
	p.put(path, node)
	return txn, proto.CodeOK
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
	case p.exceedsQuota(r.Path, 0, len(r.Data)-int(node.size)):
		return nil, proto.CodeQuotaExceeded
	case !versionMatches(node.version, r.Version):
		return nil, proto.CodeBadVersion
	}
	node.version, node.mzxid, node.mtime = nextVersion(node.version), p.zxid, p.now
	node.setData(r.Data, p.digesting)
	txn := &proto.SetDataTxn{Path: r.Path, Data: r.Data, Version: node.version}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	p.put(r.Path, node)
	return txn, proto.CodeOK
}

// reconfig writes the configuration node, whose data version stays what it is; the version of the
// configuration is the zxid. Permission is looked at last (spec semantics 12.3).
func (p *Preparer) reconfig(judged *Reconfig) (proto.TxnBody, proto.Code) {
	switch {
	case judged.Code == proto.CodeReconfigDisabled:
		return nil, judged.Code
	case p.request.SessionCode != proto.CodeOK:
		return nil, p.request.SessionCode
	case judged.Code != proto.CodeOK:
		return nil, judged.Code
	}
	node, code := p.target(ConfigPath, proto.PermWrite)
	if code == proto.CodeOK {
		code = judged.Last
	}
	if code != proto.CodeOK {
		return nil, code
	}
	node.version, node.mzxid, node.mtime = configVersion, p.zxid, p.now
	node.setData(judged.Data, p.digesting)
	txn := &proto.SetDataTxn{Path: ConfigPath, Data: judged.Data, Version: node.version}
	if sizeBody(txn) > p.room {
		return nil, proto.CodeMarshallingError
	}
	p.put(ConfigPath, node)
	return txn, proto.CodeOK
}

// configVersion is the data version of the configuration node unless a client has written it.
const configVersion = -1

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
