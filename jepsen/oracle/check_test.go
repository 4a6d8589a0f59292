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

// story is a log and what clients saw of it, written down by hand.
type story struct {
	t       *testing.T
	log     []proto.Txn
	records []oracle.Record
	at      int64
}

const epoch = zxid.ID(1 << 32)

func (s *story) record(k oracle.Kind, conn uint32, data []byte) {
	s.at += 1000
	s.records = append(s.records, oracle.Record{Kind: k, Conn: conn, At: s.at, Data: data})
}

// txn adds a transaction to the log.
func (s *story) txn(session proto.SessionID, cxid proto.Xid, op proto.Op, body proto.TxnBody) {
	z := epoch + zxid.ID(len(s.log)) + 1
	s.log = append(s.log, proto.Txn{
		TxnHeader: proto.TxnHeader{ClientID: session, Cxid: cxid, Zxid: z, Time: 1000 + int64(len(s.log)), Type: op}, Body: body,
	})
}

// open lets a client connect with a session, a new one when seen is 0.
func (s *story) open(conn uint32, session proto.SessionID, seen zxid.ID) {
	s.record(oracle.Dialled, conn, fmt.Appendf(nil, "server%d", conn))
	hello := proto.ConnectRequest{LastZxidSeen: seen, TimeOut: 4000}
	if seen != 0 {
		hello.SessionID = session
	}
	s.record(oracle.Sent, conn, hello.Append(nil))
	s.record(oracle.Received, conn, proto.ConnectResponse{TimeOut: 4000, SessionID: session}.Append(nil))
}

func (s *story) send(conn uint32, xid proto.Xid, op proto.Op, body proto.Appender) {
	b := proto.RequestHeader{Xid: xid, Op: op}.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	s.record(oracle.Sent, conn, b)
}

func (s *story) reply(conn uint32, xid proto.Xid, counter int, code proto.Code, body proto.Appender) {
	b := proto.ReplyHeader{Xid: xid, Zxid: at(counter), Err: code}.Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	s.record(oracle.Received, conn, b)
}

func (s *story) event(conn uint32, counter int, t proto.EventType, path string) {
	z := at(counter)
	if counter < 0 {
		z = -1
	}
	b := proto.ReplyHeader{Xid: proto.XidNotification, Zxid: z}.Append(nil)
	s.record(oracle.Received, conn, proto.WatcherEvent{Type: t, State: proto.StateSyncConnected, Path: path}.Append(b))
}

// at returns the zxid of the log's counter-th transaction.
func at(counter int) zxid.ID { return epoch + zxid.ID(counter) }

const (
	ann proto.SessionID = 0x100000000000001
	bob proto.SessionID = 0x200000000000001
)

var world = proto.WorldACL(proto.PermAll)

func newNode(path, data string, mode proto.CreateMode) proto.CreateRequest {
	return proto.CreateRequest{Path: path, Data: []byte(data), ACL: world, Mode: mode}
}

func made(path, data string, born int32) *proto.CreateTxn {
	return &proto.CreateTxn{Path: path, Data: []byte(data), ACL: world, ParentCVersion: born}
}

// stat is the Stat of a node that was created by transaction c and set last by m, as version v.
func stat(c, m int, v int32, data string) proto.Stat {
	return proto.Stat{
		Czxid: at(c), Mzxid: at(m), Pzxid: at(c), Ctime: 999 + int64(c), Mtime: 999 + int64(m), Version: v, DataLength: int32(len(data)),
	}
}

