package server

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Waiting returns how many requests the throttle keeps waiting.
func (s *Server) Waiting() int {
	s.throttle.gate.mu.Lock()
	defer s.throttle.gate.mu.Unlock()
	return s.throttle.gate.waiting.Len()
}

// SetCrowd sets the number of events of a batch from which on they are broadcast.
func (s *Server) SetCrowd(n int) {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	s.fanout.crowd = n
}

// OpenCensuses returns how many counts follow the tree's changes.
func (s *Server) OpenCensuses() int {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	return len(s.tree.open)
}

// ContainerPause returns the least time between two deletions of the cleaner.
func ContainerPause(perMinute int) time.Duration {
	c := Config{ContainersPerMinute: perMinute}
	return c.containerPause()
}

// Heavy returns the costs of all requests in the connections' queues, of those that weigh.
func (s *Server) Heavy() int64 { return s.stats.heavy.Load() }

// Mismatches returns how often the tree's digest has moved away from the announced one.
func (s *Server) Mismatches() int64 { return s.stats.diverged.Load() }

// SessionIDs returns how a server that starts with such a configuration resumes behind the ids of living sessions, and
// gives out the next one at a time in ms.
func SessionIDs(cfg *Config) (resume func(proto.SessionID), next func(nowMs int64) (proto.SessionID, error)) {
	ids := newSessionIDs(cfg)
	return ids.resume, ids.next
}
