package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/server/watch"
)

const (
	// deadlineStep is how many sessions are asked for at once: those who know are kept from their
	// work meanwhile.
	deadlineStep = 512
	// ownedStep is how many ephemerals are read at once: nothing of the store is held while they
	// travel to the client.
	ownedStep = 1024
	// listStep is how many entries of the registry of watches are read at once.
	listStep = 256
)

// agenda collects things by a number that says when their time comes.
type agenda[T any] map[int64][]T

func (a agenda[T]) add(when int64, thing T) { a[when] = append(a[when], thing) }

// dues returns the lists in the order of their times.
func (a agenda[T]) dues(at func(when int64) time.Time) []fourletter.Due[T] {
	list := make([]fourletter.Due[T], 0, len(a))
	for _, when := range slices.Sorted(maps.Keys(a)) {
		list = append(list, fourletter.Due[T]{At: at(when), Things: a[when]})
	}
	return list
}

// Sessions implements fourletter.Source. The tree says which sessions there are; the leader's pipeline
// is asked when they expire, a few at a time.
func (q *inquiry) Sessions() fourletter.Sessions {
	s := q.s
	var out fourletter.Sessions
	if out.HasLocal = s.cfg.LocalSessions; out.HasLocal {
		due := agenda[proto.SessionID]{}
		s.locals.deadlines(func(id proto.SessionID, eras int64) { due.add(eras, id) })
		out.Local = due.dues(s.inEras)
	}
	s.cfg.Store.Sessions(func(id proto.SessionID, timeout int32) bool {
		out.Timeouts = append(out.Timeouts, fourletter.Timeout{Session: id, TimeoutMs: timeout})
		return true
	})
	p := s.primary.Load()
	if p == nil || s.ReadOnly() {
		return out
	}
	due := agenda[proto.SessionID]{}
	var now int64
	var begun time.Time // the tick now
	for some := range slices.Chunk(out.Timeouts, deadlineStep) {
		if !p.ask(func() {
			now, begun = p.sessions.Now(), p.tickDue
			for _, one := range some {
				if tick, ok := p.sessions.Deadline(one.Session); ok {
					due.add(tick, one.Session)
				}
			}
		}, q.c.dead) {
			return out // it leads no more
		}
	}
	out.Leads = true
	out.Global = due.dues(func(tick int64) time.Time { return begun.Add(time.Duration(tick-now) * s.cfg.TickTime) })
	return out
}

// ask has the goroutine call f, which must be quick, and waits for it; false if the pipeline ends or
// dead is closed first.
func (p *primary) ask(f func(), dead <-chan struct{}) bool {
	answered := make(chan struct{})
	select {
	case p.questions <- func() { f(); close(answered) }:
		<-answered
		return true
	case <-p.ending:
	case <-dead:
	}
	return false
}

// inEras returns the time after so many eras.
func (s *Server) inEras(n int64) time.Time {
	return s.cfg.Now().Add(time.Duration(n) * s.cfg.era())
}

// Owners implements fourletter.Source.
func (q *inquiry) Owners() (n int) {
	q.s.cfg.Store.Owners(func(proto.SessionID) bool {
		n++
		return true
	})
	return n
}

// Ephemerals implements fourletter.Source.
func (q *inquiry) Ephemerals(yield func(owner proto.SessionID, path string) bool) {
	type owned struct {
		owner proto.SessionID
		path  string
	}
	var last owned
	for page := make([]owned, 0, ownedStep); ; page = page[:0] {
		q.s.cfg.Store.Owned(last.owner, last.path, func(owner proto.SessionID, path string) bool {
			page = append(page, owned{owner, path})
			return len(page) < ownedStep
		})
		for _, one := range page {
			if !yield(one.owner, one.path) {
				return
			}
		}
		if len(page) < ownedStep {
			return
		}
		last = page[len(page)-1]
	}
}

// Connections implements fourletter.Source.
func (q *inquiry) Connections() []fourletter.Due[fourletter.Connection] {
	due := agenda[fourletter.Connection]{}
	era := q.s.era.Load()
	for _, c := range q.s.connections() {
		c.mu.Lock()
		one := fourletter.Connection{Address: c.remote, Session: c.session}
		c.mu.Unlock()
		due.add(c.active.Load()+c.patience(c.hasOpened())+1-era, one)
	}
	return due.dues(q.s.inEras)
}

// Watches implements fourletter.Source.
func (q *inquiry) Watches(byPath bool, yield func(*fourletter.WatchLine) bool) {
	if byPath {
		q.watchesByPath(yield)
	} else {
		q.watchesByMember(yield)
	}
}

func (q *inquiry) watchesByPath(yield func(*fourletter.WatchLine) bool) {
	w := q.s.watches
	var paths []string
	for from := uint32(0); ; {
		if paths, from = w.Paths(from, listStep, paths); from == 0 {
			break
		}
	}
	slices.Sort(paths)
	var conns []*conn
	var ids []proto.SessionID
	for _, path := range paths {
		ids = ids[:0]
		for cursor, more := w.WalkPath(path), true; more; {
			conns, more = w.Step(cursor, listStep, conns[:0])
			for _, c := range conns {
				ids = append(ids, c.session)
			}
		}
		if len(ids) == 0 {
			continue
		}
		slices.Sort(ids)
		if !yield(&fourletter.WatchLine{IsPath: true, Path: path}) {
			return
		}
		for _, id := range slices.Compact(ids) {
			if !yield(&fourletter.WatchLine{Session: id}) {
				return
			}
		}
	}
}

func (q *inquiry) watchesByMember(yield func(*fourletter.WatchLine) bool) {
	w := q.s.watches
	var members []watchMember
	for from := uint32(0); ; {
		if members, from = w.Members(from, listStep, members); from == 0 {
			break
		}
	}
	slices.SortFunc(members, func(a, b watchMember) int { return cmp.Compare(a.Conn.session, b.Conn.session) })
	var paths []string
	for _, m := range members {
		paths = paths[:0]
		cursor, now := w.WalkMember(m.ID)
		for more := true; more; {
			paths, more = w.StepPaths(cursor, listStep, paths)
		}
		if now != m.Conn || len(paths) == 0 {
			continue // it has left
		}
		slices.Sort(paths)
		if !yield(&fourletter.WatchLine{Session: m.Conn.session}) {
			return
		}
		for _, path := range slices.Compact(paths) {
			if !yield(&fourletter.WatchLine{IsPath: true, Path: path}) {
				return
			}
		}
	}
}

type watchMember = watch.Member[*conn]
