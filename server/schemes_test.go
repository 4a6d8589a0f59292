package server_test

import (
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// TestSchemesJudgeEverywhere: who is special in a scheme is so in reads of every server, in
// writes, which the leader judges, and in the delivery of events (spec semantics 7.4).
func TestSchemesJudgeEverywhere(t *testing.T) {
	super := zktest.SASLUser{Name: "super", Password: "supersecret"}
	w := newTwin(t, 2, func(c *server.Config) {
		withSASL(c)
		c.Auth.Users[super.Name] = super.Password
		c.Schemes.SASLAnyUser = "everybody"
	})
	sasl := func(id string) []proto.ACL {
		return []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "sasl", ID: id}}}
	}
	owner := w.members[0].connect(t)
	owner.must(proto.OpCreate, proto.CreateRequest{Path: "/bob", ACL: sasl("bob")})
	owner.must(proto.OpCreate, proto.CreateRequest{Path: "/all", ACL: sasl("everybody")})

	nobody := zktest.SASLUser{}
	for _, user := range []zktest.SASLUser{nobody, alice, bob, super} {
		allowed := func(path string) bool {
			return user == super || path == "/all" && user != nobody || path == "/bob" && user == bob
		}
		for i, m := range w.members {
			c := m.connect(t)
			if user != nobody {
				if code := c.login(user); code != proto.CodeOK {
					t.Fatalf("%s logs in: %v", user.Name, code)
				}
			}
			c.must(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
			for _, path := range []string{"/bob", "/all"} {
				want := proto.CodeNoAuth
				if allowed(path) {
					want = proto.CodeOK
				}
				if r := c.call(proto.OpGetData, proto.ReadRequest{Path: path}); r.Err != want {
					t.Errorf("%q reads %s on server %d: %v, want %v", user.Name, path, i+1, r.Err, want)
				}
				if r := c.call(proto.OpSetData, proto.SetDataRequest{Path: path, Version: -1}); r.Err != want {
					t.Errorf("%q writes %s through server %d: %v, want %v", user.Name, path, i+1, r.Err, want)
				}
				if r := c.call(proto.OpExists, proto.ReadRequest{Path: path + "-later", Watch: true}); r.Err != proto.CodeNoNode {
					t.Errorf("%s-later: %v", path, r.Err)
				}
			}
			owner.must(proto.OpCreate, proto.CreateRequest{Path: "/bob-later", ACL: sasl("bob")})
			owner.must(proto.OpCreate, proto.CreateRequest{Path: "/all-later", ACL: sasl("everybody")})
			events := c.events()
			for _, path := range []string{"/bob", "/all"} {
				if got := strings.Contains(events, "NodeCreated "+path+"-later"); got != allowed(path) {
					t.Errorf("%q on server %d: event of %s-later %v\n%s", user.Name, i+1, path, got, events)
				}
				owner.must(proto.OpDelete, proto.DeleteRequest{Path: path + "-later", Version: -1})
			}
		}
	}
}

// A null id is refused under every scheme that looks at it, before anybody is asked, and stores
// nothing; an empty one is a certificate without a name, and a user without one.
func TestNullIDs(t *testing.T) {
	w := newTwin(t, 2, func(c *server.Config) {
		withSASL(c)
		c.Auth.X509, c.Schemes.X509, c.Schemes.SASL = true, true, true
	})
	c := w.members[1].connect(t)
	for _, scheme := range []string{"x509", "sasl"} {
		path := "/" + scheme
		create := func(id []byte) raw {
			b := jute.AppendBuffer(jute.AppendString(nil, path), nil)
			b = jute.AppendInt(jute.AppendCount(b, 1), int32(proto.PermAll))
			b = jute.AppendBuffer(jute.AppendString(b, scheme), id)
			return jute.AppendInt(b, 0)
		}
		if r := c.call(proto.OpCreate, create(nil)); r.Err != proto.CodeMarshallingError {
			t.Errorf("a null id of %s: %v", scheme, r.Err)
		}
		if r := c.call(proto.OpExists, proto.ReadRequest{Path: path}); r.Err != proto.CodeNoNode {
			t.Errorf("%s after the refusal: %v", path, r.Err)
		}
		if r := c.call(proto.OpCreate, create([]byte{})); r.Err != proto.CodeOK {
			t.Errorf("an empty id of %s: %v", scheme, r.Err)
		}
	}
	// Whoever says nothing at all has proved nothing.
	for _, scheme := range []string{"x509", "sasl"} {
		c := w.members[0].connect(t)
		if r := c.call(proto.OpAuth, proto.AuthPacket{Scheme: scheme}); r.Err != proto.CodeAuthFailed {
			t.Errorf("null authentication by %s: %v", scheme, r.Err)
		}
		c.closed()
	}
}
