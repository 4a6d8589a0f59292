package zktest

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Spares leaves the last n servers out: they have ports and are started by Enlist.
func Spares(n int) Option { return func(o *options) { o.spares = n } }

// Spec returns the server's entry in a server list: server.N=...
func (s *Server) Spec(role string) string {
	_, quorumPort, _ := net.SplitHostPort(s.addrs.quorum)
	_, electionPort, _ := net.SplitHostPort(s.addrs.election)
	return fmt.Sprintf("server.%d=127.0.0.1:%s:%s:%s;%s", s.ID, quorumPort, electionPort, role, s.addrs.client)
}

// Enlist starts a spare with a list of the servers given and of itself, in that role.
func (s *Server) Enlist(tb testing.TB, role string, known ...*Server) {
	tb.Helper()
	var b strings.Builder
	for k, v := range s.options.settings {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	for _, other := range known {
		fmt.Fprintln(&b, other.Spec("participant"))
	}
	fmt.Fprintf(&b, "%s\npeerType=%s\n", s.Spec(role), role)
	s.config = b.String()
	s.start(tb)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
