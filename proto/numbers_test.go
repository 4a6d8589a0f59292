package proto_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
)

// The vectors of spec client-protocol 4.3; the first was observed on a 3.9.5 server.
func TestPassword(t *testing.T) {
	for id, want := range map[proto.SessionID]string{
		0x0100000e94310000: "b579a3719ea164371b90b5a817e64ccd",
		1:                  "054cc74a37327db215e702e20c73f005",
		math.MaxInt64:      "20f62cb5648dc2d771471c8a2486a9ee",
		-1<<56 + 1:         "054cc74a37327db215e702e20c73f005", // 0xff00000000000001
	} {
		p := proto.Password(id)
		if !bytes.Equal(p[:], unhex(t, want)) {
			t.Errorf("password of %v is %x, want %s", id, p, want)
		}
		if !proto.CheckPassword(id, p[:]) {
			t.Errorf("%v: its own password is refused", id)
		}
		if proto.CheckPassword(id, nil) || proto.CheckPassword(id, p[:15]) || proto.CheckPassword(id, append(p[:], 0)) {
			t.Errorf("%v: a password of the wrong length is accepted", id)
		}
		for i := range p {
			wrong := p
			wrong[i] ^= 1
			if proto.CheckPassword(id, wrong[:]) {
				t.Errorf("%v: a password with byte %d changed is accepted", id, i)
			}
		}
	}
	if p := proto.Password(0); proto.CheckPassword(0, p[:]) {
		t.Error("id 0 has a password")
	}
}

func TestSessionIDs(t *testing.T) {
	for _, tc := range []struct {
		nowMs int64
		sid   byte
		want  proto.SessionID
	}{
		{0, 1, 1 << 56},
		{0x18bcfe56800, 1, 0x018bcfe568000000},
		{0x18bcfe56800, 5, 0x058bcfe568000000},
		{0x7fff018bcfe56800, 0, 0x008bcfe568000000}, // only the low 40 bits of the clock
		{0, 0, 1},             // 0 is no session
		{0, 0x80, -1<<63 + 1}, // 1<<63 marks containers
		{1, 0xff, -1<<56 + 1<<16},
	} {
		if got := proto.InitialSessionID(tc.nowMs, tc.sid); got != tc.want {
			t.Errorf("InitialSessionID(%#x, %d) = %v, want %v", tc.nowMs, tc.sid, got, tc.want)
		}
	}
	if got := proto.SessionID(-1).Next(); got != 1 {
		t.Errorf("after -1 comes %v, want 0x1", got)
	}
	if got := proto.SessionID(math.MaxInt64).Next(); got != -1<<63+1 {
		t.Errorf("after the largest id comes %v, want 0x8000000000000001", got)
	}
	if got := proto.SessionID(7).Next(); got != 8 {
		t.Errorf("after 7 comes %v", got)
	}
	if got := proto.SessionID(-1 << 56).String(); got != "0xff00000000000000" {
		t.Errorf("String = %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		sid := rapid.Byte().Draw(t, "sid")
		id := proto.InitialSessionID(rapid.Int64().Draw(t, "now"), sid)
		if byte(uint64(id)>>56) != sid || id == 0 {
			t.Fatalf("%v does not carry server id %d", id, sid)
		}
	})
}

// TestOpClasses writes the table of spec client-protocol 6.1 down once more.
func TestOpClasses(t *testing.T) {
	class := map[proto.Class][]proto.Op{
		proto.ClassWrite:      {1, 2, 5, 7, 14, 15, 16, 19, 21, -11},
		proto.ClassRead:       {3, 4, 6, 8, 11, 12, 17, 18, 22, 101, 103, 104, 105, 106, 107},
		proto.ClassSync:       {9},
		proto.ClassConnection: {100, 102},
	}
	names := map[string]proto.Op{}
	for op := proto.Op(-30); op < 200; op++ {
		want := proto.ClassNone
		for c, ops := range class {
			if slices.Contains(ops, op) {
				want = c
			}
		}
		if got := op.Class(); got != want {
			t.Errorf("%v: class %d, want %d", op, got, want)
		}
		if got := op.Known(); got != (want != proto.ClassNone) {
			t.Errorf("%v: Known = %v", op, got)
		}
		if got := op.IsRead(); got != (want == proto.ClassRead) {
			t.Errorf("%v: IsRead = %v", op, got)
		}
		if got := op.IsWrite(); got != (want == proto.ClassWrite || op == -10 || op == 20) {
			t.Errorf("%v: IsWrite = %v", op, got)
		}
		unnamed := strings.HasPrefix(op.String(), "op(")
		if assigned := want != proto.ClassNone || slices.Contains([]proto.Op{0, 13, 20, -1, -10}, op); unnamed == assigned {
			t.Errorf("op %d is called %v", int32(op), op)
		}
		if other, dup := names[op.String()]; dup {
			t.Errorf("ops %d and %d are both called %v", int32(op), int32(other), op)
		}
		names[op.String()] = op
	}
	if names["getData"] != 4 || names["closeSession"] != -11 || names["op(99)"] != 99 {
		t.Error("names moved")
	}
	if proto.OpDelete.IsCreate() || !proto.OpCreate.IsCreate() || !proto.OpCreateTTL.IsCreate() {
		t.Error("IsCreate is wrong")
	}
}

