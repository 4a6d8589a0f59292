package keystore

import (
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// A JKS file, all numbers big-endian:
//
//	4  magic 0xfeedfeed      4  version 1 or 2      4  number of entries
//	entries: 4 tag, 2+n alias, 8 time in ms, and
//	    tag 1: 4+n protected key, 4 number of certificates, certificates
//	    tag 2: certificate
//	certificate: (version 2 only) 2+n type, 4+n DER
//	20  SHA-1 of: password in UTF-16, "Mighty Aphrodite", everything before
const (
	jksMagic   = 0xfeedfeed
	jceksMagic = 0xcececece
	jksKey     = 1
	jksCert    = 2
	jksSalt    = "Mighty Aphrodite"
	jksSaltLen = 20
)

// oidKeyProtector marks keys that are protected by the scheme of JKS.
const oidKeyProtector = "1.3.6.1.4.1.42.2.17.1.1"

// isJKS reports whether a store begins like one of Java's own formats.
func isJKS(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	magic := binary.BigEndian.Uint32(data)
	return magic == jksMagic || magic == jceksMagic
}

// jksEntry is a key with its certificates or, without a key, one trusted certificate.
type jksEntry struct {
	key   []byte // protected; nil: none
	certs []*x509.Certificate
}

func jksKeys(data []byte, password string) ([]tls.Certificate, error) {
	entries, err := readJKS(data, password)
	if err != nil {
		return nil, err
	}
	var out []tls.Certificate
	for _, e := range entries {
		if e.key == nil {
			continue
		}
		plain, err := unprotect(e.key, password)
		if err != nil {
			return nil, err
		}
		key, err := x509.ParsePKCS8PrivateKey(plain)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		cert, err := assemble(key, e.certs)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no private key", ErrContent)
	}
	return out, nil
}

// jksTrust returns the trusted certificates and, like Java, those of private keys.
func jksTrust(data []byte, password string) ([]*x509.Certificate, error) {
	entries, err := readJKS(data, password)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, e := range entries {
		if len(e.certs) > 0 {
			out = append(out, e.certs[0])
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no certificate", ErrContent)
	}
	return out, nil
}

// readJKS checks the password and reads the entries.
func readJKS(data []byte, password string) ([]jksEntry, error) {
	r := jksReader{rest: data}
	magic, version, n := r.uint32(), r.uint32(), r.uint32()
	switch {
	case magic == jceksMagic:
		return nil, fmt.Errorf("%w: the format JCEKS is not supported; convert it with keytool -importkeystore -deststoretype PKCS12", ErrFormat)
	case r.bad || magic != jksMagic || version < 1 || version > 2 || n > maxEntries || len(r.rest) < sha1.Size:
		return nil, fmt.Errorf("%w: damaged head of a JKS file", ErrFormat)
	}
	body, sum := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	h := sha1.New()
	h.Write(javaPassword(password))
	h.Write([]byte(jksSalt))
	h.Write(body)
	if subtle.ConstantTimeCompare(h.Sum(nil), sum) != 1 {
		return nil, ErrPassword
	}
	r.rest = r.rest[:len(r.rest)-sha1.Size]
	var entries []jksEntry
	for i := range n {
		e, err := r.entry(version)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// jksReader cuts a file into its parts. After bad is set it returns nothing more.
type jksReader struct {
	rest []byte
	bad  bool
}

func (r *jksReader) bytes(n uint32) []byte {
	if r.bad || uint64(n) > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *jksReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// text skips a string.
func (r *jksReader) text() {
	if b := r.bytes(2); b != nil {
		r.bytes(uint32(binary.BigEndian.Uint16(b)))
	}
}

func (r *jksReader) entry(version uint32) (e jksEntry, err error) {
	tag := r.uint32()
	r.text()
	r.bytes(8)
	n := uint32(1)
	switch tag {
	case jksKey:
		e.key = r.bytes(r.uint32())
		n = r.uint32()
	case jksCert:
	default:
		return e, fmt.Errorf("%w: entry of type %d", ErrFormat, tag)
	}
	for range min(n, maxEntries) {
		if version > 1 {
			r.text()
		}
		der := r.bytes(r.uint32())
		if r.bad {
			break
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return e, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		e.certs = append(e.certs, c)
	}
	if r.bad {
		return e, fmt.Errorf("%w: it ends too early", ErrFormat)
	}
	return e, nil
}

// unprotect recovers a key: it is masked by a chain of SHA-1 sums that begins with password and salt,
// and followed by the sum of password and key.
func unprotect(der []byte, password string) ([]byte, error) {
	var info encryptedKey
	if err := unmarshal(der, &info); err != nil {
		return nil, err
	}
	if id := info.Algorithm.Algorithm.String(); id != oidKeyProtector || len(info.Data) < jksSaltLen+sha1.Size {
		return nil, fmt.Errorf("%w: private key of a kind that is not supported", ErrFormat)
	}
	secret := javaPassword(password)
	mask, masked := info.Data[:jksSaltLen], info.Data[jksSaltLen:len(info.Data)-sha1.Size]
	plain := make([]byte, len(masked))
	for i := 0; i < len(plain); i += sha1.Size {
		sum := sha1.Sum(append(secret[:len(secret):len(secret)], mask...))
		mask = sum[:]
		subtle.XORBytes(plain[i:], masked[i:], mask)
	}
	sum := sha1.Sum(append(secret[:len(secret):len(secret)], plain...))
	if subtle.ConstantTimeCompare(sum[:], info.Data[len(info.Data)-sha1.Size:]) != 1 {
		return nil, ErrPassword
	}
	return plain, nil
}

// javaPassword is a password in UTF-16, as Java hashes it.
func javaPassword(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}
