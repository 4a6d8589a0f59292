package conf

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
)

// MaxFileSize is the largest configuration file that is looked at, in bytes.
const MaxFileSize = 1 << 20

// File is a parsed properties file: every setting in the order of the file,
// repeated keys included, the origin naming the line on which each starts.
type File struct {
	Name     string
	Settings []Setting
}

// Parse reads text in the grammar of Java's .properties files: bytes are ISO-8859-1,
// comments start with # or !, a backslash at the end continues the line, key and value
// are parted by '=', ':' or white space, and \t \n \r \f \uXXXX and a lone
// backslash are resolved. Keys and values are trimmed, as the original does
// (spec operations 1.1). A byte order mark of UTF-8, which some editors put first, is no part
// of the first key. The name is used in origins only.
func Parse(name string, text []byte) (*File, error) {
	if len(text) > MaxFileSize {
		return nil, &Error{File: name, Reason: fmt.Sprintf("the file has %d bytes, more than %d", len(text), MaxFileSize)}
	}
	f := &File{Name: name}
	r := lineReader{text: bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), line: 1}
	for {
		line, number, ok := r.next()
		if !ok {
			return f, nil
		}
		key, value, err := splitLine(line)
		if err != nil {
			return nil, &Error{File: name, Line: number, Reason: err.Error()}
		}
		f.Settings = append(f.Settings, Setting{javaTrim(key), javaTrim(value), Origin{name, number}})
	}
}

// lineReader yields logical lines: without comments and blank lines, continuations
// joined, escapes still in place.
type lineReader struct {
	text []byte
	off  int
	line int // number of the natural line at off
}

// next returns the next logical line and the number of its first natural line.
func (r *lineReader) next() (line []byte, number int, ok bool) {
	skipBlank, continued, escaped := true, false, false
	for r.off < len(r.text) {
		c := r.text[r.off]
		if skipBlank {
			if isBlank(c) || !continued && isEOL(c) {
				r.advance()
				continue
			}
			skipBlank, continued = false, false
		}
		if len(line) == 0 {
			if c == '#' || c == '!' {
				r.skipComment()
				skipBlank = true
				continue
			}
			number = r.line
		}
		r.advance()
		if !isEOL(c) {
			line = append(line, c)
			escaped = c == '\\' && !escaped
			continue
		}
		switch {
		case len(line) == 0:
			skipBlank = true
		case escaped && r.off == len(r.text) && r.text[r.off-1] == c:
			return line[:len(line)-1], number, true // Java's reader looks for more text first
		case escaped:
			line = line[:len(line)-1]
			skipBlank, continued, escaped = true, true, false
		default:
			return line, number, true
		}
	}
	if escaped {
		line = line[:len(line)-1]
	}
	return line, number, len(line) > 0 || escaped
}

// advance steps over one byte, a CR LF counting as one.
func (r *lineReader) advance() {
	c := r.text[r.off]
	r.off++
	if c == '\r' && r.off < len(r.text) && r.text[r.off] == '\n' {
		r.off++
	}
	if isEOL(c) {
		r.line++
	}
}

// skipComment steps to the end of the natural line.
func (r *lineReader) skipComment() {
	for r.off < len(r.text) && !isEOL(r.text[r.off]) {
		r.off++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }

func isEOL(c byte) bool { return c == '\n' || c == '\r' }

// splitLine cuts a logical line at its first unescaped separator.
func splitLine(line []byte) (key, value string, err error) {
	end, escaped := 0, false
	for end < len(line) {
		c := line[end]
		if !escaped && (c == '=' || c == ':' || isBlank(c)) {
			break
		}
		escaped = c == '\\' && !escaped
		end++
	}
	start, separated := end, false
	for start < len(line) {
		c := line[start]
		if !isBlank(c) {
			if separated || c != '=' && c != ':' {
				break
			}
			separated = true
		}
		start++
	}
	if key, err = unescape(line[:end]); err != nil {
		return "", "", err
	}
	value, err = unescape(line[start:])
	return key, value, err
}

// unescape resolves escapes and turns ISO-8859-1 into UTF-8. Escaped surrogate pairs
// become one character.
func unescape(text []byte) (string, error) {
	units := make([]uint16, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			units = append(units, uint16(c))
			continue
		}
		i++
		if i == len(text) {
			break // a lone backslash is dropped
		}
		switch text[i] {
		case 'u':
			if i+4 >= len(text) {
				return "", fmt.Errorf("Malformed \\uxxxx encoding.") //nolint:staticcheck // Java's text
			}
			u, err := hex4(text[i+1 : i+5])
			if err != nil {
				return "", err
			}
			units = append(units, u)
			i += 4
		case 't':
			units = append(units, '\t')
		case 'n':
			units = append(units, '\n')
		case 'r':
			units = append(units, '\r')
		case 'f':
			units = append(units, '\f')
		default:
			units = append(units, uint16(text[i]))
		}
	}
	return string(utf16.Decode(units)), nil
}

func hex4(text []byte) (uint16, error) {
	var u uint16
	for _, c := range text {
		d := strings.IndexByte("0123456789abcdef", lower(c))
		if d < 0 {
			return 0, fmt.Errorf("Malformed \\uxxxx encoding.") //nolint:staticcheck // Java's text
		}
		u = u<<4 | uint16(d)
	}
	return u, nil
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// javaTrim drops what Java's String.trim drops: everything up to the space.
func javaTrim(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
}

// Format prints settings as a properties file, one "key=value" a line, such that
// Parse reads the same keys and values back. Origins are not printed.
func Format(settings []Setting) []byte {
	var out []byte
	for _, s := range settings {
		out = appendEscaped(out, s.Key, true)
		out = append(out, '=')
		out = appendEscaped(out, s.Value, false)
		out = append(out, '\n')
	}
	return out
}

// appendEscaped writes text in ASCII. Blanks are escaped everywhere in a key and at the
// start of a value.
func appendEscaped(out []byte, text string, key bool) []byte {
	leading := true
	for _, u := range utf16.Encode([]rune(text)) {
		switch {
		case u == ' ' && (key || leading):
			out = append(out, '\\', ' ')
		case u == '\t':
			out = append(out, '\\', 't')
		case u == '\n':
			out = append(out, '\\', 'n')
		case u == '\r':
			out = append(out, '\\', 'r')
		case u == '\f':
			out = append(out, '\\', 'f')
		case u == '\\' || key && (u == '=' || u == ':' || u == '#' || u == '!'):
			out = append(out, '\\', byte(u))
		case u < ' ' || u > '~':
			out = fmt.Appendf(out, "\\u%04x", u)
		default:
			out = append(out, byte(u))
		}
		leading = leading && u == ' '
	}
	return out
}
