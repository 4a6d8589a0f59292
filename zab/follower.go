package zab

import "github.com/zabkeeper/zabkeeper/quorum"

// Follower is the role of a voter, or of a server about to become one, that follows a
// leader: it logs and acknowledges proposals. It lives for one link to the leader.
type Follower struct{ learner }

// NewFollower starts following a leader; Ready holds FOLLOWERINFO.
func NewFollower(cfg Config, leader quorum.SID) *Follower {
	f := &Follower{}
	f.init(cfg, leader, FollowerInfo, &followerTable)
	return f
}

// followerTable says what a follower does with each kind of message. illegal cells
// are empty on purpose: such a message ends the role.
var followerTable = [kindEnd]learnerHandler{
	FollowerInfo: (*learner).illegal,
	ObserverInfo: (*learner).illegal,
	LeaderInfo:   (*learner).onLeaderInfo,
	AckEpoch:     (*learner).illegal,
	Diff:         (*learner).onDiff,
	Trunc:        (*learner).onTrunc,
	Snap:         (*learner).onSnap,
	SnapChunk:    (*learner).illegal,
	Proposal:     (*learner).onProposal,
	Inform:       (*learner).illegal,
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
