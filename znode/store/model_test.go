package store_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// model is the tree as plain maps. It derives everything from the nodes, and so
// doubts the store's index and counters.
type model struct {
	at       zxid.Point
	nodes    map[string]*znode.Node
	sessions map[proto.SessionID]int32
}

func newModel() *model {
	m := &model{nodes: map[string]*znode.Node{}, sessions: map[proto.SessionID]int32{}}
	for _, n := range znode.InitialNodes() {
		m.nodes[n.Path] = n.Node
	}
	return m
}

func (m *model) clone() *model {
	return &model{at: m.at, nodes: maps.Clone(m.nodes), sessions: maps.Clone(m.sessions)}
}

func (m *model) install(c *znode.Changes, at zxid.Point) {
	m.at = at
	c.Nodes(func(path string, _, n *znode.Node) {
		if n == nil {
			delete(m.nodes, path)
			return
		}
		kept := *n
		m.nodes[path] = &kept
	})
	c.Sessions(func(id proto.SessionID, timeout int32, live bool) {
		if live {
			m.sessions[id] = timeout
		} else {
			delete(m.sessions, id)
		}
	})
}

func (m *model) children(path string) (names []string) {
	for p := range m.nodes {
		if p != "/" && znode.Parent(p) == path {
			names = append(names, znode.Name(p))
		}
	}
	slices.Sort(names)
	return names
}

