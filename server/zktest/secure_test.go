package zktest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// secured is an ensemble with a port for TLS on every server.
type secured struct {
	*zktest.Ensemble
	ca         *authority
	keys, cert string // files
}

func startSecured(t *testing.T, n int, opts ...zktest.Option) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{ca: newAuthority(t, "ca"), keys: filepath.Join(dir, "keys.pem"), cert: filepath.Join(dir, "trust.pem")}
	replace(t, s.keys, blocks(t, s.ca.server())...)
	replace(t, s.cert, s.ca.block())
	s.Ensemble = zktest.Start(t, n, append([]zktest.Option{
		zktest.Set("secureClientPort", "0"), zktest.Set("secureClientPortAddress", "127.0.0.1"),
		zktest.Set("ssl.keyStore.location", s.keys), zktest.Set("ssl.trustStore.location", s.cert),
	}, opts...)...)
	return s
}

func (s *secured) addr(server *zktest.Server) string {
	return server.Node().SecureClientAddr().String()
}

// config is that of a client with these certificates.
func (s *secured) config(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: s.ca.pool(), ServerName: "127.0.0.1", Certificates: certs}
}

// dial opens a socket that gives up before the test does.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	must(t, nc.SetDeadline(time.Now().Add(zktest.Patience)))
	return nc
}

// ask sends a four-letter word and returns the whole answer. Over TLS, an end without farewell
// is an error.
func ask(nc net.Conn, word string) (string, error) {
	if _, err := io.WriteString(nc, word); err != nil {
		return "", err
	}
	text, err := io.ReadAll(nc)
	return string(text), err
}

// try asks by TLS whether the server is there.
func (s *secured) try(t *testing.T, addr string, cfg *tls.Config) error {
	t.Helper()
	nc := dial(t, addr)
	defer nc.Close()
	text, err := ask(tls.Client(nc, cfg), "srvr")
	if err == nil && !strings.HasPrefix(text, "Zookeeper version: ") {
		return fmt.Errorf("the answer is %q", text)
	}
	return err
}

// connect opens a ZooKeeper client by TLS.
func (s *secured) connect(t *testing.T, server *zktest.Server, certs ...tls.Certificate) *zk.Conn {
	t.Helper()
	return connectBy(t, s.addr(server), func(nc net.Conn) net.Conn { return tls.Client(nc, s.config(certs...)) })
}

func connectBy(t *testing.T, addr string, wrap func(net.Conn) net.Conn) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{addr}, 10*time.Second, zk.WithLogInfo(false),
		zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) {
			nc, err := net.DialTimeout(network, address, timeout)
			if err != nil {
				return nil, err
			}
			return wrap(nc), nil
		}))
	must(t, err)
	t.Cleanup(conn.Close)
	patience := time.After(zktest.Patience)
	for {
		select {
		case ev := <-events:
			if ev.State == zk.StateHasSession {
				return conn
			}
		case <-patience:
			t.Fatal("no session within ", zktest.Patience)
		}
	}
}

func TestClientAuth(t *testing.T) {
	other := newAuthority(t, "another ca")
	for mode, allowed := range map[string]string{
		"need": "good", "want": "good nobody", "none": "good nobody expired early stranger server self",
	} {
		t.Run(mode, func(t *testing.T) {
			s := startSecured(t, 1, zktest.Set("ssl.clientAuth", mode))
			valid := func(from, to time.Duration) func(*x509.Certificate) {
				return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
			}
			name := pkix.Name{CommonName: "client"}
			self := newAuthority(t, "self")
			for client, certs := range map[string][]tls.Certificate{
				"good": {s.ca.client("good")}, "nobody": nil,
				"expired":  {s.ca.issue(name, valid(-2*time.Hour, -time.Hour))},
				"early":    {s.ca.issue(name, valid(time.Hour, 2*time.Hour))},
				"stranger": {other.client("good")},
				"server":   {s.ca.server()}, // not meant for clients
				"self":     {{Certificate: [][]byte{self.cert.Raw}, PrivateKey: self.key}},
			} {
				cfg := s.config()
				if len(certs) > 0 {
					// Shown even if the server does not ask for one of its issuer.
					cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
				}
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					cfg.MinVersion, cfg.MaxVersion = version, version
					err := s.try(t, s.addr(s.Server(1)), cfg)
					if want := strings.Contains(" "+allowed+" ", " "+client+" "); (err == nil) != want {
						t.Errorf("client %s by %s: got %v, want it served: %v", client, tls.VersionName(version), err, want)
					}
				}
			}
		})
	}
}

