package proto_test

import (
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Generators of the parts that records are made of. They draw what Decode can return:
// absent lists are nil, null strings have no text.

func genString(t *rapid.T) string { return rapid.String().Draw(t, "string") }

func genInt(t *rapid.T) int32 { return rapid.Int32().Draw(t, "int") }

func genLong(t *rapid.T) int64 { return rapid.Int64().Draw(t, "long") }

func genBool(t *rapid.T) bool { return rapid.Bool().Draw(t, "bool") }

func genZxid(t *rapid.T) zxid.ID { return zxid.ID(genLong(t)) }

func genBuffer(t *rapid.T) []byte {
	if genBool(t) {
		return nil
	}
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "buffer")...)
}

func genStrings(t *rapid.T) []string {
	var list []string
	for range rapid.IntRange(0, 4).Draw(t, "strings") {
		list = append(list, genString(t))
	}
	return list
}

func genNullString(t *rapid.T) proto.NullString {
	if genBool(t) {
		return proto.NullString{}
	}
	return proto.Str(genString(t))
}

func genACL(t *rapid.T) []proto.ACL {
	acl := []proto.ACL{}
	for range rapid.IntRange(0, 3).Draw(t, "acl") {
		acl = append(acl, proto.ACL{Perms: proto.Perms(genInt(t)), ID: proto.ID{Scheme: genString(t), ID: genString(t)}})
	}
	return acl
}

func genNullACL(t *rapid.T) []proto.ACL {
	if genBool(t) {
		return nil
	}
	return genACL(t)
}

func genStat(t *rapid.T) proto.Stat {
	return proto.Stat{
		Czxid: genZxid(t), Mzxid: genZxid(t), Ctime: genLong(t), Mtime: genLong(t), Version: genInt(t),
		Cversion: genInt(t), Aversion: genInt(t), EphemeralOwner: proto.SessionID(genLong(t)),
		DataLength: genInt(t), NumChildren: genInt(t), Pzxid: genZxid(t),
	}
}

func genSetWatches(t *rapid.T) proto.SetWatches {
	return proto.SetWatches{RelativeZxid: genZxid(t), Data: genStrings(t), Exist: genStrings(t), Child: genStrings(t)}
}

func genCreate(t *rapid.T) *proto.CreateRequest {
	return &proto.CreateRequest{Path: genString(t), Data: genBuffer(t), ACL: genNullACL(t), Mode: proto.CreateMode(genInt(t))}
}

func genCreateTTL(t *rapid.T) *proto.CreateTTLRequest {
	return &proto.CreateTTLRequest{
		Path: genString(t), Data: genBuffer(t), ACL: genACL(t), Mode: proto.CreateMode(genInt(t)), TTL: genLong(t),
	}
}

// genMultiWrite draws an operation of a multi as Decode leaves it: containers under
// createContainer alone.
func genMultiWrite(t *rapid.T) proto.MultiOp {
	op := rapid.SampledFrom([]proto.Op{
		proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete,
		proto.OpSetData, proto.OpCheck,
	}).Draw(t, "op")
	switch op {
	case proto.OpCreateTTL:
		return proto.MultiOp{Op: op, Request: genCreateTTL(t)}
	case proto.OpDelete:
		return proto.MultiOp{Op: op, Request: &proto.DeleteRequest{Path: genString(t), Version: genInt(t)}}
	case proto.OpSetData:
		return proto.MultiOp{Op: op, Request: &proto.SetDataRequest{Path: genString(t), Data: genBuffer(t), Version: genInt(t)}}
	case proto.OpCheck:
		return proto.MultiOp{Op: op, Request: &proto.CheckVersionRequest{Path: genString(t), Version: genInt(t)}}
	default:
		req := genCreate(t)
		req.ACL = genACL(t)
		req.Mode = proto.CreateMode(rapid.IntRange(0, 3).Draw(t, "mode"))
		return proto.MultiOp{Op: op, Request: req}
	}
}

func genMulti(t *rapid.T) *proto.MultiRequest {
	m := &proto.MultiRequest{Read: genBool(t)}
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		if m.Read {
			op := rapid.SampledFrom([]proto.Op{proto.OpGetData, proto.OpGetChildren}).Draw(t, "op")
			m.Ops = append(m.Ops, proto.MultiOp{Op: op, Request: &proto.ReadRequest{Path: genString(t)}})
		} else {
			m.Ops = append(m.Ops, genMultiWrite(t))
		}
	}
	return m
}

