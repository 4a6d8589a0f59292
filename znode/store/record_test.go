package store_test

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

func TestNodeRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i64, i32 := rapid.Int64(), rapid.Int32()
		want := &znode.Node{
			Data:  rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOf(rapid.Byte())).Draw(t, "data"),
			ACL:   drawACL(t),
			Czxid: zxid.ID(i64.Draw(t, "czxid")), Mzxid: zxid.ID(i64.Draw(t, "mzxid")), Pzxid: zxid.ID(i64.Draw(t, "pzxid")),
			Ctime: i64.Draw(t, "ctime"), Mtime: i64.Draw(t, "mtime"),
			Version: i32.Draw(t, "version"), Aversion: i32.Draw(t, "aversion"),
			Created: i32.Draw(t, "created"), NumChildren: i32.Draw(t, "children"),
			Owner: proto.SessionID(i64.Draw(t, "owner")),
		}
		rec := store.AppendNode(nil, want)
		var got znode.Node
		if err := store.DecodeNode(&got, rec); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if !sameNode(&got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for cut := range min(len(rec), 20) { // cut inside the fixed part at the latest
			if err := store.DecodeNode(&got, rec[:cut]); err == nil && len(want.Data) == 0 {
				t.Fatalf("a record cut to %d of %d bytes decodes", cut, len(rec))
			}
		}
	})
}

func TestNodeRecordSharesNothing(t *testing.T) {
	rec := store.AppendNode(nil, &znode.Node{Data: []byte("data"), ACL: proto.WorldACL(1)})
	var n znode.Node
	if err := store.DecodeNode(&n, rec); err != nil {
		t.Fatal(err)
	}
	clear(rec)
	if string(n.Data) != "data" || n.ACL[0].ID.ID != "anyone" {
		t.Errorf("the node changed with its record's buffer: %+v", n)
	}
}

func TestDecodeNodeAllocations(t *testing.T) {
	rec := store.AppendNode(nil, &znode.Node{Data: make([]byte, 100)})
	var n znode.Node
	if got := testing.AllocsPerRun(100, func() { _ = store.DecodeNode(&n, rec) }); got > 1 {
		t.Errorf("%v allocations, want one, for the data", got)
	}
}

func FuzzDecodeNode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0xff})
	f.Add(store.AppendNode(nil, &znode.Node{Data: []byte("x"), ACL: proto.WorldACL(31), Owner: 7, Czxid: 1 << 33}))
	f.Add(append(store.AppendNode(nil, &znode.Node{})[:11], 0xff, 0xff, 0xff, 0xff, 0x0f))
	f.Fuzz(func(t *testing.T, rec []byte) {
		var n, again znode.Node
		if err := store.DecodeNode(&n, rec); err != nil {
			return
		}
		if size, err := store.DataLen(rec); err != nil || size != len(n.Data) {
			t.Fatalf("%x has %d bytes of data, want %d: %v", rec, size, len(n.Data), err)
		}
		if err := store.DecodeNode(&again, store.AppendNode(nil, &n)); err != nil {
			t.Fatalf("%x decodes to %+v, which does not encode: %v", rec, n, err)
		}
		if !sameNode(&n, &again) {
			t.Fatalf("%+v became %+v", n, again)
		}
	})
}

func FuzzDecodeChunk(f *testing.F) {
	s := open(f, vfs.NewMem())
	for _, b := range chunks(f, s, 100) {
		f.Add(b[store.ChunkPayload-5:])
	}
	closeStore(f, s)
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum would keep the fuzzer out, so it is put right.
		b := append(make([]byte, 8), body...)
		store.SealChunk(b)
		_ = store.DecodeStream(b)
		if err := store.DecodeStream(body); err == nil && len(body) < store.ChunkPayload {
			t.Fatalf("%x decodes", body)
		}
	})
}

// Whatever arrives, the live tree stays as it is and the staging says no.
func FuzzStagingWrite(f *testing.F) {
	s := open(f, vfs.NewMem())
	f.Cleanup(func() { closeStore(f, s) })
	stream := chunks(f, s, 1<<20)
	f.Add(stream[1][store.ChunkPayload:], uint32(1))
	f.Add([]byte{1, 2, 3}, uint32(2))
	f.Fuzz(func(t *testing.T, records []byte, number uint32) {
		before := s.Totals()
		b := append(store.BeginChunk(nil, store.KindRecords, number), records...)
		store.SealChunk(b)
		st, err := stage(s, "fuzz", [][]byte{stream[0], b, stream[2]})
		if err == nil && !bytes.Equal(b, stream[1]) {
			t.Fatalf("another stream than the tree's was taken for it: %x", records)
		}
		if err == nil {
			err = s.DiscardStaged("")
		} else {
			err = st.Close()
		}
		if err != nil || s.Totals() != before {
			t.Fatalf("%v, totals %+v, want %+v", err, s.Totals(), before)
		}
	})
}
