package proto

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// MultiHeader stands before every operation and every result of a multi, and
// ends the list.
type MultiHeader struct {
	Type Op
	Done bool // ends the list, whatever Type says
	Err  Code // of a result; -1 and ignored in requests and at the end
}

// appendMultiEnd appends the end of a list as everybody writes it.
func appendMultiEnd(dst []byte) []byte {
	return MultiHeader{Type: OpError, Done: true, Err: -1}.Append(dst)
}

// Append implements Appender.
func (h MultiHeader) Append(dst []byte) []byte {
	dst = jute.AppendInt(dst, int32(h.Type))
	dst = jute.AppendBool(dst, h.Done)
	return jute.AppendInt(dst, int32(h.Err))
}

// Decode implements Record.
func (h *MultiHeader) Decode(c *jute.Cursor) {
	h.Type = Op(c.Int())
	h.Done = c.Bool()
	h.Err = Code(c.Int())
}

// MultiOp is one operation of a multi.
type MultiOp struct {
	Op Op
	// Request is *CreateRequest, *CreateTTLRequest, *DeleteRequest, *SetDataRequest or
	// *CheckVersionRequest in a multi, *ReadRequest in a multiRead, as Op tells.
	Request Request
}

// MultiRequest is the body of multi and of multiRead.
type MultiRequest struct {
	// Read tells the two apart: it says which operations are allowed. It is not on the
	// wire; set it before Decode.
	Read bool
	Ops  []MultiOp
}

func (*MultiRequest) isRequest() {}

// Append implements Appender.
func (r MultiRequest) Append(dst []byte) []byte {
	for _, op := range r.Ops {
		dst = MultiHeader{Type: op.Op, Err: -1}.Append(dst)
		dst = op.Request.Append(dst)
	}
	return appendMultiEnd(dst)
}

// Decode implements Record, with the rules of spec client-protocol 8. An operation that may
// not stand in this kind of multi and a null path are errors; so are a null ACL list and
// a mode that does not fit in all creations but createTTL, as in Apache ZooKeeper. A create or
// create2 of a container is turned into the createContainer that it is there. The watch flag of reads
// is cleared: a multiRead leaves no watches.
func (r *MultiRequest) Decode(c *jute.Cursor) {
	r.Ops = nil
	for {
		var h MultiHeader
		h.Decode(c)
		if h.Done || c.Err() != nil {
			return
		}
		op := decodeMultiOp(c, h.Type, r.Read)
		if c.Err() != nil {
			return
		}
		r.Ops = append(r.Ops, op)
	}
}

func decodeMultiOp(c *jute.Cursor, op Op, read bool) MultiOp {
	if !multiAllows(op, read) {
		c.Fail(fmt.Sprintf("%v inside a multi", op))
		return MultiOp{}
	}
	switch op {
	case OpGetData, OpGetChildren:
		req := new(ReadRequest)
		req.Decode(c)
		req.Watch = false
		return MultiOp{Op: op, Request: req}
	case OpSetData:
		return MultiOp{Op: op, Request: decodeMultiSetData(c)}
	case OpCreate, OpCreate2, OpCreateContainer:
		req := new(CreateRequest)
		req.Decode(c)
		return MultiOp{Op: checkMultiCreate(c, op, req), Request: req}
	case OpCreateTTL:
		// Neither its mode nor a null ACL list is looked at here: they are refused for this
		// operation alone, as in Apache ZooKeeper.
		req := new(CreateTTLRequest)
		req.Decode(c)
		return MultiOp{Op: op, Request: req}
	}
	req := NewRequest(op)
	decodeRequest(req, c)
	return MultiOp{Op: op, Request: req}
}

// multiAllows reports whether op may stand in a multi, or in a multiRead.
func multiAllows(op Op, read bool) bool {
	if op == OpGetData || op == OpGetChildren {
		return read
	}
	return !read && (op.IsCreate() || op == OpDelete || op == OpSetData || op == OpCheck)
}

// decodeMultiSetData reads a setData whose path, unlike that of a lone setData, must not
// be null.
func decodeMultiSetData(c *jute.Cursor) *SetDataRequest {
	req := new(SetDataRequest)
	req.Path = decodePath(c)
	req.Data = c.Buffer()
	req.Version = c.Int()
	return req
}

