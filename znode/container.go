package znode

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// MayExpire reports whether a node with this owner word is a container or has a time to live, so
// that it is deleted once it is of no more use.
func MayExpire(owner proto.SessionID) bool { return owner == ContainerOwner || isTTLOwner(owner) }

// Expired reports whether the node is to be deleted at nowMs, the leader's time of day in ms (spec
// semantics 11.1): it has no children and is a container that once had some, or that nobody
// has touched for more than neverUsedMs (0: for ever), or it has outlived its time to live. Only
// setData makes a node younger.
func (n *Node) Expired(nowMs, neverUsedMs int64) bool {
	if n.NumChildren > 0 {
		return false
	}
	age := nowMs - n.Mtime
	if n.Owner == ContainerOwner {
		return n.Created > 0 || neverUsedMs != 0 && age > neverUsedMs
	}
	ttl := n.TTL()
	return ttl != 0 && age > ttl
}

// PrepareExpiry returns the transaction number id that deletes the container or TTL node at path,
// which the view has shown to be Expired since the last call of Applied. There is none, and
// id is still free, if the code is not CodeOK. No client can ask for this: neither sessions
// nor ACLs are looked at.
//
// Unlike ZooKeeper it refuses, with CodeBadVersion, persistent nodes, and nodes that something
// proposed and not yet applied has touched: between the look at the tree and the proposal the
// node may have been made anew, or given new data.
func (p *Preparer) PrepareExpiry(path string, id zxid.ID, nowMs int64) (proto.Txn, proto.Code) {
	if code := p.expirable(path); code != proto.CodeOK {
		return proto.Txn{}, code
	}
	p.zxid = id
	p.putDeleted(path)
	return p.sign(proto.Txn{
		TxnHeader: proto.TxnHeader{Zxid: id, Time: nowMs, Type: proto.OpDeleteContainer},
		Body:      &proto.DeleteTxn{Path: path},
	}), proto.CodeOK
}

// expirable makes the checks of deleteContainer (spec semantics 3.1).
func (p *Preparer) expirable(path string) proto.Code {
	if !weakPath(path) || reserved(path) {
		return proto.CodeBadArguments
	}
	node := p.look(path)
	switch {
	case !node.exists:
		return proto.CodeNoNode
	case node.children > 0:
		return proto.CodeNotEmpty
	case !MayExpire(node.owner) || p.pending.nodes[path] != nil:
		return proto.CodeBadVersion
	case !p.look(Parent(path)).exists:
		return proto.CodeNoNode
	}
	return proto.CodeOK
}
