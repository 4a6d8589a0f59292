package conf

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// TLS is what the ssl.* keys say of one listener (spec operations 6.1).
type TLS struct {
	KeyStore, TrustStore Store
	// Protocol is the newest version to speak, such as "TLSv1.3"; Protocols are the versions
	// to offer, empty: 1.2 up to Protocol.
	Protocol  string
	Protocols []string
	// CipherSuites are IANA names, empty: the default ones.
	CipherSuites []string
	ClientAuth   ClientAuth
	// HostnameVerification gates ClientHostnameVerification, which compares a connecting
	// client's address with its certificate; AllowReverseDNS lets its name be looked up for that.
	HostnameVerification       bool
	ClientHostnameVerification bool
	AllowReverseDNS            bool
	// MaxHandshakes is the number of handshakes under way beyond which a connection is refused.
	// 0: the number is bounded, and a connection waits for its turn.
	MaxHandshakes int
	// DetectTimeout is the wait for the first bytes where a port takes both TLS and plain text.
	DetectTimeout time.Duration
}

// Store is a file with keys or certificates.
type Store struct {
	Location     string // empty: there is none
	Password     string
	PasswordPath string // a file with the password; wins over Password
	Type         string // JKS, PEM, PKCS12 or BCFKS; empty: by the file's extension
}

// ClientAuth says whether clients show certificates.
type ClientAuth uint8

// The values of ssl.clientAuth.
const (
	ClientAuthNeed ClientAuth = iota // the default
	ClientAuthWant
	ClientAuthNone
)

func clientTLSKeys() []key {
	t := func(name string, field func(*TLS) *string) key {
		return text("ssl."+name, func(c *Config) *string { return field(&c.TLS) })
	}
	flag := func(name, def string, field func(*TLS) *bool) key {
		return loose("ssl."+name, def, func(c *Config) *bool { return field(&c.TLS) })
	}
	list := func(name string, field func(*TLS) *[]string) key {
		return words("ssl."+name, "", func(c *Config) *[]string { return field(&c.TLS) })
	}
	return []key{
		t("keyStore.location", func(t *TLS) *string { return &t.KeyStore.Location }),
		t("keyStore.password", func(t *TLS) *string { return &t.KeyStore.Password }),
		t("keyStore.passwordPath", func(t *TLS) *string { return &t.KeyStore.PasswordPath }),
		storeType("ssl.keyStore.type", func(t *TLS) *string { return &t.KeyStore.Type }),
		t("trustStore.location", func(t *TLS) *string { return &t.TrustStore.Location }),
		t("trustStore.password", func(t *TLS) *string { return &t.TrustStore.Password }),
		t("trustStore.passwordPath", func(t *TLS) *string { return &t.TrustStore.PasswordPath }),
		storeType("ssl.trustStore.type", func(t *TLS) *string { return &t.TrustStore.Type }),
		tlsVersions("ssl.protocol", "TLSv1.3", func(t *TLS, v []string) { t.Protocol = v[0] }),
		tlsVersions("ssl.enabledProtocols", "", func(t *TLS, v []string) { t.Protocols = v }),
		list("ciphersuites", func(t *TLS) *[]string { return &t.CipherSuites }),
		{name: "ssl.clientAuth", def: "need", set: setClientAuth},
		flag("hostnameVerification", "true", func(t *TLS) *bool { return &t.HostnameVerification }),
		flag("clientHostnameVerification", "false", func(t *TLS) *bool { return &t.ClientHostnameVerification }),
		flag("allowReverseDnsLookup", "false", func(t *TLS) *bool { return &t.AllowReverseDNS }),
		number("netty.server.outstandingHandshake.limit", "-1", math.MinInt32, math.MaxInt32, func(c *Config) *int { return &c.TLS.MaxHandshakes }).
			alias("outstandingHandshake.limit"),
		millis("ssl.handshakeDetectionTimeoutMillis", "5000", 1, func(c *Config) *time.Duration { return &c.TLS.DetectTimeout }),
	}
}

var storeTypes = []string{"JKS", "PEM", "PKCS12", "BCFKS"}

func storeType(name string, field func(*TLS) *string) key {
	return key{name: name, set: func(c *Config, v string) (string, error) {
		if v = strings.ToUpper(v); !slices.Contains(storeTypes, v) {
			return "", fmt.Errorf("must be one of %s", strings.Join(storeTypes, ", "))
		}
		*field(&c.TLS) = v
		return "", nil
	}}
}

var versions = []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

// tlsVersions is a list of versions of TLS. "TLS" means the newest.
func tlsVersions(name, def string, set func(*TLS, []string)) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		var list []string
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w == "TLS" {
				w = versions[len(versions)-1]
			}
			if !slices.Contains(versions, w) {
				return "", fmt.Errorf("must be one of %s", strings.Join(versions, ", "))
			}
			list = append(list, w)
		}
		set(&c.TLS, list)
		return "", nil
	}}
}

func setClientAuth(c *Config, v string) (string, error) {
	switch strings.ToLower(v) {
	case "need":
		c.TLS.ClientAuth = ClientAuthNeed
	case "want":
		c.TLS.ClientAuth = ClientAuthWant
	case "none":
		c.TLS.ClientAuth = ClientAuthNone
	default:
		return "", fmt.Errorf("must be none, want or need")
	}
	return "", nil
}
