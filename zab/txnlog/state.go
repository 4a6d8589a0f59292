package txnlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// maxRuns bounds the epochs that Durable reports; what is older only raises the
// reported base, so that a summary always fits in one small message.
const maxRuns = 256

// state is everything a log knows without reading entries. Two of them exist: one as of
// the last sync, one as of everything submitted.
type state struct {
	identity
	epochs
	history
	known   []zab.Known // never changed in place
	members quorum.Membership
	runs    []zab.Run   // owned; the epochs above base, ascending
	intent  *zxid.Point // never changed in place
}

// copyFrom makes s equal to o, reusing the memory of s.
func (s *state) copyFrom(o *state) {
	runs := append(s.runs[:0], o.runs...)
	*s = *o
	s.runs = runs
}

// last returns the end of the log.
func (s *state) last() zxid.Point {
	if len(s.runs) == 0 {
		return s.base
	}
	return s.runs[len(s.runs)-1].Point()
}

// watermark is what the WATERMARK file may say.
func (s *state) watermark() watermark {
	return watermark{incarnation: s.incarnation, at: s.last(), promised: s.promise.Epoch}
}

// summary describes the log to peers, at most maxRuns epochs of it.
func (s *state) summary() zab.Summary {
	base, runs := s.base, s.runs
	if n := len(runs) - maxRuns; n > 0 {
		base, runs = runs[n-1].Point(), runs[n:]
	}
	return zab.Summary{Base: base, Runs: slices.Clone(runs)}
}

// holds reports whether the log passes through id.
func (s *state) holds(id zxid.ID) bool {
	return zab.Summary{Base: s.base, Runs: s.runs}.Holds(id)
}

// entries counts the entries in (base, upTo].
func (s *state) entries(upTo zxid.ID) int64 {
	var n int64
	for _, r := range s.runs {
		first := zxid.Counter(1)
		if r.Epoch == s.base.ID.Epoch() {
			first = s.base.ID.Counter() + 1
		}
		last := r.Last
		if r.Epoch == upTo.Epoch() && upTo.Counter() < last {
			last = upTo.Counter()
		}
		if r.Epoch <= upTo.Epoch() && last >= first {
			n += int64(last) - int64(first) + 1
		}
	}
	return n
}

// extend moves the end of the log behind es, which follow it.
func (s *state) extend(es []zab.Entry) { s.runs = extendRuns(s.runs, es) }

func extendRuns(runs []zab.Run, es []zab.Entry) []zab.Run {
	for i := range es {
		epoch := es[i].ID.Epoch()
		if i+1 < len(es) && es[i+1].ID.Epoch() == epoch {
			continue
		}
		run := zab.Run{Epoch: epoch, Last: es[i].ID.Counter(), Hash: es[i].Hash}
		if n := len(runs); n > 0 && runs[n-1].Epoch == epoch {
			runs[n-1] = run
		} else {
			runs = append(runs, run)
		}
	}
	return runs
}

// cut removes what lies after p, which is in the log.
func (s *state) cut(p zxid.Point) {
	for len(s.runs) > 0 && s.runs[len(s.runs)-1].Point().ID > p.ID {
		if r := &s.runs[len(s.runs)-1]; r.Epoch == p.ID.Epoch() && p.ID != s.base.ID {
			r.Last, r.Hash = p.ID.Counter(), p.Hash
			return
		}
		s.runs = s.runs[:len(s.runs)-1]
	}
}

// trim makes p, which is in the log, its base.
func (s *state) trim(p zxid.Point) {
	i := 0
	for i < len(s.runs) && s.runs[i].Point().ID <= p.ID {
		i++
	}
	s.runs = slices.Delete(s.runs, 0, i)
	s.base = p
	s.committed = max(s.committed, p.ID)
}

// links checks by zxids that es continue a history that ends at last and returns the new
// end. The hashes are checked when the entries are written.
func links(last zxid.Point, es []zab.Entry) (zxid.Point, error) {
	for i := range es {
		if es[i].Prev != last.ID || !es[i].ID.Follows(last.ID) {
			return last, fmt.Errorf("%w: %v (after %v) cannot follow %v", zab.ErrGap, es[i].ID, es[i].Prev, last.ID)
		}
		last = es[i].Point()
	}
	return last, nil
}

// staging describes the entries kept under the next generation.
type staging struct {
	first zab.Entry // valid if runs is not empty
	runs  []zab.Run
	dirty bool // keys of an abandoned attempt may exist
}

