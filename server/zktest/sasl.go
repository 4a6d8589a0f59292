package zktest

import (
	"crypto/md5" // what the mechanism is defined by
	"encoding/hex"
	"fmt"
	"strings"
)

// SASLUser is a client's side of SASL DIGEST-MD5, as ZooKeeper's clients do it.
type SASLUser struct{ Name, Password string }

// Respond answers a server's challenge. It returns the token to send, and the one that proves
// that the server knows the password, too. Names and passwords are in ASCII.
func (u SASLUser) Respond(challenge []byte) (token, proof []byte) {
	_, nonce, _ := strings.Cut(string(challenge), `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	const realm, uri, cnonce, count = "zk-sasl-md5", "zookeeper/zk-sasl-md5", "bm8gdHdvIGFsaWtl", "00000001"
	secret := md5.Sum([]byte(u.Name + ":" + realm + ":" + u.Password))
	a1 := hexMD5(string(secret[:]) + ":" + nonce + ":" + cnonce + ":" + u.Name)
	hash := func(a2 string) string {
		return hexMD5(strings.Join([]string{a1, nonce, count, cnonce, "auth", hexMD5(a2)}, ":"))
	}
	token = fmt.Appendf(nil,
		`charset=utf-8,username="%s",realm="%s",nonce="%s",nc=%s,cnonce="%s",digest-uri="%s",maxbuf=65536,response=%s,qop=auth,authzid="%s"`,
		u.Name, realm, nonce, count, cnonce, uri, hash("AUTHENTICATE:"+uri), u.Name)
	return token, []byte("rspauth=" + hash(":"+uri))
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
