package proto

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// Record is a sequence of fields that can be written and read.
type Record interface {
	Appender
	// Decode reads the record's fields and overwrites all of them. An error stays
	// in the cursor; the record's content is then of no use. Buffers alias the
	// cursor's input, strings are copies.
	Decode(c *jute.Cursor)
}

// Request is the body of a request. The types of this package's request records are all
// there are.
type Request interface {
	Record
	isRequest()
}

// ZooKeeper has a name of its own for every record. Where several have the same fields, there is
// one type here, and these names are aliases.

type (
	// ExistsRequest is the request of exists.
	ExistsRequest = ReadRequest
	// GetDataRequest is the request of getData.
	GetDataRequest = ReadRequest
	// GetChildrenRequest is the request of getChildren.
	GetChildrenRequest = ReadRequest
	// GetChildren2Request is the request of getChildren2.
	GetChildren2Request = ReadRequest
	// GetACLRequest is the request of getACL.
	GetACLRequest = PathRequest
	// GetAllChildrenNumberRequest is the request of getAllChildrenNumber.
	GetAllChildrenNumberRequest = PathRequest
	// CheckWatchesRequest is the request of checkWatches.
	CheckWatchesRequest = RemoveWatchesRequest
	// GetSASLRequest is the request of sasl.
	GetSASLRequest = SASLToken
	// SetSASLResponse is the reply of sasl.
	SetSASLResponse = SASLToken
	// ExistsResponse is the reply of exists.
	ExistsResponse = StatResponse
	// SetDataResponse is the reply of setData.
	SetDataResponse = StatResponse
	// SetACLResponse is the reply of setACL.
	SetACLResponse = StatResponse
)

// NewRequest returns an empty record for the body of op, nil if op has no body (ping,
// whoAmI, closeSession) or is no request at all. It knows check, which stands inside a multi
// alone, and deleteContainer, which servers submit: whether a client may send op is
// Op.Known's answer.
func NewRequest(op Op) Request {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer:
		return new(CreateRequest)
	case OpCreateTTL:
		return new(CreateTTLRequest)
	case OpDelete:
		return new(DeleteRequest)
	case OpDeleteContainer:
		return new(DeleteContainerRequest)
	case OpSetData:
		return new(SetDataRequest)
	case OpSetACL:
		return new(SetACLRequest)
	case OpCheck:
		return new(CheckVersionRequest)
	case OpMulti:
		return new(MultiRequest)
	case OpMultiRead:
		return &MultiRequest{Read: true}
	case OpReconfig:
		return new(ReconfigRequest)
	case OpSync:
		return new(SyncRequest)
	}
	return newReadRequest(op)
}

// newReadRequest is NewRequest for what the connected server answers alone.
func newReadRequest(op Op) Request {
	switch op {
	case OpExists, OpGetData, OpGetChildren, OpGetChildren2:
		return new(ReadRequest)
	case OpGetACL, OpGetAllChildrenNumber:
		return new(PathRequest)
	case OpGetEphemerals:
		return new(GetEphemeralsRequest)
	case OpCheckWatches, OpRemoveWatches:
		return new(RemoveWatchesRequest)
	case OpAddWatch:
		return new(AddWatchRequest)
	case OpSetWatches:
		return new(SetWatches)
	case OpSetWatches2:
		return new(SetWatches2)
	case OpAuth:
		return new(AuthPacket)
	case OpSASL:
		return new(SASLToken)
	}
	return nil
}

// DecodeRequest reads the body of a request with header op from body, the frame's bytes
// after the header. It returns nil and no error for a request without a body. Bytes
// after the record are ignored. The error matches jute.ErrMalformed; the answer to it
// is CodeMarshallingError, given by the server that received the bytes: a
// request that cannot be decoded must not reach the leader (spec client-protocol 6.4).
func DecodeRequest(op Op, body []byte) (Request, error) {
	req := NewRequest(op)
	if req == nil {
		return nil, nil
	}
	c := jute.NewCursor(body)
	decodeRequest(req, &c)
	if err := c.Err(); err != nil {
		return nil, err
	}
	return req, nil
}

// decodeRequest is req.Decode(c), spelled out: a call through the interface would move every
// caller's cursor to the heap, one allocation for each request of a busy server.
func decodeRequest(req Request, c *jute.Cursor) {
	switch r := req.(type) {
	case *CreateRequest:
		r.Decode(c)
	case *CreateTTLRequest:
		r.Decode(c)
	case *DeleteRequest:
		r.Decode(c)
	case *DeleteContainerRequest:
		r.Decode(c)
	case *SetDataRequest:
		r.Decode(c)
	case *SetACLRequest:
		r.Decode(c)
	case *CheckVersionRequest:
		r.Decode(c)
	case *MultiRequest:
		r.Decode(c)
	case *ReconfigRequest:
		r.Decode(c)
	case *ReadRequest:
		r.Decode(c)
	case *PathRequest:
		r.Decode(c)
	case *SyncRequest:
		r.Decode(c)
	case *GetEphemeralsRequest:
		r.Decode(c)
	case *RemoveWatchesRequest:
		r.Decode(c)
	case *AddWatchRequest:
		r.Decode(c)
	case *SetWatches:
		r.Decode(c)
	case *SetWatches2:
		r.Decode(c)
	case *AuthPacket:
		r.Decode(c)
	case *SASLToken:
		r.Decode(c)
	default:
		panic(fmt.Sprintf("proto: no decoder for %T", req))
	}
}

// decodePath reads a path where null is an error. Empty is not: what a path must look
// like is the tree's business.
func decodePath(c *jute.Cursor) string {
	path, present := c.StringOK()
	if !present {
		c.Fail("null path")
	}
	return path
}
