package node

import (
	"fmt"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server"
)

// A tree that differs from a quorum's is replaced by a snapshot. A machine on which that is needed again and
// again cannot be trusted with one: more than maxRepairs within repairWindow end the process.
const (
	maxRepairs   = 3
	repairWindow = time.Hour
)

// repairs counts the replacements of the tree. Its methods are safe for concurrent use.
type repairs struct {
	mu      sync.Mutex
	began   []time.Time // within repairWindow
	pending bool
}

// begin notes that the tree has to be replaced, unless that is under way, and reports whether it may be.
func (r *repairs) begin(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending {
		return true
	}
	for len(r.began) > 0 && now.Sub(r.began[0]) >= repairWindow {
		r.began = r.began[1:]
	}
	if len(r.began) >= maxRepairs {
		return false
	}
	r.began, r.pending = append(r.began, now), true
	return true
}

// done notes that the tree was replaced.
func (r *repairs) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = false
}

// repair is where the server says that its tree is wrong.
func (n *Node) repair(why string) {
	n.scrubs.stop("the tree will be replaced")
	if n.repairs.begin(time.Now()) {
		n.peer.Repair(why)
		return
	}
	n.fatal(fmt.Errorf("%w: it was replaced %d times within %v and is wrong again; test the memory and the processor of this machine "+
		"before it is started again", server.ErrDiverged, maxRepairs, repairWindow))
}

// electorate is the server's view of who votes.
type electorate struct{ n *Node }

func (e electorate) Votes(id server.Origin) bool {
	return e.n.members.Load().Voters().Has(quorum.SID(id))
}

func (e electorate) Quorum(ids []server.Origin) bool {
	var set quorum.Set
	for _, id := range ids {
		set.Add(quorum.SID(id))
	}
	m := e.n.members.Load()
	return m.HasQuorum(set.And(m.Voters()))
}

// judges returns who judges whose tree is right, nil on a standalone server.
func (n *Node) judges() server.Electorate {
	if n.conf.Standalone {
		return nil
	}
	return electorate{n}
}

// tree returns the tree as the server sees it.
func (n *Node) tree() server.Store {
	if n.cfg.Tree != nil {
		return n.cfg.Tree(n.stores.tree)
	}
	return n.stores.tree
}
