package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/server/auth"
)

// Secure says how clients speak TLS (spec operations 6.1).
type Secure struct {
	// TLS answers handshakes. A certificate that it lets pass is what the client is known by. It
	// must be set, and must not resume sessions.
	TLS *tls.Config
	// Listener takes clients that speak nothing but TLS; Run closes it. nil: there is none.
	Listener net.Listener
	// Unified lets clients of the other listener speak TLS as well: their first byte tells.
	Unified bool
	// DetectTimeout is the wait for that byte. Default 5 s.
	DetectTimeout time.Duration
	// MaxHandshakes is the number of handshakes under way at which a connection that begins
	// another one is closed. 0: such a connection waits for its turn among 1024.
	MaxHandshakes int
}

// defaultHandshakes bounds the handshakes under way: one holds up to some hundred kilobytes.
const defaultHandshakes = 1024

// withDefaults returns s with defaults filled in.
func (s Secure) withDefaults() (*Secure, error) {
	if s.TLS == nil {
		return nil, errors.New("server: Config.Secure needs TLS")
	}
	setDefault(&s.DetectTimeout, 5*time.Second)
	return &s, nil
}

// handshakes returns a semaphore of the handshakes under way.
func (s *Secure) handshakes() chan struct{} {
	if s.MaxHandshakes > 0 {
		return make(chan struct{}, s.MaxHandshakes)
	}
	return make(chan struct{}, defaultHandshakes)
}

// entrance is what a connection's first bytes may be.
type entrance uint8

const (
	plainText entrance = iota
	// eitherText is TLS if the first byte begins a handshake of it. No client of the plain
	// protocol sends it: as the first byte of a length it means hundreds of megabytes.
	eitherText
	tlsText
)

// tlsHandshake is the first byte of a client that speaks TLS.
const tlsHandshake = 0x16

// errNoTurn is the error for a handshake that had to wait for too long or not at all.
var errNoTurn = errors.New("too many handshakes under way")

// enter makes the connection secure where it has to be, and returns false if it is not to be
// read any further.
func (c *conn) enter() bool {
	if c.entrance == plainText {
		return true
	}
	if c.entrance == eitherText {
		isTLS, err := c.detect()
		if err != nil {
			c.s.log.Debug().Str("client", c.remote).Err(err).Msg("closing a connection that has not begun")
			return false
		}
		if !isTLS {
			return true
		}
	}
	sc, err := c.shakeHands()
	switch {
	case err == nil:
		return c.certified(sc)
	case errors.Is(err, errNoTurn):
		c.s.stats.handshakesRefused.Add(1)
		c.s.quiet.Warn("refusing a connection", "TLS handshakes").Str("client", c.remote).Err(err).Send()
		return false
	}
	c.s.stats.handshakesFailed.Add(1)
	const failed = "TLS handshake failed"
	if noTLS := (tls.RecordHeaderError{}); errors.As(err, &noTLS) || errors.Is(err, io.EOF) {
		// A probe, or a client of the other port.
		c.s.log.Debug().Str("client", c.remote).Err(err).Msg(failed)
	} else {
		c.s.quiet.Info(failed).Str("client", c.remote).Str(zerolog.ErrorFieldName, shortened(err)).Send()
	}
	c.hangUp()
	return false
}

// maxLoggedError bounds what is logged of an error that can hold names of a client's certificate.
const maxLoggedError = 256

func shortened(err error) string {
	text := err.Error()
	return text[:min(len(text), maxLoggedError)]
}

// detect waits for the first bytes and looks at them. They stay in the input.
func (c *conn) detect() (isTLS bool, err error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.s.cfg.Secure.DetectTimeout)); err != nil {
		return false, err
	}
	if err := c.in.fill(c.nc); err != nil {
		return false, err
	}
	return c.in.buf[c.in.r] == tlsHandshake, c.nc.SetReadDeadline(time.Time{})
}

// shakeHands puts TLS between the connection and its socket. Waiting for the turn and the
// handshake together take no longer than a connection may take to ask for a session.
func (c *conn) shakeHands() (*tlsConn, error) {
	deadline := time.NewTimer(c.s.cfg.SessionlessTimeout)
	defer deadline.Stop()
	begun := time.Now()
	select {
	case c.s.handshakes <- struct{}{}:
	default:
		if c.s.cfg.Secure.MaxHandshakes > 0 {
			return nil, errNoTurn
		}
		select {
		case c.s.handshakes <- struct{}{}:
		case <-c.dead:
			return nil, net.ErrClosed
		case <-deadline.C:
			return nil, errNoTurn
		}
	}
	defer func() { <-c.s.handshakes }()

	raw := c.nc
	if err := raw.SetDeadline(begun.Add(c.s.cfg.SessionlessTimeout)); err != nil {
		return nil, err
	}
	sc := &tlsConn{Conn: tls.Server(&replay{Conn: raw, head: c.in.buf[c.in.r:c.in.w]}, c.s.cfg.Secure.TLS), raw: raw}
	if err := sc.Handshake(); err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	c.in = input{}
	c.mu.Lock()
	c.nc = sc // who closes it looks for it under the lock
	c.mu.Unlock()
	return sc, nil
}

// certified gives the connection the identity of its certificate, if it has shown one.
func (c *conn) certified(sc *tlsConn) bool {
	state := sc.ConnectionState()
	if len(state.PeerCertificates) == 0 {
		return true
	}
	subject, err := auth.DistinguishedName(state.PeerCertificates[0])
	if err == nil {
		c.peer.Certified, c.peer.Subject = true, subject
		ids, verdict := c.s.auth.Authenticate(&c.peer, auth.SchemeX509, nil)
		if verdict == auth.Accepted && c.identify(ids) {
			return true
		}
		err = errors.New("scheme x509 does not take it")
	}
	c.s.quiet.Info("closing a connection whose certificate is nobody's").
		Str("client", c.remote).Str(zerolog.ErrorFieldName, shortened(err)).Send()
	return false
}

// hangUp closes the socket behind what was written last, the reason of a refusal: closing
// it with unread input would take that back. Housekeeping ends it if the client does not.
func (c *conn) hangUp() {
	half, ok := c.nc.(closeWriter)
	if !ok || half.CloseWrite() != nil || !c.linger() {
		return
	}
	c.sink()
}

// closeWriter is a connection whose one direction can be ended.
type closeWriter interface{ CloseWrite() error }

var (
	_ closeWriter = (*net.TCPConn)(nil)
	_ closeWriter = (*tlsConn)(nil)
)

// tlsConn is a secured connection that can be closed without waiting: the farewell of
// TLS could block behind output that the client does not take.
type tlsConn struct {
	*tls.Conn
	raw net.Conn
}

// Close closes the socket and nothing else.
func (c *tlsConn) Close() error { return c.raw.Close() }

// CloseWrite says farewell, which may block for some seconds, and ends the socket's direction.
func (c *tlsConn) CloseWrite() error {
	if err := c.Conn.CloseWrite(); err != nil {
		return err
	}
	if half, ok := c.raw.(closeWriter); ok {
		return half.CloseWrite()
	}
	return nil
}

// replay is a connection of which something was read ahead.
type replay struct {
	net.Conn
	head []byte // not yet read again
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.head)
	r.head = r.head[n:]
	return n, nil
}
