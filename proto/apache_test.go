package proto_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

func TestApacheRecords(t *testing.T) {
	records, txns := map[string][]byte{}, map[string][]byte{}
	for name, b := range readGolden(t, "testdata/apache.txt") {
		if strings.HasPrefix(name, "Txn/") {
			txns[name] = b
		} else {
			records[name] = b
		}
	}
	want := map[string]proto.Record{}
	for _, part := range []map[string]proto.Record{apacheRequests, apacheResponses, apacheMultis} {
		for name, rec := range part {
			want[name] = rec
		}
	}
	checkRecords(t, records, want)
	checkTxns(t, txns)
}

var apacheRequests = map[string]proto.Record{
	"RequestHeader":        &proto.RequestHeader{Xid: 9, Op: proto.OpMulti},
	"CreateRequest":        &proto.CreateRequest{Path: "/a", Data: hi, ACL: goldenACL, Mode: proto.ModeEphemeralSequential},
	"CreateRequest/null":   &proto.CreateRequest{Path: "/a"},
	"CreateRequest/empty":  &proto.CreateRequest{Path: "", Data: []byte{}, ACL: []proto.ACL{}},
	"CreateTTLRequest":     &proto.CreateTTLRequest{Path: "/a", Data: hi, ACL: goldenACL, Mode: proto.ModePersistentWithTTL, TTL: 60000},
	"DeleteRequest":        &proto.DeleteRequest{Path: "/a", Version: proto.AnyVersion},
	"ExistsRequest":        &proto.ExistsRequest{Path: "/a", Watch: true},
	"GetDataRequest":       &proto.GetDataRequest{Path: "/a"},
	"GetChildrenRequest":   &proto.GetChildrenRequest{Path: "/a", Watch: true},
	"GetChildren2Request":  &proto.GetChildren2Request{Path: "/a", Watch: true},
	"SetDataRequest":       &proto.SetDataRequest{Path: "/a", Data: hi, Version: 4},
	"GetACLRequest":        &proto.GetACLRequest{Path: "/a"},
	"SetACLRequest":        &proto.SetACLRequest{Path: "/a", ACL: goldenACL, Version: 2},
	"SyncRequest":          &proto.SyncRequest{Path: proto.Str("/a")},
	"SyncRequest/null":     &proto.SyncRequest{},
	"GetEphemeralsRequest": &proto.GetEphemeralsRequest{PrefixPath: "/a"},
	"CheckVersionRequest":  &proto.CheckVersionRequest{Path: "/a", Version: 3},
	"ReconfigRequest":      &proto.ReconfigRequest{JoiningServers: proto.Str("server.4=h:1:2;3"), CurConfigID: -1},
	"CheckWatchesRequest":  &proto.CheckWatchesRequest{Path: "/a", Type: proto.WatcherData},
	"RemoveWatchesRequest": &proto.RemoveWatchesRequest{Path: "/a", Type: proto.WatcherAny},
	"AddWatchRequest":      &proto.AddWatchRequest{Path: "/a", Mode: proto.AddWatchPersistentRecursive},
	"SetWatches":           &proto.SetWatches{RelativeZxid: 0x100000007, Data: []string{"/a", "/b"}, Child: []string{"/c"}},
	"SetWatches2": &proto.SetWatches2{
		SetWatches: proto.SetWatches{
			RelativeZxid: 0x100000007, Data: []string{"/a"}, Exist: []string{"/b"}, Child: []string{"/c"},
		},
		Persistent: []string{"/d"}, PersistentRecursive: []string{"/e", "/é"},
	},
	"AuthPacket":                  &proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")},
	"GetSASLRequest":              &proto.GetSASLRequest{Token: hi},
	"GetAllChildrenNumberRequest": &proto.GetAllChildrenNumberRequest{Path: "/a"},
}

