package keystore

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// maxEntries bounds the keys and certificates of one store.
const maxEntries = 10_000

// pemKey reads a private key and its certificates, in any order.
func pemKey(data []byte, password string) (tls.Certificate, error) {
	var key crypto.PrivateKey
	var certs []*x509.Certificate
	err := pemBlocks(data, func(b *pem.Block) error {
		if isCertificate(b) {
			c, err := x509.ParseCertificate(b.Bytes)
			certs = append(certs, c)
			return err
		}
		k, err := pemPrivateKey(b, password)
		if err != nil || k == nil {
			return err
		}
		if key != nil {
			return fmt.Errorf("%w: more than one private key", ErrContent)
		}
		key = k
		return nil
	})
	switch {
	case err != nil:
		return tls.Certificate{}, err
	case key == nil:
		return tls.Certificate{}, fmt.Errorf("%w: no private key", ErrContent)
	}
	return assemble(key, certs)
}

// pemTrust reads all certificates.
func pemTrust(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	err := pemBlocks(data, func(b *pem.Block) error {
		if !isCertificate(b) {
			return nil
		}
		c, err := x509.ParseCertificate(b.Bytes)
		certs = append(certs, c)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(certs) == 0:
		return nil, fmt.Errorf("%w: no certificate", ErrContent)
	}
	return certs, nil
}

// pemBlocks calls do for every block, at least one. A block that is damaged or cut off is an
// error: without it a chain or a trust store would silently be another one.
func pemBlocks(data []byte, do func(*pem.Block) error) error {
	begun := bytes.Count(append([]byte("\n"), data...), []byte("\n-----BEGIN "))
	n := 0
	for ; n < maxEntries; n++ {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if err := do(b); err != nil {
			return fmt.Errorf("block %d (%s): %w", n+1, b.Type, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("%w: no PEM block", ErrFormat)
	}
	if n != begun {
		return fmt.Errorf("%w: %d of %d PEM blocks are damaged", ErrFormat, begun-n, begun)
	}
	return nil
}

func isCertificate(b *pem.Block) bool {
	return b.Type == "CERTIFICATE" || b.Type == "X509 CERTIFICATE"
}

// pemPrivateKey reads a private key, nil for a block that is none.
func pemPrivateKey(b *pem.Block, password string) (crypto.PrivateKey, error) {
	if b.Headers["DEK-Info"] != "" {
		return nil, fmt.Errorf("%w: the old encryption of PEM is not supported; convert the key with openssl pkcs8 -topk8", ErrFormat)
	}
	switch b.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return decryptPKCS8(b.Bytes, password)
	}
	return nil, nil
}
