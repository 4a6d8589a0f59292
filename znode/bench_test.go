package znode_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// benchBatch is how many transactions a busy server applies at once.
const benchBatch = 32

// benchWrites runs Prepare and Apply for one request of each batch slot per iteration and
// reports the time of one write. The tree stays as it is, so iterations are alike.
func benchWrites(b *testing.B, prepare, apply bool, request func(i int) *znode.Request) {
	b.Helper()
	tree := newMemTree()
	setUp := znode.NewChanges(tree)
	for i := range benchBatch {
		setUp.Apply(&proto.Txn{
			TxnHeader: proto.TxnHeader{Type: proto.OpCreate, Zxid: zxid.ID(i + 1)},
			Body:      &proto.CreateTxn{Path: fmt.Sprintf("/node%d", i), ParentCVersion: int32(i + 1)},
		})
	}
	tree.install(b, setUp)
	requests := make([]*znode.Request, benchBatch)
	txns := make([]proto.Txn, benchBatch)
	first := znode.NewPreparer(tree, znode.PrepareOptions{})
	for i := range requests {
		requests[i] = request(i)
		txns[i] = first.Prepare(requests[i], zxid.ID(100+i), startMs)
		if txns[i].Type == proto.OpError {
			b.Fatal(txns[i].Body)
		}
	}
	p := znode.NewPreparer(tree, znode.PrepareOptions{Digest: true})
	changes := znode.NewChanges(tree)
	z := zxid.ID(1000)
	b.ReportAllocs()
	for b.Loop() {
		for i := range benchBatch {
			z++
			if prepare {
				txns[i] = p.Prepare(requests[i], z, startMs)
			}
			if apply {
				changes.Apply(&txns[i])
			}
		}
		changes.DigestDelta()
		changes.Reset(tree)
		p.Applied(z)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch), "ns/write")
}

func BenchmarkWrites(b *testing.B) {
	data := make([]byte, 100)
	kinds := map[string]func(i int) *znode.Request{
		"create": func(i int) *znode.Request {
			return &znode.Request{Op: proto.OpCreate, Body: proto.CreateRequest{
				Path: fmt.Sprintf("/node%d/child", i), Data: data, ACL: open,
			}.Append(nil)}
		},
		"set": func(i int) *znode.Request {
			return &znode.Request{Op: proto.OpSetData, Body: proto.SetDataRequest{
				Path: fmt.Sprintf("/node%d", i), Data: data, Version: -1,
			}.Append(nil)}
		},
	}
	for _, kind := range []string{"create", "set"} {
		b.Run(kind+"/prepare", func(b *testing.B) { benchWrites(b, true, false, kinds[kind]) })
		b.Run(kind+"/apply", func(b *testing.B) { benchWrites(b, false, true, kinds[kind]) })
	}
}

// BenchmarkQuota is applying a setData below a quota root, and the same where quotas are elsewhere.
func BenchmarkQuota(b *testing.B) {
	for _, root := range []string{"", "/q", "/elsewhere"} {
		b.Run("root="+root, func(b *testing.B) {
			tree := newMemTree()
			changes := znode.NewChanges(tree)
			paths := []string{"/q", "/q/a", "/q/a/b"}
			if root != "" {
				base := "/zookeeper/quota" + root
				paths = append(paths, base, base+"/zookeeper_limits", base+"/zookeeper_stats")
			}
			for i, path := range paths {
				changes.Apply(&proto.Txn{
					TxnHeader: proto.TxnHeader{Type: proto.OpCreate, Zxid: zxid.ID(i + 1)},
					Body:      &proto.CreateTxn{Path: path, Data: []byte("x"), ParentCVersion: int32(i + 1)},
				})
			}
			tree.install(b, changes)
			txns := make([]proto.Txn, 2*benchBatch)
			for i := range txns {
				txns[i] = proto.Txn{
					TxnHeader: proto.TxnHeader{Type: proto.OpSetData, Zxid: zxid.ID(100 + i)},
					Body:      &proto.SetDataTxn{Path: "/q/a/b", Data: make([]byte, 100+i%2)},
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				for i := range txns {
					changes.Apply(&txns[i])
				}
				changes.Reset(tree)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(txns)), "ns/write")
		})
	}
}

func BenchmarkValidatePath(b *testing.B) {
	for b.Loop() {
		znode.ValidatePath("/services/frontend/members/node-0000000042")
	}
}

func BenchmarkNodeDigest(b *testing.B) {
	n := &znode.Node{Data: make([]byte, 100), Czxid: 1}
	b.ReportAllocs()
	for b.Loop() {
		znode.NodeDigest("/services/frontend/members/node-0000000042", n)
	}
}

func BenchmarkGetData(b *testing.B) {
	tree := newMemTree()
	ids := []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}
	b.ReportAllocs()
	for b.Loop() {
		znode.GetData(tree, "/zookeeper/config", ids)
	}
}
