package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// A client that comes back during an election is served the moment it ends.
func TestHandshakeWaitsForTheElection(t *testing.T) {
	w := newTwin(t, 2, func(c *server.Config) { c.TickTime = tick; c.SessionlessTimeout = time.Hour })
	m := w.members[1]
	old := m.connect(t)
	w.depose()
	if rest := old.closed(); len(rest) > 0 {
		t.Fatalf("%x before the end", rest)
	}
	c := m.dial(t)
	c.sendConnect(proto.ConnectRequest{TimeOut: 1000, SessionID: old.session, Passwd: old.passwd[:]})
	eventually(t, "the server has the connection", func() bool { return m.srv.Stats().Connections == 1 })
	w.lead(1)
	if c.connected(); c.session != old.session {
		t.Fatalf("the session is not renewed")
	}
}

// With nobody to lead, a client that waits is sent on its way in the end.
func TestHandshakeGivesUpWithoutALeader(t *testing.T) {
	w := newTwin(t, 1, nil)
	w.depose()
	c := w.members[0].dial(t)
	c.sendConnect(proto.ConnectRequest{TimeOut: 1000})
	if rest := c.closed(); len(rest) > 0 {
		t.Fatalf("%x instead of silence", rest)
	}
}

// A client may have seen what this server is just about to apply [H-62].
func TestHandshakeWaitsForTheTreeToCatchUp(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	a := m.connect(t)
	a.create("/a", "", proto.ModePersistent)
	w.hold()
	a.send(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1})
	eventually(t, "the write is proposed", func() bool { return w.heldTxns() == 1 })
	b := m.dial(t)
	b.sendConnect(proto.ConnectRequest{TimeOut: 1000, LastZxidSeen: a.last + 1})
	w.release(false)
	if b.connected(); b.session == 0 {
		t.Fatal("refused")
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.SessionlessTimeout = tick })
	m := w.members[0]
	silent, half := m.dial(t), m.dial(t)
	half.write([]byte{0, 0, 0, 45, 0})
	open := m.connect(t)
	eventually(t, "three connections", func() bool { return m.srv.Stats().Connections == 3 })
	for range 5 {
		m.eras <- time.Time{}
	}
	silent.closed()
	half.closed()
	open.must(proto.OpPing, nil)
	for range 50 {
		m.eras <- time.Time{}
	}
	if rest := open.closed(); len(rest) > 0 {
		t.Fatalf("%x before the end of an idle connection", rest)
	}
}

// A connection without a session is gone within twice the time that it has, also if that is less than a tick.
func TestSessionlessTimeoutBelowATick(t *testing.T) {
	const timeout = 400 * time.Millisecond
	eras := make(chan time.Time)
	w := newTwin(t, 1, func(c *server.Config) {
		c.TickTime, c.SessionlessTimeout = 20*timeout, timeout
		others := c.Ticker
		c.Ticker = func(d time.Duration) (<-chan time.Time, func()) {
			if d == timeout/4 {
				return eras, func() {}
			}
			return others(d)
		}
	})
	m := w.members[0]
	silent := m.dial(t)
	eventually(t, "the connection", func() bool { return m.srv.Stats().Connections == 1 })
	for range 2 * timeout / (timeout / 4) {
		select {
		case eras <- time.Time{}:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody looks after connections twice in the time that they have")
		}
	}
	silent.closed()
}

// A client that takes no events is closed when too many pile up; others are not affected.
func TestEventsPileUp(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.MaxOutput = 1 << 20 })
	m := w.members[0]
	deaf, other := m.connect(t), m.connect(t)
	if err := deaf.nc.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	other.create("/w", "", proto.ModePersistent)
	long := "/w/" + strings.Repeat("n", 200<<10)
	var frames []byte
	for i := range 100 {
		frames = deaf.append(frames[:0], proto.OpExists, proto.ReadRequest{Path: fmt.Sprint(long, i), Watch: true})
		deaf.write(frames)
		if r := deaf.next(); r.Err != proto.CodeNoNode {
			t.Fatal(r)
		}
	}
	for i := range 100 {
		other.create(fmt.Sprint(long, i), "", proto.ModePersistent)
	}
	eventually(t, "the deaf client is closed", func() bool { return m.srv.Stats().Connections == 1 })
	eventually(t, "its watches are gone", func() bool { return m.srv.Stats().Watches == 0 })
}

