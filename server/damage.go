package server

import "fmt"

// TreeDamaged says that what the tree's store has on its disk is not what was written, or contradicts
// itself: this tree is wrong, whatever the others have. Nobody is served until it was replaced, which
// Config.Repair is asked for; a server that is alone ends. It returns when that has begun, and may be
// called from any goroutine that Config.Fatal and Config.Repair do not wait for.
func (s *Server) TreeDamaged(err error) { s.call(func() { s.applier.damaged(err) }) }

// TreeDiffers says that the tree does not have the digest that was kept while it changed: either is
// wrong. correct lets it have the one of its nodes, difference is by how much that is more, without what
// lies below znode.SystemPath; ok is false if the tree was replaced meanwhile. Then all goes the way of every
// digest that is not what it should be: the trees of the others decide. It may be called as
// TreeDamaged; correct is called by the goroutine that installs.
func (s *Server) TreeDiffers(err error, difference uint64, correct func() (ok bool, err error)) {
	s.call(func() { s.applier.differs(err, difference, correct) })
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

func (a *applier) differs(err error, difference uint64, correct func() (bool, error)) {
	if a.broken {
		return
	}
	if a.s.cfg.Digest && a.s.alone() {
		a.fail(fmt.Errorf("server: %w: %w; restore a backup, or start with digest.enabled=false until the next scrub is done, "+
			"to go on with the tree as it is", ErrDiverged, err))
		return
	}
	switch ok, err := correct(); {
	case err != nil:
		a.broken = true // the store has told why
		return
	case !ok:
		return
	}
	at := a.s.Applied().ID
	log := a.s.log.Error().Stringer("zxid", at).Err(err)
	if !a.s.cfg.Digest {
		log.Msg("the tree of this server does not have the digest that it should have; digests are off, and it goes on as it is")
		return
	}
	log.Msg("the tree of this server does not have the digest that it should have")
	st := &a.standing
	st.version++
	if st.epoch == at.Epoch() {
		st.difference, st.since = st.difference+difference, at
	}
	a.s.stats.diverged.Add(1)
	a.suspect("the digest of its tree is not the one that was kept")
	a.report()
}
