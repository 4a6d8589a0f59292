package keystore

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// pkcs12Key reads the one private key of a store and its certificates.
func pkcs12Key(data []byte, password string) (tls.Certificate, error) {
	if err := checkPKCS12(data); err != nil {
		return tls.Certificate{}, err
	}
	key, first, more, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return tls.Certificate{}, pkcs12Error(err)
	}
	return assemble(key, append([]*x509.Certificate{first}, more...))
}

// pkcs12Trust reads the certificates that are marked as trusted, as keytool marks them, and like
// Java takes the certificate of a private key for trusted.
func pkcs12Trust(data []byte, password string) ([]*x509.Certificate, error) {
	if err := checkPKCS12(data); err != nil {
		return nil, err
	}
	certs, err := pkcs12.DecodeTrustStore(data, password)
	if err == nil && len(certs) == 0 {
		err = fmt.Errorf("%w: no certificate", ErrContent)
	}
	if err == nil || errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, ErrContent) {
		return certs, pkcs12Error(err)
	}
	key, first, more, keyErr := pkcs12.DecodeChain(data, password)
	if keyErr != nil {
		return nil, fmt.Errorf("%w; import certificates into a trust store with keytool -importcert, which marks them", pkcs12Error(err))
	}
	own, err := assemble(key, append([]*x509.Certificate{first}, more...))
	if err != nil {
		return nil, err
	}
	if len(own.Certificate) != 1+len(more) {
		return nil, fmt.Errorf("%w: certificates beside a private key and its own; keep them in a trust store of their own", ErrContent)
	}
	return []*x509.Certificate{own.Leaf}, nil
}

func pkcs12Error(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrContent):
		return err
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return ErrPassword
	}
	return fmt.Errorf("%w: %w", ErrFormat, err)
}

// derSequence begins a store, and whatever is nested in it.
const derSequence = 0x30

// maxDepth is more than PKCS12 nests.
const maxDepth = 32

// checkPKCS12 refuses what is no store, and a store that would take too long to read.
func checkPKCS12(data []byte) error {
	if len(data) == 0 || data[0] != derSequence {
		return fmt.Errorf("%w: neither PKCS12 nor JKS", ErrFormat)
	}
	return checkWork(data, 0)
}

// checkWork refuses structures that ask for more iterations of key derivation than are bearable. All
// that ask for some have their number behind the salt. depth is how deep they are nested in the store.
func checkWork(der []byte, depth int) error {
	var last int
	for len(der) > 0 && depth < maxDepth {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return nil // for the reader proper to say
		}
		inner := v.IsCompound
		switch {
		case v.Class != asn1.ClassUniversal:
		case v.Tag == asn1.TagOctetString && !v.IsCompound:
			inner = len(v.Bytes) > 0 && v.Bytes[0] == derSequence
		case v.Tag == asn1.TagInteger && last == asn1.TagOctetString:
			var n int
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || n < 1 || n > maxIterations {
				return fmt.Errorf("%w: too many iterations of key derivation", ErrFormat)
			}
		}
		if inner {
			if err := checkWork(v.Bytes, depth+1); err != nil {
				return err
			}
		}
		last, der = v.Tag, rest
	}
	return nil
}
