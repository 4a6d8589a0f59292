package proto_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatalf("bad hex %q: %v", s, err)
	}
	return b
}

// Where null is answered otherwise than empty, decoding decides (spec semantics 1.2, 7.3).
func TestNullStrings(t *testing.T) {
	const (
		null   = "ffffffff "
		empty  = "00000000 "
		world  = "00000001 0000001f 00000005 776f726c64 "
		auth   = "00000001 0000001f 00000004 61757468 "
		ip     = "00000001 0000001f 00000002 6970 "
		digest = "00000001 0000001f 00000006 646967657374 "
		x509   = "00000001 0000001f 00000004 78353039 "
		sasl   = "00000001 0000001f 00000004 7361736c "
		zero   = "00000000 "
		one    = "00000001 "
	)
	for _, tc := range []struct {
		op   proto.Op
		body string
		ok   bool
	}{
		{proto.OpCreate, null + null + zero + zero, false},
		{proto.OpCreate, empty + null + zero + zero, true},
		{proto.OpCreate2, null + null + zero + zero, false},
		{proto.OpCreateContainer, null + null + zero + zero, false},
		{proto.OpCreateTTL, null + null + zero + zero + zero + zero, false},
		{proto.OpCreateTTL, empty + null + zero + zero + zero + zero, true},
		{proto.OpDelete, null + zero, false},
		{proto.OpDelete, empty + zero, true},
		{proto.OpExists, null + "00", false},
		{proto.OpGetData, null + "00", false},
		{proto.OpGetData, empty + "00", true},
		{proto.OpGetChildren, null + "00", false},
		{proto.OpGetChildren2, null + "00", false},
		{proto.OpGetACL, null, false},
		{proto.OpGetAllChildrenNumber, null, false},
		{proto.OpSetData, null + null + zero, true},
		{proto.OpSetACL, null + null + zero, true},
		{proto.OpSync, null, true},
		{proto.OpAddWatch, null + zero, true},
		{proto.OpGetEphemerals, null, true},
		{proto.OpCreate, empty + null + world + null + zero, false},
		{proto.OpCreate, empty + null + world + empty + zero, true},
		{proto.OpCreate, empty + null + auth + null + zero, true},
		{proto.OpSetACL, empty + world + null + zero, false},
		{proto.OpSetACL, empty + digest + null + zero, false},
		{proto.OpSetACL, empty + digest + empty + zero, true},
		{proto.OpSetACL, empty + x509 + null + zero, false},
		{proto.OpSetACL, empty + x509 + empty + zero, true},
		{proto.OpCreate, empty + null + sasl + null + zero, false},
		{proto.OpCreate, empty + null + sasl + empty + zero, true},
		{proto.OpCreateTTL, empty + null + ip + null + zero + zero + zero, false},
		{proto.OpCreateTTL, empty + null + ip + empty + zero + zero + zero, true},
		{proto.OpSetACL, empty + "00000001 0000001f " + null + null + zero, true},
		{proto.OpSetWatches, zero + zero + null + zero + zero, false},
		{proto.OpSetWatches, zero + zero + zero + zero + null, false},
		{proto.OpSetWatches, zero + zero + zero + zero + zero, true},
		{proto.OpSetWatches, zero + zero + one + null + zero + zero, false},
		{proto.OpSetWatches, zero + zero + zero + one + null + zero, false},
		{proto.OpSetWatches, zero + zero + zero + zero + one + null, false},
		{proto.OpSetWatches, zero + zero + one + empty + one + empty + one + empty, true},
		{proto.OpSetWatches, zero + zero + "fffffffe" + "80000000" + "fffffffd", true},
		{proto.OpSetWatches2, zero + zero + one + null + zero + zero + zero + zero, false},
		{proto.OpSetWatches2, zero + zero + zero + zero + zero + one + null + one + null, true},
		{proto.OpSetWatches2, zero + zero + zero + zero + zero + zero + null, false},
		{proto.OpSetWatches2, zero + zero + zero + zero + zero + zero + zero, true},
	} {
		req, err := proto.DecodeRequest(tc.op, unhex(t, tc.body))
		if (err == nil) != tc.ok || (err == nil) != (req != nil) {
			t.Errorf("%v of %s: %+v, error %v; want ok=%v", tc.op, tc.body, req, err, tc.ok)
		}
		if err != nil && !errors.Is(err, jute.ErrMalformed) {
			t.Errorf("%v: error %v does not match ErrMalformed", tc.op, err)
		}
	}
}

func TestBytesAfterTheRecordAreIgnored(t *testing.T) {
	req, err := proto.DecodeRequest(proto.OpGetACL, unhex(t, "00000002 2f61 ffffffffffff"))
	if r, ok := req.(*proto.GetACLRequest); err != nil || !ok || r.Path != "/a" {
		t.Errorf("got %+v, %v", req, err)
	}
}