var apacheResponses = map[string]proto.Record{
	"ReplyHeader":                  &proto.ReplyHeader{Xid: 9, Zxid: 0x200000009, Err: proto.CodeNoNode},
	"CreateResponse":               &proto.CreateResponse{Path: "/a"},
	"Create2Response":              &proto.Create2Response{Path: "/a", Stat: goldenStat},
	"ExistsResponse":               &proto.ExistsResponse{Stat: goldenStat},
	"GetDataResponse":              &proto.GetDataResponse{Data: hi, Stat: goldenStat},
	"GetDataResponse/null":         &proto.GetDataResponse{Stat: goldenStat},
	"GetDataResponse/empty":        &proto.GetDataResponse{Data: []byte{}, Stat: goldenStat},
	"GetACLResponse":               &proto.GetACLResponse{ACL: goldenACL, Stat: goldenStat},
	"GetChildrenResponse":          &proto.GetChildrenResponse{Children: []string{"x", "y"}},
	"GetChildrenResponse/empty":    &proto.GetChildrenResponse{},
	"GetChildren2Response":         &proto.GetChildren2Response{Children: []string{"x", "y"}, Stat: goldenStat},
	"SyncResponse":                 &proto.SyncResponse{Path: proto.Str("/a")},
	"GetAllChildrenNumberResponse": &proto.GetAllChildrenNumberResponse{TotalNumber: 12},
	"GetEphemeralsResponse":        &proto.GetEphemeralsResponse{Ephemerals: []string{"/e"}},
	"SetSASLResponse":              &proto.SetSASLResponse{},
	"WhoAmIResponse": &proto.WhoAmIResponse{ClientInfo: []proto.ClientInfo{
		{AuthScheme: "ip", User: "127.0.0.1"}, {AuthScheme: "digest", User: "u"},
	}},
	"ErrorResponse": &proto.ErrorResponse{Err: proto.CodeBadVersion},
	"WatcherEvent":  &proto.WatcherEvent{Type: proto.EventNodeChildrenChanged, State: proto.StateSyncConnected, Path: "/a"},
}

var apacheMultis = map[string]proto.Record{
	"MultiRequest": &proto.MultiRequest{Ops: []proto.MultiOp{
		{Op: proto.OpCreate, Request: &proto.CreateRequest{Path: "/a", Data: hi, ACL: goldenACL, Mode: proto.ModeEphemeral}},
		{Op: proto.OpCreateContainer, Request: &proto.CreateRequest{Path: "/c", Data: hi, ACL: goldenACL, Mode: proto.ModeContainer}},
		{Op: proto.OpCreateTTL, Request: &proto.CreateTTLRequest{
			Path: "/t", Data: hi, ACL: goldenACL, Mode: proto.ModePersistentWithTTL, TTL: 60000,
		}},
		{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: "/d", Version: 2}},
		{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: "/s", Data: hi, Version: 3}},
		{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: "/k", Version: 4}},
	}},
	"MultiRequest/empty": &proto.MultiRequest{},
	"MultiReadRequest": &proto.MultiRequest{Read: true, Ops: []proto.MultiOp{
		{Op: proto.OpGetData, Request: &proto.GetDataRequest{Path: "/a"}},
		{Op: proto.OpGetChildren, Request: &proto.GetChildrenRequest{Path: "/b"}},
	}},
	"MultiResponse": &proto.MultiResponse{Results: []proto.MultiResult{
		{Type: proto.OpCreate, Path: "/a"},
		{Type: proto.OpCreate2, Path: "/b", Stat: goldenStat},
		{Type: proto.OpDelete},
		{Type: proto.OpSetData, Stat: goldenStat},
		{Type: proto.OpCheck},
	}},
	"MultiResponse/failed": &proto.MultiResponse{Results: []proto.MultiResult{
		{Type: proto.OpError},
		{Type: proto.OpError, Err: proto.CodeNodeExists},
		{Type: proto.OpError, Err: proto.CodeRuntimeInconsistency},
	}},
	"MultiResponse/read": &proto.MultiResponse{Results: []proto.MultiResult{
		{Type: proto.OpGetData, Data: hi, Stat: goldenStat},
		{Type: proto.OpGetChildren, Children: []string{"x"}},
		{Type: proto.OpError, Err: proto.CodeNoNode},
	}},
}

// apacheTxn returns a transaction with the header of all the golden ones.
func apacheTxn(t proto.Op, body proto.TxnBody) proto.Txn {
	return proto.Txn{
		TxnHeader: proto.TxnHeader{ClientID: 0x0100000e94310000, Cxid: 7, Zxid: 0x200000009, Time: 1700000000003, Type: t},
		Body:      body,
	}
}

