package peerwire_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/zab"
)

var hot = []struct {
	name string
	m    zab.Message
}{
	{"proposal=100x180B", zab.Message{Kind: zab.Proposal, From: 1, To: 2, Epoch: 3, Entries: entries(100, 180)}},
	{"proposal=1x180B", zab.Message{Kind: zab.Proposal, From: 1, To: 2, Epoch: 3, Entries: entries(1, 180)}},
	{"commit", zab.Message{Kind: zab.Commit, From: 1, To: 2, Epoch: 3, Zxid: 0x300000064}},
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := peerwire.AppendMessage(nil, &c.m)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				buf = peerwire.AppendMessage(buf[:0], &c.m)
			}
		})
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := peerwire.AppendMessage(nil, &c.m)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := peerwire.DecodeMessage(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The yardstick: the same bytes through the generated code.
func BenchmarkGeneratedUnmarshal(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := peerwire.AppendMessage(nil, &c.m)
			b.SetBytes(int64(len(buf)))
			var pb zabpb.Message
			for b.Loop() {
				if err := proto.Unmarshal(buf, &pb); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
