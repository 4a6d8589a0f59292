package zktest

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Stall is a disk on which changes below one directory take as long as the test wants; what is read is in
// memory already. The zero value stalls nothing. Its methods are safe for concurrent use.
type Stall struct {
	mu  sync.Mutex
	dir string
	end chan struct{} // nil: nothing stalls
}

// Begin stalls what is below dir, until End.
func (s *Stall) Begin(dir string) {
	s.End()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir, s.end = dir+"/", make(chan struct{})
}

// End lets everything that waits go on.
func (s *Stall) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		close(s.end)
		s.end = nil
	}
}

// On returns a file system that stalls.
func (s *Stall) On(fs vfs.FS) vfs.FS { return errorfs.Wrap(fs, errorfs.InjectorFunc(s.await)) }

func (s *Stall) await(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		s.mu.Lock()
		end := s.end
		if !strings.HasPrefix(op.Path, s.dir) {
			end = nil
		}
		s.mu.Unlock()
		if end != nil {
			<-end
		}
	}
	return nil
}

// Stall makes the server's disk stall below dir, until EndStall or Kill.
func (s *Server) Stall(dir string) { s.stall.Begin(dir) }

// EndStall ends Stall.
func (s *Server) EndStall() { s.stall.End() }
