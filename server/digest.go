package server

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// ErrDiverged is wrapped by what Config.Fatal is told when the tree is not what the log makes of it, and
// nobody is there who has a better one.
var ErrDiverged = errors.New("the tree of this server is damaged")

// standing is what the applier knows of its own tree. A tree whose digest is not the one that the
// leader announced is suspect, from the transaction on that shows it: nobody is served until the
// leader, for a quorum, has ruled that it is right after all, or it was replaced by a snapshot
// (hazard H-78). Either server may be the one that errs, so that nobody judges by himself.
type standing struct {
	// version is raised by each change of the rest: a ruling is on what was reported. It begins with the
	// time, so that no ruling is on what another process said.
	version uint64
	// epoch is that of the announcement compared last, 0 if there was none for this tree. Each leader
	// begins with the digest of its own tree, so that differences of two epochs have nothing in common.
	epoch zxid.Epoch
	// difference is by how much the tree's digest is beyond the announced one, since that transaction;
	// each change of it is told of once.
	difference uint64
	since      zxid.ID
	// accepted is the difference that the trees of a quorum have, 0 unless the leader's is another.
	accepted uint64
	suspect  bool
	// damaged says that the tree is wrong whatever its digest is: see TreeDamaged.
	damaged bool
	// noted is what outlives this process of it.
	noted Doubt
}

// digested reports whether a transaction carries a digest that this version can compare.
func digested(txn *proto.Txn) bool {
	return txn.HasDigest && txn.DigestVersion == znode.DigestVersion
}

// compare holds the digest that the tree will have behind the batch against the one that the
// leader announced with its last transaction. It returns false if the server cannot go on.
func (a *applier) compare() bool {
	last := &a.batch[len(a.batch)-1].txn
	if !a.s.cfg.Digest || !digested(last) {
		return true
	}
	st := &a.standing
	difference := a.s.cfg.Store.PublicDigest() + a.changes.PublicDelta() - last.Digest
	if epoch := last.Zxid.Epoch(); st.epoch != epoch {
		st.version++
		st.epoch, st.difference, st.since, st.accepted = epoch, 0, last.Zxid, 0
	}
	if difference == st.difference {
		return true
	}
	at, expected, actual := a.divergence()
	st.version++
	st.difference, st.since = difference, at
	if difference == st.accepted {
		a.s.log.Warn().Stringer("zxid", at).Msg("the tree has the digest again that it should have")
		return true
	}
	a.s.stats.diverged.Add(1)
	a.s.log.Error().Stringer("zxid", at).Str("expected", hex(expected)).Str("actual", hex(actual)).
		Msg("the tree of this server is not the leader's: its digest differs behind this transaction")
	if a.s.alone() {
		a.fail(fmt.Errorf("server: %w: its digest behind transaction %v is %s, and was announced as %s; restore a backup, "+
			"or start once with digest.enabled=false to go on with the tree as it is", ErrDiverged, at, hex(actual), hex(expected)))
		return false
	}
	a.suspect("the digest of its tree is not the one that the leader announced")
	return true
}

func hex(digest uint64) string { return fmt.Sprintf("%016x", digest) }

// divergence finds the first transaction of the batch behind which the digest differs otherwise than
// before. It applies the batch once more, to nothing.
func (a *applier) divergence() (at zxid.ID, expected, actual uint64) {
	base := a.s.cfg.Store.PublicDigest()
	changes := znode.NewChanges(a.s.cfg.Store)
	for i := range a.batch {
		txn := &a.batch[i].txn
		changes.Apply(txn)
		if !digested(txn) || txn.Zxid.Epoch() != a.standing.epoch {
			continue
		}
		at, expected, actual = txn.Zxid, txn.Digest, base+changes.PublicDelta()
		if actual-expected != a.standing.difference {
			break
		}
	}
	return at, expected, actual
}

// suspect keeps the server from serving until it is cleared, and lets the leader know.
func (a *applier) suspect(why string) {
	a.standing.suspect, a.reports = true, true
	a.note()
	a.s.suspend(why)
}

// clear takes the suspicion back.
func (a *applier) clear() {
	a.standing.version++
	a.standing.accepted, a.standing.suspect = a.standing.difference, false
	a.note()
	a.s.resume()
}

// replaced begins anew with another tree.
func (a *applier) replaced() {
	a.standing = standing{version: a.standing.version + 1, noted: a.standing.noted}
	a.note()
	a.s.resume()
}

// alone reports whether this server decides for itself what is right.
func (s *Server) alone() bool {
	e := s.cfg.Electorate
	return e == nil || e.Quorum([]Origin{s.cfg.Self})
}

// report tells the leader how the tree is. Whatever the last report came to, there is a next one.
func (a *applier) report() {
	a.reports = false
	if !a.s.cfg.Digest || a.s.cfg.Electorate == nil || a.broken {
		return
	}
	st, at := &a.standing, a.s.Applied().ID
	r := report{
		version: st.version, suspect: st.suspect, at: at, digest: a.s.cfg.Store.PublicDigest(),
		compared: st.epoch != 0 && st.epoch == at.Epoch(), since: st.since, difference: st.difference,
	}
	a.s.cfg.Replicator.Submit([]Forward{{Kind: KindRevalidate, Payload: r.encode()}})
}

// scheduleReport lets the applier report when it has done what waits.
func (s *Server) scheduleReport() {
	if s.cfg.Digest && s.cfg.Electorate != nil {
		s.applier.push(func(q []work) []work { return append(q, work{do: doCall, call: s.applier.report}) })
	}
}

// ruled acts on what the leader says of the tree.
func (a *applier) ruled(r ruling) {
	st := &a.standing
	if r.version != st.version {
		return // on a tree, or a difference, of before
	}
	switch r.verdict {
	case verdictRight:
		if st.suspect && !st.damaged {
			a.s.log.Warn().Stringer("zxid", a.s.Applied().ID).Msg("the tree of this server is right: a quorum has the same")
			a.clear()
			a.report()
		}
	case verdictContested:
		st.version++
		a.s.log.Error().Stringer("zxid", a.s.Applied().ID).
			Msg("the trees of this ensemble differ, and no quorum has the same one: nobody is served until enough servers are up to tell who is right")
		a.suspect("the trees of the ensemble differ, and no quorum has the same one")
	case verdictWrong:
		st.version++
		if !st.suspect {
			a.s.stats.diverged.Add(1)
		}
		const why = "a quorum has another tree than this server"
		a.s.log.Error().Stringer("zxid", a.s.Applied().ID).Msg(why + ": it is replaced by a snapshot of another server's")
		a.suspect(why)
		a.s.cfg.Repair(why)
	}
}

// divergence are the lines of the mntr command about the digest, which are told in any case.
func (s *Server) divergence() []Metric {
	diverged := "0"
	if s.Suspended() != "" {
		diverged = "1"
	}
	return []Metric{
		{Name: "digest_mismatches_count", Value: strconv.FormatInt(s.stats.diverged.Load(), 10)},
		{Name: "diverged", Value: diverged},
	}
}
