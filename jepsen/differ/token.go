package differ

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// tokenize cuts a line into words, quoted strings among them.
func tokenize(line string) ([]string, error) {
	var tokens []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return tokens, nil
		}
		n := strings.IndexAny(line, " \t")
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("bad string at %q", line)
			}
			n = len(quoted)
			if rest := line[n:]; rest != "" && rest[0] == '*' { // "x"*100
				n += len(rest) - len(strings.TrimLeft(rest, "*0123456789"))
			}
		}
		if n < 0 {
			n = len(line)
		}
		tokens = append(tokens, line[:n])
		line = line[n:]
	}
}

// parser takes tokens. After the first error it gives empty values.
type parser struct {
	tokens []string
	err    error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// peek returns the next token, "" at the end.
func (p *parser) peek() string {
	if len(p.tokens) == 0 || p.err != nil {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) next() string {
	w := p.peek()
	if w != "" {
		p.tokens = p.tokens[1:]
	}
	return w
}

func (p *parser) int(bits int) int64 {
	w := p.next()
	n, err := strconv.ParseInt(w, 10, bits)
	if err != nil {
		p.fail("%q is no number of %d bits", w, bits)
	}
	return n
}

func (p *parser) login() *Login {
	l := &Login{Part: Part(p.next())}
	switch l.Part {
	case LoginBegin:
	case LoginFull, LoginBare, LoginTwice:
		l.User, l.Password = p.string(), p.string()
		l.Changes = p.arg(kStrs).List
	default:
		p.fail("no login %q", l.Part)
	}
	return l
}

// maxAt bounds the numbers of servers.
const maxAt = 9

// at reads which server is meant; it is the first one when nothing says so.
func (p *parser) at() int {
	if p.peek() != "at" {
		return 0
	}
	p.next()
	n := p.int(32)
	if n < 0 || n > maxAt {
		p.fail("no server %d", n)
		return 0
	}
	return int(n)
}

func (p *parser) hex() []byte {
	w := p.next()
	b, err := hex.DecodeString(strings.TrimPrefix(w, "x"))
	if err != nil || !strings.HasPrefix(w, "x") {
		p.fail("%q is no x with hexadecimal behind it", w)
	}
	return b
}

// maxRun bounds what a run of one byte in a script may stand for.
const maxRun = 4 << 20

func (p *parser) string() string {
	w := p.next()
	quoted, count, run := w, "", false
	if i := strings.LastIndex(w, "\"*"); i > 0 {
		quoted, count, run = w[:i+1], w[i+2:], true
	}
	s, err := strconv.Unquote(quoted)
	if err != nil || !strings.HasPrefix(w, `"`) {
		p.fail("%q is no string", w)
		return ""
	}
	if run {
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || n > maxRun || len(s) > 1 {
			p.fail("%q is no run of one byte", w)
			return ""
		}
		s = strings.Repeat(s, n)
	}
	return s
}

func (p *parser) open() {
	if w := p.next(); w != "[" {
		p.fail("%q where a list should begin", w)
	}
}

// closed takes the end of a list, if it is next.
func (p *parser) closed() bool {
	switch p.peek() {
	case "]":
		p.next()
		return true
	case "":
		p.fail("a list without an end")
		return true
	}
	return false
}
