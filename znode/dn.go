package znode

import (
	"encoding/asn1"
	"encoding/hex"
	"strings"
)

// dnKeywords are the names of attributes that Java knows without being told.
const dnKeywords = " CN C L S ST O OU T IP STREET DC DNQUALIFIER DNQ SURNAME GIVENNAME INITIALS" +
	" GENERATION EMAIL EMAILADDRESS UID SERIALNUMBER "

// validDN reports whether text can be read as a distinguished name, by the grammar of Java's
// X500Principal: names of one or more attributes between commas or semicolons, attributes of
// one name between plus signs, each a known keyword or an OID, "=", and a value that is
// plain, quoted, or "#" and hexadecimal DER. The empty text is the empty name.
func validDN(text string) bool {
	if text == "" {
		return true
	}
	for more := true; more; {
		var name string
		name, text, more = cutDN(text, ",;")
		for inner := true; inner; {
			var attribute string
			attribute, name, inner = cutDN(name, "+")
			if !validAttribute(attribute) {
				return false
			}
		}
	}
	return true
}

// cutDN cuts text at the first separator that is neither escaped nor inside quotes.
func cutDN(text, separators string) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(separators, c) >= 0:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func validAttribute(text string) bool {
	keyword, value, found := strings.Cut(text, "=")
	if !found || !validKeyword(strings.ToUpper(strings.TrimSpace(keyword))) {
		return false
	}
	value = strings.TrimLeft(value, " \n")
	switch {
	case strings.HasPrefix(value, "#"):
		return validHex(value[1:])
	case strings.HasPrefix(value, `"`):
		rest, ok := skipDN(value[1:], `"`, "")
		return ok && rest != "" && strings.Trim(rest[1:], " \n") == ""
	}
	_, ok := skipDN(value, "", `,+<>;"`)
	return ok
}

func validKeyword(keyword string) bool {
	if keyword != "" && !strings.Contains(keyword, " ") && strings.Contains(dnKeywords, " "+keyword+" ") {
		return true
	}
	return validOID(strings.TrimPrefix(keyword, "OID."))
}

// validOID: at least two decimal numbers between dots, the first 0 to 2, the second below
// 40 unless the first is 2.
func validOID(text string) bool {
	first, rest, found := strings.Cut(text, ".")
	if !found || len(first) != 1 || first[0] < '0' || first[0] > '2' {
		return false
	}
	second, _, _ := strings.Cut(rest, ".")
	if n, ok := parseDecimal(second, 39); first[0] != '2' && (!ok || n > 39) {
		return false
	}
	for more := true; more; {
		var number string
		number, rest, more = strings.Cut(rest, ".")
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return false
		}
	}
	return true
}

// skipDN reads a value up to one of the end characters, where rest begins, or to the end of
// the text. It fails at a forbidden character that is not escaped, and at a backslash before
// what needs none.
func skipDN(text, end, forbidden string) (rest string, ok bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case strings.IndexByte(end, c) >= 0:
			return text[i:], true
		case strings.IndexByte(forbidden, c) >= 0:
			return "", false
		case c != '\\':
			continue
		}
		i++
		switch {
		case i == len(text):
			return "", false
		case strings.IndexByte(",=\n+<>#;\\\" ", text[i]) >= 0:
		case i+1 < len(text) && isHex(text[i]) && isHex(text[i+1]):
			i++
		default:
			return "", false
		}
	}
	return "", true
}

func isHex(c byte) bool {
	_, ok := hexDigit(c)
	return ok
}

// validHex: hexadecimal digits of one DER value.
func validHex(text string) bool {
	der, err := hex.DecodeString(strings.TrimRight(text, " \n"))
	if err != nil {
		return false
	}
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	return err == nil && len(rest) == 0
}
