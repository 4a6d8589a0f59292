package server

// opening is what serve wants.
type opening struct {
	role     string
	readOnly bool
	reign    uint64
}

// suspend closes all connections of clients, and keeps new ones waiting, until resume, whatever role
// this server gets meanwhile. Replies that are due are not sent. A leader's pipeline goes on: the log is
// right whatever the tree is.
func (s *Server) suspend(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspended = why
	if s.serving {
		s.wanted = opening{role: s.role, readOnly: s.readOnly, reign: s.reign}
		s.shut(why)
	}
}

// resume ends suspend, and opens the server if its role is to serve.
func (s *Server) resume() {
	s.mu.Lock()
	was, wanted := s.suspended, s.wanted
	s.suspended, s.wanted = "", opening{}
	s.mu.Unlock()
	if was != "" && wanted.role != "" {
		s.open(wanted)
	}
}

// Withheld says why no snapshot of the tree may be given away, "" if nothing is in the way. Besides a tree that
// is suspect it is that of a leader which has heard of another one, as long as no quorum has the same: whoever
// got a copy would be counted as one who has found it right (hazard H-78). It may be called from any goroutine.
func (s *Server) Withheld() string {
	if why := s.Suspended(); why != "" {
		return why
	}
	if pr := s.primary.Load(); pr != nil && pr.undecided.Load() {
		return "the trees of the voters differ, and no quorum has the same one yet"
	}
	return ""
}

// Suspended says why nobody is served whatever the server's role, "" if nothing is in the way.
func (s *Server) Suspended() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspended
}
