package peerwire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestRoundTripMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage().Draw(t, "message")
		b := peerwire.AppendMessage(nil, &m)
		got, err := peerwire.DecodeMessage(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, m)
		}
	})
}

// The bytes written by hand are those of the generated code, and are read by it.
func TestMessageIsProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage().Draw(t, "message")
		b := peerwire.AppendMessage(nil, &m)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(messagePB(&m))
		if err != nil || string(b) != string(want) {
			t.Fatalf("by hand  %x\ngenerated %x %v", b, want, err)
		}
		var pb zabpb.Message
		if err := proto.Unmarshal(b, &pb); err != nil || !proto.Equal(&pb, messagePB(&m)) {
			t.Fatalf("generated code reads %v, %v; want %v", &pb, err, messagePB(&m))
		}
	})
}

func TestNotificationIsProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := genNotification().Draw(t, "notification")
		b := peerwire.AppendNotification(nil, &n)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(notificationPB(&n))
		if err != nil || string(b) != string(want) {
			t.Fatalf("by hand  %x\ngenerated %x %v", b, want, err)
		}
		if len(b) > peerwire.MaxNotification {
			t.Fatalf("%d bytes, more than MaxNotification", len(b))
		}
		got, err := peerwire.DecodeNotification(b)
		if got.Config.Equal(n.Config) {
			got.Config = n.Config
		}
		if got.Pending.Equal(n.Pending) {
			got.Pending = n.Pending
		}
		if err != nil || got != n {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, n)
		}
	})
}

func TestHelloIsProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := genHello().Draw(t, "hello")
		b := peerwire.AppendHello(nil, &h)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(helloPB(&h))
		if err != nil || string(b) != string(want) {
			t.Fatalf("by hand  %x\ngenerated %x %v", b, want, err)
		}
		if len(b) > peerwire.MaxHello {
			t.Fatalf("%d bytes, more than MaxHello", len(b))
		}
		got, err := peerwire.DecodeHello(b)
		if err != nil || got != h {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, h)
		}
	})
}

func TestEveryKindTravels(t *testing.T) {
	seen := 0
	for k := zab.KindInvalid; k < 255; k++ {
		if !k.Valid() {
			continue
		}
		seen++
		m, err := peerwire.DecodeMessage(peerwire.AppendMessage(nil, &zab.Message{Kind: k}))
		if err != nil || m.Kind != k {
			t.Errorf("%v arrives as %v, %v", k, m.Kind, err)
		}
	}
	if want := len(zabpb.Kind_name) - 1; seen != want {
		t.Errorf("zab has %d kinds, the schema %d", seen, want)
	}
}

func TestRefusalNames(t *testing.T) {
	for v := range zabpb.Refusal_name {
		if s := peerwire.Refusal(v).String(); s == "" || strings.HasPrefix(s, "Refusal(") {
			t.Errorf("refusal %d has no text", v)
		}
	}
	if n := int32(len(zabpb.Refusal_name)); peerwire.Refusal(n).String() != "Refusal(8)" {
		t.Errorf("the schema has %d refusals, and one more has a text", n)
	}
	for c, want := range map[peerwire.Channel]string{
		peerwire.Election: "election", peerwire.Learner: "learner", 9: "Channel(9)",
	} {
		if c.String() != want {
			t.Errorf("channel %d is %q", c, c)
		}
	}
}

func TestAppendInvalidKindPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a message without a kind was encoded")
		}
	}()
	peerwire.AppendMessage(nil, &zab.Message{})
}

// Data is a window on the input, and no append to it can reach what follows.
func TestDataAliasesInput(t *testing.T) {
	m := zab.Message{Kind: zab.Proposal, Entries: []zab.Entry{
		{ID: 1, Data: []byte("one")}, {ID: 2, Data: []byte("two")},
	}}
	b := peerwire.AppendMessage(nil, &m)
	got, err := peerwire.DecodeMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	if cap(got.Entries) != 2 {
		t.Errorf("room for %d entries, want exactly 2", cap(got.Entries))
	}
	_ = append(got.Entries[0].Data, "overwritten"...)
	if string(got.Entries[1].Data) != "two" {
		t.Error("an append to one entry reached the next")
	}
	clear(b)
	if string(got.Entries[0].Data) != "\x00\x00\x00" {
		t.Error("data was copied")
	}
	for _, c := range []struct {
		m    zab.Message
		want bool
	}{
		{zab.Message{Kind: zab.Commit, Zxid: 7}, false},
		{zab.Message{Kind: zab.Ping, Known: []zab.Known{{SID: 1}}}, false},
		{zab.Message{Kind: zab.Request, Data: []byte("x")}, true},
		{m, true},
	} {
		got, err := peerwire.DecodeMessage(peerwire.AppendMessage(nil, &c.m))
		if err != nil || peerwire.Aliases(&got) != c.want {
			t.Errorf("Aliases(%v) = %v, %v", c.m.Kind, !c.want, err)
		}
	}
}

