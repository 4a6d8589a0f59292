package txnlog

import (
	"encoding/binary"
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// maxMembers bounds the text of a configuration, so that two of them fit into a record.
const maxMembers = quorum.MaxEnsemble

// checkMembers refuses what could not be written.
func checkMembers(m quorum.Membership) error {
	if m.IsZero() {
		return nil
	}
	for _, e := range [...]*quorum.Ensemble{m.Committed, m.Seen} {
		if n := len(e.String()); n > maxMembers {
			return fmt.Errorf("txnlog: configuration of %d bytes, at most %d can be kept", n, maxMembers)
		}
	}
	return nil
}

// encodeMembers writes both configurations; the second is left out while they are the same.
func encodeMembers(m quorum.Membership) []byte {
	text := m.Committed.String()
	f := binary.BigEndian.AppendUint64(nil, uint64(m.Committed.Version()))
	f = binary.BigEndian.AppendUint16(f, uint16(len(text)))
	f = append(f, text...)
	if m.Pending() {
		f = binary.BigEndian.AppendUint64(f, uint64(m.Seen.Version()))
		f = append(f, m.Seen.String()...)
	}
	return seal(kindMembers, f)
}

func decodeMembers(r []byte) (quorum.Membership, error) {
	f, err := unseal(kindMembers, r)
	if err != nil {
		return quorum.Membership{}, err
	}
	bad := fmt.Errorf("%w %q: %d bytes", errRecord, kindMembers, len(f))
	if len(f) < 10 || len(f)-10 < int(binary.BigEndian.Uint16(f[8:])) {
		return quorum.Membership{}, bad
	}
	n := 10 + int(binary.BigEndian.Uint16(f[8:]))
	committed, err := decodeConfiguration(f, f[10:n])
	if err != nil || n == len(f) {
		return quorum.Stable(committed), err
	}
	if len(f) < n+8 {
		return quorum.Membership{}, bad
	}
	seen, err := decodeConfiguration(f[n:], f[n+8:])
	if err == nil && seen.Version() <= committed.Version() {
		err = bad
	}
	return quorum.Membership{Committed: committed, Seen: seen}, err
}

// decodeConfiguration reads one configuration, in the form in which it was written.
func decodeConfiguration(version, text []byte) (*quorum.Ensemble, error) {
	e, err := quorum.ParseEnsemble(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w %q: %w", errRecord, kindMembers, err)
	}
	v := zxid.ID(binary.BigEndian.Uint64(version))
	if v < 0 || e.String() != string(text) || len(text) > maxMembers {
		return nil, fmt.Errorf("%w %q: version %d", errRecord, kindMembers, v)
	}
	return e.WithVersion(v), nil
}
