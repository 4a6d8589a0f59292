package proto

import "strconv"

// Op is an operation code. Requests and transactions share the numbers.
type Op int32

// The operation codes (spec client-protocol 6.1).
const (
	OpNotification         Op = 0 // watch event, from the server alone
	OpCreate               Op = 1
	OpDelete               Op = 2
	OpExists               Op = 3
	OpGetData              Op = 4
	OpSetData              Op = 5
	OpGetACL               Op = 6
	OpSetACL               Op = 7
	OpGetChildren          Op = 8
	OpSync                 Op = 9
	OpPing                 Op = 11
	OpGetChildren2         Op = 12
	OpCheck                Op = 13 // inside a multi only
	OpMulti                Op = 14
	OpCreate2              Op = 15
	OpReconfig             Op = 16
	OpCheckWatches         Op = 17
	OpRemoveWatches        Op = 18
	OpCreateContainer      Op = 19
	OpDeleteContainer      Op = 20 // from the server's own cleaner alone
	OpCreateTTL            Op = 21
	OpMultiRead            Op = 22
	OpAuth                 Op = 100
	OpSetWatches           Op = 101
	OpSASL                 Op = 102
	OpGetEphemerals        Op = 103
	OpGetAllChildrenNumber Op = 104
	OpSetWatches2          Op = 105
	OpAddWatch             Op = 106
	OpWhoAmI               Op = 107
	OpError                Op = -1  // transaction type and multi result alone
	OpCreateSession        Op = -10 // transaction type alone
	OpCloseSession         Op = -11
)

// Class says who answers a request.
type Class uint8

const (
	// ClassNone is no request of a client: unassigned numbers, and numbers that
	// only name transactions, events or parts of a multi. The answer is
	// CodeUnimplemented, then the connection is closed.
	ClassNone Class = iota
	// ClassRead is answered by the connected server from what it has applied.
	ClassRead
	// ClassWrite becomes a transaction: it goes through the leader and a quorum.
	ClassWrite
	// ClassSync makes a round trip to the leader without becoming a transaction.
	ClassSync
	// ClassConnection concerns the connection and is handled by it: auth, sasl.
	ClassConnection
)

// opNames holds the names that ZooKeeper's documentation gives to the operations.
var opNames = map[Op]string{
	OpNotification: "notification", OpCreate: "create", OpDelete: "delete", OpExists: "exists",
	OpGetData: "getData", OpSetData: "setData", OpGetACL: "getACL", OpSetACL: "setACL",
	OpGetChildren: "getChildren", OpSync: "sync", OpPing: "ping", OpGetChildren2: "getChildren2",
	OpCheck: "check", OpMulti: "multi", OpCreate2: "create2", OpReconfig: "reconfig",
	OpCheckWatches: "checkWatches", OpRemoveWatches: "removeWatches",
	OpCreateContainer: "createContainer", OpDeleteContainer: "deleteContainer",
	OpCreateTTL: "createTTL", OpMultiRead: "multiRead", OpAuth: "auth",
	OpSetWatches: "setWatches", OpSASL: "sasl", OpGetEphemerals: "getEphemerals",
	OpGetAllChildrenNumber: "getAllChildrenNumber", OpSetWatches2: "setWatches2",
	OpAddWatch: "addWatch", OpWhoAmI: "whoAmI", OpError: "error",
	OpCreateSession: "createSession", OpCloseSession: "closeSession",
}

// String returns ZooKeeper's name of the operation, "op(99)" for an unassigned number.
func (op Op) String() string {
	if name, ok := opNames[op]; ok {
		return name
	}
	return "op(" + strconv.Itoa(int(op)) + ")"
}

// Class returns who answers op when a client sends it as a request of its own.
func (op Op) Class() Class {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpSetACL,
		OpMulti, OpReconfig, OpCloseSession:
		return ClassWrite
	case OpExists, OpGetData, OpGetACL, OpGetChildren, OpGetChildren2, OpPing, OpMultiRead,
		OpCheckWatches, OpRemoveWatches, OpAddWatch, OpSetWatches, OpSetWatches2,
		OpGetEphemerals, OpGetAllChildrenNumber, OpWhoAmI:
		return ClassRead
	case OpSync:
		return ClassSync
	case OpAuth, OpSASL:
		return ClassConnection
	case OpNotification, OpCheck, OpDeleteContainer, OpError, OpCreateSession:
		return ClassNone
	}
	return ClassNone
}

// Known reports whether a client may send op as a request of its own.
func (op Op) Known() bool { return op.Class() != ClassNone }

// IsRead reports whether the connected server answers op alone.
func (op Op) IsRead() bool { return op.Class() == ClassRead }

// IsWrite reports whether op becomes a transaction: the writes of clients, and the two
// that servers submit on their own, createSession and deleteContainer.
func (op Op) IsWrite() bool {
	return op.Class() == ClassWrite || op == OpCreateSession || op == OpDeleteContainer
}

// IsCreate reports whether op makes a node.
func (op Op) IsCreate() bool {
	return op == OpCreate || op == OpCreate2 || op == OpCreateContainer || op == OpCreateTTL
}
