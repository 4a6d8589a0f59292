package differ

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Line is one thing that a client saw, with what differs between servers by their nature replaced
// by names.
type Line struct {
	Client, Text string
}

// String returns "client: text".
func (l Line) String() string { return l.Client + ": " + l.Text }

// Side is a server, or some of one ensemble, and the clients that a script has there. One goroutine
// uses it.
type Side struct {
	Name string

	addrs   []string
	admins  []*client // super, one for each server; what they see is in no transcript
	clients map[string]*client
	orphans []*client // sessions that their clients left
	names   *names
	lines   []Line
	newest  int64 // zxid seen by any client
	settles bool  // the servers remove nodes by themselves
	mortals mortals
}

// client is one of a script's clients: its connection and its session.
type client struct {
	label  string
	conn   *conn // nil: none
	at     int   // the server that the session was last renewed at
	id     proto.SessionID
	passwd [proto.PasswordLen]byte
	live   bool // the session, as far as is known
	zxids  zxids
}

// adminTimeout is the session timeout of the admin, ms.
const adminTimeout = 3_600_000

// SuperAuth is what the super user authenticates with: the servers must be configured with the
// digest of SuperDigest.
const (
	SuperAuth   = "super:admin"
	SuperDigest = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="
)

// Connect makes a side of running servers of the profile: one, or several of an ensemble. Scripts name servers by
// their numbers in the list, from 0; where there are fewer, the numbers begin again.
func (p Profile) Connect(name string, addrs ...string) (*Side, error) {
	s := &Side{Name: name, addrs: addrs, clients: map[string]*client{}, names: newNames(0), settles: p.Weights.Cleaner}
	for i := range addrs {
		admin := &client{label: "admin", at: i}
		s.open(admin, Step{Act: Open, Timeout: adminTimeout, At: i})
		if admin.conn == nil {
			return nil, fmt.Errorf("differ: %s: no session: %v", name, s.lines)
		}
		s.send(admin, []Request{{Op: proto.OpAuth, Args: []Arg{{}, {Text: "digest"}, {Text: SuperAuth}}}})
		if !strings.HasPrefix(s.lines[len(s.lines)-1].Text, "auth ") || admin.conn == nil {
			return nil, fmt.Errorf("differ: %s: super user: %v", name, s.lines)
		}
		s.admins = append(s.admins, admin)
	}
	// A new ensemble may have no zxid yet, or only that of its leader's epoch.
	s.unseen(func() { s.send(s.admins[0], []Request{{Op: proto.OpDelete, Args: []Arg{{Text: nowhere}, {N: -1}}}}) })
	return s, s.Begin()
}

// Close ends all connections.
func (s *Side) Close() {
	for _, c := range s.clients {
		s.hangUp(c)
	}
	for _, a := range s.admins {
		s.hangUp(a)
	}
}

// Begin starts a script: what comes is told relative to the server's state now.
func (s *Side) Begin() error {
	base := s.applied()
	s.names, s.newest = newNames(base), base
	if err := s.lost(); err != nil {
		return err
	}
	s.mortals = mortals{}
	s.lines, s.clients, s.orphans = nil, map[string]*client{}, nil
	return nil
}

// Do carries out one step and returns what the clients saw meanwhile.
func (s *Side) Do(step Step) []Line {
	s.lines = nil
	c := s.clients[step.Client]
	if c == nil {
		c = &client{label: step.Client}
		s.clients[step.Client] = c
	}
	switch step.Act {
	case Open:
		if c.live {
			orphan := *c
			orphan.conn = nil
			s.orphans = append(s.orphans, &orphan)
		}
		s.hangUp(c)
		s.open(c, step)
	case Renew:
		s.renew(c, step)
	case Drop:
		s.hangUp(c)
	case Mark:
		c.zxids.mark = c.zxids.last
	case Frame, Length:
		s.garbage(c, step)
	case LogIn:
		s.login(c, step.Login)
	case Silent, Vanish:
		s.expire(c, step.Act == Silent)
	case Send:
		if c.conn != nil {
			s.send(c, step.Requests)
		}
	}
	if step.changes() {
		s.rest(step.Act == Send && s.settle())
	}
	return s.lines
}

// rest collects what everybody sees of a step. The events of several nodes that went by themselves
// have no order.
func (s *Side) rest(several bool) {
	s.level()
	s.barriers()
	if several {
		sortEvents(s.lines)
	}
}

// barriers collects what was sent to any client before now.
func (s *Side) barriers() {
	for _, label := range slices.Sorted(maps.Keys(s.clients)) {
		s.barrier(s.clients[label])
	}
}

func (s *Side) add(c *client, format string, args ...any) {
	s.lines = append(s.lines, Line{c.label, fmt.Sprintf(format, args...)})
}

func (s *Side) hangUp(c *client) {
	if c.conn != nil {
		c.conn.hangUp()
		c.conn = nil
	}
}

// farZxid is one that no server has reached.
const farZxid zxid.ID = 1 << 62

// open makes a new session for c.
func (s *Side) open(c *client, step Step) {
	s.handshake(c, proto.ConnectRequest{TimeOut: step.Timeout, Passwd: make([]byte, proto.PasswordLen), HasReadOnly: true}, step)
}

// renew connects with c's session. Before anything but its right password the present connection
// is dropped: a server may end that one first (spec client-protocol 4.4, note to 7).
func (s *Side) renew(c *client, step Step) {
	hello := proto.ConnectRequest{TimeOut: step.Timeout, SessionID: c.id, Passwd: slices.Clone(c.passwd[:]), HasReadOnly: true}
	switch {
	case c.id == 0:
		return
	case step.Password == WrongPassword:
		hello.Passwd[0] ^= 1
	case step.Password == UnknownSession:
		hello.SessionID ^= 0x5500
	}
	if step.Password != RightPassword {
		s.hangUp(c)
	}
	s.handshake(c, hello, step)
}

