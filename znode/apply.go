package znode

import (
	"bytes"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Apply applies one committed transaction. It decides nothing: the leader has, and every
// server that applies the same log has the same tree. It is total: what cannot be done (a node
// that is missing, or there already, or would be torn from the tree) changes nothing and
// is reported as the code that says so. Slices in the Result live until Reset; the
// transaction's buffers are copied and may be reused at once, its ACL lists are kept.
//
// ZooKeeper's counterpart is DataTree.processTxn. What that does for the sake of
// replaying a log over a snapshot that is partly newer has no place here: a tree is
// always at exactly one zxid (hazard H-33). Where it would orphan nodes, Apply refuses.
func (c *Changes) Apply(t *proto.Txn) Result {
	start := len(c.triggers)
	c.movedGood = false
	var r Result
	switch body := t.Body.(type) {
	case *proto.MultiTxn:
		r.Multi = c.applyMulti(t, body)
	case *proto.CreateSessionTxn:
		c.sessions[t.ClientID] = sessionChange{timeout: body.TimeOut, live: true}
	case *proto.CloseSessionTxn:
		c.closeSession(t, body)
	default:
		c.applyOne(t, t.Type, t.Body, &r)
	}
	if end := len(c.triggers); end > start {
		r.Triggers = c.triggers[start:end:end]
	}
	return r
}

// applyOne applies a transaction, or one operation of a multi, that concerns one node.
func (c *Changes) applyOne(t *proto.Txn, op proto.Op, body proto.TxnBody, r *Result) {
	switch body := body.(type) {
	case *proto.CreateTxn:
		var owner proto.SessionID
		if body.Ephemeral {
			owner = t.ClientID
		}
		c.create(t, body.Path, body.Data, body.ACL, owner, body.ParentCVersion, r)
	case *proto.CreateContainerTxn:
		c.create(t, body.Path, body.Data, body.ACL, ContainerOwner, body.ParentCVersion, r)
	case *proto.CreateTTLTxn:
		if body.TTL < 1 || body.TTL > MaxTTL {
			r.Code = proto.CodeBadArguments
			return
		}
		c.create(t, body.Path, body.Data, body.ACL, TTLOwner(body.TTL), body.ParentCVersion, r)
	case *proto.DeleteTxn:
		r.Path = body.Path
		r.Code = c.remove(body.Path, t.Zxid)
	case *proto.SetDataTxn:
		c.setData(t, body, r)
	case *proto.SetACLTxn:
		c.setACL(body, r)
	case *proto.CheckVersionTxn:
		r.Path = body.Path
	case *proto.ErrorTxn:
		r.Code = body.Err
	default:
		r.Code = proto.CodeUnimplemented
	}
	if op == proto.OpCreate {
		r.Stat = proto.Stat{} // its reply has none
	}
}

// create makes a node. created is what the parent's counter becomes; -1, from logs of
// ZooKeeper before 3.4, adds one. The counter never falls, so that it sticks at its largest
// value; the parent's pzxid moves all the same (spec semantics 4.1).
func (c *Changes) create(t *proto.Txn, path string, data []byte, acl []proto.ACL, owner proto.SessionID, created int32, r *Result) {
	r.Path = path
	if !attachable(path) {
		r.Code = proto.CodeBadArguments
		return
	}
	existing, at := c.find(path)
	parentPath := Parent(path)
	parent, parentAt := c.find(parentPath)
	switch {
	case existing != nil:
		r.Code = proto.CodeNodeExists
		return
	case parent == nil:
		r.Code = proto.CodeNoNode
		return
	case parent.Ephemeral():
		r.Code = proto.CodeNoChildrenForEphemerals
		return
	}
	parent = c.own(parentPath, parent, parentAt)
	if created == -1 {
		created = nextCreated(parent.Created)
	}
	parent.Created = max(parent.Created, created)
	parent.NumChildren++
	parent.Pzxid = t.Zxid

	n := &Node{
		Data: bytes.Clone(data), ACL: compactACL(acl), Owner: owner,
		Czxid: t.Zxid, Mzxid: t.Zxid, Pzxid: t.Zxid, Ctime: t.Time, Mtime: t.Time,
	}
	if at >= 0 {
		c.list[at].new = n
	} else {
		c.add(path, nil, n)
	}
	if isSession(owner) {
		c.added[owner] = append(c.added[owner], path)
	}
	r.Stat = n.Stat()
	c.triggers = append(c.triggers,
		Trigger{Table: DataTable, Path: path, Type: proto.EventNodeCreated, ACL: n.ACL},
		Trigger{Table: ChildTable, Path: parentPath, Type: proto.EventNodeChildrenChanged, ACL: parent.ACL})
	c.created(path, len(data))
}

// nextCreated counts one more child; the counter saturates (spec semantics 4.1).
func nextCreated(created int32) int32 {
	if next := created + 1; next > created {
		return next
	}
	return created
}

// remove deletes the node at path, for whatever reason.
func (c *Changes) remove(path string, z zxid.ID) proto.Code {
	if !attachable(path) {
		return proto.CodeBadArguments
	}
	n, at := c.find(path)
	parentPath := Parent(path)
	parent, parentAt := c.find(parentPath)
	switch {
	case n == nil || parent == nil:
		return proto.CodeNoNode
	case n.NumChildren > 0:
		return proto.CodeNotEmpty
	}
	parent = c.own(parentPath, parent, parentAt)
	parent.NumChildren--
	parent.Pzxid = z
	if at >= 0 {
		c.list[at].new = nil
	} else {
		c.add(path, n, nil)
	}
	c.triggers = append(c.triggers,
		Trigger{Table: DataTable, Path: path, Type: proto.EventNodeDeleted, ACL: n.ACL},
		Trigger{Table: ChildTable, Path: path, Type: proto.EventNodeDeleted, ACL: n.ACL, SkipPrevious: true},
		Trigger{Table: ChildTable, Path: parentPath, Type: proto.EventNodeChildrenChanged, ACL: parent.ACL})
	c.removed(path, len(n.Data))
	return proto.CodeOK
}

func (c *Changes) setData(t *proto.Txn, body *proto.SetDataTxn, r *Result) {
	r.Path = body.Path
	n, at := c.find(body.Path)
	if n == nil {
		r.Code = proto.CodeNoNode
		return
	}
	size := len(n.Data)
	n = c.own(body.Path, n, at)
	n.Data = bytes.Clone(body.Data)
	n.Version = body.Version
	n.Mzxid = t.Zxid
	n.Mtime = t.Time
	r.Stat = n.Stat()
	c.triggers = append(c.triggers,
		Trigger{Table: DataTable, Path: body.Path, Type: proto.EventNodeDataChanged, ACL: n.ACL})
	c.charge(body.Path, 0, len(body.Data)-size)
}

// setACL fires no watch and leaves mzxid and mtime alone (spec semantics 5).
func (c *Changes) setACL(body *proto.SetACLTxn, r *Result) {
	r.Path = body.Path
	n, at := c.find(body.Path)
	if n == nil {
		r.Code = proto.CodeNoNode
		return
	}
	n = c.own(body.Path, n, at)
	n.ACL = compactACL(body.ACL)
	n.Aversion = body.Version
	r.Stat = n.Stat()
}

// closeSession deletes the listed nodes in the order of the list, then whatever else the
// session owns, by ascending path. The list is short of some only where it would have
// made the transaction too long (hazard H-67), or comes from a leader that lists none.
func (c *Changes) closeSession(t *proto.Txn, body *proto.CloseSessionTxn) {
	for _, path := range body.Paths {
		_ = c.remove(path, t.Zxid) // one that is gone is as it should be
	}
	var rest []string
	c.Ephemerals(t.ClientID, func(path string) bool {
		rest = append(rest, path)
		return true
	})
	for _, path := range rest {
		_ = c.remove(path, t.Zxid) // it is there: it was just listed
	}
	c.sessions[t.ClientID] = sessionChange{}
}

// applyMulti applies the operations of a multi in order, or none if one of them is an
// error. The results are in the layout of the reply (spec client-protocol 8).
func (c *Changes) applyMulti(t *proto.Txn, body *proto.MultiTxn) []proto.MultiResult {
	for k := range body.Txns {
		if failed, ok := body.Txns[k].Body.(*proto.ErrorTxn); ok {
			return failedMulti(body.Txns, k, failed.Err)
		}
	}
	results := make([]proto.MultiResult, len(body.Txns))
	for i := range body.Txns {
		sub := &body.Txns[i]
		var r Result
		c.applyOne(t, sub.Type, sub.Body, &r)
		results[i] = multiResult(sub.Type, &r)
	}
	return results
}

// failedMulti finds the operation that failed: errors before it are the CodeOK of
// operations that were undone.
func failedMulti(txns []proto.SubTxn, k int, code proto.Code) []proto.MultiResult {
	for i := k; i < len(txns); i++ {
		failed, ok := txns[i].Body.(*proto.ErrorTxn)
		if ok && failed.Err != proto.CodeOK {
			k, code = i, failed.Err
			break
		}
	}
	return proto.FailedMulti(len(txns), k, code).Results
}

// multiResult returns the entry of a multi's reply for one operation.
func multiResult(op proto.Op, r *Result) proto.MultiResult {
	if r.Code != proto.CodeOK {
		return proto.MultiResult{Type: proto.OpError, Err: r.Code}
	}
	switch op {
	case proto.OpCreate:
		return proto.MultiResult{Type: op, Path: r.Path}
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return proto.MultiResult{Type: proto.OpCreate2, Path: r.Path, Stat: r.Stat}
	case proto.OpSetData:
		return proto.MultiResult{Type: op, Stat: r.Stat}
	case proto.OpDeleteContainer:
		return proto.MultiResult{Type: proto.OpDelete}
	default:
		return proto.MultiResult{Type: op}
	}
}