// A client that takes no answers is not read; what it asked for is not computed ahead.
func TestAnswersWaitForTheClient(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	c, other := m.connect(t), m.connect(t)
	big := strings.Repeat("x", 1<<19)
	c.create("/big", big, proto.ModePersistent)
	w.hold()
	const n = 200
	frames := c.append(nil, proto.OpSetData, proto.SetDataRequest{Path: "/big", Data: []byte(big), Version: -1})
	for range n {
		frames = c.append(frames, proto.OpGetData, proto.ReadRequest{Path: "/big"})
	}
	// A write behind the reads must not show in them.
	frames = c.append(frames, proto.OpSetData, proto.SetDataRequest{Path: "/big", Data: []byte("small"), Version: -1})
	frames = c.append(frames, proto.OpGetData, proto.ReadRequest{Path: "/big"})
	written := make(chan error, 1)
	go func() {
		_, err := c.nc.Write(frames)
		written <- err
	}()
	eventually(t, "the first write is proposed", func() bool { return w.heldTxns() == 1 })
	w.release(false)
	other.must(proto.OpPing, nil)
	c.next()
	for i := range n {
		if r := c.next(); len(r.body) < len(big) {
			t.Fatalf("read %d of %d has %d bytes", i, n, len(r.body))
		}
	}
	c.next()
	if r := c.next(); len(r.body) > 200 {
		t.Fatalf("the last read does not see the write before it")
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// A client that stops reading for good is closed by the write timeout.
func TestStuckWriterIsClosed(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.WriteTimeout = tick })
	m := w.members[0]
	c := m.connect(t)
	c.create("/big", strings.Repeat("x", 1<<19), proto.ModePersistent)
	var frames []byte
	for range 100 {
		frames = c.append(frames, proto.OpGetData, proto.ReadRequest{Path: "/big"})
	}
	c.write(frames)
	deadline := time.Now().Add(patience)
	for m.srv.Stats().Connections > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays open")
		}
		m.eras <- time.Time{}
	}
}

// Nothing that is applied after the server stopped serving is answered (hazard H-11) [H-72].
func TestNoReplyAfterStepDown(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	c := m.connect(t)
	w.hold()
	c.send(proto.OpCreate, createRequest("/a", "", proto.ModePersistent))
	eventually(t, "the write is proposed", func() bool { return w.heldTxns() == 1 })
	w.depose()
	w.release(false)
	if rest := c.closed(); len(rest) > 0 {
		t.Fatalf("%x after the step-down", rest)
	}
	eventually(t, "the write is applied", func() bool { return m.store.Node("/a") != nil })
}

// Ids of living sessions are never given out again, whatever the clock says (hazard H-69).
func TestSessionIDsSkipTheLiving(t *testing.T) {
	var now atomic.Int64 // ms
	now.Store(1_700_000_000_000)
	w := newTwin(t, 1, func(c *server.Config) { c.Now = func() time.Time { return time.UnixMilli(now.Load()) } })
	m := w.members[0]
	seen := map[proto.SessionID]bool{}
	for range 5 {
		c := m.connect(t)
		if seen[c.session] {
			t.Fatalf("session %v is given out twice", c.session)
		}
		seen[c.session] = true
		now.Add(-time.Hour.Milliseconds())
	}
}

// A transaction of a session that nobody asked for here must not be taken for the answer to
// something else: the connection ends (hazard H-61).
func TestForeignTransactionIsNoAnswer(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	c := m.connect(t)
	w.hold()
	c.send(proto.OpCreate, createRequest("/mine", "", proto.ModePersistent))
	eventually(t, "the write is proposed", func() bool { return w.heldTxns() == 1 })
	txn := proto.Txn{
		TxnHeader: proto.TxnHeader{ClientID: c.session, Cxid: 99, Zxid: zxid.Make(1, 500), Type: proto.OpError},
		Body:      &proto.ErrorTxn{Err: proto.CodeNoNode},
	}
	m.srv.Commit([]server.Committed{{At: zxid.Point{ID: txn.Zxid}, Txn: proto.AppendTxn(nil, &txn)}})
	if rest := c.closed(); len(rest) > 0 {
		t.Fatalf("%x instead of the end", rest)
	}
}

