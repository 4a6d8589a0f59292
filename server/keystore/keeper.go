package keystore

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
)

// Config is what a Keeper is made of.
type Config struct {
	TLS    conf.TLS
	Logger zerolog.Logger
	// Every is the time between two looks at the files. Default 5 s.
	Every time.Duration
	// Now is the clock by which certificates are judged. Default time.Now.
	Now func() time.Time
}

const (
	// defaultEvery is short enough for whoever waits for a new certificate to be used.
	defaultEvery = 5 * time.Second
	// warnAhead is how long before its end a certificate is reported, every warnEvery.
	warnAhead = 30 * 24 * time.Hour
	warnEvery = 24 * time.Hour
	// lookupTimeout bounds the search for the name of a client's address.
	lookupTimeout = 3 * time.Second
)

// Keeper keeps the TLS configuration of a listener up to date with its files.
type Keeper struct {
	cfg     Config
	log     zerolog.Logger
	base    *tls.Config // what does not come from files
	names   []string    // the files
	current atomic.Pointer[material]

	// mu is held by whoever looks at the files; it guards what follows.
	mu     sync.Mutex
	seen   snapshot
	seenAt time.Time
	used   [sha256.Size]byte // of the files that current was made of
	// coming is what the last look found in place of used, zero: nothing.
	coming [sha256.Size]byte
	// complaint is the last report of files that cannot be used, empty: they can.
	complaint string
	warned    time.Time // when the end of a certificate was reported last
}

// Open reads the files. The error says which setting or file is at fault; an expired certificate
// is none, but is reported.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	base, warnings, err := settings(&cfg.TLS)
	if err != nil {
		return nil, err
	}
	base.Time = cfg.Now
	k := &Keeper{cfg: cfg, log: cfg.Logger, base: base, names: files(&cfg.TLS)}
	for _, w := range warnings {
		k.log.Warn().Msg(w)
	}
	k.seen, k.seenAt, k.used = look(k.names), time.Now(), sum(k.names)
	m, err := readMaterial(&k.cfg.TLS, k.base)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	k.adopt(m)
	return k, nil
}

// TLS returns a configuration for servers. It may be used for any number of connections; each gets
// what the files held last.
func (k *Keeper) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:             k.base.MinVersion,
		SessionTicketsDisabled: true,
		GetConfigForClient:     k.configFor,
	}
}

// Expiry returns when the first of the server's own certificates ends.
func (k *Keeper) Expiry() time.Time { return k.current.Load().expiry() }

// Run looks at the files now and then until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			k.check(false)
		}
	}
}

// Reload reads the files now, if they have changed in any way. Files that cannot be used are
// reported, again if they were reported before.
func (k *Keeper) Reload() { k.check(true) }

// check takes over what the files hold if it has changed and can be used. Unless it is asked
// for, it must have been so at the look before: a file of which only the first certificates are
// written yet looks like any other.
func (k *Keeper) check(asked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.warn()
	now := look(k.names)
	waiting := k.coming != [sha256.Size]byte{}
	if !asked && !waiting && now.same(k.seen) && !k.seen.fresh(k.seenAt) && k.complaint == "" {
		return
	}
	k.seen, k.seenAt = now, time.Now()
	if asked {
		k.complaint = ""
	}
	content := sum(k.names)
	switch {
	case content == k.used:
		k.complaint, k.coming = "", [sha256.Size]byte{}
		return
	case !asked && content != k.coming:
		k.coming = content
		return
	}
	m, err := readMaterial(&k.cfg.TLS, k.base)
	if err == nil {
		err = m.usable(k.cfg.Now())
	}
	switch {
	case err == nil && sum(k.names) != content:
		// Written while they were read: later looks will find them at rest.
		k.seen = nil
	case err == nil:
		k.used, k.complaint, k.coming = content, "", [sha256.Size]byte{}
		k.adopt(m)
	case err.Error() != k.complaint:
		k.complaint = err.Error()
		k.log.Error().Err(err).Msg("new keys and certificates cannot be used: the old ones stay in use")
	}
}

// adopt makes m what new connections get.
func (k *Keeper) adopt(m *material) {
	k.current.Store(m)
	for _, key := range m.keys {
		k.log.Info().Stringer("subject", key.Leaf.Subject).Time("expires", key.Leaf.NotAfter).
			Int("trusted", len(m.trust)).Msg("certificate in use")
	}
	k.warned = time.Time{}
	k.warn()
}

// warn reports a certificate that has ended or will soon, once a day.
func (k *Keeper) warn() {
	m, now := k.current.Load(), k.cfg.Now()
	if !k.warned.IsZero() && now.Sub(k.warned) < warnEvery {
		return
	}
	if err := m.usable(now); err != nil {
		k.log.Error().Err(err).Msg("clients will refuse this server")
		k.warned = now
	} else if left := m.expiry().Sub(now); left < warnAhead {
		k.log.Warn().Time("expires", m.expiry()).Int("days", int(left/(24*time.Hour))).Msg("this server's certificate ends soon")
		k.warned = now
	}
	for _, c := range m.trust {
		if now.After(c.NotAfter) {
			k.log.Warn().Stringer("subject", c.Subject).Time("expired", c.NotAfter).Msg("a certificate of the trust store has expired: nobody is trusted for it")
			k.warned = now
		}
	}
}

// configFor returns the configuration for one connection.
func (k *Keeper) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	cfg := k.current.Load().config
	t := &k.cfg.TLS
	if !t.HostnameVerification || !t.ClientHostnameVerification || t.ClientAuth == conf.ClientAuthNone {
		return cfg, nil
	}
	cfg = cfg.Clone()
	ctx, from := hello.Context(), hello.Conn.RemoteAddr()
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return nil // which clientAuth allowed
		}
		return k.verifyHost(ctx, cs, from)
	}
	return cfg, nil
}

// errHost is the error for a certificate that does not name the client's address.
var errHost = errors.New("the certificate does not name the address that the client comes from")

// verifyHost checks that a client's certificate names its address, or where that is allowed a name
// that DNS has for the address.
func (k *Keeper) verifyHost(ctx context.Context, cs tls.ConnectionState, from net.Addr) error {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		return fmt.Errorf("%w: %w", errHost, err)
	}
	host, _, _ = strings.Cut(host, "%") // the zone is ours, not the certificate's
	leaf := cs.PeerCertificates[0]
	if leaf.VerifyHostname(host) == nil {
		return nil
	}
	if k.cfg.TLS.AllowReverseDNS {
		lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		names, err := net.DefaultResolver.LookupAddr(lookup, host)
		if err != nil {
			return fmt.Errorf("%w, and no name was found for %s", errHost, host)
		}
		for _, name := range names {
			if leaf.VerifyHostname(strings.TrimSuffix(name, ".")) == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: %s", errHost, host)
}
