package server

// Waiting returns how many requests the throttle keeps waiting.
func (s *Server) Waiting() int {
	s.throttle.gate.mu.Lock()
	defer s.throttle.gate.mu.Unlock()
	return s.throttle.gate.waiting.Len()
}
