package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/zktest"
	"github.com/zabkeeper/zabkeeper/znode"
)

// javaUsers are the users of testdata/SaslProbe.java.
var javaUsers = map[string]string{
	"bob": "bobsecret", "Jürgen": "grün", "テスト": "ひみつ", "latin": "ひ", `q"u\o`: `a"b\c`, "empty": "",
	"colon:name": "x:y", "café": "ひ", "emoji": "😀",
}

func newAuthenticator(t *testing.T, cfg auth.Config) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestExchangeAsJava gives the server's side what the JDK's was given, with the same nonce, and
// wants what the JDK said.
func TestExchangeAsJava(t *testing.T) {
	// The JDK looks for the nonce count under a name that no client uses, and ZooKeeper's
	// callback lets a user ask to act as anybody, to no effect.
	stricter := map[string]bool{
		"authzid of another": true, "nc 2 beside a hash of 1": true, "nc no number": true, "nc with a sign": true,
	}
	text, err := os.ReadFile("testdata/digestmd5.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 200 {
		t.Fatalf("only %d lines of testdata", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		name, reason, _ := strings.Cut(strings.TrimPrefix(lines[i], "# "), ": ")
		t.Run(name, func(t *testing.T) {
			f := strings.Fields(lines[i+1])
			challenge, response, want := fromHex(t, f[0]), fromHex(t, f[1]), "refused"
			if f[2] != "refused" && !stricter[name] {
				want = string(fromHex(t, f[2])) + " " + f[3]
			}
			e := newAuthenticator(t, auth.Config{Users: javaUsers, Random: nonceOf(t, challenge)}).Begin()
			if token, ids, err := e.Step(nil); err != nil || ids != nil || !bytes.Equal(token, challenge) {
				t.Fatalf("challenge %q %v %v, want %q", token, ids, err, challenge)
			}
			got := "refused"
			token, ids, err := e.Step(response)
			if err == nil {
				got = string(token) + " " + ids[0].ID
			}
			if got != want {
				t.Errorf("%q: got %s (%v), want %s (%s)", response, got, err, want, reason)
			}
		})
	}
}

// nonceOf returns the random bytes that made the nonce of a challenge.
func nonceOf(t *testing.T, challenge []byte) *bytes.Reader {
	t.Helper()
	_, nonce, _ := strings.Cut(string(challenge), `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	b, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	if s == `""` {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExchangeIdentities(t *testing.T) {
	a := newAuthenticator(t, auth.Config{
		Users:         map[string]string{"bob": "bobsecret", "root": "r", "super": "listed"},
		SuperPassword: "changed", SASLSupers: []string{"root", "nobody"},
	})
	for _, c := range []struct {
		user zktest.SASLUser
		want []proto.ID
	}{
		{zktest.SASLUser{Name: "bob", Password: "bobsecret"}, []proto.ID{{Scheme: "sasl", ID: "bob"}}},
		{zktest.SASLUser{Name: "root", Password: "r"}, []proto.ID{{Scheme: "sasl", ID: "root"}, znode.SuperID()}},
		{zktest.SASLUser{Name: "super", Password: "changed"}, []proto.ID{{Scheme: "sasl", ID: "super"}}},
		{zktest.SASLUser{Name: "super", Password: "listed"}, nil},
		{zktest.SASLUser{Name: "nobody", Password: "changed"}, nil},
		{zktest.SASLUser{Name: "bob", Password: "bobsecre"}, nil},
		{zktest.SASLUser{Name: "", Password: ""}, nil},
	} {
		e := a.Begin()
		challenge, _, err := e.Step([]byte{})
		if err != nil {
			t.Fatal(err)
		}
		token, proof := c.user.Respond(challenge)
		answer, ids, err := e.Step(token)
		if !reflect.DeepEqual(ids, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%v: %v, %v, want %v", c.user, ids, err, c.want)
		}
		if c.want != nil && !bytes.Equal(answer, proof) || c.want == nil && answer != nil {
			t.Errorf("%v: answered %q, want the proof %q", c.user, answer, proof)
		}
	}
}

// TestSuperPasswordAlone: without a user "super" in the list its password makes none.
func TestSuperPasswordAlone(t *testing.T) {
	e := newAuthenticator(t, auth.Config{Users: map[string]string{"bob": "b"}, SuperPassword: "s"}).Begin()
	challenge, _, _ := e.Step(nil)
	token, _ := zktest.SASLUser{Name: "super", Password: "s"}.Respond(challenge)
	if _, ids, err := e.Step(token); err == nil {
		t.Errorf("logged in as %v", ids)
	}
}

// TestUnknownUserLooksLikeAWrongPassword: nothing that the exchange returns tells which.
func TestUnknownUserLooksLikeAWrongPassword(t *testing.T) {
	a := newAuthenticator(t, auth.Config{Users: map[string]string{"bob": "bobsecret"}})
	var errs []string
	for _, u := range []zktest.SASLUser{{Name: "bob", Password: "wrong"}, {Name: "eve", Password: "bobsecret"}} {
		e := a.Begin()
		challenge, _, _ := e.Step(nil)
		token, _ := u.Respond(challenge)
		answer, ids, err := e.Step(token)
		if answer != nil || ids != nil || err == nil {
			t.Fatalf("%v: %q %v %v", u, answer, ids, err)
		}
		errs = append(errs, err.Error())
	}
	if errs[0] != errs[1] || strings.Contains(errs[0], "bob") {
		t.Errorf("errors %q", errs)
	}
}

// TestExchangeHappensOnce: whatever comes out of order ends the exchange for good.
func TestExchangeHappensOnce(t *testing.T) {
	a := newAuthenticator(t, auth.Config{Users: map[string]string{"bob": "bobsecret"}})
	bob := zktest.SASLUser{Name: "bob", Password: "bobsecret"}
	other := a.Begin()
	challenge, _, _ := other.Step(nil)
	recorded, _ := bob.Respond(challenge)
	if _, _, err := other.Step(recorded); err != nil {
		t.Fatal(err)
	}
	good := func(challenge []byte) []byte {
		token, _ := bob.Respond(challenge)
		return token
	}
	for name, steps := range map[string][]func(challenge []byte) []byte{
		"a response to nothing, again":         {func([]byte) []byte { return recorded }, func([]byte) []byte { return recorded }},
		"a response to another challenge":      {nil, func([]byte) []byte { return recorded }},
		"an empty response":                    {nil, nil},
		"too long a first token":               {func([]byte) []byte { return make([]byte, 5000) }},
		"too long a response":                  {nil, func(c []byte) []byte { return append(good(c), make([]byte, 4096)...) }},
		"the response twice":                   {nil, good, good},
		"a new exchange behind a success":      {nil, good, nil},
		"a good response behind a bad one":     {nil, func([]byte) []byte { return []byte("x=y") }, good},
		"a new exchange behind a failed begin": {func([]byte) []byte { return make([]byte, 5000) }, nil},
	} {
		e := a.Begin()
		var challenge []byte
		for i, step := range steps {
			var token []byte
			if step != nil {
				token = step(challenge)
			}
			answer, ids, err := e.Step(token)
			switch last := i == len(steps)-1; {
			case last && (err == nil || ids != nil || answer != nil):
				t.Errorf("%s: %q %v %v", name, answer, ids, err)
			case i == 0:
				challenge = answer
			}
		}
		if _, _, err := e.Step(nil); err == nil {
			t.Errorf("%s: it can begin again", name)
		}
	}
}

// TestFirstTokenIsIgnored: whatever a client begins with, it is challenged, as by Java.
func TestFirstTokenIsIgnored(t *testing.T) {
	a := newAuthenticator(t, auth.Config{Users: map[string]string{"bob": "bobsecret"}})
	e := a.Begin()
	challenge, ids, err := e.Step([]byte("username=bob"))
	if err != nil || ids != nil {
		t.Fatalf("%v, identities %v", err, ids)
	}
	token, _ := zktest.SASLUser{Name: "bob", Password: "bobsecret"}.Respond(challenge)
	if _, ids, err := e.Step(token); err != nil || len(ids) != 1 {
		t.Errorf("the response to %q: %v, identities %v", challenge, err, ids)
	}
}

// TestNoncesDiffer: a recorded response fits no other challenge.
func TestNoncesDiffer(t *testing.T) {
	a := newAuthenticator(t, auth.Config{Users: map[string]string{}})
	seen := map[string]bool{}
	for range 100 {
		challenge, _, err := a.Begin().Step(nil)
		if err != nil || seen[string(challenge)] {
			t.Fatalf("challenge %q, error %v, seen %d", challenge, err, len(seen))
		}
		seen[string(challenge)] = true
	}
}

// FuzzExchange: whatever a client sends, only the password lets it in.
func FuzzExchange(f *testing.F) {
	random := bytes.Repeat([]byte{7}, 30)
	newExchange := func(tb testing.TB) (*auth.Exchange, []byte) {
		tb.Helper()
		a, err := auth.New(auth.Config{Users: map[string]string{"bob": "bobsecret"}, Random: bytes.NewReader(random)})
		if err != nil {
			tb.Fatal(err)
		}
		e := a.Begin()
		challenge, _, err := e.Step(nil)
		if err != nil {
			tb.Fatal(err)
		}
		return e, challenge
	}
	_, challenge := newExchange(f)
	good, proof := zktest.SASLUser{Name: "bob", Password: "bobsecret"}.Respond(challenge)
	bad, _ := zktest.SASLUser{Name: "bob", Password: "no"}.Respond(challenge)
	_, hash, _ := bytes.Cut(good, []byte("response="))
	hash = hash[:32]
	for _, seed := range [][]byte{good, bad, []byte(`username="bob",realm=`), []byte(`a="\`), []byte(`,,a = b `), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		e, _ := newExchange(t)
		answer, ids, err := e.Step(token)
		if err != nil && (answer != nil || ids != nil) {
			t.Fatalf("%q %v %v", answer, ids, err)
		}
		// Who does not know the password cannot make the one right hash.
		if err == nil && (!bytes.Equal(answer, proof) || ids[0].ID != "bob" ||
			!bytes.Contains(bytes.ReplaceAll(token, []byte(`\`), nil), hash)) {
			t.Fatalf("%q let %v in with %q", token, ids, answer)
		}
		if _, _, err := e.Step(good); err == nil {
			t.Fatal("a second response was taken")
		}
	})
}
