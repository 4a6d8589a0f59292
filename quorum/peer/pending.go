package peer

import (
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// pending holds the entries of this role that are in the log's hands and not yet
// committed, in order, so that a commit need not read them back.
type pending struct {
	entries []zab.Entry
	head    int
}

// add appends entries behind the last.
func (p *pending) add(entries []zab.Entry) {
	if p.head > 0 && p.head == len(p.entries) {
		p.entries, p.head = p.entries[:0], 0
	}
	p.entries = append(p.entries, entries...)
}

// first returns the oldest entry.
func (p *pending) first() (zab.Entry, bool) {
	if p.head == len(p.entries) {
		return zab.Entry{}, false
	}
	return p.entries[p.head], true
}

// pop removes and returns the entries up to and with id. The result is the caller's.
func (p *pending) pop(id zxid.ID) []zab.Entry {
	end := p.head
	for end < len(p.entries) && p.entries[end].ID <= id {
		end++
	}
	if end == p.head {
		return nil
	}
	out := make([]zab.Entry, end-p.head)
	copy(out, p.entries[p.head:end])
	clear(p.entries[p.head:end])
	p.head = end
	if p.head > len(p.entries)/2 && p.head > 1024 {
		n := copy(p.entries, p.entries[p.head:])
		clear(p.entries[n:])
		p.entries, p.head = p.entries[:n], 0
	}
	return out
}

// reset forgets everything.
func (p *pending) reset() { p.entries, p.head = nil, 0 }
