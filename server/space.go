package server

// RefuseGrowth says whether there is room for more. While there is not, and this server leads,
// everything that makes the tree grow is refused with ThrottledOp, which says that nothing was
// done and that the client may try again later. Deletions go on, and so do sessions: without
// one nobody could delete. It may be called at any time.
func (s *Server) RefuseGrowth(refuse bool) { s.full.Store(refuse) }