// An identity that a certificate gives counts wherever the request is judged: on the
// leader for writes, on the client's server for reads.
func TestCertificateIdentity(t *testing.T) {
	s := startSecured(t, 3, zktest.Set("ssl.clientAuth", "want"),
		zktest.Set("X509AuthenticationProvider.superUser", "CN=root,O=Acme\\\\, Inc."))
	const alice = `CN=alice,O=Acme\, Inc.`
	acl := []zk.ACL{{Perms: zk.PermAll, Scheme: "x509", ID: alice}}
	leader := s.Leader(t)
	for i, server := range []*zktest.Server{leader, s.Followers(t)[0]} {
		path := fmt.Sprintf("/alice-%d", i)
		conn := s.connect(t, server, s.ca.client("alice"))
		_, err := conn.Create(path, []byte("secret"), 0, acl)
		must(t, err)
		_, err = conn.Set(path, []byte("changed"), 0)
		must(t, err)
		_, err = conn.Create(path+"/mine", nil, 0, zk.AuthACL(zk.PermAll))
		must(t, err)
		got, _, err := conn.GetACL(path + "/mine")
		must(t, err)
		if len(got) != 1 || got[0] != acl[0] {
			t.Errorf("an ACL of scheme auth became %v, want %v", got, acl)
		}
		for name, stranger := range map[string]*zk.Conn{
			"bob": s.connect(t, server, s.ca.client("bob")), "nobody": s.connect(t, server), "plain": s.Connect(t, server),
		} {
			_, err := stranger.Sync("/")
			must(t, err)
			if _, _, err := stranger.Get(path); !errors.Is(err, zk.ErrNoAuth) {
				t.Errorf("%s reads what is alice's: %v", name, err)
			}
			if _, err := stranger.Set(path, nil, -1); !errors.Is(err, zk.ErrNoAuth) {
				t.Errorf("%s writes what is alice's: %v", name, err)
			}
		}
		root := s.connect(t, server, s.ca.client("root"))
		if data, _, err := root.Get(path); err != nil || string(data) != "changed" {
			t.Errorf("super reads %q, %v", data, err)
		}
		if _, err := root.Set(path, nil, -1); err != nil {
			t.Errorf("super writes: %v", err)
		}
	}
}

func TestPortUnification(t *testing.T) {
	s := startSecured(t, 1, zktest.Set("client.portUnification", "true"), zktest.Set("ssl.handshakeDetectionTimeoutMillis", "300"))
	addr := s.Server(1).Addr()
	must(t, s.try(t, addr, s.config(s.ca.client("a"))))
	if text, err := ask(dial(t, addr), "srvr"); err != nil || !strings.HasPrefix(text, "Zookeeper version: ") {
		t.Errorf("a four-letter word in plain text: %q, %v", text, err)
	}
	plain := s.Connect(t)
	_, err := plain.Create("/plain", nil, 0, open)
	must(t, err)
	client := connectBy(t, addr, func(nc net.Conn) net.Conn { return tls.Client(nc, s.config(s.ca.client("a"))) })
	_, err = client.Create("/plain/tls", nil, 0, zk.AuthACL(zk.PermAll))
	must(t, err)

	// A client that dawdles with its first byte is not waited for.
	if n, err := dial(t, addr).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a silent connection: read %d, %v, want it closed", n, err)
	}
	// One that is slow in the middle of a word or a handshake is.
	slow := dial(t, addr)
	for _, part := range []string{"s", "rv", "r"} {
		_, err = io.WriteString(slow, part)
		must(t, err)
	}
	if text, err := io.ReadAll(slow); err != nil || len(text) == 0 {
		t.Errorf("a word in parts: %q, %v", text, err)
	}
	must(t, s.try(t, addr, s.config(s.ca.client("b"))))
}

