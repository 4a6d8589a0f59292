package peerwire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// appendReconfig appends what messages about configurations carry.
func appendReconfig(dst []byte, m *zab.Message) []byte {
	dst = appendConfiguration(dst, 20, m.Proposed)
	dst = appendBool(dst, 21, m.Activate)
	if m.Activate {
		dst = appendSID(dst, 22, m.Designated)
	}
	dst = appendConfiguration(dst, 23, m.Membership.Committed)
	if m.Membership.Seen != m.Membership.Committed {
		dst = appendConfiguration(dst, 24, m.Membership.Seen)
	}
	return dst
}

// reconfig reads a field that only messages about configurations carry.
func (r *reader) reconfig(m *zab.Message) {
	switch r.num {
	case 20:
		m.Proposed = r.configuration()
	case 21:
		m.Activate = r.bool()
	case 22:
		m.Designated = r.sid(quorum.None)
	case 23:
		m.Membership.Committed = r.configuration()
	case 24:
		m.Membership.Seen = r.configuration()
	default:
		r.skip()
	}
}

func appendConfiguration(dst []byte, num protowire.Number, e *quorum.Ensemble) []byte {
	if e == nil {
		return dst
	}
	text := e.String()
	n := sizeFixed(1, uint64(e.Version()))
	if text != "" {
		n += protowire.SizeTag(2) + protowire.SizeBytes(len(text))
	}
	dst = appendHead(dst, num, n)
	dst = appendFixed(dst, 1, uint64(e.Version()))
	return appendBytes(dst, 2, []byte(text))
}

// configuration reads a membership; what cannot be one is refused.
func (r *reader) configuration() *quorum.Ensemble {
	var version zxid.ID
	var text []byte
	sub := reader{b: r.bytes()}
	for sub.next() {
		switch sub.num {
		case 1:
			version = zxid.ID(sub.fixed())
		case 2:
			text = sub.bytes()
		default:
			sub.skip()
		}
	}
	r.join(&sub)
	if r.err != nil {
		return nil
	}
	e, err := quorum.ParseEnsemble(string(text))
	if err != nil || version < 0 {
		r.fail("no configuration")
		return nil
	}
	return e.WithVersion(version)
}
