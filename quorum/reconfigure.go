package quorum

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Change is what an operator wants of the membership, in the text forms of the reconfig request
// (spec semantics 12.3): either a whole new membership, or what joins and leaves.
type Change struct {
	// Full says that NewMembers, entries separated by commas or newlines, is everything.
	Full       bool
	NewMembers string
	// Joining is a list of server.N=host:port:port:role;client entries separated by commas, Leaving one
	// of ids. Who joins and is a member already is replaced.
	Joining, Leaving string
}

// Errors of Reconfigure.
var (
	// ErrChange: the change cannot be understood, or makes no ensemble.
	ErrChange = errors.New("quorum: invalid change of the ensemble")
	// ErrNoNumber: the id of a server is no number, which ZooKeeper tells from all the rest.
	ErrNoNumber = errors.New("quorum: server id is not a number")
	// ErrRange: the id of a server is a number that only ZooKeeper takes.
	ErrRange = errors.New("quorum: server id is out of range")
)

// MaxEnsemble bounds the text of an ensemble that changes, in bytes: two of them fit into a record of the
// log, one into a notification.
const MaxEnsemble = 30_000

// Reconfigure returns the ensemble that the change makes of e, under e's version. It has
// minVoters voters at least. Errors wrap ErrChange, ErrNoNumber or ErrRange.
func (e *Ensemble) Reconfigure(c Change, minVoters int) (*Ensemble, error) {
	next, err := e.change(c)
	if err != nil {
		return nil, err
	}
	if n := next.Voters().Len(); n < minVoters {
		return nil, fmt.Errorf("%w: %d voters, at least %d are needed", ErrChange, n, minVoters)
	}
	return next, nil
}

func (e *Ensemble) change(c Change) (*Ensemble, error) {
	if len(c.NewMembers)+len(c.Joining)+len(c.Leaving) > MaxTextLen {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrChange, MaxTextLen)
	}
	var members []Member
	var groups []Group
	switch {
	case c.Full:
		next, err := parseMembers(c.NewMembers)
		if err != nil {
			return nil, err
		}
		members = next.members
		if h, ok := next.verifier.(*Hierarchical); ok {
			groups = h.groups
		}
	default:
		var err error
		if members, err = e.amended(c); err != nil {
			return nil, err
		}
	}
	if err := checkClients(members); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChange, err)
	}
	next, err := NewEnsemble(e.version, members, groups...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChange, err)
	}
	if n := len(next.text); n > MaxEnsemble {
		return nil, fmt.Errorf("%w: the members take %d bytes, more than %d", ErrChange, n, MaxEnsemble)
	}
	return next, nil
}

// parseMembers reads a whole membership.
func parseMembers(text string) (*Ensemble, error) {
	var b Builder
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: %q is no key=value", ErrChange, line)
		case key == "version":
			continue // the transaction's zxid will be
		}
		if id, isServer := strings.CutPrefix(key, "server."); isServer {
			if !isNumber(id) {
				return nil, fmt.Errorf("%w: %q", ErrNoNumber, id)
			}
			if _, err := ParseSID(id); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrRange, err)
			}
		}
		if err := b.Set(key, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrChange, err)
		}
	}
	next, err := b.Build(0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChange, err)
	}
	return next, nil
}

// amended returns e's members without those that leave and with those that join.
func (e *Ensemble) amended(c Change) ([]Member, error) {
	if _, ok := e.verifier.(*Hierarchical); ok {
		return nil, fmt.Errorf("%w: an ensemble with groups or weights is changed as a whole", ErrChange)
	}
	members := e.Members()
	remove := func(sid SID) {
		for i, m := range members {
			if m.SID == sid {
				members = append(members[:i], members[i+1:]...)
				return
			}
		}
	}
	for text := range entries(c.Leaving) {
		if !isNumber(text) {
			return nil, fmt.Errorf("%w: %q", ErrNoNumber, text)
		}
		if sid, err := ParseSID(text); err == nil { // others are no members
			remove(sid)
		}
	}
	for text := range entries(c.Joining) {
		m, err := parseJoiner(text)
		if err != nil {
			return nil, err
		}
		remove(m.SID)
		members = append(members, m)
	}
	return members, nil
}

// parseJoiner reads server.N=place;client. The client address is required.
func parseJoiner(text string) (Member, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok || strings.Contains(value, "=") {
		return Member{}, fmt.Errorf("%w: %q is no server.N= with an entry", ErrChange, text)
	}
	id := key[strings.LastIndexByte(key, '.')+1:]
	if !isNumber(id) {
		return Member{}, fmt.Errorf("%w: %q", ErrNoNumber, id)
	}
	sid, err := ParseSID(id)
	if err != nil {
		return Member{}, fmt.Errorf("%w: %w", ErrRange, err)
	}
	m, err := ParseMember(sid, value)
	if err != nil {
		return Member{}, fmt.Errorf("%w: %w", ErrChange, err)
	}
	if m.Client == nil {
		return Member{}, fmt.Errorf("%w: server.%v joins without a client address", ErrChange, sid)
	}
	return m, nil
}

// entries yields the parts of a list that are not blank.
func entries(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for text := range strings.SplitSeq(list, ",") {
			if text = strings.TrimSpace(text); text != "" && !yield(text) {
				return
			}
		}
	}
}

func isNumber(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}

// checkClients refuses client addresses that another server uses, for whatever. Wildcards and
// loopback addresses mean something else on each machine.
func checkClients(members []Member) error {
	owner := make(map[Address]SID)
	take := func(sid SID, a Address) error {
		if ip, err := netip.ParseAddr(a.Host); err == nil && (ip.IsUnspecified() || ip.IsLoopback()) || a.Host == "localhost" {
			return nil
		}
		if other, taken := owner[a]; taken && other != sid {
			return fmt.Errorf("%v of server.%v conflicts with server.%v", a, sid, other)
		}
		owner[a] = sid
		return nil
	}
	for _, m := range members {
		if m.Client != nil {
			if err := take(m.SID, *m.Client); err != nil {
				return err
			}
		}
		for _, hp := range m.Quorum {
			for _, a := range [...]Address{hp.Quorum(), hp.Election()} {
				if err := take(m.SID, a); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
