package server_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// twin is an ensemble without consensus: every server gets whatever the leader
// proposes, in one order, at once or when the test lets it.
type twin struct {
	members []*member

	mu     sync.Mutex
	leader int // index, -1: nobody
	epoch  zxid.Epoch
	last   zxid.Point
	held   bool
	queue  []event // not yet delivered, while held
}

// event is a batch for everybody or an answer for one.
type event struct {
	batch   []server.Committed
	to      server.Origin
	kind    server.Kind
	payload []byte
}

// member is one server of a twin.
type member struct {
	t     testing.TB
	twin  *twin
	id    server.Origin
	srv   *server.Server
	store *store.Store
	addr  string
	// ticks and eras drive expiry and housekeeping.
	ticks, eras chan time.Time
	// runs and pauses drive the cleaner; clock, in ms, is added to the time of day.
	runs, pauses chan time.Time
	clock        atomic.Int64
	stop         func()
	peer         atomic.Pointer[server.PeerStatus]
	fatal        chan error
	resets       atomic.Int32 // calls of ResetStats
	mismatches   int64        // of digests, that are to be
	// tamper, if not nil, changes what is committed here. Guarded by twin.mu.
	tamper  func(txn []byte) []byte
	repairs atomic.Int32 // calls of Repair
	damaged bool         // it begins with a tree that is damaged, and does not serve
}

const tick = 100 * time.Millisecond

// newTwin starts n servers; the first one leads. adjust may change the configuration of
// each.
func newTwin(tb testing.TB, n int, adjust func(*server.Config)) *twin {
	tb.Helper()
	return newTwinOn(tb, n, adjust, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
}

// newTwinOn is newTwin with other listeners.
func newTwinOn(tb testing.TB, n int, adjust func(*server.Config), listen func() (net.Listener, error)) *twin {
	tb.Helper()
	w := &twin{leader: -1}
	for i := range n {
		l, err := listen()
		if err != nil {
			tb.Fatal(err)
		}
		w.members = append(w.members, w.newMember(tb, i, l, adjust))
	}
	w.lead(0)
	return w
}

func (w *twin) newMember(tb testing.TB, i int, l net.Listener, adjust func(*server.Config)) *member {
	tb.Helper()
	m := &member{
		t: tb, twin: w, id: server.Origin(i + 1),
		ticks: make(chan time.Time), eras: make(chan time.Time),
		runs: make(chan time.Time), pauses: make(chan time.Time), fatal: make(chan error, 1),
	}
	logger := zerolog.Nop()
	if os.Getenv("SERVER_TEST_LOG") != "" {
		logger = zerolog.New(os.Stderr).With().Int("server", i+1).Logger()
	}
	fatal := func(err error) {
		select {
		case m.fatal <- err:
		default:
		}
	}
	st, err := store.Open(store.Config{Dir: "data", FS: vfs.NewMem(), Logger: zerolog.Nop(), Fatal: fatal})
	if err != nil {
		tb.Fatal(err)
	}
	m.store = st
	m.peer.Store(&server.PeerStatus{Mode: "looking"})
	cfg := server.Config{
		Self: m.id, SessionByte: byte(m.id), Store: st, Replicator: m, Status: m,
		TickTime: tick, SyncLimit: 1000, MaxClientCnxns: 0, Logger: logger, Fatal: fatal, Digest: true,
		Version: fourletter.Version("0123456789012345678901234567890123456789", time.Unix(1700000000, 0)),
		Ticker: func(d time.Duration) (<-chan time.Time, func()) {
			for of, ch := range map[time.Duration]chan time.Time{tick: m.ticks, tick / 2: m.eras, time.Minute: m.runs} {
				if d == of {
					return ch, func() {}
				}
			}
			return m.pauses, func() {}
		},
		Now: func() time.Time { return time.Now().Add(time.Duration(m.clock.Load()) * time.Millisecond) },
	}
	if adjust != nil {
		adjust(&cfg)
	}
	m.damaged = cfg.Doubted == server.Damaged
	if m.srv, err = server.New(cfg); err != nil {
		tb.Fatal(err)
	}
	m.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.srv.Run(ctx, l) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run of server %d: %v", m.id, err)
		}
		if err := st.Close(); err != nil {
			tb.Errorf("close the store of server %d: %v", m.id, err)
		}
		if n := m.srv.Mismatches(); n != m.mismatches {
			tb.Errorf("server %d: its digest has moved away from the leader's %d times, want %d", m.id, n, m.mismatches)
		}
		select {
		case err := <-m.fatal:
			tb.Errorf("server %d: %v", m.id, err)
		default:
		}
	})
	tb.Cleanup(m.stop)
	return m
}

// lead makes a server the leader of the next epoch and opens all of them.
func (w *twin) lead(i int) { w.leadFrom(i, zxid.Make(w.epoch+1, 1)) }

// leadFrom is lead with the first transaction of the reign given.
func (w *twin) leadFrom(i int, first zxid.ID) {
	w.mu.Lock()
	w.leader = i
	w.epoch, w.last.ID = first.Epoch(), first-1
	w.mu.Unlock()
	for j, m := range w.members {
		peer := server.PeerStatus{Mode: "follower", PeerState: "following - broadcast", QuorumSize: len(w.members)}
		if j == i {
			peer.Mode, peer.PeerState = "leader", "leading - broadcast"
			m.srv.Lead(w.epoch, first, m)
		}
		m.peer.Store(&peer)
	}
	for _, m := range w.members {
		m.srv.Serve(m.peer.Load().Mode)
	}
	for _, m := range w.members {
		eventually(m.t, "the server serves", func() bool { return m.damaged || m.srv.Serving() })
	}
}

