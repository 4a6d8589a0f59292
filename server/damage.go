package server

import "fmt"

// TreeDamaged says that what the tree's store has on its disk is not what was written, or contradicts
// itself: this tree is wrong, whatever the others have. Nobody is served until it was replaced, which
// Config.Repair is asked for; a server that is alone ends. It returns when that has begun, and may be
// called from any goroutine that Config.Fatal and Config.Repair do not wait for.
func (s *Server) TreeDamaged(err error) { s.call(func() { s.applier.damaged(err) }) }

// TreeDiffers says that the tree does not have the digest that was kept while it changed: either is
// wrong. difference is by how much that of its nodes is more, without what lies below znode.SystemPath;
// correct lets the tree have that one. same tells whether it is the same tree still. Then all goes the way of
// every digest that is not what it should be: the trees of the others decide. It may be called as
// TreeDamaged; same and correct are called by the goroutine that installs.
func (s *Server) TreeDiffers(err error, difference uint64, same func() bool, correct func() error) {
	s.call(func() {
		if !s.applier.broken && same() {
			s.applier.differs(err, difference, correct)
		}
	})
}

// call lets the applier do something behind all that waits for it, and returns when that is done, or will never
// be.
func (s *Server) call(f func()) {
	done := make(chan struct{})
	ok := s.applier.push(func(q []work) []work {
		return append(q, work{do: doCall, call: func() {
			defer close(done)
			f()
		}})
	})
	if ok {
		<-done
	}
}

func (a *applier) damaged(err error) {
	if a.broken || a.standing.damaged {
		return // it is known
	}
	if a.s.alone() {
		a.fail(fmt.Errorf("server: %w: %w; keep a copy for analysis, then restore a backup", ErrDiverged, err))
		return
	}
	a.s.log.Error().Stringer("zxid", a.s.Applied().ID).Err(err).
		Msg("the tree of this server is damaged: it is replaced by a snapshot of another server's")
	const why = "its tree is damaged"
	a.standing.version++
	a.standing.damaged = true
	a.suspect(why)
	a.s.cfg.Repair(why)
}

func (a *applier) differs(found error, difference uint64, correct func() error) {
	s, st, at := a.s, &a.standing, a.s.Applied().ID
	if s.cfg.Digest && s.alone() {
		a.fail(fmt.Errorf("server: %w: %w; restore a backup, or start with digest.enabled=false until the next scrub is done, "+
			"to go on with the tree as it is", ErrDiverged, found))
		return
	}
	const what = "the tree of this server does not have the digest that it should have"
	if s.cfg.Digest {
		s.log.Error().Stringer("zxid", at).Err(found).Msg(what)
		s.stats.diverged.Add(1)
		// Ahead of the correction: a crash in between must not leave a tree that agrees with itself and is trusted.
		a.suspect("the digest of its tree is not the one that was kept")
	} else {
		s.log.Error().Stringer("zxid", at).Err(found).Msg(what + "; digests are off, and it goes on as it is")
	}
	if err := correct(); err != nil {
		a.broken = true // the store has told why
		return
	}
	st.version++
	if st.epoch == at.Epoch() {
		st.difference, st.since = st.difference+difference, at
	}
	a.report()
}
