package quorum

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Ensemble is the membership of an ensemble at one version: an immutable value,
// safe for concurrent use. Build it with NewEnsemble or ParseEnsemble.
type Ensemble struct {
	version   zxid.ID
	members   []Member // sorted by sid, addresses sorted
	voters    Set
	observers Set
	verifier  Verifier
	text      string // canonical, without the version line
}

// NewEnsemble checks the members and builds the value; its arguments are copied.
// Without groups a quorum is a majority of the participants; with groups every
// participant must be in exactly one of them and nobody else in any. Members need ids
// of 0..MaxSID and addresses that differ. An ensemble may have observers alone, or
// nobody: whether that makes sense is for the caller to say (it has no quorum).
func NewEnsemble(version zxid.ID, members []Member, groups ...Group) (*Ensemble, error) {
	if version < 0 {
		return nil, fmt.Errorf("version %v is negative", version)
	}
	e := &Ensemble{version: version, members: make([]Member, 0, len(members))}
	for _, m := range members {
		m = m.clone()
		slices.SortFunc(m.Quorum, compareHostPorts)
		if err := checkMember(m); err != nil {
			return nil, err
		}
		if e.voters.Has(m.SID) || e.observers.Has(m.SID) {
			return nil, fmt.Errorf("server.%v is defined twice", m.SID)
		}
		if m.Role == Observer {
			e.observers.Add(m.SID)
		} else {
			e.voters.Add(m.SID)
		}
		e.members = append(e.members, m)
	}
	slices.SortFunc(e.members, func(a, b Member) int { return cmp.Compare(a.SID, b.SID) })
	if err := checkAddresses(e.members); err != nil {
		return nil, err
	}
	if err := e.setVerifier(groups); err != nil {
		return nil, err
	}
	e.text = e.canonical()
	return e, nil
}

// setVerifier chooses the rule and checks that groups and participants agree.
func (e *Ensemble) setVerifier(groups []Group) error {
	if len(groups) == 0 {
		e.verifier = NewMajority(e.voters)
		return nil
	}
	h, err := NewHierarchical(groups)
	if err != nil {
		return err
	}
	for sid := range e.voters.All() {
		if !h.Voters().Has(sid) {
			return fmt.Errorf("Server %v is not in a group", sid) //nolint:staticcheck // upstream's text
		}
	}
	for sid := range h.Voters().All() {
		if !e.voters.Has(sid) {
			return fmt.Errorf("server %v is in a group but is no participant", sid)
		}
	}
	e.verifier = h
	return nil
}

// checkMember checks one member by itself.
func checkMember(m Member) error {
	if m.SID < 0 || m.SID > MaxSID {
		return fmt.Errorf("server id %d is outside 0..%d", int(m.SID), int(MaxSID))
	}
	if m.Role != Participant && m.Role != Observer {
		return fmt.Errorf("server.%v has the unknown role %v", m.SID, m.Role)
	}
	if len(m.Quorum) == 0 {
		return fmt.Errorf("server.%v has no address", m.SID)
	}
	for _, hp := range m.Quorum {
		if err := cmp.Or(checkHost(hp.Host), checkPort(hp.QuorumPort, 1), checkPort(hp.ElectionPort, 1)); err != nil {
			return fmt.Errorf("server.%v: %w", m.SID, err)
		}
		if hp.QuorumPort == hp.ElectionPort {
			return fmt.Errorf("Client and election port must be different! "+ //nolint:staticcheck // upstream's text
				"Please update the configuration file on server.%v", m.SID)
		}
	}
	if m.Client != nil {
		if err := cmp.Or(checkHost(m.Client.Host), checkPort(m.Client.Port, 0)); err != nil {
			return fmt.Errorf("server.%v: client address: %w", m.SID, err)
		}
	}
	return nil
}

// checkHost refuses what is no host name or would not survive the text form.
func checkHost(host string) error {
	if host == "" {
		return errors.New("the host is empty")
	}
	if len(host) > maxHostLen {
		return fmt.Errorf("the host has %d bytes, more than %d", len(host), maxHostLen)
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("[]|;,=#!\\\"", c) >= 0 {
			return fmt.Errorf("the host %q holds the character %q", host, c)
		}
	}
	return nil
}

