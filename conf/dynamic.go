package conf

import (
	"bytes"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// PointToDynamic returns the text of a configuration file that has its server list in the file at
// path: without members and peerType, and, if the list says where this server's clients connect,
// without their plain port. The last line names the list, as tools expect it (spec operations
// 1.6). Unlike the reference, it keeps comments and order. It fails where Parse does.
func PointToDynamic(text []byte, path string, client bool) ([]byte, error) {
	file, err := Parse("", text)
	if err != nil {
		return nil, err
	}
	gone := make(map[int]bool) // lines on which a setting starts that is to go
	for _, s := range file.Settings {
		if name, _ := resolve(s.Key); moves(name, client) {
			gone[s.Origin.Line] = true
		}
	}
	var out bytes.Buffer
	lines := splitKeepingEnds(text)
	for i := 0; i < len(lines); i++ {
		if !gone[i+1] {
			out.Write(lines[i])
			continue
		}
		for i+1 < len(lines) && continues(lines[i]) {
			i++
		}
	}
	if b := out.Bytes(); len(b) > 0 && b[len(b)-1] != '\n' { // a carriage return alone would take in the next newline
		out.WriteByte('\n')
	}
	if n := len(lines); n > 0 && continues(lines[n-1]) {
		out.WriteByte('\n') // so that the new line is none of its
	}
	out.WriteString("dynamicConfigFile=" + escapeValue(path) + "\n")
	return out.Bytes(), nil
}

// moves reports whether a setting is in the server list, or names it.
func moves(name string, client bool) bool {
	switch name {
	case "peerType", "dynamicConfigFile":
		return true
	case "clientPort", "clientPortAddress":
		return client
	}
	return quorum.IsMemberKey(name)
}

// splitKeepingEnds cuts text into natural lines, as Parse counts them.
func splitKeepingEnds(text []byte) [][]byte {
	var lines [][]byte
	start := 0
	for i := 0; i < len(text); i++ {
		if !isEOL(text[i]) {
			continue
		}
		if text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			i++
		}
		lines = append(lines, text[start:i+1])
		start = i + 1
	}
	if start < len(text) {
		lines = append(lines, text[start:])
	}
	return lines
}

// continues reports whether the line goes on in the next one: it ends with an odd number of backslashes.
func continues(line []byte) bool {
	line = bytes.TrimRight(line, "\r\n")
	return (len(line)-len(bytes.TrimRight(line, `\`)))%2 == 1
}

// escapeValue writes a value such that Parse reads it back.
func escapeValue(v string) string { return strings.ReplaceAll(v, `\`, `\\`) }
