package transport

import (
	"slices"
	"strconv"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// SetMembers makes m the membership, at once: who may connect, who is dialled and where, and where
// this server listens. A member that has left loses its election connection and is a stranger from then
// on; a connection that was dialled to an address that is gone is replaced by a new one. Links of
// the learner channel are left alone. Calls must not overlap; an equal membership
// changes nothing.
func (t *Transport) SetMembers(m quorum.Membership) {
	t.mu.Lock()
	if t.members.Equal(m) {
		t.mu.Unlock()
		return
	}
	t.setMembers(m)
	t.mu.Unlock()
	signal(t.wake)
	signal(t.moved)
}

// setMembers is SetMembers for a caller that holds mu.
func (t *Transport) setMembers(m quorum.Membership) {
	t.members = m
	talks := m.Partners(t.cfg.Self)
	for sid, v := range t.voices {
		if !talks.Has(sid) {
			v.leave()
		}
	}
	for sid := range talks.All() {
		v := t.voiceOf(sid)
		if k := v.join(addresses(m, sid, peerwire.Election)); k != nil {
			t.keepers = append(t.keepers, k)
		}
	}
}

// membership returns what SetMembers said last.
func (t *Transport) membership() quorum.Membership {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.members
}

// voice returns the voice of a server, nil if it never had one.
func (t *Transport) voice(sid quorum.SID) *voice {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.voices[sid]
}

// voiceOf returns the voice of a server, which is made if there is none. The caller holds mu.
func (t *Transport) voiceOf(sid quorum.SID) *voice {
	v := t.voices[sid]
	if v == nil {
		v = newVoice(t, sid)
		t.voices[sid] = v
	}
	return v
}

// keeps reports whether this server sees to it that it has an election connection to sid.
func (t *Transport) keeps(sid quorum.SID) bool {
	v := t.voice(sid)
	return v != nil && v.kept()
}

// addresses returns where a server is to be reached: at the addresses of the newest configuration
// first, and, while it is not committed, at the former ones, too, since the server may not have heard.
func addresses(m quorum.Membership, sid quorum.SID, ch peerwire.Channel) []string {
	var out []string
	for _, at := range places(m, sid) {
		if a := place(at, ch).String(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// places returns a server's entries in both configurations, the newest first.
func places(m quorum.Membership, sid quorum.SID) []quorum.HostPorts {
	if m.IsZero() {
		return nil
	}
	var out []quorum.HostPorts
	for _, e := range [...]*quorum.Ensemble{m.Seen, m.Committed} {
		if found, ok := e.Member(sid); ok {
			out = append(out, found.Quorum...)
		}
	}
	return out
}

func place(at quorum.HostPorts, ch peerwire.Channel) quorum.Address {
	if ch == peerwire.Election {
		return at.Election()
	}
	return at.Quorum()
}

// ownAddresses returns where this server listens under a membership; nothing if neither it nor the
// configuration file says so.
func (t *Transport) ownAddresses(m quorum.Membership, ch peerwire.Channel) []string {
	own := places(m, t.cfg.Self)
	if len(own) == 0 {
		own = t.cfg.Own.Quorum
	}
	var out []string
	for _, at := range own {
		a := place(at, ch)
		if t.cfg.ListenOnAllIPs {
			out = append(out, ":"+strconv.Itoa(a.Port))
		} else {
			out = append(out, a.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // the same port of several addresses, or in both configurations
}
