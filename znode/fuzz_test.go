package znode_test

import (
	"encoding/binary"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// record puts the length before b, as the fuzz targets read it.
func record(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

// records splits what record has joined; hostile lengths are cut.
func records(b []byte) (list [][]byte) {
	for len(b) >= 2 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		list = append(list, b[2:2+n])
		b = b[2+n:]
	}
	return list
}

// seedLog is a log with something of everything, and a few impossible transactions.
func seedLog() [][]byte {
	bodies := []struct {
		op   proto.Op
		body proto.TxnBody
	}{
		{proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 1000}},
		{proto.OpCreate, &proto.CreateTxn{Path: "/a", Data: []byte("x"), ACL: open, ParentCVersion: 1}},
		{proto.OpCreate2, &proto.CreateTxn{Path: "/a/e", Ephemeral: true, ACL: proto.WorldACL(1), ParentCVersion: 1}},
		{proto.OpCreateContainer, &proto.CreateContainerTxn{Path: "/c", ParentCVersion: 2}},
		{proto.OpCreateTTL, &proto.CreateTTLTxn{Path: "/t", TTL: 5, ParentCVersion: 3}},
		{proto.OpSetData, &proto.SetDataTxn{Path: "/a", Data: []byte("y"), Version: 1}},
		{proto.OpSetACL, &proto.SetACLTxn{Path: "/a", ACL: proto.WorldACL(3), Version: 1}},
		{proto.OpMulti, &proto.MultiTxn{Txns: []proto.SubTxn{
			{Type: proto.OpCheck, Body: &proto.CheckVersionTxn{Path: "/a", Version: 2}},
			{Type: proto.OpCreate, Body: &proto.CreateTxn{Path: "/a/b", ParentCVersion: 2}},
			{Type: proto.OpDelete, Body: &proto.DeleteTxn{Path: "/a/b"}},
		}}},
		{proto.OpMulti, &proto.MultiTxn{Txns: []proto.SubTxn{
			{Type: proto.OpError, Body: &proto.ErrorTxn{}}, {Type: proto.OpError, Body: &proto.ErrorTxn{Err: -110}},
		}}},
		{proto.OpDelete, &proto.DeleteTxn{Path: "/"}},
		{proto.OpDeleteContainer, &proto.DeleteTxn{Path: "/t"}},
		{proto.OpError, &proto.ErrorTxn{Err: -101}},
		{proto.OpReconfig, &proto.SetDataTxn{Path: "/zookeeper/config", Data: []byte("version=1"), Version: -1}},
		{proto.OpCloseSession, &proto.CloseSessionTxn{Paths: []string{"/a/e", "/nope"}}},
	}
	var log [][]byte
	for i, b := range bodies {
		log = append(log, proto.AppendTxn(nil, &proto.Txn{
			TxnHeader: proto.TxnHeader{ClientID: 7, Cxid: 1, Zxid: zxid.ID(i + 1), Time: startMs, Type: b.op}, Body: b.body,
		}))
	}
	return log
}

// FuzzApply: whatever can be decoded can be applied, and leaves a tree (hazard H-67).
func FuzzApply(f *testing.F) {
	var all []byte
	for _, b := range seedLog() {
		all = record(all, b)
		f.Add(record(nil, b))
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		tree := newMemTree()
		changes := znode.NewChanges(tree)
		for i, b := range records(b) {
			txn, err := proto.DecodeTxn(b)
			if err != nil {
				continue
			}
			r := changes.Apply(&txn)
			if r.Multi != nil && r.Code != proto.CodeOK {
				t.Fatalf("a multi has its codes inside, got %v", r.Code)
			}
			proto.MultiResponse{Results: r.Multi}.Append(nil)
			if i%3 == 2 {
				tree.install(t, changes)
			}
		}
		tree.install(t, changes)
		tree.check(t)
	})
}

// FuzzPrepare: whatever arrives comes to one transaction that can be encoded, is not too
// long and can be applied with the outcome that it says.
func FuzzPrepare(f *testing.F) {
	add := func(op proto.Op, body proto.Appender) {
		b := []byte{byte(op)}
		if body != nil {
			b = body.Append(b)
		}
		f.Add(record(record(nil, b), b))
	}
	add(proto.OpCreate, proto.CreateRequest{Path: "/a", ACL: open, Mode: 1})
	add(proto.OpCreate2, proto.CreateRequest{Path: "/a/b", ACL: open, Mode: 3})
	add(proto.OpDelete, proto.DeleteRequest{Path: "/a", Version: -1})
	add(proto.OpSetData, proto.SetDataRequest{Path: "/", Version: 0})
	add(proto.OpSetACL, proto.SetACLRequest{Path: "/", ACL: []proto.ACL{entry(31, "auth", ""), entry(1, "ip", "::/0")}, Version: -1})
	add(proto.OpMulti, multi(opCreate("/m", 2), opSet("/m0000000000", "x", 0), opDelete("/", -1)))
	add(proto.OpCreateContainer, proto.CreateRequest{Path: "/c", ACL: open, Mode: 4})
	add(proto.OpCreateTTL, proto.CreateTTLRequest{Path: "/t", ACL: open, Mode: 6, TTL: 1})
	add(proto.OpMulti, multi(opCreate("/c", 4), opTTL("/c/t", 5, 9), opTTL("/c/p", 0, -1)))
	add(proto.OpDeleteContainer, proto.DeleteContainerRequest{Path: "/c"})
	add(proto.OpCloseSession, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newClusterWith(t, znode.PrepareOptions{JuteMaxBuffer: 512, ExtendedTypes: true, EnforceQuota: true})
		c.ids = []proto.ID{aliceID, bobID}
		for i, b := range records(b) {
			if len(b) == 0 {
				continue
			}
			r := c.request(proto.Op(int8(b[0])), nil)
			r.Body = b[1:]
			c.propose(r) // checks encoding and length
			if i%2 == 1 {
				c.apply(len(c.queue))
			}
		}
		for range c.queue {
			c.apply(1)
		}
		c.prep.Applied(c.last)
		c.tree.check(t)
	})
}
