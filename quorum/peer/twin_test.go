package peer_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// treeDisk is what of a list survives a crash.
type treeDisk struct {
	entries []zab.Entry // as of the last flush or installed snapshot
	staged  []zab.Entry // a finished snapshot, nil: none
}

// list is a real state machine, of the simplest kind: the list of everything that was
// committed, its snapshot the list itself. As a leader it proposes whatever is requested, as is,
// and answers a Sync at once.
type list struct {
	sid quorum.SID
	// mistake tells of calls that break the contract.
	mistake func(format string, args ...any)
	// beforeInstall, if not nil, runs at the beginning of Install, whose error it may be.
	beforeInstall func() error
	// beforeChunk, if not nil, runs before a chunk of a snapshot is read.
	beforeChunk func()

	mu       sync.Mutex
	peer     *peer.Peer
	entries  []zab.Entry
	disk     treeDisk
	answers  []string // data of each answer, and what was applied when it came
	calls    []string // Lead, Serve, StopServing, Install, in order
	serving  bool
	leading  uint64 // generation; 0: none
	next     zxid.ID
	members  quorum.Membership
	snapshot int // opened
}

func (l *list) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *list) isServing() (yes bool) {
	l.locked(func() { yes = l.serving })
	return yes
}

func lastOf(entries []zab.Entry) zxid.Point {
	if len(entries) == 0 {
		return zxid.Point{}
	}
	return entries[len(entries)-1].Point()
}

func (l *list) Applied() zxid.Point {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lastOf(l.entries)
}

func (l *list) Commit(entries []zab.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if err := e.Check(lastOf(l.entries)); err != nil {
			l.mistake("server %v: committed out of order: %v", l.sid, err)
		}
		l.entries = append(l.entries, e)
	}
}

func (l *list) Answered(m zab.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, fmt.Sprintf("%v %s after %d", m.Kind, m.Data, len(l.entries)))
}

func (l *list) Lead(epoch zxid.Epoch, first zxid.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf("lead %d", epoch))
	l.leading, l.next = l.peer.Leading(), first
	if l.leading == 0 {
		l.mistake("server %v: told to lead epoch %d without a generation", l.sid, epoch)
	}
}

func (l *list) Forwarded(from quorum.SID, msgs []zab.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leading == 0 {
		l.mistake("server %v: requests of %v without leading", l.sid, from)
	}
	for _, m := range msgs {
		switch m.Kind {
		case zab.Request:
			l.peer.Propose(l.leading, l.next, [][]byte{m.Data})
			l.next++
		case zab.Sync, zab.Revalidate:
			l.peer.Answer(l.leading, from, m.Kind, m.Data)
		default:
		}
	}
}

func (l *list) Serve(state fle.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, "serve "+state.String())
	l.serving = true
}

func (l *list) ServeReadOnly() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state := l.peer.Status().State; state != fle.Looking {
		l.mistake("server %v: told to serve read-only while %v", l.sid, state)
	}
	l.calls = append(l.calls, "serve read-only")
}

// Drain implements StateMachine: nothing waits here.
func (l *list) Drain(time.Duration) {}

func (l *list) StopServing(string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, "stop")
	l.serving, l.leading = false, 0
}

// flush makes what was applied durable.
func (l *list) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disk.entries = slices.Clone(l.entries)
}

// image is what a crash would leave now.
func (l *list) image() treeDisk {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.disk
}

func (l *list) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.entries))
	for _, e := range l.entries {
		out = append(out, string(e.Data))
	}
	return out
}

func (l *list) history() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.calls, ", ")
}

// Snapshot stream: per entry zxid, prev, hash, length, data.
const entryHead = 28

func appendEntry(dst []byte, e zab.Entry) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.ID))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.Prev))
	dst = binary.BigEndian.AppendUint64(dst, e.Hash)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(e.Data)))
	return append(dst, e.Data...)
}

func decodeEntries(b []byte) ([]zab.Entry, error) {
	out := []zab.Entry{}
	for len(b) > 0 {
		if len(b) < entryHead || len(b)-entryHead < int(binary.BigEndian.Uint32(b[24:])) {
			return nil, errors.New("snapshot is cut short")
		}
		end := entryHead + int(binary.BigEndian.Uint32(b[24:]))
		e := zab.Entry{
			ID: zxid.ID(binary.BigEndian.Uint64(b)), Prev: zxid.ID(binary.BigEndian.Uint64(b[8:])),
			Hash: binary.BigEndian.Uint64(b[16:]), Data: b[entryHead:end:end],
		}
		if err := e.Check(lastOf(out)); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		out, b = append(out, e), b[end:]
	}
	return out, nil
}

// source sends one entry per chunk, and the last one by itself.
type source struct {
	before  func()
	entries []zab.Entry
	next    int
}

func (l *list) OpenSnapshot() (peer.SnapshotSource, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snapshot++
	return &source{before: l.beforeChunk, entries: slices.Clone(l.entries)}, nil
}

func (s *source) Point() zxid.Point { return lastOf(s.entries) }

func (s *source) Next(int) (chunk []byte, done bool, err error) {
	if s.before != nil {
		s.before()
	}
	if s.next == len(s.entries) {
		return nil, true, nil
	}
	s.next++
	return appendEntry(nil, s.entries[s.next-1]), false, nil
}

func (s *source) Close() error { return nil }

// sink collects a snapshot.
type sink struct {
	list    *list
	content []byte
}

func (l *list) StageSnapshot() (peer.SnapshotSink, error) { return &sink{list: l}, nil }

func (s *sink) Write(chunk []byte) error {
	s.content = append(s.content, chunk...)
	return nil
}

func (s *sink) Finish() (zxid.Point, error) {
	entries, err := decodeEntries(s.content)
	if err != nil {
		return zxid.Point{}, err
	}
	s.list.locked(func() { s.list.disk.staged = entries })
	return lastOf(entries), nil
}

func (s *sink) Discard() error {
	s.list.locked(func() {
		s.list.disk.staged = nil
		s.list.calls = append(s.list.calls, "discard")
	})
	return nil
}

func (l *list) Reconfigured(m quorum.Membership) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = m
}

func (l *list) Install(peer.SnapshotSink) error {
	l.mu.Lock()
	l.calls = append(l.calls, "install")
	before := l.beforeInstall
	l.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.disk.staged == nil {
		l.mistake("server %v: told to install what is not staged", l.sid)
	}
	l.replace()
	return nil
}

// replace makes the staged snapshot the state, durably.
func (l *list) replace() {
	l.entries = slices.Clone(l.disk.staged)
	l.disk = treeDisk{entries: l.disk.staged}
}

// recover brings the list to the log's history, as its owner does at the start.
func (l *list) recover(at zxid.Point, pending bool, read func(after zxid.ID) ([]zab.Entry, error)) error {
	l.entries = slices.Clone(l.disk.entries)
	if pending && lastOf(l.entries) != at {
		if lastOf(l.disk.staged) != at {
			return fmt.Errorf("a snapshot at %v is to be completed, staged is %v", at, lastOf(l.disk.staged))
		}
		l.replace()
	}
	l.disk.staged = nil
	entries, err := read(lastOf(l.entries).ID)
	if err != nil {
		return err
	}
	l.Commit(entries)
	return nil
}
