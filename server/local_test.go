package server_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// nomad is a client that pipelines requests, is cut off in the middle of them, and comes back.
type nomad struct {
	w     *twin
	name  string
	rnd   *rand.Rand
	home  *member // which made the session
	conn  *client
	asked int      // names made so far
	names []string // of the creations not answered yet
	// global is set once an ephemeral of the session was acknowledged.
	global bool
}

// come opens a connection for the session, at any server once the ensemble knows it.
func (n *nomad) come(t *testing.T) {
	t.Helper()
	at := n.home
	if n.global {
		at = n.w.members[n.rnd.IntN(len(n.w.members))]
	}
	req := proto.ConnectRequest{TimeOut: 2000}
	if n.conn != nil {
		req.SessionID, req.Passwd = n.conn.session, n.conn.passwd[:]
	}
	n.conn, n.names = at.dial(t), nil
	n.conn.open(req)
	if n.conn.session == 0 || req.SessionID != 0 && n.conn.session != req.SessionID {
		t.Errorf("%s: session %v became %v at %v", n.name, req.SessionID, n.conn.session, at)
	}
}

// ask sends a burst of requests.
func (n *nomad) ask(t *testing.T) {
	t.Helper()
	var b []byte
	for range 1 + n.rnd.IntN(8) {
		switch n.rnd.IntN(4) {
		case 0:
			b = n.conn.append(b, proto.OpPing, nil)
		case 1:
			b = n.conn.append(b, proto.OpGetEphemerals, proto.GetEphemeralsRequest{})
		default:
			mode := proto.ModePersistent
			if n.rnd.IntN(6) == 0 {
				mode = proto.ModeEphemeral
			}
			n.asked++
			path := fmt.Sprintf("/%s-%d-%d", n.name, n.asked, mode)
			n.names = append(n.names, path)
			b = n.conn.append(b, proto.OpCreate, createRequest(path, "", mode))
		}
	}
	n.conn.write(b)
}

// hear takes some of the replies that are due, or all.
func (n *nomad) hear(t *testing.T, all bool) {
	t.Helper()
	due := len(n.conn.ops)
	if !all {
		due = n.rnd.IntN(due + 1)
	}
	for range due {
		r := n.conn.next()
		if r.Err != proto.CodeOK {
			t.Errorf("%s: %v", n.name, r)
		}
		if r.op != proto.OpCreate {
			continue
		}
		got := r.decode(t, new(proto.CreateResponse)).(*proto.CreateResponse).Path
		if got != n.names[0] {
			t.Errorf("%s: created %s, asked for %s", n.name, got, n.names[0])
		}
		n.global = n.global || strings.HasSuffix(got, fmt.Sprintf("-%d", proto.ModeEphemeral))
		n.names = n.names[1:]
	}
}

// live comes and goes, asks and hears.
func (n *nomad) live(t *testing.T) {
	t.Helper()
	n.come(t)
	for round := range 40 {
		n.ask(t)
		n.hear(t, round%5 == 0)
		if n.rnd.IntN(3) > 0 {
			n.conn.nc.Close()
			n.come(t)
		}
	}
	n.hear(t, true)
}

// Clients of local sessions that are cut off and come back get the answers to their own requests, in
// order, and never lose their session; in the end every ephemeral has a living owner everywhere
// (hazards H-61, H-68).
func TestLocalSessionsComeAndGo(t *testing.T) {
	w := newTwin(t, 3, func(c *server.Config) { c.LocalSessions, c.LocalSessionsUpgrading = true, true })
	ok := t.Run("clients", func(t *testing.T) {
		for i := range 12 {
			n := &nomad{
				w: w, name: fmt.Sprintf("c%d", i), rnd: rand.New(rand.NewPCG(1, uint64(i))), home: w.members[i%3],
			}
			t.Run(n.name, func(t *testing.T) {
				t.Parallel()
				n.live(t)
			})
		}
	})
	if !ok {
		return
	}
	eventually(t, "equal trees", func() bool {
		at := w.members[0].srv.Applied()
		return w.members[1].srv.Applied() == at && w.members[2].srv.Applied() == at
	})
	for _, m := range w.members {
		sessions := map[proto.SessionID]bool{}
		m.store.Sessions(func(id proto.SessionID, _ int32) bool {
			sessions[id] = true
			return true
		})
		if len(sessions) == 0 {
			t.Errorf("%v: no session was upgraded", m)
		}
		m.store.Owners(func(owner proto.SessionID) bool {
			if !sessions[owner] {
				t.Errorf("%v: ephemerals of session %v, which does not exist", m, owner)
			}
			return true
		})
	}
}
