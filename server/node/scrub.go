package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// errInterrupted is why a scrub ends before it is done.
var errInterrupted = errors.New("node: scrub interrupted")

// scrubs are the readings of everything that lies on the disks (hazard H-94): one at a time, on a
// schedule, at a bounded rate, or at once for Verify. The tree is not what it was when it is
// replaced, and reading it for nothing would hold up the replacement: that interrupts a scrub, as does
// the end of the node, or low space, because files that are read are kept. The next one is on
// schedule again.
type scrubs struct {
	turn chan struct{} // held by the one that reads

	mu        sync.Mutex
	interrupt context.CancelCauseFunc // of the one that reads; nil: nobody does

	running  atomic.Bool
	bytes    atomic.Int64 // that the present one, or the last one, has read
	done     atomic.Int64 // scrubs that came to their end
	found    atomic.Int64 // scrubs that found damage
	ended    atomic.Int64 // the last of those that came to their end: ms since 1970
	duration atomic.Int64 // of it, in ms
}

func newScrubs() *scrubs { return &scrubs{turn: make(chan struct{}, 1)} }

// stop interrupts the scrub that is under way.
func (s *scrubs) stop(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupt != nil {
		s.interrupt(fmt.Errorf("%w: %s", errInterrupted, why))
	}
}

// begin waits for its turn, and returns a context that stop ends too.
func (s *scrubs) begin(ctx context.Context) (context.Context, func(), error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.interrupt = cancel
	s.mu.Unlock()
	s.bytes.Store(0)
	s.running.Store(true)
	return ctx, func() {
		s.running.Store(false)
		s.mu.Lock()
		s.interrupt = nil
		s.mu.Unlock()
		cancel(nil)
		<-s.turn
	}, nil
}

// scrubSchedule scrubs once in each interval, until ctx ends.
func (n *Node) scrubSchedule(ctx context.Context) error {
	every := n.conf.ScrubInterval
	if n.cfg.ScrubEvery > 0 {
		every = n.cfg.ScrubEvery
	}
	if every == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		rank, servers := n.scrubRank()
		now := n.now()
		timer := time.NewTimer(nextScrub(now, every, n.scrubPhase(), rank, servers).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if why := n.server.Suspended(); why != "" {
			n.log.Info().Str("why", why).Msg("scrub: left out, the tree is in doubt")
			continue
		}
		if _, err := n.scrub(ctx, int64(n.conf.ScrubMbPerSecond)<<20); errors.Is(err, errInterrupted) {
			n.log.Info().Err(err).Msg("scrub: ended early")
		} // what it has found is told by those who deal with it
	}
}

// nextScrub returns when the server with the given rank among so many scrubs next, after now. The times are
// those of the clock, so that a restart changes nothing; the phase, which the servers of an ensemble share,
// sets ensembles apart, and the rank the servers of one, so that they take turns.
func nextScrub(now time.Time, every time.Duration, phase uint64, rank, servers int) time.Time {
	offset := time.Duration(phase%uint64(every)) + every/time.Duration(max(servers, 1))*time.Duration(rank)
	since := time.Duration(now.UnixNano()) - offset%every
	return now.Add(every - (since%every+every)%every)
}

// scrubRank returns the place of this server among those of its ensemble, and how many there are.
func (n *Node) scrubRank() (rank, servers int) {
	var sids []quorum.SID
	for sid := range n.members.Load().SIDs().All() {
		sids = append(sids, sid)
	}
	return max(slices.Index(sids, n.sid), 0), len(sids)
}

// scrubPhase is a number that all servers of an ensemble draw alike, once they have met.
func (n *Node) scrubPhase() uint64 {
	d := n.stores.log.Durable()
	if d.Cluster != (quorum.ClusterID{}) {
		return binary.BigEndian.Uint64(d.Cluster[:])
	}
	return binary.BigEndian.Uint64(d.Incarnation[:])
}

