package store

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// nodeVersion is the first byte of a node record.
const nodeVersion = 1

// nodeVarints is the number of variable-length integers behind the flags of a node record.
const nodeVarints = 9

// Flags of a node record.
const (
	flagData  = 1 << iota // data is not null
	flagACL               // an access control list is stored
	flagOwner             // the owner is not 0
	flagsKnown
)

// minACL is the length of the shortest stored ACL entry: perms and two lengths.
const minACL = 3

// ErrFormat is the error of a record or a file that a newer version wrote.
var ErrFormat = disk.ErrFormat

var (
	errTruncated = errors.New("record is cut short")
	errRange     = errors.New("number out of range")
	errFlags     = errors.New("unknown flags")
	errTrailing  = errors.New("bytes after the end of the record")
	errACLCount  = errors.New("more ACL entries than bytes")
)

// appendNode appends the record of n.
func appendNode(dst []byte, n *znode.Node) []byte {
	var flags byte
	if n.Data != nil {
		flags |= flagData
	}
	if n.ACL != nil {
		flags |= flagACL
	}
	if n.Owner != 0 {
		flags |= flagOwner
	}
	dst = append(dst, nodeVersion, flags)
	dst = binary.AppendVarint(dst, int64(n.Czxid))
	dst = binary.AppendVarint(dst, int64(n.Mzxid-n.Czxid))
	dst = binary.AppendVarint(dst, int64(n.Pzxid-n.Czxid))
	dst = binary.AppendVarint(dst, n.Ctime)
	dst = binary.AppendVarint(dst, n.Mtime-n.Ctime)
	dst = binary.AppendVarint(dst, int64(n.Version))
	dst = binary.AppendVarint(dst, int64(n.Aversion))
	dst = binary.AppendVarint(dst, int64(n.Created))
	dst = binary.AppendVarint(dst, int64(n.NumChildren))
	if n.Owner != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.Owner))
	}
	if n.ACL != nil {
		dst = binary.AppendUvarint(dst, uint64(len(n.ACL)))
		for i := range n.ACL {
			a := &n.ACL[i]
			dst = binary.AppendVarint(dst, int64(a.Perms))
			dst = append(binary.AppendUvarint(dst, uint64(len(a.ID.Scheme))), a.ID.Scheme...)
			dst = append(binary.AppendUvarint(dst, uint64(len(a.ID.ID))), a.ID.ID...)
		}
	}
	return append(dst, n.Data...)
}

// decodeNode reads a node record into n. It copies what it keeps, so rec may be reused;
// data costs one allocation, a list of ACLs a few.
func decodeNode(n *znode.Node, rec []byte) error {
	if len(rec) < 2 {
		return errTruncated
	}
	if rec[0] != nodeVersion {
		return ErrFormat
	}
	flags := rec[1]
	if flags >= flagsKnown {
		return errFlags
	}
	r := reader{buf: rec[2:]}
	*n = znode.Node{}
	n.Czxid = zxid.ID(r.varint())
	n.Mzxid = n.Czxid + zxid.ID(r.varint())
	n.Pzxid = n.Czxid + zxid.ID(r.varint())
	n.Ctime = r.varint()
	n.Mtime = n.Ctime + r.varint()
	n.Version = r.int32()
	n.Aversion = r.int32()
	n.Created = r.int32()
	n.NumChildren = r.int32()
	if flags&flagOwner != 0 {
		n.Owner = proto.SessionID(r.uint64())
	}
	if flags&flagACL != 0 {
		n.ACL = r.acl()
	}
	if r.err != nil {
		return r.err
	}
	switch {
	case flags&flagData != 0:
		n.Data = make([]byte, len(r.buf))
		copy(n.Data, r.buf)
	case len(r.buf) != 0:
		return errTrailing
	}
	return nil
}