// A new leader removes ephemerals whose session does not exist, by a transaction, so that they
// go everywhere (hazard H-96).
func TestOrphanedEphemeralsAreRemovedEverywhere(t *testing.T) {
	w := newTwin(t, 2, nil)
	living := w.members[1].connect(t)
	living.send(proto.OpCreate, createRequest("/kept", "", proto.ModeEphemeral))
	has := func(m *member, path string) bool { return m.store.Node(path) != nil }
	for _, m := range w.members {
		eventually(t, "the living session's node is there", func() bool { return has(m, "/kept") })
	}
	for i, z := range []zxid.ID{zxid.Make(1, 500), zxid.Make(1, 501)} {
		txn := proto.Txn{
			TxnHeader: proto.TxnHeader{ClientID: proto.SessionID(0x7700 + i), Zxid: z, Type: proto.OpCreate},
			Body:      &proto.CreateTxn{Path: fmt.Sprintf("/orphan-%d", i), Ephemeral: true, ParentCVersion: int32(50 + i)},
		}
		for _, m := range w.members {
			m.srv.Commit([]server.Committed{{At: zxid.Point{ID: z}, Txn: proto.AppendTxn(nil, &txn)}})
		}
	}
	for _, m := range w.members {
		eventually(t, "the orphans are there", func() bool { return has(m, "/orphan-0") && has(m, "/orphan-1") })
	}
	w.depose()
	w.lead(1)
	for _, m := range w.members {
		eventually(t, "the orphans are gone", func() bool { return !has(m, "/orphan-0") && !has(m, "/orphan-1") })
		if !has(m, "/kept") {
			t.Errorf("server %d removed the ephemeral of a living session", m.id)
		}
	}
}

