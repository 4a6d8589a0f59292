package jute

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is the root of every decoding error: the bytes are not the
// record that was expected. The protocol's answer to it is MarshallingError.
var ErrMalformed = errors.New("jute: malformed record")

// Cursor reads primitives from the front of a byte slice. The zero Cursor is
// empty. A Cursor is a plain value without locks: one goroutine at a time.
type Cursor struct {
	rest []byte // not yet read; nil after an error, so that every later read fails its length check
	err  error  // the first error, nil while all is well
}

// NewCursor returns a Cursor at the start of b. The Cursor never writes to b.
func NewCursor(b []byte) Cursor { return Cursor{rest: b} }

// Err returns the first error, nil if there was none. It matches ErrMalformed.
func (c *Cursor) Err() error { return c.err }

// Remaining returns the number of bytes not yet read, 0 after an error.
func (c *Cursor) Remaining() int { return len(c.rest) }

// Rest returns the bytes not yet read, without reading them. The slice aliases
// the input; it is nil after an error.
func (c *Cursor) Rest() []byte { return c.rest }

// Fail makes the Cursor fail as if the bytes themselves were wrong, for rules of a
// record that the primitives do not know. It does nothing after an earlier error.
func (c *Cursor) Fail(reason string) {
	if c.err == nil {
		c.fail(fmt.Errorf("%w: %s", ErrMalformed, reason))
	}
}

func (c *Cursor) fail(err error) {
	c.err = err
	c.rest = nil
}

// short records that a primitive does not fit into what is left.
func (c *Cursor) short(what string, need int64) {
	if c.err == nil {
		c.fail(fmt.Errorf("%w: %s needs %d bytes, %d are left", ErrMalformed, what, need, len(c.rest)))
	}
}

// Int reads a 4-byte integer.
func (c *Cursor) Int() int32 {
	if len(c.rest) < 4 {
		c.short("int", 4)
		return 0
	}
	v := binary.BigEndian.Uint32(c.rest)
	c.rest = c.rest[4:]
	return int32(v)
}

// Long reads an 8-byte integer.
func (c *Cursor) Long() int64 {
	if len(c.rest) < 8 {
		c.short("long", 8)
		return 0
	}
	v := binary.BigEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return int64(v)
}

// Bool reads one byte; every value but zero is true.
func (c *Cursor) Bool() bool {
	if len(c.rest) < 1 {
		c.short("boolean", 1)
		return false
	}
	v := c.rest[0] != 0
	c.rest = c.rest[1:]
	return v
}

// Buffer reads a length-prefixed run of bytes: nil for null, a non-nil slice of length
// zero for empty. The slice aliases the input and is capped, so that appending to
// it cannot overwrite what follows.
func (c *Cursor) Buffer() []byte {
	b, present := c.bytes("buffer")
	if !present {
		return nil
	}
	return b
}

// String reads a string; null reads as "". Malformed UTF-8 is repaired with U+FFFD
// as StringOK says.
func (c *Cursor) String() string {
	s, _ := c.StringOK()
	return s
}

// StringOK reads a string and tells null (present is false) from empty. Each malformed
// sequence becomes one U+FFFD, cut where Java's decoder cuts, so that both servers
// see the same text in the same bytes.
func (c *Cursor) StringOK() (s string, present bool) {
	b, present := c.bytes("string")
	if !present {
		return "", false
	}
	return decodeUTF8(b), true
}

// KnownString is StringOK for a field that nearly always holds the same text: it returns
// known itself, without a copy, if that is what is there.
func (c *Cursor) KnownString(known string) (s string, present bool) {
	b, present := c.bytes("string")
	if !present {
		return "", false
	}
	if string(b) == known {
		return known, true
	}
	return decodeUTF8(b), true
}

// bytes reads a length and that many bytes. present is false for null and after
// an error.
func (c *Cursor) bytes(what string) (b []byte, present bool) {
	n := c.Int()
	switch {
	case c.err != nil || n == -1:
		return nil, false
	case n < -1:
		c.fail(fmt.Errorf("%w: %s of length %d", ErrMalformed, what, n))
		return nil, false
	case int64(n) > int64(len(c.rest)):
		c.short(what, int64(n))
		return nil, false
	}
	b = c.rest[:n:n]
	c.rest = c.rest[n:]
	return b, true
}

// Count reads the number of elements of a vector, each of which takes at least
// minSize bytes (minSize > 0): -1 for null, 0 for other negative numbers and after an
// error. A count that the remaining bytes cannot hold is an error, so the result may
// be used to allocate: it is at most Remaining()/minSize.
func (c *Cursor) Count(minSize int) int {
	n := c.Int()
	switch {
	case c.err != nil:
		return 0
	case n == -1:
		return -1
	case n < 0:
		return 0
	case int64(n)*int64(minSize) > int64(len(c.rest)):
		c.short("vector", int64(n)*int64(minSize))
		return 0
	}
	return int(n)
}
