package zktest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// damage lets a server's tree hold something else than what was installed, as memory that flips bits
// does. It stands between the server and its store.
type damage struct {
	mu    sync.Mutex
	paths map[string]bool
}

// damagedTree is a tree with damage.
type damagedTree struct {
	server.Store
	damage *damage
}

// Node implements znode.View.
func (t damagedTree) Node(path string) *znode.Node {
	n := t.Store.Node(path)
	t.damage.mu.Lock()
	defer t.damage.mu.Unlock()
	if n == nil || !t.damage.paths[path] {
		return n
	}
	flipped := *n
	flipped.Data = append(bytes.Clone(n.Data), '!')
	return &flipped
}

// Install implements server.Store: a node that is written is as it should be again.
func (t damagedTree) Install(changes *znode.Changes, at zxid.Point) error {
	if err := t.Store.Install(changes, at); err != nil {
		return err
	}
	t.damage.mu.Lock()
	defer t.damage.mu.Unlock()
	changes.Nodes(func(path string, _, _ *znode.Node) { delete(t.damage.paths, path) })
	return nil
}

// Damage lets the tree of a server hold one byte more at path than it should, until the node
// is written.
func (s *Server) Damage(path string) {
	s.ensemble.damaged.Store(true)
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	if s.damage.paths == nil {
		s.damage.paths = map[string]bool{}
	}
	s.damage.paths[path] = true
}

// fatal fails the test when the server cannot go on and nobody expects that.
func (s *Server) fatal(err error) {
	if !s.ending.Load() {
		s.ensemble.tb.Errorf("server %d: fatal: %v", s.ID, err)
	}
}

// Doomed starts a server that must end by itself, and returns why it says that it has ended.
func (s *Server) Doomed(tb testing.TB) error {
	tb.Helper()
	s.ending.Store(true)
	if err := s.tryStart(tb); err != nil {
		tb.Fatal(err)
	}
	return s.take().Wait()
}

// Mend takes Damage back.
func (s *Server) Mend() {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	clear(s.damage.paths)
}
