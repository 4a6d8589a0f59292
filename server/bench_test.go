package server_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

// BenchmarkPipeline measures one connection with a fixed number of requests in flight: the
// whole server, socket included, with a log that costs nothing.
func BenchmarkPipeline(b *testing.B) {
	value := strings.Repeat("v", 100)
	for _, depth := range []int{1, 16, 128} {
		for _, bm := range []struct {
			name string
			op   proto.Op
			body proto.Appender
		}{
			{"get", proto.OpGetData, proto.ReadRequest{Path: "/bench/node"}},
			{"exists", proto.OpExists, proto.ReadRequest{Path: "/bench/node"}},
			{"set", proto.OpSetData, proto.SetDataRequest{Path: "/bench/node", Data: []byte(value), Version: -1}},
		} {
			b.Run(fmt.Sprintf("%s/%d", bm.name, depth), func(b *testing.B) {
				c := newTwin(b, 1, nil).members[0].connect(b)
				c.create("/bench", "", proto.ModePersistent)
				c.create("/bench/node", value, proto.ModePersistent)
				pipeline(b, c, depth, proto.AppendRequest(nil, proto.RequestHeader{Xid: 7, Op: bm.op}, bm.body))
			})
		}
	}
}

// pipeline keeps depth copies of a request in flight, in windows of half of that.
func pipeline(b *testing.B, c *client, depth int, frame []byte) {
	b.Helper()
	half := max(depth/2, 1)
	var burst []byte
	for range half {
		burst = append(burst, frame...)
	}
	in := bufio.NewReaderSize(c.nc, 64<<10)
	var head [4]byte
	take := func(n int) {
		for range n {
			if _, err := io.ReadFull(in, head[:]); err != nil {
				b.Fatal(err)
			}
			if _, err := in.Discard(int(binary.BigEndian.Uint32(head[:]))); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	flying := 0
	for done := 0; done < b.N; done += half {
		if _, err := c.nc.Write(burst); err != nil {
			b.Fatal(err)
		}
		if flying += half; flying >= depth {
			take(half)
			flying -= half
		}
	}
	take(flying)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
