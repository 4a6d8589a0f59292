package oracle

import (
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// maxText bounds what a violation says about one request, reply or transaction, in bytes.
const maxText = 400

// short cuts a text for a violation.
func short(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "..."
	}
	return s
}

// describe names a request for people.
func describe(q *request) string {
	request, err := proto.DecodeRequest(q.op, q.body)
	if err != nil || request == nil {
		return "nothing"
	}
	return short(show(request))
}

// show prints a record with its data as text, and what is inside a multi.
func show(record any) string {
	switch r := record.(type) {
	case *proto.GetDataResponse:
		return fmt.Sprintf("%q %+v", r.Data, r.Stat)
	case *proto.CreateRequest:
		return fmt.Sprintf("%s %v %q", r.Path, r.Mode, r.Data)
	case *proto.SetDataRequest:
		return fmt.Sprintf("%s %q, version %d", r.Path, r.Data, r.Version)
	case *proto.CreateTxn:
		return fmt.Sprintf("%s %q, ephemeral %v, counter %d, %v", r.Path, r.Data, r.Ephemeral, r.ParentCVersion, r.ACL)
	case *proto.SetDataTxn:
		return fmt.Sprintf("%s %q, version %d", r.Path, r.Data, r.Version)
	case *proto.MultiRequest:
		return list(r.Ops, func(op proto.MultiOp) string { return fmt.Sprintf("%v %s", op.Op, show(op.Request)) })
	case *proto.MultiTxn:
		return list(r.Txns, func(sub proto.SubTxn) string { return fmt.Sprintf("%v %s", sub.Type, show(sub.Body)) })
	case *proto.MultiResponse:
		return list(r.Results, showResult)
	}
	return fmt.Sprintf("%+v", record)
}

func showResult(r proto.MultiResult) string {
	switch r.Type {
	case proto.OpCreate:
		return "create " + r.Path
	case proto.OpCreate2:
		return fmt.Sprintf("create2 %s %+v", r.Path, r.Stat)
	case proto.OpSetData:
		return fmt.Sprintf("setData %+v", r.Stat)
	case proto.OpGetData:
		return fmt.Sprintf("getData %q %+v", r.Data, r.Stat)
	case proto.OpGetChildren:
		return fmt.Sprintf("getChildren %q", r.Children)
	case proto.OpError:
		return r.Err.Error()
	}
	return r.Type.String()
}

func list[T any](items []T, show func(T) string) string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = show(item)
	}
	return "[" + strings.Join(out, "; ") + "]"
}
