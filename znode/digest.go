package znode

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/proto"
)

// digestBlock is the length of the block that NodeDigest hashes: 13 words of 8 bytes.
const digestBlock = 13 * 8

// DigestVersion names NodeDigest's algorithm in transactions, and separates digests of different
// definitions of it. Apache's is 2.
const DigestVersion = 1

// undigested reports whether a node is no part of the digest that travels with transactions: what
// lies below SystemPath, as in ZooKeeper. Apply keeps the usage of quotas there.
func undigested(path string) bool {
	return len(path) > len(SystemPath) && path[len(SystemPath)] == '/' && path[:len(SystemPath)] == SystemPath
}

// Travels reports whether a node is part of the digest that travels with transactions.
func Travels(path string) bool { return !undigested(path) }

// SystemDigest returns the part of a tree's digest that does not travel with transactions. It looks
// at every node below SystemPath.
func SystemDigest(v View) uint64 {
	var sum uint64
	paths := []string{SystemPath}
	for len(paths) > 0 {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		if n := v.Node(path); undigested(path) {
			sum += NodeDigest(path, n)
		}
		v.Children(path, func(name string) bool {
			paths = append(paths, path+"/"+name)
			return true
		})
	}
	return sum
}

// NodeDigest returns a hash of a node and everything that is kept about it, 0 for nil. The
// digest of a tree is the sum, modulo 2^64, of its nodes' digests: it does not depend
// on the order of changes, and a change moves it by the difference of two hashes. Two servers
// at the same zxid must have the same digest; the number has no meaning to others
// and is not Apache's.
func NodeDigest(path string, n *Node) uint64 {
	if n == nil {
		return 0
	}
	return blockDigest(path, n, xxhash.Sum64(n.Data), dataLen(n.Data))
}

// blockDigest is NodeDigest with the hash and the length of the data given.
func blockDigest(path string, n *Node, dataHash uint64, dataLen int) uint64 {
	var b [digestBlock]byte
	words := [digestBlock / 8]uint64{
		xxhash.Sum64String(path),
		dataHash,
		uint64(dataLen),
		aclDigest(n.ACL),
		uint64(n.Czxid),
		uint64(n.Mzxid),
		uint64(n.Pzxid),
		uint64(n.Ctime),
		uint64(n.Mtime),
		uint64(uint32(n.Version))<<32 | uint64(uint32(n.Aversion)),
		uint64(uint32(n.Created))<<32 | uint64(uint32(n.NumChildren)),
		uint64(n.Owner),
		DigestVersion,
	}
	for i, w := range words {
		binary.LittleEndian.PutUint64(b[8*i:], w)
	}
	return xxhash.Sum64(b[:])
}

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
