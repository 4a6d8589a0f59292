package differ

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// String writes a script, one step a line.
func (s Script) String() string {
	var b strings.Builder
	for i := range s {
		b.WriteString(s[i].String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String writes a step as Parse reads it.
func (s Step) String() string {
	p := printer{}
	p.word(s.Client)
	switch s.Act {
	case Open:
		p.word("open")
		p.int(int64(s.Timeout))
		p.at(s.At)
	case Renew:
		p.word("renew")
		p.int(int64(s.Timeout))
		p.at(s.At)
		switch s.Password {
		case WrongPassword:
			p.word("wrong")
		case UnknownSession:
			p.word("unknown")
		case RightPassword:
		}
	case Drop:
		p.word("drop")
	case Mark:
		p.word("mark")
	case Silent:
		p.word("silent")
	case Vanish:
		p.word("vanish")
	case LogIn:
		p.word("login")
		p.login(s.Login)
	case Frame:
		p.word("frame")
		p.word(hexWord(s.Raw))
	case Length:
		p.word("length")
		p.int(int64(s.N))
	case Send:
		for i := range s.Requests {
			if i > 0 {
				p.word(";")
			}
			p.request(&s.Requests[i])
		}
	}
	if s.Ahead {
		p.word("ahead")
	}
	return strings.Join(p, " ")
}

// printer collects words.
type printer []string

func (p *printer) word(w string) { *p = append(*p, w) }
func (p *printer) int(n int64)   { p.word(strconv.FormatInt(n, 10)) }

func (p *printer) login(l *Login) {
	p.word(string(l.Part))
	if l.Part != LoginBegin {
		p.word(quote(l.User))
		p.word(quote(l.Password))
		p.arg(&Arg{List: l.Changes}, kStrs)
	}
}

// at writes which server is meant, unless it is the first one.
func (p *printer) at(server int) {
	if server != 0 {
		p.word("at")
		p.int(int64(server))
	}
}

// hexWord is hexadecimal behind an x, so that it is a word when there are no bytes, too.
func hexWord(b []byte) string { return fmt.Sprintf("x%x", b) }

func (p *printer) request(r *Request) {
	switch {
	case r.HasRaw:
		p.word("raw")
		p.int(int64(r.Op))
		p.word(hexWord(r.Raw))
	case isMulti(r.Op):
		p.word(r.Op.String())
		p.word("{")
		for i := range r.Items {
			if i > 0 {
				p.word(";")
			}
			p.request(&r.Items[i])
		}
		p.word("}")
	default:
		p.word(r.Op.String())
		for i, k := range fieldsOf[r.Op] {
			p.arg(&r.Args[i], k)
		}
	}
	if r.Cut > 0 {
		p.word("cut")
		p.int(int64(r.Cut))
	}
	if r.Cut < 0 {
		p.word("pad")
		p.int(int64(-r.Cut))
	}
	if r.Xid != 0 {
		p.word("xid")
		p.int(int64(r.Xid))
	}
}

func (p *printer) arg(a *Arg, k kind) {
	switch {
	case k == kFlag || k == kNum || k == kLong:
		p.int(a.N)
	case k == kZxid && a.Name != "":
		p.word(a.Name)
	case k == kZxid:
		p.int(a.N)
	case a.Null:
		p.word("null")
	case k == kACL:
		p.word("[")
		for i := range a.ACL {
			p.int(int64(a.ACL[i].Perms))
			p.arg(&a.ACL[i].Scheme, kStr)
			p.arg(&a.ACL[i].ID, kStr)
		}
		p.word("]")
	case k == kStrs:
		p.word("[")
		for _, s := range a.List {
			p.word(quote(s))
		}
		p.word("]")
	default:
		p.word(quote(a.Text))
	}
}

// quote quotes a string of any bytes; long runs of one byte are the common way to be long.
func quote(s string) string {
	if len(s) > 64 && strings.Count(s, s[:1]) == len(s) {
		return fmt.Sprintf("%s*%d", strconv.QuoteToASCII(s[:1]), len(s))
	}
	return strconv.QuoteToASCII(s)
}

// Parse reads a script. Empty lines and those that begin with # are passed over.
func Parse(text string) (Script, error) {
	var s Script
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		step, err := ParseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		s = append(s, step)
	}
	return s, nil
}

// ParseStep reads one step.
func ParseStep(line string) (s Step, err error) {
	tokens, err := tokenize(line)
	if err != nil {
		return Step{}, fmt.Errorf("differ: %w", err)
	}
	p := &parser{tokens: tokens}
	s.Client = p.next()
	act, ok := acts[p.peek()]
	if !ok {
		s.Act = Send
		s.Requests = p.requests("")
	} else {
		p.next()
		s.Act = act
		p.connection(&s)
	}
	if p.err == nil && p.peek() != "" {
		p.fail("words after the step: %q", p.peek())
	}
	if p.err != nil {
		return Step{}, fmt.Errorf("differ: %w", p.err)
	}
	return s, nil
}

var acts = map[string]Act{
	"open": Open, "renew": Renew, "drop": Drop, "mark": Mark, "frame": Frame, "length": Length, "silent": Silent, "vanish": Vanish,
	"login": LogIn,
}

// connection reads the rest of a step that is not Send.
func (p *parser) connection(s *Step) {
	switch s.Act {
	case Open, Renew:
		s.Timeout = int32(p.int(32))
		s.At = p.at()
	case Frame:
		s.Raw = p.hex()
	case Length:
		s.N = int32(p.int(32))
	case LogIn:
		s.Login = p.login()
	case Send, Drop, Mark, Silent, Vanish:
	}
	if s.Act == Renew {
		switch p.peek() {
		case "wrong":
			s.Password = WrongPassword
			p.next()
		case "unknown":
			s.Password = UnknownSession
			p.next()
		}
	}
	if (s.Act == Open || s.Act == Renew) && p.peek() == "ahead" {
		s.Ahead = true
		p.next()
	}
}

// requests reads requests with ";" between them up to the closing word, which it takes.
func (p *parser) requests(end string) []Request {
	var list []Request
	if p.peek() == end && end != "" {
		p.next()
		return nil
	}
	for p.err == nil {
		list = append(list, p.request())
		switch w := p.next(); w {
		case ";":
		case end:
			return list
		default:
			p.fail("%q where the next request should be", w)
		}
	}
	return nil
}

func (p *parser) request() (r Request) {
	switch w := p.next(); w {
	case "raw":
		r.Op, r.HasRaw = proto.Op(p.int(32)), true
		r.Raw = p.hex()
	default:
		op, ok := named[w]
		if !ok {
			p.fail("unknown operation %q", w)
			return r
		}
		r.Op = op
		if isMulti(op) {
			if w := p.next(); w != "{" {
				p.fail("%q after %v, want {", w, op)
			}
			r.Items = p.requests("}")
			break
		}
		for _, k := range fieldsOf[op] {
			r.Args = append(r.Args, p.arg(k))
		}
	}
	for {
		switch p.peek() {
		case "cut":
			p.next()
			r.Cut = int(p.int(32))
		case "pad":
			p.next()
			r.Cut = -int(p.int(32))
		case "xid":
			p.next()
			r.Xid = proto.Xid(p.int(32))
		default:
			return r
		}
	}
}

func (p *parser) arg(k kind) (a Arg) {
	switch {
	case k == kFlag || k == kNum:
		a.N = p.int(32)
	case k == kLong:
		a.N = p.int(64)
	case k == kZxid && (p.peek() == "mark" || p.peek() == "last"):
		a.Name = p.next()
	case k == kZxid:
		a.N = p.int(64)
	case p.peek() == "null":
		p.next()
		a.Null = true
	case k == kACL:
		for p.open(); p.err == nil && !p.closed(); {
			perms := int32(p.int(32))
			a.ACL = append(a.ACL, ACLItem{Perms: perms, Scheme: p.arg(kStr), ID: p.arg(kStr)})
		}
	case k == kStrs:
		for p.open(); p.err == nil && !p.closed(); {
			a.List = append(a.List, p.string())
		}
	default:
		a.Text = p.string()
	}
	return a
}