// goodStory has a bit of everything: Ann on connections 1 and 3, Bob on 2.
//
//	1 ann, 2 bob begin      3 ann creates /a     4 bob sets /a      5 bob's cas is refused
//	6 ann's ephemeral /e    7 a multi of bob     8 bob deletes /a   9 the end of ann
func goodStory(t *testing.T) *story {
	t.Helper()
	s := &story{t: t}
	s.txn(ann, 0, proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 4000})
	s.txn(bob, 0, proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 4000})
	s.open(1, ann, 0)
	s.open(2, bob, 0)
	s.send(1, 1, proto.OpCreate, newNode("/a", "x", 0))
	s.txn(ann, 1, proto.OpCreate, made("/a", "x", 1))
	s.reply(1, 1, 3, 0, proto.CreateResponse{Path: "/a"})
	s.send(1, 2, proto.OpGetData, proto.ReadRequest{Path: "/a", Watch: true})
	s.reply(1, 2, 3, 0, proto.GetDataResponse{Data: []byte("x"), Stat: stat(3, 3, 0, "x")})
	s.send(1, 3, proto.OpAddWatch, proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchPersistentRecursive})
	s.reply(1, 3, 3, 0, proto.ErrorResponse{})
	s.send(2, 1, proto.OpSetData, proto.SetDataRequest{Path: "/a", Data: []byte("yy"), Version: 0})
	s.txn(bob, 1, proto.OpSetData, &proto.SetDataTxn{Path: "/a", Data: []byte("yy"), Version: 1})
	s.reply(2, 1, 4, 0, proto.StatResponse{Stat: stat(3, 4, 1, "yy")})
	s.event(1, 4, proto.EventNodeDataChanged, "/a")
	s.send(1, 4, proto.OpExists, proto.ReadRequest{Path: "/a"})
	s.reply(1, 4, 4, 0, proto.StatResponse{Stat: stat(3, 4, 1, "yy")})
	s.send(2, 2, proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: 0})
	s.txn(bob, 2, proto.OpError, &proto.ErrorTxn{Err: proto.CodeBadVersion})
	s.reply(2, 2, 5, proto.CodeBadVersion, nil)
	s.send(1, 5, proto.OpCreate, newNode("/e", "", proto.ModeEphemeral))
	e := made("/e", "", 2)
	e.Ephemeral = true
	s.txn(ann, 5, proto.OpCreate, e)
	s.event(1, 6, proto.EventNodeCreated, "/e")
	s.reply(1, 5, 6, 0, proto.CreateResponse{Path: "/e"})
	multi := proto.MultiRequest{Ops: []proto.MultiOp{
		{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: "/a", Version: 1}},
		{Op: proto.OpCreate, Request: &proto.CreateRequest{Path: "/s-", ACL: world, Mode: proto.ModePersistentSequential}},
	}}
	s.send(2, 3, proto.OpMulti, multi)
	s.txn(bob, 3, proto.OpMulti, &proto.MultiTxn{Txns: []proto.SubTxn{
		{Type: proto.OpCheck, Body: &proto.CheckVersionTxn{Path: "/a", Version: 2}},
		{Type: proto.OpCreate, Body: &proto.CreateTxn{Path: "/s-0000000002", ACL: world, ParentCVersion: 3}},
	}})
	s.reply(2, 3, 7, 0, proto.MultiResponse{Results: []proto.MultiResult{{Type: proto.OpCheck}, {Type: proto.OpCreate, Path: "/s-0000000002"}}})
	s.send(2, 4, proto.OpGetChildren, proto.ReadRequest{Path: "/"})
	s.reply(2, 4, 7, 0, proto.GetChildrenResponse{Children: []string{"zookeeper", "s-0000000002", "e", "a"}})
	s.record(oracle.Ended, 1, nil) // Ann's connection is lost, and she comes back elsewhere
	s.send(2, 5, proto.OpDelete, proto.DeleteRequest{Path: "/a", Version: -1})
	s.txn(bob, 5, proto.OpDelete, &proto.DeleteTxn{Path: "/a"})
	s.reply(2, 5, 8, 0, nil)
	s.open(3, ann, at(6))
	s.send(3, 6, proto.OpSetWatches, proto.SetWatches{RelativeZxid: at(6), Data: []string{"/a", "/e"}})
	s.event(3, -1, proto.EventNodeDeleted, "/a")
	s.reply(3, 6, 8, 0, nil)
	s.send(3, 7, proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	s.reply(3, 7, 8, 0, proto.SyncResponse{Path: proto.Str("/")})
	s.send(3, 8, proto.OpCloseSession, nil)
	s.txn(ann, 8, proto.OpCloseSession, &proto.CloseSessionTxn{Paths: []string{"/e"}})
	s.event(3, 9, proto.EventNodeDeleted, "/e")
	s.reply(3, 8, 9, 0, nil)
	s.send(2, 6, proto.OpExists, proto.ReadRequest{Path: "/e"})
	s.reply(2, 6, 9, proto.CodeNoNode, nil)
	return s
}

var strict = oracle.Options{SyncReads: true, LinearizableReads: true}

func TestAGoodHistoryPasses(t *testing.T) {
	s := goodStory(t)
	r := oracle.Check(s.log, s.records, strict)
	for _, v := range r.Violations {
		t.Error(v)
	}
	want := oracle.Report{Txns: 9, Sessions: 2, Connections: 3, Requests: 14, Decisions: 7, Writes: 7, Reads: 7, Events: 3}
	if fmt.Sprint(*r) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", *r, want)
	}
}

