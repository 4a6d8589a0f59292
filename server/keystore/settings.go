package keystore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/conf"
)

// ErrConfig is matched by the error for settings that make no TLS configuration.
var ErrConfig = errors.New("keystore: these settings make no TLS")

var versions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

// settings makes the part of a configuration that does not come from files. The warnings say what
// was asked for and cannot be had.
func settings(t *conf.TLS) (cfg *tls.Config, warnings []string, err error) {
	cfg = &tls.Config{
		// A resumed session would outlive the certificates that it was opened with.
		SessionTicketsDisabled: true,
	}
	low, high, gap, err := versionRange(t)
	if err != nil {
		return nil, nil, err
	}
	cfg.MinVersion, cfg.MaxVersion = low, high
	if gap {
		warnings = append(warnings, "ssl.enabledProtocols leaves out a version between others: it is offered, too")
	}
	if low < tls.VersionTLS12 {
		warnings = append(warnings, "versions of TLS before 1.2 are enabled: they are not secure")
	}
	unknown, err := chooseSuites(cfg, t.CipherSuites)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range unknown {
		warnings = append(warnings, fmt.Sprintf("ssl.ciphersuites: %q is not supported", name))
	}
	switch t.ClientAuth {
	case conf.ClientAuthNone:
		cfg.ClientAuth = tls.NoClientCert
	case conf.ClientAuthWant:
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	case conf.ClientAuthNeed:
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if t.ClientAuth != conf.ClientAuthNone && t.TrustStore.Location == "" {
		return nil, nil, fmt.Errorf("%w: certificates of clients cannot be checked without ssl.trustStore.location; set it, or ssl.clientAuth=none", ErrConfig)
	}
	return cfg, warnings, nil
}

// versionRange returns the oldest and newest version to speak. gap is set when a version between
// them was not asked for, which cannot be said to crypto/tls.
func versionRange(t *conf.TLS) (low, high uint16, gap bool, err error) {
	ceiling := versions[t.Protocol]
	if ceiling == 0 {
		ceiling = tls.VersionTLS13
	}
	if len(t.Protocols) == 0 {
		return min(tls.VersionTLS12, ceiling), ceiling, false, nil
	}
	var list []uint16
	for _, name := range t.Protocols {
		if v := versions[name]; v != 0 && v <= ceiling {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return 0, 0, false, fmt.Errorf("%w: ssl.protocol=%s leaves none of ssl.enabledProtocols", ErrConfig, t.Protocol)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	low, high = list[0], list[len(list)-1]
	return low, high, int(high-low)+1 > len(list), nil
}

// chooseSuites sets the cipher suites for TLS 1.2 and older; those of TLS 1.3 are all
// secure and always on where that version is. A list of them alone leaves no older version.
func chooseSuites(cfg *tls.Config, names []string) (unknown []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	ids := map[string]*tls.CipherSuite{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids[s.Name] = s
	}
	newest := false
	for _, name := range names {
		s := ids[name]
		switch {
		case s == nil:
			unknown = append(unknown, name)
		case slices.Contains(s.SupportedVersions, tls.VersionTLS13):
			newest = true
		default:
			cfg.CipherSuites = append(cfg.CipherSuites, s.ID)
		}
	}
	if len(cfg.CipherSuites) > 0 {
		return unknown, nil
	}
	if !newest || cfg.MaxVersion < tls.VersionTLS13 {
		return nil, fmt.Errorf("%w: none of ssl.ciphersuites is supported", ErrConfig)
	}
	cfg.MinVersion = tls.VersionTLS13
	return unknown, nil
}
