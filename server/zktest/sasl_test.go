package zktest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// saslClient speaks the protocol by itself: go-zookeeper knows no SASL.
type saslClient struct {
	t   *testing.T
	nc  net.Conn
	xid proto.Xid
}

// dialSASL opens a session at a server.
func dialSASL(t *testing.T, s *zktest.Server) *saslClient {
	t.Helper()
	nc, err := net.DialTimeout("tcp", s.Addr(), zktest.Patience)
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	c := &saslClient{t: t, nc: nc}
	out, mark := proto.BeginFrame(nil)
	c.write(proto.EndFrame(proto.ConnectRequest{TimeOut: 10000}.Append(out), mark))
	c.frame()
	return c
}

func (c *saslClient) write(b []byte) {
	c.t.Helper()
	_, err := c.nc.Write(b)
	must(c.t, err)
}

func (c *saslClient) frame() []byte {
	c.t.Helper()
	must(c.t, c.nc.SetReadDeadline(time.Now().Add(zktest.Patience)))
	var head [4]byte
	_, err := io.ReadFull(c.nc, head[:])
	must(c.t, err)
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(c.nc, b)
	must(c.t, err)
	return b
}

// call sends a request and returns the error and the body of its reply.
func (c *saslClient) call(op proto.Op, body proto.Appender) (proto.Code, []byte) {
	c.t.Helper()
	c.xid++
	c.write(proto.AppendRequest(nil, proto.RequestHeader{Xid: c.xid, Op: op}, body))
	cur := jute.NewCursor(c.frame())
	var h proto.ReplyHeader
	if h.Decode(&cur); cur.Err() != nil || h.Xid != c.xid {
		c.t.Fatalf("reply %+v to %d, error %v", h, c.xid, cur.Err())
	}
	return h.Err, cur.Rest()
}

// login goes through a whole exchange.
func (c *saslClient) login(u zktest.SASLUser) {
	c.t.Helper()
	_, challenge := c.call(proto.OpSASL, proto.GetSASLRequest{Token: []byte{}})
	token, proof := u.Respond(challenge)
	code, answer := c.call(proto.OpSASL, proto.GetSASLRequest{Token: token})
	if code != proto.CodeOK || !bytes.HasSuffix(answer, proof) {
		c.t.Fatalf("login of %s: %v %q", u.Name, code, answer)
	}
}

// TestSASLIsEnforcedByEveryServer: what a SASL user makes through one server is hers on all of
// them, whoever leads, and also once the servers have started anew.
func TestSASLIsEnforcedByEveryServer(t *testing.T) {
	users := filepath.Join(t.TempDir(), "jaas.conf")
	must(t, os.WriteFile(users, []byte(`Server {
		org.apache.zookeeper.server.auth.DigestLoginModule required
		user_alice="a-secret" user_bob="b-secret" user_root="r-secret";
	};`), 0o600))
	e := zktest.Start(t, 3,
		zktest.Set("authProvider.1", "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"),
		zktest.Set("java.security.auth.login.config", users), zktest.Set("superUser", "root"))
	alice, bob, root := zktest.SASLUser{Name: "alice", Password: "a-secret"},
		zktest.SASLUser{Name: "bob", Password: "b-secret"}, zktest.SASLUser{Name: "root", Password: "r-secret"}
	maker := dialSASL(t, e.Followers(t)[0])
	maker.login(alice)
	acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	for _, path := range []string{"/hers", "/open"} {
		req := proto.CreateRequest{Path: path, ACL: proto.WorldACL(proto.PermAll)}
		if code, _ := maker.call(proto.OpCreate, req); code != proto.CodeOK {
			t.Fatal(code)
		}
	}
	if code, _ := maker.call(proto.OpSetACL, proto.SetACLRequest{Path: "/hers", ACL: acl, Version: -1}); code != proto.CodeOK {
		t.Fatal(code)
	}
	check := func() {
		t.Helper()
		for _, s := range e.Servers() {
			for _, c := range []struct {
				name string
				user *zktest.SASLUser
				want proto.Code
			}{{"nobody", nil, proto.CodeNoAuth}, {"bob", &bob, proto.CodeNoAuth}, {"alice", &alice, proto.CodeOK}, {"root", &root, proto.CodeOK}} {
				conn := dialSASL(t, s)
				if c.user != nil {
					conn.login(*c.user)
				}
				conn.call(proto.OpSync, proto.SyncRequest{})
				if code, _ := conn.call(proto.OpGetData, proto.ReadRequest{Path: "/hers"}); code != c.want {
					t.Errorf("server %d: %s reads: %v, want %v", s.ID, c.name, code, c.want)
				}
				if code, _ := conn.call(proto.OpSetData, proto.SetDataRequest{Path: "/hers", Version: -1}); code != c.want {
					t.Errorf("server %d: %s writes: %v, want %v", s.ID, c.name, code, c.want)
				}
			}
		}
	}
	check()
	leader := e.Leader(t)
	leader.Kill(t)
	e.Leader(t)
	leader.Restart(t)
	e.WaitServing(t)
	check()
}