// dataLen returns the length of the data in a node record, without copying anything.
func dataLen(rec []byte) (int, error) {
	if len(rec) < 2 {
		return 0, errTruncated
	}
	if rec[0] != nodeVersion {
		return 0, ErrFormat
	}
	flags := rec[1]
	if flags >= flagsKnown {
		return 0, errFlags
	}
	r := reader{buf: rec[2:]}
	for range nodeVarints {
		r.varint()
	}
	if flags&flagOwner != 0 {
		r.uint64()
	}
	if flags&flagACL != 0 {
		for range r.count() {
			r.varint()
			r.bytes()
			r.bytes()
		}
	}
	if r.err == nil && flags&flagData == 0 && len(r.buf) != 0 {
		return 0, errTrailing
	}
	return len(r.buf), r.err
}

// ownerOf returns the owner word of a node record without decoding the rest.
func ownerOf(rec []byte) (proto.SessionID, error) {
	if len(rec) < 2 {
		return 0, errTruncated
	}
	if rec[0] != nodeVersion {
		return 0, ErrFormat
	}
	if rec[1]&flagOwner == 0 {
		return 0, nil
	}
	r := reader{buf: rec[2:]}
	for range nodeVarints {
		r.varint()
	}
	owner := proto.SessionID(r.uint64())
	return owner, r.err
}

// reader takes fields off a record. After the first error it yields zeros.
type reader struct {
	buf []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.buf = nil
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.fail(errRange)
		return 0
	}
	return int32(v)
}

func (r *reader) uint64() uint64 {
	if len(r.buf) < 8 {
		r.fail(errTruncated)
		return 0
	}
	v := binary.BigEndian.Uint64(r.buf)
	r.buf = r.buf[8:]
	return v
}

// bytes returns a field that its length precedes; it shares the record's memory.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.buf)) {
		r.fail(errTruncated)
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

// count returns the number of ACL entries that follow.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.buf)/minACL) {
		r.fail(errACLCount)
		return 0
	}
	return int(n)
}

func (r *reader) acl() []proto.ACL {
	n := r.count()
	if r.err != nil {
		return nil
	}
	acl := make([]proto.ACL, n)
	for i := range acl {
		acl[i].Perms = proto.Perms(r.int32())
		acl[i].ID.Scheme = string(r.bytes())
		acl[i].ID.ID = string(r.bytes())
	}
	return acl
}

// Versions of the applied record, its first byte. They differ in what they vouch for, not in
// their layout.
const (
	// appliedUnmarked is written by versions of this program that know no column of marks, and
	// stands in the trailer of every stream.
	appliedUnmarked byte = 1
	// appliedVersion says that the column of marks is what the nodes say.
	appliedVersion byte = 2
)

// appliedLen is the length of the applied record.
const appliedLen = 1 + 6*8

// Totals sums up a tree at one point of the history.
type Totals struct {
	At         zxid.Point
	Digest     uint64 // sum of the digests of all nodes
	Nodes      int
	Ephemerals int
	DataSize   int64 // bytes of all paths and data
}

func (t *Totals) append(dst []byte, version byte) []byte {
	dst = append(dst, version)
	for _, v := range [...]uint64{
		uint64(t.At.ID), t.At.Hash, t.Digest, uint64(t.Nodes), uint64(t.Ephemerals), uint64(t.DataSize),
	} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

// decode reads an applied record of a version up to the newest one that is allowed.
func (t *Totals) decode(rec []byte, newest byte) error {
	if len(rec) == 0 {
		return errTruncated
	}
	if rec[0] < appliedUnmarked || rec[0] > newest {
		return ErrFormat
	}
	if len(rec) != appliedLen {
		return errTruncated
	}
	r := reader{buf: rec[1:]}
	t.At.ID = zxid.ID(r.uint64())
	t.At.Hash = r.uint64()
	t.Digest = r.uint64()
	t.Nodes = int(r.uint64())
	t.Ephemerals = int(r.uint64())
	t.DataSize = int64(r.uint64())
	if t.At.ID < 0 || t.Nodes < 0 || t.Ephemerals < 0 || t.DataSize < 0 {
		return errRange
	}
	return nil
}

// origin says which staged snapshot the tree was last replaced by.
type origin struct {
	generation uint64 // counts the replacements of this tree
	name       string
}

func (o origin) append(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, o.generation), o.name...)
}

func (o *origin) decode(rec []byte) error {
	if len(rec) < 8 {
		return errTruncated
	}
	*o = origin{generation: binary.BigEndian.Uint64(rec), name: string(rec[8:])}
	return nil
}
