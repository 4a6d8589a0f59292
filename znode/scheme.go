package znode

import (
	"strconv"
	"strings"
)

// network is what an ACL entry of scheme ip means: the addresses of one family whose first
// bits are given. bytes is 4 or 16.
type network struct {
	addr  [16]byte
	bytes int
	bits  int
}

// contains reports whether the textual address belongs to n.
func (n *network) contains(address string) bool {
	addr, bytes, ok := parseAddress(address)
	return ok && bytes == n.bytes && mask(addr, n.bits) == n.addr
}

// parseNetwork reads "address" or "address/bits", with ZooKeeper's grammar: four decimal
// numbers, or groups of up to four hexadecimal digits with at most one "::". IPv4 inside IPv6
// and zones are not known. Numbers may have leading zeros and a sign, as Java reads them (-1 as a
// group is ffff); netip's grammar differs, and what one server accepts and stores every other must
// read alike.
func parseNetwork(text string) (network, bool) {
	address, suffix, hasBits := strings.Cut(text, "/")
	addr, bytes, ok := parseAddress(address)
	if !ok {
		return network{}, false
	}
	bits := 8 * bytes
	if hasBits {
		n, ok := parseDecimal(suffix, bits)
		if !ok {
			return network{}, false
		}
		bits = n
	}
	return network{addr: mask(addr, bits), bytes: bytes, bits: bits}, true
}

func parseAddress(text string) (addr [16]byte, bytes int, ok bool) {
	if strings.IndexByte(text, ':') >= 0 {
		addr, ok = parseIPv6(text)
		return addr, 16, ok
	}
	addr, ok = parseIPv4(text)
	return addr, 4, ok
}

func parseIPv4(text string) (addr [16]byte, ok bool) {
	for i := range 4 {
		part, rest, found := strings.Cut(text, ".")
		n, ok := parseDecimal(part, 255)
		if !ok || found != (i < 3) {
			return addr, false
		}
		addr[i] = byte(n)
		text = rest
	}
	return addr, true
}

func parseIPv6(text string) (addr [16]byte, ok bool) {
	head, tail, compressed := strings.Cut(text, "::")
	before, n, ok := parseGroups(head)
	if !ok {
		return addr, false
	}
	if !compressed {
		return before, n == len(addr)
	}
	after, m, ok := parseGroups(tail)
	if !ok || n+m >= len(addr) {
		return addr, false
	}
	copy(addr[:], before[:n])
	copy(addr[len(addr)-m:], after[:m])
	return addr, true
}

// parseGroups reads groups of hexadecimal digits between colons into the first n bytes of
// addr. No text is no groups.
func parseGroups(text string) (addr [16]byte, n int, ok bool) {
	for more := text != ""; more; {
		var group string
		group, text, more = strings.Cut(text, ":")
		if group == "" || len(group) > 4 || n == len(addr) {
			return addr, 0, false
		}
		v, err := strconv.ParseInt(group, 16, 32)
		if err != nil {
			return addr, 0, false
		}
		addr[n], addr[n+1] = byte(v>>8), byte(v)
		n += 2
	}
	return addr, n, true
}

func hexDigit(c byte) (int, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10, true
	}
	return 0, false
}

// parseDecimal reads a number from 0 to limit. Leading zeros and a sign are allowed.
func parseDecimal(text string, limit int) (int, bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return int(n), err == nil && n >= 0 && n <= int64(limit)
}

// mask returns addr with all but the first bits cleared.
func mask(addr [16]byte, bits int) [16]byte {
	for i := range addr {
		switch left := bits - 8*i; {
		case left <= 0:
			addr[i] = 0
		case left < 8:
			addr[i] &= 0xff << (8 - left)
		}
	}
	return addr
}
