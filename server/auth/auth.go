package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// SchemeEnsemble is the scheme by which a client names the ensemble that it means.
const SchemeEnsemble = "ensemble"

// Config says which schemes are offered and what they accept. The zero value offers ip and
// digest.
type Config struct {
	// NoDigest takes scheme digest away; SuperDigest ("super:<base64>", empty: none) is its
	// identity that may do everything.
	NoDigest    bool
	SuperDigest string
	// DigestAlg is the hash of scheme digest.
	DigestAlg znode.DigestAlg

	// Ensemble offers scheme ensemble; EnsembleNames are the names that it accepts, empty:
	// any.
	Ensemble      bool
	EnsembleNames []string

	// X509 offers scheme x509; X509Super is the name, as DistinguishedName writes it, of the
	// certificate that may do everything, empty: none may.
	X509      bool
	X509Super string

	// SASL offers scheme sasl to ACLs and to Required. It does not by itself let anybody in:
	// an exchange needs Users.
	SASL bool
	// Users are the passwords of those who may log in by SASL; nil: tokens are not judged.
	Users map[string]string
	// SuperPassword replaces the password of the user "super", if there is one. Empty: it
	// does not.
	SuperPassword string
	// SASLSupers are the users that may do everything once they have logged in.
	SASLSupers []string
	// AllowFailed keeps clients whose exchange has failed, unless SASL is required.
	AllowFailed bool
	// Random is what nonces are made of. Default: crypto/rand.
	Random io.Reader

	// Required are the schemes of which a connection must have proved an identity before
	// anything but authentication is answered; empty: none is required.
	Required []string
}

// Authenticator knows the schemes that are offered. It is immutable and safe for concurrent
// use.
type Authenticator struct {
	providers map[string]provider
	required  []string

	users       map[string]userKey // nil: no SASL
	saslSupers  map[string]bool
	allowFailed bool
	random      io.Reader
}

// New makes an Authenticator. It refuses a configuration by which nobody could be served.
func New(cfg Config) (*Authenticator, error) {
	a := &Authenticator{
		providers: map[string]provider{znode.SchemeIP: ipProvider{}},
		required:  slices.Clone(cfg.Required),
		random:    cfg.Random,
	}
	if a.random == nil {
		a.random = rand.Reader
	}
	if !cfg.NoDigest {
		a.providers[znode.SchemeDigest] = digestProvider{alg: cfg.DigestAlg, super: cfg.SuperDigest}
	}
	if cfg.Ensemble {
		a.providers[SchemeEnsemble] = ensembleProvider{names: slices.Clone(cfg.EnsembleNames)}
	}
	if cfg.X509 {
		a.providers[SchemeX509] = x509Provider{super: cfg.X509Super}
	}
	a.configureSASL(&cfg)
	for _, scheme := range cfg.Required {
		if a.providers[scheme] == nil {
			return nil, fmt.Errorf("auth: scheme %q is required, but not offered", scheme)
		}
	}
	if a.requires(znode.SchemeSASL) && !a.OffersSASL() {
		return nil, errors.New("auth: SASL is required, but there is no list of its users")
	}
	return a, nil
}

func (a *Authenticator) configureSASL(cfg *Config) {
	a.allowFailed = cfg.AllowFailed
	if cfg.SASL {
		a.providers[znode.SchemeSASL] = saslProvider{}
	}
	if cfg.Users == nil {
		return
	}
	a.users, a.saslSupers = make(map[string]userKey, len(cfg.Users)), make(map[string]bool, len(cfg.SASLSupers))
	for name, password := range cfg.Users {
		if name == saslSuper && cfg.SuperPassword != "" {
			password = cfg.SuperPassword
		}
		a.users[name] = newUserKey(name, password)
	}
	for _, name := range cfg.SASLSupers {
		a.saslSupers[name] = true
	}
}

// requires reports whether a scheme is among those of which one is required.
func (a *Authenticator) requires(scheme string) bool { return slices.Contains(a.required, scheme) }

