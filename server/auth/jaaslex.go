package auth

import (
	"strings"
	"unicode/utf8"
)

// Kinds of token beside the punctuation marks, which stand for themselves.
const (
	jaasEnd  rune = -1
	jaasWord rune = -2 // a word or a quoted text
)

type jaasToken struct {
	kind rune
	text string
	line int
}

// jaasLexer cuts a JAAS file into tokens.
type jaasLexer struct {
	file string
	rest string
	line int
}

func (l *jaasLexer) fail(text string) error {
	return &JAASError{File: l.file, Line: l.line, Text: text}
}

// token returns the next token. The line of a text is where it begins.
func (l *jaasLexer) token() (jaasToken, error) {
	if err := l.skip(); err != nil {
		return jaasToken{}, err
	}
	tok := jaasToken{kind: jaasEnd, line: l.line}
	if l.rest == "" {
		return tok, nil
	}
	c, size := utf8.DecodeRuneInString(l.rest)
	switch {
	case c == '"':
		text, err := l.quoted()
		tok.kind, tok.text = jaasWord, text
		return tok, err
	case c >= '0' && c <= '9' || c == '.' || c == '-':
		return tok, l.fail("a text that begins with a digit, a dot or a minus must be in double quotes")
	case isJAASLetter(c):
		end := strings.IndexFunc(l.rest, func(c rune) bool { return !isJAASLetter(c) && !isJAASNumber(c) })
		if end < 0 {
			end = len(l.rest)
		}
		tok.kind, tok.text, l.rest = jaasWord, l.rest[:end], l.rest[end:]
		return tok, nil
	}
	tok.kind, l.rest = c, l.rest[size:]
	return tok, nil
}

// isJAASLetter reports whether a word may begin with c.
func isJAASLetter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0xa0 || c == '$' || c == '_' || c == '*'
}

// isJAASNumber reports whether a word may go on with c, beside letters.
func isJAASNumber(c rune) bool { return c >= '0' && c <= '9' || c == '.' || c == '-' }

// skip drops white space and comments.
func (l *jaasLexer) skip() error {
	for l.rest != "" {
		switch c := l.rest[0]; {
		case c <= ' ':
			if c == '\n' || c == '\r' && !strings.HasPrefix(l.rest, "\r\n") {
				l.line++
			}
			l.rest = l.rest[1:]
		case strings.HasPrefix(l.rest, "/*"):
			comment, rest, closed := strings.Cut(l.rest[2:], "*/")
			if !closed {
				return l.fail("a comment without an end")
			}
			l.line += strings.Count(comment, "\n")
			l.rest = rest
		case c == '/':
			end := strings.IndexAny(l.rest, "\r\n")
			if end < 0 {
				end = len(l.rest)
			}
			l.rest = l.rest[end:]
		default:
			return nil
		}
	}
	return nil
}

// escapes are the letters behind a backslash that stand for something else.
var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// quoted takes a text in double quotes.
func (l *jaasLexer) quoted() (string, error) {
	var b strings.Builder
	for i := 1; i < len(l.rest); i++ {
		switch c := l.rest[i]; c {
		case '"':
			l.rest = l.rest[i+1:]
			return b.String(), nil
		case '\n', '\r':
			return "", l.fail("a quote without an end")
		case '\\':
			i++
			if i == len(l.rest) {
				return "", l.fail("a quote without an end")
			}
			i += escaped(&b, l.rest[i:])
		default:
			b.WriteByte(c)
		}
	}
	return "", l.fail("a quote without an end")
}

// escaped writes what stands for the text behind a backslash, and returns how many bytes behind
// the first belong to it: up to three octal digits are a character, at most \377.
func escaped(b *strings.Builder, s string) (more int) {
	c := s[0]
	if c < '0' || c > '7' {
		if e, ok := escapes[c]; ok {
			c = e
		}
		b.WriteByte(c)
		return 0
	}
	limit := 2
	if c > '3' {
		limit = 1
	}
	v := rune(c - '0')
	for more < limit && more+1 < len(s) && s[more+1] >= '0' && s[more+1] <= '7' {
		more++
		v = v<<3 + rune(s[more]-'0')
	}
	b.WriteRune(v)
	return more
}
