package server

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// tree is the applied state and the lock that makes an answer belong to exactly one zxid.
// Readers hold the lock for reading while they compute an answer, register its watch and append
// the reply to their output. The applier holds it for writing while it installs a batch
// and appends what follows from it, events before anything that shows the change (spec
// semantics 8.6). The lock is taken before a connection's, never after it.
type tree struct {
	store Store

	mu      sync.RWMutex
	applied zxid.ID // guarded by mu; the store's, without asking it for every reply
	fired   uint64  // guarded by mu; the number of the last broadcast
	// moved, if not nil, is closed when applied rises. Guarded by mu.
	moved chan struct{}

	// open are what follows the tree's changes. They are added under mu held for
	// reading, removed under it held in either way, and told under it held for writing.
	open   map[follower]struct{}
	openMu sync.Mutex // innermost; orders adding and removing
}

// follower is an answer that is being computed without the tree's lock, and must be that of the
// moment in which it is given.
type follower interface {
	// changed is told of every node that is created (old is nil), changed, or deleted (updated
	// is nil), before anybody is shown so. The caller holds the tree's lock for writing.
	changed(path string, old, updated *znode.Node)
}

// follow lets f hear of changes. The caller holds the lock.
func (t *tree) follow(f follower) {
	t.openMu.Lock()
	t.open[f] = struct{}{}
	t.openMu.Unlock()
}

// unfollow ends what follow began. The caller holds the lock.
func (t *tree) unfollow(f follower) {
	t.openMu.Lock()
	delete(t.open, f)
	t.openMu.Unlock()
}

// tell lets all followers, in any order, hear of what was just installed. The caller holds
// the lock for writing.
func (t *tree) tell(changes *znode.Changes) {
	changes.Nodes(func(path string, old, updated *znode.Node) {
		for f := range t.open {
			f.changed(path, old, updated)
		}
	})
}

// rise notes a new applied zxid. The caller holds the lock for writing.
func (t *tree) rise(z zxid.ID) {
	t.applied = z
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// at returns the applied zxid.
func (t *tree) at() zxid.ID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.applied
}

// behind returns nil if z is applied, and otherwise a channel that is closed when more
// is.
func (t *tree) behind(z zxid.ID) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if z <= t.applied {
		return nil
	}
	if t.moved == nil {
		t.moved = make(chan struct{})
	}
	return t.moved
}
