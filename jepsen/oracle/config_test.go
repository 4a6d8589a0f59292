package oracle_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

const configPath = "/zookeeper/config"

// member is the entry of a server.
func member(id int, role string) string {
	return fmt.Sprintf("server.%d=host%d:2888:3888:%s;host%d:2181", id, id, role, id)
}

// servers is the content of the configuration node: voters, and observers as negative numbers.
func servers(version zxid.ID, ids ...int) string {
	var out []string
	for _, id := range ids {
		role := "participant"
		if id < 0 {
			id, role = -id, "observer"
		}
		out = append(out, member(id, role))
	}
	return strings.Join(append(out, fmt.Sprintf("version=%x", int64(version))), "\n")
}

// configStat is the Stat of the configuration node as transaction m has left it, 0: as it was in the beginning.
func configStat(m int, text string) proto.Stat {
	s := proto.Stat{Mzxid: at(m), Mtime: 999 + int64(m), Version: -1, Aversion: -1, DataLength: int32(len(text))}
	if m == 0 {
		s.Mtime = 7 // a server's own
	}
	return s
}

func configReply(m int, text string) proto.GetDataResponse {
	return proto.GetDataResponse{Data: []byte(text), Stat: configStat(m, text)}
}

func reconfigTxn(text string) *proto.SetDataTxn {
	return &proto.SetDataTxn{Path: configPath, Data: []byte(text), Version: -1}
}

func joining(version zxid.ID, entries ...string) proto.ReconfigRequest {
	return proto.ReconfigRequest{JoiningServers: proto.Str(strings.Join(entries, ",")), CurConfigID: version}
}

func leaving(version zxid.ID, ids string) proto.ReconfigRequest {
	return proto.ReconfigRequest{LeavingServers: proto.Str(ids), CurConfigID: version}
}

var (
	config0 = servers(epoch, 1, 2, 3)
	config3 = servers(at(3), 1, 2, 3, 4)
	config7 = servers(at(7), 1, -2, 4)
	trusted = oracle.Options{SyncReads: true, LinearizableReads: true, Config: config0, Reconfig: true}
)

// memberStory is how Bob, the super user, changes the members, and Ann watches.
//
//	1 ann, 2 bob begin           3 bob: 4 joins      4 bob's next change expects the old list
//	5 ann may not change it      6 no quorum         7 bob: a whole new list
//	8 another one under way      9 bob: too few voters
func memberStory(t *testing.T) *story {
	t.Helper()
	s := &story{t: t}
	s.txn(ann, 0, proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 4000})
	s.txn(bob, 0, proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 4000})
	s.open(1, ann, 0)
	s.open(2, bob, 0)
	s.send(2, -4, proto.OpAuth, proto.AuthPacket{Scheme: "digest", Auth: []byte("super:x")})
	s.reply(2, -4, 2, 0, nil)
	s.send(1, 1, proto.OpGetData, proto.ReadRequest{Path: configPath, Watch: true})
	s.reply(1, 1, 2, 0, configReply(0, config0))
	s.send(1, 2, proto.OpExists, proto.ReadRequest{Path: configPath})
	s.reply(1, 2, 2, 0, proto.StatResponse{Stat: configStat(0, config0)})

	s.send(2, 1, proto.OpReconfig, joining(epoch, member(4, "participant")))
	s.txn(bob, 1, proto.OpReconfig, reconfigTxn(config3))
	s.reply(2, 1, 3, 0, configReply(3, config3))
	s.event(1, 3, proto.EventNodeDataChanged, configPath)
	s.send(1, 3, proto.OpGetData, proto.ReadRequest{Path: configPath, Watch: true})
	s.reply(1, 3, 3, 0, configReply(3, config3))

	s.send(2, 2, proto.OpReconfig, leaving(epoch, "3"))
	s.txn(bob, 2, proto.OpError, &proto.ErrorTxn{Err: proto.CodeBadVersion})
	s.reply(2, 2, 4, proto.CodeBadVersion, nil)
	s.send(1, 4, proto.OpReconfig, leaving(-1, "3"))
	s.txn(ann, 4, proto.OpError, &proto.ErrorTxn{Err: proto.CodeNoAuth})
	s.reply(1, 4, 5, proto.CodeNoAuth, nil)
	s.send(2, 3, proto.OpReconfig, joining(-1, member(5, "participant"), member(6, "participant")))
	s.txn(bob, 3, proto.OpError, &proto.ErrorTxn{Err: proto.CodeNewConfigNoQuorum})
	s.reply(2, 3, 6, proto.CodeNewConfigNoQuorum, nil)

	s.record(oracle.Ended, 1, nil) // Ann is away
	whole := []string{member(4, "participant"), member(2, "observer"), member(1, "participant")}
	s.send(2, 4, proto.OpReconfig, proto.ReconfigRequest{NewMembers: proto.Str(strings.Join(whole, ",")), CurConfigID: at(3)})
	s.send(2, 5, proto.OpReconfig, leaving(-1, "2"))
	s.txn(bob, 4, proto.OpReconfig, reconfigTxn(config7))
	s.txn(bob, 5, proto.OpError, &proto.ErrorTxn{Err: proto.CodeReconfigInProgress})
	s.reply(2, 4, 7, 0, configReply(7, config7))
	s.reply(2, 5, 8, proto.CodeReconfigInProgress, nil)
	s.send(2, 6, proto.OpReconfig, leaving(-1, "4"))
	s.txn(bob, 6, proto.OpError, &proto.ErrorTxn{Err: proto.CodeBadArguments})
	s.reply(2, 6, 9, proto.CodeBadArguments, nil)

	s.open(3, ann, at(5))
	s.send(3, 5, proto.OpSetWatches, proto.SetWatches{RelativeZxid: at(5), Data: []string{configPath}})
	s.event(3, -1, proto.EventNodeDataChanged, configPath)
	s.reply(3, 5, 9, 0, nil)
	s.send(3, 6, proto.OpGetData, proto.ReadRequest{Path: configPath})
	s.reply(3, 6, 9, 0, configReply(7, config7))
	s.send(3, 7, proto.OpMultiRead, proto.MultiRequest{Ops: []proto.MultiOp{{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: configPath}}}})
	s.reply(3, 7, 9, 0, proto.MultiResponse{Results: []proto.MultiResult{{Type: proto.OpGetData, Data: []byte(config7), Stat: configStat(7, config7)}}})
	return s
}

