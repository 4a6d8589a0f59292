package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Kind says what a Forward or an answer is about.
type Kind uint8

// The kinds.
const (
	// KindRequest forwards a client's write; no answer but the committed transaction.
	KindRequest Kind = iota + 1
	// KindSync asks for an answer behind everything that was proposed when the leader
	// handled it; the answer's payload is the question's.
	KindSync
	// KindRevalidate asks whether a session may be renewed through this server. Answers of
	// this kind also tell a server that a session has moved away from it.
	KindRevalidate
	// KindTouch lists sessions that were heard of; no answer.
	KindTouch
)

// Forward is something for the leader. Payload is opaque to everybody but this package,
// belongs to the receiver and is not changed any more.
type Forward struct {
	Kind    Kind
	Payload []byte
}

// Origin is the id of the server through which a client speaks.
type Origin int

// Replicator carries what a server's clients want to whoever leads, that server itself
// included. Submit keeps order, never blocks and may be called from any goroutine; what is
// submitted while nobody leads may be dropped, since the clients' connections are closed
// in that case. It is called with a connection's lock held, so it must not call back into
// the Server other than Commit, Answered and Forwarded. The slice fs is not kept.
type Replicator interface {
	Submit(fs []Forward)
}

// Proposer is the leader's way into the replicated log. Neither method blocks; both are
// called from one goroutine, between Lead and the return of StopServing.
type Proposer interface {
	// Propose proposes transactions with consecutive zxids from first on.
	Propose(first zxid.ID, txns [][]byte)
	// Answer sends payload to a server's Answered, behind the commit of everything that
	// was proposed before.
	Answer(to Origin, kind Kind, payload []byte)
	// Reconfigure judges a change of the ensemble that would be the transaction number at, behind
	// everything that was proposed before. It waits for the answer, or until stop is closed; then, and
	// with any code but CodeOK, nothing is proposed. It is called once before each ProposeReconfig.
	Reconfigure(at zxid.ID, change *proto.ReconfigRequest, stop <-chan struct{}) Reconfiguration
	// ProposeReconfig proposes the transaction of the change that was judged last.
	ProposeReconfig(at zxid.ID, txn []byte)
}

// Reconfiguration is what becomes of a change of the ensemble: CodeOK and what /zookeeper/config
// is to hold, or a refusal.
type Reconfiguration = znode.Reconfig

// Store is the tree. Reads are safe beside Install, as *store.Store promises them, and
// leave the node in a cache; the server calls Install from one goroutine.
type Store interface {
	znode.View
	// Sessions calls yield with each live session and its timeout in ms, ascending,
	// until it returns false.
	Sessions(yield func(id proto.SessionID, timeout int32) bool)
	// Owners calls yield with each session that owns an ephemeral, until it returns false.
	Owners(yield func(owner proto.SessionID) bool)
	// Owned calls yield with each ephemeral and its owner, in the order of Owners and then of the
	// paths, behind the given one, until it returns false. A zero owner begins with the first.
	Owned(owner proto.SessionID, path string, yield func(owner proto.SessionID, path string) bool)
	// Marked calls yield with the path of each container and each node with a time to live
	// behind the given path, ascending, until it returns false. "" begins with the first.
	Marked(after string, yield func(path string) bool)
	// Below begins to count the nodes below path in the state of this moment, and costs next to
	// nothing. count does the work and must be called once; it may be slow, goes on beside
	// Install, and ends early, with a number that means nothing, when stop is closed.
	Below(path string) (count func(stop <-chan struct{}) int)
	Applied() zxid.Point
	// Install makes changes visible together with the point that they lead to. An error
	// ends the server.
	Install(changes *znode.Changes, at zxid.Point) error
	Digest() uint64
	// PublicDigest is Digest without what lies below znode.SystemPath. The goroutine that installs
	// calls it.
	PublicDigest() uint64
	NodeCount() int
	EphemeralCount() int
	DataSize() int64
}

// Committed is one committed transaction, as proto.AppendTxn wrote it. Txn is not changed
// any more.
type Committed struct {
	At  zxid.Point
	Txn []byte
}

// PeerStatus is what the server's peer knows about itself, for the operators' commands.
type PeerStatus struct {
	// Mode is "leader", "follower", "observer" or "standalone".
	Mode string
	// PeerState is the state in words, such as "following - broadcast"; empty on a
	// standalone server.
	PeerState string
	// QuorumSize is the number of voters, 0 on a standalone server.
	QuorumSize int
	// Of a leader: who follows, and for how long it leads.
	Learners, SyncedFollowers, SyncedNonVoting, SyncedObservers, PendingSyncs int
	LeaderUptimeMs                                                            int64
	// Extra are further lines of the mntr command, in order, such as fsync times.
	Extra []Metric
}

// Metric is one line of the mntr command.
type Metric = fourletter.Metric

// Status is the server's peer, asked by the operators' commands.
type Status interface {
	// PeerStatus may be called from any goroutine at any time and does not block.
	PeerStatus() PeerStatus
	// ResetStats begins to count afresh what Extra counts. It may be called as PeerStatus may.
	ResetStats()
}
