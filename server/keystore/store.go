package keystore

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/zabkeeper/zabkeeper/conf"
)

// The formats, as conf.Store.Type names them.
const (
	PEM    = "PEM"
	PKCS12 = "PKCS12"
	JKS    = "JKS"
	BCFKS  = "BCFKS"
)

const (
	// maxFile bounds a store; the certificates of all public authorities take a third of it.
	maxFile = 1 << 20
	// maxPassword bounds a file with a password.
	maxPassword = 4 << 10
	// maxIterations bounds the work of deriving a key from a password: a hundred times what keytool
	// takes, and less than a second.
	maxIterations = 1_000_000
)

var (
	// ErrPassword is matched by the error for a password that does not fit, or a store that
	// was damaged so that it looks like that.
	ErrPassword = errors.New("the password is wrong, or the file is damaged")
	// ErrFormat is matched by the error for a store that is not of its format, or of one that
	// cannot be read.
	ErrFormat = errors.New("not a store that can be read")
	// ErrContent is matched by the error for a store that lacks what it is needed for.
	ErrContent = errors.New("not what is needed")
)

// ReadKeys reads a key store: at least one private key with its certificates, its own first. The error
// names the file.
func ReadKeys(st conf.Store) ([]tls.Certificate, error) {
	return read(st, DecodeKeys)
}

// ReadTrust reads a trust store: at least one certificate. The error names the file.
func ReadTrust(st conf.Store) ([]*x509.Certificate, error) {
	return read(st, DecodeTrust)
}

func read[T any](st conf.Store, decode func(format string, data []byte, password string) (T, error)) (T, error) {
	var none T
	format, err := formatOf(st)
	if err != nil {
		return none, fmt.Errorf("%s: %w", st.Location, err)
	}
	password, err := passwordOf(st)
	if err != nil {
		return none, err
	}
	data, err := readFile(st.Location, maxFile)
	if err != nil {
		return none, err
	}
	out, err := decode(format, data, password)
	if errors.Is(err, ErrPassword) && password == "" {
		err = fmt.Errorf("%w: no password is set", err)
	}
	if err != nil {
		return none, fmt.Errorf("%s: %w", st.Location, err)
	}
	return out, nil
}

// formatOf returns the type that is set, or else the one of the file's extension.
func formatOf(st conf.Store) (string, error) {
	if st.Type != "" {
		return st.Type, nil
	}
	switch strings.ToLower(filepath.Ext(st.Location)) {
	case ".pem":
		return PEM, nil
	case ".p12", ".pfx":
		return PKCS12, nil
	case ".jks":
		return JKS, nil
	case ".bcfks":
		return BCFKS, nil
	}
	return "", fmt.Errorf("%w: no type is set, and the file's name does not end in .pem, .p12, .pfx, .jks or .bcfks", ErrFormat)
}

// passwordOf returns the password of a store. A file with it wins; the end of its line does not
// belong to the password.
func passwordOf(st conf.Store) (string, error) {
	if st.PasswordPath == "" {
		return st.Password, nil
	}
	data, err := readFile(st.PasswordPath, maxPassword)
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(data, "\r\n")), nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err // names the file
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: longer than %d bytes", name, limit)
	case len(data) == 0:
		return nil, fmt.Errorf("%s: %w: the file is empty", name, ErrFormat)
	}
	return data, nil
}

// DecodeKeys reads the private keys of a store in the given format.
func DecodeKeys(format string, data []byte, password string) ([]tls.Certificate, error) {
	switch format {
	case PEM:
		return one(pemKey(data, password))
	case PKCS12, JKS:
		if isJKS(data) {
			return jksKeys(data, password)
		}
		return one(pkcs12Key(data, password))
	}
	return nil, unsupported(format)
}

// DecodeTrust reads the trusted certificates of a store in the given format.
func DecodeTrust(format string, data []byte, password string) ([]*x509.Certificate, error) {
	switch format {
	case PEM:
		return pemTrust(data)
	case PKCS12, JKS:
		if isJKS(data) {
			return jksTrust(data, password)
		}
		return pkcs12Trust(data, password)
	}
	return nil, unsupported(format)
}

func unsupported(format string) error {
	if format == BCFKS {
		return fmt.Errorf("%w: the format BCFKS is not supported; convert it with keytool -importkeystore -deststoretype PKCS12", ErrFormat)
	}
	return fmt.Errorf("%w: unknown format %q", ErrFormat, format)
}

func one(cert tls.Certificate, err error) ([]tls.Certificate, error) {
	if err != nil {
		return nil, err
	}
	return []tls.Certificate{cert}, nil
}

// assemble joins a key with its certificate and those that lead from there towards a root, in the
// order in which they are sent. Certificates of others are left out.
func assemble(key crypto.PrivateKey, certs []*x509.Certificate) (tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("%w: keys of type %T cannot be used for TLS", ErrFormat, key)
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return tls.Certificate{}, fmt.Errorf("%w: keys of type %T cannot be used for TLS", ErrFormat, key)
	}
	var leaf *x509.Certificate
	for _, c := range certs {
		if public.Equal(c.PublicKey) {
			leaf = c
			break
		}
	}
	if leaf == nil {
		return tls.Certificate{}, fmt.Errorf("%w: it has a private key, and no certificate of that key among %d", ErrContent, len(certs))
	}
	out := tls.Certificate{PrivateKey: key, Leaf: leaf}
	for c := leaf; c != nil && len(out.Certificate) < maxChain; c = issuer(c, certs) {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// maxChain bounds the certificates that are sent.
const maxChain = 16

// issuer returns the certificate that signed c, nil if it is not there or c itself.
func issuer(c *x509.Certificate, certs []*x509.Certificate) *x509.Certificate {
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		return nil
	}
	for _, other := range certs {
		if bytes.Equal(c.RawIssuer, other.RawSubject) && c.CheckSignatureFrom(other) == nil {
			return other
		}
	}
	return nil
}
