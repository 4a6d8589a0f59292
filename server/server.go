package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum/quiet"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/watch"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Server is the face to clients. Its methods are safe for concurrent use; which of them
// belong in which order is told in the package comment.
type Server struct {
	cfg Config
	log zerolog.Logger
	// quiet takes the lines that clients and other servers can cause.
	quiet   *quiet.Log
	started time.Time // monotonic zero of request times
	tree    tree
	watches *watch.Registry[*conn]
	auth    *auth.Authenticator
	applier applier
	fanout  fanout
	stats   stats
	// handshakes holds one element for each TLS handshake under way, nil without TLS.
	handshakes chan struct{}
	// throttle and bucket are nil if nothing is to be held back.
	throttle *throttle
	bucket   *bucket
	ids      *sessionIDs
	locals   *locals
	// index is nil unless reads are linearizable.
	index *readIndex
	// sessionCount is the number of sessions in the tree; written by the applier.
	sessionCount atomic.Int64
	// era counts housekeeping rounds, from 1. Connections store it when they see traffic.
	era atomic.Int64
	// full refuses what makes the tree grow, see RefuseGrowth.
	full atomic.Bool
	// ensemble is Config.Ensemble or what SetEnsemble replaced it by; nil on a standalone server.
	ensemble atomic.Pointer[Ensemble]
	// moves hands a listener to Run that takes the other's place.
	moves chan net.Listener
	// primary is the leader-side pipeline, nil while this server does not lead.
	primary atomic.Pointer[primary]

	// wg counts every goroutine but Run's own and the primary's.
	wg sync.WaitGroup

	// mu guards what follows. It is taken before a connection's lock, and never held
	// while anything blocks.
	mu       sync.Mutex
	conns    map[uint64]*conn
	perIP    map[string]int
	sessions map[proto.SessionID]*conn // open connections, and those that create a session
	lastConn uint64
	serving  bool
	readOnly bool // serving, but only reads
	role     string
	// opened is closed while the server serves.
	opened chan struct{}
	// reign counts calls of StopServing, so that an overtaken Serve has no effect.
	reign uint64
	ended bool
	// suspended says why nobody is served, "" if nothing is in the way; wanted is what serve asked
	// for meanwhile. See suspend.
	suspended string
	wanted    opening
}

// ErrStopped is what Replace returns when the server has ended.
var ErrStopped = errors.New("server: stopped")

// New returns a server that does not serve yet. Run makes it live.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	authenticator, err := auth.New(cfg.Auth)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, started: time.Now(),
		auth:     authenticator,
		quiet:    quiet.New(quiet.Config{Logger: cfg.Logger}),
		watches:  watch.New[*conn](),
		conns:    make(map[uint64]*conn),
		perIP:    make(map[string]int),
		sessions: make(map[proto.SessionID]*conn),
		opened:   make(chan struct{}),
		moves:    make(chan net.Listener),
		ids:      newSessionIDs(&cfg),
		locals:   newLocals(&cfg),
	}
	if t := cfg.Throttle; t != nil {
		s.throttle, s.bucket = newThrottle(*t), newBucket(*t, s.now())
	}
	if cfg.LinearizableReads {
		s.index = &readIndex{s: s}
	}
	if cfg.Secure != nil {
		s.handshakes = cfg.Secure.handshakes()
	}
	s.era.Store(1)
	s.stats.traceMask.Store(firstTraceMask)
	s.ensemble.Store(cfg.Ensemble)
	s.tree.store = s.show(cfg.Store)
	s.tree.open = make(map[follower]struct{})
	s.adoptTree()
	s.applier.init(s)
	s.fanout.init(s)
	return s, nil
}

