package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// The nodes that no transaction creates (spec semantics 12.1).
const (
	rootPath   = "/"
	systemPath = "/zookeeper"
	quotaPath  = "/zookeeper/quota"
	configPath = "/zookeeper/config"
)

// node is one znode.
type node struct {
	data                []byte
	acl                 []proto.ACL
	czxid, mzxid, pzxid zxid.ID
	ctime, mtime        int64
	version, aversion   int32
	born                int32 // children ever created; the counter of sequential names
	children            map[string]struct{}
	owner               proto.SessionID // of an ephemeral
	fleeting            bool            // a container or a node with a time to live
	local               bool            // each server has written it by itself, at its own time
}

// tree is the state that the log comes to, naively: one step for each transaction, in place.
type tree struct {
	nodes    map[string]*node
	sessions map[proto.SessionID]struct{}
	owned    map[proto.SessionID]map[string]struct{} // ephemerals

	// list is the list of servers, nil when it is not known. changed is the last change in the log, 0: none.
	list    *roster
	changed zxid.ID

	// undo holds, while recording is set, how to take back what was done.
	recording bool
	undo      []func()
}

// newTree returns the tree before the first transaction. config is the content of the configuration node then, empty
// when it is not known.
func newTree(config string) *tree {
	t := &tree{
		nodes:    map[string]*node{rootPath: {data: []byte{}, acl: proto.WorldACL(proto.PermAll), children: map[string]struct{}{}}},
		sessions: map[proto.SessionID]struct{}{}, owned: map[proto.SessionID]map[string]struct{}{},
	}
	for _, path := range []string{systemPath, quotaPath, configPath} {
		t.add(path, &node{data: []byte{}, acl: proto.WorldACL(proto.PermAll)})
	}
	n := t.nodes[configPath]
	n.acl, n.aversion, n.local = proto.WorldACL(proto.PermRead), -1, true
	if l, plain := readList(config); plain {
		t.list = l
		n.data, n.version, n.mzxid = []byte(config), -1, l.version
	}
	return t
}

func parentOf(path string) string {
	if at := strings.LastIndexByte(path, '/'); at > 0 {
		return path[:at]
	}
	return rootPath
}

func nameOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// get returns the node at path, which clients may also call "" when it is the root.
func (t *tree) get(path string) *node {
	if path == "" {
		path = rootPath
	}
	return t.nodes[path]
}

func (n *node) stat() proto.Stat {
	children := int32(len(n.children))
	return proto.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Cversion: 2*n.born - children, Aversion: n.aversion,
		EphemeralOwner: n.owner, DataLength: int32(len(n.data)), NumChildren: children,
	}
}

func (n *node) names() []string { return slices.Sorted(maps.Keys(n.children)) }

// back notes how to take a step back.
func (t *tree) back(f func()) {
	if t.recording {
		t.undo = append(t.undo, f)
	}
}

// try runs f and takes back everything that it has done to the tree.
func (t *tree) try(f func()) {
	t.recording = true
	f()
	t.recording = false
	for _, undo := range slices.Backward(t.undo) {
		undo()
	}
	t.undo = t.undo[:0]
}

// edit returns a node to be changed, but for its children.
func (t *tree) edit(path string) *node {
	n := t.nodes[path]
	if n != nil {
		saved := *n
		t.back(func() { *n = saved })
	}
	return n
}

// add hangs a node into the tree, whose parent must be there.
func (t *tree) add(path string, n *node) {
	parent := t.nodes[parentOf(path)]
	n.children = map[string]struct{}{}
	t.nodes[path], parent.children[nameOf(path)] = n, struct{}{}
	t.back(func() { t.forget(path, n, parent) })
	if n.owner != 0 {
		if t.owned[n.owner] == nil {
			t.owned[n.owner] = map[string]struct{}{}
		}
		t.owned[n.owner][path] = struct{}{}
	}
}

func (t *tree) forget(path string, n, parent *node) {
	delete(t.nodes, path)
	delete(parent.children, nameOf(path))
	if n.owner != 0 {
		delete(t.owned[n.owner], path)
	}
}

// cut takes a node without children out of the tree.
func (t *tree) cut(path string) {
	n, parent := t.nodes[path], t.nodes[parentOf(path)]
	t.forget(path, n, parent)
	t.back(func() {
		t.nodes[path], parent.children[nameOf(path)] = n, struct{}{}
		if n.owner != 0 {
			t.owned[n.owner][path] = struct{}{}
		}
	})
}

// effect is what a transaction does beside changing the tree.
type effect struct {
	code     proto.Code
	path     string
	stat     proto.Stat
	multi    []proto.MultiResult
	triggers []trigger
	local    bool // the Stat has each server's own time
	broken   bool // what it is, is not known
}

// apply carries out a transaction of the log. An error is a transaction that cannot be carried out:
// no leader may have proposed it.
func (t *tree) apply(txn *proto.Txn) (effect, error) {
	var e effect
	if txn.Type == proto.OpReconfig {
		err := t.reconfigure(txn, &e)
		return e, err
	}
	switch body := txn.Body.(type) {
	case *proto.MultiTxn:
		return t.applyMulti(txn, body)
	case *proto.CreateSessionTxn:
		if _, live := t.sessions[txn.ClientID]; live {
			return e, fmt.Errorf("session %v is created a second time", txn.ClientID)
		}
		t.sessions[txn.ClientID] = struct{}{}
		return e, nil
	case *proto.CloseSessionTxn:
		return t.closeSession(txn, body)
	default:
		err := t.applyOne(txn, txn.Body, &e)
		return e, err
	}
}