func TestWrongPort(t *testing.T) {
	t.Parallel() // it waits most of its time
	s := startSecured(t, 1)
	server := s.Server(1)
	conn := s.connect(t, server, s.ca.client("a"))
	_, err := conn.Create("/a", nil, 0, open)
	must(t, err)
	for name, bytes := range map[string]string{
		"a word": "ruok", "a connect request": "\x00\x00\x00\x2d" + strings.Repeat("\x00", 45), "zeros": strings.Repeat("\x00", 4096),
		"a handshake that is none": "\x16\x03\x01\x00\x05hello", "a long record": "\x16\x03\x01\xff\xff" + strings.Repeat("x", 70000),
	} {
		nc := dial(t, s.addr(server))
		_, _ = io.WriteString(nc, bytes) // the server may have hung up meanwhile
		text, _ := io.ReadAll(nc)
		if strings.Contains(string(text), "imok") || len(text) > 16 {
			t.Errorf("%s in plain text on the TLS port is answered: %q", name, text)
		}
	}
	if err := s.try(t, server.Addr(), s.config(s.ca.client("a"))); err == nil {
		t.Error("the plain port speaks TLS")
	}
	if _, _, err := conn.Get("/a"); err != nil {
		t.Errorf("a connection suffers from others: %v", err)
	}
}

