package quorum

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// MaxTextLen bounds the text that ParseEnsemble and ParseMember look at, in bytes:
// 256 servers with a few long names each fit well.
const MaxTextLen = 1 << 20

// ParseSID reads the decimal id of a server, 0..MaxSID, as in the key server.N and
// in the myid file.
func ParseSID(text string) (SID, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return None, fmt.Errorf("server id %s is outside 0..%d", text, int(MaxSID))
	}
	if err != nil {
		return None, fmt.Errorf("server id %q is not a number", text)
	}
	if n < 0 || n > int64(MaxSID) {
		return None, fmt.Errorf("server id %d is outside 0..%d", n, int(MaxSID))
	}
	return SID(n), nil
}

const wrongFormat = " does not have the form server_config or server_config;client_config" +
	" where server_config is the pipe separated list of host:port:port or host:port:port:type" +
	" and client_config is port or host:port"

// ParseMember reads what follows "server.N=" (spec operations 1.5). The error says
// what is wrong with the entry, in the words operators know from ZooKeeper.
func ParseMember(sid SID, text string) (Member, error) {
	if len(text) > MaxTextLen {
		return Member{}, fmt.Errorf("server.%v has %d bytes, more than %d", sid, len(text), MaxTextLen)
	}
	m := Member{SID: sid}
	parts := split(text, ";")
	if len(parts) > 2 {
		return Member{}, errors.New(text + wrongFormat)
	}
	if len(parts) == 2 {
		client, err := parseClient(text, parts[1])
		if err != nil {
			return Member{}, err
		}
		m.Client = &client
	}
	places := split(parts[0], "|")
	roleKnown := false
	for _, place := range places {
		hp, role, err := parsePlace(text, place)
		if err != nil {
			return Member{}, err
		}
		if role != nil {
			if roleKnown && *role != m.Role {
				//nolint:staticcheck // upstream's text
				return Member{}, fmt.Errorf("Multiple addresses should have similar roles: %v vs %v", m.Role, *role)
			}
			m.Role, roleKnown = *role, true
		}
		m.Quorum = append(m.Quorum, hp)
	}
	slices.SortFunc(m.Quorum, compareHostPorts)
	if err := checkMember(m); err != nil {
		return Member{}, err
	}
	return m, nil
}

// parsePlace reads host:port:port or host:port:port:role; the role is nil if absent.
func parsePlace(entry, text string) (HostPorts, *Role, error) {
	parts, err := hostAndPorts(text)
	if err != nil {
		return HostPorts{}, nil, err
	}
	if len(parts) < 3 || len(parts) > 4 {
		return HostPorts{}, nil, errors.New(entry + wrongFormat)
	}
	hp := HostPorts{Host: parts[0]}
	if hp.QuorumPort, err = parsePort(parts[0], parts[1]); err != nil {
		return HostPorts{}, nil, err
	}
	if hp.ElectionPort, err = parsePort(parts[0], parts[2]); err != nil {
		return HostPorts{}, nil, err
	}
	if len(parts) == 3 {
		return hp, nil, nil
	}
	role, err := ParseRole(parts[3])
	return hp, &role, err
}

// parseClient reads port or host:port; without a host it is the wildcard.
func parseClient(entry, text string) (Address, error) {
	parts, err := hostAndPorts(text)
	if err != nil {
		return Address{}, err
	}
	host := "0.0.0.0"
	switch len(parts) {
	case 1:
	case 2:
		host = parts[0]
	default:
		return Address{}, errors.New(entry + wrongFormat)
	}
	port, err := parsePort(host, parts[len(parts)-1])
	return Address{host, port}, err
}

func parsePort(host, text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("Address unresolved: %s:%s", host, text) // upstream's text
	}
	return int(n), nil
}

// hostAndPorts cuts text at its colons, taking a host in brackets as one part.
func hostAndPorts(text string) ([]string, error) {
	if !strings.HasPrefix(text, "[") {
		return split(text, ":"), nil
	}
	host, rest, ok := strings.Cut(text[1:], "]")
	if !ok {
		return nil, fmt.Errorf("%s starts with '[' but has no matching ']:'", text)
	}
	if rest == "" {
		return []string{host}, nil
	}
	if rest == ":" {
		return nil, fmt.Errorf("%s doesn't have a port after colon", text)
	}
	if rest[0] != ':' {
		return nil, fmt.Errorf("%s has no ':' after ']'", text)
	}
	return append([]string{host}, split(rest[1:], ":")...), nil
}

// split cuts text at sep and drops empty parts at the end, as the original does: a
// trailing separator is forgiven. The result has at least one part.
func split(text, sep string) []string {
	return strings.Split(strings.TrimRight(text, sep), sep)
}

// ParseEnsemble reads a configuration as ConfigData prints it and as it stands in
// /zookeeper/config: lines of key=value. The version is 0 when no line names it.
// Hostile text yields an error and bounded work.
func ParseEnsemble(text string) (*Ensemble, error) {
	if len(text) > MaxTextLen {
		return nil, fmt.Errorf("configuration has %d bytes, more than %d", len(text), MaxTextLen)
	}
	var b Builder
	var version zxid.ID
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%q is no key=value", line)
		}
		if key == "version" {
			v, err := ParseVersion(value)
			if err != nil {
				return nil, err
			}
			version = v
			continue
		}
		if err := b.Set(key, value); err != nil {
			return nil, err
		}
	}
	return b.Build(version)
}

// ParseVersion reads the version of a configuration: hex without 0x.
func ParseVersion(text string) (zxid.ID, error) {
	v, err := strconv.ParseInt(text, 16, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("version %q is not a hexadecimal zxid", text)
	}
	return zxid.ID(v), nil
}
