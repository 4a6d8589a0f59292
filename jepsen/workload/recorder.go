package workload

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// Recorder collects the history of a run. Its methods are safe for concurrent use.
type Recorder struct {
	start time.Time
	trace *trace // nil: none; set before the first session

	mu  sync.Mutex
	ops []check.Op
	ok  int
	bad []check.Violation // seen on the wire
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

// violate takes what a tap found in the replies of a server to a session. Of a run that is broken
// through and through a few will do.
func (r *Recorder) violate(session int64, server string, found []check.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range found {
		if len(r.bad) < 20 {
			v.Text = fmt.Sprintf("session %#x, server %s, %.3fs: %s", session, server, time.Since(r.start).Seconds(), v.Text)
			r.bad = append(r.bad, v)
		}
	}
}

// Violations returns what was found wrong on the wire while the run went on.
func (r *Recorder) Violations() []check.Violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bad)
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
