package proto_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// The records of the busiest paths, with 100 bytes of data.

var (
	benchData    = make([]byte, 100)
	benchCreate  = proto.CreateRequest{Path: "/bench/node-0000000001", Data: benchData, ACL: proto.WorldACL(proto.PermAll)}
	benchSetData = proto.SetDataRequest{Path: "/bench/node-0000000001", Data: benchData, Version: proto.AnyVersion}
	benchGetData = proto.GetDataResponse{Data: benchData, Stat: goldenStat}
	benchTxn     = apacheTxn(proto.OpSetData, &proto.SetDataTxn{Path: "/bench/node-0000000001", Data: benchData, Version: 7})
)

func benchEncode(b *testing.B, encode func(buf []byte) []byte) {
	b.Helper()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(encode(buf))))
	for b.Loop() {
		buf = encode(buf[:0])
	}
}

func encodeCreate(buf []byte) []byte {
	buf, mark := proto.BeginFrame(buf)
	buf = proto.RequestHeader{Xid: 1, Op: proto.OpCreate}.Append(buf)
	return proto.EndFrame(benchCreate.Append(buf), mark)
}

func encodeSetData(buf []byte) []byte {
	buf, mark := proto.BeginFrame(buf)
	buf = proto.RequestHeader{Xid: 1, Op: proto.OpSetData}.Append(buf)
	return proto.EndFrame(benchSetData.Append(buf), mark)
}

func encodeGetDataReply(buf []byte) []byte {
	buf, mark := proto.BeginReply(buf, proto.ReplyHeader{Xid: 1, Zxid: 0x200000009})
	return proto.EndFrame(benchGetData.Append(buf), mark)
}

func encodeTxn(buf []byte) []byte { return proto.AppendTxn(buf, &benchTxn) }

func encodeEvent(buf []byte) []byte {
	return proto.AppendNotification(buf, 0x200000009,
		proto.WatcherEvent{Type: proto.EventNodeDataChanged, State: proto.StateSyncConnected, Path: "/bench/node"})
}

func BenchmarkEncodeCreate(b *testing.B)       { benchEncode(b, encodeCreate) }
func BenchmarkEncodeSetData(b *testing.B)      { benchEncode(b, encodeSetData) }
func BenchmarkEncodeGetDataReply(b *testing.B) { benchEncode(b, encodeGetDataReply) }
func BenchmarkEncodeTxn(b *testing.B)          { benchEncode(b, encodeTxn) }
func BenchmarkEncodeEvent(b *testing.B)        { benchEncode(b, encodeEvent) }

// The hot paths of server and bench rely on it: writing into a slice with room
// allocates nothing.
func TestEncodingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 1024)
	for name, encode := range map[string]func([]byte) []byte{
		"create": encodeCreate, "setData": encodeSetData, "getData reply": encodeGetDataReply, "txn": encodeTxn,
		"event": encodeEvent,
		"bare reply": func(b []byte) []byte {
			return proto.AppendBareReply(b, proto.ReplyHeader{Xid: 1, Err: proto.CodeNoNode})
		},
	} {
		if n := testing.AllocsPerRun(100, func() { encode(buf) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func benchDecodeRequest(b *testing.B, op proto.Op, body []byte) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := proto.DecodeRequest(op, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCreate(b *testing.B) {
	benchDecodeRequest(b, proto.OpCreate, benchCreate.Append(nil))
}

func BenchmarkDecodeSetData(b *testing.B) {
	benchDecodeRequest(b, proto.OpSetData, benchSetData.Append(nil))
}

func BenchmarkDecodeGetData(b *testing.B) {
	benchDecodeRequest(b, proto.OpGetData, proto.GetDataRequest{Path: "/bench/node-0000000001"}.Append(nil))
}

func BenchmarkDecodeGetDataReply(b *testing.B) {
	in := benchGetData.Append(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var r proto.GetDataResponse
		c := jute.NewCursor(in)
		r.Decode(&c)
		if c.Err() != nil {
			b.Fatal(c.Err())
		}
	}
}

func BenchmarkDecodeTxn(b *testing.B) {
	in := proto.AppendTxn(nil, &benchTxn)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := proto.DecodeTxn(in); err != nil {
			b.Fatal(err)
		}
	}
}
