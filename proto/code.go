package proto

import "strconv"

// Code is the result of a request as it stands in a reply: 0 or a refusal. Refusals
// are part of the protocol and of the replicated result; they are never
// wrapped and never carry text. A Code is an error, but CodeOK in an error variable
// would not be nil: use Err.
type Code int32

// The codes (spec client-protocol 10). Java clients throw on any other number.
const (
	CodeOK                           Code = 0
	CodeSystemError                  Code = -1 // range marker, never sent
	CodeRuntimeInconsistency         Code = -2 // after the failed operation of a multi
	CodeDataInconsistency            Code = -3 // never sent
	CodeConnectionLoss               Code = -4 // client side
	CodeMarshallingError             Code = -5 // undecodable body, bad watch mode or type
	CodeUnimplemented                Code = -6
	CodeOperationTimeout             Code = -7 // client side
	CodeBadArguments                 Code = -8 // path, flags, ttl, special node, reconfig input
	CodeInvalidState                 Code = -9 // C client side
	CodeUnknownSession               Code = -12
	CodeNewConfigNoQuorum            Code = -13
	CodeReconfigInProgress           Code = -14
	CodeSSLConnectionError           Code = -15  // C client side
	CodeAPIError                     Code = -100 // range marker, never sent
	CodeNoNode                       Code = -101
	CodeNoAuth                       Code = -102
	CodeBadVersion                   Code = -103
	CodeNoChildrenForEphemerals      Code = -108
	CodeNodeExists                   Code = -110
	CodeNotEmpty                     Code = -111
	CodeSessionExpired               Code = -112
	CodeInvalidCallback              Code = -113 // client side
	CodeInvalidACL                   Code = -114
	CodeAuthFailed                   Code = -115 // then the connection is closed
	CodeClosing                      Code = -116 // C client side
	CodeNothing                      Code = -117 // C client side
	CodeSessionMoved                 Code = -118 // internal: the connection is closed instead
	CodeNotReadOnly                  Code = -119
	CodeEphemeralOnLocalSession      Code = -120
	CodeNoWatcher                    Code = -121
	CodeRequestTimeout               Code = -122 // client side
	CodeReconfigDisabled             Code = -123
	CodeSessionClosedRequireSASLAuth Code = -124 // then the connection is closed
	CodeQuotaExceeded                Code = -125
	CodeThrottledOp                  Code = -127
)

var codeNames = map[Code]string{
	CodeOK: "OK", CodeSystemError: "SystemError", CodeRuntimeInconsistency: "RuntimeInconsistency",
	CodeDataInconsistency: "DataInconsistency", CodeConnectionLoss: "ConnectionLoss",
	CodeMarshallingError: "MarshallingError", CodeUnimplemented: "Unimplemented",
	CodeOperationTimeout: "OperationTimeout", CodeBadArguments: "BadArguments",
	CodeInvalidState: "InvalidState", CodeUnknownSession: "UnknownSession",
	CodeNewConfigNoQuorum: "NewConfigNoQuorum", CodeReconfigInProgress: "ReconfigInProgress",
	CodeSSLConnectionError: "SSLConnectionError", CodeAPIError: "APIError", CodeNoNode: "NoNode",
	CodeNoAuth: "NoAuth", CodeBadVersion: "BadVersion",
	CodeNoChildrenForEphemerals: "NoChildrenForEphemerals", CodeNodeExists: "NodeExists",
	CodeNotEmpty: "NotEmpty", CodeSessionExpired: "SessionExpired",
	CodeInvalidCallback: "InvalidCallback", CodeInvalidACL: "InvalidACL",
	CodeAuthFailed: "AuthFailed", CodeClosing: "Closing", CodeNothing: "Nothing",
	CodeSessionMoved: "SessionMoved", CodeNotReadOnly: "NotReadOnly",
	CodeEphemeralOnLocalSession: "EphemeralOnLocalSession", CodeNoWatcher: "NoWatcher",
	CodeRequestTimeout: "RequestTimeout", CodeReconfigDisabled: "ReconfigDisabled",
	CodeSessionClosedRequireSASLAuth: "SessionClosedRequireSaslAuth",
	CodeQuotaExceeded:                "QuotaExceeded", CodeThrottledOp: "ThrottledOp",
}

// String returns ZooKeeper's name of the code, "code(-99)" for a number without one.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "code(" + strconv.Itoa(int(c)) + ")"
}

// Error returns the name and the number: "NoNode (-101)".
func (c Code) Error() string { return c.String() + " (" + strconv.Itoa(int(c)) + ")" }

// Err returns nil for CodeOK and c itself for every other code.
func (c Code) Err() error {
	if c == CodeOK {
		return nil
	}
	return c
}

// Known reports whether c has a name, which is to say whether clients understand it.
func (c Code) Known() bool {
	_, ok := codeNames[c]
	return ok
}
