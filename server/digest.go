package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// digested reports whether a transaction carries a digest that this version can compare.
func digested(txn *proto.Txn) bool {
	return txn.HasDigest && txn.DigestVersion == znode.DigestVersion
}

// compare holds the digest that the tree will have behind the batch against the one that the
// leader announced with its last transaction. A tree that has moved away from the leader's stays at
// the same difference until it moves again, so that each divergence is told of once (hazard H-78).
func (a *applier) compare() {
	last := &a.batch[len(a.batch)-1].txn
	if !a.s.cfg.Digest || !digested(last) {
		return
	}
	difference := a.s.cfg.Store.PublicDigest() + a.changes.PublicDelta() - last.Digest
	if difference == a.difference {
		return
	}
	if difference == 0 {
		a.s.log.Warn().Stringer("zxid", last.Zxid).Msg("the tree has the digest again that the leader announced")
	} else {
		at, expected, actual := a.divergence()
		a.s.stats.diverged.Add(1)
		a.s.log.Error().Stringer("zxid", at).Uint64("expected", expected).Uint64("actual", actual).
			Msg("the tree of this server is not the leader's: its digest differs behind this transaction")
	}
	a.difference = difference
}

// divergence finds the first transaction of the batch behind which the digest differs otherwise than
// before. It applies the batch once more, to nothing.
func (a *applier) divergence() (at zxid.ID, expected, actual uint64) {
	base := a.s.cfg.Store.PublicDigest()
	changes := znode.NewChanges(a.s.cfg.Store)
	for i := range a.batch {
		txn := &a.batch[i].txn
		changes.Apply(txn)
		if !digested(txn) {
			continue
		}
		at, expected, actual = txn.Zxid, txn.Digest, base+changes.PublicDelta()
		if d := actual - expected; d != 0 && d != a.difference {
			break
		}
	}
	return at, expected, actual
}