func (g *staging) last() zxid.Point {
	if len(g.runs) == 0 {
		return zxid.Point{}
	}
	return g.runs[len(g.runs)-1].Point()
}

// add accepts entries that continue what is staged.
func (g *staging) add(es []zab.Entry) error {
	rest := es
	last := g.last()
	if len(g.runs) == 0 {
		g.first = es[0]
		last, rest = es[0].Point(), es[1:]
	}
	if _, err := links(last, rest); err != nil {
		return err
	}
	g.runs = extendRuns(g.runs, es)
	return nil
}

// step checks one Persist against s and moves s behind it; on error s is unchanged. A
// truncation must have been found in the log before (see Log.locate).
func (s *state) step(p *zab.Persist, g *staging) error {
	ep, err := s.stepEpochs(p)
	if err != nil {
		return err
	}
	last := s.last()
	switch {
	case p.Install != nil && p.Truncate != nil:
		return fmt.Errorf("txnlog: a step cannot install %v and truncate to %v", *p.Install, *p.Truncate)
	case p.Install != nil:
		last = *p.Install
		if len(g.runs) > 0 {
			if err := g.first.Check(last); err != nil {
				return err
			}
			last = g.last()
		}
	case p.Truncate != nil:
		last = *p.Truncate
		if last.ID < s.committed {
			return fmt.Errorf("%w: truncate to %v, committed %v", ErrCommitted, last.ID, s.committed)
		}
	}
	if last, err = links(last, p.Append); err != nil {
		return err
	}
	if last.ID < s.committed {
		return fmt.Errorf("%w: history would end at %v, committed %v", ErrCommitted, last.ID, s.committed)
	}
	if err := errors.Join(checkKnown(p.Known), checkMembers(p.Membership)); err != nil {
		return err
	}
	if last.ID.Epoch() > ep.current {
		return fmt.Errorf("%w: %v in current epoch %d", ErrEpochs, last.ID, ep.current)
	}
	s.apply(p, g, ep)
	return nil
}

// stepEpochs returns the epochs after p: neither ever falls, a promise is never given
// twice, and nothing is current that was not promised.
func (s *state) stepEpochs(p *zab.Persist) (epochs, error) {
	ep := s.epochs
	if q := p.Promise; q != nil {
		if q.Epoch < ep.promise.Epoch || q.Epoch > zxid.MaxEpoch ||
			q.Epoch == ep.promise.Epoch && q.Leader != ep.promise.Leader {
			return ep, fmt.Errorf("%w: promise %+v after %+v", ErrEpochs, *q, ep.promise)
		}
		ep.promise = *q
	}
	if p.Current != nil {
		if *p.Current < ep.current {
			return ep, fmt.Errorf("%w: current %d after %d", ErrEpochs, *p.Current, ep.current)
		}
		ep.current = *p.Current
	}
	if ep.current > ep.promise.Epoch {
		return ep, fmt.Errorf("%w: current %d, promised %d", ErrEpochs, ep.current, ep.promise.Epoch)
	}
	return ep, nil
}

// checkKnown refuses what could not be read back.
func checkKnown(known []zab.Known) error {
	var seen quorum.Set
	for _, k := range known {
		if k.SID < 0 || k.SID > quorum.MaxSID || seen.Has(k.SID) {
			return fmt.Errorf("txnlog: incarnation of server %d out of range or given twice", k.SID)
		}
		seen.Add(k.SID)
	}
	return nil
}

// apply moves s behind p, which step has checked.
func (s *state) apply(p *zab.Persist, g *staging, ep epochs) {
	s.epochs = ep
	if p.Install != nil {
		s.gen++
		s.base = *p.Install
		s.committed = max(s.committed, s.base.ID)
		s.untrusted = false
		s.runs = append(s.runs[:0], g.runs...)
		at := *p.Install
		s.intent = &at
		*g = staging{runs: g.runs[:0]}
	}
	if p.Truncate != nil {
		s.cut(*p.Truncate)
	}
	s.extend(p.Append)
	if !p.Cluster.IsZero() {
		s.cluster = p.Cluster
	}
	if p.Known != nil {
		s.known = slices.Clone(p.Known)
		slices.SortFunc(s.known, func(a, b zab.Known) int { return int(a.SID) - int(b.SID) })
	}
	if !p.Membership.IsZero() {
		s.members = p.Membership
	}
}