func (m *model) ephemerals(owner proto.SessionID) (paths []string) {
	for p, n := range m.nodes {
		if n.Ephemeral() && n.Owner == owner {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// subtree counts the node at path and what is below it, and the bytes of their data.
func (m *model) subtree(path string) (nodes int, bytes int64) {
	for p, n := range m.nodes {
		if p == path || path == "/" || strings.HasPrefix(p, path+"/") {
			nodes++
			bytes += int64(len(n.Data))
		}
	}
	return nodes, bytes
}

// subtrees compares the counts of some subtrees.
func (m *model) subtrees(v znode.View) string {
	for _, path := range []string{"/", "/a", "/a-", "/a/b", "/a/b/\x01", "/b", "/é/a", "/none", "/grown", "/zookeeper"} {
		nodes, bytes := v.Subtree(path)
		if wantNodes, wantBytes := m.subtree(path); nodes != wantNodes || bytes != wantBytes {
			return fmt.Sprintf("subtree of %q: %d nodes, %d bytes, want %d, %d", path, nodes, bytes, wantNodes, wantBytes)
		}
	}
	return ""
}

func (m *model) marked() (paths []string) {
	for p, n := range m.nodes {
		if n.Owner == znode.ContainerOwner || n.TTL() > 0 {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

func (m *model) below(path string) (n int) {
	for p := range m.nodes {
		if p != "/" && (path == "/" || strings.HasPrefix(p, path+"/")) {
			n++
		}
	}
	return n
}

func (m *model) totals() store.Totals {
	t := store.Totals{At: m.at}
	for p, n := range m.nodes {
		t.Nodes++
		t.DataSize += int64(len(p) + len(n.Data))
		t.Digest += znode.NodeDigest(p, n)
		if n.Ephemeral() {
			t.Ephemerals++
		}
	}
	return t
}

// diff returns how s differs from the model, "" if it does not.
func (m *model) diff(s *store.Store) string {
	if got, want := s.Totals(), m.totals(); got != want {
		return fmt.Sprintf("totals %+v, want %+v", got, want)
	}
	if got, err := s.Scan(); err != nil || got != m.totals() {
		return fmt.Sprintf("scan %+v, %v, want %+v", got, err, m.totals())
	}
	for _, path := range append(slices.Collect(maps.Keys(m.nodes)), "/none", "/a/none", "/a/b/c/d") {
		if got, want := s.Node(path), m.nodes[path]; !sameNode(got, want) {
			return fmt.Sprintf("node %q: %+v, want %+v", path, got, want)
		}
		if got, want := children(s, path), m.children(path); !slices.Equal(got, want) {
			return fmt.Sprintf("children of %q: %q, want %q", path, got, want)
		}
	}
	for _, id := range sessionIDs {
		want, live := m.sessions[id]
		if got, ok := s.Session(id); got != want || ok != live {
			return fmt.Sprintf("session %v: %d %v, want %d %v", id, got, ok, want, live)
		}
		if got, want := ephemerals(s, id), m.ephemerals(id); !slices.Equal(got, want) {
			return fmt.Sprintf("ephemerals of %v: %q, want %q", id, got, want)
		}
	}
	if got, want := marked(s, ""), m.marked(); !slices.Equal(got, want) {
		return fmt.Sprintf("marks %q, want %q", got, want)
	}
	for path := range m.nodes {
		if got, want := s.Below(path)(nil), m.below(path); got != want {
			return fmt.Sprintf("%d nodes below %q, want %d", got, path, want)
		}
	}
	listed := map[proto.SessionID]int32{}
	s.Sessions(func(id proto.SessionID, timeout int32) bool { listed[id] = timeout; return true })
	if !maps.Equal(listed, m.sessions) {
		return fmt.Sprintf("sessions %v, want %v", listed, m.sessions)
	}
	return m.subtrees(s)
}

func (m *model) check(t fataler, s *store.Store) {
	t.Helper()
	if d := m.diff(s); d != "" {
		t.Fatalf("at %v: %s", m.at, d)
	}
}

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func children(v znode.View, path string) (names []string) {
	v.Children(path, func(name string) bool { names = append(names, name); return true })
	return names
}

func ephemerals(v znode.View, owner proto.SessionID) (paths []string) {
	v.Ephemerals(owner, func(path string) bool { paths = append(paths, path); return true })
	return paths
}

func marked(s *store.Store, after string) (paths []string) {
	s.Marked(after, func(path string) bool { paths = append(paths, path); return true })
	return paths
}

// sameNode compares everything, null against empty data included.
func sameNode(a, b *znode.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Data, y.Data, x.ACL, y.ACL = nil, nil, nil, nil
	return (a.Data == nil) == (b.Data == nil) && bytes.Equal(a.Data, b.Data) &&
		(a.ACL == nil) == (b.ACL == nil) && slices.Equal(a.ACL, b.ACL) && fmt.Sprint(x) == fmt.Sprint(y)
}

type sessionID = proto.SessionID

// sessionIDs are what tests use: the extremes of the order of keys among them.
var sessionIDs = []proto.SessionID{1, 2, 0x100000e94310000, -2, 0x7fffffffffffffff}

// txn returns a transaction of the given type at z.
func txn(op proto.Op, session proto.SessionID, z zxid.ID, body proto.TxnBody) *proto.Txn {
	return &proto.Txn{
		TxnHeader: proto.TxnHeader{ClientID: session, Zxid: z, Time: 1_700_000_000_000 + int64(z), Type: op},
		Body:      body,
	}
}

func createTxn(z zxid.ID, path string, data []byte) *proto.Txn {
	return txn(proto.OpCreate2, 1, z, &proto.CreateTxn{Path: path, Data: data, ParentCVersion: -1})
}

func point(z zxid.ID) zxid.Point { return zxid.Point{ID: z, Hash: uint64(z) * 0x9e3779b97f4a7c15} }

// open opens a store that a test can ruin; a fault fails the test.
func open(t fataler, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open(config(t, fs))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func config(t fataler, fs vfs.FS) store.Config {
	return store.Config{
		Dir: "/data", FS: fs, Logger: zerolog.Nop(),
		CacheBytes: 64 << 10, BlockCacheBytes: 1 << 20, MemTableBytes: 256 << 10,
		Fatal: func(err error) { t.Fatalf("store reported a fault: %v", err) },
	}
}

func closeStore(t fataler, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// install applies one transaction to store and model.
func install(t fataler, s *store.Store, m *model, txns ...*proto.Txn) {
	t.Helper()
	c := znode.NewChanges(s)
	at := m.at
	for _, x := range txns {
		if r := c.Apply(x); r.Code != proto.CodeOK {
			t.Fatalf("apply %v at %v: code %v", x.Type, x.Zxid, r.Code)
		}
		at = point(x.Zxid)
	}
	if err := s.Install(c, at); err != nil {
		t.Fatalf("install at %v: %v", at, err)
	}
	m.install(c, at)
}

// grow fills store and model with n nodes of about size bytes under /grown, beginning
// after the applied point.
func grow(t fataler, s *store.Store, m *model, n, size int) {
	t.Helper()
	z := m.at.ID
	next := func() zxid.ID { z++; return z }
	if m.nodes["/grown"] == nil {
		install(t, s, m, createTxn(next(), "/grown", nil))
		install(t, s, m, txn(proto.OpCreateSession, 1, next(), &proto.CreateSessionTxn{TimeOut: 4000}))
	}
	for i := range n {
		path := fmt.Sprintf("/grown/%d-%d", m.at.ID, i)
		data := []byte(strings.Repeat(string(rune('a'+i%26)), size))
		create := createTxn(next(), path, data)
		create.Body.(*proto.CreateTxn).Ephemeral = i%7 == 0
		install(t, s, m, create)
	}
}

// chunks returns the whole stream of a snapshot.
func chunks(t fataler, s *store.Store, maxBytes int) (out [][]byte) {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	out = drain(t, snap, maxBytes)
	if err := snap.Close(); err != nil {
		t.Fatalf("close snapshot: %v", err)
	}
	return out
}

// drain keeps the chunks as they are given, as the queue of a link does.
func drain(t fataler, snap *store.Snapshot, maxBytes int) (out [][]byte) {
	t.Helper()
	for done := false; !done; {
		var b []byte
		var err error
		if b, done, err = snap.Next(maxBytes); err != nil {
			t.Fatalf("next chunk: %v", err)
		}
		out = append(out, b)
	}
	return out
}

// stage writes a stream into a staging and finishes it.
func stage(s *store.Store, name string, stream [][]byte) (*store.Staging, error) {
	st, err := s.Stage(name)
	if err != nil {
		return nil, err
	}
	for _, b := range stream {
		if err := st.Write(b); err != nil {
			return st, err
		}
	}
	_, err = st.Finish()
	return st, err
}

var _ fataler = (*testing.T)(nil)
