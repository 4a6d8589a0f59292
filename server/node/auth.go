package node

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/server/auth"
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
