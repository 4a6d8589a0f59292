package node

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/keystore"
)

// openTLS reads the keys and certificates and opens the port of secure clients, where they are
// configured.
func (n *Node) openTLS() (err error) {
	c := n.conf
	if c.SecureClient == nil && !c.PortUnification {
		return nil
	}
	n.keeper, err = keystore.Open(keystore.Config{TLS: c.TLS, Logger: n.log, Every: n.cfg.CertificatesEvery})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTLS, err)
	}
	if c.SecureClient != nil {
		if n.secure, err = n.listenAt(nil, c.SecureClient); err != nil {
			return err
		}
	}
	return nil
}

// secureConfig says how clients speak TLS, nil: they do not.
func (n *Node) secureConfig() *server.Secure {
	if n.keeper == nil {
		return nil
	}
	return &server.Secure{
		TLS: n.keeper.TLS(), Listener: n.secure, Unified: n.conf.PortUnification,
		DetectTimeout: n.conf.TLS.DetectTimeout, MaxHandshakes: n.conf.TLS.MaxHandshakes,
	}
}

// reportPorts logs where clients connect.
func (n *Node) reportPorts() {
	auth := map[conf.ClientAuth]string{conf.ClientAuthNeed: "need", conf.ClientAuthWant: "want", conf.ClientAuthNone: "none"}
	if n.listener != nil {
		n.log.Info().Stringer("address", n.listener.Addr()).Bool("tls_too", n.conf.PortUnification).Msg("listening for clients")
	}
	if n.secure != nil {
		n.log.Info().Stringer("address", n.secure.Addr()).Str("client_auth", auth[n.conf.TLS.ClientAuth]).Msg("listening for clients by TLS")
	}
}

// ReloadCertificates reads the files with keys and certificates now, if there are any. Otherwise they
// are looked at every few seconds.
func (n *Node) ReloadCertificates() {
	if n.keeper != nil {
		n.keeper.Reload()
	}
}

// SpeaksTLS reports whether clients may connect by TLS.
func (n *Node) SpeaksTLS() bool { return n.keeper != nil }

// SecureClientAddr returns the address that clients connect to by TLS, nil if there is no such
// port.
func (n *Node) SecureClientAddr() net.Addr {
	if n.secure == nil {
		return nil
	}
	return n.secure.Addr()
}

// tlsMetrics are what mntr says of certificates.
func (n *Node) tlsMetrics() []server.Metric {
	if n.keeper == nil {
		return nil
	}
	left := int64(time.Until(n.keeper.Expiry()) / time.Second)
	return []server.Metric{{Name: "tls_certificate_expiry_seconds", Value: strconv.FormatInt(left, 10)}}
}

// listenAt listens at the address, unless a listener is given.
func (n *Node) listenAt(given net.Listener, at *quorum.Address) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClientPort, err)
	}
	return l, nil
}