func (n *Node) now() time.Time {
	if n.cfg.Now != nil {
		return n.cfg.Now()
	}
	return time.Now()
}

// scrub reads and checks everything that the stores hold, at most so many bytes a second, 0 for as many as
// the disks give, and deals with what it finds.
func (n *Node) scrub(ctx context.Context, bytesPerSecond int64) (store.Totals, error) {
	ctx, end, err := n.scrubs.begin(ctx)
	if err != nil {
		return store.Totals{}, err
	}
	defer end()
	n.verifying.RLock()
	defer n.verifying.RUnlock()
	if n.closed {
		return store.Totals{}, errStopped
	}
	began, s := time.Now(), n.scrubs
	n.log.Info().Int64("bytesPerSecond", bytesPerSecond).Msg("scrub: everything on the disks is read and checked")
	pace := n.scrubPace(ctx, bytesPerSecond)
	if err := n.stores.log.Scrub(ctx, pace); err != nil {
		return store.Totals{}, n.scrubbed(ctx, err, n.storeFailed)
	}
	logBytes := s.bytes.Load()
	totals, err := n.stores.tree.Scrub(ctx, pace)
	if err != nil {
		return totals, n.scrubbed(ctx, err, n.treeDamaged)
	}
	n.scrubDone(began)
	n.log.Info().Int64("logBytes", logBytes).Int64("treeBytes", s.bytes.Load()-logBytes).Int("nodes", totals.Nodes).
		Stringer("zxid", totals.At.ID).Dur("took_ms", time.Since(began)).Msg("scrub: all is well")
	return totals, nil
}

func (n *Node) scrubDone(began time.Time) {
	s := n.scrubs
	s.done.Add(1)
	s.ended.Store(n.now().UnixMilli())
	s.duration.Store(time.Since(began).Milliseconds())
}

// scrubbed is the error of a scrub that found damage, or did not come to its end.
func (n *Node) scrubbed(ctx context.Context, err error, deal func(error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n.scrubs.found.Add(1)
	deal(err)
	return fmt.Errorf("%w: %w", ErrStore, err)
}

// scrubPace returns what a scrub calls after each piece that it has read.
func (n *Node) scrubPace(ctx context.Context, bytesPerSecond int64) func(int) error {
	meter := disk.Meter{BytesPerSecond: bytesPerSecond}
	return func(bytes int) error {
		n.scrubs.bytes.Add(int64(bytes))
		if n.space.lowNow.Load() {
			n.scrubs.stop("space is low")
		}
		if wait := meter.Take(time.Now(), bytes); wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		return context.Cause(ctx)
	}
}

// treeDamaged deals with damage of the tree. Where there are others the tree is replaced; what the disk
// refuses to read ends the server, as everywhere.
func (n *Node) treeDamaged(err error) {
	var digest *store.DigestError
	switch {
	case errors.As(err, &digest):
		tree := n.stores.tree
		n.server.TreeDiffers(err, digest.Found-digest.Kept,
			func() bool { return tree.Holds(digest) }, func() error { return tree.Correct(digest) })
	case errors.Is(err, disk.ErrDamaged):
		n.server.TreeDamaged(err)
	default:
		n.storeFailed(err)
	}
}

// metrics are lines of the mntr command.
func (s *scrubs) metrics() []server.Metric {
	running := int64(0)
	if s.running.Load() {
		running = 1
	}
	var out []server.Metric
	for _, m := range []struct {
		name  string
		value int64
	}{
		{"scrub_running", running},
		{"scrub_bytes", s.bytes.Load()},
		{"scrub_count", s.done.Load()},
		{"scrub_damage_count", s.found.Load()},
		{"scrub_last_end", s.ended.Load()},
		{"scrub_last_time", s.duration.Load()},
	} {
		out = append(out, server.Metric{Name: m.name, Value: strconv.FormatInt(m.value, 10)})
	}
	return out
}