func (t *tree) applyMulti(txn *proto.Txn, body *proto.MultiTxn) (effect, error) {
	e := effect{multi: make([]proto.MultiResult, len(body.Txns))}
	failed := false
	for i, sub := range body.Txns {
		if refusal, ok := sub.Body.(*proto.ErrorTxn); ok {
			failed = true
			e.multi[i] = proto.MultiResult{Type: proto.OpError, Err: refusal.Err}
		}
	}
	for i, sub := range body.Txns {
		if _, refused := sub.Body.(*proto.ErrorTxn); refused {
			continue
		}
		if failed {
			return e, fmt.Errorf("operation %d of a multi that failed is none that failed", i)
		}
		if err := t.applyOne(txn, sub.Body, &e); err != nil {
			return e, fmt.Errorf("operation %d: %w", i, err)
		}
		result := proto.MultiResult{Type: sub.Type}
		switch sub.Type {
		case proto.OpCreate:
			result.Path = e.path
		case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
			result.Type, result.Path, result.Stat = proto.OpCreate2, e.path, e.stat
		case proto.OpSetData:
			result.Stat = e.stat
		}
		e.multi[i] = result
	}
	return e, nil
}

func (t *tree) applyOne(txn *proto.Txn, body proto.TxnBody, e *effect) error {
	switch b := body.(type) {
	case *proto.CreateTxn:
		n := &node{data: b.Data, acl: b.ACL}
		if b.Ephemeral {
			n.owner = txn.ClientID
		}
		return t.create(txn, b.Path, n, b.ParentCVersion, e)
	case *proto.CreateContainerTxn:
		return t.create(txn, b.Path, &node{data: b.Data, acl: b.ACL, fleeting: true}, b.ParentCVersion, e)
	case *proto.CreateTTLTxn:
		return t.create(txn, b.Path, &node{data: b.Data, acl: b.ACL, fleeting: true}, b.ParentCVersion, e)
	case *proto.DeleteTxn:
		return t.remove(txn, b.Path, e)
	case *proto.SetDataTxn:
		n := t.edit(b.Path)
		if n == nil {
			return fmt.Errorf("there is no %s to be set", b.Path)
		}
		n.data, n.version, n.mzxid, n.mtime, n.local = b.Data, b.Version, txn.Zxid, txn.Time, false
		e.path, e.stat = b.Path, n.stat()
		e.triggers = append(e.triggers, trigger{path: b.Path, event: proto.EventNodeDataChanged, acl: n.acl})
	case *proto.SetACLTxn:
		n := t.edit(b.Path)
		if n == nil {
			return fmt.Errorf("there is no %s whose ACL could be set", b.Path)
		}
		n.acl, n.aversion = b.ACL, b.Version
		e.path, e.stat, e.local = b.Path, n.stat(), n.local
	case *proto.CheckVersionTxn:
		e.path = b.Path
	case *proto.ErrorTxn:
		e.code = b.Err
	default:
		return fmt.Errorf("a transaction of type %v, which is not known here", txn.Type)
	}
	return nil
}

func (t *tree) create(txn *proto.Txn, path string, n *node, born int32, e *effect) error {
	parent := t.edit(parentOf(path))
	switch {
	case t.nodes[path] != nil:
		return fmt.Errorf("%s is created and there already", path)
	case parent == nil:
		return fmt.Errorf("%s is created without a parent", path)
	case parent.owner != 0:
		return fmt.Errorf("%s is created below an ephemeral node", path)
	}
	parent.born, parent.pzxid = max(parent.born, born), txn.Zxid
	n.czxid, n.mzxid, n.pzxid, n.ctime, n.mtime = txn.Zxid, txn.Zxid, txn.Zxid, txn.Time, txn.Time
	t.add(path, n)
	e.path, e.stat = path, n.stat()
	e.triggers = append(e.triggers,
		trigger{path: path, event: proto.EventNodeCreated, acl: n.acl},
		trigger{child: true, path: parentOf(path), event: proto.EventNodeChildrenChanged, acl: parent.acl})
	return nil
}

func (t *tree) remove(txn *proto.Txn, path string, e *effect) error {
	n := t.nodes[path]
	switch {
	case n == nil:
		return fmt.Errorf("there is no %s to be deleted", path)
	case len(n.children) > 0 || path == rootPath:
		return fmt.Errorf("%s cannot be deleted", path)
	}
	parent := t.edit(parentOf(path))
	parent.pzxid = txn.Zxid
	t.cut(path)
	e.path = path
	e.triggers = append(e.triggers,
		trigger{path: path, event: proto.EventNodeDeleted, acl: n.acl},
		trigger{child: true, path: path, event: proto.EventNodeDeleted, acl: n.acl, again: true},
		trigger{child: true, path: parentOf(path), event: proto.EventNodeChildrenChanged, acl: parent.acl})
	return nil
}

// closeSession demands that the session's ephemeral nodes, and no others, go with it, in the order
// of the transaction's list.
func (t *tree) closeSession(txn *proto.Txn, body *proto.CloseSessionTxn) (effect, error) {
	var e effect
	want := slices.Sorted(maps.Keys(t.owned[txn.ClientID]))
	got := slices.Sorted(slices.Values(body.Paths))
	for _, path := range body.Paths {
		if t.nodes[path] != nil && t.nodes[path].owner == txn.ClientID {
			if err := t.remove(txn, path, &e); err != nil {
				return e, err
			}
		}
	}
	delete(t.sessions, txn.ClientID)
	delete(t.owned, txn.ClientID)
	if !slices.Equal(got, want) {
		return e, fmt.Errorf("the end of session %v takes %q along; its ephemeral nodes are %q", txn.ClientID, got, want)
	}
	return e, nil
}

// live reports whether a session has begun and not ended.
func (t *tree) live(id proto.SessionID) bool {
	_, live := t.sessions[id]
	return live
}