func TestAGoodHistoryOfMembersPasses(t *testing.T) {
	s := memberStory(t)
	r := oracle.Check(s.log, s.records, trusted)
	for _, v := range r.Violations {
		t.Error(v)
	}
	want := oracle.Report{Txns: 9, Sessions: 2, Connections: 3, Requests: 14, Decisions: 7, Writes: 7, Reads: 6, Events: 1, Changes: 2, Unjudged: 1}
	if fmt.Sprint(*r) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", *r, want)
	}
}

// refuse makes the counter-th transaction of the log a refusal, and the change that it was a reply likewise.
func (s *story) refuse(conn uint32, xid proto.Xid, counter int, code proto.Code) {
	s.log[counter-1].Type, s.log[counter-1].Body = proto.OpError, &proto.ErrorTxn{Err: code}
	s.records[s.find(oracle.Received, conn, xid)].Data = proto.ReplyHeader{Xid: xid, Zxid: at(counter), Err: code}.Append(nil)
}

// accept makes the counter-th transaction of the log a change to the given list.
func (s *story) accept(conn uint32, xid proto.Xid, counter int, text string) {
	s.log[counter-1].Type, s.log[counter-1].Body = proto.OpReconfig, reconfigTxn(text)
	s.records[s.find(oracle.Received, conn, xid)].Data = configReply(counter, text).Append(proto.ReplyHeader{Xid: xid, Zxid: at(counter)}.Append(nil))
}