// serial returns the number of the certificate that the server shows.
func (s *secured) serial(t *testing.T, roots *authority) string {
	t.Helper()
	cfg := s.config(s.ca.client("a"))
	cfg.RootCAs = roots.pool()
	nc := tls.Client(dial(t, s.addr(s.Server(1))), cfg)
	defer nc.Close()
	if err := nc.Handshake(); err != nil {
		return err.Error()
	}
	return nc.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestReload(t *testing.T) {
	s := startSecured(t, 1)
	before := s.connect(t, s.Server(1), s.ca.client("a"))
	shows := func(what, want string) {
		t.Helper()
		zktest.Eventually(t, what, func() error {
			if got := s.serial(t, s.ca); got != want {
				return fmt.Errorf("the server shows %s, want %s", got, want)
			}
			return nil
		})
	}
	// A new certificate, in a new file.
	second := s.ca.server()
	replace(t, s.keys, blocks(t, second)...)
	shows("the second certificate", second.Leaf.SerialNumber.String())
	// A broken file, and one that is not there, change nothing; what comes then does.
	must(t, os.WriteFile(s.keys, []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600))
	shows("the second certificate beside a broken file", second.Leaf.SerialNumber.String())
	must(t, os.Remove(s.keys))
	shows("the second certificate without a file", second.Leaf.SerialNumber.String())
	expired := s.ca.issue(pkix.Name{CommonName: "old"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	replace(t, s.keys, blocks(t, expired)...)
	shows("the second certificate in place of an expired one", second.Leaf.SerialNumber.String())
	third := s.ca.server()
	// Written in place: the same inode, and about the same size.
	var text bytes.Buffer
	for _, b := range blocks(t, third) {
		must(t, pem.Encode(&text, b))
	}
	must(t, os.WriteFile(s.keys, text.Bytes(), 0o600))
	shows("the third certificate", third.Leaf.SerialNumber.String())

	// Another authority for clients: those of the old one are turned away from now on, whatever
	// tickets they hold.
	cfg := s.config(s.ca.client("a"))
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	must(t, s.try(t, s.addr(s.Server(1)), cfg))
	other := newAuthority(t, "other")
	replace(t, s.cert, other.block())
	zktest.Eventually(t, "clients of the new authority", func() error {
		return s.try(t, s.addr(s.Server(1)), s.config(other.client("a")))
	})
	if err := s.try(t, s.addr(s.Server(1)), cfg); err == nil {
		t.Error("a client of the old authority is let in")
	}
	// Who was there stays.
	if _, err := before.Create("/before", nil, 0, open); err != nil {
		t.Errorf("a connection of before: %v", err)
	}
}

func TestSessionsOfTLSAreNotResumed(t *testing.T) {
	s := startSecured(t, 1)
	cfg := s.config(s.ca.client("a"))
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg.MinVersion, cfg.MaxVersion = version, version
		for range 3 {
			nc := tls.Client(dial(t, s.addr(s.Server(1))), cfg)
			if _, err := ask(nc, "ruok"); err != nil {
				t.Fatal(err)
			}
			if nc.ConnectionState().DidResume {
				t.Errorf("%s: the session was resumed", tls.VersionName(version))
			}
		}
	}
}

func TestClientHostnameVerification(t *testing.T) {
	s := startSecured(t, 1, zktest.Set("ssl.clientHostnameVerification", "true"), zktest.Set("ssl.clientAuth", "want"))
	at := func(ips ...net.IP) tls.Certificate {
		return s.ca.issue(pkix.Name{CommonName: "127.0.0.1"}, func(c *x509.Certificate) { c.IPAddresses = ips })
	}
	addr := s.addr(s.Server(1))
	must(t, s.try(t, addr, s.config(at(net.IPv4(127, 0, 0, 1)))))
	must(t, s.try(t, addr, s.config()))
	for _, cert := range []tls.Certificate{at(), at(net.IPv4(127, 0, 0, 2))} {
		if err := s.try(t, addr, s.config(cert)); err == nil {
			t.Error("a certificate that does not name the client's address is let in")
		}
	}
}

// Handshakes that never end must not keep others out once the limit says so, nor cost more than
// their number.
func TestHandshakeLimit(t *testing.T) {
	s := startSecured(t, 1, zktest.Set("netty.server.outstandingHandshake.limit", "1"), zktest.Set("client.portUnification", "true"))
	addr := s.addr(s.Server(1))
	var lazy net.Conn
	zktest.Eventually(t, "a handshake beside a lazy one is refused", func() error {
		lazy = dial(t, addr)
		if _, err := io.WriteString(lazy, "\x16\x03\x01"); err != nil {
			return err
		}
		if s.try(t, addr, s.config(s.ca.client("a"))) == nil {
			lazy.Close()
			return errors.New("it was not")
		}
		return nil
	})
	text, err := ask(dial(t, s.Server(1).Addr()), "srvr") // plain text needs no handshake
	if err != nil || text == "" {
		t.Errorf("plain text: %q, %v", text, err)
	}
	must(t, lazy.Close())
	zktest.Eventually(t, "a handshake after the lazy one", func() error {
		return s.try(t, addr, s.config(s.ca.client("a")))
	})
}

// A handshake that does not come to its end ends with the time that a connection has to ask for a
// session.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel() // it waits most of its time
	s := startSecured(t, 1, zktest.Set("nio.sessionlessCnxnTimeout", "300"))
	for _, bytes := range []string{"", "\x16\x03\x01", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		nc := dial(t, s.addr(s.Server(1)))
		_, err := io.WriteString(nc, bytes)
		must(t, err)
		if _, err := io.ReadAll(nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: the server waits for more for ever", bytes)
		}
	}
}

// Clients whose certificates are more than anybody needs are turned away before these are judged,
// those who ask for TLS as it was ten years ago are too, and nobody else feels it.
func TestExcessiveClients(t *testing.T) {
	s := startSecured(t, 1)
	addr := s.addr(s.Server(1))
	huge := s.ca.issue(pkix.Name{CommonName: "huge"}, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Value: make([]byte, 300<<10)}}
	})
	long := s.ca.client("long")
	for range 1000 {
		long.Certificate = append(long.Certificate, long.Certificate[0])
	}
	for name, cert := range map[string]tls.Certificate{"a huge certificate": huge, "a long chain": long} {
		cfg := s.config()
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		if err := s.try(t, addr, cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		cfg := s.config(s.ca.client("old"))
		cfg.MinVersion, cfg.MaxVersion = version, version
		if err := s.try(t, addr, cfg); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	must(t, s.try(t, addr, s.config(s.ca.client("good"))))
}

// Answers that span many records of TLS arrive whole.
func TestLongAnswersByTLS(t *testing.T) {
	s := startSecured(t, 1)
	conn := s.connect(t, s.Server(1), s.ca.client("a"))
	data := bytes.Repeat([]byte("0123456789abcdef"), 60_000)
	_, err := conn.Create("/long", data, 0, open)
	must(t, err)
	for range 5 {
		got, _, err := conn.Get("/long")
		must(t, err)
		if !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, want %d", len(got), len(data))
		}
	}
}
