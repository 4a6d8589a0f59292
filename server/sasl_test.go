package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/znode"
)

var (
	bob     = zktest.SASLUser{Name: "bob", Password: "bobsecret"}
	alice   = zktest.SASLUser{Name: "alice", Password: "alicesecret"}
	root    = zktest.SASLUser{Name: "root", Password: "rootsecret"}
	privily = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
)

// withSASL offers SASL to bob, alice and root, who may do everything.
func withSASL(c *server.Config) {
	users := map[string]string{}
	for _, u := range []zktest.SASLUser{bob, alice, root} {
		users[u.Name] = u.Password
	}
	c.Auth = auth.Config{SASL: true, Users: users, SASLSupers: []string{root.Name}}
	c.Schemes = znode.Schemes{SASL: true}
}

// token sends a SASL token and returns the reply, which may be an error with a body.
func (c *client) token(token []byte) (code proto.Code, answer []byte) {
	c.t.Helper()
	c.send(proto.OpSASL, proto.GetSASLRequest{Token: token})
	frame, err := c.frame()
	if err != nil {
		c.t.Fatalf("waiting for the answer to a token: %v", err)
	}
	c.ops = c.ops[1:]
	var h proto.ReplyHeader
	var body proto.SetSASLResponse
	cur := jute.NewCursor(frame)
	h.Decode(&cur)
	body.Decode(&cur)
	if cur.Err() != nil || cur.Remaining() != 0 || h.Xid != c.xid || h.Zxid != 0 {
		c.t.Fatalf("the answer to token %d is %x: %+v, error %v", c.xid, frame, h, cur.Err())
	}
	return h.Err, body.Token
}

// login goes through an exchange and returns how it ended.
func (c *client) login(u zktest.SASLUser) proto.Code {
	c.t.Helper()
	code, challenge := c.token([]byte{})
	if code != proto.CodeOK {
		return code
	}
	token, proof := u.Respond(challenge)
	code, answer := c.token(token)
	if code == proto.CodeOK && !bytes.Equal(answer, proof) {
		c.t.Fatalf("the server's proof is %q, want %q", answer, proof)
	}
	return code
}

