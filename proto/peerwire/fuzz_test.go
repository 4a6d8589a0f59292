package peerwire_test

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/quorum"
)

func seed(f *testing.F) {
	f.Helper()
	for _, b := range samples {
		f.Add(b)
	}
	f.Add([]byte{0x08, 2, 0x3a, 0})
}

// What DecodeMessage accepts, the generated code accepts, and both read the same [H-47].
func FuzzDecodeMessage(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := peerwire.DecodeMessage(b)
		if err != nil {
			return
		}
		again := peerwire.AppendMessage(nil, &m)
		if back, err := peerwire.DecodeMessage(again); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%+v comes back as %+v, %v", m, back, err)
		}
		var pb zabpb.Message
		if err := proto.Unmarshal(b, &pb); err != nil {
			t.Fatalf("the generated code refuses what was accepted: %v", err)
		}
		pb.ProtoReflect().SetUnknown(nil)
		if again := messagePB(&m); !sameWithoutUnknown(&pb, again) {
			t.Fatalf("by hand  %v\ngenerated %v", again, &pb)
		}
	})
}

// FuzzDecodeNotification holds hazard H-47.
func FuzzDecodeNotification(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := peerwire.DecodeNotification(b)
		if err != nil {
			return
		}
		var pb zabpb.Notification
		if err := proto.Unmarshal(b, &pb); err != nil || !sameWithoutUnknown(&pb, notificationPB(&n)) {
			t.Fatalf("by hand  %v\ngenerated %v, %v", notificationPB(&n), &pb, err)
		}
	})
}

// FuzzDecodeHello holds hazard H-47.
func FuzzDecodeHello(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := peerwire.DecodeHello(b)
		if err != nil {
			return
		}
		var pb zabpb.Hello
		if err := proto.Unmarshal(b, &pb); err != nil || !sameWithoutUnknown(&pb, helloPB(&h)) {
			t.Fatalf("by hand  %v\ngenerated %v, %v", helloPB(&h), &pb, err)
		}
	})
}

// sameWithoutUnknown compares after discarding unknown fields and empty messages and
// ids of nothing but zeros, which the plain structs cannot tell from absent ones. One ensemble may be written in
// many ways.
func sameWithoutUnknown(got, want proto.Message) bool {
	clean := func(m proto.Message) proto.Message {
		b, err := proto.Marshal(m)
		if err != nil {
			return nil
		}
		c := m.ProtoReflect().New().Interface()
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, c) != nil {
			return nil
		}
		normalise(c)
		return c
	}
	a, b := clean(got), clean(want)
	return a != nil && b != nil && proto.Equal(a, b)
}

func normalise(m proto.Message) {
	zero := func(b []byte) []byte {
		if len(b) == 16 && [16]byte(b) == ([16]byte{}) {
			return nil
		}
		return b
	}
	config := func(c *zabpb.Configuration) {
		if e, err := quorum.ParseEnsemble(c.GetText()); c != nil && err == nil {
			c.Text = e.String()
		}
	}
	switch m := m.(type) {
	case *zabpb.Hello:
		m.Cluster, m.Incarnation = zero(m.Cluster), zero(m.Incarnation)
	case *zabpb.Notification:
		m.Incarnation = zero(m.Incarnation)
		config(m.Configuration)
		config(m.Pending)
	case *zabpb.Message:
		m.Cluster, m.Incarnation = zero(m.Cluster), zero(m.Incarnation)
		for _, k := range m.Known {
			k.Incarnation = zero(k.Incarnation)
		}
		if m.Point != nil && m.Point.Zxid == 0 && m.Point.Hash == 0 {
			m.Point = nil
		}
		config(m.Proposed)
		config(m.Committed)
		config(m.Seen)
		if h := m.History; h != nil {
			if h.Base != nil && h.Base.Zxid == 0 && h.Base.Hash == 0 {
				h.Base = nil
			}
			if h.Base == nil && len(h.Runs) == 0 {
				m.History = nil
			}
		}
	}
}
