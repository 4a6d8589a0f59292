package quorum

import (
	"fmt"
	"strconv"
	"strings"
)

// Role is what a server is in its ensemble.
type Role uint8

const (
	// Participant votes, and may lead.
	Participant Role = iota
	// Observer learns what is committed; it never votes, counts or leads.
	Observer
)

// String prints the role as it stands in a server entry.
func (r Role) String() string {
	switch r {
	case Participant:
		return "participant"
	case Observer:
		return "observer"
	}
	return "Role(" + strconv.Itoa(int(r)) + ")"
}

// ParseRole reads a role in any case, with blanks around it.
func ParseRole(text string) (Role, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "participant":
		return Participant, nil
	case "observer":
		return Observer, nil
	}
	return Participant, fmt.Errorf("Unrecognised peertype: %s", text) //nolint:staticcheck // upstream's text
}

// Address is a host, by name or by number, and a TCP port.
type Address struct {
	Host string
	Port int
}

// String prints host:port, an IPv6 host in brackets.
func (a Address) String() string { return bracket(a.Host) + ":" + strconv.Itoa(a.Port) }

// HostPorts is one place at which a server's peers reach it.
type HostPorts struct {
	Host         string
	QuorumPort   int // the leader listens here for its learners
	ElectionPort int // notifications
}

// Quorum returns the address for learners.
func (h HostPorts) Quorum() Address { return Address{h.Host, h.QuorumPort} }

// Election returns the address for notifications.
func (h HostPorts) Election() Address { return Address{h.Host, h.ElectionPort} }

// String prints host:quorumPort:electionPort.
func (h HostPorts) String() string {
	return h.Quorum().String() + ":" + strconv.Itoa(h.ElectionPort)
}

// Member is one server of an ensemble.
type Member struct {
	SID  SID
	Role Role
	// Quorum has one entry, or several when the server is reachable at several
	// addresses (multiAddress.enabled). An Ensemble holds them sorted.
	Quorum []HostPorts
	// Client is where the server serves clients, nil unless the server list says
	// so: an address that came from clientPort= is not part of the membership.
	Client *Address
}

// String prints what follows "server.N=", in canonical form: the role always, the
// client address if there is one.
func (m Member) String() string {
	var b strings.Builder
	for i, hp := range m.Quorum {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(hp.String())
	}
	b.WriteByte(':')
	b.WriteString(m.Role.String())
	if m.Client != nil {
		b.WriteByte(';')
		b.WriteString(m.Client.String())
	}
	return b.String()
}

// clone copies a member so that nothing is shared.
func (m Member) clone() Member {
	m.Quorum = append([]HostPorts(nil), m.Quorum...)
	if m.Client != nil {
		c := *m.Client
		m.Client = &c
	}
	return m
}

// bracket puts an IPv6 literal in brackets.
func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
