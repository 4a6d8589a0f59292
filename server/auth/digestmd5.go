package auth

import (
	"bytes"
	"crypto/md5" // what the mechanism is defined by
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// The constants of ZooKeeper's use of DIGEST-MD5 (spec client-protocol 7.2).
const (
	saslRealm = "zk-sasl-md5"
	saslURI   = "zookeeper/" + saslRealm
	// saslSuper is the user whose password can be set outside the list of users.
	saslSuper = "super"

	// maxToken bounds a client's token, in bytes.
	maxToken = 4096
	// nonceBytes is how many random bytes make a nonce.
	nonceBytes = 30
)

// userKey is what is kept of a user: the hash of name, realm and password, from which all
// others are made.
type userKey [md5.Size]byte

// newUserKey hashes a user. Texts that Latin 1 can say are hashed in Latin 1 [RFC 2831 2.1.2.1].
func newUserKey(name, password string) userKey {
	return md5.Sum(bytes.Join([][]byte{latin1(name), latin1(saslRealm), latin1(password)}, []byte{':'}))
}

// latin1 returns text in Latin 1 if it has no other characters, and in UTF-8 if it has.
func latin1(text string) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return []byte(text)
		}
		out = append(out, byte(r))
	}
	return out
}

// Exchange is the server's side of one SASL exchange by DIGEST-MD5 [RFC 2831]: the client begins,
// mostly by an empty token, and whatever it says then is ignored as in Java; the server challenges; the client responds; the server proves
// that it knows the password too. Whatever else happens ends the exchange, and an ended one
// cannot be taken up again: a connection has one attempt. An Exchange has one caller at a time.
type Exchange struct {
	a     *Authenticator
	step  step
	nonce string // while a response is awaited
}

type step uint8

const (
	stepBegin step = iota
	stepResponse
	stepEnd
)

// What ends an exchange. The texts are for the log; a client is told nothing.
var (
	errEnded      = errors.New("the exchange has ended")
	errTooLong    = errors.New("token of more than " + strconv.Itoa(maxToken) + " bytes")
	errCharset    = errors.New("charset is not utf-8")
	errMaxBuf     = errors.New("maxbuf is no number")
	errRealm      = errors.New("another realm")
	errNonce      = errors.New("another nonce")
	errNoCnonce   = errors.New("no cnonce")
	errNonceCount = errors.New("nonce count is not 1")
	errQOP        = errors.New("quality of protection is not auth")
	errURI        = errors.New("digest-uri of another service")
	errWrong      = errors.New("unknown user or wrong password")
	errAuthzid    = errors.New("a user may not act as another one")
)

// OffersSASL reports whether there are users to log in by SASL.
func (a *Authenticator) OffersSASL() bool { return a.users != nil }

// Begin returns the exchange of a new connection. OffersSASL must be true.
func (a *Authenticator) Begin() *Exchange { return &Exchange{a: a} }

// Step takes the client's next token and returns the server's. When the exchange has succeeded
// it also returns the identities that the client has proved. An error is a reason for the log;
// it names no user and nothing secret.
func (e *Exchange) Step(token []byte) (reply []byte, ids []proto.ID, err error) {
	at, nonce := e.step, e.nonce
	e.step, e.nonce = stepEnd, ""
	switch {
	case at == stepEnd:
		return nil, nil, errEnded
	case len(token) > maxToken:
		return nil, nil, errTooLong
	case at == stepResponse:
		return e.a.verify(nonce, token)
	}
	if nonce, err = newNonce(e.a.random); err != nil {
		return nil, nil, err
	}
	e.step, e.nonce = stepResponse, nonce
	return []byte(`realm="` + saslRealm + `",nonce="` + nonce + `",charset=utf-8,algorithm=md5-sess`), nil, nil
}

func newNonce(random io.Reader) (string, error) {
	var b [nonceBytes]byte
	_, err := io.ReadFull(random, b[:])
	return base64.StdEncoding.EncodeToString(b[:]), err
}

// verify judges a response to the challenge with nonce.
func (a *Authenticator) verify(nonce string, token []byte) (reply []byte, ids []proto.ID, err error) {
	d, err := parseDirectives(token)
	if err != nil {
		return nil, nil, err
	}
	if err := d.check(nonce); err != nil {
		return nil, nil, err
	}
	name := d["username"]
	// An unknown user costs as much as a wrong password, and ends alike.
	key, ok := a.users[name]
	session := sessionKey(key, d)
	want := respond(session, "AUTHENTICATE:"+d["digest-uri"], d)
	equal := subtle.ConstantTimeCompare([]byte(want), []byte(d["response"])) == 1
	if !ok || !equal || !utf8.ValidString(name) {
		return nil, nil, errWrong
	}
	if as := d["authzid"]; as != "" && as != name {
		return nil, nil, errAuthzid
	}
	ids = []proto.ID{{Scheme: znode.SchemeSASL, ID: name}}
	if a.saslSupers[name] {
		ids = append(ids, znode.SuperID())
	}
	return []byte("rspauth=" + respond(session, ":"+d["digest-uri"], d)), ids, nil
}

// check compares everything in a response but the proof itself with what was asked for.
func (d directives) check(nonce string) error {
	if charset, ok := d["charset"]; ok && charset != "utf-8" {
		return errCharset
	}
	if size, ok := d["maxbuf"]; ok {
		if _, err := strconv.ParseInt(size, 10, 32); err != nil {
			return errMaxBuf
		}
	}
	if count, ok := d["nc"]; ok {
		if n, err := strconv.ParseUint(count, 16, 32); err != nil || n != 1 {
			return errNonceCount
		}
	}
	_, hasCnonce := d["cnonce"]
	qop, hasQOP := d["qop"]
	switch {
	case d["realm"] != saslRealm:
		return errRealm
	case subtle.ConstantTimeCompare([]byte(d["nonce"]), []byte(nonce)) != 1:
		return errNonce
	case !hasCnonce:
		return errNoCnonce
	case hasQOP && qop != "auth":
		return errQOP
	case !strings.EqualFold(d["digest-uri"], saslURI):
		return errURI
	}
	return nil
}

// sessionKey is H(A1) of RFC 2831 in hexadecimal.
func sessionKey(key userKey, d directives) string {
	a1 := string(key[:]) + ":" + d["nonce"] + ":" + d["cnonce"]
	if as, ok := d["authzid"]; ok {
		a1 += ":" + as
	}
	return hexMD5(a1)
}

// respond is the proof of knowing the password: of the client with a2
// "AUTHENTICATE:<digest-uri>", of the server without the word.
func respond(session, a2 string, d directives) string {
	return hexMD5(session + ":" + d["nonce"] + ":00000001:" + d["cnonce"] + ":auth:" + hexMD5(a2))
}

func hexMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
