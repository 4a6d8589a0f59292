package keystore_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/server/keystore"
)

const password = "changeit"

func fixture(name string) string { return filepath.Join("testdata", name) }

func load(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(fixture(name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// subjects names the certificates that are sent with a key.
func subjects(t *testing.T, certs []tls.Certificate) string {
	t.Helper()
	var out []string
	for i := range certs {
		if err := certs[i].Leaf.VerifyHostname("localhost"); err != nil && certs[i].Leaf.Subject.CommonName == "server" {
			t.Error(err)
		}
		out = append(out, certs[i].Leaf.Subject.CommonName, strings.Repeat("+", len(certs[i].Certificate)-1))
	}
	return strings.Join(out, "")
}

func TestReadKeys(t *testing.T) {
	for name, want := range map[string]string{
		"pkcs8.pem": "server++", "sec1.pem": "server++", "pkcs1.pem": "rsa+", "anyorder.pem": "server++",
		"aes256.pem": "server++", "aes128sha1.pem": "server++", "des3sha512.pem": "server++",
		"openssl.p12": "server++", "legacy.p12": "server++", "keytool.p12": "server++",
		"keytool.jks": "server++", "renamed.jks": "server++", "mixed.jks": "server++",
	} {
		certs, err := keystore.ReadKeys(conf.Store{Location: fixture(name), Password: password})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := subjects(t, certs); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	certs, err := keystore.ReadKeys(conf.Store{Location: fixture("twokeys.jks"), Password: password})
	if err != nil || len(certs) != 2 {
		t.Errorf("twokeys.jks: %d keys, %v", len(certs), err)
	}
}

func TestReadTrust(t *testing.T) {
	for name, want := range map[string]string{
		"trust.pem": "Root other", "trust.p12": "Root other", "trust.jks": "Root other", "pkcs8.pem": "server Intermediate Root",
		// Java trusts the certificate of a key, too, and not its issuers.
		"keytool.jks": "server", "keytool.p12": "server", "mixed.jks": "Root other server",
	} {
		certs, err := keystore.ReadTrust(conf.Store{Location: fixture(name), Password: password})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := map[string]bool{}
		for _, c := range certs {
			got[c.Subject.CommonName] = true
		}
		for cn := range strings.FieldsSeq(want) {
			if !got[cn] || len(got) != len(strings.Fields(want)) {
				t.Errorf("%s: got %v, want %s", name, got, want)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := func(st conf.Store) error { _, err := keystore.ReadKeys(st); return err }
	trust := func(st conf.Store) error { _, err := keystore.ReadTrust(st); return err }
	cut := func(name string) string { return file(name, load(t, name)[:len(load(t, name))/2]) }
	for _, c := range []struct {
		read     func(conf.Store) error
		location string
		kind     string // type
		password string
		want     error
		says     string
	}{
		{keys, fixture("aes256.pem"), "", "hush-hush", keystore.ErrPassword, ""},
		{keys, fixture("openssl.p12"), "", "hush-hush", keystore.ErrPassword, ""},
		{keys, fixture("keytool.p12"), "", "", keystore.ErrPassword, "no password is set"},
		{keys, fixture("keytool.jks"), "", "hush-hush", keystore.ErrPassword, ""},
		{trust, fixture("trust.p12"), "", "hush-hush", keystore.ErrPassword, ""},
		{trust, fixture("trust.jks"), "", "", keystore.ErrPassword, "no password is set"},

		{keys, fixture("nokey.pem"), "", password, keystore.ErrContent, "no private key"},
		{keys, fixture("otherkey.pem"), "", password, keystore.ErrContent, "no certificate of that key"},
		{keys, fixture("twokeys.pem"), "", password, keystore.ErrContent, "more than one private key"},
		{keys, fixture("trust.jks"), "", password, keystore.ErrContent, "no private key"},
		{keys, fixture("trust.p12"), "", password, keystore.ErrFormat, "private key missing"},
		{trust, fixture("unmarked.p12"), "", password, keystore.ErrFormat, "keytool -importcert"},
		{trust, file("key.pem", []byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n")), "", "", keystore.ErrContent, "no certificate"},

		{keys, fixture("scrypt.pem"), "", password, keystore.ErrFormat, "key derivation"},
		{keys, fixture("pbes1.pem"), "", password, keystore.ErrFormat, "openssl pkcs8 -topk8"},
		{keys, fixture("dekinfo.pem"), "", password, keystore.ErrFormat, "openssl pkcs8 -topk8"},
		{keys, fixture("keytool.jceks"), keystore.JKS, password, keystore.ErrFormat, "JCEKS"},
		{keys, fixture("keytool.jks"), keystore.BCFKS, password, keystore.ErrFormat, "keytool -importkeystore"},
		{keys, file("store.bcfks", []byte("x")), "", password, keystore.ErrFormat, "keytool -importkeystore"},
		{keys, file("store.zip", []byte("x")), "", password, keystore.ErrFormat, "no type is set"},
		{keys, fixture("openssl.p12"), keystore.PEM, password, keystore.ErrFormat, "no PEM block"},
		{keys, fixture("pkcs8.pem"), keystore.PKCS12, password, keystore.ErrFormat, ""},

		{keys, file("words.jks", []byte("words")), "", password, keystore.ErrFormat, "neither PKCS12 nor JKS"},
		{keys, cut("pkcs8.pem"), "", password, keystore.ErrFormat, "damaged"},
		{keys, cut("openssl.p12"), "", password, keystore.ErrFormat, ""},
		{keys, cut("keytool.jks"), "", password, keystore.ErrPassword, ""},
		{keys, file("empty.pem", nil), "", password, keystore.ErrFormat, "empty"},
		{keys, file("empty.jks", nil), "", password, keystore.ErrFormat, "empty"},
		{trust, file("long.pem", bytes.Repeat([]byte("x"), 2<<20)), "", "", nil, "longer than"},
		{keys, filepath.Join(dir, "missing.pem"), "", "", os.ErrNotExist, ""},
		{keys, dir, keystore.PEM, "", nil, "not a regular file"},
	} {
		err := c.read(conf.Store{Location: c.location, Type: c.kind, Password: c.password})
		switch {
		case err == nil:
			t.Errorf("%s: taken", c.location)
		case c.want != nil && !errors.Is(err, c.want), !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: got %v, want %v with %q", c.location, err, c.want, c.says)
		case !strings.Contains(err.Error(), c.location):
			t.Errorf("%s: the error does not name the file: %v", c.location, err)
		case c.password != "" && strings.Contains(err.Error(), c.password):
			t.Errorf("%s: the error shows the password: %v", c.location, err)
		}
	}
}

func TestPasswordFileWinsAndLosesItsLineEnd(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	st := conf.Store{Location: fixture("keytool.jks"), Password: "wrong", PasswordPath: path}
	if _, err := keystore.ReadKeys(st); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a password file that is not there: %v", err)
	}
	for _, text := range []string{"changeit", "changeit\n", "changeit\r\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keystore.ReadKeys(st); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A store must not make the server work for hours before it is refused.
func TestIterationsAreBounded(t *testing.T) {
	// PKCS12: MacData ends with INTEGER 2048; make it 2^31-1, which takes half an hour.
	data := load(t, "openssl.p12")
	if !bytes.HasSuffix(data, []byte{2, 2, 8, 0}) {
		t.Fatal("the fixture does not end with its number of iterations")
	}
	data = append(data[:len(data)-4:len(data)-4], 2, 4, 0x7f, 0xff, 0xff, 0xff)
	grow := func(at int) { // a two-byte length
		n := int(data[at])<<8 + int(data[at+1]) + 2
		data[at], data[at+1] = byte(n>>8), byte(n)
	}
	grow(2)
	mac := bytes.LastIndex(data[:len(data)-60], []byte{0x30, 0x41})
	if mac < 0 {
		t.Fatal("no MacData in the fixture")
	}
	data[mac+1] += 2
	if _, err := keystore.DecodeKeys(keystore.PKCS12, data, password); err == nil || !strings.Contains(err.Error(), "too many iterations") {
		t.Errorf("got %v, want a word of too many iterations", err)
	}
}

func FuzzDecode(f *testing.F) {
	formats := []string{keystore.PEM, keystore.PKCS12, keystore.JKS, keystore.BCFKS}
	files, err := filepath.Glob(fixture("*.*"))
	if err != nil || len(files) < 20 {
		f.Fatal("no corpus", err)
	}
	for _, file := range files {
		for i := range formats {
			f.Add(uint8(i), load(f, filepath.Base(file)))
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		name := formats[int(format)%len(formats)]
		if certs, err := keystore.DecodeKeys(name, data, password); err == nil {
			for _, c := range certs {
				if c.Leaf == nil || c.PrivateKey == nil || len(c.Certificate) == 0 {
					t.Fatalf("an incomplete certificate: %+v", c)
				}
			}
		}
		if certs, err := keystore.DecodeTrust(name, data, password); err == nil && len(certs) == 0 {
			t.Fatal("an empty trust store was taken")
		}
	})
}
