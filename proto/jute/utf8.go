package jute

import "unicode/utf8"

// decodeUTF8 returns b as a string of valid UTF-8, with U+FFFD in the place of
// each malformed sequence. Valid input, which is nearly all input, costs one copy.
func decodeUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+2*utf8.UTFMax)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = malformedLen(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return string(out)
}

// malformedLen returns how many bytes at the start of b, which do not begin a
// valid character, are replaced together: the longest prefix of some valid character
// (Unicode's "maximal subpart"), at least one byte. A surrogate in three bytes is not
// such a prefix, but Java replaces it as one, and the client libraries were
// written against that.
func malformedLen(b []byte) int {
	lead := b[0]
	if len(b) < 2 || lead < 0xe0 || lead > 0xf4 {
		return 1
	}
	lo, hi := byte(0x80), byte(0xbf)
	switch lead {
	case 0xe0:
		lo = 0xa0 // below: overlong
	case 0xf0:
		lo = 0x90 // below: overlong
	case 0xf4:
		hi = 0x8f // above: beyond U+10FFFF
	}
	if b[1] < lo || b[1] > hi {
		return 1
	}
	if len(b) < 3 || !continuation(b[2]) {
		return 2
	}
	return 3
}

func continuation(b byte) bool { return b&0xc0 == 0x80 }
