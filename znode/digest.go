package znode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/proto"
)

// digestBlock is the length of the block that NodeDigest hashes: 13 words of 8 bytes.
const digestBlock = 13 * 8

// NodeDigest returns a hash of a node and everything that is kept about it, 0 for nil. The
// digest of a tree is the sum, modulo 2^64, of its nodes' digests: it does not depend
// on the order of changes, and a change moves it by the difference of two hashes. Two servers
// at the same zxid must have the same digest; the number has no meaning to others
// and is not Apache's.
func NodeDigest(path string, n *Node) uint64 {
	if n == nil {
		return 0
	}
	var b [digestBlock]byte
	words := [digestBlock / 8]uint64{
		xxhash.Sum64String(path),
		xxhash.Sum64(n.Data),
		uint64(dataLen(n.Data)),
		aclDigest(n.ACL),
		uint64(n.Czxid),
		uint64(n.Mzxid),
		uint64(n.Pzxid),
		uint64(n.Ctime),
		uint64(n.Mtime),
		uint64(uint32(n.Version))<<32 | uint64(uint32(n.Aversion)),
		uint64(uint32(n.Created))<<32 | uint64(uint32(n.NumChildren)),
		uint64(n.Owner),
		digestVersion,
	}
	for i, w := range words {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	return xxhash.Sum64(b[:])
}

// digestVersion separates digests of different definitions of NodeDigest.
const digestVersion = 1

// dataLen tells null data (-1) from empty.
func dataLen(data []byte) int {
	if data == nil {
		return -1
	}
	return len(data)
}

// aclDigest hashes a list of ACLs, order included; 0 for nil.
func aclDigest(acl []proto.ACL) uint64 {
	var h uint64
	for i := range acl {
		var b [32]byte
		binary.LittleEndian.PutUint64(b[0:], h)
		binary.LittleEndian.PutUint64(b[8:], uint64(uint32(acl[i].Perms))|1<<32)
		binary.LittleEndian.PutUint64(b[16:], xxhash.Sum64String(acl[i].ID.Scheme))
		binary.LittleEndian.PutUint64(b[24:], xxhash.Sum64String(acl[i].ID.ID))
		h = xxhash.Sum64(b[:])
	}
	return h
}
