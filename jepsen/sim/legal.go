package sim

import "github.com/zabkeeper/zabkeeper/zab"

// stage says how far the conversation on a link has come, in one direction (I-17).
type stage uint8

const (
	stageSilent    stage = iota
	stageInfo            // FOLLOWERINFO, OBSERVERINFO or LEADERINFO was said
	stageEpoch           // ACKEPOCH was said
	stageSnap            // a snapshot is under way
	stageSync            // the history is under way
	stageNewLeader       // NEWLEADER, or its ACK, was said
	stageServing         // UPTODATE was said
)

// legal checks that a message may come where it comes, as an automaton for each direction of a
// link. What a leader said before a link, and what comes behind a break, is on no other one.
func (l *link) legal(to direction, m *zab.Message) {
	next, ok := l.stage[to], false
	if to == toAcceptor {
		next, ok = learnerSays(next, m)
	} else {
		next, ok = leaderSays(next, m)
	}
	if !ok {
		l.net.s.fail(messageLegal, "server %v is told %s by %v, in stage %d of their link", l.sids[to], brief(m), l.sids[1-to], l.stage[to])
	}
	l.stage[to] = next
}

// learnerSays is the automaton of what a learner says.
func learnerSays(at stage, m *zab.Message) (stage, bool) {
	switch m.Kind {
	case zab.FollowerInfo, zab.ObserverInfo:
		return stageInfo, at == stageSilent
	case zab.AckEpoch:
		return stageEpoch, at == stageInfo
	case zab.Ack:
		if m.Zxid.Counter() == 0 && at == stageEpoch {
			return stageNewLeader, true
		}
		return at, at == stageNewLeader
	case zab.Ping:
		return at, at >= stageInfo
	case zab.Request, zab.Sync, zab.Revalidate, zab.Touch:
		return at, at == stageNewLeader
	default:
		return at, false
	}
}

// leaderSays is the automaton of what a leader says.
func leaderSays(at stage, m *zab.Message) (stage, bool) {
	switch m.Kind {
	case zab.LeaderInfo:
		return stageInfo, at == stageSilent
	case zab.Diff, zab.Trunc:
		return stageSync, at == stageInfo
	case zab.Snap:
		return stageSnap, at == stageInfo
	case zab.SnapChunk:
		if m.Done {
			return stageSync, at == stageSnap
		}
		return at, at == stageSnap
	case zab.NewLeader:
		return stageNewLeader, at == stageSync
	case zab.UpToDate:
		return stageServing, at == stageNewLeader
	case zab.Proposal, zab.Inform, zab.Commit:
		return at, at >= stageSync
	case zab.Ping:
		return at, at >= stageInfo
	case zab.Sync, zab.Revalidate:
		return at, at == stageServing
	default:
		return at, false
	}
}
