package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// label is the name of an event in the trace (spec hazards 12.1).
type label uint8

const (
	labelNone label = iota
	labelOpen
	labelSetAccepted
	labelSetCurrent
	labelState
	labelVoteSent
	labelVoteRecv
	labelElected
	labelInfo
	labelLeaderInfo
	labelAckEpoch
	labelSync
	labelNewLeader
	labelAckNewLeader
	labelEstablish
	labelUpToDate
	labelPropose
	labelLogged
	labelAck
	labelCommit
	labelApply
	labelCut
	labelInstall
	labelConfig
	labelConfigured
	labelReconfig
	labelRequest
	labelReply
	labelSession
	labelStepDown
	labelExit
	labelSend
	labelRecv
	labelRole
	labelDigest
	labelFault
	labelHeal
	labelCalm
	labelAbsent
	labelViolation
)

var labelNames = [...]string{
	labelNone: "NONE", labelOpen: "OPEN", labelSetAccepted: "SET_ACCEPTED", labelSetCurrent: "SET_CURRENT",
	labelState: "STATE", labelVoteSent: "VOTE_SENT", labelVoteRecv: "VOTE_RECV", labelElected: "ELECTED",
	labelInfo: "INFO", labelLeaderInfo: "LEADERINFO", labelAckEpoch: "ACKEPOCH", labelSync: "SYNC",
	labelNewLeader: "NEWLEADER", labelAckNewLeader: "ACK_NEWLEADER", labelEstablish: "ESTABLISH",
	labelUpToDate: "UPTODATE", labelPropose: "PROPOSE", labelLogged: "LOGGED", labelAck: "ACK",
	labelCommit: "COMMIT", labelApply: "APPLY", labelCut: "CUT", labelInstall: "INSTALL", labelConfig: "CONFIG", labelConfigured: "CONFIGURED", labelReconfig: "RECONFIG",
	labelRequest: "REQUEST", labelReply: "REPLY", labelSession: "SESSION", labelStepDown: "STEPDOWN",
	labelExit: "EXIT", labelSend: "SEND", labelRecv: "RECV", labelRole: "ROLE", labelDigest: "DIGEST", labelFault: "FAULT",
	labelHeal: "HEAL", labelCalm: "CALM", labelAbsent: "ABSENT", labelViolation: "VIOLATION",
}

// line is one event of the trace. What is zero is not printed. The numbers go into the hash of
// the trace; the text is made only when somebody reads it.
type line struct {
	label label
	peer  quorum.SID // 0: none
	point zxid.Point
	n     int64
	set   quorum.Set
	text  string
	vote  *fle.Vote
	msg   *zab.Message
	// entries are bounded by their first and last.
	entries []zab.Entry
}

// trace adds a line about a server, nil for one about the world.
func (s *simulation) trace(srv *server, l line) { //nolint:gocritic // a line stays on the stack
	b := append(s.line[:0], byte(l.label), byte(l.peer))
	if srv != nil {
		srv.sequence++
		b = append(b, byte(srv.sid))
		b = binary.AppendUvarint(b, srv.sequence)
	}
	b = binary.AppendUvarint(b, uint64(s.now))
	b = binary.AppendUvarint(b, uint64(l.point.ID))
	b = binary.AppendUvarint(b, l.point.Hash)
	b = binary.AppendVarint(b, l.n)
	b = binary.AppendUvarint(b, l.set[0]) // simulated ids are small
	b = append(b, l.text...)
	if l.vote != nil {
		b = append(b, byte(l.vote.Leader))
		b = binary.AppendUvarint(b, uint64(l.vote.Zxid))
		b = binary.AppendUvarint(b, uint64(l.vote.Epoch))
	}
	if m := l.msg; m != nil {
		b = append(b, byte(m.Kind))
		b = binary.AppendUvarint(b, uint64(m.Epoch))
		b = binary.AppendUvarint(b, uint64(m.Zxid))
		b = binary.AppendUvarint(b, m.Point.Hash)
		b = binary.AppendUvarint(b, m.Seq)
		b = binary.AppendUvarint(b, uint64(len(m.Data)))
		b = appendBounds(b, m.Entries)
	}
	b = appendBounds(b, l.entries)
	s.line = b
	_, _ = s.hash.Write(b) // never fails
	if s.cfg.Trace != nil && (srv == nil || s.cfg.TraceServers == quorum.Set{} || s.cfg.TraceServers.Has(srv.sid)) {
		s.print(srv, &l)
	}
}

