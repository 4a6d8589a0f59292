package peerwire

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/proto/zabpb"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Version is the version of the peer protocol that this package speaks. A server that
// announces a higher one must still understand this one; 0 is refused.
const Version = 1

// MaxHello bounds the encoded size of a Hello, in bytes: before the sender has
// introduced itself nothing longer is read.
const MaxHello = 512

// MaxNotification bounds the encoded size of a fle.Notification, in bytes: nearly all of it may
// be two configurations.
const MaxNotification = 64 << 10

// Channel is the purpose of a connection.
type Channel uint8

// The two channels between servers.
const (
	Election Channel = iota + 1
	Learner
)

// String names the channel for a log line.
func (c Channel) String() string {
	switch c {
	case Election:
		return "election"
	case Learner:
		return "learner"
	}
	return fmt.Sprintf("Channel(%d)", uint8(c))
}

// Refusal says why a connection is not accepted.
type Refusal uint8

// Reasons to refuse a connection. The numbers are on the wire.
const (
	// Accepted: no reason.
	Accepted Refusal = iota
	// RefusedVersion: no common version of the protocol.
	RefusedVersion
	// RefusedChannel: an election connection on the quorum port, or the other way round.
	RefusedChannel
	// RefusedCluster: the sender belongs to another ensemble (hazard H-41).
	RefusedCluster
	// RefusedUnknown: the sender's id is in no configuration that the receiver knows.
	RefusedUnknown
	// RefusedWrongServer: the sender meant to reach another server.
	RefusedWrongServer
	// RefusedOwnSID: the sender has the receiver's id, and another incarnation: two servers
	// run with the same myid (hazard H-39).
	RefusedOwnSID
	// RefusedIncarnation: a server with the sender's id and another incarnation is connected
	// (hazard H-39).
	RefusedIncarnation
	refusalEnd
)

var refusalTexts = [...]string{
	Accepted:           "accepted",
	RefusedVersion:     "unsupported protocol version",
	RefusedChannel:     "wrong channel for this port",
	RefusedCluster:     "belongs to another ensemble (cluster id differs)",
	RefusedUnknown:     "server id is not in the configuration",
	RefusedWrongServer: "address belongs to another server",
	RefusedOwnSID:      "two servers run with the same id (myid)",
	RefusedIncarnation: "another incarnation of the same server id is connected",
}

// String says it in words.
func (r Refusal) String() string {
	if r < refusalEnd {
		return refusalTexts[r]
	}
	return fmt.Sprintf("Refusal(%d)", uint8(r))
}

// Hello is the introduction that either side of a connection sends first (spec
// zab-and-election 2.2, hazards H-39 and H-41).
type Hello struct {
	Version uint32
	// SID is the sender, To the server that it means to speak to.
	SID, To quorum.SID
	Channel Channel
	// Cluster is zero while the sender belongs to no ensemble yet.
	Cluster     quorum.ClusterID
	Incarnation quorum.Incarnation
	// Config is the version of the sender's membership.
	Config zxid.ID
	// Refusal, in the answer of the side that accepted the connection, says why it closes it.
	Refusal Refusal
	// Keep, in the answer of the side that accepted an election connection, says that it stays
	// as it is, whichever side dialled: that side has no address to dial back.
	Keep bool
}

// AppendHello appends the encoding of h to dst.
func AppendHello(dst []byte, h *Hello) []byte {
	dst = appendUint(dst, 1, uint64(h.Version))
	dst = appendSID(dst, 2, h.SID)
	dst = appendSID(dst, 3, h.To)
	dst = appendUint(dst, 4, uint64(h.Channel))
	dst = appendID16(dst, 5, h.Cluster)
	dst = appendID16(dst, 6, h.Incarnation)
	dst = appendFixed(dst, 7, uint64(h.Config))
	dst = appendUint(dst, 8, uint64(h.Refusal))
	return appendBool(dst, 9, h.Keep)
}

// DecodeHello reads one Hello, all of b. It copies; b may be reused.
func DecodeHello(b []byte) (Hello, error) {
	var h Hello
	r := reader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			h.Version = uint32(r.uint(1<<32 - 1))
		case 2:
			h.SID = r.sid(0)
		case 3:
			h.To = r.sid(quorum.None)
		case 4:
			h.Channel = Channel(r.uint(uint64(zabpb.Channel_CHANNEL_LEARNER)))
		case 5:
			h.Cluster = r.id16()
		case 6:
			h.Incarnation = r.id16()
		case 7:
			h.Config = zxid.ID(r.fixed())
		case 8:
			h.Refusal = Refusal(r.uint(uint64(refusalEnd) - 1))
		case 9:
			h.Keep = r.bool()
		default:
			r.skip()
		}
	}
	if r.err == nil && h.Channel == 0 {
		r.fail("hello without a channel")
	}
	if r.err != nil {
		return Hello{}, r.err
	}
	return h, nil
}
