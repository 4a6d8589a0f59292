package differ

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Several servers of one ensemble are compared with several of another by making them all current
// behind every step that changes anything: what one server has answered for is then applied by
// all, and what they had to tell their clients is on its way before the clients' pings.

// unseen does something of which nothing gets into the transcript.
func (s *Side) unseen(do func()) {
	lines, newest := s.lines, s.newest
	do()
	s.lines, s.newest = lines, newest
}

// level makes all servers current.
func (s *Side) level() {
	if len(s.admins) == 1 {
		return
	}
	s.unseen(func() {
		for _, a := range s.admins {
			if a.conn != nil {
				s.send(a, []Request{{Op: proto.OpSync, Args: []Arg{{Text: "/"}}}})
			}
		}
	})
}

// applied makes all servers current and returns the newest zxid.
func (s *Side) applied() int64 {
	s.level()
	admin := s.admins[0]
	s.unseen(func() {
		if admin.conn != nil {
			s.send(admin, []Request{{Op: proto.OpPing}})
		}
	})
	return admin.zxids.last
}

// lost returns an error when a connection of an admin has ended.
func (s *Side) lost() error {
	for i, a := range s.admins {
		if a.conn == nil {
			return fmt.Errorf("differ: %s: the admin's connection to server %d is gone", s.Name, i)
		}
	}
	return nil
}

// nowhere is a node that is not there.
const nowhere = "/zookeeper/nowhere"

// moved shows what has become of the connection of a session that was renewed at another server:
// the reference ends it at its next write, which must not be carried out (spec semantics 9.4). The
// zxid of that refusal does not count.
func (s *Side) moved(c *client) {
	before := s.applied()
	c.conn.send([]Request{{Op: proto.OpDelete, Args: []Arg{{Text: nowhere}, {N: -1}}}}, c.zxids)
	s.awaitClose(c, c.conn)
	if after := s.applied(); after == before+1 {
		s.names.skip(after)
	}
}
