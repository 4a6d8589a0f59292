package proto_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// seed adds the golden frames, without their length, and the golden records.
func seed(f *testing.F) {
	f.Helper()
	for _, b := range readGolden(f, "testdata/frames.txt") {
		f.Add(b[4:])
	}
	for _, b := range readGolden(f, "testdata/apache.txt") {
		f.Add(b)
	}
}

// checkStable asserts that what was decoded from in encodes to bytes which decode to
// the same again, and that it is not out of proportion to in.
func checkStable(t *testing.T, in []byte, rec proto.Record) {
	t.Helper()
	b := rec.Append(nil)
	// U+FFFD takes three bytes for one malformed byte; old forms lack up to 4 bytes.
	if len(b) > 3*len(in)+4 {
		t.Fatalf("%T: %d bytes came back as %d", rec, len(in), len(b))
	}
	again := decode(t, b, rec)
	if !bytes.Equal(again.Append(nil), b) {
		t.Fatalf("%T is not stable: %+v, then %+v", rec, rec, again)
	}
}

func fuzzRecord(f *testing.F, empty proto.Record) {
	f.Helper()
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		rec := reflect.New(reflect.TypeOf(empty).Elem()).Interface().(proto.Record)
		c := jute.NewCursor(in)
		rec.Decode(&c)
		if err := c.Err(); err != nil {
			if !errors.Is(err, jute.ErrMalformed) {
				t.Fatalf("error %v does not match ErrMalformed", err)
			}
			return
		}
		checkStable(t, in, rec)
	})
}

func FuzzConnectRequest(f *testing.F)  { fuzzRecord(f, &proto.ConnectRequest{}) }
func FuzzConnectResponse(f *testing.F) { fuzzRecord(f, &proto.ConnectResponse{}) }
func FuzzMultiRequest(f *testing.F)    { fuzzRecord(f, &proto.MultiRequest{}) }
func FuzzMultiResponse(f *testing.F)   { fuzzRecord(f, &proto.MultiResponse{}) }

// FuzzRequest reads a whole request the way a server does.
func FuzzRequest(f *testing.F) {
	seed(f)
	for _, rec := range apacheRequests {
		for op := proto.Op(-11); op < 108; op++ {
			if req := proto.NewRequest(op); req != nil && reflect.TypeOf(req) == reflect.TypeOf(rec) {
				f.Add(rec.Append(proto.RequestHeader{Xid: 1, Op: op}.Append(nil)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var h proto.RequestHeader
		c := jute.NewCursor(in)
		h.Decode(&c)
		if c.Err() != nil {
			return
		}
		body := c.Rest()
		req, err := proto.DecodeRequest(h.Op, body)
		if err != nil {
			if !errors.Is(err, jute.ErrMalformed) || req != nil {
				t.Fatalf("%v: %+v, %v", h.Op, req, err)
			}
			return
		}
		if req != nil {
			checkStable(t, body, req)
		}
	})
}

// FuzzReply reads every kind of reply out of the same bytes, as a client would.
func FuzzReply(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, empty := range apacheResponses {
			rec := reflect.New(reflect.TypeOf(empty).Elem()).Interface().(proto.Record)
			c := jute.NewCursor(in)
			rec.Decode(&c)
			if c.Err() == nil {
				checkStable(t, in, rec)
			}
		}
	})
}

func FuzzDecodeTxn(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		txn, err := proto.DecodeTxn(in)
		if err != nil {
			if !errors.Is(err, jute.ErrMalformed) {
				t.Fatalf("error %v does not match ErrMalformed", err)
			}
			return
		}
		b := proto.AppendTxn(nil, &txn)
		again, err := proto.DecodeTxn(b)
		if err != nil || !bytes.Equal(proto.AppendTxn(nil, &again), b) {
			t.Fatalf("not stable: %+v, then %+v, %v", txn, again, err)
		}
	})
}
