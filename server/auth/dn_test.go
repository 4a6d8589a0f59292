package auth_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zabkeeper/zabkeeper/server/auth"
)

// javaNames are DER names and what Java writes for them; see testdata/Names.java.
//
//go:embed testdata/names.txt
var javaNames string

// The first names are those of certificates made by openssl and keytool, the others are random.
func TestDistinguishedNameIsWhatJavaWrites(t *testing.T) {
	lines := bufio.NewScanner(strings.NewReader(javaNames))
	n := 0
	for ; lines.Scan(); n++ {
		in, out, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			t.Fatalf("line %d is none of the corpus: %s", n+1, lines.Text())
		}
		der, want := unhex(t, in), string(unhex(t, out))
		got, err := auth.DistinguishedName(&x509.Certificate{RawSubject: der})
		if err != nil || got != want {
			t.Errorf("line %d: %x\n got %q, %v\nwant %q", n+1, der, got, err, want)
		}
	}
	if n < 400 {
		t.Fatalf("only %d names in the corpus", n)
	}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestDistinguishedNameRefuses(t *testing.T) {
	long := append([]byte{0x30, 0x82, 0x40, 0x00}, make([]byte, 0x4000)...)
	for name, der := range map[string][]byte{
		"nothing":          {},
		"no sequence":      {0x31, 0x00},
		"bytes behind":     {0x30, 0x00, 0x00},
		"cut":              {0x30, 0x05, 0x31},
		"attribute alone":  unhex(t, "3009300706035504030c00"),
		"longer than ever": long,
	} {
		if got, err := auth.DistinguishedName(&x509.Certificate{RawSubject: der}); !errors.Is(err, auth.ErrName) {
			t.Errorf("%s: got %q, %v, want ErrName", name, got, err)
		}
	}
}

func FuzzDistinguishedName(f *testing.F) {
	lines := bufio.NewScanner(strings.NewReader(javaNames))
	for i := 0; lines.Scan() && i < 40; i++ {
		in, _, _ := strings.Cut(lines.Text(), "\t")
		f.Add(unhex(f, in))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		before := bytes.Clone(der)
		name, err := auth.DistinguishedName(&x509.Certificate{RawSubject: der})
		if !bytes.Equal(der, before) {
			t.Fatal("the certificate was changed")
		}
		if err == nil && !utf8.ValidString(name) {
			t.Fatalf("%x: %q is no valid text", der, name)
		}
	})
}