// handshake connects. A former connection of c that the server does not end stays.
func (s *Side) handshake(c *client, hello proto.ConnectRequest, step Step) {
	if step.Ahead {
		hello.LastZxidSeen = farZxid
	}
	at := step.At % len(s.addrs)
	conn, response, err := dial(s.addrs[at], hello)
	switch {
	case err != nil:
		s.add(c, "%v", err)
		return
	case conn.closed:
		s.add(c, "turned away")
		return
	case response.SessionID == 0:
		s.add(c, "refused timeout %d passwd %x readonly %v", response.TimeOut, response.Passwd, response.ReadOnly)
		s.awaitClose(c, conn)
		return
	}
	passwd := "ok"
	if response.Passwd != proto.Password(response.SessionID) {
		passwd = "odd"
	}
	s.add(c, "session %s timeout %d passwd %s readonly %v %v", s.names.newSession(int64(response.SessionID)), response.TimeOut,
		passwd, response.HasReadOnly, response.ReadOnly)
	if c.conn != nil && c.at != at {
		s.moved(c)
	}
	if c.conn != nil {
		s.awaitClose(c, c.conn)
	}
	c.conn, c.at, c.id, c.passwd, c.live = conn, at, response.SessionID, response.Passwd, true
}

// awaitClose collects what comes until the server ends the connection.
func (s *Side) awaitClose(c *client, conn *conn) {
	for {
		frame, err := conn.frame(closeLimit)
		if errors.Is(err, errSilence) {
			s.add(c, "still open")
			break
		}
		if err != nil {
			s.add(c, "closed")
			break
		}
		s.see(c, conn, frame)
	}
	conn.hangUp()
	if c.conn == conn {
		c.conn = nil
	}
}

// garbage sends what no server can answer.
func (s *Side) garbage(c *client, step Step) {
	if c.conn == nil {
		return
	}
	buf, mark := proto.BeginFrame(nil)
	buf = proto.EndFrame(append(buf, step.Raw...), mark)
	if step.Act == Length {
		buf = jute.AppendInt(nil, step.N)
	}
	c.conn.write(buf)
	s.awaitClose(c, c.conn)
}

// see writes down one frame and returns the request that it answers; the op of a notification
// is OpNotification.
func (s *Side) see(c *client, conn *conn, frame []byte) (r Request, h proto.ReplyHeader) {
	cur := jute.NewCursor(frame)
	h.Decode(&cur)
	if err := cur.Err(); err != nil {
		s.add(c, "bad frame %x", frame)
		return r, h
	}
	if h.Xid == proto.XidNotification {
		s.add(c, "%s", s.names.event(h, cur.Rest()))
		return r, h
	}
	r, ok := conn.take(h.Xid)
	if h.Zxid > 0 {
		c.zxids.last = int64(h.Zxid)
		if ok && c.zxids.last > s.newest && vain(&r, h.Err) {
			s.names.skip(c.zxids.last)
		}
		s.newest = max(s.newest, c.zxids.last)
	}
	if !ok {
		s.add(c, "answer to nothing, xid %d: %x", h.Xid, frame)
		return r, h
	}
	if s.settles && h.Err == proto.CodeOK {
		s.mortals.note(&r, h, cur.Rest())
	}
	s.add(c, "%s", s.names.reply(&r, h, cur.Rest()))
	return r, h
}

// vain reports whether the reference spends a zxid on that refusal that ZabKeeper does not.
func vain(r *Request, err proto.Code) bool {
	return r.Op.IsWrite() && err == proto.CodeMarshallingError
}

// last reports whether a server hangs up behind this answer.
func last(r *Request, h proto.ReplyHeader) bool {
	switch {
	case r.Op == proto.OpNotification: // an event, not a request
		return h.Xid != proto.XidNotification
	case h.Err == proto.CodeAuthFailed || h.Err == proto.CodeSessionClosedRequireSASLAuth:
		return true
	}
	return r.Op == proto.OpCloseSession || !r.Op.Known()
}

// send sends requests and waits for all answers, or the end of the connection.
func (s *Side) send(c *client, requests []Request) {
	conn := c.conn
	conn.send(requests, c.zxids)
	for len(conn.pending) > 0 {
		frame, err := conn.frame(answerLimit)
		if err != nil {
			s.cutOff(c, err)
			return
		}
		r, h := s.see(c, conn, frame)
		if r.Op == proto.OpCloseSession {
			c.live = false
		}
		if last(&r, h) {
			s.awaitClose(c, conn)
			return
		}
	}
}

// cutOff notes that a connection brought no answer.
func (s *Side) cutOff(c *client, err error) {
	if errors.Is(err, errSilence) {
		s.add(c, "silence")
	} else {
		s.add(c, "closed")
	}
	s.hangUp(c)
}

// barrier pings and collects what comes before the answer. The answer is in the transcript only
// when it shows a zxid that nobody has seen before, or none at all.
func (s *Side) barrier(c *client) {
	if c.conn == nil {
		return
	}
	newest := s.newest
	s.send(c, []Request{{Op: proto.OpPing}})
	n := len(s.lines) - 1
	if n < 0 || s.lines[n].Client != c.label {
		return
	}
	switch s.lines[n].Text {
	case "ping " + s.names.zxid(newest):
		s.lines = s.lines[:n]
	case "ping " + s.names.zxid(s.newest):
		s.lines[n].Text = "at " + s.names.zxid(s.newest)
	}
}