// A write may still be on its way when its session is ended over another connection: it is refused then,
// wherever it stands in the log.
func TestALateRefusalPasses(t *testing.T) {
	late := func(code proto.Code) *oracle.Report {
		s := goodStory(t)
		s.insert(s.find(oracle.Sent, 1, 5)+1, func() { s.send(1, 77, proto.OpDelete, proto.DeleteRequest{Path: "/a", Version: -1}) })
		s.txn(ann, 77, proto.OpError, &proto.ErrorTxn{Err: code})
		return oracle.Check(s.log, s.records, strict)
	}
	if r := late(proto.CodeSessionExpired); len(r.Violations) > 0 {
		t.Errorf("refused: %v", r.Violations)
	}
	if r := late(proto.CodeNoNode); len(r.Violations) != 1 || r.Violations[0].Kind != "write-order" {
		t.Errorf("answered as if the session lived: %v", r.Violations)
	}
}

// find returns the place of the record that begins with the given bytes, of the n-th such one.
func (s *story) find(k oracle.Kind, conn uint32, xid proto.Xid) int {
	s.t.Helper()
	head := proto.RequestHeader{Xid: xid}.Append(nil)[:4]
	first := true // of a connection: its connect request or answer
	for i, r := range s.records {
		if r.Kind != k || r.Conn != conn {
			continue
		}
		if !first && string(r.Data[:4]) == string(head) {
			return i
		}
		first = false
	}
	s.t.Fatalf("no record of kind %d with xid %d on connection %d", k, xid, conn)
	return 0
}

func (s *story) drop(i int) { s.records = slices.Delete(s.records, i, i+1) }

// insert puts the records that f adds in front of place i.
func (s *story) insert(i int, f func()) {
	n := len(s.records)
	f()
	added := slices.Clone(s.records[n:])
	s.records = slices.Insert(s.records[:n], i, added...)
}

func (s *story) setZxid(i, counter int) {
	b := slices.Clone(s.records[i].Data)
	copy(b[4:], proto.ReplyHeader{Zxid: at(counter)}.Append(nil)[4:12])
	s.records[i].Data = b
}

// event finds the n-th event on a connection.
func (s *story) findEvent(conn uint32, n int) int {
	s.t.Helper()
	for i, r := range s.records {
		if r.Kind == oracle.Received && r.Conn == conn && string(r.Data[:4]) == "\xff\xff\xff\xff" {
			if n == 0 {
				return i
			}
			n--
		}
	}
	s.t.Fatalf("connection %d has no more events", conn)
	return 0
}

