package auth

import (
	"errors"
	"strings"
)

// directives are the fields of a DIGEST-MD5 message by name, those that the mechanism knows.
type directives map[string]string

// known lists the directives of a response; others are skipped.
func known(name string) bool {
	switch name {
	case "username", "realm", "nonce", "cnonce", "nc", "qop", "digest-uri", "response", "maxbuf", "charset", "authzid":
		return true
	}
	return false
}

// What is wrong with a message that cannot be read.
var (
	errTwice    = errors.New("a directive is there twice")
	errNoName   = errors.New("a value without a name")
	errNoValue  = errors.New("a name without a value")
	errUnquoted = errors.New("a quote without an end")
	errBehind   = errors.New("text behind a quoted value")
)

// parseDirectives reads `name=value,name="value"`. Names are in any case. White space may be
// around names, values and commas, and stand in place of a comma; elements may be empty; a
// backslash in quotes takes the next byte as it is [RFC 2831 7.1, as Java reads it].
func parseDirectives(token []byte) (directives, error) {
	d := make(directives, 12)
	s := string(token)
	for {
		if s = strings.TrimLeft(s, space+","); s == "" {
			return d, nil
		}
		var name, value string
		var err error
		if name, s, err = cutName(s); err != nil {
			return nil, err
		}
		if value, s, err = cutValue(s); err != nil {
			return nil, err
		}
		if name = strings.ToLower(name); !known(name) {
			continue
		}
		if _, ok := d[name]; ok {
			return nil, errTwice
		}
		d[name] = value
	}
}

const space = " \t\r\n"

// cutName takes a name and the equals sign behind it.
func cutName(s string) (name, rest string, err error) {
	end := strings.IndexAny(s, space+",=")
	if end < 0 {
		return "", "", errNoValue
	}
	name, rest = s[:end], strings.TrimLeft(s[end:], space)
	switch {
	case rest == "" || rest[0] != '=':
		return "", "", errNoValue
	case name == "":
		return "", "", errNoName
	}
	return name, strings.TrimLeft(rest[1:], space), nil
}

// cutValue takes a value, quoted or not.
func cutValue(s string) (value, rest string, err error) {
	if s == "" {
		return "", "", errNoValue
	}
	if s[0] != '"' {
		if end := strings.IndexAny(s, space+","); end >= 0 {
			return s[:end], s[end:], nil
		}
		return s, "", nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			if rest = s[i+1:]; rest != "" && !strings.ContainsRune(space+",", rune(rest[0])) {
				return "", "", errBehind
			}
			return b.String(), rest, nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errUnquoted
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errUnquoted
}