// TestSASLAsApache plays what Apache's client said to Apache's server, with the same nonce, and
// wants the same bytes.
func TestSASLAsApache(t *testing.T) {
	files, err := filepath.Glob("testdata/sasl/*.txt")
	if err != nil || len(files) != 4 {
		t.Fatalf("transcripts %v, error %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			m := newTwin(t, 1, func(c *server.Config) {
				if strings.Contains(file, "no-sasl") {
					return
				}
				withSASL(c)
				c.Auth.Random = recordedNonce(t, lines[1])
			}).members[0]
			c := m.connect(t)
			for _, line := range lines {
				from, text, _ := strings.Cut(line, " ")
				if text == "closed" {
					if rest := c.closed(); len(rest) > 0 {
						t.Errorf("%x behind the last answer", rest)
					}
					return
				}
				b := fromHex(t, text)
				if from == ">" {
					c.write(b)
					continue
				}
				if got, err := c.frame(); err != nil || !bytes.Equal(got, b[4:]) {
					t.Fatalf("got  %x (%v)\nwant %x", got, err, b[4:])
				}
			}
			c.must(proto.OpPing, nil)
		})
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recordedNonce returns the random bytes in the nonce of a recorded challenge.
func recordedNonce(t *testing.T, line string) *bytes.Reader {
	t.Helper()
	_, nonce, _ := strings.Cut(string(fromHex(t, line[2:])), `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	b, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// TestSASLFailures: wrong passwords, unknown users and everything out of order get the same
// answer, and nothing behind it is answered.
func TestSASLFailures(t *testing.T) {
	m := newTwin(t, 1, withSASL).members[0]
	honest := m.connect(t)
	_, challenge := honest.token(nil)
	recorded, _ := bob.Respond(challenge)
	if code, _ := honest.token(recorded); code != proto.CodeOK {
		t.Fatal(code)
	}
	begin := func(c *client) []byte {
		code, challenge := c.token(nil)
		if code != proto.CodeOK {
			t.Fatalf("no challenge: %v", code)
		}
		return challenge
	}
	for name, try := range map[string]func(c *client) (proto.Code, []byte){
		"wrong password": func(c *client) (proto.Code, []byte) {
			token, _ := zktest.SASLUser{Name: "bob", Password: "no"}.Respond(begin(c))
			return c.token(token)
		},
		"unknown user": func(c *client) (proto.Code, []byte) {
			token, _ := zktest.SASLUser{Name: "eve", Password: "bobsecret"}.Respond(begin(c))
			return c.token(token)
		},
		"recorded response":             func(c *client) (proto.Code, []byte) { begin(c); return c.token(recorded) },
		"response before the challenge": func(c *client) (proto.Code, []byte) { c.token(recorded); return c.token(recorded) },
		"challenge asked for twice":     func(c *client) (proto.Code, []byte) { begin(c); return c.token(nil) },
		"response sent twice": func(c *client) (proto.Code, []byte) {
			token, _ := bob.Respond(begin(c))
			if code, _ := c.token(token); code != proto.CodeOK {
				t.Fatal(code)
			}
			return c.token(token)
		},
		"second exchange": func(c *client) (proto.Code, []byte) { c.login(bob); return c.token(nil) },
		"too long":        func(c *client) (proto.Code, []byte) { begin(c); return c.token(make([]byte, 4097)) },
		"garbage":         func(c *client) (proto.Code, []byte) { begin(c); return c.token([]byte{0, 1, 0xff}) },
	} {
		c := m.connect(t)
		if code, answer := try(c); code != proto.CodeAuthFailed || answer != nil {
			t.Errorf("%s: %v with token %q", name, code, answer)
		}
		c.send(proto.OpPing, nil)
		if rest := c.closed(); len(rest) > 0 {
			t.Errorf("%s: %x behind the last answer", name, rest)
		}
	}
	honest.must(proto.OpPing, nil)
}

// TestSASLFailedClientsMayStay: allowSaslFailedClients keeps them as nobody, for good.
func TestSASLFailedClientsMayStay(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) { withSASL(c); c.Auth.AllowFailed = true }).members[0]
	c := m.connect(t)
	_, challenge := c.token(nil)
	token, _ := zktest.SASLUser{Name: "bob", Password: "no"}.Respond(challenge)
	right, _ := bob.Respond(challenge)
	for _, token := range [][]byte{token, right, nil, right} {
		if code, answer := c.token(token); code != proto.CodeOK || answer != nil {
			t.Errorf("%v with token %q", code, answer)
		}
	}
	if got := c.whoAmI(); got != "[{ip 127.0.0.1}]" {
		t.Errorf("who am I: %s", got)
	}
}

func (c *client) whoAmI() string {
	c.t.Helper()
	r := c.must(proto.OpWhoAmI, nil)
	return fmt.Sprint(r.decode(c.t, new(proto.WhoAmIResponse)).(*proto.WhoAmIResponse).ClientInfo)
}

// TestSASLRequired: until a connection has logged in everything but authentication is answered
// with error -124, in its turn, and closes it (spec client-protocol 7.3).
func TestSASLRequired(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) {
		withSASL(c)
		c.Auth.Required, c.Auth.AllowFailed = []string{"sasl"}, true
	}).members[0]
	for _, op := range []proto.Op{
		proto.OpPing, proto.OpCloseSession, proto.OpWhoAmI, proto.OpSync, proto.OpCreate, proto.OpGetData, proto.OpSetWatches, 999,
	} {
		c := m.connect(t)
		c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")})
		b := c.append(nil, op, nil)
		c.write(c.append(b, proto.OpPing, nil))
		if r := c.next(); r.Err != proto.CodeSessionClosedRequireSASLAuth || r.Zxid != 0 || r.Xid > 0 != (op != proto.OpPing) {
			t.Errorf("%v: %+v", op, r.ReplyHeader)
		}
		if rest := c.closed(); len(rest) > 0 {
			t.Errorf("%v: %x behind the last answer", op, rest)
		}
	}
	c := m.connect(t)
	if code := c.login(zktest.SASLUser{Name: "bob", Password: "no"}); code != proto.CodeSessionClosedRequireSASLAuth {
		t.Errorf("failed login: %v", code)
	}
	c.closed()
	c = m.connect(t)
	if code := c.login(bob); code != proto.CodeOK {
		t.Fatal(code)
	}
	c.create("/a", "", proto.ModePersistent)
}

// TestRequiredSchemes: one of them is enough.
func TestRequiredSchemes(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) { withSASL(c); c.Auth.Required = []string{"sasl", "digest"} }).members[0]
	c := m.connect(t)
	c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")})
	c.must(proto.OpPing, nil)
	c = m.connect(t)
	c.must(proto.OpAuth, proto.AuthPacket{Scheme: "ip"})
	if r := c.call(proto.OpPing, nil); r.Err != proto.CodeSessionClosedRequireSASLAuth {
		t.Errorf("ping: %v", r.Err)
	}
	withIP := newTwin(t, 1, func(c *server.Config) { c.Auth.Required = []string{"ip"} }).members[0]
	withIP.connect(t).must(proto.OpPing, nil)
}

// TestIdentityTravelsWithRequests: a write is judged by what its connection had proved when it
// was sent, however late it is decided.
func TestIdentityTravelsWithRequests(t *testing.T) {
	w := newTwin(t, 2, withSASL)
	owner := w.members[0].connect(t)
	owner.login(bob)
	owner.must(proto.OpCreate, proto.CreateRequest{Path: "/p", ACL: privily})
	c := w.members[1].connect(t)
	code, challenge := c.token(nil)
	if code != proto.CodeOK {
		t.Fatal(code)
	}
	token, proof := bob.Respond(challenge)
	set := proto.SetDataRequest{Path: "/p", Version: -1}
	w.hold()
	b := c.append(nil, proto.OpSetData, set)
	b = c.append(b, proto.OpGetData, proto.ReadRequest{Path: "/p"})
	b = c.append(b, proto.OpSASL, proto.GetSASLRequest{Token: token})
	b = c.append(b, proto.OpSetData, set)
	b = c.append(b, proto.OpGetData, proto.ReadRequest{Path: "/p"})
	c.write(b)
	eventually(t, "both writes held back", func() bool { return w.heldTxns() == 2 })
	w.release(false)
	for i, want := range []proto.Code{proto.CodeNoAuth, proto.CodeNoAuth, proto.CodeOK, proto.CodeOK, proto.CodeOK} {
		r := c.next()
		if r.Err != want {
			t.Errorf("reply %d: %v %v, want %v", i, r.op, r.Err, want)
		}
		if r.op == proto.OpSASL && !bytes.HasSuffix(r.body, proof) {
			t.Errorf("the server's proof is %q", r.body)
		}
	}
}

// TestSASLSuperUser: the identity that is super may read what is bob's alone.
func TestSASLSuperUser(t *testing.T) {
	m := newTwin(t, 1, withSASL).members[0]
	c := m.connect(t)
	c.login(bob)
	c.must(proto.OpCreate, proto.CreateRequest{Path: "/p", ACL: privily})
	for user, want := range map[zktest.SASLUser]proto.Code{alice: proto.CodeNoAuth, root: proto.CodeOK} {
		reader := m.connect(t)
		reader.login(user)
		if r := reader.call(proto.OpGetData, proto.ReadRequest{Path: "/p"}); r.Err != want {
			t.Errorf("%s reads: %v", user.Name, r.Err)
		}
	}
	c = m.connect(t)
	c.login(root)
	if got := c.whoAmI(); got != "[{ip 127.0.0.1} {sasl root} {super }]" {
		t.Errorf("who am I: %s", got)
	}
}

// TestAuthPackets has the cases of spec client-protocol 7.1.
func TestAuthPackets(t *testing.T) {
	m := newTwin(t, 1, func(c *server.Config) {
		withSASL(c)
		c.Auth.Ensemble, c.Auth.EnsembleNames = true, []string{"main", "spare"}
	}).members[0]
	for _, c := range []struct {
		scheme string
		auth   []byte
		want   proto.Code
	}{
		{"digest", []byte("u:p"), proto.CodeOK},
		{"digest", []byte{}, proto.CodeOK},
		{"digest", nil, proto.CodeAuthFailed},
		{"ip", nil, proto.CodeOK},
		{"ip", []byte("10.0.0.1"), proto.CodeOK},
		{"ensemble", []byte("spare"), proto.CodeOK},
		{"ensemble", []byte{}, proto.CodeOK},
		{"ensemble", nil, proto.CodeOK},
		{"", []byte("u:p"), proto.CodeAuthFailed},
		{"world", []byte("anyone"), proto.CodeAuthFailed},
		{"auth", nil, proto.CodeAuthFailed},
		{"super", nil, proto.CodeAuthFailed},
		{"sasl", []byte("bob"), proto.CodeAuthFailed},
		{"x509", []byte("CN=a"), proto.CodeAuthFailed},
		{"DIGEST", []byte("u:p"), proto.CodeAuthFailed},
	} {
		client := m.connect(t)
		r := client.call(proto.OpAuth, proto.AuthPacket{Scheme: c.scheme, Auth: c.auth})
		if r.Err != c.want || r.Zxid != 0 || len(r.body) > 0 {
			t.Errorf("%s %q: %+v", c.scheme, c.auth, r)
		}
		if c.want == proto.CodeOK {
			client.must(proto.OpPing, nil)
		} else if rest := client.closed(); len(rest) > 0 {
			t.Errorf("%s %q: %x behind the last answer", c.scheme, c.auth, rest)
		}
	}
	// Who means another ensemble gets what it asked before, and no answer to this.
	c := m.connect(t)
	b := c.append(nil, proto.OpExists, proto.ReadRequest{Path: "/"})
	b = c.append(b, proto.OpAuth, proto.AuthPacket{Scheme: "ensemble", Auth: []byte("other")})
	c.write(c.append(b, proto.OpPing, nil))
	if r := c.next(); r.op != proto.OpExists || r.Err != proto.CodeOK {
		t.Errorf("got %v %v", r.op, r.Err)
	}
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("another ensemble: %x", rest)
	}
}

// TestAuthNullScheme: a null scheme is no scheme.
func TestAuthNullScheme(t *testing.T) {
	c := newTwin(t, 1, nil).members[0].connect(t)
	c.write([]byte("\x00\x00\x00\x14" + "\xff\xff\xff\xfc" + "\x00\x00\x00\x64" + "\x00\x00\x00\x00" + "\xff\xff\xff\xff" + "\x00\x00\x00\x00"))
	want := "00000010fffffffc0000000000000000ffffff8d"
	if got := c.closed(); hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

// TestPitfall17AuthEchoesItsXid: go-zookeeper authenticates with ordinary xids, Java with -4.
func TestPitfall17AuthEchoesItsXid(t *testing.T) {
	c := newTwin(t, 1, withSASL).members[0].connect(t)
	for _, xid := range []proto.Xid{7, -4, 0, -2} {
		c.xid = xid - 1
		if r := c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")}); r.Xid != xid {
			t.Errorf("xid %d, want %d", r.Xid, xid)
		}
	}
	c.xid = 41
	if code, _ := c.token(nil); code != proto.CodeOK { // checks the xid
		t.Error(code)
	}
}

// TestPitfall18AuthDoesNotOvertake: kazoo takes the next reply for that of its oldest request.
func TestPitfall18AuthDoesNotOvertake(t *testing.T) {
	w := newTwin(t, 1, withSASL)
	c := w.members[0].connect(t)
	w.hold()
	b := c.append(nil, proto.OpCreate, createRequest("/a", "", proto.ModePersistent))
	b = c.append(b, proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:p")})
	b = c.append(b, proto.OpSASL, proto.GetSASLRequest{})
	b = c.append(b, proto.OpCreate, createRequest("/b", "", proto.ModePersistent))
	b = c.append(b, proto.OpAuth, proto.AuthPacket{Scheme: "nonsense"})
	c.write(b)
	eventually(t, "both writes held back", func() bool { return w.heldTxns() == 2 })
	w.release(false)
	for xid, want := range []proto.Code{0, 0, 0, 0, proto.CodeAuthFailed} {
		if r := c.next(); r.Xid != proto.Xid(xid+1) || r.Err != want {
			t.Errorf("xid %d %v, want xid %d %v", r.Xid, r.Err, xid+1, want)
		}
	}
}

// TestPitfall53AuthMeansAllIdentities: the ACL entry auth: becomes one entry for each identity
// that was proved, in setACL too, and is never stored as it is.
func TestPitfall53AuthMeansAllIdentities(t *testing.T) {
	m := newTwin(t, 1, withSASL).members[0]
	c := m.connect(t)
	c.login(bob)
	c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("user:password")})
	c.create("/a", "", proto.ModePersistent)
	c.must(proto.OpSetACL, proto.SetACLRequest{Path: "/a", ACL: privily, Version: -1})
	c.must(proto.OpCreate, proto.CreateRequest{Path: "/b", ACL: privily})
	want := "[{31 {sasl bob}} {31 {digest user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=}}]"
	for _, path := range []string{"/a", "/b"} {
		r := c.must(proto.OpGetACL, proto.PathRequest{Path: path})
		if got := fmt.Sprint(r.decode(t, new(proto.GetACLResponse)).(*proto.GetACLResponse).ACL); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	nobody := m.connect(t)
	if r := nobody.call(proto.OpSetACL, proto.SetACLRequest{Path: "/", ACL: privily, Version: -1}); r.Err != proto.CodeInvalidACL {
		t.Errorf("auth: of nobody: %v", r.Err)
	}
}

// TestPitfall58IdentitiesAccumulate: several digest users and a SASL user at once; the same one
// again is normal; there is an end.
func TestPitfall58IdentitiesAccumulate(t *testing.T) {
	m := newTwin(t, 1, withSASL).members[0]
	c := m.connect(t)
	for _, user := range []string{"u:1", "v:2", "u:1", "v:2", "u:3"} {
		c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte(user)})
	}
	c.login(alice)
	c.must(proto.OpAuth, proto.AuthPacket{Scheme: "ip"})
	if got, want := c.whoAmI(), "[{ip 127.0.0.1} {digest u} {digest v} {digest u} {sasl alice}]"; got != want {
		t.Errorf("who am I: %s, want %s", got, want)
	}
	for i := range 64 - 5 {
		c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: fmt.Appendf(nil, "more%d:x", i)})
	}
	c.must(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("u:1")})
	if r := c.call(proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("too:many")}); r.Err != proto.CodeAuthFailed {
		t.Errorf("one too many: %v", r.Err)
	}
	if rest := c.closed(); len(rest) > 0 {
		t.Errorf("%x behind the last answer", rest)
	}
}
