package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

const (
	// defaultMaintainEvery is how often the stores are looked after.
	defaultMaintainEvery = 5 * time.Second
	// replayBytes is how much of the log is read at a time at the start.
	replayBytes = 8 << 20
)

// replay hands the server what the log knows to be committed and the tree has not applied.
// What it does not know is left to the leader. It runs before the peer.
func (n *Node) replay() {
	d := n.stores.log.Durable()
	began, at := time.Now(), n.stores.tree.Applied().ID
	from := at
	for at < d.Committed {
		entries, err := n.stores.log.Entries(at, d.Committed, replayBytes)
		if err == nil && (len(entries) == 0 || entries[0].Prev != at) {
			err = fmt.Errorf("the log does not hold what follows %v", at)
		}
		if err != nil {
			n.fatal(fmt.Errorf("%w: replay: %w", ErrDataDir, err))
			return
		}
		n.machine.Commit(entries)
		at = entries[len(entries)-1].ID
	}
	n.log.Info().Stringer("applied", from).Stringer("committed", at).Stringer("logged", d.History.Last().ID).
		Dur("took_ms", time.Since(began)).Msg("history opened")
}

// maintain keeps the tail of the log, which a restart replays, short, and gives back what
// nobody needs any more, until ctx ends.
func (n *Node) maintain(ctx context.Context) error {
	t := time.NewTicker(cmp.Or(n.cfg.MaintainEvery, defaultMaintainEvery))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := n.maintainOnce(); err != nil {
				return err
			}
		}
	}
}

func (n *Node) maintainOnce() error {
	// Asked before the tree is, so that a snapshot installed meanwhile is noticed: it may
	// have brought the tree back behind what is said of it here.
	generation, ok := n.stores.log.Generation()
	if !ok {
		return nil
	}
	if err := n.stores.log.Mark(); err != nil {
		return fmt.Errorf("note the end of the log: %w", err)
	}
	durable, err := n.stores.tree.Durable()
	if err != nil {
		return fmt.Errorf("read the tree's durable point: %w", err)
	}
	history := n.stores.log.Durable().History
	tail := max(n.conf.SnapCount/2, 1)
	if behind(history, durable.ID) > int64(tail) {
		if err := n.stores.tree.Flush(); err != nil {
			return fmt.Errorf("flush the tree: %w", err)
		}
		if durable, err = n.stores.tree.Durable(); err != nil {
			return fmt.Errorf("read the tree's durable point: %w", err)
		}
	}
	upTo := min(durable.ID, keepFrom(history, int64(max(n.conf.CommitLogCount, n.conf.SnapCount))))
	if upTo > history.Base.ID {
		if err := n.stores.log.Trim(generation, upTo); err != nil {
			return fmt.Errorf("trim the log: %w", err)
		}
	}
	return nil
}

// behind counts the entries of a history that lie above id.
func behind(h zab.Summary, id zxid.ID) int64 {
	var count int64
	for _, r := range h.Runs {
		if end := r.Point().ID; end > id {
			count += int64(end - max(id, zxid.Make(r.Epoch, 0), h.Base.ID))
		}
	}
	return count
}

// keepFrom returns the highest zxid above which at least keep entries remain, or the base.
func keepFrom(h zab.Summary, keep int64) zxid.ID {
	for i := len(h.Runs) - 1; i >= 0; i-- {
		run := h.Runs[i]
		if last := int64(run.Last); last >= keep {
			return max(h.Base.ID, zxid.Make(run.Epoch, run.Last)-zxid.ID(keep))
		}
		keep -= int64(run.Last)
	}
	return h.Base.ID
}
