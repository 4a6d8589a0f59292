package peer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Time in a bubble is free, so the limits are those of a slow ensemble.
const (
	tickTime  = 200 * time.Millisecond
	initLimit = 10
	syncLimit = 5
	// patience is how long, in the bubble's time, something that must happen may take.
	patience = 5 * time.Minute
)

// bubble runs a test in a synctest bubble: its clock moves when everybody waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		f(t)
	})
}

// world is an ensemble on a network in memory.
type world struct {
	*transport.Memory
	t        *testing.T
	ensemble *quorum.Ensemble
	members  map[quorum.SID]*member
	tweak    func(*peer.Config)
	// files, if not nil, is what a server's log sees of its disk.
	files func(*member) vfs.FS
}

// member is one server, running or not, and its disks.
type member struct {
	w    *world
	sid  quorum.SID
	disk *vfs.MemFS
	life byte // of the disk
	list *list
	log  *txnlog.Log
	peer *peer.Peer // nil: not running

	cancel context.CancelFunc
	done   chan error
	wg     sync.WaitGroup
}

func ensembleOf(tb testing.TB, observers quorum.Set, sids ...quorum.SID) *quorum.Ensemble {
	tb.Helper()
	var members []quorum.Member
	for _, sid := range sids {
		role := quorum.Participant
		if observers.Has(sid) {
			role = quorum.Observer
		}
		members = append(members, quorum.Member{SID: sid, Role: role, Quorum: []quorum.HostPorts{
			{Host: "h" + sid.String(), QuorumPort: 2888, ElectionPort: 3888},
		}})
	}
	e, err := quorum.NewEnsemble(0, members)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// newWorld makes servers that do not run yet.
func newWorld(t *testing.T, observers quorum.Set, sids ...quorum.SID) *world {
	t.Helper()
	w := &world{
		Memory: transport.NewMemory(), t: t, ensemble: ensembleOf(t, observers, sids...),
		members: make(map[quorum.SID]*member),
	}
	for _, sid := range sids {
		w.members[sid] = &member{w: w, sid: sid, disk: vfs.NewCrashableMem(), list: &list{sid: sid, mistake: t.Errorf}}
	}
	t.Cleanup(func() {
		for _, m := range w.all() {
			m.stop()
		}
	})
	return w
}

// startAll makes a world and starts everybody, the highest sid first, which therefore is
// part of the first quorum and leads it.
func startAll(t *testing.T, sids ...quorum.SID) *world {
	t.Helper()
	w := newWorld(t, quorum.Set{}, sids...)
	for _, m := range slices.Backward(w.all()) {
		m.start()
		synctest.Wait()
	}
	return w
}

// all returns the members by sid.
func (w *world) all() []*member {
	var out []*member
	for sid := range w.ensemble.SIDs().All() {
		out = append(out, w.members[sid])
	}
	return out
}

// history is the log as the peer wants it.
type history struct{ *txnlog.Log }

func (h history) NewWriter(done func(token uint64)) (peer.Writer, error) {
	return h.Log.NewWriter(done)
}

// handler lets the network talk to a peer that is made after it.
type handler struct{ *member }

func (h handler) Notified(n fle.Notification) { h.peer.Notified(n) }
func (h handler) Reachable(sid quorum.SID, up bool, inc quorum.Incarnation) {
	h.peer.Reachable(sid, up, inc)
}
func (h handler) LinkUp(link uint64, sid quorum.SID)       { h.peer.LinkUp(link, sid) }
func (h handler) Received(link uint64, msgs []zab.Message) { h.peer.Received(link, msgs) }
func (h handler) LinkDown(link uint64, err error)          { h.peer.LinkDown(link, err) }

func openLog(tb testing.TB, disk vfs.FS, sid quorum.SID) *txnlog.Log {
	tb.Helper()
	return openLife(tb, disk, sid, 0)
}

// openLife opens the log of one life of a server: a new disk is another incarnation.
func openLife(tb testing.TB, disk vfs.FS, sid quorum.SID, life byte) *txnlog.Log {
	tb.Helper()
	log, err := txnlog.Open(txnlog.Config{
		Dir: "log", FS: disk, SID: sid, Logger: zerolog.Nop(), TrimStep: 1,
		Rand:  rand.NewChaCha8([32]byte{byte(sid), life}),
		Fatal: func(err error) { tb.Errorf("server %v: log failed: %v", sid, err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return log
}

// recoverFrom brings a list to what its disk and the log say.
func (l *list) recoverFrom(log *txnlog.Log) error {
	at, pending := log.Intent()
	err := l.recover(at, pending, func(after zxid.ID) ([]zab.Entry, error) {
		if committed := log.Durable().Committed; committed > after {
			return log.Entries(after, committed, 1<<30)
		}
		return nil, nil
	})
	if err != nil || !pending {
		return err
	}
	return log.InstallDone()
}

// start runs a server on the disks that it has.
func (m *member) start() {
	t := m.w.t
	t.Helper()
	var files vfs.FS = m.disk
	if m.w.files != nil {
		files = m.w.files(m)
	}
	m.log = openLife(t, files, m.sid, m.life)
	if err := m.list.recoverFrom(m.log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cfg := peer.Config{
		Self: m.sid, Membership: quorum.Stable(m.w.ensemble), Log: history{m.log}, StateMachine: m.list,
		TickTime: tickTime, InitLimit: initLimit, SyncLimit: syncLimit,
		Logger: zerolog.Nop(), Rand: rand.New(rand.NewPCG(uint64(m.sid), 1)),
	}
	var node *transport.MemoryNode
	if m.w.ensemble.Len() > 1 {
		var err error
		node, err = m.w.Node(transport.Config{
			Self: m.sid, Membership: quorum.Stable(m.w.ensemble), Handler: handler{m}, Logger: zerolog.Nop(),
			Identity: func() (quorum.ClusterID, quorum.Incarnation) {
				d := m.log.Durable()
				return d.Cluster, d.Incarnation
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Transport = node
	}
	if m.w.tweak != nil {
		m.w.tweak(&cfg)
	}
	p, err := peer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.peer, m.cancel, m.done = p, cancel, make(chan error, 1)
	m.list.locked(func() { m.list.peer = p })
	m.wg.Go(func() { m.done <- p.Run(ctx) })
	if node != nil {
		m.wg.Go(func() {
			if err := node.Run(ctx); err != nil {
				t.Errorf("network of %v: %v", m.sid, err)
			}
		})
	}
}

// end stops the goroutines of a server and returns what Run did.
func (m *member) end() error {
	m.cancel()
	m.wg.Wait()
	m.peer = nil
	return <-m.done
}

// stop ends a server in order.
func (m *member) stop() {
	if m.peer == nil {
		return
	}
	if err := m.end(); err != nil {
		m.w.t.Errorf("server %v: %v", m.sid, err)
	}
	if err := m.log.Close(); err != nil {
		m.w.t.Errorf("server %v: close log: %v", m.sid, err)
	}
}

// kill ends a server as a power failure would.
func (m *member) kill() {
	disk, tree := m.disk.CrashClone(vfs.CrashCloneCfg{}), m.list.image()
	m.stop()
	m.disk, m.list = disk, &list{sid: m.sid, mistake: m.w.t.Errorf, disk: tree}
}

// wipe ends a server and loses its disk.
func (m *member) wipe() {
	m.stop()
	m.disk, m.list = vfs.NewCrashableMem(), &list{sid: m.sid, mistake: m.w.t.Errorf}
	m.life++
}

// submit asks a server to have data ordered, each by itself.
func (m *member) submit(data ...string) {
	msgs := make([]zab.Message, len(data))
	for i, d := range data {
		msgs[i] = zab.Message{Kind: zab.Request, Data: []byte(d)}
	}
	m.peer.Submit(msgs)
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ready func() error) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		<-tick.C
	}
}

// awaitState waits until the server serves as what is asked for.
func (m *member) awaitState(want fle.State) {
	m.w.t.Helper()
	eventually(m.w.t, fmt.Sprintf("server %v is %v", m.sid, want), func() error {
		s := m.peer.Status()
		if s.State != want || want != fle.Looking && s.Phase != zab.Broadcast {
			return fmt.Errorf("it is %v in %v", s.State, s.Phase)
		}
		return nil
	})
}

// leader waits for the one leader among the running servers, and until all of them serve.
func (w *world) leader() *member {
	w.t.Helper()
	var leader *member
	eventually(w.t, "everybody serves", func() error {
		leader = nil
		for _, m := range w.all() {
			if m.peer == nil {
				continue
			}
			switch s := m.peer.Status(); {
			case s.Phase != zab.Broadcast || s.State == fle.Looking:
				return fmt.Errorf("server %v is %v in %v", m.sid, s.State, s.Phase)
			case s.State == fle.Leading && leader != nil:
				return fmt.Errorf("servers %v and %v lead", leader.sid, m.sid)
			case s.State == fle.Leading:
				leader = m
			}
		}
		if leader == nil {
			return fmt.Errorf("nobody leads")
		}
		return nil
	})
	return leader
}

// followers returns who runs and does not lead.
func (w *world) followers() []*member {
	w.t.Helper()
	leader := w.leader()
	return slices.DeleteFunc(w.all(), func(m *member) bool { return m == leader || m.peer == nil })
}

// awaitTexts waits until a server has applied exactly this.
func (m *member) awaitTexts(want ...string) {
	m.w.t.Helper()
	eventually(m.w.t, fmt.Sprintf("server %v applies %d entries", m.sid, len(want)), func() error {
		if got := m.list.texts(); !slices.Equal(got, want) {
			return fmt.Errorf("it has %q, want %q", got, want)
		}
		return nil
	})
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// generation names the history of a log that no snapshot is being installed in.
func generation(tb testing.TB, log *txnlog.Log) uint32 {
	tb.Helper()
	g, ok := log.Generation()
	if !ok {
		tb.Fatal("a snapshot is being installed")
	}
	return g
}
