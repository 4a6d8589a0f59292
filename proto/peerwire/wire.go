package peerwire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ErrMalformed is wrapped by every error of this package: the bytes are not what a
// server of this protocol would send. The connection that brought them is to be closed.
var ErrMalformed = errors.New("peerwire: malformed message")

// The append and size functions leave a field out when its value is zero, as proto3 does.

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func sizeUint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func zigzag(s quorum.SID) uint64 { return protowire.EncodeZigZag(int64(s)) }

func appendSID(dst []byte, num protowire.Number, s quorum.SID) []byte {
	return appendUint(dst, num, zigzag(s))
}

func appendBool(dst []byte, num protowire.Number, v bool) []byte {
	return appendUint(dst, num, protowire.EncodeBool(v))
}

func appendFixed(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendFixed64(protowire.AppendTag(dst, num, protowire.Fixed64Type), v)
}

func sizeFixed(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeFixed64()
}

func appendBytes(dst []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

func appendID16(dst []byte, num protowire.Number, v [16]byte) []byte {
	if v == ([16]byte{}) {
		return dst
	}
	return appendBytes(dst, num, v[:])
}

func sizeID16(num protowire.Number, v [16]byte) int {
	if v == ([16]byte{}) {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(len(v))
}

// appendHead opens a nested message of n bytes.
func appendHead(dst []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.BytesType), uint64(n))
}

// reader walks over the fields of one message. After next said true exactly one of
// the methods that consume the value of field num is to be called. The first error sticks
// and ends the walk; values read after it are zero.
type reader struct {
	b   []byte // what is left
	num protowire.Number
	typ protowire.Type
	err error
}

// next reads the tag of the next field; false at the end or after an error.
func (r *reader) next() bool {
	if r.err != nil || len(r.b) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.b)
	if n < 0 || num > protowire.MaxValidNumber {
		r.fail("bad field tag")
		return false
	}
	r.num, r.typ, r.b = num, typ, r.b[n:]
	return true
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s (field %d)", ErrMalformed, why, r.num)
	}
}

// join takes over the error of a nested message.
func (r *reader) join(sub *reader) {
	if r.err == nil {
		r.err = sub.err
	}
}

// consumed moves on behind a value of n bytes; false if there was none.
func (r *reader) consumed(n int) bool {
	if n < 0 {
		r.fail("truncated or overlong value")
		return false
	}
	r.b = r.b[n:]
	return true
}

// want checks the type of the field.
func (r *reader) want(typ protowire.Type) bool {
	if r.typ != typ {
		r.fail("wrong wire type")
	}
	return r.err == nil
}

func (r *reader) uint(most uint64) uint64 {
	if !r.want(protowire.VarintType) {
		return 0
	}
	v, n := protowire.ConsumeVarint(r.b)
	if !r.consumed(n) {
		return 0
	}
	if v > most {
		r.fail("number out of range")
		return 0
	}
	return v
}

func (r *reader) bool() bool { return r.uint(1) == 1 }

func (r *reader) epoch() zxid.Epoch { return zxid.Epoch(r.uint(uint64(zxid.MaxEpoch))) }

// sid reads a server id that is not below lowest, which is quorum.None or 0.
func (r *reader) sid(lowest quorum.SID) quorum.SID {
	v := protowire.DecodeZigZag(r.uint(2 * uint64(quorum.MaxSID)))
	if v < int64(lowest) {
		r.fail("no such server id")
		return 0
	}
	return quorum.SID(v)
}

func (r *reader) fixed() uint64 {
	if !r.want(protowire.Fixed64Type) {
		return 0
	}
	v, n := protowire.ConsumeFixed64(r.b)
	if !r.consumed(n) {
		return 0
	}
	return v
}

// bytes returns a part of the input, nil if it is empty; its capacity ends with it.
func (r *reader) bytes() []byte {
	if !r.want(protowire.BytesType) {
		return nil
	}
	v, n := protowire.ConsumeBytes(r.b)
	if !r.consumed(n) || len(v) == 0 {
		return nil
	}
	return v[:len(v):len(v)]
}

func (r *reader) id16() (id [16]byte) {
	v := r.bytes()
	if len(v) != 0 && len(v) != len(id) {
		r.fail("an id has 16 bytes")
		return id
	}
	copy(id[:], v)
	return id
}

// count returns how many elements of the field at hand are still to come, this one
// included, but never more than the remaining bytes can hold at `least` bytes each. It looks
// ahead and consumes nothing; errors are left for the real walk to find.
func (r *reader) count(least int) int {
	total, most := 1, (len(r.b)+1)/least+1
	ahead := *r
	ahead.skip()
	for ahead.next() {
		if ahead.num == r.num {
			total++
		}
		ahead.skip()
	}
	return min(total, most)
}

// skip passes over the value of a field. Groups, which proto3 does not have, are refused.
func (r *reader) skip() {
	if r.typ == protowire.StartGroupType || r.typ == protowire.EndGroupType {
		r.fail("group")
		return
	}
	r.consumed(protowire.ConsumeFieldValue(r.num, r.typ, r.b))
}
