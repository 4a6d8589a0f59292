package txnlog

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// item is one thing to write: either a step or entries to stage.
type item struct {
	step  *zab.Persist
	stage []zab.Entry
	reset bool       // stage, install: remove the leavings of an abandoned attempt first
	from  zxid.Point // install: the end of the history before the step's own entries
}

// plain reports whether the item only adds entries, so that a crash may keep a part of it.
func (it *item) plain() bool {
	p := it.step
	return p == nil || p.Promise == nil && p.Install == nil && p.Truncate == nil && p.Current == nil &&
		p.Cluster.IsZero() && p.Known == nil
}

// cuts reports whether the item removes entries.
func (it *item) cuts() bool {
	return it.step != nil && (it.step.Install != nil || it.step.Truncate != nil)
}

// Writer is the only way by which one role of the server writes; a new one fences off
// its predecessor (spec zab-and-election 0.2, hazard H-28). One goroutine writes what
// was submitted, in groups: while one group is being synced the next one collects.
// Methods may be called from any goroutine, one at a time where order matters.
type Writer struct {
	log    *Log
	done   func(uint64)
	wake   sync.Cond // on log.mu
	exited chan struct{}

	// Under log.mu.
	queue   []item
	queued  int // bytes of entries in queue
	writing bool
	closing bool
	fenced  bool
}

