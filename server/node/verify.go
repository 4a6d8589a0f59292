package node

import (
	"context"
	"fmt"

	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Verify reads and checks everything that the stores hold, while the server runs: the links,
// hashes and checksums of the log, every record of the tree. It returns what it counted in the
// tree. Damage ends the server. A server that ends waits for it.
func (n *Node) Verify(ctx context.Context) (store.Totals, error) {
	n.verifying.RLock()
	defer n.verifying.RUnlock()
	if n.closed {
		return store.Totals{}, errStopped
	}
	if err := n.stores.log.Verify(ctx); err != nil {
		if ctx.Err() == nil {
			n.storeFailed(err)
		}
		return store.Totals{}, fmt.Errorf("%w: %w", ErrStore, err)
	}
	totals, err := n.stores.tree.Scan()
	if err != nil {
		n.storeFailed(err)
		return totals, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return totals, nil
}

// storeFailed is where the stores report what they cannot survive. At a start it is the data
// directory that cannot be used.
func (n *Node) storeFailed(err error) {
	kind := ErrDataDir
	if n.opened.Load() {
		kind = ErrStore
	}
	n.fatal(fmt.Errorf("%w: %w", kind, err))
}

// fatal is where every store and the applier report what cannot be survived.
func (n *Node) fatal(err error) {
	n.fatalOnce.Do(func() {
		n.log.Error().Err(err).Msg("fatal: this server stops to keep its promises")
		n.space.release(err)
		n.cancel(err)
		n.cfg.Fatal(err)
	})
}
