package sim

import (
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// stream is history on its way from the leader's disk to one learner.
type stream struct {
	t       *tenure
	ask     zab.Stream
	link    *link
	release func()
	over    bool
	image   snapshot
	at      zxid.Point
}

func (t *tenure) startStream(ask zab.Stream) {
	l := t.links[ask.To]
	if l == nil {
		return
	}
	from := ask.From
	if ask.Snapshot {
		from = t.p.app.handed.ID
	}
	release := t.p.disk.log.Pin(from)
	t.stopStream(ask.To)
	s := &stream{t: t, ask: ask, link: l, release: release, at: zxid.Point{ID: ask.From}}
	t.streams[ask.To] = s
	s.later()
}

func (t *tenure) stopStream(sid quorum.SID) {
	if s := t.streams[sid]; s != nil {
		s.over = true
		s.release()
		if s.image != nil {
			s.image.close()
		}
		delete(t.streams, sid)
	}
}

func (s *stream) later() {
	s.t.p.after(s.t.p.disk.delay(50*time.Microsecond, 4*time.Millisecond), func() {
		if !s.over {
			s.step()
		}
	})
}

// step sends the next piece.
func (s *stream) step() {
	p := s.t.p
	msg := zab.Message{From: p.sid, To: s.ask.To, Epoch: s.ask.Epoch}
	switch {
	case s.ask.Snapshot && (s.image == nil && p.app.standing.suspect || p.s.now < s.t.undecided):
		p.s.server(s.ask.To).refused = p.s.now
		s.end(evStreamFailed)
		return
	case s.ask.Snapshot && s.image == nil:
		p.s.oracle.taintedBy(p, p.app.tree.at())
		s.image = p.app.tree.snapshot()
		s.at = s.image.point()
		msg.Kind, msg.Point = zab.Snap, s.at
	case s.ask.Snapshot:
		msg.Kind = zab.SnapChunk
		msg.Data, msg.Done = s.image.next()
	case s.at.ID < s.ask.UpTo:
		entries, err := p.disk.log.Entries(s.at.ID, s.ask.UpTo, 600)
		if err != nil || len(entries) == 0 || entries[0].Prev != s.at.ID {
			s.end(evStreamFailed)
			return
		}
		msg.Kind, msg.Entries = zab.Proposal, entries
		s.at = entries[len(entries)-1].Point()
	}
	p.s.trace(p.server, line{label: said(&msg), peer: msg.To, msg: &msg})
	s.link.send(toDialer, []zab.Message{msg})
	if msg.Done || !s.ask.Snapshot && s.at.ID >= s.ask.UpTo {
		s.end(evStreamDone)
		return
	}
	p.crashPoint()
	s.later()
}

// end tells the leader. The pin stays until the learner is synchronised.
func (s *stream) end(kind evKind) {
	s.over = true
	s.t.p.put(message{kind: kind, generation: s.t.generation, sid: s.ask.To, link: s.link, point: s.at})
}

func (t *tenure) streamEnded(m message) {
	if t.leader == nil || m.generation != t.generation || t.links[m.sid] != m.link {
		return
	}
	if m.kind == evStreamFailed {
		t.leader.StreamFailed(m.sid)
		return
	}
	t.leader.StreamDone(m.sid, m.point)
}