// depose ends the reign: nobody serves until lead.
func (w *twin) depose() {
	w.mu.Lock()
	w.leader = -1
	w.mu.Unlock()
	for _, m := range w.members {
		m.srv.StopServing("the leader is lost")
	}
}

// inject commits transactions that no leader has made, while there is none, to reach states that
// take too long to reach in an honest way.
func (w *twin) inject(txns ...proto.Txn) {
	for i := range txns {
		w.last = zxid.Point{ID: w.last.ID + 1, Hash: w.last.Hash + 1}
		txns[i].Zxid = w.last.ID
		for _, m := range w.members {
			m.srv.Commit([]server.Committed{{At: w.last, Txn: proto.AppendTxn(nil, &txns[i])}})
		}
	}
}

// hold keeps everything that the leader says back, until release.
func (w *twin) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

// release lets everything out that was held back, as it came or, if merged, with
// neighbouring batches made one.
func (w *twin) release(merged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	var batch []server.Committed
	for _, e := range w.queue {
		if merged && e.batch != nil {
			batch = append(batch, e.batch...)
			continue
		}
		w.deliver(event{batch: batch})
		batch = nil
		w.deliver(e)
	}
	w.deliver(event{batch: batch})
	w.queue = nil
}

func (w *twin) post(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		w.queue = append(w.queue, e)
		return
	}
	w.deliver(e)
}

func (w *twin) deliver(e event) {
	if len(e.batch) > 0 {
		for _, m := range w.members {
			m.srv.Commit(m.tampered(e.batch))
		}
	}
	for _, m := range w.members {
		if e.payload != nil && m.id == e.to {
			m.srv.Answered(e.kind, e.payload)
		}
	}
}

// tampered returns the batch as it arrives at the member.
func (m *member) tampered(batch []server.Committed) []server.Committed {
	if m.tamper == nil {
		return batch
	}
	out := slices.Clone(batch)
	for i := range out {
		out[i].Txn = m.tamper(out[i].Txn)
	}
	return out
}

// heldTxns returns how many transactions are held back.
func (w *twin) heldTxns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.queue {
		n += len(e.batch)
	}
	return n
}

// heldAnswers returns how many answers are held back.
func (w *twin) heldAnswers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.queue {
		if e.payload != nil {
			n++
		}
	}
	return n
}

// Submit implements server.Replicator.
func (m *member) Submit(fs []server.Forward) {
	m.twin.mu.Lock()
	leader := m.twin.leader
	m.twin.mu.Unlock()
	if leader >= 0 {
		m.twin.members[leader].srv.Forwarded(m.id, fs)
	}
}

// Propose implements server.Proposer.
func (m *member) Propose(first zxid.ID, txns [][]byte) {
	m.twin.mu.Lock()
	batch := make([]server.Committed, len(txns))
	for i, txn := range txns {
		if want := m.twin.last.ID + 1; first.Epoch() == want.Epoch() && first+zxid.ID(i) != want {
			m.t.Errorf("proposal %v does not follow %v", first+zxid.ID(i), m.twin.last.ID)
		}
		m.twin.last = zxid.Point{ID: first + zxid.ID(i), Hash: m.twin.last.Hash + 1}
		batch[i] = server.Committed{At: m.twin.last, Txn: txn}
	}
	m.twin.mu.Unlock()
	m.twin.post(event{batch: batch})
}

// Reconfigure implements server.Proposer: no other ensemble than this one ever has a quorum.
func (m *member) Reconfigure(zxid.ID, *proto.ReconfigRequest, <-chan struct{}) server.Reconfiguration {
	return server.Reconfiguration{Code: proto.CodeNewConfigNoQuorum}
}

// ProposeReconfig implements server.Proposer.
func (m *member) ProposeReconfig(first zxid.ID, txn []byte) { m.Propose(first, [][]byte{txn}) }

// Answer implements server.Proposer.
func (m *member) Answer(to server.Origin, kind server.Kind, payload []byte) {
	m.twin.post(event{to: to, kind: kind, payload: payload})
}

// PeerStatus implements server.Status.
func (m *member) PeerStatus() server.PeerStatus { return *m.peer.Load() }

// ResetStats implements server.Status.
func (m *member) ResetStats() { m.resets.Add(1) }

// caughtUp waits until the server has applied what was proposed, unless that is held back.
func (m *member) caughtUp(tb testing.TB) {
	tb.Helper()
	eventually(tb, m.String()+" catches up", func() bool {
		m.twin.mu.Lock()
		defer m.twin.mu.Unlock()
		return m.twin.held || m.twin.last.ID.Counter() == 0 || m.srv.Applied().ID >= m.twin.last.ID
	})
}

// eventually waits for a condition that other goroutines bring about.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("never: %s", what)
		}
		<-time.After(200 * time.Microsecond)
	}
}

func (m *member) String() string { return fmt.Sprintf("server %d", m.id) }
