package znode

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The paths of the nodes that every tree has (spec semantics 12.1). They cannot be deleted.
const (
	RootPath   = "/"
	SystemPath = "/zookeeper"
	QuotaPath  = "/zookeeper/quota"
	ConfigPath = "/zookeeper/config"
)

// MaxDepth is the largest number of names in a path. ZooKeeper has no such limit of its
// own; stores that order their keys by depth need one, and a path of that many
// names would be longer than 128 KiB.
const MaxDepth = 1<<16 - 1

// ValidatePath reports whether path may name a node: rule VP of spec semantics 1.2. The
// rule is written down there for UTF-16 code units, where characters above U+FFFF are made of
// surrogates and so are invalid; malformed UTF-8 counts as U+FFFD, which is invalid too.
func ValidatePath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	if len(path) == 1 {
		return true
	}
	start := 1 // of the name that is being read
	for i := 1; i < len(path); {
		c := path[i]
		switch {
		case c == '/':
			if !validName(path[start:i]) {
				return false
			}
			i++
			start = i
		case c < utf8.RuneSelf:
			if c < 0x20 || c == 0x7f {
				return false
			}
			i++
		default:
			r, size := utf8.DecodeRuneInString(path[i:])
			if !validRune(r) {
				return false
			}
			i += size
		}
	}
	return validName(path[start:])
}

// validName checks what ValidatePath cannot see in single characters.
func validName(name string) bool { return name != "" && name != "." && name != ".." }

// validRune judges a character outside ASCII.
func validRune(r rune) bool {
	return r > 0x9f && r < 0xfff0 && (r < 0xd800 || r > 0xf8ff)
}

// weakPath is rule WP of spec semantics 1.2, which is all that create and delete ask of
// a path before they look for its parent.
func weakPath(path string) bool {
	return strings.IndexByte(path, '/') >= 0 && !hasNUL(path)
}

func hasNUL(path string) bool { return strings.IndexByte(path, 0) >= 0 }

// reserved reports whether path is one of the nodes that cannot be deleted.
func reserved(path string) bool {
	return path == RootPath || path == SystemPath || path == QuotaPath || path == ConfigPath
}

// Parent returns the path of path's parent: everything before the last slash, "/" where
// nothing is left. A path without a slash has the parent "/" as well; callers that take paths
// from outside validate them first.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return RootPath
}

// Name returns the last name of path, "" for the root.
func Name(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Join returns the path of the child that is called name.
func Join(parent, name string) string {
	if parent == RootPath {
		return RootPath + name
	}
	return parent + "/" + name
}

// Within reports whether path is root or below it.
func Within(path, root string) bool {
	if root == RootPath {
		return true
	}
	rest, found := strings.CutPrefix(path, root)
	return found && (rest == "" || rest[0] == '/')
}

// canonical maps the empty path, under which clients may read the root (spec semantics
// 1.1), to the root.
func canonical(path string) string {
	if path == "" {
		return RootPath
	}
	return path
}

// attachable reports whether path can be hung below its Parent without breaking the tree,
// provided that the parent exists. It is much weaker and cheaper than
// ValidatePath, which the leader has applied; Apply uses it to stay total.
func attachable(path string) bool {
	i := strings.LastIndexByte(path, '/')
	return i >= 0 && i+1 < len(path) && path[0] == '/' && (i != 1) && !tooDeep(path)
}

// tooDeep reports whether path has more than MaxDepth names.
func tooDeep(path string) bool {
	return len(path) > MaxDepth && strings.Count(path, "/") > MaxDepth
}

// sequenceWidth is the least width of a sequence number, padded with zeros.
const sequenceWidth = 10

// appendSequence returns path with the sequence number n, in the format %010d.
func appendSequence(path string, n int32) string {
	var digits [sequenceWidth + 1]byte // -2147483648 has 11 characters
	text := strconv.AppendInt(digits[:0], int64(n), 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	const zeros = "0000000000"
	pad := max(0, sequenceWidth-len(sign)-len(text))
	return path + sign + zeros[:pad] + string(text)
}
