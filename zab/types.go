package zab

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Kind is the kind of a Message. The names are Apache's packet names; the numbers
// are our own and are not on any wire.
type Kind uint8

// Kinds of messages. L is a learner (follower or observer), S the leader.
const (
	KindInvalid Kind = iota
	// FollowerInfo L→S opens discovery: Accepted, Incarnation, Cluster, Config.
	FollowerInfo
	// ObserverInfo L→S is the same from an observer.
	ObserverInfo
	// LeaderInfo S→L proposes the new epoch: Epoch, Cluster, Incarnation.
	LeaderInfo
	// AckEpoch L→S accepts it, after the promise is durable: Current (valid if
	// Fresh), History, NeedSnap.
	AckEpoch
	// Diff S→L begins synchronisation from Point, which the learner holds as its end.
	Diff
	// Trunc S→L begins synchronisation by cutting the learner's history to Point.
	Trunc
	// Snap S→L begins synchronisation by a snapshot of the state at Point; SnapChunk
	// messages follow.
	Snap
	// SnapChunk S→L carries a piece of the snapshot in Data; Done marks the last.
	// The roles never see it: drivers exchange it between Snap and the next message.
	SnapChunk
	// Proposal S→F carries Entries to be logged, in order.
	Proposal
	// Inform S→O carries Entries that are committed.
	Inform
	// Commit S→F commits everything up to Zxid.
	Commit
	// NewLeader S→L ends the history to be accepted, at Point; Known, Cluster.
	NewLeader
	// Ack F→S says that everything up to Zxid is durable; Zxid (Epoch, 0) accepts
	// NewLeader or, if Known is there, says that this is durable.
	Ack
	// UpToDate S→L lets the learner serve: the history up to Zxid is committed.
	UpToDate
	// Ping S→L asks for a sign of life, L→S answers with the same Seq.
	Ping
	// Touch L→S carries the sessions heard of since the last one, opaque in Data.
	Touch
	// Request L→S forwards a client's write, opaque in Data.
	Request
	// Sync L→S asks for, S→L answers, a flush of the stream: the answer comes behind the
	// commit of everything that was proposed when the leader handled it, after a quorum has
	// confirmed that it led then. Data is opaque.
	Sync
	// Revalidate L→S asks about a session, S→L answers; ordered like Sync. Data is opaque.
	Revalidate
	kindEnd
)

var kindNames = [...]string{
	KindInvalid: "INVALID", FollowerInfo: "FOLLOWERINFO", ObserverInfo: "OBSERVERINFO",
	LeaderInfo: "LEADERINFO", AckEpoch: "ACKEPOCH", Diff: "DIFF", Trunc: "TRUNC", Snap: "SNAP",
	SnapChunk: "SNAPCHUNK", Proposal: "PROPOSAL", Inform: "INFORM", Commit: "COMMIT",
	NewLeader: "NEWLEADER", Ack: "ACK", UpToDate: "UPTODATE", Ping: "PING", Touch: "TOUCH",
	Request: "REQUEST", Sync: "SYNC", Revalidate: "REVALIDATE",
}

// String prints Apache's packet name.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Valid reports whether k is the kind of a message that may be on a link.
func (k Kind) Valid() bool { return k > KindInvalid && k < kindEnd }

// Message is one message of the learner channel; Kind says which fields count. It
// is shared, not copied, on its way to several learners: nobody changes what the slices
// hold. The channel is FIFO in each direction; every rule about order relies on that.
type Message struct {
	Kind     Kind
	From, To quorum.SID
	// Epoch is, in every S→L message, the epoch that the leader is about to establish
	// or has established; a learner drops the link when it is not the one it follows. A
	// learner puts the same epoch in what it answers. In FollowerInfo and ObserverInfo it is
	// the epoch that the learner has accepted.
	Epoch zxid.Epoch
	Zxid  zxid.ID
	Point zxid.Point

	Entries []Entry
	Data    []byte

	// Reconfiguration. Proposed, in a Proposal or Inform of the broadcast, is the configuration
	// that the last of Entries proposes. Activate, in a Commit or Inform, says that it is in
	// force from now on, and that Designated leads it: the sender, or, if that has left the
	// ensemble, whoever is to take over. (Apache has kinds of their own for these.)
	// Membership, in NewLeader, is what goes with the history up to Point; in LeaderInfo, what
	// the leader works with.
	Proposed   *quorum.Ensemble
	Activate   bool
	Designated quorum.SID
	Membership quorum.Membership

	// Identity and discovery.
	Cluster     quorum.ClusterID
	Incarnation quorum.Incarnation
	Config      zxid.ID    // version of the sender's committed configuration
	Current     zxid.Epoch // AckEpoch: the learner's current epoch
	Fresh       bool       // AckEpoch: the promise is new; a repeated one does not count
	NeedSnap    bool       // AckEpoch: the learner cannot use a DIFF or TRUNC
	Untrusted   bool       // FollowerInfo, AckEpoch: the learner's store must not be believed
	History     Summary    // AckEpoch
	Known       []Known    // LeaderInfo, AckEpoch, NewLeader, Ping, Ack: remembered incarnations; FollowerInfo: the own one
	Seq         uint64     // Ping: tick and round of the leader, see pingSeq
	Done        bool       // SnapChunk
}

