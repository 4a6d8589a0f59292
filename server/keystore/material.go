package keystore

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
)

// material is what was read from the files at one moment. It is immutable.
type material struct {
	keys  []tls.Certificate
	trust []*x509.Certificate // nil: there is no trust store
	// config answers handshakes.
	config *tls.Config
}

// readMaterial reads both stores and joins them with the settings.
func readMaterial(t *conf.TLS, base *tls.Config) (*material, error) {
	m := &material{config: base.Clone()}
	var err error
	if m.keys, err = ReadKeys(t.KeyStore); err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	m.config.Certificates = m.keys
	if t.TrustStore.Location == "" {
		return m, nil
	}
	if m.trust, err = ReadTrust(t.TrustStore); err != nil {
		return nil, fmt.Errorf("trust store: %w", err)
	}
	m.config.ClientCAs = x509.NewCertPool()
	for _, c := range m.trust {
		m.config.ClientCAs.AddCert(c)
	}
	return m, nil
}

// expiry returns when the first of the certificates that are sent ends.
func (m *material) expiry() time.Time {
	first := m.keys[0].Leaf.NotAfter
	for _, k := range m.keys {
		if k.Leaf.NotAfter.Before(first) {
			first = k.Leaf.NotAfter
		}
	}
	return first
}

// usable says what is wrong with material at that time: clients would refuse it.
func (m *material) usable(now time.Time) error {
	for _, k := range m.keys {
		switch {
		case now.After(k.Leaf.NotAfter):
			return fmt.Errorf("the certificate %q expired at %s", k.Leaf.Subject, k.Leaf.NotAfter.Format(time.RFC3339))
		case now.Before(k.Leaf.NotBefore):
			return fmt.Errorf("the certificate %q is not valid before %s", k.Leaf.Subject, k.Leaf.NotBefore.Format(time.RFC3339))
		}
	}
	return nil
}

// files lists everything that material is made of.
func files(t *conf.TLS) []string {
	var out []string
	for _, st := range [...]conf.Store{t.KeyStore, t.TrustStore} {
		for _, name := range [...]string{st.Location, st.PasswordPath} {
			if name != "" {
				out = append(out, name)
			}
		}
	}
	return out
}

// snapshot is what a look at the files shows, without reading them.
type snapshot []os.FileInfo // nil: cannot be seen

func look(names []string) snapshot {
	s := make(snapshot, len(names))
	for i, name := range names {
		if info, err := os.Stat(name); err == nil {
			s[i] = info
		}
	}
	return s
}

// same reports whether both looks saw the same files, unchanged.
func (s snapshot) same(other snapshot) bool {
	if len(s) != len(other) {
		return false
	}
	for i, a := range s {
		b := other[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && (!os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())) {
			return false
		}
	}
	return true
}

// racyWindow is longer than any file system's grain of time: a file that was written so shortly
// before a look may be written again without looking different.
const racyWindow = 2 * time.Second

// fresh reports whether a file was changed so shortly before the look that it may change unseen.
func (s snapshot) fresh(at time.Time) bool {
	for _, info := range s {
		if info != nil && at.Sub(info.ModTime()) < racyWindow {
			return true
		}
	}
	return false
}

// sum is a hash of the contents of the files; a file that cannot be read counts as itself.
func sum(names []string) (out [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range names {
		data, err := readFile(name, maxFile)
		if err != nil {
			data = []byte(err.Error())
		}
		part := sha256.Sum256(data)
		h.Write(part[:])
	}
	h.Sum(out[:0])
	return out
}
