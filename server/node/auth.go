package node

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/znode"
)

// authConfig says how clients prove who they are. It reads the list of SASL's users.
func (n *Node) authConfig() (auth.Config, error) {
	c := &n.conf.Auth
	alg, err := znode.ParseDigestAlg(c.DigestAlg)
	if err != nil {
		return auth.Config{}, err
	}
	users, err := n.saslUsers()
	if err != nil {
		return auth.Config{}, err
	}
	return auth.Config{
		NoDigest: !n.conf.OffersScheme(znode.SchemeDigest), SuperDigest: c.SuperDigest, DigestAlg: alg,
		Ensemble: slices.Contains(c.Providers, auth.SchemeEnsemble), EnsembleNames: c.EnsembleNames,
		X509: n.conf.OffersScheme(auth.SchemeX509), X509Super: c.X509Super,
		SASL: n.conf.OffersScheme(znode.SchemeSASL), Users: users, SuperPassword: c.SASLSuperPassword,
		SASLSupers: c.SASLSupers, AllowFailed: c.AllowSASLFailed,
		Required: c.Required,
	}, nil
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

// saslUsers reads the users of SASL from the JAAS file, if one is configured. What it says must be
// right; that it does not say anything to this server is no fault, as with ZooKeeper, unless clients
// must log in.
func (n *Node) saslUsers() (map[string]string, error) {
	c := &n.conf.Auth
	required := slices.Contains(c.Required, znode.SchemeSASL)
	if c.JAASFile == "" {
		if required {
			return nil, errors.New("SASL is required, and java.security.auth.login.config names no file with users")
		}
		if n.conf.OffersScheme(znode.SchemeSASL) {
			n.log.Warn().Msg("nobody can log in by SASL: java.security.auth.login.config names no file with users")
		}
		return nil, nil
	}
	name := jaasPath(c.JAASFile)
	section, err := readJAAS(name, c.JAASSection)
	switch {
	case err != nil:
		return nil, err
	case section == nil && required:
		return nil, fmt.Errorf("%s: SASL is required, and the section %s is not there", name, c.JAASSection)
	case section == nil:
		n.log.Warn().Str("file", name).Str("section", c.JAASSection).
			Msg("nobody can log in by SASL: the section is not in the JAAS file")
		return nil, nil
	}
	users, err := section.Users(name)
	if err != nil {
		return nil, err
	}
	if _, ok := users["super"]; !ok && c.SASLSuperPassword != "" {
		n.log.Warn().Str("file", name).
			Msg("SASLAuthenticationProvider.superPassword has no effect: the section lists no user_super")
	}
	return users, nil
}

// readJAAS returns a section of a JAAS file, nil if it is not there or empty.
func readJAAS(name, section string) (*auth.JAASSection, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	sections, err := auth.ParseJAAS(name, text, javaProperty)
	if err != nil {
		return nil, err
	}
	for i := range sections {
		if s := &sections[i]; s.Name == section && len(s.Modules) > 0 {
			return s, nil
		}
	}
	return nil, nil
}

// jaasPath returns the path of a file that java.security.auth.login.config names: a path, or a
// URL of a file, after an equals sign that has a meaning only to Java.
func jaasPath(value string) string {
	value = strings.TrimLeft(value, "=")
	if u, err := url.Parse(value); err == nil && u.Scheme == "file" && u.Path != "" {
		return u.Path
	}
	return value
}

// javaProperty knows the system properties of Java that JAAS files are likely to name.
func javaProperty(name string) (string, bool) {
	var value string
	var err error
	switch name {
	case "user.home":
		value, err = os.UserHomeDir()
	case "user.dir":
		value, err = os.Getwd()
	case "user.name":
		var u *user.User
		if u, err = user.Current(); err == nil {
			value = u.Username
		}
	case "file.separator":
		value = string(os.PathSeparator)
	default:
		return "", false
	}
	return value, err == nil
}
