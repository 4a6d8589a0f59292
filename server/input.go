package server

import (
	"encoding/binary"
	"io"

	"github.com/zabkeeper/zabkeeper/proto"
)

const (
	// firstInput is the size of a connection's first input buffer. Reads that fill the
	// buffer make it grow up to keptInput, long frames beyond that for as long as they
	// last.
	firstInput = 2 << 10
	keptInput  = 16 << 10
)

// input buffers what was read and cuts it into frames. A buffer grows as bytes arrive,
// never because a length was announced.
type input struct {
	buf  []byte
	r, w int // buf[r:w] is unread
	// hungry is set when a read filled the buffer: more would have come.
	hungry bool
}

// frame returns the next complete frame, without its length. It aliases the buffer and is
// valid until fill. ok is false if more bytes are needed; the error matches
// proto.ErrFrameLen.
func (in *input) frame(limit int) (b []byte, ok bool, err error) {
	if in.w-in.r < proto.FrameHeaderLen {
		return nil, false, nil
	}
	n := int32(binary.BigEndian.Uint32(in.buf[in.r:]))
	if err := proto.CheckFrameLen(n, limit); err != nil {
		return nil, false, err
	}
	end := in.r + proto.FrameHeaderLen + int(n)
	if in.w < end {
		return nil, false, nil
	}
	b = in.buf[in.r+proto.FrameHeaderLen : end : end]
	in.r = end
	return b, true, nil
}

// announced returns the length of the frame that is not complete yet, 0 if not even that is
// known.
func (in *input) announced() int {
	if in.w-in.r < proto.FrameHeaderLen {
		return 0
	}
	return int(binary.BigEndian.Uint32(in.buf[in.r:]))
}

// first returns the first four bytes without taking them, false if they are not there yet.
func (in *input) first() (b [4]byte, ok bool) {
	if in.w-in.r < len(b) {
		return b, false
	}
	copy(b[:], in.buf[in.r:])
	return b, true
}

// fill reads at least one byte.
func (in *input) fill(r io.Reader) error {
	in.makeRoom()
	n, err := r.Read(in.buf[in.w:])
	in.w += n
	in.hungry = in.w == len(in.buf)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// makeRoom makes space behind what is unread.
func (in *input) makeRoom() {
	if in.r == in.w {
		in.r, in.w = 0, 0
		if len(in.buf) > keptInput {
			in.buf = nil
		}
	}
	unread := in.w - in.r
	switch grow := in.hungry && len(in.buf) < keptInput; {
	case in.w < len(in.buf) && !grow:
	case in.r > 0 && unread <= len(in.buf)/2 && !grow:
		copy(in.buf, in.buf[in.r:in.w])
		in.r, in.w = 0, unread
	default:
		buf := make([]byte, max(2*len(in.buf), firstInput))
		copy(buf, in.buf[in.r:in.w])
		in.buf, in.r, in.w = buf, 0, unread
	}
}

// await reads until all of b can be filled with what is unread, which it copies without taking
// it. b must be no longer than a buffer. It returns false if the input ends first.
func (in *input) await(r io.Reader, b []byte) bool {
	for in.w-in.r < len(b) {
		if in.fill(r) != nil {
			return false
		}
	}
	copy(b, in.buf[in.r:])
	return true
}
