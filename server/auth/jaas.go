package auth

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// JAASSection is one section of a JAAS file: a name and a list of login modules.
//
//	Server {
//	    org.apache.zookeeper.server.auth.DigestLoginModule required
//	    user_super="adminsecret"
//	    user_bob="bobsecret";
//	};
type JAASSection struct {
	Name    string
	Line    int
	Modules []LoginModule
}

// LoginModule is one entry of a section.
type LoginModule struct {
	Class   string
	Flag    string // required, requisite, sufficient or optional
	Line    int
	Options []LoginOption // in the order of the file
}

// LoginOption is a name and a value; the value of some is a password.
type LoginOption struct {
	Name, Value string
	Line        int
}

// JAASError says what is wrong with a JAAS file and where. It never contains a value.
type JAASError struct {
	File string
	Line int // from 1
	Text string
}

func (e *JAASError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// ParseJAAS reads a JAAS file by Java's rules: comments /* */ and from // or a lone slash to the
// end of the line; words of letters, digits and $_-*. that do not begin like a number; texts
// in double quotes with the escapes of Java and C; ${name} in values, which property resolves.
// Unlike Java it wants quotes to end where they began. The error is a *JAASError.
func ParseJAAS(file string, text []byte, property func(name string) (value string, ok bool)) ([]JAASSection, error) {
	p := jaasParser{lex: jaasLexer{rest: string(text), line: 1, file: file}, property: property}
	if !utf8.Valid(text) {
		return nil, p.lex.fail("the file is not in UTF-8")
	}
	sections, err := p.file()
	if err != nil {
		return nil, err
	}
	return sections, nil
}

// jaasParser has one token in hand.
type jaasParser struct {
	lex      jaasLexer
	tok      jaasToken
	property func(name string) (value string, ok bool)
}

func (p *jaasParser) next() (err error) {
	p.tok, err = p.lex.token()
	return err
}

func (p *jaasParser) file() ([]JAASSection, error) {
	var sections []JAASSection
	names := map[string]bool{}
	if err := p.next(); err != nil {
		return nil, err
	}
	for p.tok.kind != jaasEnd {
		s, err := p.section()
		if err != nil {
			return nil, err
		}
		if names[s.Name] {
			return nil, p.failAt(s.Line, "the section "+printable(s.Name)+" is there twice")
		}
		names[s.Name] = true
		sections = append(sections, s)
	}
	return sections, nil
}

func (p *jaasParser) section() (s JAASSection, err error) {
	s.Line = p.tok.line
	if s.Name, err = p.text("the name of a section"); err != nil {
		return s, err
	}
	if err := p.mark('{'); err != nil {
		return s, err
	}
	for p.tok.kind != '}' {
		m, err := p.module()
		if err != nil {
			return s, err
		}
		s.Modules = append(s.Modules, m)
	}
	if err := p.next(); err != nil {
		return s, err
	}
	return s, p.mark(';')
}

func (p *jaasParser) module() (m LoginModule, err error) {
	m.Line = p.tok.line
	if m.Class, err = p.text("the class of a login module"); err != nil {
		return m, err
	}
	line := p.tok.line
	if m.Flag, err = p.text("a control flag"); err != nil {
		return m, err
	}
	switch m.Flag = strings.ToLower(m.Flag); m.Flag {
	case "required", "requisite", "sufficient", "optional":
	default:
		return m, p.failAt(line, "a control flag is required, requisite, sufficient or optional")
	}
	for p.tok.kind != ';' {
		o, err := p.option()
		if err != nil {
			return m, err
		}
		m.Options = append(m.Options, o)
	}
	return m, p.next()
}

func (p *jaasParser) option() (o LoginOption, err error) {
	o.Line = p.tok.line
	if o.Name, err = p.text("the name of an option, or ;"); err != nil {
		return o, err
	}
	if err := p.mark('='); err != nil {
		return o, err
	}
	line := p.tok.line
	value, err := p.text("the value of an option: a word, or a text in double quotes")
	if err != nil {
		return o, err
	}
	if o.Value, err = p.expand(value, line); err != nil {
		return o, err
	}
	return o, nil
}

// text takes a word or a quoted text.
func (p *jaasParser) text(what string) (string, error) {
	if p.tok.kind != jaasWord {
		return "", p.failAt(p.tok.line, "expected "+what+p.found())
	}
	text := p.tok.text
	return text, p.next()
}

// mark takes a punctuation mark.
func (p *jaasParser) mark(c rune) error {
	if p.tok.kind != c {
		return p.failAt(p.tok.line, "expected "+string(c)+p.found())
	}
	return p.next()
}

// found describes the token in hand. Of words only that they are there: it may be a password.
func (p *jaasParser) found() string {
	switch p.tok.kind {
	case jaasEnd:
		return ", found the end of the file"
	case jaasWord:
		return ", found a text"
	}
	return ", found " + printable(string(p.tok.kind))
}

func (p *jaasParser) failAt(line int, text string) error {
	return &JAASError{File: p.lex.file, Line: line, Text: text}
}

// expand resolves ${name}; ${/} is a slash, and ${{...}} stays as it is.
func (p *jaasParser) expand(value string, line int) (string, error) {
	var b strings.Builder
	rest := value
	for {
		before, at, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		if strings.HasPrefix(at, "{") {
			inner, after, closed := strings.Cut(at, "}}")
			if !closed {
				b.WriteString("${" + at)
				break
			}
			b.WriteString("${" + inner + "}}")
			rest = after
			continue
		}
		name, after, closed := strings.Cut(at, "}")
		if !closed {
			b.WriteString("${" + at)
			break
		}
		v, ok := "/", name == "/"
		if !ok {
			v, ok = p.property(name)
		}
		if !ok {
			return "", p.failAt(line, "a value has ${...} in it that names nothing known here; a password must not contain ${")
		}
		b.WriteString(v)
		rest = after
	}
	if value != "" && b.Len() == 0 {
		return "", p.failAt(line, "a value is empty once ${...} is resolved")
	}
	return b.String(), nil
}

func printable(text string) string { return strings.Trim(fmt.Sprintf("%+q", text), `"`) }

// digestModule is the login module whose options user_<name> are users of DIGEST-MD5.
const (
	digestModule = "org.apache.zookeeper.server.auth.DigestLoginModule"
	userPrefix   = "user_"
)

// Users returns the passwords of the users that a server's section lists. Sections for other
// ways to log in are refused, with a *JAASError: a server that ignored them would let nobody in,
// or the wrong ones.
func (s *JAASSection) Users(file string) (map[string]string, error) {
	users := map[string]string{}
	for _, m := range s.Modules {
		switch {
		case strings.HasSuffix(m.Class, "Krb5LoginModule"):
			return nil, &JAASError{file, m.Line, "section " + printable(s.Name) + " asks for Kerberos, which is not supported"}
		case m.Class != digestModule:
			return nil, &JAASError{file, m.Line, "section " + printable(s.Name) + ": the login module is not known, " + digestModule + " is"}
		}
		for _, o := range m.Options {
			if name, ok := strings.CutPrefix(o.Name, userPrefix); ok {
				users[name] = o.Value
			}
		}
	}
	return users, nil
}
