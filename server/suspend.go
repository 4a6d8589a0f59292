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

// Suspended says why nobody is served whatever the server's role, "" if nothing is in the way.
func (s *Server) Suspended() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspended
}