// Known is the incarnation of a voter that was synchronised once. A zero incarnation
// says that nobody is to be believed under this id: the one that was known is void, and a new
// one has not been adopted yet. Whoever compares incarnations needs no special
// case for it: no server has it.
type Known struct {
	SID         quorum.SID
	Incarnation quorum.Incarnation
	// Gone says that the server was a voter and is none any more; whoever comes under its id when
	// it is one again counts at once.
	Gone bool
	// Noted orders what was ever known under one id: the epoch whose leader noted it, and how
	// many notes it had made. Of two notes the later is true, whoever still has the other.
	Noted zxid.ID
	// Acked is how far the incarnation had acknowledged committed history when it was noted. It cannot have less
	// ever again, unless somebody has put an older copy of its store in place.
	Acked zxid.ID
}

// Durable is what a server's disk says when a role starts.
type Durable struct {
	Cluster     quorum.ClusterID
	Incarnation quorum.Incarnation
	Promise     Promise
	// Current is the epoch of the last NEWLEADER that was accepted.
	Current zxid.Epoch
	History Summary
	// Committed is a zxid that is known to be committed: at least what the tree
	// has applied.
	Committed zxid.ID
	// Known are the incarnations of voters ever seen synchronised, by sid.
	Known []Known
	// Membership is what was written with the history; zero as long as nothing was. Roles work
	// with Config.Membership, which the driver makes of it.
	Membership quorum.Membership
	// Untrusted is set when the store is empty or damaged in a way that may have
	// lost acknowledged transactions; the server then abstains (hazards H-20, H-40, H-51).
	Untrusted bool
}

// Latest returns the membership to work with: what is on disk, unless what this server was
// configured with is newer. What a file says without a version is where an ensemble begins, and
// nothing once the disk knows better (hazards H-79, H-83).
func (d *Durable) Latest(configured quorum.Membership) quorum.Membership {
	if m := d.Membership; !m.IsZero() && m.Committed.Version() >= configured.Committed.Version() {
		return m
	}
	return configured
}

// Note returns the note by which the server's own store is known to be the one that counts under its
// id: from then on nobody else is. It is 0 if there is none.
func (d *Durable) Note(self quorum.SID) zxid.ID {
	i, found := findKnown(d.Known, self)
	if !found || d.Known[i].Gone || d.Incarnation.IsZero() || d.Known[i].Incarnation != d.Incarnation {
		return 0
	}
	return d.Known[i].Noted
}

// Stranger reports whether life, under which sid introduces itself, is not the one that was once
// synchronised under that id, as far as this disk knows. noted is what sid says of itself (Note). If that is
// later than what is noted here, this server was away when a new store was adopted: a quorum that
// did not include it has voided the old one (design "Empty, wiped and duplicated members").
func (d *Durable) Stranger(sid quorum.SID, life quorum.Incarnation, noted zxid.ID) bool {
	i, found := findKnown(d.Known, sid)
	return found && !d.Known[i].Gone && !life.IsZero() && d.Known[i].Incarnation != life && noted <= d.Known[i].Noted
}

// Promise is the durable promise never to give a vote to a leader of a lower epoch: not to acknowledge
// anything of it, nor to help another leader of the same one to find its quorum of
// promises (spec 6.2, hazard H-34). Who has no vote that it could give follows either.
type Promise struct {
	Epoch  zxid.Epoch
	Leader quorum.SID
}

