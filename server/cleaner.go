package server

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

const (
	// looksAtOnce bounds the nodes that the cleaner looks at before requests get their turn.
	looksAtOnce = 256
	// breath is the pause between two looks that have deleted nothing.
	breath = time.Millisecond
)

// cleaner deletes the containers and the nodes with a time to live that are of no more use, as
// long as its primary leads (spec semantics 11.1). It belongs to the primary's goroutine: each
// step looks at a few of the nodes that the store has marked, and proposes deletions like anything
// else. A step that does not fit into the window, or whose node something proposed has touched, is
// left to a later one.
//
// ZooKeeper's counterpart is ContainerManager. That one collects the candidates of a run first;
// here each node is judged when its turn comes.
type cleaner struct {
	p *primary
	// runs ticks when a run is due.
	runs     <-chan time.Time
	stopRuns func()
	// pauses ticks when the run goes on; nil while there is none.
	pauses     <-chan time.Time
	stopPauses func()
	// after is the last node that the run has looked at.
	after string
}

func newCleaner(p *primary) *cleaner {
	c := &cleaner{p: p}
	c.runs, c.stopRuns = p.s.cfg.Ticker(p.s.cfg.ContainerInterval)
	return c
}

func (c *cleaner) stop() {
	c.stopRuns()
	c.endPause()
}

func (c *cleaner) endPause() {
	if c.pauses != nil {
		c.stopPauses()
		c.pauses = nil
	}
}

// begin starts a run, unless the last one is not over.
func (c *cleaner) begin() {
	if c.pauses == nil {
		c.after = ""
		c.step()
	}
}

// step goes on with the run, and pauses if it is not over.
func (c *cleaner) step() {
	c.endPause()
	c.p.prune() // what is applied is not in the way
	over, deleted := c.look()
	if over {
		return
	}
	pause := breath
	if deleted {
		pause = max(pause, c.p.s.cfg.containerPause())
	}
	c.pauses, c.stopPauses = c.p.s.cfg.Ticker(pause)
}

// look looks at the next nodes and proposes the deletion of one, or of a batch if there need be no
// pauses.
func (c *cleaner) look() (over, deleted bool) {
	cfg := &c.p.s.cfg
	now, neverUsed := cfg.Now().UnixMilli(), cfg.ContainerNeverUsed.Milliseconds()
	left := 1
	if cfg.containerPause() == 0 {
		left = maxBatch
	}
	looks := looksAtOnce
	over = true
	cfg.Store.Marked(c.after, func(path string) bool {
		if looks == 0 || left == 0 {
			over = false
			return false
		}
		looks--
		if n := cfg.Store.Node(path); n != nil && n.Expired(now, neverUsed) {
			if !c.p.mayTake() {
				over = false
				return false
			}
			if c.remove(path, now) {
				left--
				deleted = true
			}
		}
		c.after = path
		return true
	})
	return over, deleted
}

// remove proposes the deletion of a node, if everything proposed so far allows it.
func (c *cleaner) remove(path string, now int64) bool {
	p := c.p
	txn, code := p.prep.PrepareExpiry(path, p.next, now)
	if code != proto.CodeOK {
		p.s.log.Debug().Str("path", path).Stringer("zxid", p.next).AnErr("reason", code).Msg("a container or node with a time to live stays")
		return false
	}
	p.s.log.Debug().Str("path", path).Stringer("zxid", p.next).Msg("deleting a container or node with a time to live")
	p.add(&txn)
	return true
}

// containerPause is the least time between two deletions, in whole ms as in ZooKeeper.
func (c *Config) containerPause() time.Duration {
	return time.Duration(time.Minute.Milliseconds()/int64(c.ContainersPerMinute)) * time.Millisecond
}