// TestEachLieIsFound breaks the good history in one place at a time.
func TestEachLieIsFound(t *testing.T) {
	received, sent := oracle.Received, oracle.Sent
	for _, c := range []struct {
		name, kind, says string
		lie              func(s *story)
	}{
		{"an acknowledged write is not in the log", "lost", "", func(s *story) {
			s.insert(s.find(received, 2, 6), func() {
				s.send(1, 9, proto.OpDelete, proto.DeleteRequest{Path: "/zookeeper"})
				s.reply(1, 9, 6, 0, nil)
			})
			s.drop(s.find(oracle.Sent, 1, 1)) // and nobody has sent what is there
		}},
		{"a write is acknowledged at the zxid of another one", "lost", "somebody else", func(s *story) {
			s.setZxid(s.find(received, 2, 1), 3)
		}},
		{"a request is carried out twice", "twice", "at 0x100000004", func(s *story) {
			s.txn(bob, 1, proto.OpSetData, &proto.SetDataTxn{Path: "/s-0000000002", Version: 1})
		}},
		{"writes change places", "write-order", "", func(s *story) {
			s.log[4].Cxid, s.log[6].Cxid = s.log[6].Cxid, s.log[4].Cxid
		}},
		{"a write is left out", "gap", "request 2", func(s *story) {
			s.log[4] = proto.Txn{TxnHeader: s.log[4].TxnHeader, Body: s.log[4].Body}
			s.log[4].ClientID, s.log[4].Cxid = ann, 0
		}},
		{"nobody has asked for a write", "ghost", "has not sent", func(s *story) {
			s.txn(bob, 77, proto.OpDelete, &proto.DeleteTxn{Path: "/s-0000000002"})
		}},
		{"nobody has the session of a write", "ghost", "no client", func(s *story) {
			s.txn(0x99, 1, proto.OpDelete, &proto.DeleteTxn{Path: "/s-0000000002"})
		}},
		{"the log has another version", "decision", "version 1", func(s *story) {
			s.log[3].Body = &proto.SetDataTxn{Path: "/a", Data: []byte("yy"), Version: 2}
		}},
		{"a write that had to be refused was not", "decision", "BadVersion", func(s *story) {
			s.log[4].Type, s.log[4].Body = proto.OpSetData, &proto.SetDataTxn{Path: "/a", Version: 2}
		}},
		{"a write was refused without a reason", "decision", "setData", func(s *story) {
			s.log[3].Type, s.log[3].Body = proto.OpError, &proto.ErrorTxn{Err: proto.CodeNoNode}
		}},
		{"a sequence number is given twice", "decision", "s-0000000002", func(s *story) {
			multi := s.log[6].Body.(*proto.MultiTxn)
			multi.Txns[1].Body = &proto.CreateTxn{Path: "/s-0000000001", ACL: world, ParentCVersion: 3}
		}},
		{"a multi is half done", "log", "failed", func(s *story) {
			multi := s.log[6].Body.(*proto.MultiTxn)
			multi.Txns[0] = proto.SubTxn{Type: proto.OpError, Body: &proto.ErrorTxn{Err: proto.CodeBadVersion}}
		}},
		{"a transaction is missing in the log", "log", "cannot stand behind", func(s *story) {
			s.log = slices.Delete(s.log, 3, 4)
		}},
		{"the log deletes what is not there", "log", "no /nothing", func(s *story) {
			s.log[7].Body = &proto.DeleteTxn{Path: "/nothing"}
		}},
		{"an ephemeral node outlives its session", "log", `takes [] along`, func(s *story) {
			s.log[8].Body = &proto.CloseSessionTxn{}
		}},
		{"a session begins twice", "log", "second time", func(s *story) {
			s.txn(bob, 0, proto.OpCreateSession, &proto.CreateSessionTxn{})
		}},
		{"a write overtakes one that was acknowledged before it was sent", "real-time", "0x100000004", func(s *story) {
			s.log[3].TxnHeader, s.log[5].TxnHeader = s.log[5].TxnHeader, s.log[3].TxnHeader
			s.log[3].Body, s.log[5].Body = s.log[5].Body, s.log[3].Body
			s.log[3].Zxid, s.log[5].Zxid = at(4), at(6)
			s.setZxid(s.find(received, 2, 2), 5)
		}},
		{"a read shows an old value", "reply", "the log says", func(s *story) {
			s.setZxid(s.find(received, 1, 2), 4)
			s.drop(s.findEvent(1, 0))
		}},
		{"a Stat is wrong", "reply", "Mtime", func(s *story) {
			i := s.find(received, 1, 4)
			s.records[i].Data[16+31]++
		}},
		{"a child is missing in a list", "reply", "s-0000000002", func(s *story) {
			i := s.find(received, 2, 4)
			s.records[i].Data = proto.GetChildrenResponse{Children: []string{"zookeeper", "e", "a"}}.Append(s.records[i].Data[:16:16])
		}},
		{"a node is found that is gone", "reply", "NoNode", func(s *story) {
			i := s.find(received, 2, 6)
			s.records[i].Data = proto.StatResponse{}.Append(proto.ReplyHeader{Xid: 6, Zxid: at(9)}.Append(nil))
		}},
		{"a refusal is told otherwise", "reply", "BadVersion", func(s *story) {
			i := s.find(received, 2, 2)
			s.records[i].Data = proto.ReplyHeader{Xid: 2, Zxid: at(5), Err: proto.CodeNoNode}.Append(nil)
		}},
		{"a reply has bytes too many", "reply", "", func(s *story) {
			i := s.find(received, 2, 5)
			s.records[i].Data = append(s.records[i].Data, 0)
		}},
		{"a reply names a state that never was", "zxid", "", func(s *story) {
			s.setZxid(s.find(received, 2, 6), 33)
		}},
		{"a session goes back on a connection", "back", "0x100000007", func(s *story) {
			s.setZxid(s.find(received, 2, 5), 5)
		}},
		{"a session goes back across connections", "back", "0x100000006", func(s *story) {
			s.setZxid(s.find(received, 3, 6), 5)
		}},
		{"a session goes back that does not say what it has seen", "back", "0x100000006", func(s *story) {
			s.setZxid(s.find(received, 3, 6), 5)
			for i, r := range s.records {
				if r.Conn == 3 && r.Kind == sent {
					s.records[i].Data = proto.ConnectRequest{SessionID: ann}.Append(nil)
					break
				}
			}
		}},
		{"replies change places", "reply-order", "", func(s *story) {
			i, j := s.find(received, 3, 6), s.find(sent, 3, 7)
			s.records[i], s.records[j] = s.records[j], s.records[i]
			i, j = s.find(received, 3, 6), s.find(received, 3, 7)
			s.records[i], s.records[j] = s.records[j], s.records[i]
		}},
		{"a reply comes twice", "reply-order", "nobody waits", func(s *story) {
			i := s.find(received, 2, 6)
			s.records = slices.Insert(s.records, i, s.records[i])
		}},
		{"an ended session is served", "session", "", func(s *story) {
			s.send(3, 9, proto.OpPing, nil)
			s.reply(3, -2, 9, 0, nil)
		}},
		{"another session is given", "session", "another one", func(s *story) {
			s.open(4, ann, at(9))
			s.records[len(s.records)-1].Data = proto.ConnectResponse{TimeOut: 1, SessionID: bob}.Append(nil)
		}},
		{"an event is missing", "event-missing", "NodeDataChanged of /a", func(s *story) {
			s.drop(s.findEvent(1, 0))
		}},
		{"an event comes after the reply that shows it", "event-missing", "before the 1 events", func(s *story) {
			i, j := s.findEvent(1, 1), s.find(received, 1, 5)
			s.records[i], s.records[j] = s.records[j], s.records[i]
		}},
		{"an event comes twice", "event", "nothing that", func(s *story) {
			i := s.findEvent(1, 0)
			s.records = slices.Insert(s.records, i, s.records[i])
		}},
		{"events change places", "event-missing", "came before", func(s *story) {
			first, second := s.findEvent(1, 0), s.findEvent(1, 1)
			r := s.records[second]
			s.drop(second)
			r.At = s.records[first].At
			s.records = slices.Insert(s.records, first, r)
			s.drop(s.find(received, 1, 4))
			s.drop(s.find(sent, 1, 4))
		}},
		{"an event of another node", "event", "/b", func(s *story) {
			i := s.findEvent(1, 0)
			s.records[i].Data[len(s.records[i].Data)-1] = 'b'
		}},
		{"a one-shot watch fires again", "event", "/e", func(s *story) {
			s.insert(s.find(received, 3, 8), func() { s.event(3, 9, proto.EventNodeDeleted, "/e") })
		}},
		{"setWatches does not tell what was missed", "event", "setWatches told []", func(s *story) {
			s.drop(s.findEvent(3, 0))
		}},
		{"setWatches tells what was not missed", "event", "NodeDataChanged of /e", func(s *story) {
			s.insert(s.find(received, 3, 6), func() { s.event(3, -1, proto.EventNodeDataChanged, "/e") })
		}},
		{"a sync shows an old state", "stale", "sync", func(s *story) {
			s.setZxid(s.find(received, 3, 6), 7) // it does not know of the deletion yet
			s.drop(s.findEvent(3, 0))
			s.setZxid(s.find(received, 3, 7), 7)
		}},
		{"a read shows an old state", "stale", "exists", func(s *story) {
			s.setZxid(s.find(received, 2, 6), 8)
		}},
		{"a request is sent over a connection that was left", "moved", "had left", func(s *story) {
			s.insert(s.find(sent, 3, 8), func() { s.send(1, 50, proto.OpDelete, proto.DeleteRequest{Path: "/e", Version: -1}) })
			s.log = slices.Insert(s.log, 8, proto.Txn{
				TxnHeader: proto.TxnHeader{ClientID: ann, Cxid: 50, Zxid: at(9), Time: 1, Type: proto.OpDelete}, Body: &proto.DeleteTxn{Path: "/e"},
			})
			s.log[9].Zxid = at(10)
		}},
		{"a record of no connection", "trace", "never dialled", func(s *story) {
			s.record(received, 9, nil)
		}},
		{"a request before there is a session", "trace", "", func(s *story) {
			s.record(oracle.Dialled, 9, nil)
			s.record(sent, 9, proto.ConnectRequest{}.Append(nil))
			s.send(9, 1, proto.OpPing, nil)
		}},
		{"an answer that is none", "trace", "connect request", func(s *story) {
			s.record(oracle.Dialled, 9, nil)
			s.record(sent, 9, proto.ConnectRequest{}.Append(nil))
			s.record(received, 9, []byte{1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := goodStory(t)
			c.lie(s)
			r := oracle.Check(s.log, s.records, strict)
			for _, v := range r.Violations {
				if v.Kind == c.kind && strings.Contains(v.String(), c.says) {
					return
				}
			}
			t.Errorf("no violation %q with %q in %v", c.kind, c.says, r.Violations)
		})
	}
}

// What is only demanded by an option is not demanded without it.
func TestStaleReadsAreAllowedUnlessForbidden(t *testing.T) {
	s := goodStory(t)
	s.setZxid(s.find(oracle.Received, 3, 6), 7)
	s.drop(s.findEvent(3, 0))
	s.setZxid(s.find(oracle.Received, 3, 7), 7)
	// Bob's node is deleted by a transaction that Ann's watch of /a has not seen yet.
	s.insert(s.find(oracle.Received, 3, 8), func() { s.event(3, 8, proto.EventNodeDeleted, "/a") })
	last := s.findEvent(3, 0)
	s.records[last], s.records[last+1] = s.records[last+1], s.records[last]
	for _, c := range []struct {
		opt  oracle.Options
		want int
	}{{oracle.Options{}, 0}, {oracle.Options{SyncReads: true}, 1}, {oracle.Options{LinearizableReads: true}, 0}} {
		r := oracle.Check(s.log, s.records, c.opt)
		if len(r.Violations) != c.want {
			t.Errorf("%+v: got %v, want %d violations", c.opt, r.Violations, c.want)
		}
	}
}

// A write whose answer was lost may be in the log or not.
func TestALostAnswerProvesNothing(t *testing.T) {
	for _, logged := range []bool{true, false} {
		s := goodStory(t)
		s.send(2, 7, proto.OpDelete, proto.DeleteRequest{Path: "/s-0000000002", Version: -1})
		if logged {
			s.txn(bob, 7, proto.OpDelete, &proto.DeleteTxn{Path: "/s-0000000002"})
		}
		if r := oracle.Check(s.log, s.records, strict); len(r.Violations) > 0 {
			t.Errorf("logged %v: %v", logged, r.Violations)
		}
	}
}

// An id that is given out again is counted.
func TestReusedSessionsAreCounted(t *testing.T) {
	s := goodStory(t)
	s.txn(ann, 0, proto.OpCreateSession, &proto.CreateSessionTxn{TimeOut: 4000})
	if r := oracle.Check(s.log, s.records, strict); len(r.Violations) > 0 || r.Reused != 1 {
		t.Errorf("got %d reused and %v, want 1 and nothing", r.Reused, r.Violations)
	}
}

// What the log cannot tell is counted, not passed in silence.
func TestWhatIsNotKnownIsCounted(t *testing.T) {
	s := goodStory(t)
	mine := proto.CreateRequest{Path: "/m", ACL: []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}}
	s.send(2, 7, proto.OpCreate, mine)
	s.txn(bob, 7, proto.OpCreate, &proto.CreateTxn{Path: "/m", ACL: []proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "digest", ID: "u:x"}}}, ParentCVersion: 4})
	s.reply(2, 7, 10, 0, proto.CreateResponse{Path: "/m"})
	s.send(2, 8, proto.OpGetData, proto.ReadRequest{Path: "/m"})
	s.reply(2, 8, 10, proto.CodeNoAuth, nil)
	s.send(2, 9, proto.OpWhoAmI, nil)
	s.reply(2, 9, 10, 0, proto.WhoAmIResponse{})
	s.send(2, 10, proto.OpAuth, proto.AuthPacket{Scheme: "digest"})
	s.record(oracle.Received, 2, proto.ReplyHeader{Xid: 10}.Append(nil))
	s.send(2, 11, proto.OpGetData, proto.ReadRequest{Path: "/zookeeper/config"})
	s.reply(2, 11, 10, 0, proto.GetDataResponse{Data: []byte("server.1=...")})
	r := oracle.Check(s.log, s.records, strict)
	if len(r.Violations) > 0 || r.Unjudged != 5 {
		t.Errorf("got %d unjudged and %v, want 5 and nothing", r.Unjudged, r.Violations)
	}
}

// A report stays readable, whatever is broken.
func TestReportIsBounded(t *testing.T) {
	s := goodStory(t)
	for i := range 300 {
		s.reply(2, proto.Xid(1000+i), 9, 0, nil)
	}
	if r := oracle.Check(s.log, s.records, strict); len(r.Violations) != 100 || r.More != 200 {
		t.Errorf("got %d violations and %d more, want 100 and 200", len(r.Violations), r.More)
	}
}