func genMultiResponse(t *rapid.T) *proto.MultiResponse {
	m := &proto.MultiResponse{}
	for range rapid.IntRange(0, 4).Draw(t, "results") {
		r := proto.MultiResult{Type: rapid.SampledFrom([]proto.Op{
			proto.OpCreate, proto.OpCreate2, proto.OpDelete, proto.OpSetData, proto.OpCheck, proto.OpGetData,
			proto.OpGetChildren, proto.OpError,
		}).Draw(t, "type")}
		switch r.Type {
		case proto.OpCreate:
			r.Path = genString(t)
		case proto.OpCreate2:
			r.Path, r.Stat = genString(t), genStat(t)
		case proto.OpSetData:
			r.Stat = genStat(t)
		case proto.OpGetData:
			r.Data, r.Stat = genBuffer(t), genStat(t)
		case proto.OpGetChildren:
			r.Children = genStrings(t)
		case proto.OpError:
			r.Err = proto.Code(genInt(t))
		}
		m.Results = append(m.Results, r)
	}
	return m
}

// genTxnBody draws the body of a transaction of type op, which is no multi.
func genTxnBody(t *rapid.T, op proto.Op) proto.TxnBody {
	switch op {
	case proto.OpCreate, proto.OpCreate2:
		return &proto.CreateTxn{
			Path: genString(t), Data: genBuffer(t), ACL: genNullACL(t), Ephemeral: genBool(t), ParentCVersion: genInt(t),
		}
	case proto.OpCreateContainer:
		return &proto.CreateContainerTxn{Path: genString(t), Data: genBuffer(t), ACL: genNullACL(t), ParentCVersion: genInt(t)}
	case proto.OpCreateTTL:
		return &proto.CreateTTLTxn{
			Path: genString(t), Data: genBuffer(t), ACL: genNullACL(t), ParentCVersion: genInt(t), TTL: genLong(t),
		}
	case proto.OpDelete, proto.OpDeleteContainer:
		return &proto.DeleteTxn{Path: genString(t)}
	case proto.OpSetData, proto.OpReconfig:
		return &proto.SetDataTxn{Path: genString(t), Data: genBuffer(t), Version: genInt(t)}
	case proto.OpSetACL:
		return &proto.SetACLTxn{Path: genString(t), ACL: genNullACL(t), Version: genInt(t)}
	case proto.OpCheck:
		return &proto.CheckVersionTxn{Path: genString(t), Version: genInt(t)}
	case proto.OpCreateSession:
		return &proto.CreateSessionTxn{TimeOut: genInt(t)}
	case proto.OpCloseSession:
		return &proto.CloseSessionTxn{Paths: genStrings(t)}
	default:
		return &proto.ErrorTxn{Err: proto.Code(genInt(t))}
	}
}

func genMultiTxn(t *rapid.T) *proto.MultiTxn {
	m := &proto.MultiTxn{}
	for range rapid.IntRange(0, 4).Draw(t, "txns") {
		op := rapid.SampledFrom([]proto.Op{
			proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete,
			proto.OpDeleteContainer, proto.OpSetData, proto.OpCheck, proto.OpError,
		}).Draw(t, "op")
		m.Txns = append(m.Txns, proto.SubTxn{Type: op, Body: genTxnBody(t, op)})
	}
	return m
}

var txnTypes = []proto.Op{
	proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpDeleteContainer,
	proto.OpSetData, proto.OpReconfig, proto.OpSetACL, proto.OpMulti, proto.OpCreateSession, proto.OpCloseSession,
	proto.OpError,
}

func genTxn(t *rapid.T) proto.Txn {
	txn := proto.Txn{TxnHeader: proto.TxnHeader{
		ClientID: proto.SessionID(genLong(t)), Cxid: proto.Xid(genInt(t)), Zxid: genZxid(t), Time: genLong(t),
		Type: rapid.SampledFrom(txnTypes).Draw(t, "type"),
	}}
	if txn.Type == proto.OpMulti {
		txn.Body = genMultiTxn(t)
	} else {
		txn.Body = genTxnBody(t, txn.Type)
	}
	if genBool(t) {
		txn.HasDigest, txn.DigestVersion, txn.Digest = true, genInt(t), rapid.Uint64().Draw(t, "digest")
	}
	return txn
}
