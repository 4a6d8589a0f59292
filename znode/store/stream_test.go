package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Every damage to a stream is noticed, and the live tree does not notice.
func TestBadStreams(t *testing.T) {
	_, stream := source(t, 10_000)
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	grow(t, s, m, 10, 100)

	damaged := map[string][][]byte{
		"empty":             {},
		"header alone":      stream[:1],
		"no trailer":        stream[:len(stream)-1],
		"no header":         stream[1:],
		"chunk lost":        append(append([][]byte{}, stream[:2]...), stream[3:]...),
		"chunk twice":       append(append([][]byte{}, stream[:3]...), stream[2:]...),
		"chunk after end":   append(append([][]byte{}, stream...), stream[len(stream)-1]),
		"empty chunk":       append([][]byte{{}}, stream...),
		"chunks glued":      append([][]byte{append(bytes.Clone(stream[0]), stream[1]...)}, stream[2:]...),
		"chunk cut":         with(stream, 2, func(b []byte) []byte { return b[:len(b)-1] }),
		"other kind":        with(stream, 2, resealed(8, 0x7f)),
		"magic":             with(stream, 0, resealed(store.ChunkPayload, 'X')),
		"future version":    with(stream, 0, resealed(store.ChunkPayload+4, 99)),
		"header's zxid":     with(stream, 0, resealed(store.ChunkPayload+9, 1)),
		"trailer's zxid":    with(stream, len(stream)-1, resealed(store.ChunkPayload+5, 1)),
		"trailer's digest":  with(stream, len(stream)-1, resealed(store.ChunkPayload+20, 0xee)),
		"trailer's nodes":   with(stream, len(stream)-1, resealed(store.ChunkPayload+32, 0xee)),
		"trailer's hash":    with(stream, len(stream)-1, resealed(len(stream[len(stream)-1])-1, 0xee)),
		"trailer's records": with(stream, len(stream)-1, resealed(len(stream[len(stream)-1])-9, 0xee)),
		"meta column":       withRecord(stream, []byte{4, 'a'}, nil),
		"unknown column":    withRecord(stream, []byte{9}, nil),
		"key out of order":  withRecord(stream, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, '/'}, nil),
	}
	for i := range stream { // a flipped bit anywhere
		for _, at := range []int{0, 4, 8, 10, len(stream[i]) / 2, len(stream[i]) - 1} {
			damaged[fmt.Sprintf("bit in byte %d of chunk %d", at, i)] = with(stream, i, func(b []byte) []byte { b[at] ^= 0x10; return b })
		}
	}
	for what, bad := range damaged {
		st, err := stage(s, "bad", bad)
		if !errors.Is(err, store.ErrBadStream) {
			t.Errorf("%s: %v, want ErrBadStream", what, err)
		}
		if err := s.Replace(st); err == nil {
			t.Fatalf("%s: replaced the tree by it", what)
		}
		if err := st.Close(); err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
		if err := st.Write(stream[0]); err == nil {
			t.Errorf("%s: a closed staging takes chunks", what)
		}
	}
	m.check(t, s)
	if _, err := stage(s, "good", stream); err != nil {
		t.Errorf("the stream that all of this was made of is refused: %v", err)
	}
}

// with returns the stream with chunk i changed by f.
func with(stream [][]byte, i int, f func([]byte) []byte) [][]byte {
	out := append([][]byte{}, stream...)
	out[i] = f(bytes.Clone(out[i]))
	return out
}

// resealed sets one byte and corrects the checksum, as a faulty sender would.
func resealed(at int, value byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] = value
		store.SealChunk(b)
		return b
	}
}

// withRecord adds a record to the end of the second chunk.
func withRecord(stream [][]byte, key, value []byte) [][]byte {
	return with(stream, 2, func(b []byte) []byte {
		b = store.AppendEntry(b, key, value)
		store.SealChunk(b)
		return b
	})
}