func appendBounds(b []byte, entries []zab.Entry) []byte {
	n := len(entries)
	if n == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(entries[0].ID))
	b = binary.AppendUvarint(b, uint64(entries[n-1].ID))
	return binary.AppendUvarint(b, entries[n-1].Hash)
}

// print writes a line: virtual time, then of a server its id and life, its own count of lines,
// the generation of its role and its epoch, then the event and its fields.
//
//	1203.518ms s2.3 #00412 g5 e4 COMMIT 0x400000007@8f3a... set={1 2}
func (s *simulation) print(srv *server, l *line) {
	b := fmt.Appendf(nil, "%12.3fms ", float64(s.now)/float64(time.Millisecond))
	if srv == nil {
		b = fmt.Appendf(b, "%-22s", "-")
	} else {
		var generation uint64
		epoch := srv.disk.model.current
		if p := srv.proc; p.alive() {
			generation = p.generation
			if p.tenure != nil && p.tenure.machine != nil {
				epoch = max(epoch, p.tenure.machine.Epoch())
			}
		}
		b = fmt.Appendf(b, "s%v.%d #%05d g%d e%-4d", srv.sid, srv.lives, srv.sequence, generation, epoch)
	}
	b = fmt.Appendf(b, " %-13s", labelNames[l.label])
	b = l.fields(b)
	b = append(b, '\n')
	_, _ = s.cfg.Trace.Write(b) // the trace is for reading: a lost line changes nothing
}

// fields prints what the line says.
func (l *line) fields(b []byte) []byte {
	if l.peer != 0 {
		b = fmt.Appendf(b, " peer=%v", l.peer)
	}
	if l.msg != nil {
		b = fmt.Appendf(b, " %s", brief(l.msg))
	}
	if l.point.ID != 0 {
		b = fmt.Appendf(b, " zxid=%v", l.point.ID)
	}
	if l.point.Hash != 0 {
		b = fmt.Appendf(b, " hash=%016x", l.point.Hash)
	}
	if n := len(l.entries); n > 0 {
		b = fmt.Appendf(b, " zxids=%v..%v hash=%016x", l.entries[0].ID, l.entries[n-1].ID, l.entries[n-1].Hash)
	}
	if l.vote != nil {
		b = fmt.Appendf(b, " vote=%v", *l.vote)
	}
	if l.n != 0 {
		b = fmt.Appendf(b, " n=%d", l.n)
	}
	if l.set != (quorum.Set{}) {
		b = fmt.Appendf(b, " set=%v", l.set)
	}
	if l.text != "" {
		b = fmt.Appendf(b, " %s", l.text)
	}
	return b
}

// brief prints a message for the trace.
func brief(m *zab.Message) string {
	switch m.Kind {
	case zab.Proposal, zab.Inform:
		if n := len(m.Entries); n > 0 {
			return fmt.Sprintf("%v %v..%v", m.Kind, m.Entries[0].ID, m.Entries[n-1].Point())
		}
		return m.Kind.String()
	case zab.FollowerInfo, zab.ObserverInfo, zab.LeaderInfo:
		return fmt.Sprintf("%v epoch=%d", m.Kind, m.Epoch)
	case zab.AckEpoch:
		return fmt.Sprintf("%v epoch=%d current=%d fresh=%v needsnap=%v history=%v",
			m.Kind, m.Epoch, m.Current, m.Fresh, m.NeedSnap, m.History)
	case zab.Diff, zab.Trunc, zab.Snap, zab.NewLeader:
		return fmt.Sprintf("%v epoch=%d at=%v", m.Kind, m.Epoch, m.Point)
	case zab.Commit, zab.Ack, zab.UpToDate:
		return fmt.Sprintf("%v %v", m.Kind, m.Zxid)
	case zab.Ping:
		return fmt.Sprintf("%v seq=%d", m.Kind, m.Seq)
	default:
		return m.Kind.String()
	}
}

// said is the label under which a server sends a message, or none if it is nothing special.
func said(m *zab.Message) label {
	switch m.Kind {
	case zab.FollowerInfo, zab.ObserverInfo:
		return labelInfo
	case zab.LeaderInfo:
		return labelLeaderInfo
	case zab.AckEpoch:
		return labelAckEpoch
	case zab.Diff, zab.Trunc, zab.Snap:
		return labelSync
	case zab.NewLeader:
		return labelNewLeader
	case zab.UpToDate:
		return labelUpToDate
	case zab.Ack:
		if m.Zxid.Counter() == 0 {
			return labelAckNewLeader
		}
		return labelAck
	default:
		return labelSend
	}
}
