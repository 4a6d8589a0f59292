package transport

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// drain reads frames until the stream ends; every third payload is kept, as messages with
// data are, and must not change any more.
func drain(from io.Reader, limit, slab int) (payloads [][]byte, biggest int, err error) {
	f := frameReader{from: from, limit: limit, slab: slab}
	var kept, copies [][]byte
	for {
		payload, err := f.await()
		biggest = max(biggest, len(f.buf))
		if err != nil {
			for i := range kept {
				if !bytes.Equal(kept[i], copies[i]) {
					return nil, biggest, errors.New("a payload that was kept has changed")
				}
			}
			return payloads, biggest, err
		}
		payloads = append(payloads, bytes.Clone(payload))
		if len(payloads)%3 == 0 {
			f.keep()
			kept, copies = append(kept, payload), append(copies, bytes.Clone(payload))
		}
	}
}

// Frames come out as they went in, however the network cuts them up.
func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit, slab = 3000, 256
		var (
			out  framer
			wire []byte
			want [][]byte
		)
		for range rapid.IntRange(1, 40).Draw(t, "frames") {
			size := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, limit)).Draw(t, "size")
			payload := bytes.Repeat([]byte{byte(len(want))}, size)
			want = append(want, payload)
			wire = out.add(wire, func(dst []byte) []byte { return append(dst, payload...) })
		}
		cuts := rapid.SliceOfN(rapid.IntRange(1, 700), 1, 20).Draw(t, "reads")
		got, biggest, err := drain(&cutter{rest: wire, cuts: cuts}, limit, slab)
		if !errors.Is(err, io.EOF) || len(got) != len(want) {
			t.Fatalf("got %d frames and %v, want %d", len(got), err, len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("frame %d came as %d bytes, want %d", i, len(got[i]), len(want[i]))
			}
		}
		if biggest > limit+headLen+slab {
			t.Fatalf("the buffer grew to %d bytes", biggest)
		}
	})
}

// cutter returns as many bytes at a time as cuts say, in turn.
type cutter struct {
	rest []byte
	cuts []int
	n    int
}

func (c *cutter) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.rest[:min(len(c.rest), c.cuts[c.n%len(c.cuts)])])
	c.rest, c.n = c.rest[n:], c.n+1
	return n, nil
}

// An announced length allocates nothing: the buffer grows with what arrives.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	wire := append([]byte{0x03, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 1000)...)
	_, biggest, err := drain(bytes.NewReader(wire), 64<<20, slabSize)
	if !errors.Is(err, io.EOF) || biggest > slabSize {
		t.Errorf("buffer of %d bytes, %v", biggest, err)
	}
}

// Any damage to a stream is noticed before the first damaged frame is handed out.
func TestDamageIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			out  framer
			wire []byte
			ends []int
		)
		for i := range 5 {
			wire = out.add(wire, func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte{byte(i)}, 20*i)...) })
			ends = append(ends, len(wire))
		}
		at := rapid.IntRange(0, len(wire)-1).Draw(t, "at")
		wire[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		got, _, err := drain(iotest.HalfReader(bytes.NewReader(wire)), 1000, 128)
		good := 0
		for ends[good] <= at {
			good++
		}
		if len(got) > good {
			t.Fatalf("%d frames were handed out, %d are intact (%v)", len(got), good, err)
		}
	})
}

// FuzzFrames holds hazard H-47.
func FuzzFrames(f *testing.F) {
	var out framer
	one := out.add(nil, func(dst []byte) []byte { return append(dst, "payload"...) })
	f.Add(one, uint8(1))
	f.Add(out.add(one, func(dst []byte) []byte { return dst }), uint8(5))
	f.Add([]byte{0, 0, 0xff, 0xff, 0, 0}, uint8(200))
	f.Fuzz(func(t *testing.T, wire []byte, cut uint8) {
		got, biggest, err := drain(&cutter{rest: wire, cuts: []int{1 + int(cut)}}, 1000, 128)
		if err == nil || biggest > 1000+headLen+128 {
			t.Fatalf("%v, buffer of %d bytes", err, biggest)
		}
		var again framer
		var encoded []byte
		for _, payload := range got {
			encoded = again.add(encoded, func(dst []byte) []byte { return append(dst, payload...) })
		}
		if !bytes.HasPrefix(wire, encoded) {
			t.Fatal("frames were handed out that are not in the stream")
		}
	})
}
