package auth

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrName is matched by the error for a subject that is no well-formed name.
var ErrName = errors.New("auth: malformed distinguished name")

// DistinguishedName returns the certificate's subject exactly as Java writes it in RFC 2253
// form: that text is the identity of scheme x509, and one character of difference would lock
// its owner out of existing ACLs (spec operations 6.1).
func DistinguishedName(cert *x509.Certificate) (string, error) {
	return nameText(cert.RawSubject)
}

// nameKeywords are the attributes that RFC 2253 gives a name; all others are written as numbers.
var nameKeywords = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "STREET",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
}

// attribute is one AttributeTypeAndValue.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// attributesSET is one RelativeDistinguishedName, in the order of its encoding; encoding/asn1 tells a
// SET by the end of the name.
type attributesSET []attribute

// maxName bounds the DER form of a name: its text travels with every request of its owner.
const maxName = 8 << 10

// nameText writes the DER form of a name: the last relative name first, the parts of one
// joined by plus signs in the order in which they are encoded.
func nameText(der []byte) (string, error) {
	if len(der) > maxName {
		return "", fmt.Errorf("%w: %d bytes", ErrName, len(der))
	}
	var rdns []attributesSET
	rest, err := asn1.Unmarshal(der, &rdns)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrName, err)
	}
	if len(rest) > 0 {
		return "", fmt.Errorf("%w: %d bytes behind it", ErrName, len(rest))
	}
	var b strings.Builder
	for i := len(rdns) - 1; i >= 0; i-- {
		for j, a := range rdns[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			writeAttribute(&b, a)
		}
		if i > 0 {
			b.WriteByte(',')
		}
	}
	return b.String(), nil
}

// writeAttribute writes a value as text if both its type has a keyword and its encoding is one
// of the string types that Java reads, and else as the hex digits of its DER form.
func writeAttribute(b *strings.Builder, a attribute) {
	id := a.Type.String()
	keyword, known := nameKeywords[id]
	text, isText := attributeText(a.Value)
	if !known {
		keyword = id
	}
	b.WriteString(keyword)
	b.WriteByte('=')
	if !known || !isText {
		b.WriteByte('#')
		b.WriteString(hex.EncodeToString(a.Value.FullBytes))
		return
	}
	writeEscaped(b, text)
}

// attributeText returns the characters of a string value. Java takes the bytes of all these types
// for UTF-8, which for BMPString and TeletexString is wrong and part of the identity.
func attributeText(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String,
		asn1.TagGeneralString, asn1.TagBMPString:
		return decodeUTF8(v.Bytes), true
	}
	return "", false
}

// writeEscaped escapes what RFC 2253 asks for, and like Java '=' and every '#' besides, and
// spaces and carriage returns at both ends.
func writeEscaped(b *strings.Builder, s string) {
	const blank = " \r"
	lead := len(s) - len(strings.TrimLeft(s, blank))
	trail := len(strings.TrimRight(s, blank))
	for i, r := range s {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`,=+<>#;"\`, r), i < lead, i >= trail:
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
}

// decodeUTF8 decodes bytes as Java does: every longest beginning of a character that is not
// completed becomes one U+FFFD, and so does an encoded surrogate as a whole.
func decodeUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		if r, size := utf8.DecodeRune(b); r != utf8.RuneError || size > 1 {
			out.WriteRune(r)
			b = b[size:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		b = b[malformedLen(b):]
	}
	return out.String()
}

// malformedLen returns how many bytes of b, which begins no character, one U+FFFD stands for.
func malformedLen(b []byte) int {
	want, low, high := 1, byte(0x80), byte(0xbf) // of the second byte
	switch lead := b[0]; {
	case 0xc2 <= lead && lead <= 0xdf:
		want = 2
	case lead&0xf0 == 0xe0:
		want = 3
		if lead == 0xe0 {
			low = 0xa0
		}
	case 0xf0 <= lead && lead <= 0xf4:
		want = 4
		switch lead {
		case 0xf0:
			low = 0x90
		case 0xf4:
			high = 0x8f
		}
	}
	n := 1
	for n < min(want, len(b)) && low <= b[n] && b[n] <= high {
		n, low, high = n+1, 0x80, 0xbf
	}
	return n
}
