package server_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

// A client that sends its connect request byte by byte has no more time for it than one that is
// silent.
func TestConnectRequestInDrops(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) { c.SessionlessTimeout = 2 * tick }).members[0]
	c := m.dial(t)
	eventually(t, "the connection is accepted", func() bool { return m.srv.Stats().Connections == 1 })
	request := []byte{0, 0, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, b := range request {
		c.write([]byte{b})
		m.eras <- time.Time{}
	}
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("%x before the end", rest)
	}
	eventually(t, "nothing is left of it", func() bool { return m.srv.Stats().Connections == 0 })
}

// Of a client whose machine has lost its power nothing is left when its session has expired: no
// connection, no watch, no goroutine.
func TestClientThatVanishesWithoutAWord(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	other := m.connect(t)
	routines := runtime.NumGoroutine()
	const n = 20
	for range n {
		c := m.connect(t)
		c.call(proto.OpExists, proto.ReadRequest{Path: "/x", Watch: true})
	}
	deadline := time.Now().Add(patience)
	for m.srv.Stats().Connections > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", m.srv.Stats().Connections)
		}
		other.must(proto.OpPing, nil)
		m.eras <- time.Time{}
		m.ticks <- time.Time{}
	}
	const few = 5 // of the test and of Pebble
	eventually(t, "their goroutines have ended", func() bool { return runtime.NumGoroutine() <= routines+few })
	eventually(t, "their watches and requests are gone", func() bool {
		st := m.srv.Stats()
		return st.Watches == 0 && st.Outstanding == 0
	})
	other.must(proto.OpPing, nil)
}

// A leader without local sessions does not take another server's word for one (spec semantics
// 10.1); a leader with them does, and a server without them makes none.
func TestServersDifferInLocalSessions(t *testing.T) {
	for _, tc := range []struct {
		name       string
		with       server.Origin // the server that has local sessions
		at         int           // the member that the client asks
		code, late proto.Code    // of a write, and of an ephemeral
	}{
		{"at the follower alone", 2, 1, proto.CodeSessionExpired, proto.CodeSessionExpired},
		{"at the leader alone, asked through the follower", 1, 1, proto.CodeOK, proto.CodeOK},
		{"at the leader alone, asked there", 1, 0, proto.CodeOK, proto.CodeEphemeralOnLocalSession},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newTwin(t, 2, func(c *server.Config) { c.LocalSessions = c.Self == tc.with })
			c := w.members[tc.at].connect(t)
			if r := c.call(proto.OpCreate, createRequest("/x", "", proto.ModePersistent)); r.Err != tc.code {
				t.Errorf("a write: %v, want %v", r.Err, tc.code)
			}
			if r := c.call(proto.OpCreate, createRequest("/e", "", proto.ModeEphemeral)); r.Err != tc.late {
				t.Errorf("an ephemeral: %v, want %v", r.Err, tc.late)
			}
			c.must(proto.OpPing, nil)
		})
	}
}
