package transport_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a condition may take on a busy machine.
const patience = 20 * time.Second

// recorder is a handler that remembers.
type recorder struct {
	mu      sync.Mutex
	changed chan struct{} // closed and renewed at every event
	notes   []fle.Notification
	reach   map[quorum.SID]bool
	inc     map[quorum.SID]quorum.Incarnation
	flaps   map[quorum.SID]int // how often a server became unreachable
	links   []uint64           // in order of LinkUp
	peer    map[uint64]quorum.SID
	down    map[uint64]error
	msgs    map[uint64][]zab.Message
	log     []string
	// hold, if not nil, is read by Received before it returns.
	hold chan struct{}
}

func newRecorder() *recorder {
	return &recorder{
		changed: make(chan struct{}), reach: make(map[quorum.SID]bool), inc: make(map[quorum.SID]quorum.Incarnation),
		flaps: make(map[quorum.SID]int),
		peer:  make(map[uint64]quorum.SID), down: make(map[uint64]error), msgs: make(map[uint64][]zab.Message),
	}
}

func (r *recorder) event(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Notified(n fle.Notification) { r.event(func() { r.notes = append(r.notes, n) }) }

func (r *recorder) Reachable(sid quorum.SID, up bool, inc quorum.Incarnation) {
	r.event(func() {
		r.reach[sid], r.inc[sid] = up, inc
		if !up {
			r.flaps[sid]++
		}
	})
}

func (r *recorder) LinkUp(link uint64, peer quorum.SID) {
	r.event(func() {
		r.links, r.peer[link] = append(r.links, link), peer
		r.log = append(r.log, fmt.Sprintf("up %v", peer))
	})
}

func (r *recorder) Received(link uint64, msgs []zab.Message) {
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	r.event(func() { r.msgs[link] = append(r.msgs[link], msgs...) })
}

func (r *recorder) LinkDown(link uint64, err error) {
	r.event(func() {
		r.down[link] = err
		r.log = append(r.log, fmt.Sprintf("down %v", r.peer[link]))
	})
}

// await waits until ok, which runs under the lock, is true.
func (r *recorder) await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			tb.Fatalf("waited in vain until %s", what)
		}
	}
}

func (r *recorder) awaitReach(tb testing.TB, sid quorum.SID, up bool) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("reachable(%v) = %v", sid, up), func() bool { return r.reach[sid] == up })
}

// awaitLink waits for the n-th link and returns it.
func (r *recorder) awaitLink(tb testing.TB, n int) (link uint64) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("link %d is up", n), func() bool {
		if len(r.links) < n {
			return false
		}
		link = r.links[n-1]
		return true
	})
	return link
}

func (r *recorder) awaitDown(tb testing.TB, link uint64) (err error) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("link %d is down", link), func() bool { err = r.down[link]; return err != nil })
	return err
}

func (r *recorder) awaitMessages(tb testing.TB, link uint64, n int) (msgs []zab.Message) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("%d messages on link %d", n, link), func() bool {
		msgs = slices.Clone(r.msgs[link])
		return len(msgs) >= n
	})
	return msgs
}

func (r *recorder) awaitNote(tb testing.TB, from quorum.SID, round uint64) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("notification of %v in round %d", from, round), func() bool {
		return slices.ContainsFunc(r.notes, func(n fle.Notification) bool { return n.From == from && n.Round == round })
	})
}

// node is what both Transport and MemoryNode are.
type node interface {
	Run(ctx context.Context) error
	Notify(n fle.Notification)
	Connect(leader quorum.SID) uint64
	Hangup(link uint64)
	Send(link uint64, msgs []zab.Message)
	SendWait(ctx context.Context, link uint64, msgs []zab.Message) error
	SetMembers(m quorum.Membership)
}

var (
	_ node              = (*transport.Transport)(nil)
	_ node              = (*transport.MemoryNode)(nil)
	_ transport.Handler = (*recorder)(nil)
)

// server is one running node and what it heard.
type server struct {
	node
	*recorder
	stop func() // ends Run and waits for it; may be called twice
}

// cluster makes servers with loopback ports that are known in advance.
type cluster struct {
	t         testing.TB
	ensemble  *quorum.Ensemble
	listeners map[quorum.SID][2]net.Listener // quorum, election: not taken yet
	addresses map[quorum.SID][2]string
}

func newCluster(tb testing.TB, sids ...quorum.SID) *cluster {
	tb.Helper()
	c := &cluster{t: tb, listeners: make(map[quorum.SID][2]net.Listener), addresses: make(map[quorum.SID][2]string)}
	var members []quorum.Member
	for _, sid := range sids {
		a, b := listen(tb, "127.0.0.1:0"), listen(tb, "127.0.0.1:0")
		c.listeners[sid] = [2]net.Listener{a, b}
		c.addresses[sid] = [2]string{a.Addr().String(), b.Addr().String()}
		members = append(members, member(tb, sid, a.Addr().String(), b.Addr().String()))
	}
	c.ensemble = ensembleOf(tb, members...)
	tb.Cleanup(func() {
		for _, pair := range c.listeners {
			_, _ = pair[0].Close(), pair[1].Close()
		}
	})
	return c
}

func ensembleOf(tb testing.TB, members ...quorum.Member) *quorum.Ensemble {
	tb.Helper()
	e, err := quorum.NewEnsemble(0, members)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// member makes a server that is reached at two loopback addresses.
func member(tb testing.TB, sid quorum.SID, quorumAddr, electionAddr string) quorum.Member {
	tb.Helper()
	return quorum.Member{SID: sid, Quorum: []quorum.HostPorts{
		{Host: "127.0.0.1", QuorumPort: port(tb, quorumAddr), ElectionPort: port(tb, electionAddr)},
	}}
}

func port(tb testing.TB, address string) int {
	tb.Helper()
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func listen(tb testing.TB, address string) net.Listener {
	tb.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	return ln
}

// config is the configuration of one server, whose listeners are taken or opened again.
func (c *cluster) config(sid quorum.SID, r *recorder) transport.Config {
	pair, ok := c.listeners[sid]
	if !ok {
		pair = [2]net.Listener{listen(c.t, c.addresses[sid][0]), listen(c.t, c.addresses[sid][1])}
	}
	delete(c.listeners, sid)
	return transport.Config{
		Self: sid, Membership: quorum.Stable(c.ensemble), Handler: r, Identity: identity(1, byte(sid)), Logger: zerolog.Nop(),
		QuorumListeners: pair[:1], ElectionListeners: pair[1:],
	}
}

func identity(cluster, incarnation byte) func() (quorum.ClusterID, quorum.Incarnation) {
	return func() (quorum.ClusterID, quorum.Incarnation) {
		return quorum.ClusterID{cluster}, quorum.Incarnation{incarnation}
	}
}

// start runs a server with the ordinary configuration, changed by tweaks.
func (c *cluster) start(sid quorum.SID, tweaks ...func(*transport.Config)) *server {
	c.t.Helper()
	r := newRecorder()
	cfg := c.config(sid, r)
	for _, tweak := range tweaks {
		tweak(&cfg)
	}
	tr, err := transport.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	return run(c.t, tr, r)
}

func run(tb testing.TB, n node, r *recorder) *server {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			tb.Error("Run does not end")
		}
	})
	tb.Cleanup(stop)
	return &server{node: n, recorder: r, stop: stop}
}

func note(to quorum.SID, round uint64) fle.Notification {
	return fle.Notification{To: to, Round: round, Vote: fle.Vote{Leader: 1}}
}