func TestNewRequestCoversEveryOp(t *testing.T) {
	bodyless := map[proto.Op]bool{proto.OpPing: true, proto.OpCloseSession: true, proto.OpWhoAmI: true}
	internal := map[proto.Op]bool{proto.OpCheck: true, proto.OpDeleteContainer: true}
	for op := proto.Op(-20); op < 200; op++ {
		want := op.Known() && !bodyless[op] || internal[op]
		if got := proto.NewRequest(op) != nil; got != want {
			t.Errorf("%v: has a body %v, want %v", op, got, want)
		}
		if req, err := proto.DecodeRequest(op, nil); want == (err == nil) || req != nil {
			t.Errorf("%v without a body: %v, %v", op, req, err)
		}
	}
}

func multi(ops ...proto.MultiOp) []byte { return proto.MultiRequest{Ops: ops}.Append(nil) }

// The rules of spec client-protocol 8.
func TestMultiRules(t *testing.T) {
	create := func(op proto.Op, mode proto.CreateMode, acl []proto.ACL) proto.MultiOp {
		return proto.MultiOp{Op: op, Request: &proto.CreateRequest{Path: "/a", ACL: acl, Mode: mode}}
	}
	ttl := func(acl []proto.ACL) proto.MultiOp {
		return proto.MultiOp{Op: proto.OpCreateTTL, Request: &proto.CreateTTLRequest{Path: "/a", ACL: acl, Mode: 5, TTL: 1}}
	}
	acl := proto.WorldACL(proto.PermAll)
	check := proto.MultiOp{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: "/a"}}
	read := proto.MultiOp{Op: proto.OpGetData, Request: &proto.GetDataRequest{Path: "/a"}}
	for _, tc := range []struct {
		name string
		op   proto.Op
		body []byte
		ok   bool
	}{
		{"empty multi", proto.OpMulti, multi(), true},
		{"empty multiRead", proto.OpMultiRead, multi(), true},
		{"write in multi", proto.OpMulti, multi(check), true},
		{"write in multiRead", proto.OpMultiRead, multi(check), false},
		{"read in multi", proto.OpMulti, multi(read), false},
		{"read in multiRead", proto.OpMultiRead, multi(read), true},
		{"mixed multi", proto.OpMulti, multi(check, read), false},
		{"mixed multiRead", proto.OpMultiRead, multi(read, check), false},
		{"ephemeral", proto.OpMulti, multi(create(proto.OpCreate, proto.ModeEphemeral, acl)), true},
		{"unknown mode", proto.OpMulti, multi(create(proto.OpCreate, 7, acl)), false},
		{"negative mode", proto.OpMulti, multi(create(proto.OpCreate2, -1, acl)), false},
		{"TTL mode under create", proto.OpMulti, multi(create(proto.OpCreate, proto.ModePersistentWithTTL, acl)), false},
		{"TTL mode under createContainer", proto.OpMulti, multi(create(proto.OpCreateContainer, 6, acl)), false},
		{"null ACL", proto.OpMulti, multi(create(proto.OpCreate, 0, nil)), false},
		{"empty ACL", proto.OpMulti, multi(create(proto.OpCreate, 0, []proto.ACL{})), true},
		{"TTL", proto.OpMulti, multi(ttl(acl)), true},
		{"TTL with null ACL", proto.OpMulti, multi(ttl(nil)), true},
		{"null path", proto.OpMulti, unhex(t, "00000005 00 ffffffff ffffffff ffffffff 00000000 ffffffff 01 ffffffff"), false},
		{"null path in multiRead", proto.OpMultiRead, unhex(t, "00000004 00 ffffffff ffffffff 00 ffffffff 01 ffffffff"), false},
		{"end by done, not by type", proto.OpMulti, unhex(t, "00000002 01 00000000"), true},
		{"type -1 without done", proto.OpMulti, unhex(t, "ffffffff 00 ffffffff"), false},
		{"no end", proto.OpMulti, unhex(t, "0000000d 00 ffffffff 00000002 2f61 00000000"), false},
	} {
		_, err := proto.DecodeRequest(tc.op, tc.body)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, jute.ErrMalformed) {
			t.Errorf("%s: error %v, want ok=%v", tc.name, err, tc.ok)
		}
	}
	for _, op := range []proto.Op{
		proto.OpSetACL, proto.OpExists, proto.OpGetChildren2, proto.OpDeleteContainer, proto.OpReconfig, proto.OpMulti,
		proto.OpSync, proto.OpPing, proto.OpCreateSession, proto.OpCloseSession, 99,
	} {
		body := proto.MultiHeader{Type: op, Err: -1}.Append(nil)
		body = append(append(body, make([]byte, 64)...), multi()...)
		for _, kind := range []proto.Op{proto.OpMulti, proto.OpMultiRead} {
			if _, err := proto.DecodeRequest(kind, body); !errors.Is(err, jute.ErrMalformed) {
				t.Errorf("%v inside %v: error %v, want ErrMalformed", op, kind, err)
			}
		}
	}
}