// Run accepts clients on l and on Config.Secure's listener, which it closes, applies what is committed, and returns when
// ctx is done and every goroutine of the server has ended. Clients are accepted at
// once; before Serve they wait a moment or are turned away. A nil l serves nobody. The
// error is that of a listener that broke.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	s.tree.mu.Lock()
	s.adoptTree() // its owner may have brought it forward since New
	s.tree.mu.Unlock()
	s.wg.Go(s.applier.run)
	stop := make(chan struct{})
	s.wg.Go(func() { s.keepHouse(stop) })
	err := s.welcome(ctx, l)
	s.StopServing("shutdown")
	close(stop)
	s.mu.Lock()
	s.ended = true
	for _, c := range s.conns {
		c.kill("shutdown")
	}
	s.mu.Unlock()
	s.applier.close()
	s.wg.Wait()
	s.quiet.Flush()
	return err
}

// adoptTree takes the tree as the store has it. The caller holds the tree's lock, or nobody
// else knows the server yet.
func (s *Server) adoptTree() {
	s.tree.rise(s.cfg.Store.Applied().ID)
	var n int64
	s.cfg.Store.Sessions(func(proto.SessionID, int32) bool {
		n++
		return true
	})
	s.sessionCount.Store(n)
}

// now returns nanoseconds since New, for request latencies.
func (s *Server) now() int64 { return int64(time.Since(s.started)) }

// Applied returns the point that the tree shows.
func (s *Server) Applied() zxid.Point { return s.cfg.Store.Applied() }

// Commit hands over committed transactions, in order. It waits while the applier is far
// behind, so that a server whose tree is slow is left behind by its leader instead of
// growing without bound.
func (s *Server) Commit(batch []Committed) {
	s.applier.await()
	s.applier.push(func(q []work) []work {
		for i := range batch {
			q = append(q, work{do: doCommit, at: batch[i].At, data: batch[i].Txn})
		}
		return q
	})
}

// Answered hands over an answer of the leader to something that this server submitted, in
// order with Commit.
func (s *Server) Answered(kind Kind, payload []byte) {
	s.applier.push(func(q []work) []work {
		return append(q, work{do: doAnswer, answer: kind, data: payload})
	})
}

// Replace calls replace, which swaps the tree for another one, behind everything handed to
// Commit before and with no reader inside. It blocks until that is done and returns its
// error, or ErrStopped. It must not be called while the server serves.
func (s *Server) Replace(replace func() error) error {
	done := make(chan error, 1)
	ok := s.applier.push(func(q []work) []work {
		return append(q, work{do: doCall, call: func() {
			s.tree.mu.Lock()
			defer s.tree.mu.Unlock()
			err := replace()
			s.adoptTree()
			if err == nil {
				s.applier.replaced()
			}
			done <- err
		}})
	})
	if !ok {
		return ErrStopped
	}
	return <-done
}

// Lead starts the leader's pipeline for an epoch whose first transaction will be first,
// once everything handed to Commit before is applied. Until then requests that
// Forwarded brings wait.
func (s *Server) Lead(epoch zxid.Epoch, first zxid.ID, p Proposer) {
	pr := newPrimary(s, epoch, first, p)
	if !s.primary.CompareAndSwap(nil, pr) {
		panic("server: Lead without StopServing after the last one")
	}
	s.applier.push(func(q []work) []work {
		return append(q, work{do: doCall, call: func() {
			pr.start()
			s.applier.remind()
		}})
	})
}

// Forwarded brings what a server, this one included, submitted for the leader. It
// does nothing on a server that does not lead.
func (s *Server) Forwarded(from Origin, fs []Forward) {
	if pr := s.primary.Load(); pr != nil {
		pr.forwarded(from, fs)
	}
}

// Serve opens the server for clients once everything handed to Commit before is
// applied. role is for logs.
func (s *Server) Serve(role string) { s.serve(role, false) }

// readOnlyMode is the role of a server without a leader, as operators see it.
const readOnlyMode = "read-only"