// Persist is one atomic, synced step on disk. Its parts take effect in the order
// of the fields; after a crash either all of them are there or none.
type Persist struct {
	// Token numbers the steps of a role from 1; Persisted(token) says that this and
	// every earlier one is durable.
	Token uint64
	// Promise, if not nil, is the new accepted epoch.
	Promise *Promise
	// Install, if not nil, replaces the whole history by the staged snapshot at this
	// point; entries staged since follow it.
	Install *zxid.Point
	// Truncate, if not nil, cuts the history after this point, which must be in it, with
	// this hash: a log that holds the zxid under another hash has diverged and must refuse.
	Truncate *zxid.Point
	// Append adds entries behind the end of the history.
	Append []Entry
	// Current, if not nil, is the new current epoch.
	Current *zxid.Epoch
	// Cluster, if not zero, is the ensemble that the server now belongs to.
	Cluster quorum.ClusterID
	// Known, if not nil, replaces the remembered incarnations.
	Known []Known
	// Membership, if not zero, replaces the configurations.
	Membership quorum.Membership
}

// Empty reports whether the step would change nothing.
func (p *Persist) Empty() bool {
	return p.Promise == nil && p.Install == nil && p.Truncate == nil && len(p.Append) == 0 &&
		p.Current == nil && p.Cluster.IsZero() && p.Known == nil && p.Membership.IsZero()
}

// Stream asks the driver to send history from disk to one learner, and to call
// StreamDone with the point that it reached, or StreamFailed. While it runs the role sends that
// learner nothing but pings. When the link to the learner ends, so does the stream:
// the driver reports nothing of it any more.
type Stream struct {
	To quorum.SID
	// Snapshot: send Snap at the point of an exact snapshot of the state, then its
	// chunks; StreamDone gets that point. Otherwise send the log entries (From, UpTo] as
	// Proposal messages.
	Snapshot bool
	From     zxid.ID
	UpTo     zxid.ID
	// Epoch is to be put in every message sent.
	Epoch zxid.Epoch
}

// Phase is the phase of a role, in Zab's terms.
type Phase uint8

// The phases of a role. Stopped is final: the server goes back to LOOKING.
const (
	Discovery Phase = iota
	Synchronization
	Broadcast
	Stopped
)

// String prints the phase as the mntr command does.
func (p Phase) String() string {
	switch p {
	case Discovery:
		return "discovery"
	case Synchronization:
		return "synchronization"
	case Broadcast:
		return "broadcast"
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// Ready is everything to do since the last call of Ready. The order in which the driver
// works is: hand Persist to the log; send Messages, which are free to go at once, since a
// role says what it promises about the disk only after Persisted told it; start Streams; stage
// what is to be staged; deliver Commit, then Deliver; surface Requests; close what is in Drop.
//
// Messages, Streams, Deliver, Requests, Drop and Events are valid until the next call of
// Ready, which may reuse them. Persist, Stage and whatever a Message refers to (Entries,
// Data, Known, History) are never touched again: they may be kept, and must not be changed.
type Ready struct {
	Persist  *Persist // nil: nothing
	Messages []Message
	Streams  []Stream
	// Stage are entries to be kept, unsynced, beside a snapshot that is being
	// received, until Persist.Install makes them the history.
	Stage []Entry
	// Commit, if not zero, is the new end of the committed history: everything up
	// to it is to be handed to the state machine, in order. A quorum holds it durably;
	// unless Config.DeliverDurable is set this server's own disk may still be behind.
	Commit zxid.ID
	// Deliver are answers to this server's own Sync and Revalidate requests; they
	// come behind Commit.
	Deliver []Message
	// Requests are what learners want of the leader's state machine: Request, Sync,
	// Revalidate and Touch messages, in order per learner.
	Requests []Message
	// Membership, if not zero, is what the server works with from now on: links and elections
	// follow it. What of it must survive is in Persist.
	Membership quorum.Membership
	// Drop are learners whose link is to be closed.
	Drop   []quorum.SID
	Events []Event
}

// Event is something that an operator following one server's log wants to read. It
// changes nothing.
type Event struct {
	Kind EventKind
	Peer quorum.SID
	Zxid zxid.ID
	Text string
}

// EventKind classifies an Event.
type EventKind uint8

// Kinds of events.
const (
	EventPhase      EventKind = iota // the role entered a phase, named in Text
	EventEpoch                       // an epoch was proposed or accepted
	EventSync                        // a learner is synchronised: how, in Text
	EventSynced                      // a learner accepted NEWLEADER or became up to date
	EventDropped                     // a learner's link was given up: why, in Text
	EventStopped                     // the role ended: why, in Text
	EventRefused                     // something was refused: what and why, in Text
	EventDivergence                  // histories differ under one zxid: an alarm
	EventReconfig                    // a configuration was proposed or is in force: Text
)
