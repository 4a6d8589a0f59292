package node

import (
	"context"
	"fmt"

	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Verify reads and checks everything that the stores hold, while the server runs: the checksums of
// all tables, the links and hashes of the log, every record of the tree. It is a scrub that does not
// wait for its time, and takes what the disks give. It returns what it counted in the
// tree. Damage ends the server, but for that of a tree that other servers have too: it is replaced by
// theirs. A server that ends interrupts it and waits for it.
func (n *Node) Verify(ctx context.Context) (store.Totals, error) { return n.scrub(ctx, 0) }

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