func TestCodes(t *testing.T) {
	known := []proto.Code{
		0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -12, -13, -14, -15, -100, -101, -102, -103, -108, -110, -111, -112, -113, -114, -115,
		-116, -117, -118, -119, -120, -121, -122, -123, -124, -125, -127,
	}
	names := map[string]bool{}
	for c := proto.Code(-200); c < 10; c++ {
		if got, want := c.Known(), slices.Contains(known, c); got != want {
			t.Errorf("%v: Known = %v, want %v", c, got, want)
		}
		if names[c.String()] {
			t.Errorf("two codes are called %v", c)
		}
		names[c.String()] = true
	}
	if got := proto.CodeNoNode.String(); got != "NoNode" {
		t.Errorf("String = %s", got)
	}
	if got := proto.CodeNoNode.Error(); got != "NoNode (-101)" {
		t.Errorf("Error = %s", got)
	}
	if got := proto.Code(-99).String(); got != "code(-99)" {
		t.Errorf("String = %s", got)
	}
	if err := proto.CodeOK.Err(); err != nil {
		t.Errorf("Err of OK = %v", err)
	}
	if err := proto.CodeBadVersion.Err(); !errors.Is(err, proto.CodeBadVersion) || errors.Is(err, proto.CodeNoNode) {
		t.Errorf("Err of BadVersion = %v", err)
	}
}

func TestCreateModes(t *testing.T) {
	for _, tc := range []struct {
		m                                 proto.CreateMode
		valid, ephemeral, sequential, ttl bool
		name                              string
	}{
		{0, true, false, false, false, "PERSISTENT"},
		{1, true, true, false, false, "EPHEMERAL"},
		{2, true, false, true, false, "PERSISTENT_SEQUENTIAL"},
		{3, true, true, true, false, "EPHEMERAL_SEQUENTIAL"},
		{4, true, false, false, false, "CONTAINER"},
		{5, true, false, false, true, "PERSISTENT_WITH_TTL"},
		{6, true, false, true, true, "PERSISTENT_SEQUENTIAL_WITH_TTL"},
		{7, false, false, false, false, "mode(7)"},
		{-1, false, false, false, false, "mode(-1)"},
	} {
		if tc.m.Valid() != tc.valid || tc.m.Ephemeral() != tc.ephemeral || tc.m.Sequential() != tc.sequential ||
			tc.m.TTL() != tc.ttl || tc.m.String() != tc.name {
			t.Errorf("%v: valid %v, ephemeral %v, sequential %v, ttl %v; want %+v",
				tc.m, tc.m.Valid(), tc.m.Ephemeral(), tc.m.Sequential(), tc.m.TTL(), tc)
		}
	}
}

func TestSmallNumbers(t *testing.T) {
	for v := int32(-2); v < 9; v++ {
		if got, want := proto.WatcherType(v).Valid(), v >= 1 && v <= 5; got != want {
			t.Errorf("watcher type %d: Valid = %v", v, got)
		}
		if got, want := proto.AddWatchMode(v).Valid(), v == 0 || v == 1; got != want {
			t.Errorf("addWatch mode %d: Valid = %v", v, got)
		}
		if got, want := strings.HasPrefix(proto.EventType(v).String(), "event("), v < -1 || v == 0 || v > 7; got != want {
			t.Errorf("event %d is called %v", v, proto.EventType(v))
		}
	}
	all := proto.PermRead | proto.PermWrite | proto.PermCreate | proto.PermDelete | proto.PermAdmin
	if all != proto.PermAll {
		t.Errorf("all permissions are %d", all)
	}
}

func TestCheckFrameLen(t *testing.T) {
	for _, tc := range []struct {
		n     int32
		limit int
		ok    bool
	}{
		{0, proto.DefaultMaxFrame, true},
		{1048575, proto.DefaultMaxFrame, true},
		{1048576, proto.DefaultMaxFrame, false},
		{-1, proto.DefaultMaxFrame, false},
		{math.MinInt32, proto.DefaultMaxFrame, false},
		{math.MaxInt32, math.MaxInt32, true},
		{0x72756f6b, proto.DefaultMaxFrame, false}, // "ruok"
	} {
		err := proto.CheckFrameLen(tc.n, tc.limit)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, proto.ErrFrameLen) {
			t.Errorf("CheckFrameLen(%d, %d) = %v, want ok=%v", tc.n, tc.limit, err, tc.ok)
		}
	}
}

func TestNestedFrames(t *testing.T) {
	b, outer := proto.BeginFrame([]byte{9})
	b, inner := proto.BeginFrame(append(b, 1))
	b = proto.EndFrame(append(b, 2, 3), inner)
	b = proto.EndFrame(b, outer)
	if want := []byte{9, 0, 0, 0, 7, 1, 0, 0, 0, 2, 2, 3}; !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	mustPanic(t, "a mark beyond the buffer", func() { proto.EndFrame(make([]byte, 5), 3) })
}
