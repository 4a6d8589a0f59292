package znode

import (
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Schemes says which authentication schemes count in ACLs and who is special in them (spec
// semantics 7.4). The zero value knows world, auth, ip and digest. It is set up once and read
// by everybody.
type Schemes struct {
	// NoDigest takes scheme digest away: its entries stay where they are and mean nobody.
	NoDigest bool
	// X509 and SASL add these schemes.
	X509, SASL bool
	// X509Super is the subject that every entry of scheme x509 means too, empty for none.
	X509Super string
	// SASLAnyUser is the id whose entries of scheme sasl mean everybody who has an
	// identity of that scheme, empty for none.
	SASLAnyUser string
}

const (
	// saslSuper is the SASL user that every entry of scheme sasl means too.
	saslSuper = "super"
	// x509Super stands for Schemes.X509Super in judged identities. No certificate proves it:
	// it is no distinguished name.
	x509Super = "*"
)

// Judged returns the identities that Allowed is to be asked about for a connection with the given
// ones: those of schemes that count, and what they stand for. It is ids itself where nothing
// is to be added or left out, which is nearly always.
func (s *Schemes) Judged(ids []proto.ID) []proto.ID {
	for i := range ids {
		if s.special(&ids[i]) {
			return s.judged(ids)
		}
	}
	return ids
}

// special reports whether an identity counts for more or less than itself.
func (s *Schemes) special(id *proto.ID) bool {
	switch id.Scheme {
	case SchemeDigest:
		return s.NoDigest
	case SchemeX509:
		return !s.X509 || id.ID == s.X509Super
	case SchemeSASL:
		return !s.SASL || s.SASLAnyUser != ""
	}
	return false
}

func (s *Schemes) judged(ids []proto.ID) []proto.ID {
	judged := make([]proto.ID, 0, len(ids)+1)
	for _, id := range ids {
		if personal(id.Scheme) && !s.known(id.Scheme) {
			continue
		}
		judged = append(judged, id)
		switch {
		case id.Scheme == SchemeX509 && id.ID == s.X509Super && id.ID != "":
			judged = append(judged, proto.ID{Scheme: SchemeX509, ID: x509Super})
		case id.Scheme == SchemeSASL && s.SASLAnyUser != "":
			judged = append(judged, proto.ID{Scheme: SchemeSASL, ID: s.SASLAnyUser})
		}
	}
	return judged
}

// personal reports whether identities of a scheme stand for somebody, so that "auth" in an ACL
// means them.
func personal(scheme string) bool {
	return scheme == SchemeDigest || scheme == SchemeX509 || scheme == SchemeSASL
}

// known reports whether a personal scheme counts.
func (s *Schemes) known(scheme string) bool {
	switch scheme {
	case SchemeDigest:
		return !s.NoDigest
	case SchemeX509:
		return s.X509
	case SchemeSASL:
		return s.SASL
	}
	return false
}

// validEntry reports whether a client may store an ACL entry for id, "auth" aside.
func (s *Schemes) validEntry(id *proto.ID) bool {
	switch id.Scheme {
	case SchemeWorld:
		return id.ID == anyone
	case SchemeIP:
		_, ok := parseNetwork(id.ID)
		return ok
	case SchemeDigest:
		return !s.NoDigest && validDigest(id.ID)
	case SchemeX509:
		return s.X509 && validDN(id.ID)
	case SchemeSASL:
		return s.SASL && validPrincipal(id.ID)
	}
	return false
}

// validDigest: exactly two parts between colons, trailing empty parts not counted. "a:b",
// ":b" and even "a:b:" are valid; "a", "a:", ":" and "a:b:c" are not.
func validDigest(id string) bool {
	return strings.Count(strings.TrimRight(id, ":"), ":") == 1
}

// validPrincipal: a text without "@", or name[/host]@realm, any part of which may be empty.
func validPrincipal(id string) bool {
	name, realm, found := strings.Cut(id, "@")
	return !found || strings.Count(name, "/") <= 1 && !strings.ContainsAny(realm, "/@")
}