func TestUndecodableTransactionIsFatal(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	m.srv.Commit([]server.Committed{{At: zxid.Point{ID: 0x100000001}, Txn: []byte("rubbish")}})
	select {
	case err := <-m.fatal:
		if !strings.Contains(err.Error(), "0x100000001") {
			t.Fatalf("the error does not name the transaction: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server goes on")
	}
	if at := m.srv.Applied(); at.ID != 0 {
		t.Fatalf("applied %v", at)
	}
}

// TestReplaceRunsInOrder holds hazard H-73.
func TestReplaceRunsInOrder(t *testing.T) {
	w := newTwin(t, 1, nil)
	m := w.members[0]
	c := m.connect(t)
	c.create("/a", "", proto.ModePersistent)
	w.depose()
	at := m.srv.Applied()
	wrong := errors.New("no such staging")
	err := m.srv.Replace(func() error {
		if m.store.Node("/a") == nil || m.srv.Applied() != at {
			t.Error("replaced ahead of what was committed")
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Fatalf("got %v", err)
	}
	m.stop()
	if err := m.srv.Replace(func() error { return nil }); !errors.Is(err, server.ErrStopped) {
		t.Fatalf("got %v from a server that has ended", err)
	}
}

// A primary with a full window takes no more, and goes on when the tree catches up.
func TestWindowHoldsThePrimaryBack(t *testing.T) {
	w := newTwin(t, 1, func(c *server.Config) { c.Window = 4 })
	m := w.members[0]
	c := m.connect(t)
	w.hold()
	var frames []byte
	for i := range 100 {
		frames = c.append(frames, proto.OpCreate, createRequest(fmt.Sprint("/", i), "", proto.ModePersistent))
	}
	c.write(frames)
	eventually(t, "the window is full", func() bool { return w.heldTxns() >= 4 })
	c2 := m.connect // connecting needs a transaction, which has to wait too
	w.release(false)
	for i := range 100 {
		if r := c.next(); r.Err != proto.CodeOK || int32(r.Xid) != int32(i+1) {
			t.Fatalf("reply %d: %v", i, r)
		}
	}
	c2(t)
}

// Half-closed clients, such as netcat, get the whole answer to a word.
func TestWordWithHalfClosedClient(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	m.connect(t)
	m.connect(t)
	m.connect(t).must(proto.OpCloseSession, nil)
	c := m.dial(t)
	c.write([]byte("mntr\n"))
	if err := c.nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text := c.closed()
	for _, want := range []string{"zk_version\t3.9.5-", "zk_server_state\tleader\n", "zk_znode_count\t5\n", "zk_quorum_size\t1\n", "zk_global_sessions\t2\n"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("mntr lacks %q:\n%s", want, text)
		}
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, "\t"); !ok || !strings.HasPrefix(name, "zk_") || strings.TrimSpace(value) == "" {
			t.Errorf("a line that parsers stumble over: %q", line)
		}
	}
}

func TestGoZooKeeperParsesOurWords(t *testing.T) {
	m := newTwin(t, 1, nil).members[0]
	c := m.connect(t)
	c.create("/a", "", proto.ModePersistent)
	stats, ok := zk.FLWSrvr([]string{m.addr}, patience)
	if !ok {
		t.Fatalf("srvr cannot be parsed: %v", stats[0].Error)
	}
	if s := stats[0]; s.NodeCount != 6 || s.Mode != zk.ModeLeader || s.Epoch != 1 || s.Counter != 2 || s.Connections != 2 {
		t.Errorf("srvr says %+v", s)
	}
	if ok := zk.FLWRuok([]string{m.addr}, patience); !ok[0] {
		t.Error("ruok is not understood")
	}
}

// quiet keeps the client library from writing to the test's output.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func TestGoZooKeeperClient(t *testing.T) {
	w := newTwin(t, 2, nil)
	conn, events, err := zk.Connect([]string{w.members[1].addr}, time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for e := range events {
		if e.State == zk.StateHasSession {
			break
		}
	}
	if err := conn.AddAuth("digest", []byte("u:p")); err != nil {
		t.Fatal(err)
	}
	path, err := conn.Create("/seq-", []byte("x"), zk.FlagSequence|zk.FlagEphemeral, zk.DigestACL(zk.PermAll, "u", "p"))
	if err != nil || path != "/seq-0000000000" {
		t.Fatalf("created %s: %v", path, err)
	}
	if _, _, changes, err := conn.GetW(path); err != nil {
		t.Fatal(err)
	} else if _, err := conn.Set(path, []byte("y"), 0); err != nil {
		t.Fatal(err)
	} else if e := <-changes; e.Type != zk.EventNodeDataChanged {
		t.Fatalf("event %+v", e)
	}
	if _, err := conn.Multi(&zk.CreateRequest{Path: "/m", Acl: zk.WorldACL(zk.PermAll)}, &zk.DeleteRequest{Path: "/m", Version: 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Sync("/"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Delete("/none", -1); !errors.Is(err, zk.ErrNoNode) {
		t.Fatalf("got %v", err)
	}
	// Its own reconnect, with its session, watches and identities set again.
	exists, _, changes, err := conn.ExistsW("/later")
	if exists || err != nil {
		t.Fatal(exists, err)
	}
	id := conn.SessionID()
	w.depose()
	w.lead(0)
	other := w.members[0].connect(t)
	eventually(t, "the client is back", func() bool { return conn.State() == zk.StateHasSession })
	other.create("/later", "", proto.ModePersistent)
	if e := <-changes; e.Type != zk.EventNodeCreated {
		t.Fatalf("event %+v", e)
	}
	if conn.SessionID() != id {
		t.Fatal("the session is another one")
	}
	if data, _, err := conn.Get(path); err != nil || string(data) != "y" {
		t.Fatalf("%q, %v", data, err)
	}
}

// gatedStore lets nothing be installed while its gate is closed.
type gatedStore struct {
	server.Store
	gate chan struct{}
}

func (s gatedStore) Install(c *znode.Changes, at zxid.Point) error {
	<-s.gate
	return s.Store.Install(c, at)
}

// A tree that does not keep up makes Commit wait rather than memory grow.
func TestCommitWaitsForASlowTree(t *testing.T) {
	const backlog, txns = 8, 100
	gate := make(chan struct{})
	w := newTwin(t, 1, func(c *server.Config) {
		c.Backlog = backlog
		c.Store = gatedStore{c.Store, gate}
	})
	m := w.members[0]
	var handed atomic.Int64
	go func() {
		for i := range txns {
			txn := proto.Txn{
				TxnHeader: proto.TxnHeader{Zxid: zxid.Make(1, zxid.Counter(i+1)), Type: proto.OpError},
				Body:      &proto.ErrorTxn{Err: proto.CodeNoNode},
			}
			m.srv.Commit([]server.Committed{{At: zxid.Point{ID: txn.Zxid}, Txn: proto.AppendTxn(nil, &txn)}})
			handed.Add(1)
		}
	}()
	eventually(t, "the backlog is full", func() bool { return handed.Load() >= backlog })
	if n := handed.Load(); n > 4*backlog {
		t.Errorf("%d transactions were taken while nothing could be applied", n)
	}
	close(gate)
	eventually(t, "all is applied", func() bool { return m.srv.Applied().ID == zxid.Make(1, txns) })
}

// The leader's answer to a sync travels behind a commit, which may cover a later write of the
// same session too. The write's commit then proves the sync, and the answers keep their order.
func TestSyncIsProvenByALaterWrite(t *testing.T) {
	w := newTwin(t, 2, nil)
	c := w.members[1].connect(t)
	w.hold()
	c.send(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	c.send(proto.OpCreate, createRequest("/later", "", proto.ModePersistent))
	c.send(proto.OpSync, proto.SyncRequest{Path: proto.Str("/")})
	eventually(t, "all is proposed and answered", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.queue) == 3
	})
	w.mu.Lock()
	w.queue[0], w.queue[1] = w.queue[1], w.queue[0]
	w.mu.Unlock()
	w.release(false)
	for xid := int32(1); xid <= 3; xid++ {
		if r := c.next(); int32(r.Xid) != xid || r.Err != proto.CodeOK {
			t.Fatalf("reply %v, want number %d", r, xid)
		}
	}
}