func TestDecodeHotMessagesAllocations(t *testing.T) {
	batch := zab.Message{Kind: zab.Proposal, Epoch: 3, Entries: entries(100, 50)}
	for _, c := range []struct {
		name string
		m    zab.Message
		want float64
	}{
		{"commit", zab.Message{Kind: zab.Commit, Epoch: 3, Zxid: 0x300000007}, 0},
		{"ack", zab.Message{Kind: zab.Ack, Epoch: 3, Zxid: 0x300000007}, 0},
		{"ping", zab.Message{Kind: zab.Ping, Epoch: 3, Zxid: 0x300000007, Seq: 9}, 0},
		{"request", zab.Message{Kind: zab.Request, Data: make([]byte, 100)}, 0},
		{"proposal of 100", batch, 1},
	} {
		b := peerwire.AppendMessage(nil, &c.m)
		if n := testing.AllocsPerRun(50, func() {
			if _, err := peerwire.DecodeMessage(b); err != nil {
				t.Fatal(err)
			}
		}); n != c.want {
			t.Errorf("%s: decoding allocates %v times, want %v", c.name, n, c.want)
		}
		if n := testing.AllocsPerRun(50, func() { b = peerwire.AppendMessage(b[:0], &c.m) }); n != 0 {
			t.Errorf("%s: encoding allocates %v times", c.name, n)
		}
	}
}

// Each input is refused for its own reason.
func TestHostileMessages(t *testing.T) {
	commit := func(more ...byte) []byte { return append([]byte{0x08, 4}, more...) }
	nested := func(num protowire.Number, sub []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(commit(), num, protowire.BytesType), sub)
	}
	pb := func(m *zabpb.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "without a kind"},
		{"unspecified kind", []byte{0x08, 0}, "unknown kind"},
		{"kind in a hole", []byte{0x08, 9}, "unknown kind"},
		{"kind beyond the table", []byte{0x08, 200, 1}, "out of range"},
		{"tag only", commit(0x10), "truncated"},
		{"field number 0", commit(0x00, 0x00), "bad field tag"},
		{"field number too high", commit(0x80, 0x80, 0x80, 0x80, 0x10, 0), "bad field tag"},
		{"overlong varint", commit(0x20, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), "overlong"},
		{"wrong wire type", commit(0x12, 0), "wrong wire type"},
		{"group", commit(0xa3, 0x06, 0xa4, 0x06), "group"},
		{"sid below 0", commit(0x10, 1), "no such server"},
		{"sid above 255", commit(0x10, 0x80, 4), "out of range"},
		{"epoch too high", pb(&zabpb.Message{Kind: 4, Epoch: 1<<31 - 1}), "out of range"},
		{"bool of 2", commit(0x50, 2), "out of range"},
		{"truncated zxid", commit(0x29, 1, 2, 3), "truncated"},
		{"giant data", commit(0x42, 255, 255, 255, 255, 15), "truncated"},
		{"giant entry", commit(0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 127), "truncated"},
		{"entry without zxid", nested(7, nil), "without a zxid"},
		{"bad entry", nested(7, []byte{0x09, 1}), "truncated"},
		{"cluster of 15 bytes", pb(&zabpb.Message{Kind: 4, Cluster: make([]byte, 15)}), "16 bytes"},
		{"incarnation of 17 bytes", pb(&zabpb.Message{Kind: 4, Incarnation: make([]byte, 17)}), "16 bytes"},
		{"run without a transaction", pb(&zabpb.Message{Kind: 18, History: &zabpb.Summary{
			Runs: []*zabpb.Run{{Epoch: 1}},
		}}), "do not ascend"},
		{"run below the base", pb(&zabpb.Message{Kind: 18, History: &zabpb.Summary{
			Base: &zabpb.Point{Zxid: 0x100000005}, Runs: []*zabpb.Run{{Epoch: 1, Last: 5}},
		}}), "do not ascend"},
		{"two runs of one epoch", pb(&zabpb.Message{Kind: 18, History: &zabpb.Summary{
			Runs: []*zabpb.Run{{Epoch: 1, Last: 5}, {Epoch: 1, Last: 6}},
		}}), "do not ascend"},
		{"known twice", pb(&zabpb.Message{Kind: 10, Known: []*zabpb.Known{{Sid: 1}, {Sid: 1}}}), "do not ascend"},
		{"known nobody", pb(&zabpb.Message{Kind: 10, Known: []*zabpb.Known{{Sid: -1}}}), "no such server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := peerwire.DecodeMessage(c.in)
			if !errors.Is(err, peerwire.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrMalformed: %s", err, c.want)
			}
			if !reflect.DeepEqual(m, zab.Message{}) {
				t.Errorf("an error came with a message: %+v", m)
			}
		})
	}
}