func TestMultiTurnsContainersAround(t *testing.T) {
	for _, op := range []proto.Op{proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer} {
		body := multi(proto.MultiOp{Op: op, Request: &proto.CreateRequest{
			Path: "/a", ACL: proto.WorldACL(proto.PermAll), Mode: proto.ModeContainer,
		}})
		req, err := proto.DecodeRequest(proto.OpMulti, body)
		if err != nil {
			t.Fatal(err)
		}
		if got := req.(*proto.MultiRequest).Ops[0].Op; got != proto.OpCreateContainer {
			t.Errorf("%v of a container became %v, want createContainer", op, got)
		}
	}
}

func TestMultiReadClearsWatches(t *testing.T) {
	body := multi(proto.MultiOp{Op: proto.OpGetChildren, Request: &proto.GetChildrenRequest{Path: "/a", Watch: true}})
	req, err := proto.DecodeRequest(proto.OpMultiRead, body)
	if err != nil {
		t.Fatal(err)
	}
	if req.(*proto.MultiRequest).Ops[0].Request.(*proto.GetChildrenRequest).Watch {
		t.Error("a multiRead kept its watch flag")
	}
}

func TestFailedMulti(t *testing.T) {
	want := readGolden(t, "testdata/apache.txt")["MultiResponse/failed"]
	if got := proto.FailedMulti(3, 1, proto.CodeNodeExists).Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestMultiResponseOfUnknownType(t *testing.T) {
	var r proto.MultiResponse
	c := jute.NewCursor(proto.MultiHeader{Type: proto.OpSetACL}.Append(nil))
	r.Decode(&c)
	if !errors.Is(c.Err(), jute.ErrMalformed) {
		t.Errorf("error %v", c.Err())
	}
	mustPanic(t, "result of type setACL", func() {
		proto.MultiResponse{Results: []proto.MultiResult{{Type: proto.OpSetACL}}}.Append(nil)
	})
}

func TestTxnTypeAndBodyMustAgree(t *testing.T) {
	mustPanic(t, "create with the body of a delete", func() {
		proto.AppendTxn(nil, &proto.Txn{TxnHeader: proto.TxnHeader{Type: proto.OpCreate}, Body: &proto.DeleteTxn{}})
	})
	mustPanic(t, "check outside a multi", func() {
		proto.AppendTxn(nil, &proto.Txn{TxnHeader: proto.TxnHeader{Type: proto.OpCheck}, Body: &proto.CheckVersionTxn{}})
	})
	mustPanic(t, "setACL inside a multi", func() {
		proto.MultiTxn{Txns: []proto.SubTxn{{Type: proto.OpSetACL, Body: &proto.SetACLTxn{}}}}.Append(nil)
	})
	for _, op := range []proto.Op{proto.OpCheck, proto.OpGetData, proto.OpSync, 99, 0} {
		b := proto.TxnHeader{Type: op}.Append(nil)
		if _, err := proto.DecodeTxn(append(b, make([]byte, 64)...)); !errors.Is(err, jute.ErrMalformed) {
			t.Errorf("txn of type %v: error %v, want ErrMalformed", op, err)
		}
	}
	for name, body := range map[string]string{
		"multi in a multi":      "00000001 0000000e 00000004 00000000",
		"setACL in a multi":     "00000001 00000007 0000000c 00000000 00000000 00000000",
		"truncated operation":   "00000001 00000005 00000004 00000000",
		"more than there is":    "00000002 ffffffff 00000004 00000000",
		"operation of null":     "00000001 ffffffff ffffffff",
		"a count beyond reason": "7fffffff ffffffff 00000004 00000000",
	} {
		b := append(proto.TxnHeader{Type: proto.OpMulti}.Append(nil), unhex(t, body)...)
		if _, err := proto.DecodeTxn(b); !errors.Is(err, jute.ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		}
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestConnectResponsePassword(t *testing.T) {
	for _, passwd := range []string{"ffffffff", "00000000", "00000002 0000"} {
		c := jute.NewCursor(unhex(t, "00000000 00002710 0100000e94310000"+passwd))
		var r proto.ConnectResponse
		r.Decode(&c)
		if !errors.Is(c.Err(), jute.ErrMalformed) {
			t.Errorf("password %s: error %v, want ErrMalformed", passwd, c.Err())
		}
	}
}
