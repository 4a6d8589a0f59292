package server

import (
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Ensemble is what a server's clients read in /zookeeper/config as long as no transaction has
// written it: the server's own view of its ensemble (spec semantics 12.2). It is no part of the
// replicated tree. Servers may differ in it, in the middle of a rolling restart for instance, and
// do differ in its time.
type Ensemble struct {
	Text    []byte  // the server list and the version
	Version zxid.ID // the zxid that the list came into being with, 0 if a file says none

	// installed is when the server took it over, in ms since 1970.
	installed int64
}

// SetEnsemble replaces what clients read in /zookeeper/config as long as no transaction has
// written it. No watch fires. It does nothing on a standalone server.
func (s *Server) SetEnsemble(e Ensemble) {
	if s.ensemble.Load() == nil {
		return
	}
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	s.ensemble.Store(e.install(s.cfg.Now()))
}

// show returns a view of the store in which /zookeeper/config is the ensemble's.
func (s *Server) show(store Store) Store {
	if s.ensemble.Load() == nil {
		return store
	}
	return &ensembleView{Store: store, ensemble: &s.ensemble}
}

// install returns a copy of e that is taken over now.
func (e *Ensemble) install(now time.Time) *Ensemble {
	if e == nil {
		return nil
	}
	installed := *e
	installed.installed = now.UnixMilli()
	return &installed
}

// ensembleView is the tree as clients, and the leader's judgement of their requests, see it.
type ensembleView struct {
	Store
	ensemble *atomic.Pointer[Ensemble]
}

// Node implements znode.View.
func (v *ensembleView) Node(path string) *znode.Node {
	n := v.Store.Node(path)
	if path != znode.ConfigPath || n == nil {
		return n
	}
	e := v.ensemble.Load()
	if e.overwritten(n.Mzxid) {
		return n
	}
	shown := *n
	shown.Data, shown.Version = e.Text, configVersion
	shown.Mzxid, shown.Mtime = e.Version, e.installed
	return &shown
}

// configVersion is the data version that the node has until a client writes it.
const configVersion = -1

// overwritten reports whether the node was written later, by whoever may, or by the
// reconfiguration that this is.
func (e *Ensemble) overwritten(mzxid zxid.ID) bool {
	return mzxid > e.Version || mzxid == e.Version && mzxid != 0
}

// stat returns what a client is told of a node whose Stat in the replicated tree is s.
func (e *Ensemble) stat(path string, s proto.Stat) proto.Stat {
	if e == nil || path != znode.ConfigPath || e.overwritten(s.Mzxid) {
		return s
	}
	s.Version, s.DataLength = configVersion, int32(len(e.Text))
	s.Mzxid, s.Mtime = e.Version, e.installed
	return s
}
