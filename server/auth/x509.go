package auth

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// SchemeX509 is the scheme of clients that have shown a certificate.
const SchemeX509 = "x509"

// x509Provider knows clients by the certificate of their TLS handshake, whatever they say;
// super is the name of the one that may do everything, empty: nobody is.
type x509Provider struct{ super string }

func (p x509Provider) authenticate(peer *Peer, _ []byte) ([]proto.ID, Verdict) {
	if !peer.Certified {
		return nil, Refused
	}
	id := proto.ID{Scheme: SchemeX509, ID: peer.Subject}
	if p.super != "" && peer.Subject == p.super {
		return []proto.ID{{Scheme: znode.SchemeSuper, ID: peer.Subject}, id}, Accepted
	}
	return []proto.ID{id}, Accepted
}

func (x509Provider) user(id string) string { return id }
