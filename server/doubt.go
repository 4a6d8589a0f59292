package server

// Doubt is what a server knows against its own tree, and remembers over a restart: there may be nothing to
// compare then, and what a leader announces begins with its own tree. A wrong one would look right, and
// be given away (hazard H-78).
type Doubt uint8

// The weaker doubt comes before the stronger one.
const (
	// NoDoubt lets the tree be served.
	NoDoubt Doubt = iota
	// Suspect is a tree whose digest is not the one that was announced or kept. The trees of a quorum decide
	// whether it is right. Where digests are off nobody compares them, and it is served.
	Suspect
	// Damaged is a tree that is wrong whatever its digest is, because its files are: see
	// Server.TreeDamaged. Nothing but another tree ends that.
	Damaged
)

// String returns a word for logs.
func (d Doubt) String() string {
	switch d {
	case NoDoubt:
		return "no doubt"
	case Suspect:
		return "suspect"
	case Damaged:
		return "damaged"
	default:
		return "unknown doubt"
	}
}

// recall goes on with the doubt that the server ended with.
func (a *applier) recall() {
	st := &a.standing
	st.noted = a.s.cfg.Doubted
	switch {
	case st.noted == Damaged:
		st.suspect, st.damaged, a.reports = true, true, true
		a.s.suspend("its tree was damaged when it was stopped, and was not replaced yet")
	case st.noted == Suspect && a.s.cfg.Digest:
		st.suspect, a.reports = true, true
		a.s.suspend("its tree was in doubt when it was stopped")
	}
}

// note makes the doubt outlive this process, or lets it end. A doubt that nobody acts on is noted still: see
// Suspect.
func (a *applier) note() {
	st := &a.standing
	d := NoDoubt
	switch {
	case st.damaged:
		d = Damaged
	case st.suspect:
		d = Suspect
	}
	if d != st.noted && a.s.cfg.Doubt != nil {
		a.s.cfg.Doubt(d)
	}
	st.noted = d
}

// remind asks for another tree again if this one is damaged. What was asked for ends with the process; and a
// server that nobody else could stand in for leads again with the tree that it has, until the others have
// its history: then they can.
func (a *applier) remind() {
	if a.standing.damaged && !a.broken {
		a.s.cfg.Repair("its tree is damaged")
	}
}
