package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// key describes one setting: its spellings, its default and what it does.
type key struct {
	name    string   // as in the file; the canonical spelling
	aliases []string // other documented spellings
	def     string   // default as text; empty: none, or derived
	treat   treatment
	// set stores the value in the config, nil for keys that are kept as text. A
	// non-empty warning is for a value that is taken, but not as it reads.
	set func(c *Config, value string) (warning string, err error)
}

// treatment says what becomes of a key (column "Go" of spec operations 1.2 to 1.4).
type treatment uint8

const (
	// honoured keys do what they say.
	honoured treatment = iota
	// inert keys tune a mechanism that does not exist here; nothing is lost.
	inert
	// noEffect keys cannot work here, and somebody may rely on them.
	noEffect
	// pending keys are known but not acted on in this version.
	pending
	// pendingGuard keys are pending, and ignoring them weakens a protection.
	pendingGuard
)

// notice returns what to say about a key that is set to something but its default.
func (t treatment) notice() (level Level, text string, ok bool) {
	switch t {
	case honoured:
		return 0, "", false
	case inert:
		return Info, "is accepted and ignored: it tunes something that this server does not have", true
	case noEffect:
		return Warn, "has no effect on this server", true
	case pending:
		return Info, "is known but not acted on in this version", true
	case pendingGuard:
		return Warn, "is NOT acted on in this version: the protection it asks for is not in place", true
	}
	return Warn, fmt.Sprintf("has the unknown treatment %d", t), true
}

func (k key) alias(names ...string) key {
	k.aliases = names
	return k
}

// yet marks a key whose value is read and checked, and that nothing acts on yet.
func (k key) yet() key {
	k.treat = pending
	return k
}

// text keeps the value as it is; the default is none.
func text(name string, field func(*Config) *string) key {
	return key{name: name, set: func(c *Config, v string) (string, error) {
		*field(c) = v
		return "", nil
	}}
}

// parseWhole reads a decimal number, or a hexadecimal one after 0x.
func parseWhole(v string, lo, hi int64) (int64, error) {
	digits, base := v, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(v), "0x"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseInt(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("must be a whole number of %d..%d", lo, hi)
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("must be in %d..%d", lo, hi)
	}
	return n, nil
}

// number is a whole number in lo..hi.
func number(name, def string, lo, hi int64, field func(*Config) *int) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		n, err := parseWhole(v, lo, hi)
		if err != nil {
			return "", err
		}
		*field(c) = int(n)
		return "", nil
	}}
}

// limit is a number of which 0 and everything below mean "no limit".
func limit(name, def string, field func(*Config) *int) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		n, err := parseWhole(v, math.MinInt32, math.MaxInt32)
		if err != nil {
			return "", err
		}
		*field(c) = int(max(n, 0))
		return "", nil
	}}
}

// millis is a duration in milliseconds, at least lo.
func millis(name, def string, lo int64, field func(*Config) *time.Duration) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		n, err := parseWhole(v, lo, math.MaxInt32)
		if err != nil {
			return "", err
		}
		*field(c) = time.Duration(n) * time.Millisecond
		return "", nil
	}}
}

// hours is a duration in hours, at most hi; 0 switches off what it is about.
func hours(name, def string, hi int64, field func(*Config) *time.Duration) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		n, err := parseWhole(v, 0, hi)
		if err != nil {
			return "", err
		}
		*field(c) = time.Duration(n) * time.Hour
		return "", nil
	}}
}

// strict is a boolean of the original's main parser: true or false in any case.
func strict(name, def string, field func(*Config) *bool) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		switch strings.ToLower(v) {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			//nolint:staticcheck // upstream's text
			return "", fmt.Errorf("Invalid option %s for %s. Choose 'true' or 'false.'", printable(v), name)
		}
		return "", nil
	}}
}

// loose is a boolean of which only "true", in any case, is true.
func loose(name, def string, field func(*Config) *bool) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		*field(c) = strings.EqualFold(v, "true")
		if !*field(c) && !strings.EqualFold(v, "false") {
			return "counts as false: only true and false are meant here", nil
		}
		return "", nil
	}}
}

// yesNo is a switch in yes and no; any other word counts as the default.
func yesNo(name, def string, field func(*Config) *bool) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		*field(c) = def == "yes"
		switch v {
		case "yes":
			*field(c) = true
		case "no":
			*field(c) = false
		default:
			return "counts as " + def + ": only yes and no are meant here", nil
		}
		return "", nil
	}}
}

// words is a comma separated list.
func words(name, def string, field func(*Config) *[]string) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		var list []string
		for w := range strings.SplitSeq(v, ",") {
			if w = strings.TrimSpace(w); w != "" {
				list = append(list, w)
			}
		}
		*field(c) = list
		return "", nil
	}}
}

// kept lists keys without a field, "name" or "name=default" each.
func kept(treat treatment, entries ...string) []key {
	keys := make([]key, 0, len(entries))
	for _, e := range entries {
		name, def, _ := strings.Cut(e, "=")
		keys = append(keys, key{name: name, def: def, treat: treat})
	}
	return keys
}