// maxHostLen is the longest DNS name, with room for an IPv6 zone.
const maxHostLen = 255

func checkPort(port, lowest int) error {
	if port < lowest || port > 65535 {
		return fmt.Errorf("port %d is outside %d..65535", port, lowest)
	}
	return nil
}

// checkAddresses refuses two listeners at the same host and port.
func checkAddresses(members []Member) error {
	owner := make(map[Address]SID)
	for _, m := range members {
		for _, hp := range m.Quorum {
			for _, a := range [...]Address{hp.Quorum(), hp.Election()} {
				if other, taken := owner[a]; taken {
					return fmt.Errorf("server.%v and server.%v share the address %v", other, m.SID, a)
				}
				owner[a] = m.SID
			}
		}
	}
	return nil
}

func compareHostPorts(a, b HostPorts) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.QuorumPort, b.QuorumPort),
		cmp.Compare(a.ElectionPort, b.ElectionPort))
}

// Version returns the zxid of the transaction that installed this configuration,
// or 0 when it came from a file that names none.
func (e *Ensemble) Version() zxid.ID { return e.version }

// WithVersion returns the same membership under another version.
func (e *Ensemble) WithVersion(v zxid.ID) *Ensemble {
	c := *e
	c.version = v
	return &c
}

// Len returns the number of members.
func (e *Ensemble) Len() int { return len(e.members) }

// Members returns a copy of all members, sorted by sid.
func (e *Ensemble) Members() []Member { return e.Others(None) }

// Others returns a copy of all members but self, sorted by sid.
func (e *Ensemble) Others(self SID) []Member {
	out := make([]Member, 0, len(e.members))
	for _, m := range e.members {
		if m.SID != self {
			out = append(out, m.clone())
		}
	}
	return out
}

// Member returns a copy of the member with that id.
func (e *Ensemble) Member(sid SID) (Member, bool) {
	for _, m := range e.members {
		if m.SID == sid {
			return m.clone(), true
		}
	}
	return Member{}, false
}

// Voters returns the participants.
func (e *Ensemble) Voters() Set { return e.voters }

// Observers returns the observers.
func (e *Ensemble) Observers() Set { return e.observers }

// SIDs returns everybody.
func (e *Ensemble) SIDs() Set { return e.voters.Or(e.observers) }

// Verifier returns the rule by which this ensemble's quorums are counted.
func (e *Ensemble) Verifier() Verifier { return e.verifier }

// Equal reports whether both are the same membership, quorum rule and version.
// Nil equals nil alone.
func (e *Ensemble) Equal(o *Ensemble) bool {
	if e == nil || o == nil {
		return e == o
	}
	return e.version == o.version && e.text == o.text
}

// String prints the membership in canonical form, one line per entry and no newline
// at the end: servers by sid, then groups, then weights. The version is not in it.
func (e *Ensemble) String() string { return e.text }

// VersionLine prints "version=" and the version in hex, the last line of the
// configuration node.
func (e *Ensemble) VersionLine() string {
	return "version=" + strconv.FormatUint(uint64(e.version), 16)
}

// ConfigData prints the content of /zookeeper/config (spec semantics 12.2), which
// ParseEnsemble reads back.
func (e *Ensemble) ConfigData() string {
	if e.text == "" {
		return e.VersionLine()
	}
	return e.text + "\n" + e.VersionLine()
}

func (e *Ensemble) canonical() string {
	var lines []string
	for _, m := range e.members {
		lines = append(lines, "server."+m.SID.String()+"="+m.String())
	}
	if h, ok := e.verifier.(*Hierarchical); ok {
		lines = append(lines, h.lines()...)
	}
	return strings.Join(lines, "\n")
}

// lines prints the groups by id, then every weight by sid.
func (h *Hierarchical) lines() []string {
	var lines []string
	for _, g := range h.groups {
		var b strings.Builder
		fmt.Fprintf(&b, "group.%d=", g.ID)
		for i, w := range g.Servers {
			if i > 0 {
				b.WriteByte(':')
			}
			b.WriteString(w.SID.String())
		}
		lines = append(lines, b.String())
	}
	for sid := range h.voters.All() {
		lines = append(lines, fmt.Sprintf("weight.%v=%d", sid, h.Weight(sid)))
	}
	return lines
}
