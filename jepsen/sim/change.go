package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// addresses is how many each server has, of which a configuration names one.
const addresses = 3

// members lets a client ask for other members: it wants some to join, to leave, to become observers or
// participants, or to move to another address, the leader among them.
func (a *act) members() { a.ask(5) }

// ask asks now, or a little later if nobody can: so many times.
func (a *act) ask(times int) {
	c := a.asker()
	if c == nil {
		if times > 1 {
			a.later(a.between(50*time.Millisecond, 500*time.Millisecond), func() { a.ask(times - 1) })
		}
		return
	}
	ask := a.wish(c.p.members.Seen)
	switch a.rng.IntN(10) {
	case 0:
		ask.CurConfigID = c.p.members.Committed.Version() - zxid.ID(a.rng.IntN(2))
	case 1, 2, 3:
		ask.CurConfigID = c.p.members.Seen.Version()
	default:
		ask.CurConfigID = -1
	}
	a.note(FaultMembers, c.p.server, fmt.Sprintf("joining %q leaving %q members %q, behind %v",
		ask.JoiningServers.Value, ask.LeavingServers.Value, strings.ReplaceAll(ask.NewMembers.Value, "\n", ","), ask.CurConfigID))
	c.submit(znode.Request{Op: proto.OpReconfig, Body: ask.Append(nil)})
}

// asker finds a client that can ask, beginning anywhere.
func (a *act) asker() *client {
	from := a.rng.IntN(len(a.servers))
	for i := range a.servers {
		p := a.servers[(from+i)%len(a.servers)].proc
		if !p.alive() || !p.app.serves() || p.tenure == nil || p.closing {
			continue
		}
		for _, c := range p.clients {
			if c.live && !c.moving {
				return c
			}
		}
	}
	return nil
}

// submit sends a request behind the others of the session.
func (c *client) submit(r znode.Request) {
	c.cxid++
	r.Session, r.Cxid = c.session, c.cxid
	c.waiting = append(c.waiting, r.Cxid)
	c.p.s.trace(c.p.server, line{label: labelRequest, n: int64(r.Cxid), text: r.Op.String()})
	c.p.put(message{kind: evSubmit, msgs: []zab.Message{{Kind: zab.Request, From: c.p.sid, Data: encodeRequest(&r)}}})
}

// wish makes up a change of e: of a few members, or of all of them at once if there are groups.
func (a *act) wish(e *quorum.Ensemble) proto.ReconfigRequest {
	if _, groups := e.Verifier().(*quorum.Hierarchical); groups || a.chance(0.1) {
		return a.wishAll(e)
	}
	var joining, leaving []string
	some := min(1+a.rng.IntN(1+a.rng.IntN(3)), len(a.servers))
	for _, i := range a.rng.Perm(len(a.servers))[:some] {
		sid := a.servers[i].sid
		if a.chance(0.2) {
			sid = a.v.sid // the leader, often
		}
		m, is := e.Member(sid)
		switch few := e.Voters().Len() <= 2 && a.chance(0.8); {
		case !is || m.Role == quorum.Observer && (few || a.chance(0.6)):
			joining = append(joining, joiner(a.seat(sid, 0.25)))
		case is && !few && a.chance(0.5):
			leaving = append(leaving, sid.String())
		case is && a.chance(0.5):
			next := place(sid, a.rng.IntN(addresses))
			next.Role = m.Role
			joining = append(joining, joiner(next))
		default:
			m = a.seat(sid, 0.5)
			if few {
				m.Role = quorum.Participant
			}
			joining = append(joining, joiner(m))
		}
	}
	return proto.ReconfigRequest{
		JoiningServers: proto.NullString{Valid: len(joining) > 0, Value: strings.Join(joining, ",")},
		LeavingServers: proto.NullString{Valid: len(leaving) > 0, Value: strings.Join(leaving, ",")},
	}
}

// seat makes a member of a server, an observer with some probability.
func (a *act) seat(sid quorum.SID, observes float64) quorum.Member {
	m := place(sid, 0)
	if a.chance(observes) {
		m.Role = quorum.Observer
	}
	return m
}

// joiner prints a member as those who join are named.
func joiner(m quorum.Member) string {
	at := m.Quorum[0]
	return fmt.Sprintf("server.%v=%s:%d:%d:%v;2181", m.SID, at.Host, at.QuorumPort, at.ElectionPort, m.Role)
}

// wishAll makes up a whole membership, which keeps most of e's, in groups or without.
func (a *act) wishAll(e *quorum.Ensemble) proto.ReconfigRequest {
	var members []quorum.Member
	var voters []quorum.SID
	for _, v := range a.servers {
		m, is := e.Member(v.sid)
		if is && a.chance(0.15) || !is && a.chance(0.6) {
			continue
		}
		if !is || a.chance(0.2) {
			m = a.seat(v.sid, 0.3)
		}
		m.Client = nil
		members = append(members, m)
		if m.Role == quorum.Participant {
			voters = append(voters, m.SID)
		}
	}
	next, err := quorum.NewEnsemble(0, members, a.groups(voters)...)
	if err != nil || len(voters) == 0 {
		next = e // nothing that makes sense: as it is
	}
	return proto.ReconfigRequest{NewMembers: proto.NullString{Valid: true, Value: next.String()}}
}

// groups makes up groups of some servers, or none.
func (a *act) groups(voters []quorum.SID) []quorum.Group {
	if len(voters) == 0 || a.chance(0.4) {
		return nil
	}
	groups := make([]quorum.Group, 1+a.rng.IntN(min(3, len(voters))))
	for i := range groups {
		groups[i].ID = i + 1
	}
	for i, sid := range voters {
		g := &groups[i%len(groups)]
		weight := []int{1, 1, 1, 2, 0}[a.rng.IntN(5)]
		g.Servers = append(g.Servers, quorum.Weighted{SID: sid, Weight: weight})
	}
	return groups
}
