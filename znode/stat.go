package znode

import (
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
)

// ContainerOwner is the owner word of container nodes (spec semantics 2).
const ContainerOwner proto.SessionID = math.MinInt64

// The owner word of a TTL node is a top byte of ones, two bytes of zeros, and the time to
// live in milliseconds. The zeros tell it from the sessions of a server with id 255.
const (
	ttlMark     = 0xff << 56
	ttlMarkMask = 0xffffff << 40
	// MaxTTL is the longest time to live of a TTL node in milliseconds.
	MaxTTL = 1<<40 - 1
)

// TTLOwner returns the owner word of a TTL node; ms must be 1 to MaxTTL.
func TTLOwner(ms int64) proto.SessionID {
	return proto.SessionID(uint64(ttlMark) | uint64(ms))
}

// TTL returns the time to live in milliseconds of a TTL node, 0 for every other node.
func (n *Node) TTL() int64 {
	if !isTTLOwner(n.Owner) {
		return 0
	}
	return int64(uint64(n.Owner) &^ uint64(ttlMarkMask))
}

func isTTLOwner(owner proto.SessionID) bool {
	return uint64(owner)&ttlMarkMask == ttlMark && uint64(owner) != ttlMark
}

// isSession reports whether an owner word names a session, so that the node is ephemeral.
func isSession(owner proto.SessionID) bool {
	return owner != 0 && owner != ContainerOwner && !isTTLOwner(owner)
}

// Ephemeral reports whether the node dies with the session Owner.
func (n *Node) Ephemeral() bool { return isSession(n.Owner) }

// Stat returns what clients are told about the node (spec semantics 2). Of the owner words
// they see only the session of an ephemeral.
func (n *Node) Stat() proto.Stat {
	s := proto.Stat{
		Czxid:       n.Czxid,
		Mzxid:       n.Mzxid,
		Ctime:       n.Ctime,
		Mtime:       n.Mtime,
		Version:     n.Version,
		Cversion:    2*n.Created - n.NumChildren, // creations and deletions together
		Aversion:    n.Aversion,
		DataLength:  int32(len(n.Data)),
		NumChildren: n.NumChildren,
		Pzxid:       n.Pzxid,
	}
	if n.Ephemeral() {
		s.EphemeralOwner = n.Owner
	}
	return s
}