// ServeReadOnly opens the server, which has no leader, for clients that are content with reads
// of what is applied, once everything handed to Commit before is. StopServing ends it, and with
// it all its connections (spec semantics 10.2).
func (s *Server) ServeReadOnly() {
	if s.index == nil {
		s.serve(readOnlyMode, true)
	}
}

func (s *Server) serve(role string, readOnly bool) {
	s.mu.Lock()
	reign := s.reign
	s.mu.Unlock()
	s.applier.push(func(q []work) []work {
		return append(q, work{do: doCall, call: func() {
			if s.applier.broken {
				return
			}
			s.open(opening{role: role, readOnly: readOnly, reign: reign})
			s.applier.report() // a new leader may know what becomes of a suspect
		}})
	})
}

func (s *Server) open(o opening) {
	s.skipLiving()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reign != o.reign || s.serving || s.ended {
		return
	}
	if s.suspended != "" {
		s.wanted = o
		s.log.Warn().Str("role", o.role).Str("reason", s.suspended).Msg("not serving clients")
		return
	}
	if s.index != nil {
		s.index.reset()
	}
	s.serving, s.readOnly, s.role = true, o.readOnly, o.role
	s.locals.rearm()
	close(s.opened)
	s.log.Info().Str("role", o.role).Stringer("zxid", s.Applied().ID).Msg("serving clients")
}

// Drain waits until everything handed to Commit and Answered before is answered, and the answers are
// written, but not longer than limit. It comes before a StopServing that nothing has gone wrong for.
func (s *Server) Drain(limit time.Duration) {
	done := make(chan struct{})
	if !s.applier.push(func(q []work) []work { return append(q, work{do: doCall, call: func() { close(done) }}) }) {
		return
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-done:
		s.awaitWritten(late.C)
	case <-late.C:
	}
}

// StopServing closes all connections of clients, keeps new ones waiting, and stops the leader's
// pipeline; when it returns the Proposer is not called any more. Nothing that is
// applied from now on is answered to a client of before (hazard H-11).
func (s *Server) StopServing(reason string) {
	s.mu.Lock()
	s.reign++
	s.wanted = opening{}
	s.shut(reason)
	s.mu.Unlock()
	if pr := s.primary.Swap(nil); pr != nil {
		pr.stop()
	}
}

// shut closes all connections of clients and keeps new ones waiting. The caller holds mu.
func (s *Server) shut(reason string) {
	if s.serving {
		s.serving = false
		s.opened = make(chan struct{})
		s.log.Info().Str("role", s.role).Str("reason", reason).Int("connections", len(s.conns)).
			Msg("not serving clients any more")
	}
	for _, c := range s.conns {
		if c.joining { // the others have asked for nothing yet and may wait
			c.kill(reason)
		}
	}
	if s.index != nil {
		s.index.reset()
	}
	clear(s.sessions)
	if s.readOnly && !s.cfg.LocalSessions { // no leader would take a write of theirs
		s.locals.clear(&s.cfg)
	}
	s.readOnly = false
}

// Serving reports whether clients are served.
func (s *Server) Serving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving
}

// ReadOnly reports whether only reads are served.
func (s *Server) ReadOnly() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readOnly
}

// sessionConn returns the local connection of a session, nil if there is none.
func (s *Server) sessionConn(id proto.SessionID) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// connOf returns a connection by its number.
func (s *Server) connOf(id uint64) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[id]
}

// skipLiving makes new ids begin behind those of the living sessions that this server has given out.
func (s *Server) skipLiving() {
	s.cfg.Store.Sessions(func(id proto.SessionID, _ int32) bool {
		s.ids.resume(id)
		return true
	})
}

// newSession returns an id that no session has or had (hazard H-69).
func (s *Server) newSession() (proto.SessionID, error) {
	for {
		id, err := s.ids.next(s.cfg.Now().UnixMilli())
		if err != nil {
			return 0, err
		}
		if _, taken := s.cfg.Store.Session(id); !taken {
			return id, nil
		}
	}
}