// NewWriter opens a writer. It waits until the writer before is fenced: what that one had
// not begun to write is dropped, its callback is never called again, its staged
// entries are forgotten. done is called from the writer's goroutine with the highest
// token that is durable; it must not block nor call into the Log.
func (l *Log) NewWriter(done func(token uint64)) (*Writer, error) {
	l.mu.Lock()
	for old := l.writer; old != nil; old = l.writer {
		old.fenced = true
		old.wake.Signal()
		l.mu.Unlock()
		<-old.exited
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	if err := l.failed(); err != nil {
		return nil, err
	}
	if l.closed {
		return nil, ErrClosed
	}
	l.resetNext()
	w := &Writer{log: l, done: done, exited: make(chan struct{})}
	w.wake.L = &l.mu
	l.writer = w
	go w.run()
	return w, nil
}

// resetNext forgets everything submitted and not written. Callers hold mu.
func (l *Log) resetNext() {
	l.next.copyFrom(&l.now)
	l.staged = staging{runs: l.staged.runs[:0], dirty: l.staged.dirty || len(l.staged.runs) > 0}
}

// Submit queues a step; done gets its token once it is durable. It refuses, with nothing
// changed, a step that does not continue the history (zab.ErrGap, zab.ErrDiverged), whose
// truncation point is not held (ErrNoPoint), that would undo committed entries
// (ErrCommitted) or whose epochs go backwards (ErrEpochs); a fenced writer answers
// ErrFenced, a failed log its failure. p belongs to the log until then. Submit waits
// for the disk only when much is queued, and for a truncation, which needs what was queued
// before it to be written.
func (w *Writer) Submit(p *zab.Persist) error {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	w.await(p.Truncate != nil)
	if err := w.open(); err != nil {
		return err
	}
	it, err := l.admit(p)
	if err != nil {
		return err
	}
	w.put(it)
	return nil
}

// admit checks a step and moves next behind it. Callers hold mu; for a truncation
// everything submitted before is written.
func (l *Log) admit(p *zab.Persist) (item, error) {
	it := item{step: p}
	switch {
	case p.Truncate != nil:
		if err := l.locate(*p.Truncate); err != nil {
			return item{}, err
		}
	case p.Install != nil:
		it.from = *p.Install
		if len(l.staged.runs) > 0 {
			it.from = l.staged.last()
		}
		it.reset = l.staged.dirty && len(l.staged.runs) == 0
	}
	return it, l.next.step(p, &l.staged)
}

// Stage queues entries that follow a snapshot still being received. They are kept,
// unsynced and invisible, until a step installs that snapshot; a new writer forgets them.
// It fails like Submit, and leaves the entries to the log like Submit.
func (w *Writer) Stage(entries []zab.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	w.await(false)
	if err := w.open(); err != nil {
		return err
	}
	it, err := l.admitStage(entries)
	if err != nil {
		return err
	}
	w.put(it)
	return nil
}

// admitStage moves staged behind entries. Callers hold mu.
func (l *Log) admitStage(entries []zab.Entry) (item, error) {
	it := item{stage: entries, reset: l.staged.dirty && len(l.staged.runs) == 0}
	if err := l.staged.add(entries); err != nil {
		return item{}, err
	}
	if it.reset {
		l.staged.dirty = false
	}
	return it, nil
}

// Close waits until everything submitted is durable and reported, or the writer is
// fenced or the log has failed, and ends the writer. It must not be called from done.
func (w *Writer) Close() {
	l := w.log
	l.mu.Lock()
	w.closing = true
	w.wake.Signal()
	l.mu.Unlock()
	<-w.exited
}

// maxQueued is the number of bytes in the queue at which Submit and Stage wait for the disk.
const maxQueued = 64 << 20

// await waits until the queue has room, and with all until it is written altogether. Callers
// hold mu.
func (w *Writer) await(all bool) {
	for w.open() == nil && (w.queued >= maxQueued || all && (len(w.queue) > 0 || w.writing)) {
		w.log.idle.Wait()
	}
}

// put queues an item. Callers hold mu.
func (w *Writer) put(it item) {
	entries := it.stage
	if it.step != nil {
		entries = it.step.Append
	}
	for i := range entries {
		w.queued += entryOverhead + len(entries[i].Data)
	}
	w.queue = append(w.queue, it)
	w.wake.Signal()
}

// entryOverhead is about what an entry takes in memory beside its data.
const entryOverhead = 64

// open returns why the writer takes nothing more, or nil. Callers hold mu.
func (w *Writer) open() error {
	if err := w.log.failed(); err != nil {
		return err
	}
	if w.fenced || w.closing {
		return ErrFenced
	}
	return nil
}

// run is the writer's goroutine: it ends when the writer is closed and drained, or fenced,
// or when the log has failed.
func (w *Writer) run() {
	l := w.log
	defer close(w.exited)
	for {
		l.mu.Lock()
		for len(w.queue) == 0 && w.open() == nil {
			w.wake.Wait()
		}
		stop := w.fenced || l.failed() != nil || len(w.queue) == 0
		if stop {
			w.closing = true
			if l.writer == w {
				l.writer = nil
			}
			l.idle.Broadcast()
		}
		l.mu.Unlock()
		if stop {
			return
		}
		token, err := l.writeGroup(w)
		if err != nil {
			continue // recorded: the next turn stops
		}
		if token != 0 && w.mayReport() {
			w.done(token)
		}
		l.commitMu.Lock()
		if err := l.raiseWatermark(false); err != nil {
			_ = l.fail(err)
		}
		l.commitMu.Unlock()
	}
}

// mayReport reports whether the callback may run; a writer that is being fenced waits for
// it to return.
func (w *Writer) mayReport() bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return !w.fenced && w.log.failed() == nil
}

// writeGroup writes everything queued as one group and returns its highest token.
func (l *Log) writeGroup(w *Writer) (token uint64, err error) {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	l.mu.Lock()
	group := w.queue
	w.queue, w.queued, w.writing = l.taken[:0], 0, true
	l.ahead.copyFrom(&l.next)
	l.idle.Broadcast()
	l.mu.Unlock()

	err = l.write(group)

	l.mu.Lock()
	w.writing = false
	l.idle.Broadcast()
	l.mu.Unlock()
	for i := range group {
		if p := group[i].step; p != nil {
			token = p.Token
		}
	}
	clear(group)
	l.taken = group
	return token, err
}
