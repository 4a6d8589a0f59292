package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// ExitCode is the process exit code for a refused configuration (spec operations 1.8).
const ExitCode = 2

// Setting is one key with its value and where it came from.
type Setting struct {
	Key, Value string
	Origin     Origin
}

// Origin says where a setting came from: a file with the line, the name of an
// environment variable, OriginCommandLine or OriginDefault. Line is 0 for all but
// files.
type Origin struct {
	Name string
	Line int
}

// Names of origins that are no file.
const (
	OriginCommandLine = "command line"
	OriginDefault     = "default"
)

// String prints name:line, or the name alone.
func (o Origin) String() string {
	if o.Line == 0 {
		return o.Name
	}
	return o.Name + ":" + strconv.Itoa(o.Line)
}

// Error refuses a configuration. File is the origin's name, which for a flag is
// the environment variable; Line is 0 when no single line is to blame; Key and Value
// are empty when none is.
type Error struct {
	File   string
	Line   int
	Key    string
	Value  string
	Reason string
}

// Error prints file:line: key=value: reason, leaving out what is unknown, always on
// one line and with secrets blanked.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(oneLine(Origin{e.File, e.Line}.String(), maxReason))
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(printable(e.Key))
		if e.Value != "" {
			b.WriteByte('=')
			b.WriteString(printable(displayValue(e.Key, e.Value)))
		}
		b.WriteString(": ")
	}
	b.WriteString(oneLine(e.Reason, maxReason))
	return b.String()
}

// refuse makes the error for one setting.
func refuse(s Setting, format string, args ...any) *Error {
	return &Error{File: s.Origin.Name, Line: s.Origin.Line, Key: s.Key, Value: s.Value, Reason: fmt.Sprintf(format, args...)}
}

// Level says how loudly a notice should be logged.
type Level uint8

const (
	// Info is for what an operator may want to know.
	Info Level = iota
	// Warn is for what probably is not what the operator meant.
	Warn
)

// String prints the level in lower case.
func (l Level) String() string {
	if l == Warn {
		return "warn"
	}
	return "info"
}

// Notice is something that the caller should log about an accepted configuration.
type Notice struct {
	Level  Level
	Text   string
	Origin Origin
}

// String prints level: text (origin).
func (n Notice) String() string { return fmt.Sprintf("%v: %s (%v)", n.Level, n.Text, n.Origin) }

// isSecret reports whether the value of a key must not be shown.
func isSecret(key string) bool {
	k := strings.ToLower(key)
	for _, part := range [...]string{"superdigest", "secret", "passwd"} {
		if strings.Contains(k, part) {
			return true
		}
	}
	return strings.Contains(k, "password") && !strings.HasSuffix(k, "passwordpath")
}

// displayValue blanks the value of a secret key.
func displayValue(key, value string) string {
	if value != "" && isSecret(key) {
		return "***"
	}
	return value
}

// What of a key, value or reason goes into a message, in bytes.
const (
	maxShown  = 200
	maxReason = 2000
)

// printable makes a key or value fit for one log line.
func printable(text string) string { return oneLine(text, maxShown) }

// oneLine replaces what cannot be printed and cuts what is longer than limit bytes.
func oneLine(text string, limit int) string {
	cut := ""
	if len(text) > limit {
		text, cut = strings.ToValidUTF8(text[:limit], ""), "..."
	}
	clean := strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	return clean + cut
}
