package znode

import (
	"crypto/sha1" // what the protocol's scheme is defined by
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
)

// DigestAlg is the hash of the digest scheme (DigestAuthenticationProvider.digestAlg). The
// zero value is SHA-1, which clients expect. All servers of an ensemble must use the same.
type DigestAlg uint8

// The hashes.
const (
	DigestSHA1 DigestAlg = iota
	DigestSHA256
	DigestSHA384
	DigestSHA512
	DigestSHA3x256
	DigestSHA3x384
	DigestSHA3x512
)

var digestAlgNames = [...]string{"SHA1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-384", "SHA3-512"}

// ParseDigestAlg returns the hash with one of the names that String gives; no name is SHA-1.
func ParseDigestAlg(name string) (DigestAlg, error) {
	if name == "" {
		return DigestSHA1, nil
	}
	for alg, known := range digestAlgNames {
		if name == known {
			return DigestAlg(alg), nil
		}
	}
	return 0, fmt.Errorf("znode: no hash %q for the digest scheme", name)
}

// String returns the name that Java has for the hash.
func (a DigestAlg) String() string {
	if int(a) < len(digestAlgNames) {
		return digestAlgNames[a]
	}
	return fmt.Sprintf("DigestAlg(%d)", uint8(a))
}

// sum hashes b.
func (a DigestAlg) sum(b []byte) []byte {
	switch a {
	case DigestSHA256:
		h := sha256.Sum256(b)
		return h[:]
	case DigestSHA384:
		h := sha512.Sum384(b)
		return h[:]
	case DigestSHA512:
		h := sha512.Sum512(b)
		return h[:]
	case DigestSHA3x256:
		h := sha3.Sum256(b)
		return h[:]
	case DigestSHA3x384:
		h := sha3.Sum384(b)
		return h[:]
	case DigestSHA3x512:
		h := sha3.Sum512(b)
		return h[:]
	case DigestSHA1:
	}
	h := sha1.Sum(b)
	return h[:]
}

// DigestID returns the identity that the auth bytes "user:password" prove under scheme
// digest: the user and a hash of the whole (spec semantics 7.4). Bytes without a colon are all
// user. Malformed UTF-8 is repaired first, as Java does when it makes a string of it.
func DigestID(alg DigestAlg, auth []byte) proto.ID {
	c := jute.NewCursor(jute.AppendString(nil, string(auth)))
	text := c.String()
	user, _, _ := strings.Cut(text, ":")
	return proto.ID{Scheme: SchemeDigest, ID: user + ":" + base64.StdEncoding.EncodeToString(alg.sum([]byte(text)))}
}
