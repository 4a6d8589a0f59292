package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// audit reads a tree record by record, in the order of its keys, and finds out whether
// it is one: every record decodes, the order holds, the child counts add up, and the
// index of ephemerals and the marks are what the nodes say. It sums up the totals on the way.
type audit struct {
	totals  Totals
	records uint64

	system uint64 // the part of the digest that does not travel with transactions

	last        []byte // key of the record before
	node        znode.Node
	children    int64  // sum of all child counts
	indexHash   uint64 // of the index of ephemerals, whatever its order
	ownedHash   uint64 // of the nodes' owners, likewise
	marks       uint64 // number of marks
	marksHash   uint64 // of the marks, whatever their order
	markedHash  uint64 // of the nodes that must have one, likewise
	rootPresent bool
}

var (
	errOrder    = errors.New("keys out of order")
	errColumn   = errors.New("unknown column")
	errValue    = errors.New("value where none belongs")
	errNoRoot   = errors.New("no root node")
	errChildren = errors.New("child counts do not add up to the number of nodes")
	errIndex    = errors.New("index of ephemerals differs from the nodes' owners")
	errMarks    = errors.New("marks differ from the containers and the nodes with a time to live")
)

// add takes the next record. It keeps neither slice.
func (a *audit) add(key, value []byte) error {
	if bytes.Compare(key, a.last) <= 0 {
		return errOrder
	}
	a.last = append(a.last[:0], key...)
	a.records++
	switch key[0] {
	case colMark:
		path, err := parseMarkKey(key)
		if err != nil {
			return err
		}
		if len(value) != 0 {
			return errValue
		}
		a.marks++
		a.marksHash += xxhash.Sum64(path)
		return nil
	case colEphemeral:
		owner, path, err := parseEphemeralKey(key)
		if err != nil {
			return err
		}
		if len(value) != 0 {
			return errValue
		}
		a.totals.Ephemerals++
		a.indexHash += ownedHash(owner, path)
		return nil
	case colNode:
		return a.addNode(key, value)
	case colSession:
		if _, err := parseSessionKey(key); err != nil {
			return err
		}
		_, err := parseTimeout(value)
		return err
	}
	return errColumn
}

func (a *audit) addNode(key, value []byte) error {
	path, err := parseNodeKey(key)
	if err != nil {
		return err
	}
	n := &a.node
	if err := decodeNode(n, value); err != nil {
		return fmt.Errorf("node %q: %w", path, err)
	}
	if n.NumChildren < 0 {
		return fmt.Errorf("node %q: %w", path, errChildren)
	}
	a.totals.Nodes++
	a.totals.DataSize += nodeSize(path, n)
	digest := znode.NodeDigest(path, n)
	a.totals.Digest += digest
	if !znode.Travels(path) {
		a.system += digest
	}
	a.children += int64(n.NumChildren)
	a.rootPresent = a.rootPresent || path == "/"
	switch {
	case n.Ephemeral():
		a.ownedHash += ownedHash(n.Owner, key[nodePrefixLen:])
	case znode.MayExpire(n.Owner):
		a.markedHash += xxhash.Sum64(key[nodePrefixLen:])
	}
	return nil
}

// finish judges the tree as a whole.
func (a *audit) finish() error {
	switch {
	case !a.rootPresent:
		return errNoRoot
	case a.children != int64(a.totals.Nodes-1):
		return errChildren
	case a.indexHash != a.ownedHash:
		return errIndex
	case a.marksHash != a.markedHash:
		return errMarks
	}
	return nil
}

func ownedHash(owner proto.SessionID, path []byte) uint64 {
	// The multiplication spreads the owner's bits; a sum of such hashes is
	// independent of the order.
	return xxhash.Sum64(path) ^ (uint64(owner)*0x9e3779b97f4a7c15 + 1)
}
