package jute

import "encoding/binary"

// AppendInt appends a 4-byte integer.
func AppendInt(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(v))
}

// AppendLong appends an 8-byte integer.
func AppendLong(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

// AppendBool appends 00 or 01.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendNull appends the length -1: a null buffer, string or vector.
func AppendNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

// AppendBuffer appends b with its length in front; nil is null. b must be
// shorter than 2 GiB, which the limit on frames guarantees.
func AppendBuffer(dst, b []byte) []byte {
	if b == nil {
		return AppendNull(dst)
	}
	return append(AppendInt(dst, int32(len(b))), b...)
}

// AppendString appends s with its length in front. s must be shorter than 2 GiB,
// which the limit on frames guarantees. A null string is AppendNull.
func AppendString(dst []byte, s string) []byte {
	return append(AppendInt(dst, int32(len(s))), s...)
}

// AppendCount appends the number of elements of a vector; -1 is null.
func AppendCount(dst []byte, n int) []byte { return AppendInt(dst, int32(n)) }
