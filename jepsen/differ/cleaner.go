package differ

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// When a server removes containers and nodes with a time to live is its own affair, and so is the
// order in which it removes several. Where sides are to be settled, they are waited for behind
// each step until nothing is left that must go, and all the removals have one name for their zxids.

// cleanerLimit is how long servers may take to remove what must go.
const cleanerLimit = 60 * time.Second

// shortTTL is a time to live that is over at once, ms. Any other of a script never is.
const shortTTL = 1

// mortal is a node that must go once it has no children.
type mortal struct {
	czxid     int64
	container bool // one that has had children
}

// mortals are the nodes of a script that must go at some time, by path.
type mortals map[string]mortal

// note notes the mortal nodes that a request has made.
func (m mortals) note(r *Request, h proto.ReplyHeader, rest []byte) {
	cur := jute.NewCursor(rest)
	if r.Op != proto.OpMulti {
		m.created(r, h, &cur)
		return
	}
	for i := range r.Items {
		op, _, _ := proto.Op(cur.Int()), cur.Bool(), cur.Int()
		if op == proto.OpError {
			return // nothing was done
		}
		switch {
		case op.IsCreate():
			m.created(&r.Items[i], h, &cur)
		case op == proto.OpSetData:
			skipStat(&cur)
		}
		if op.IsCreate() && op != proto.OpCreate {
			skipStat(&cur)
		}
	}
}

func skipStat(cur *jute.Cursor) {
	var s proto.Stat
	s.Decode(cur)
}

// created notes what one create has made; its path is next.
func (m mortals) created(r *Request, h proto.ReplyHeader, cur *jute.Cursor) {
	if !r.Op.IsCreate() || r.HasRaw {
		return
	}
	path, mode := cur.String(), proto.CreateMode(r.Args[3].N)
	switch {
	case cur.Err() != nil:
	case r.Op == proto.OpCreateTTL && mode.TTL() && r.Args[4].N == shortTTL:
		m[path] = mortal{czxid: int64(h.Zxid)}
	case r.Op == proto.OpCreateContainer || mode == proto.ModeContainer:
		m[path] = mortal{czxid: int64(h.Zxid), container: true}
	}
}

// settle waits until nothing is left that must go, behind a step whose own last zxid is known. It
// reports whether several nodes went.
func (s *Side) settle() (several bool) {
	if !s.settles || len(s.mortals) == 0 {
		return false
	}
	own := s.newest
	if !s.poll(cleanerLimit, s.settled) {
		s.add(s.admins[0], "not all that must go has gone")
	}
	last := s.applied()
	s.names.merge(own, last)
	return last > own+1
}

// settled reports whether no node is there that must go, and forgets those that are gone.
func (s *Side) settled() bool {
	s.level()
	conn := s.admins[0].conn
	if conn == nil {
		return true
	}
	paths := slices.Sorted(maps.Keys(s.mortals))
	requests := make([]Request, len(paths))
	for i, path := range paths {
		requests[i] = Request{Op: proto.OpExists, Args: []Arg{{Text: path}, {}}}
	}
	conn.send(requests, zxids{})
	due := false
	for _, path := range paths {
		frame, err := conn.frame(answerLimit)
		if err != nil {
			s.hangUp(s.admins[0])
			return true
		}
		conn.pending = conn.pending[1:]
		var h proto.ReplyHeader
		var st proto.Stat
		cur := jute.NewCursor(frame)
		h.Decode(&cur)
		st.Decode(&cur)
		m := s.mortals[path]
		switch {
		case h.Err != proto.CodeOK || int64(st.Czxid) != m.czxid:
			delete(s.mortals, path)
		case st.NumChildren == 0 && (!m.container || st.Cversion > 0):
			due = true
		}
	}
	return !due
}

// sortEvents sorts neighbouring events of one client.
func sortEvents(lines []Line) {
	for i := 0; i < len(lines); {
		j := i + 1
		for j < len(lines) && isEvent(lines[i]) && isEvent(lines[j]) && lines[j].Client == lines[i].Client {
			j++
		}
		slices.SortFunc(lines[i:j], func(a, b Line) int { return strings.Compare(a.Text, b.Text) })
		i = j
	}
}
