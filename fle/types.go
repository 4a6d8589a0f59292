package fle

import (
	"fmt"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// State is what a server is doing, as its notifications tell the others.
type State uint8

// The four states of a server (spec zab-and-election 0). Every server begins in
// Looking; an election ends it in one of the others, and any trouble returns it.
const (
	Looking State = iota
	Following
	Leading
	Observing
)

// String prints the state as Apache's logs do.
func (s State) String() string {
	switch s {
	case Looking:
		return "LOOKING"
	case Following:
		return "FOLLOWING"
	case Leading:
		return "LEADING"
	case Observing:
		return "OBSERVING"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Vote names a leader and the history that recommends it.
type Vote struct {
	Leader quorum.SID
	// Zxid is the last transaction that the leader has logged, or
	// zxid.Untrusted when its store must not be believed.
	Zxid zxid.ID
	// Epoch is the leader's current epoch, not the epoch of Zxid: recency is
	// judged by the last NEWLEADER that was accepted (spec 18, "Recency").
	Epoch zxid.Epoch
}

// String prints the vote as 3@(2, 0x100000007): leader 3, epoch 2, zxid.
func (v Vote) String() string { return fmt.Sprintf("%v@(%d, %v)", v.Leader, v.Epoch, v.Zxid) }

// Notification is the one message of the election.
type Notification struct {
	From, To quorum.SID
	State    State
	Vote     Vote
	// Round is the sender's logical clock: the round in which the vote was
	// cast, or, of a settled server, the round in which it was elected.
	Round uint64
	// Config is the sender's committed configuration, nil as long as that has no version: what is
	// in a server's file is its own business.
	Config *quorum.Ensemble
	// Pending is the configuration that the sender has logged the proposal of and does not know to be
	// committed, nil if there is none. It is never hearsay, so that what has come to nothing is forgotten
	// with the last log that holds it.
	Pending *quorum.Ensemble
	// Life is the sender's store, and Noted the note by which it knows that store to be the one that counts
	// under its id, 0 if it has none. The driver tells the machine by Distrust what it makes of that.
	Life  quorum.Incarnation
	Noted zxid.ID
}

// Config is what a Machine is made of. All durations are in election ticks; the
// driver decides how long one is.
type Config struct {
	Self       quorum.SID
	Membership quorum.Membership
	// FinalizeTicks is how long a satisfied quorum waits for a better vote from
	// voters that have not spoken yet.
	FinalizeTicks int
	// MinNotifyTicks and MaxNotifyTicks bound the back-off of repeated
	// notifications. A server that disagrees of a vote is answered every MinNotifyTicks at most.
	MinNotifyTicks, MaxNotifyTicks int
	// CutOffTicks is how long a server stands for election that reaches some server and no quorum,
	// as far as Reach tells; 0 is for ever.
	CutOffTicks int
}

// Outcome is how an election ended for this server.
type Outcome struct {
	State State // Leading, Following or Observing
	Vote  Vote
	Round uint64
	// Supporters are the voters whose votes made the quorum.
	Supporters quorum.Set
}

// Event is something that an operator following the log of an election wants to
// read: it changes nothing.
type Event struct {
	Kind EventKind
	Peer quorum.SID
	Vote Vote
	Text string
}

// EventKind classifies an Event.
type EventKind uint8

// Kinds of events.
const (
	EventRound   EventKind = iota // a round began: own vote proposed
	EventAdopted                  // a better vote was adopted from Peer
	EventIgnored                  // a notification was ignored; Text says why
	EventElected                  // the election ended
)

// Ready is everything to do since the last call of Machine.Ready.
type Ready struct {
	// Messages are to be sent; only the newest to each peer matters.
	Messages []Notification
	// Outcome is non-nil exactly once per election: when it ends.
	Outcome *Outcome
	// Newer is a configuration that another server knows to be committed and that is newer than
	// what Membership has. Whoever adopts it does so on disk, and then by Reconfigure.
	Newer *quorum.Ensemble
	// Rumour is a configuration that is pending elsewhere and newer than what Membership has. Somebody
	// whom it alone makes a voter may lead, and has to be within reach; nothing of it is for the disk.
	Rumour *quorum.Ensemble
	Events []Event
}