// TestEachLieAboutTheMembersIsFound breaks the good history in one place at a time.
func TestEachLieAboutTheMembersIsFound(t *testing.T) {
	received := oracle.Received
	show := func(s *story, conn uint32, xid proto.Xid, text string, st proto.Stat) {
		i := s.find(received, conn, xid)
		s.records[i].Data = proto.GetDataResponse{Data: []byte(text), Stat: st}.Append(s.records[i].Data[:16:16])
	}
	for _, c := range []struct {
		name, kind, says string
		lie              func(s *story)
	}{
		{"a change makes another list than it was asked for", "decision", "host4", func(s *story) {
			s.accept(2, 1, 3, servers(at(3), 1, 2, 3))
		}},
		{"a change gives a server another role", "decision", "observer", func(s *story) {
			s.accept(2, 4, 7, servers(at(7), 1, 2, 4))
		}},
		{"a list has another version than its zxid", "log", "of version 0x100000002", func(s *story) {
			s.accept(2, 1, 3, servers(at(2), 1, 2, 3, 4))
		}},
		{"a change leaves nobody who votes", "log", "without voters", func(s *story) {
			s.accept(2, 4, 7, servers(at(7), -1, -2))
		}},
		{"a change writes another node", "log", "does not write", func(s *story) {
			s.log[2].Body = &proto.SetDataTxn{Path: "/", Data: []byte(config3), Version: -1}
		}},
		{"a change that expects another list is made", "decision", "BadVersion", func(s *story) {
			s.accept(2, 2, 4, servers(at(4), 1, 2, 4))
		}},
		{"a change that expects the right list is refused", "decision", "BadVersion", func(s *story) {
			s.refuse(2, 1, 3, proto.CodeBadVersion)
		}},
		{"the expected version is that of a list that was replaced", "decision", "a change", func(s *story) {
			s.refuse(2, 4, 7, proto.CodeBadVersion)
		}},
		{"a change is refused for one that is not under way", "decision", "ReconfigInProgress", func(s *story) {
			s.refuse(2, 3, 6, proto.CodeReconfigInProgress) // the one before had been answered
		}},
		{"a change is refused for one of a former leader", "decision", "ReconfigInProgress", func(s *story) {
			for i := range s.log[7:] { // from the second change under way on
				s.log[7+i].Zxid = 2<<32 + zxid.ID(i) + 1
			}
		}},
		{"a change is refused for want of a quorum, though it expects another list", "decision", "BadVersion", func(s *story) {
			s.refuse(2, 2, 4, proto.CodeNewConfigNoQuorum)
		}},
		{"somebody without permission changes the members", "decision", "NoAuth", func(s *story) {
			s.accept(1, 4, 5, servers(at(5), 1, 2, 4))
		}},
		{"a change leaves too few voters", "decision", "BadArguments", func(s *story) {
			s.accept(2, 6, 9, servers(at(9), 1, -2))
		}},
		{"a good change counts as a bad one", "decision", "BadArguments", func(s *story) {
			s.refuse(2, 1, 3, proto.CodeBadArguments)
		}},
		{"a change is refused as if changes were off", "decision", "Disabled", func(s *story) {
			s.refuse(2, 1, 3, proto.CodeReconfigDisabled)
		}},
		{"a reply to a change tells another list", "reply", "the log says", func(s *story) {
			show(s, 2, 1, config0, configStat(3, config3))
		}},
		{"a change that was made is told as refused", "reply", "NoQuorum", func(s *story) {
			s.records[s.find(received, 2, 4)].Data = proto.ReplyHeader{Xid: 4, Zxid: at(7), Err: proto.CodeNewConfigNoQuorum}.Append(nil)
		}},
		{"the first list is another one", "reply", "host3", func(s *story) {
			show(s, 1, 1, servers(epoch, 1, 2), configStat(0, servers(epoch, 1, 2)))
		}},
		{"the first list has another version", "reply", "version=", func(s *story) {
			show(s, 1, 1, servers(0, 1, 2, 3), configStat(0, servers(0, 1, 2, 3)))
		}},
		{"a list is shown that has been replaced", "reply", "host4", func(s *story) {
			show(s, 1, 3, config0, configStat(0, config0))
		}},
		{"a list is shown that is not in force yet", "reply", "host4", func(s *story) {
			show(s, 1, 1, config3, configStat(3, config3))
		}},
		{"the Stat of a list is that of the one before", "reply", "Mzxid", func(s *story) {
			show(s, 3, 6, config7, configStat(3, config7))
		}},
		{"the Stat counts changes of the members", "reply", "Version", func(s *story) {
			st := configStat(3, config3)
			st.Version = 0
			show(s, 1, 3, config3, st)
		}},
		{"several reads at once show a list that has been replaced", "reply", "multiRead", func(s *story) {
			i := s.find(received, 3, 7)
			s.records[i].Data = proto.MultiResponse{Results: []proto.MultiResult{{Type: proto.OpGetData, Data: []byte(config3), Stat: configStat(3, config3)}}}.
				Append(s.records[i].Data[:16:16])
		}},
		{"a watch is not told of a change", "event-missing", configPath, func(s *story) {
			s.drop(s.findEvent(1, 0))
		}},
		{"a watch is told of a change that was refused", "event", configPath, func(s *story) {
			s.insert(s.find(received, 1, 4), func() { s.event(1, 5, proto.EventNodeDataChanged, configPath) })
		}},
		{"setWatches does not tell of a change", "event", "setWatches told []", func(s *story) {
			s.drop(s.findEvent(3, 0))
		}},
		{"a change was asked for when somebody had been shown a later state", "real-time", "0x100000008", func(s *story) {
			i, j := s.find(oracle.Sent, 2, 4), s.find(received, 2, 5)
			r := s.records[i]
			r.At = s.records[j].At
			s.records = slices.Insert(s.records, j+1, r)
			s.records = slices.Delete(s.records, i, i+1)
		}},
		{"nobody has asked for a change", "ghost", "has not sent", func(s *story) {
			s.txn(bob, 77, proto.OpReconfig, reconfigTxn(servers(at(10), 1, 4)))
		}},
		{"a change is made twice", "twice", "0x100000003", func(s *story) {
			s.txn(bob, 1, proto.OpReconfig, reconfigTxn(servers(at(10), 1, 4)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memberStory(t)
			c.lie(s)
			r := oracle.Check(s.log, s.records, trusted)
			for _, v := range r.Violations {
				if v.Kind == c.kind && strings.Contains(v.String(), c.says) {
					return
				}
			}
			t.Errorf("no violation %q with %q in %v", c.kind, c.says, r.Violations)
		})
	}
}

// What the log does not tell of the members is counted.
func TestMembersThatAreNotKnown(t *testing.T) {
	s := memberStory(t)
	opt := trusted
	opt.Config = ""
	s.refuse(2, 1, 3, proto.CodeNoAuth) // whoever Bob is
	r := oracle.Check(s.log[:3], s.records[:s.find(oracle.Received, 2, 1)+1], opt)
	if len(r.Violations) > 0 || r.Unjudged != 4 || r.Decisions != 0 {
		t.Errorf("without the first list: %d unjudged and %v, want 4 and nothing", r.Unjudged, r.Violations)
	}
	r = oracle.Check(s.log[:3], s.records[:s.find(oracle.Received, 2, 1)+1], trusted)
	if len(r.Violations) > 0 || r.Unjudged != 2 {
		t.Errorf("of a super user: %d unjudged and %v, want 2 and nothing", r.Unjudged, r.Violations)
	}
}

// A wiped server that is taken in again holds up a change.
func TestLostDataExplainsARefusal(t *testing.T) {
	s := memberStory(t)
	s.refuse(2, 3, 6, proto.CodeReconfigInProgress)
	opt := trusted
	opt.DataLost = true
	if r := oracle.Check(s.log, s.records, opt); len(r.Violations) > 0 {
		t.Error(r.Violations)
	}
}

// Each of these is a refusal that follows from the list alone.
func TestChangesThatMustBeRefused(t *testing.T) {
	whole := func(entries ...string) proto.ReconfigRequest {
		return proto.ReconfigRequest{NewMembers: proto.Str(strings.Join(entries, "\n")), CurConfigID: -1}
	}
	for name, c := range map[string]struct {
		ask  proto.ReconfigRequest
		code proto.Code
	}{
		"no number":                  {leaving(-1, "two"), proto.CodeMarshallingError},
		"no client port":             {joining(-1, "server.4=host4:2888:3888:participant"), proto.CodeBadArguments},
		"an address of another one":  {joining(-1, "server.4=host1:2888:3888:participant;host4:2181"), proto.CodeBadArguments},
		"one port for two":           {joining(-1, "server.4=host4:2888:2888:participant;host4:2181"), proto.CodeBadArguments},
		"a client port of another":   {joining(-1, "server.4=host4:2888:3888:participant;host1:2181"), proto.CodeBadArguments},
		"one voter of a whole list":  {whole(member(1, "participant"), member(2, "observer")), proto.CodeBadArguments},
		"one voter that is left":     {leaving(-1, "1,2"), proto.CodeBadArguments},
		"the second of two observes": {joining(-1, member(1, "observer"), member(2, "observer")), proto.CodeBadArguments},
	} {
		s := memberStory(t)
		s.records = s.records[:s.find(oracle.Sent, 2, 1)]
		s.log = s.log[:2]
		s.send(2, 1, proto.OpReconfig, c.ask)
		s.txn(bob, 1, proto.OpError, &proto.ErrorTxn{Err: c.code})
		s.reply(2, 1, 3, c.code, nil)
		if r := oracle.Check(s.log, s.records, trusted); len(r.Violations) > 0 || r.Decisions != 1 {
			t.Errorf("%s: %v", name, r.Violations)
		}
		s.refuse(2, 1, 3, proto.CodeNewConfigNoQuorum)
		if r := oracle.Check(s.log, s.records, trusted); len(r.Violations) != 1 {
			t.Errorf("%s: for want of a quorum: %v, want one violation", name, r.Violations)
		}
	}
}
