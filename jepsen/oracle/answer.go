package oracle

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// answer is what a reply must say.
type answer struct {
	code proto.Code
	body proto.Appender // nil: none
	// known is false for what the log cannot tell, such as who a client is.
	known bool
	// local is set when the time of change in the Stat is each server's own.
	local bool
}

func good(body proto.Appender) answer   { return answer{body: body, known: true} }
func refusal(code proto.Code) answer    { return answer{code: code, known: true} }
func (a answer) when(known bool) answer { a.known = a.known && known; return a }

// read answers what is answered without a transaction, and sets or removes the watches that are
// asked for. missed is what a setWatches tells at once. got is the code that the server has answered
// with: where it is not known what the client may read, the server is believed about that, and
// about nothing else.
func (k *checker) read(r *request, got proto.Code) (a answer, missed []event) {
	request, err := proto.DecodeRequest(r.op, r.body)
	if err != nil {
		return refusal(proto.CodeMarshallingError), nil
	}
	switch q := request.(type) {
	case *proto.ReadRequest:
		return k.readNode(r, q, got), nil
	case *proto.PathRequest:
		return k.readPath(r, q.Path, got), nil
	case *proto.SyncRequest:
		return good(proto.SyncResponse{Path: q.Path}), nil
	case *proto.GetEphemeralsRequest:
		return k.ephemerals(r, q.PrefixPath), nil
	case *proto.MultiRequest:
		return k.multiRead(r, q), nil
	case *proto.AddWatchRequest:
		switch q.Mode {
		case proto.AddWatchPersistent:
			k.watches.add(r.conn, q.Path, dataAlways|childAlways)
		case proto.AddWatchPersistentRecursive:
			k.watches.add(r.conn, q.Path, recursive)
		default:
			return refusal(proto.CodeMarshallingError), nil
		}
		return good(proto.ErrorResponse{}), nil
	case *proto.RemoveWatchesRequest:
		return k.watchesOf(r, q), nil
	case *proto.SetWatches:
		return good(nil), k.watches.rearm(k.tree, r.conn, &proto.SetWatches2{SetWatches: *q})
	case *proto.SetWatches2:
		return good(nil), k.watches.rearm(k.tree, r.conn, q)
	case nil:
		return good(nil).when(r.op == proto.OpPing), nil
	}
	return answer{}, nil
}

// readNode answers exists, getData, getChildren and getChildren2.
func (k *checker) readNode(r *request, q *proto.ReadRequest, got proto.Code) answer {
	if r.op == proto.OpExists && strings.Contains(q.Path, "\x00") {
		return refusal(proto.CodeBadArguments)
	}
	n := k.tree.get(q.Path)
	if n == nil {
		if r.op == proto.OpExists && q.Watch {
			k.watches.add(r.conn, q.Path, dataOnce)
		}
		return refusal(proto.CodeNoNode)
	}
	if ok, known := mayRead(n.acl, proto.PermRead, r, got); !ok {
		return refusal(proto.CodeNoAuth).when(known)
	}
	if q.Watch {
		m := dataOnce
		if r.op == proto.OpGetChildren || r.op == proto.OpGetChildren2 {
			m = childOnce
		}
		k.watches.add(r.conn, q.Path, m)
	}
	a := k.show(r.op, n).when(k.told(q.Path))
	a.local = n.local
	return a
}

// told reports whether what is in a node is known. It is not of the configuration as long as that is each
// server's own, unless somebody has said what it is.
func (k *checker) told(path string) bool {
	return path != configPath || k.tree.list != nil || !k.tree.nodes[configPath].local
}

// mayRead reports whether a client may do something, and whether that is known.
func mayRead(acl []proto.ACL, perm proto.Perms, r *request, got proto.Code) (ok, known bool) {
	ok, known = allowed(acl, perm)
	if ok || known && !r.known {
		return ok, true
	}
	return got == proto.CodeOK, false
}

