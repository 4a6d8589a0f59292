package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/zab"
)

const (
	// headLen is the size of the frame's head: length, checksum, sequence number.
	headLen = 12
	// slabSize is how much a link's reader reads at once, and the buffer that messages share.
	slabSize = 64 << 10
	// splitBytes is the size at which a batch of entries is cut into several frames, so that
	// what keeps one entry alive keeps little else, and frames stay far below their limit.
	splitBytes = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginFrame makes room for the head of a frame whose payload is then appended.
func beginFrame(dst []byte) (out []byte, start int) {
	return append(dst, make([]byte, headLen)...), len(dst)
}

// endFrame fills in the head of the frame that began at start.
func endFrame(dst []byte, start int, seq uint32) {
	frame := dst[start:]
	binary.BigEndian.PutUint32(frame[0:], uint32(len(frame)-headLen))
	binary.BigEndian.PutUint32(frame[8:], seq)
	binary.BigEndian.PutUint32(frame[4:], crc32.Checksum(frame[8:], castagnoli))
}

// framer numbers the frames of one direction of a connection.
type framer struct{ seq uint32 }

// add appends one frame with the payload that encode appends.
func (f *framer) add(dst []byte, encode func(dst []byte) []byte) []byte {
	dst, start := beginFrame(dst)
	dst = encode(dst)
	endFrame(dst, start, f.seq)
	f.seq++
	return dst
}

// addMessage appends a message as one frame, or a large batch of entries as several.
func (f *framer) addMessage(dst []byte, m *zab.Message, maxFrame int) ([]byte, error) {
	part := *m
	for rest := m.Entries; ; {
		n := splitAt(rest)
		part.Entries, rest = rest[:n], rest[n:]
		var start int
		dst, start = beginFrame(dst)
		dst = peerwire.AppendMessage(dst, &part)
		if size := len(dst) - start - headLen; size > maxFrame {
			return dst[:start], fmt.Errorf("%w: %v of %d bytes, limit %d", ErrTooLarge, m.Kind, size, maxFrame)
		}
		endFrame(dst, start, f.seq)
		f.seq++
		if len(rest) == 0 {
			return dst, nil
		}
	}
}

// splitAt returns how many entries go into one frame.
func splitAt(entries []zab.Entry) int {
	size := 0
	for i := range entries {
		size += len(entries[i].Data)
		if size > splitBytes && i > 0 {
			return i
		}
	}
	return len(entries)
}

// frameReader cuts what comes from a connection into frames. Payloads are windows on its
// buffer; keep says that one of them is still in use, and the buffer is then never written again
// below it. It grows with the bytes that have arrived, never by an announced length alone.
type frameReader struct {
	from  io.Reader
	limit int // of a payload
	slab  int // size of a new buffer
	buf   []byte
	r, w  int  // buf[r:w] has been read and not been returned
	kept  bool // something refers to buf[:r]
	seq   uint32
}

// keep leaves the payloads returned so far to their user.
func (f *frameReader) keep() { f.kept = true }

// fill waits for more bytes. It is called when next has no frame.
func (f *frameReader) fill() error {
	f.makeRoom()
	n, err := f.from.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		return nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// makeRoom sees to it that a read has space, in this buffer or in a new one.
func (f *frameReader) makeRoom() {
	have := f.w - f.r
	if !f.kept && f.r > 0 { // nobody looks at what was returned: begin at the front again
		copy(f.buf, f.buf[f.r:f.w])
		f.r, f.w = 0, have
	}
	need := headLen
	if have >= headLen {
		need += min(f.limit, int(binary.BigEndian.Uint32(f.buf[f.r:])))
	}
	free := len(f.buf) - f.w
	fits := have > 0 && free > 0 && len(f.buf)-f.r >= need
	oversized := have == 0 && len(f.buf) > f.slab // grown for a frame that is gone
	if !oversized && (fits || free >= f.slab/8) {
		return
	}
	next := make([]byte, max(f.slab, min(need, 2*have+f.slab)))
	copy(next, f.buf[f.r:f.w])
	f.buf, f.kept, f.r, f.w = next, false, 0, have
}

// next returns the payload of the next frame if all of it has arrived. It is valid until the
// next call of fill, or for ever after keep.
func (f *frameReader) next() (payload []byte, ok bool, err error) {
	have := f.buf[f.r:f.w]
	if len(have) < headLen {
		return nil, false, nil
	}
	size := int(binary.BigEndian.Uint32(have))
	if size > f.limit {
		return nil, false, fmt.Errorf("%w: frame of %d bytes, limit %d", ErrProtocol, size, f.limit)
	}
	if len(have)-headLen < size {
		return nil, false, nil
	}
	frame := have[:headLen+size]
	if got, want := crc32.Checksum(frame[8:], castagnoli), binary.BigEndian.Uint32(frame[4:]); got != want {
		return nil, false, fmt.Errorf("%w: checksum of a frame is %08x, expected %08x", ErrProtocol, got, want)
	}
	if got := binary.BigEndian.Uint32(frame[8:]); got != f.seq {
		return nil, false, fmt.Errorf("%w: frame %d came in place of %d", ErrProtocol, got, f.seq)
	}
	f.seq++
	f.r += len(frame)
	return frame[headLen:], true, nil
}

// await returns the next payload, reading as long as it takes.
func (f *frameReader) await() ([]byte, error) {
	for {
		payload, ok, err := f.next()
		if ok || err != nil {
			return payload, err
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}