// SASLFailure says what becomes of a connection whose exchange has failed: it stays, as nobody,
// or it is closed behind an answer with the code.
func (a *Authenticator) SASLFailure() (code proto.Code, stays bool) {
	switch {
	case a.requires(znode.SchemeSASL):
		return proto.CodeSessionClosedRequireSASLAuth, false
	case a.allowFailed:
		return proto.CodeOK, true
	}
	return proto.CodeAuthFailed, false
}

// Peer is what is known of a client before it says anything.
type Peer struct {
	// IP is its address as ZooKeeper writes it into identities.
	IP string
	// Certified says that it has shown a certificate that was verified, and Subject is then the
	// certificate's name, see DistinguishedName.
	Certified bool
	Subject   string
}

// Verdict is what becomes of an auth packet.
type Verdict uint8

const (
	// Refused packets are answered with AuthFailed, and the connection is closed.
	Refused Verdict = iota
	// Accepted packets are answered with OK.
	Accepted
	// Elsewhere closes the connection without an answer: the client should find another
	// server, and a refusal would make it give up.
	Elsewhere
)

// provider judges auth packets of one scheme.
type provider interface {
	// authenticate returns the identities that data proves; none may be accepted, too.
	// A nil data is the null buffer.
	authenticate(peer *Peer, data []byte) ([]proto.ID, Verdict)
	// user returns the name of whoever has an identity of the scheme.
	user(id string) string
}

// Initial returns the identities of a connection that has proved nothing yet.
func (a *Authenticator) Initial(peer *Peer) []proto.ID {
	return []proto.ID{{Scheme: znode.SchemeIP, ID: peer.IP}}
}

// Authenticate judges an auth packet (spec client-protocol 7.1). The identities count only with
// Accepted.
func (a *Authenticator) Authenticate(peer *Peer, scheme string, data []byte) ([]proto.ID, Verdict) {
	p := a.providers[scheme]
	if p == nil {
		return nil, Refused
	}
	return p.authenticate(peer, data)
}

// User returns the name that whoAmI tells of an identity: empty if no provider of its scheme
// is configured.
func (a *Authenticator) User(id proto.ID) string {
	if p := a.providers[id.Scheme]; p != nil {
		return p.user(id.ID)
	}
	return ""
}

// Admits reports whether a connection with these identities may do more than authenticate
// (spec client-protocol 7.3).
func (a *Authenticator) Admits(ids []proto.ID) bool {
	return len(a.required) == 0 || slices.ContainsFunc(ids, func(id proto.ID) bool {
		return a.requires(id.Scheme)
	})
}

// ipProvider knows clients by their address, whatever they say.
type ipProvider struct{}

func (ipProvider) authenticate(peer *Peer, _ []byte) ([]proto.ID, Verdict) {
	return []proto.ID{{Scheme: znode.SchemeIP, ID: peer.IP}}, Accepted
}

func (ipProvider) user(id string) string { return id }

// digestProvider takes "name:password". There is no password to compare with: ACLs hold the
// hash of both.
type digestProvider struct {
	alg   znode.DigestAlg
	super string
}

func (p digestProvider) authenticate(_ *Peer, data []byte) ([]proto.ID, Verdict) {
	if data == nil {
		return nil, Refused
	}
	id := znode.DigestID(p.alg, data)
	if p.super != "" && id.ID == p.super {
		return []proto.ID{znode.SuperID(), id}, Accepted
	}
	return []proto.ID{id}, Accepted
}

func (digestProvider) user(id string) string {
	name, _, _ := strings.Cut(id, ":")
	return name
}

// saslProvider refuses auth packets: SASL has an operation of its own.
type saslProvider struct{}

func (saslProvider) authenticate(*Peer, []byte) ([]proto.ID, Verdict) { return nil, Refused }

func (saslProvider) user(id string) string { return id }

// ensembleProvider sends clients away that look for another ensemble.
type ensembleProvider struct{ names []string }

func (p ensembleProvider) authenticate(_ *Peer, data []byte) ([]proto.ID, Verdict) {
	if len(data) == 0 || len(p.names) == 0 || slices.Contains(p.names, string(data)) {
		return nil, Accepted
	}
	return nil, Elsewhere
}

func (ensembleProvider) user(id string) string { return id }