func (k *checker) show(op proto.Op, n *node) answer {
	switch op {
	case proto.OpExists:
		return good(proto.StatResponse{Stat: n.stat()})
	case proto.OpGetData:
		return good(proto.GetDataResponse{Data: n.data, Stat: n.stat()})
	case proto.OpGetChildren:
		return good(proto.GetChildrenResponse{Children: n.names()})
	default:
		return good(proto.GetChildren2Response{Children: n.names(), Stat: n.stat()})
	}
}

// readPath answers getACL and getAllChildrenNumber.
func (k *checker) readPath(r *request, path string, got proto.Code) answer {
	n := k.tree.get(path)
	if n == nil {
		return refusal(proto.CodeNoNode)
	}
	if r.op == proto.OpGetACL {
		if ok, known := mayRead(n.acl, proto.PermRead|proto.PermAdmin, r, got); !ok {
			return refusal(proto.CodeNoAuth).when(known)
		}
		admin, _ := allowed(n.acl, proto.PermAdmin) // whoever is none gets a list without secrets
		return good(proto.GetACLResponse{ACL: n.acl, Stat: n.stat()}).when(admin && !n.local)
	}
	if ok, known := mayRead(n.acl, proto.PermRead, r, got); !ok {
		return refusal(proto.CodeNoAuth).when(known)
	}
	below := -1 // without the node itself
	if path == "" {
		path = rootPath
	}
	for p := range k.tree.nodes { // a sum: the order does not matter
		if within(p, path) {
			below++
		}
	}
	return good(proto.GetAllChildrenNumberResponse{TotalNumber: int32(below)})
}