// Every prefix of a good message is either refused or a shorter good message; it never panics.
func TestTruncated(t *testing.T) {
	m := zab.Message{
		Kind: zab.AckEpoch, From: 3, To: 1, Epoch: 2, Zxid: 0x100000002, Point: zxid.Point{ID: 1, Hash: 2},
		Entries: entries(3, 10), Data: []byte("data"), Cluster: quorum.ClusterID{1},
		Incarnation: quorum.Incarnation{2}, History: zab.Summary{Runs: []zab.Run{{Epoch: 1, Last: 2, Hash: 3}}},
		Known: []zab.Known{{SID: 1, Incarnation: quorum.Incarnation{9}}},
	}
	b := peerwire.AppendMessage(nil, &m)
	for i := range b {
		if got, err := peerwire.DecodeMessage(b[:i]); err == nil && reflect.DeepEqual(got, m) {
			t.Errorf("%d of %d bytes decode as the whole", i, len(b))
		}
	}
}

// A count is believed only as far as the bytes at hand can hold it: a run of empty
// entries costs no more memory than a small multiple of its length.
func TestCountsAreBounded(t *testing.T) {
	in := []byte{0x08, 2}
	for range 100_000 {
		in = append(in, 0x3a, 0)
	}
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := peerwire.DecodeMessage(in); err == nil {
				b.Fatal("empty entries were accepted")
			}
		}
	})
	if got, most := res.AllocedBytesPerOp(), int64(6*len(in)); got > most {
		t.Errorf("%d bytes of input made the decoder allocate %d", len(in), got)
	}
}

// A newer server may say more: unknown fields change nothing.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	more := protowire.AppendBytes(protowire.AppendTag(nil, 500, protowire.BytesType), []byte("new"))
	more = protowire.AppendVarint(protowire.AppendTag(more, 501, protowire.VarintType), 7)
	more = protowire.AppendFixed32(protowire.AppendTag(more, 502, protowire.Fixed32Type), 7)

	m := zab.Message{Kind: zab.Ack, From: 2, Zxid: 9}
	if got, err := peerwire.DecodeMessage(append(peerwire.AppendMessage(nil, &m), more...)); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("message: %+v, %v", got, err)
	}
	n := fle.Notification{From: 2, To: 1, Round: 4}
	if got, err := peerwire.DecodeNotification(append(peerwire.AppendNotification(nil, &n), more...)); err != nil || got != n {
		t.Errorf("notification: %+v, %v", got, err)
	}
	h := peerwire.Hello{Version: 2, SID: 2, To: 1, Channel: peerwire.Learner}
	if got, err := peerwire.DecodeHello(append(peerwire.AppendHello(nil, &h), more...)); err != nil || got != h {
		t.Errorf("hello: %+v, %v", got, err)
	}
}

func TestHostileHelloAndNotification(t *testing.T) {
	for name, in := range map[string][]byte{
		"no channel": nil, "channel 3": {0x20, 3}, "refusal 8": {0x20, 1, 0x40, 8},
		"sid none": {0x20, 1, 0x10, 1}, "http": []byte("GET / HTTP/1.0\r\n"),
	} {
		if h, err := peerwire.DecodeHello(in); !errors.Is(err, peerwire.ErrMalformed) {
			t.Errorf("hello %s: %+v, %v", name, h, err)
		}
	}
	for name, in := range map[string][]byte{
		"state 4": {0x18, 4}, "from none": {0x08, 1}, "vote epoch": {0x30, 255, 255, 255, 255, 15},
	} {
		if n, err := peerwire.DecodeNotification(in); !errors.Is(err, peerwire.ErrMalformed) {
			t.Errorf("notification %s: %+v, %v", name, n, err)
		}
	}
}
