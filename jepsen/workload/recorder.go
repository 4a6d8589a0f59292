package workload

import (
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// Recorder collects the history of a run. Its methods are safe for concurrent use.
type Recorder struct {
	start time.Time

	mu  sync.Mutex
	ops []check.Op
	ok  int
}

// NewRecorder returns a recorder whose clock starts now.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// now returns the monotonic time since the start in ns.
func (r *Recorder) now() int64 { return int64(time.Since(r.start)) }

// Now returns the time since the start as histories carry it.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

func (r *Recorder) add(o check.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
	if o.Outcome == check.OK {
		r.ok++
	}
}

// History returns what was recorded so far, in the order in which the operations returned.
func (r *Recorder) History() []check.Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ops)
}

// Progress returns how many operations were recorded and how many of them were acknowledged.
func (r *Recorder) Progress() (ops, acknowledged int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops), r.ok
}
