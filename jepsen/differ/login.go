package differ

import (
	"crypto/md5" // what the mechanism is defined by
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// Login is what a client does of SASL DIGEST-MD5: the response depends on the nonce of each server's
// challenge, so a script cannot hold it.
type Login struct {
	Part           Part
	User, Password string
	// Changes replace directives of the response: "realm=x"; "realm=" leaves it out.
	Changes []string
}

// Part is how far a client goes.
type Part string

// The parts.
const (
	LoginFull  Part = "full"  // it asks for a challenge and responds
	LoginBegin Part = "begin" // it only asks
	LoginBare  Part = "bare"  // it responds without having asked
	LoginTwice Part = "twice" // it responds, and does so once more
)

// Users of the profile sasl, and its JAAS file.
const (
	jaasUsers = `user_bob="secret" user_amy="pass word"`
	jaasFile  = `Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required ` + jaasUsers + `;
};
`
)

// login carries out a Login. The transcript has the challenge without its nonce, and whether the
// server has proved that it knows the password, too.
func (s *Side) login(c *client, l *Login) {
	if c.conn == nil {
		return
	}
	nonce := "made up"
	if l.Part != LoginBare {
		challenge, ok := s.token(c, nil)
		if !ok || l.Part == LoginBegin {
			return
		}
		_, rest, _ := strings.Cut(challenge, `nonce="`)
		nonce, _, _ = strings.Cut(rest, `"`)
	}
	response, proof := l.respond(nonce)
	answer, ok := s.token(c, response)
	if ok {
		s.add(c, "proof %v", answer == proof)
	}
	if ok && l.Part == LoginTwice {
		s.token(c, response)
	}
}

// token sends one token and returns the server's.
func (s *Side) token(c *client, token []byte) (answer string, ok bool) {
	conn := c.conn
	conn.send([]Request{{Op: proto.OpSASL, Args: []Arg{{Text: string(token)}}}}, c.zxids)
	frame, err := conn.frame(answerLimit)
	if err != nil {
		s.cutOff(c, err)
		return "", false
	}
	r, h := s.see(c, conn, frame)
	if r.Op != proto.OpSASL || h.Err != proto.CodeOK {
		s.awaitClose(c, conn)
		return "", false
	}
	cur := jute.NewCursor(frame)
	h.Decode(&cur)
	return string(cur.Buffer()), true
}

// respond returns the response to a challenge with that nonce [RFC 2831 2.1.2], and what must come back.
func (l *Login) respond(nonce string) (response []byte, proof string) {
	d := map[string]string{
		"charset": "utf-8", "username": l.User, "realm": "zk-sasl-md5", "nonce": nonce, "nc": "00000001", "cnonce": "bm8gdHdvIGFsaWtl",
		"digest-uri": "zookeeper/zk-sasl-md5", "maxbuf": "65536", "qop": "auth", "authzid": l.User,
	}
	for _, change := range l.Changes {
		name, value, _ := strings.Cut(change, "=")
		d[name] = value
		if value == "" {
			delete(d, name)
		}
	}
	secret := md5.Sum([]byte(d["username"] + ":" + d["realm"] + ":" + l.Password))
	a1 := string(secret[:]) + ":" + d["nonce"] + ":" + d["cnonce"]
	if as, ok := d["authzid"]; ok {
		a1 += ":" + as
	}
	hash := func(a2 string) string {
		return hexMD5(strings.Join([]string{hexMD5(a1), d["nonce"], "00000001", d["cnonce"], "auth", hexMD5(a2)}, ":"))
	}
	if _, ok := d["response"]; !ok {
		d["response"] = hash("AUTHENTICATE:" + d["digest-uri"])
	}
	var b strings.Builder
	for _, name := range []string{"charset", "username", "realm", "nonce", "nc", "cnonce", "digest-uri", "maxbuf", "response", "qop", "authzid"} {
		if v, ok := d[name]; ok {
			fmt.Fprintf(&b, `,%s="%s"`, name, v)
		}
	}
	return []byte(b.String()[1:]), "rspauth=" + hash(":"+d["digest-uri"])
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// secrets are the parts of tokens that no two servers have alike.
var secrets = regexp.MustCompile(`nonce=\\"[^\\]*\\"|rspauth=[0-9a-f]{32}`)

// withoutSecrets replaces them in a quoted token.
func withoutSecrets(token string) string { return secrets.ReplaceAllString(token, "*") }

// saslIDs are entries of access control lists in the profile sasl.
var saslIDs = []string{
	"sasl:bob", "sasl:bob", "sasl:amy", "sasl:amy", "sasl:nobody", "sasl:", "sasl:bob@REALM", "sasl:bob/host", "sasl:bob/host@REALM", "sasl:a b", "sasl:@", "sasl:/",
	"sasl:bob@", "sasl:a/b/c", "sasl:b\u00f6b",
}

// login makes a client log in, mostly as it should.
func (g *generator) login(name string) []Step {
	l := &Login{Part: LoginFull, User: "bob", Password: "secret"}
	if g.chance(40) {
		l.User, l.Password = "amy", "pass word"
	}
	switch n := g.IntN(100); {
	case n < 55:
	case n < 62:
		l.Password = pick(g, []string{"", "wrong", "secret ", "Secret"})
	case n < 66:
		l.User = pick(g, []string{"nobody", "Bob", "super"}) // on an empty one the reference has an internal error
	case n < 74:
		l.Part = pick(g, []Part{LoginBegin, LoginBare, LoginTwice})
	default:
		l.Changes = []string{pick(g, []string{
			"realm=other", "realm=", "nonce=other", "nonce=", "cnonce=", "cnonce=x", "digest-uri=zookeeper/other", "digest-uri=", "digest-uri=ZOOKEEPER/zk-sasl-md5",
			"charset=", "charset=latin1", "maxbuf=", "maxbuf=1", "qop=", "qop=auth-int", "qop=x", "authzid=", "nc=", "response=0",
		})}
	}
	c := g.clients[name]
	c.connected = l.Part == LoginFull && l.Changes == nil // the others may be cut off, and are seen to come back
	return []Step{{Client: name, Act: LogIn, Login: l}}
}
