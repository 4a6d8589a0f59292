package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum/quiet/logbook"
	"github.com/zabkeeper/zabkeeper/server"
)

// linesOf returns the lines by message, and how many more there would have been.
func linesOf(t *testing.T, b *logbook.Book) (lines, more map[string]int) {
	t.Helper()
	lines, more = map[string]int{}, map[string]int{}
	for text := range strings.Lines(b.String()) {
		var l struct {
			Message, Line string
			More          int
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines[l.Message]++
		more[l.Line] += l.More
	}
	return lines, more
}

// ordinary are the lines of a server that nobody disturbs, and the one that tells of others.
var ordinary = []string{
	"leading: taking requests", "serving clients", "not serving clients any more", "lines of one kind were left out",
}

// reset is a client that the server does not even listen to.
func reset(m *member) {
	nc, err := net.Dial("tcp", m.addr)
	if err != nil {
		return // refused already
	}
	defer nc.Close()
	_, _ = io.Copy(io.Discard, nc)
}

// However often clients are refused, the log has a few lines of each kind, and tells how many
// more there would have been.
func TestRefusalsLeaveFewLines(t *testing.T) {
	const n, few = 60, 20
	connect := func(req proto.ConnectRequest) func(*member) {
		return func(m *member) {
			c := m.dial(t)
			c.sendConnect(req)
			c.closed()
			c.nc.Close()
		}
	}
	ask := func(op proto.Op, body proto.Appender) func(*member) {
		return func(m *member) {
			c := m.connect(t)
			c.send(op, body)
			c.closed()
			c.nc.Close()
		}
	}
	say := func(text string) func(*member) {
		return func(m *member) {
			c := m.dial(t)
			c.write([]byte(text))
			c.closed()
			c.nc.Close()
		}
	}
	for _, tc := range []struct {
		name   string
		adjust func(*server.Config)
		refuse func(*member)
		line   string // "": none at all, but for debugging
	}{
		{
			"too many connections", func(c *server.Config) { c.MaxCnxns = 1 },
			reset, "refusing a connection",
		},
		{
			"too many of one client", func(c *server.Config) { c.MaxClientCnxns = 1 },
			reset, "refusing a connection",
		},
		{
			"too fast", func(c *server.Config) {
				c.Throttle = &conf.Throttle{ConnectionTokens: 1, FillTime: 1 << 60, FillCount: 1, FreezeTime: -1}
			}, connect(proto.ConnectRequest{TimeOut: 1000}), "",
		},
		{"too large", func(c *server.Config) {
			c.Throttle = &conf.Throttle{LargeRequest: 10, LargeRequestBytes: 1}
		}, ask(proto.OpCreate, createRequest("/x", "", 0)), "refusing a large request: too many are in progress"},
		{"wrong password", nil, connect(proto.ConnectRequest{SessionID: 1, Passwd: make([]byte, 16)}), "refusing a session"},
		{"lost session", nil, func() func(*member) {
			passwd := proto.Password(1)
			return connect(proto.ConnectRequest{SessionID: 1, Passwd: passwd[:]})
		}(), "refusing an expired or unknown session"},
		{"no such scheme", nil, ask(proto.OpAuth, proto.AuthPacket{Scheme: "nobody's"}), "authentication failed"},
		{"sasl", withSASL, ask(proto.OpSASL, proto.GetSASLRequest{Token: make([]byte, 5000)}), "SASL authentication failed"},
		{"authentication is required", func(c *server.Config) {
			withSASL(c)
			c.Auth.Required = []string{"sasl"}
		}, ask(proto.OpPing, nil), "closing a connection that has not authenticated as is required"},
		{
			"watches", func(c *server.Config) { c.MaxWatchBytes = 1 }, ask(proto.OpExists, proto.ReadRequest{Path: "/x", Watch: true}),
			"closing a connection that watches too much",
		},
		{
			"TLS", func(c *server.Config) { c.Secure = &server.Secure{TLS: selfSigned(), Unified: true} },
			say("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), "TLS handshake failed",
		},
		{"garbage", nil, say("GET / HTTP/1.1\r\n\r\n"), ""},
		{"words", nil, say("kill"), ""},
		{"words that are not allowed", nil, say("dump"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			book := new(logbook.Book)
			m := newTwin(t, 1, func(c *server.Config) {
				if tc.adjust != nil {
					tc.adjust(c)
				}
				c.Logger = zerolog.New(book).Level(zerolog.InfoLevel)
			}).members[0]
			// For limits that are full with one.
			if slices.Contains([]string{"too many connections", "too many of one client", "too fast"}, tc.name) {
				m.connect(t)
			}
			for range n {
				tc.refuse(m)
			}
			m.stop()
			lines, more := linesOf(t, book)
			for message, count := range lines {
				if message != tc.line && !slices.Contains(ordinary, message) {
					t.Errorf("%d lines %q", count, message)
				}
			}
			switch {
			case tc.line == "":
				if fmt.Sprint(more) != fmt.Sprint(map[string]int{"": 0}) {
					t.Errorf("left out: %v", more)
				}
			case lines[tc.line] != few || more[tc.line] != n-few:
				t.Errorf("%d lines, and it is told of %d more; want %d and %d", lines[tc.line], more[tc.line], few, n-few)
			}
		})
	}
}
