package txnlog

import "encoding/binary"

// Reserved returns the number that Reserve was last called with, in this life of the store; 0: it
// never was.
func (l *Log) Reserved() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reserved
}

// Reserve notes, durably, that numbers up to n may have been given out by this server: those of
// sessions, which no later life may give to others (hazard H-69). It waits for a sync. Any goroutine
// may call it. The note is no part of the history: neither truncations nor snapshots touch it.
func (l *Log) Reserve(n uint64) error {
	l.commitMu.Lock()
	defer l.commitMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.batch.Set(kindReserved.key(), encodeReserved(n), nil); err != nil {
		return l.fail(fault("write", l.cfg.Dir, err))
	}
	if err := l.commit(l.syncOption()); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved = n
	return nil
}

func encodeReserved(n uint64) []byte {
	return seal(kindReserved, binary.BigEndian.AppendUint64(nil, n))
}

func decodeReserved(r []byte) (uint64, error) {
	f, err := unsealSized(kindReserved, r, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(f), nil
}