func withDigest(t proto.Txn, digest uint64) proto.Txn {
	t.HasDigest, t.DigestVersion, t.Digest = true, 2, digest
	return t
}

var apacheTxns = map[string]proto.Txn{
	"Txn/create": apacheTxn(proto.OpCreate, &proto.CreateTxn{
		Path: "/a", Data: hi, ACL: goldenACL, Ephemeral: true, ParentCVersion: 8,
	}),
	"Txn/create2/digest": withDigest(apacheTxn(proto.OpCreate2, &proto.CreateTxn{
		Path: "/a", ACL: goldenACL, ParentCVersion: 8,
	}), 0xfedcba9876543210),
	"Txn/createContainer": apacheTxn(proto.OpCreateContainer, &proto.CreateContainerTxn{
		Path: "/a", Data: hi, ACL: goldenACL, ParentCVersion: 8,
	}),
	"Txn/createTTL": apacheTxn(proto.OpCreateTTL, &proto.CreateTTLTxn{
		Path: "/a", Data: hi, ACL: goldenACL, ParentCVersion: 8, TTL: 60000,
	}),
	"Txn/delete":           apacheTxn(proto.OpDelete, &proto.DeleteTxn{Path: "/a"}),
	"Txn/deleteContainer":  apacheTxn(proto.OpDeleteContainer, &proto.DeleteTxn{Path: "/a"}),
	"Txn/setData":          apacheTxn(proto.OpSetData, &proto.SetDataTxn{Path: "/a", Data: hi, Version: 4}),
	"Txn/reconfig":         apacheTxn(proto.OpReconfig, &proto.SetDataTxn{Path: "/zookeeper/config", Data: hi, Version: -1}),
	"Txn/setACL":           apacheTxn(proto.OpSetACL, &proto.SetACLTxn{Path: "/a", ACL: goldenACL, Version: 4}),
	"Txn/createSession":    apacheTxn(proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 30000}),
	"Txn/closeSession":     apacheTxn(proto.OpCloseSession, &proto.CloseSessionTxn{Paths: []string{"/a", "/b"}}),
	"Txn/closeSession/old": apacheTxn(proto.OpCloseSession, &proto.CloseSessionTxn{}),
	"Txn/error":            apacheTxn(proto.OpError, &proto.ErrorTxn{Err: proto.CodeNodeExists}),
	"Txn/multi": withDigest(apacheTxn(proto.OpMulti, &proto.MultiTxn{Txns: []proto.SubTxn{
		{Type: proto.OpCreate, Body: &proto.CreateTxn{Path: "/a", Data: hi, ACL: goldenACL, ParentCVersion: 9}},
		{Type: proto.OpSetData, Body: &proto.SetDataTxn{Path: "/a", Data: hi, Version: 1}},
		{Type: proto.OpCheck, Body: &proto.CheckVersionTxn{Path: "/a", Version: 2}},
		{Type: proto.OpDelete, Body: &proto.DeleteTxn{Path: "/a"}},
	}}), 1),
	"Txn/multi/failed": apacheTxn(proto.OpMulti, &proto.MultiTxn{Txns: []proto.SubTxn{
		{Type: proto.OpError, Body: &proto.ErrorTxn{}},
		{Type: proto.OpError, Body: &proto.ErrorTxn{Err: proto.CodeNotEmpty}},
		{Type: proto.OpError, Body: &proto.ErrorTxn{Err: proto.CodeRuntimeInconsistency}},
	}}),
}

func checkTxns(t *testing.T, golden map[string][]byte) {
	t.Helper()
	if len(golden) != len(apacheTxns) {
		t.Errorf("%d golden transactions, the test knows %d", len(golden), len(apacheTxns))
	}
	for name, want := range apacheTxns {
		got, err := proto.DecodeTxn(golden[name])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: decoded\n%+v, %v, want\n%+v", name, got, err, want)
		}
		encoded := golden[name]
		if name == "Txn/closeSession/old" {
			encoded = append(encoded[:len(encoded):len(encoded)], 0, 0, 0, 0) // today an empty list
		}
		if b := proto.AppendTxn(nil, &want); !bytes.Equal(b, encoded) {
			t.Errorf("%s: encoded\n%x, want\n%x", name, b, encoded)
		}
	}
}
