package txnlog

import "github.com/zabkeeper/zabkeeper/zab"

// Apply does what a Writer does, at once and on the caller's goroutine: the step is one
// atomic, synced batch when Apply returns. It is for single-threaded drivers such as the
// simulator; while a Writer is open it answers ErrBusy.
func (l *Log) Apply(p *zab.Persist) error {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	l.mu.Lock()
	it, err := item{}, l.quiet()
	if err == nil {
		it, err = l.admit(p)
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.writeNow(it)
}

// StageNow is Writer.Stage for single-threaded drivers.
func (l *Log) StageNow(entries []zab.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	l.mu.Lock()
	it, err := item{}, l.quiet()
	if err == nil {
		it, err = l.admitStage(entries)
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.writeNow(it)
}

// DropStaged forgets staged entries, as a new Writer does: a single-threaded driver calls
// it when a role begins.
func (l *Log) DropStaged() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.quiet(); err != nil {
		return err
	}
	l.resetNext()
	return nil
}

// quiet returns why a caller without a Writer may not write, or nil. Callers hold mu.
func (l *Log) quiet() error {
	switch {
	case l.failed() != nil:
		return l.failed()
	case l.closed:
		return ErrClosed
	case l.writer != nil:
		return ErrBusy
	}
	return nil
}

// writeNow writes one item. Callers hold commitMu.
func (l *Log) writeNow(it item) error {
	l.mu.Lock()
	l.ahead.copyFrom(&l.next)
	l.mu.Unlock()
	group := append(l.taken[:0], it)
	err := l.write(group)
	if err == nil {
		err = l.raiseWatermark(false)
		if err != nil {
			err = l.fail(err)
		}
	}
	clear(group)
	l.taken = group
	return err
}