func (k *checker) ephemerals(r *request, prefix string) answer {
	var paths []string
	all := strings.TrimFunc(prefix, func(c rune) bool { return c <= ' ' })
	for _, path := range slices.Sorted(maps.Keys(k.tree.owned[r.conn.session])) {
		if all == "" || all == rootPath || strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	return good(proto.GetEphemeralsResponse{Ephemerals: paths})
}

func (k *checker) multiRead(r *request, q *proto.MultiRequest) answer {
	out := proto.MultiResponse{Results: make([]proto.MultiResult, len(q.Ops))}
	known := true
	for i, op := range q.Ops {
		path := op.Request.(*proto.ReadRequest).Path //nolint:errcheck // no other request decodes inside a multiRead
		n := k.tree.get(path)
		result := proto.MultiResult{Type: op.Op}
		if n == nil {
			out.Results[i] = proto.MultiResult{Type: proto.OpError, Err: proto.CodeNoNode}
			continue
		}
		ok, judged := allowed(n.acl, proto.PermRead)
		known = known && (ok || judged && !r.known) && !n.local
		switch {
		case !ok:
			result = proto.MultiResult{Type: proto.OpError, Err: proto.CodeNoAuth}
		case op.Op == proto.OpGetData:
			result.Data, result.Stat = n.data, n.stat()
		default:
			result.Children = n.names()
		}
		out.Results[i] = result
	}
	return good(out).when(known)
}

func (k *checker) watchesOf(r *request, q *proto.RemoveWatchesRequest) answer {
	look, gone, ok := ofType(q.Type)
	switch {
	case !ok:
		return refusal(proto.CodeMarshallingError)
	case k.watches.paths[q.Path][r.conn]&look == 0:
		return refusal(proto.CodeNoWatcher)
	case r.op == proto.OpRemoveWatches:
		k.watches.remove(r.conn, q.Path, gone)
	}
	return good(nil)
}

// written is the answer to a write from what its transaction came to.
func written(op proto.Op, e *effect) answer {
	if e.broken {
		return answer{}
	}
	if op == proto.OpMulti {
		return good(proto.MultiResponse{Results: e.multi})
	}
	if e.code != proto.CodeOK {
		return refusal(e.code)
	}
	switch op {
	case proto.OpCreate:
		return good(proto.CreateResponse{Path: e.path})
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return good(proto.Create2Response{Path: e.path, Stat: e.stat})
	case proto.OpSetData, proto.OpSetACL:
		return good(proto.StatResponse{Stat: e.stat}).when(!e.local)
	case proto.OpDelete, proto.OpCloseSession:
		return good(nil)
	default:
		return answer{}
	}
}

// matches compares a reply with what it must say.
func (a answer) matches(op proto.Op, code proto.Code, body []byte) bool {
	if code != a.code {
		return false
	}
	if code != proto.CodeOK {
		return len(body) == 0
	}
	var want []byte
	if a.body != nil {
		want = a.body.Append(nil)
	}
	if a.local {
		want = withTimeOf(op, want, body)
	}
	return bytes.Equal(want, body) || len(want) == len(body) && len(body) > 0 && text(op, code, want) == text(op, code, body)
}

// withTimeOf returns a reply about a node with the time of change that another one has.
func withTimeOf(op proto.Op, want, got []byte) []byte {
	a, b := reply(op), reply(op)
	for record, body := range map[proto.Record][]byte{a: want, b: got} {
		c := jute.NewCursor(body)
		if record.Decode(&c); c.Err() != nil {
			return want
		}
	}
	switch a := a.(type) {
	case *proto.StatResponse:
		a.Stat.Mtime = b.(*proto.StatResponse).Stat.Mtime //nolint:errcheck // of one kind
		return a.Append(nil)
	case *proto.GetDataResponse:
		a.Stat.Mtime = b.(*proto.GetDataResponse).Stat.Mtime //nolint:errcheck // of one kind
		return a.Append(nil)
	case *proto.GetChildren2Response:
		a.Stat.Mtime = b.(*proto.GetChildren2Response).Stat.Mtime //nolint:errcheck // of one kind
		return a.Append(nil)
	}
	return want
}

// text says what the reply must be.
func (a answer) text(op proto.Op) string {
	var body []byte
	if a.body != nil {
		body = a.body.Append(nil)
	}
	return text(op, a.code, body)
}

// text is a reply for people, the same for lists that differ in their order alone.
func text(op proto.Op, code proto.Code, body []byte) string {
	if code != proto.CodeOK {
		return code.Error()
	}
	record := reply(op)
	if record == nil {
		return fmt.Sprintf("OK, %d bytes", len(body))
	}
	c := jute.NewCursor(body)
	if record.Decode(&c); c.Err() != nil || c.Remaining() > 0 {
		return fmt.Sprintf("OK, with a body that is no reply to %v: %x", op, body)
	}
	switch r := record.(type) {
	case *proto.GetChildrenResponse:
		slices.Sort(r.Children)
	case *proto.GetChildren2Response:
		slices.Sort(r.Children)
	case *proto.GetEphemeralsResponse:
		slices.Sort(r.Ephemerals)
	case *proto.MultiResponse:
		for i := range r.Results {
			slices.Sort(r.Results[i].Children)
		}
	}
	return "OK " + show(record)
}

// reply returns an empty body of the reply to op, nil when there is none.
func reply(op proto.Op) proto.Record {
	switch op {
	case proto.OpCreate:
		return new(proto.CreateResponse)
	case proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return new(proto.Create2Response)
	case proto.OpExists, proto.OpSetData, proto.OpSetACL:
		return new(proto.StatResponse)
	case proto.OpGetData, proto.OpReconfig:
		return new(proto.GetDataResponse)
	case proto.OpGetACL:
		return new(proto.GetACLResponse)
	case proto.OpGetChildren:
		return new(proto.GetChildrenResponse)
	case proto.OpGetChildren2:
		return new(proto.GetChildren2Response)
	case proto.OpGetAllChildrenNumber:
		return new(proto.GetAllChildrenNumberResponse)
	case proto.OpGetEphemerals:
		return new(proto.GetEphemeralsResponse)
	case proto.OpSync:
		return new(proto.SyncResponse)
	case proto.OpMulti, proto.OpMultiRead:
		return new(proto.MultiResponse)
	case proto.OpAddWatch:
		return new(proto.ErrorResponse)
	}
	return nil
}
