package store

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Columns, the first byte of every key. doc.go draws the keys.
const (
	colMark      byte = 0
	colEphemeral byte = 1
	colNode      byte = 2
	colSession   byte = 3
	colMeta      byte = 4
)

const (
	markPrefixLen      = 1 // column
	nodePrefixLen      = 3 // column, depth
	ephemeralPrefixLen = 9 // column, owner
	sessionKeyLen      = 9
)

// The two keys of the meta column, and the bounds of all keys and of those that travel
// in a snapshot stream. Never modified.
var (
	appliedKey = []byte{colMeta, 'a'}
	originKey  = []byte{colMeta, 'o'}

	keysStart  = []byte{0}
	keysEnd    = []byte{0xff}
	streamFrom = []byte{colMark}
	streamTo   = []byte{colMeta}
	marksEnd   = []byte{colMark + 1}
)

var errKey = errors.New("malformed key")

// depthOf returns the depth of a path: 0 for the root, else its number of slashes. No node
// is deeper than znode.MaxDepth, which two bytes can say; the key of a deeper
// path wraps around and is no node's, because no path of that depth has as many slashes.
func depthOf(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

func appendNodeKey(dst []byte, path string) []byte {
	return append(binary.BigEndian.AppendUint16(append(dst, colNode), uint16(depthOf(path))), path...)
}

// appendChildPrefix appends what the keys of all children of path start with, and no key
// of another node of their depth. The last byte is always a slash.
func appendChildPrefix(dst []byte, path string) []byte {
	dst = append(binary.BigEndian.AppendUint16(append(dst, colNode), uint16(depthOf(path)+1)), path...)
	if path != "/" {
		dst = append(dst, '/')
	}
	return dst
}

// setDepth makes a key or prefix of the node column one of another depth.
func setDepth(key []byte, depth int) { binary.BigEndian.PutUint16(key[1:], uint16(depth)) }

func appendMarkKey(dst []byte, path string) []byte { return append(append(dst, colMark), path...) }

func appendEphemeralPrefix(dst []byte, owner proto.SessionID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, colEphemeral), uint64(owner))
}

func appendEphemeralKey(dst []byte, owner proto.SessionID, path string) []byte {
	return append(appendEphemeralPrefix(dst, owner), path...)
}

func appendSessionKey(dst []byte, id proto.SessionID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, colSession), uint64(id))
}

// successor turns a key prefix into the smallest key above everything that starts
// with it, in place. It reports false when there is none.
func successor(prefix []byte) bool {
	for i := len(prefix) - 1; i >= 0; i-- {
		prefix[i]++
		if prefix[i] != 0 {
			return true
		}
	}
	return false
}

// parseNodeKey returns the path inside a key of the node column.
func parseNodeKey(key []byte) (string, error) {
	if len(key) <= nodePrefixLen || key[0] != colNode || key[nodePrefixLen] != '/' {
		return "", errKey
	}
	path := string(key[nodePrefixLen:])
	if depthOf(path) != int(binary.BigEndian.Uint16(key[1:])) {
		return "", errKey
	}
	return path, nil
}

// parseMarkKey returns the path inside a key of the column of marks.
func parseMarkKey(key []byte) ([]byte, error) {
	if len(key) <= markPrefixLen || key[0] != colMark || key[markPrefixLen] != '/' {
		return nil, errKey
	}
	return key[markPrefixLen:], nil
}

// parseEphemeralKey returns the owner and the path inside a key of the ephemeral column.
func parseEphemeralKey(key []byte) (proto.SessionID, []byte, error) {
	if len(key) <= ephemeralPrefixLen || key[0] != colEphemeral || key[ephemeralPrefixLen] != '/' {
		return 0, nil, errKey
	}
	return proto.SessionID(binary.BigEndian.Uint64(key[1:])), key[ephemeralPrefixLen:], nil
}

// parseSessionKey returns the session id inside a key of the session column.
func parseSessionKey(key []byte) (proto.SessionID, error) {
	if len(key) != sessionKeyLen || key[0] != colSession {
		return 0, errKey
	}
	return proto.SessionID(binary.BigEndian.Uint64(key[1:])), nil
}
