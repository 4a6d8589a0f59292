package znode

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Node is one znode as it is kept: everything but its children's names, which the
// order of the store's keys gives. A published Node is immutable; a change makes
// a new one.
type Node struct {
	Data []byte // nil is null, which clients can tell from empty
	// ACL is nil for the usual world:anyone:all.
	ACL []proto.ACL

	Czxid, Mzxid, Pzxid zxid.ID
	Ctime, Mtime        int64 // ms since 1970, the leader's clock
	Version, Aversion   int32
	// Created is the counter C of spec semantics 2: children ever created. It numbers
	// sequential children; the cversion that clients see is 2*Created-NumChildren.
	Created     int32
	NumChildren int32
	// Owner is the owner word as ZooKeeper stores it: 0 persistent, a session id for an
	// ephemeral, or one of the container and TTL marks.
	Owner proto.SessionID
}

// View is a readable tree. Implementations are the store, and Changes over another
// View. No method fails: a fault of the disk ends the process inside the store. Nodes and
// slices that are returned must not be changed.
type View interface {
	// Node returns the node at path, or nil.
	Node(path string) *Node
	// Children calls yield with each child's name, ascending, until it returns false.
	Children(path string, yield func(name string) bool)
	// Ephemerals calls yield with the path of each ephemeral that the session owns,
	// ascending, until it returns false.
	Ephemerals(owner proto.SessionID, yield func(path string) bool)
	// Session returns the negotiated timeout, in ms, of a live session.
	Session(id proto.SessionID) (timeout int32, ok bool)
	// Subtree returns the number of nodes at and below path, and of the bytes of their
	// data; nothing if there is no node. It costs in proportion to the nodes.
	Subtree(path string) (nodes int, bytes int64)
}

// Table is one of a connection's two watch tables (spec semantics 8.1).
type Table uint8

// The watch tables.
const (
	DataTable Table = iota
	ChildTable
)

// Trigger asks for the watches of one table at one path to be fired, as spec semantics
// 8.2 orders them.
type Trigger struct {
	Table Table
	Path  string
	Type  proto.EventType
	// ACL is what delivery is filtered by: READ on it is needed (spec 8.5). Nil is open.
	ACL []proto.ACL
	// SkipPrevious leaves out connections reached by the trigger just before, for
	// the second NodeDeleted of a delete.
	SkipPrevious bool
}

// Result is what applying one transaction yields: the answer to its request and the
// watches to fire.
type Result struct {
	Code proto.Code // CodeOK, or the refusal that an error transaction records; a multi has its codes inside
	Path string     // create: the final path; other operations on one node: its path
	Stat proto.Stat // create2, setData, setACL: right after this very operation
	// Multi is non-nil for a multi, whether it succeeded or not.
	Multi    []proto.MultiResult
	Triggers []Trigger // in the order of firing; valid until Changes.Reset
}
