package zab

import "github.com/zabkeeper/zabkeeper/quorum"

// Observer is the role of a server that follows without a voice: it receives what is
// committed and counts nowhere. It lives for one link to the leader.
type Observer struct{ learner }

// NewObserver starts observing a leader; Ready holds OBSERVERINFO.
func NewObserver(cfg Config, leader quorum.SID) *Observer {
	o := &Observer{}
	o.init(cfg, leader, ObserverInfo, &observerTable)
	return o
}

// observerTable says what an observer does with each kind of message. illegal cells
// are empty on purpose: such a message ends the role.
var observerTable = [kindEnd]learnerHandler{
	FollowerInfo: (*learner).illegal,
	ObserverInfo: (*learner).illegal,
	LeaderInfo:   (*learner).onLeaderInfo,
	AckEpoch:     (*learner).illegal,
	Diff:         (*learner).onDiff,
	Trunc:        (*learner).onTrunc,
	Snap:         (*learner).onSnap,
	SnapChunk:    (*learner).illegal,
	Proposal:     (*learner).onProposal,
	Inform:       (*learner).onInform,
	Commit:       (*learner).onCommit,
	NewLeader:    (*learner).onNewLeader,
	Ack:          (*learner).illegal,
	UpToDate:     (*learner).onUpToDate,
	Ping:         (*learner).onPing,
	Touch:        (*learner).illegal,
	Request:      (*learner).illegal,
	Sync:         (*learner).onAnswer,
	Revalidate:   (*learner).onAnswer,
}