// A sender whose tree contradicts itself is found out though every checksum and the trailer
// are right. The first case is a tree, so that the others fail for what is wrong with them.
func TestInconsistentTrees(t *testing.T) {
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	root := func(children int32) *znode.Node { return &znode.Node{NumChildren: children} }
	owned := func(owner sessionID) *znode.Node { return &znode.Node{Owner: owner} }
	index := func(owner byte, path string) []byte {
		return append([]byte{1, 0, 0, 0, 0, 0, 0, 0, owner}, path...)
	}
	mark := func(path string) []byte { return append([]byte{0}, path...) }
	session := []byte{3, 0, 0, 0, 0, 0, 0, 0, 7}
	container, ttl := znode.ContainerOwner, znode.TTLOwner(7)
	type record struct {
		key   []byte
		node  *znode.Node // or
		value []byte
	}
	node := func(path string, n *znode.Node) record { return record{key: store.NodeKey(nil, path), node: n} }
	for _, tc := range []struct {
		what    string
		want    string // part of the error, "" for none
		records []record
	}{
		{"a tree", "", []record{{key: index(7, "/x")}, node("/", root(1)), node("/x", owned(7)), {key: session, value: []byte{0, 0, 0, 1}}}},
		{"no root", "no root", []record{node("/x", owned(0))}},
		{"child that is not counted", "child counts", []record{node("/", root(0)), node("/x", owned(0))}},
		{"child that is not there", "child counts", []record{node("/", root(2)), node("/x", owned(0))}},
		{"ephemeral that is not indexed", "index", []record{node("/", root(1)), node("/x", owned(7))}},
		{"index of another path", "index", []record{{key: index(7, "/y")}, node("/", root(1)), node("/x", owned(7))}},
		{"index of another owner", "index", []record{{key: index(8, "/x")}, node("/", root(1)), node("/x", owned(7))}},
		{"index of a persistent node", "index", []record{{key: index(7, "/x")}, node("/", root(1)), node("/x", owned(0))}},
		{"value in the index", "value", []record{{key: index(7, "/x"), value: []byte{1}}, node("/", root(1)), node("/x", owned(7))}},
		{"marks", "", []record{{key: mark("/c")}, {key: mark("/t")}, node("/", root(2)), node("/c", owned(container)), node("/t", owned(ttl))}},
		{"container without a mark", "marks", []record{{key: mark("/t")}, node("/", root(2)), node("/c", owned(container)), node("/t", owned(ttl))}},
		{"mark of a persistent node", "marks", []record{{key: mark("/x")}, node("/", root(1)), node("/x", owned(0))}},
		{"mark of an ephemeral", "marks", []record{{key: mark("/x")}, {key: index(7, "/x")}, node("/", root(1)), node("/x", owned(7))}},
		{"mark of no node", "marks", []record{{key: mark("/c")}, {key: mark("/d")}, node("/", root(1)), node("/c", owned(container))}},
		{"mark of no path", "key", []record{{key: mark("x")}, node("/", root(0))}},
		{"value in a mark", "value", []record{{key: mark("/c"), value: []byte{1}}, node("/", root(1)), node("/c", owned(container))}},
		{"wrong depth", "key", []record{node("/", root(1)), {key: []byte{2, 0, 3, '/', 'x'}, node: owned(0)}}},
		{"bad session", "cut short", []record{node("/", root(0)), {key: session, value: []byte{1}}}},
		{"keys out of order", "order", []record{node("/", root(2)), node("/b", owned(0)), node("/a", owned(0))}},
		{"key twice", "order", []record{node("/", root(1)), node("/x", owned(0)), node("/x", owned(0))}},
		{"meta column", "column", []record{node("/", root(0)), {key: []byte{4, 'a'}}}},
	} {
		totals := store.Totals{At: point(9)}
		var payload []byte
		for _, r := range tc.records {
			if r.node != nil {
				path := string(r.key[3:])
				totals.Nodes++
				totals.DataSize += int64(len(path))
				totals.Digest += znode.NodeDigest(path, r.node)
				r.value = store.AppendNode(nil, r.node)
			} else if r.key[0] == 1 {
				totals.Ephemerals++
			}
			payload = store.AppendEntry(payload, r.key, r.value)
		}
		st, err := stage(s, "odd", store.SealedStream(totals, uint64(len(tc.records)), payload))
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.what, err)
		case tc.want != "" && (!errors.Is(err, store.ErrBadStream) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want ErrBadStream about %q", tc.what, err, tc.want)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}
