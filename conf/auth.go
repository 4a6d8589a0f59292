package conf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Auth is who may prove to be whom, and must (spec semantics 7, spec operations 6.2 and 6.3).
type Auth struct {
	Digest      bool   // the digest scheme is offered
	DigestAlg   string // hash of the digest scheme: SHA1, SHA-256, SHA-384, SHA-512 ...
	SuperDigest string // "super:<base64>", empty: nobody is super by a digest
	// X509Super is the name of the certificate that may do everything.
	X509Super string
	// Providers are the schemes that authProvider.N asks for besides the built-in ones, sorted.
	Providers []string
	// EnsembleNames are the names that the ensemble scheme accepts, empty: any.
	EnsembleNames []string

	// SASLSupers are the SASL identities that may do everything.
	SASLSupers []string
	// SASLAnyUser is an identity of scheme sasl in ACLs that stands for every SASL user.
	SASLAnyUser string
	// SASLSuperPassword is the password of the SASL user "super".
	SASLSuperPassword string
	// AllowSASLFailed keeps a client connected whose SASL exchange failed.
	AllowSASLFailed bool
	// JAASFile names the file with the section JAASSection, which lists SASL's users.
	JAASFile, JAASSection string

	// Required are the schemes of which a connection must have proved one, empty: none is.
	Required []string
}

// The schemes that authProvider.N can ask for by the name of ZooKeeper's class.
var providerClasses = map[string]string{
	"org.apache.zookeeper.server.auth.SASLAuthenticationProvider":     "sasl",
	"org.apache.zookeeper.server.auth.X509AuthenticationProvider":     "x509",
	"org.apache.zookeeper.server.auth.DigestAuthenticationProvider":   "digest",
	"org.apache.zookeeper.server.auth.IPAuthenticationProvider":       "ip",
	"org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider": "ensemble",
}

func authKeys() []key {
	return []key{
		loose("DigestAuthenticationProvider.enabled", "true", func(c *Config) *bool { return &c.Auth.Digest }),
		{name: "DigestAuthenticationProvider.digestAlg", def: "SHA1", set: setDigestAlg},
		text("DigestAuthenticationProvider.superDigest", func(c *Config) *string { return &c.Auth.SuperDigest }),
		text("X509AuthenticationProvider.superUser", func(c *Config) *string { return &c.Auth.X509Super }),
		words("ensembleAuthName", "", func(c *Config) *[]string { return &c.Auth.EnsembleNames }),
		{name: "superUser", set: addSASLSuper},
		text("letAnySaslUserDoX", func(c *Config) *string { return &c.Auth.SASLAnyUser }),
		text("SASLAuthenticationProvider.superPassword", func(c *Config) *string { return &c.Auth.SASLSuperPassword }),
		loose("allowSaslFailedClients", "false", func(c *Config) *bool { return &c.Auth.AllowSASLFailed }),
		text("java.security.auth.login.config", func(c *Config) *string { return &c.Auth.JAASFile }),
		withDefault(text("sasl.serverconfig", func(c *Config) *string { return &c.Auth.JAASSection }), "Server"),
		loose("sessionRequireClientSASLAuth", "false", func(c *Config) *bool { return &c.requireSASL }),
		loose("enforce.auth.enabled", "false", func(c *Config) *bool { return &c.enforceAuth }),
		words("enforce.auth.schemes", "", func(c *Config) *[]string { return &c.enforceSchemes }),
	}
}

func withDefault(k key, def string) key {
	k.def = def
	return k
}

// digestAlgs maps Java's names of hashes to those of Auth.DigestAlg.
var digestAlgs = map[string]string{
	"SHA1": "SHA1", "SHA-1": "SHA1", "SHA": "SHA1",
	"SHA-256": "SHA-256", "SHA-384": "SHA-384", "SHA-512": "SHA-512",
	"SHA3-256": "SHA3-256", "SHA3-384": "SHA3-384", "SHA3-512": "SHA3-512",
}

func setDigestAlg(c *Config, v string) (string, error) {
	alg, ok := digestAlgs[strings.ToUpper(v)]
	if !ok {
		return "", fmt.Errorf("must be one of %s", strings.Join(slices.Sorted(maps.Keys(digestAlgs)), ", "))
	}
	c.Auth.DigestAlg = alg
	return "", nil
}

func addSASLSuper(c *Config, v string) (string, error) {
	if v != "" {
		c.Auth.SASLSupers = append(c.Auth.SASLSupers, v)
	}
	return "", nil
}

// checkAuth reads the families authProvider.N and superUser.N, and refuses an enforcement that
// would not be one.
func (c *Config) checkAuth() error {
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		s := c.settings[name]
		switch {
		case strings.HasPrefix(name, "superUser."):
			_, _ = addSASLSuper(c, s.Value)
		case strings.HasPrefix(name, "authProvider."):
			scheme, ok := providerClasses[s.Value]
			if !ok {
				c.note(Warn, s.Origin, printable(s.Value)+" cannot be loaded here: nobody can authenticate by it")
				continue
			}
			if !slices.Contains(c.Auth.Providers, scheme) {
				c.Auth.Providers = append(c.Auth.Providers, scheme)
			}
		}
	}
	slices.Sort(c.Auth.Providers)
	return c.checkRequired()
}

// checkRequired follows ZooKeeper in that sessionRequireClientSASLAuth wins over enforce.auth.
func (c *Config) checkRequired() error {
	key := "enforce.auth.schemes"
	switch {
	case c.requireSASL:
		key = "sessionRequireClientSASLAuth"
		c.Auth.Required = []string{"sasl"}
	case c.enforceAuth && len(c.enforceSchemes) == 0:
		return c.refuseKey("enforce.auth.enabled", "enforce.auth.enabled is true, but enforce.auth.schemes names no scheme")
	case c.enforceAuth:
		c.Auth.Required = c.enforceSchemes
	}
	for _, scheme := range c.Auth.Required {
		if !c.OffersScheme(scheme) {
			return c.refuseKey(key, "the scheme %s is required, but no provider of it is configured", printable(scheme))
		}
	}
	return nil
}

// OffersScheme reports whether a provider of an authentication scheme is configured.
func (c *Config) OffersScheme(scheme string) bool {
	switch scheme {
	case "ip":
		return true
	case "digest":
		return c.Auth.Digest || slices.Contains(c.Auth.Providers, scheme)
	case "x509":
		return c.SecureClient != nil || c.PortUnification || slices.Contains(c.Auth.Providers, scheme)
	}
	return slices.Contains(c.Auth.Providers, scheme)
}
