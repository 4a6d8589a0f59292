package proto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

const (
	// FrameHeaderLen is the length of a frame's length field in bytes.
	FrameHeaderLen = 4
	// DefaultMaxFrame is ZooKeeper's default limit on the length of a request in
	// bytes, the setting jute.maxbuffer. It is one byte less than 1 MiB.
	DefaultMaxFrame = 0xfffff
)

// ErrFrameLen is what CheckFrameLen refuses with: the connection must be closed
// without an answer.
var ErrFrameLen = errors.New("proto: frame length out of range")

// CheckFrameLen judges the length field of an arriving frame against limit, in bytes,
// before anything is allocated for it. The error matches ErrFrameLen.
func CheckFrameLen(n int32, limit int) error {
	if n < 0 || int64(n) > int64(limit) {
		return fmt.Errorf("%w: %d, limit %d", ErrFrameLen, n, limit)
	}
	return nil
}

// BeginFrame appends a length field that EndFrame fills in. mark is EndFrame's argument.
func BeginFrame(dst []byte) (buf []byte, mark int) {
	return append(dst, 0, 0, 0, 0), len(dst)
}

// EndFrame completes the frame that BeginFrame began at mark: everything after it is
// the frame's content. Frames may be nested. It returns buf.
func EndFrame(buf []byte, mark int) []byte {
	n := len(buf) - mark - FrameHeaderLen
	if n < 0 || n > math.MaxInt32 {
		panic(fmt.Sprintf("proto: frame of %d bytes, mark %d in a buffer of %d", n, mark, len(buf)))
	}
	binary.BigEndian.PutUint32(buf[mark:], uint32(n))
	return buf
}

// Appender is a record that can be written.
type Appender interface {
	// Append appends the record's encoding to dst and returns the result.
	Append(dst []byte) []byte
}

// AppendRequest appends a whole request frame. A nil body is none. Passing a record
// as an interface may allocate; a hot path calls BeginFrame, the Append methods
// and EndFrame itself.
func AppendRequest(dst []byte, h RequestHeader, body Appender) []byte {
	dst, mark := BeginFrame(dst)
	dst = h.Append(dst)
	if body != nil {
		dst = body.Append(dst)
	}
	return EndFrame(dst, mark)
}

// AppendReply appends a whole reply frame. A nil body is none; a reply whose h.Err is not
// CodeOK must have none (spec client-protocol 5.2). Passing a record as an interface may
// allocate; a hot path calls BeginReply, the body's Append and EndFrame itself.
func AppendReply(dst []byte, h ReplyHeader, body Appender) []byte {
	dst, mark := BeginReply(dst, h)
	if body != nil {
		dst = body.Append(dst)
	}
	return EndFrame(dst, mark)
}

// BeginReply appends the length field and the header of a reply; EndFrame ends it.
func BeginReply(dst []byte, h ReplyHeader) (buf []byte, mark int) {
	buf, mark = BeginFrame(dst)
	return h.Append(buf), mark
}

// AppendBareReply appends a reply frame without a body: a refusal, or the success of an
// operation that returns nothing.
func AppendBareReply(dst []byte, h ReplyHeader) []byte {
	dst, mark := BeginReply(dst, h)
	return EndFrame(dst, mark)
}

// AppendNotification appends the frame of a watch event. z is the zxid of the transaction
// that caused it, -1 when setWatches did (spec client-protocol 9).
func AppendNotification(dst []byte, z zxid.ID, ev WatcherEvent) []byte {
	dst, mark := BeginReply(dst, ReplyHeader{Xid: XidNotification, Zxid: z})
	return EndFrame(ev.Append(dst), mark)
}
