package server

import (
	"encoding/binary"
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Reports and rulings travel as forwards and answers of KindRevalidate:
//
//	report       2 | digest version 4 | version 8 | suspect 1 | at 8 | digest 8 | compared 1 | since 8 | difference 8
//	ruling       1 | 'd' | version 8 | verdict 1
const (
	reportVersion = 2
	rulingAnswer  = 'd'
)

// report is what a server says of its tree.
type report struct {
	version uint64 // handed back with a ruling
	suspect bool   // nobody is served; a ruling is wanted
	at      zxid.ID
	digest  uint64 // of the tree at that zxid
	// compared says that the digest has been beyond the announced one by difference, from since until
	// at, which are of one epoch.
	compared   bool
	since      zxid.ID
	difference uint64
}

func (r report) encode() []byte {
	dst := []byte{reportVersion}
	dst = binary.BigEndian.AppendUint32(dst, znode.DigestVersion)
	dst = binary.BigEndian.AppendUint64(dst, r.version)
	dst = jute.AppendBool(dst, r.suspect)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.at))
	dst = binary.BigEndian.AppendUint64(dst, r.digest)
	dst = jute.AppendBool(dst, r.compared)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.since))
	return binary.BigEndian.AppendUint64(dst, r.difference)
}

// isReport tells a report from a renewal.
func isReport(payload []byte) bool { return len(payload) > 0 && payload[0] == reportVersion }

func decodeReport(payload []byte) (r report, err error) {
	if !isReport(payload) {
		return report{}, fmt.Errorf("%w: unknown version", errEnvelope)
	}
	c := jute.NewCursor(payload[1:])
	if c.Int() != znode.DigestVersion {
		c.Fail("the digest is another")
	}
	r.version = uint64(c.Long())
	r.suspect = c.Bool()
	r.at = zxid.ID(c.Long())
	r.digest = uint64(c.Long())
	r.compared = c.Bool()
	r.since = zxid.ID(c.Long())
	r.difference = uint64(c.Long())
	if r.compared && (r.since > r.at || r.since.Epoch() != r.at.Epoch()) {
		c.Fail("since and at contradict each other")
	}
	return r, ended(&c)
}

// verdict is what the leader says of a tree.
type verdict uint8

const (
	verdictRight     verdict = 'r' // a quorum has the same
	verdictWrong     verdict = 'w' // a quorum has another one
	verdictContested verdict = 'c' // trees differ, and no quorum has the same
)

// ruling answers the report of that version.
type ruling struct {
	version uint64
	verdict verdict
}

func (r ruling) encode() []byte {
	dst := []byte{envelopeVersion, rulingAnswer}
	dst = binary.BigEndian.AppendUint64(dst, r.version)
	return append(dst, byte(r.verdict))
}

// isRuling tells a ruling from the other answers of KindRevalidate.
func isRuling(payload []byte) bool {
	return len(payload) > 1 && payload[0] == envelopeVersion && payload[1] == rulingAnswer
}

const rulingLen = 2 + 8 + 1

func decodeRuling(payload []byte) (r ruling, err error) {
	if !isRuling(payload) || len(payload) < rulingLen {
		return ruling{}, fmt.Errorf("%w: no ruling", errEnvelope)
	}
	r.version = binary.BigEndian.Uint64(payload[2:])
	r.verdict = verdict(payload[rulingLen-1])
	switch r.verdict {
	case verdictRight, verdictWrong, verdictContested:
		return r, nil
	}
	return ruling{}, fmt.Errorf("%w: unknown verdict", errEnvelope)
}