// checkMultiCreate applies the rules for creates other than createTTL, and returns the
// operation that req amounts to.
func checkMultiCreate(c *jute.Cursor, op Op, req *CreateRequest) Op {
	switch {
	case c.Err() != nil:
		return op
	case req.ACL == nil:
		c.Fail("null ACL list inside a multi")
	case !req.Mode.Valid() || req.Mode.TTL():
		c.Fail(fmt.Sprintf("%v with %v inside a multi", op, req.Mode))
	case req.Mode == ModeContainer:
		return OpCreateContainer
	}
	return op
}

// MultiResult is the result of one operation of a multi. Type says which fields count.
type MultiResult struct {
	// Type is the kind of result: OpCreate, OpCreate2 (also of createContainer and
	// createTTL), OpDelete, OpSetData, OpCheck, OpGetData, OpGetChildren; OpError for an
	// operation that failed or was undone with the others.
	Type     Op
	Err      Code     // OpError
	Path     string   // OpCreate, OpCreate2
	Data     []byte   // OpGetData; nil is null
	Children []string // OpGetChildren
	Stat     Stat     // OpCreate2, OpSetData, OpGetData
}

// MultiResponse is the body of a multi or multiRead reply.
type MultiResponse struct {
	Results []MultiResult
}

// FailedMulti returns the reply to a multi of n operations whose first failing
// operation has index k and code err: CodeOK before it, CodeRuntimeInconsistency after it,
// all of them errors (spec client-protocol 8). The reply's header says CodeOK.
func FailedMulti(n, k int, err Code) MultiResponse {
	results := make([]MultiResult, n)
	for i := range results {
		results[i].Type = OpError
		if i > k {
			results[i].Err = CodeRuntimeInconsistency
		}
	}
	results[k].Err = err
	return MultiResponse{Results: results}
}

// Append implements Appender. It panics if a result has a Type that no result can have.
func (r MultiResponse) Append(dst []byte) []byte {
	for i := range r.Results {
		dst = appendMultiResult(dst, &r.Results[i])
	}
	return appendMultiEnd(dst)
}

func appendMultiResult(dst []byte, r *MultiResult) []byte {
	h := MultiHeader{Type: r.Type}
	if r.Type == OpError {
		h.Err = r.Err
	}
	dst = h.Append(dst)
	switch r.Type {
	case OpCreate:
		return jute.AppendString(dst, r.Path)
	case OpCreate2:
		return r.Stat.Append(jute.AppendString(dst, r.Path))
	case OpDelete, OpCheck:
		return dst
	case OpSetData:
		return r.Stat.Append(dst)
	case OpGetData:
		return r.Stat.Append(jute.AppendBuffer(dst, r.Data))
	case OpGetChildren:
		return appendStrings(dst, r.Children)
	case OpError:
		return jute.AppendInt(dst, int32(r.Err))
	}
	panic(fmt.Sprintf("proto: multi result of type %v", r.Type))
}

// Decode implements Record. Data aliases the input.
func (r *MultiResponse) Decode(c *jute.Cursor) {
	r.Results = nil
	for {
		var h MultiHeader
		h.Decode(c)
		if h.Done || c.Err() != nil {
			return
		}
		r.Results = append(r.Results, MultiResult{Type: h.Type})
		decodeMultiResult(c, &r.Results[len(r.Results)-1])
		if c.Err() != nil {
			return
		}
	}
}

func decodeMultiResult(c *jute.Cursor, r *MultiResult) {
	switch r.Type {
	case OpCreate:
		r.Path = c.String()
	case OpCreate2:
		r.Path = c.String()
		r.Stat.Decode(c)
	case OpDelete, OpCheck:
	case OpSetData:
		r.Stat.Decode(c)
	case OpGetData:
		r.Data = c.Buffer()
		r.Stat.Decode(c)
	case OpGetChildren:
		r.Children, _ = decodeStrings(c)
	case OpError:
		r.Err = Code(c.Int())
	default:
		c.Fail(fmt.Sprintf("multi result of type %v", r.Type))
	}
}
