package node

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/znode"
)

// authConfig says how clients prove who they are.
func (n *Node) authConfig() auth.Config {
	c := &n.conf.Auth
	return auth.Config{
		NoDigest: !n.conf.OffersScheme("digest"), SuperDigest: c.SuperDigest,
		Ensemble: slices.Contains(c.Providers, auth.SchemeEnsemble), EnsembleNames: c.EnsembleNames,
		X509: n.conf.OffersScheme(auth.SchemeX509), X509Super: c.X509Super,
	}
}

// schemes says what identities count for in ACLs.
func (n *Node) schemes() znode.Schemes {
	c := &n.conf.Auth
	return znode.Schemes{
		NoDigest: !n.conf.OffersScheme(znode.SchemeDigest),
		X509:     n.conf.OffersScheme(znode.SchemeX509), X509Super: c.X509Super,
		SASL: n.conf.OffersScheme(znode.SchemeSASL), SASLAnyUser: c.SASLAnyUser,
	}
}
