package zab_test

import (
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// failer is what the world needs of a test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is an ensemble of real roles on model disks and model links, with the
// invariants of spec hazards 12 checked at every step. It makes no choices: a script or
// a random source drives it.
type world struct {
	t     failer
	ens   *quorum.Ensemble // at the start
	nodes []*node          // by sid, nil where there is none
	cfg   zab.Config
	trace func(format string, args ...any)
	// honest says that every message comes from a role, so that none may be out of place [I17].
	honest bool

	// Ground truth.
	committed   []zxid.Point                    // every transaction ever delivered, in order
	held        map[zxid.Point]quorum.Set       // who ever had it on stable storage
	established map[zxid.Epoch]*node            // I1
	proposed    map[zxid.ID]uint64              // hash of everything ever proposed [I3]
	lives       map[quorum.Incarnation]bool     // incarnations given out
	reconfigs   map[zxid.Point]*quorum.Ensemble // what was ever proposed
	inForce     *quorum.Ensemble                // after the last of committed
	answered    int                             // answers to Sync that said what they must reflect
}

// link is a connection of a learner to its leader: two FIFO queues.
type link struct {
	learner, leader     *node
	toLeader, toLearner []zab.Message
	open                bool
}

// node is one server: what survives, and the role that it is in.
type node struct {
	w   *world
	sid quorum.SID
	// file is what the server's configuration file says.
	file *quorum.Ensemble

	disk  *disk
	queue []write // submitted, not synced
	view  *disk   // disk and queue
	// tree is the applied state: the points of what was delivered. flushed of it survive
	// a crash.
	tree    []zxid.Point
	flushed int

	leader   *zab.Leader
	learner  learner
	link     *link   // of the learner
	links    []*link // of the leader, by sid
	streams  []*transfer
	staged   []zab.Entry
	snapshot []zxid.Point // received with the last SnapChunk
	verified bool         // and staged
	phase    zab.Phase
	needSnap bool
	heir     quorum.SID // named at the end of the last role
	enlisted bool       // by the last leader

	requests []zab.Message // surfaced by the leader
	answers  []zab.Message // delivered
	events   []zab.Event
}

// write is one step on its way to a disk.
type write struct {
	step   *zab.Persist
	snap   []zxid.Point
	staged []zab.Entry
}

// transfer is a stream in progress.
type transfer struct {
	zab.Stream
	link *link
	pos  zxid.ID
}

type learner interface {
	Step(zab.Message)
	Tick()
	Persisted(uint64)
	Ready() zab.Ready
	Phase() zab.Phase
	Epoch() zxid.Epoch
	Submit(zab.Kind, []byte)
	SnapshotStaged(zxid.Point)
	SnapshotFailed()
	NeedSnap() bool
	Heir() quorum.SID
	Enlisted() bool
	Membership() quorum.Membership
	Check() error
}

func ensemble(voters, observers []quorum.SID, groups ...quorum.Group) *quorum.Ensemble {
	var members []quorum.Member
	add := func(sid quorum.SID, role quorum.Role) {
		host := quorum.HostPorts{Host: fmt.Sprintf("s%d", sid), QuorumPort: 2888, ElectionPort: 3888}
		members = append(members, quorum.Member{SID: sid, Role: role, Quorum: []quorum.HostPorts{host}})
	}
	for _, sid := range voters {
		add(sid, quorum.Participant)
	}
	for _, sid := range observers {
		add(sid, quorum.Observer)
	}
	e, err := quorum.NewEnsemble(0, members, groups...)
	if err != nil {
		panic(err)
	}
	return e
}

// group makes a group of servers of weight 1.
func group(id int, sids ...quorum.SID) quorum.Group {
	g := quorum.Group{ID: id}
	for _, sid := range sids {
		g.Servers = append(g.Servers, quorum.Weighted{SID: sid, Weight: 1})
	}
	return g
}

func newWorld(t failer, ens *quorum.Ensemble) *world {
	w := &world{
		t: t, ens: ens, trace: func(string, ...any) {},
		cfg:         zab.Config{InitTicks: 20, SyncTicks: 10},
		held:        make(map[zxid.Point]quorum.Set),
		established: make(map[zxid.Epoch]*node),
		proposed:    make(map[zxid.ID]uint64),
		lives:       make(map[quorum.Incarnation]bool),
		reconfigs:   make(map[zxid.Point]*quorum.Ensemble),
		inForce:     ens,
	}
	for sid := range ens.SIDs().All() {
		w.join(sid, ens)
	}
	return w
}

// join adds a server with an empty disk and this configuration file.
func (w *world) join(sid quorum.SID, file *quorum.Ensemble) {
	n := &node{w: w, sid: sid, file: file, disk: &disk{}, heir: quorum.None}
	n.disk.incarnation = w.life(sid)
	n.view = n.disk.clone()
	w.nodes = append(w.nodes, n)
}

// life draws the next incarnation of a server.
func (w *world) life(sid quorum.SID) quorum.Incarnation {
	for i := byte(1); ; i++ {
		inc := quorum.Incarnation{byte(sid), i}
		if !w.lives[inc] {
			w.lives[inc] = true
			return inc
		}
	}
}

func (w *world) node(sid quorum.SID) *node {
	for _, n := range w.nodes {
		if n.sid == sid {
			return n
		}
	}
	w.t.Fatalf("no server %v", sid)
	return nil
}

// voter reports whether the server believes to be a voter.
func (n *node) voter() bool { return n.membership().Voters().Has(n.sid) }

// membership is what the server knows of the ensemble.
func (n *node) membership() quorum.Membership {
	if n.disk.membership.IsZero() {
		return quorum.Stable(n.file)
	}
	return n.disk.membership
}

func (n *node) idle() bool { return n.leader == nil && n.learner == nil }

func (n *node) applied() zxid.Point {
	if len(n.tree) == 0 {
		return zxid.Point{}
	}
	return n.tree[len(n.tree)-1]
}

func (n *node) config() zab.Config {
	cfg := n.w.cfg
	cfg.Self, cfg.Membership = n.sid, n.membership()
	cfg.Durable = n.disk.durable(n.applied().ID)
	cfg.NeedSnap = n.needSnap
	cfg.NewCluster = quorum.ClusterID{0xc1, byte(n.sid), byte(len(n.w.established))}
	return cfg
}

// lead makes the server a leader.
func (n *node) lead() {
	n.end("new role")
	n.phase = zab.Discovery
	n.leader = zab.Lead(n.config())
	n.links = make([]*link, quorum.MaxSID+1)
}

// follow makes the server a follower or observer of a leader.
func (n *node) follow(leader *node) {
	n.end("new role")
	n.phase = zab.Discovery
	if n.enlisted || n.membership().Role(n.sid) == quorum.Participant {
		n.learner = zab.NewFollower(n.config(), leader.sid)
	} else {
		n.learner = zab.NewObserver(n.config(), leader.sid)
	}
	n.link = &link{learner: n, leader: leader, open: true}
}

// end leaves the role: what was submitted becomes durable, links close.
func (n *node) end(why string) {
	if n.idle() {
		return
	}
	n.w.trace("%v: role ends: %s", n.sid, why)
	n.sync(len(n.queue), false)
	n.discard()
}

// discard forgets the role.
func (n *node) discard() {
	if n.learner != nil {
		n.needSnap, n.heir, n.enlisted = n.learner.NeedSnap(), n.learner.Heir(), n.learner.Enlisted()
	} else if n.leader != nil {
		n.heir = n.leader.Heir()
	}
	closing := append(slices.Clone(n.links), n.link)
	n.leader, n.learner, n.link, n.links = nil, nil, nil, nil
	n.streams, n.staged, n.snapshot, n.verified = nil, nil, nil, false
	n.view = n.disk.clone()
	for _, l := range closing {
		if l != nil {
			l.close()
		}
	}
}

// crash loses everything that is not on disk: of the queue the first keep steps are, of
// the tree what was flushed and is covered by the log.
func (n *node) crash(keep int) {
	n.sync(min(keep, len(n.queue)), false)
	n.queue = nil
	n.discard()
	n.needSnap = false
	n.tree = n.tree[:min(n.flushed, len(n.tree))]
	for len(n.tree) > 0 && n.applied().ID > n.disk.last().ID {
		n.tree = n.tree[:len(n.tree)-1]
	}
	n.flushed = len(n.tree)
}

// wipe loses everything: a new store is born.
func (n *node) wipe() {
	n.crash(0)
	n.disk = &disk{incarnation: n.w.life(n.sid)}
	n.view = n.disk.clone()
	n.tree, n.flushed = nil, 0
}

// close ends a connection: what is in flight is lost and both ends hear of it.
func (l *link) close() {
	if !l.open {
		return
	}
	l.open = false
	l.toLeader, l.toLearner = nil, nil
	if n := l.leader; n.leader != nil && n.links[l.learner.sid] == l {
		n.links[l.learner.sid] = nil
		n.streams = slices.DeleteFunc(n.streams, func(s *transfer) bool { return s.link == l })
		n.leader.Disconnected(l.learner.sid)
	}
	if n := l.learner; n.link == l {
		n.end("link closed")
	}
}

// deliverToLeader hands over the first message of a link.
func (l *link) deliverToLeader() {
	m := l.toLeader[0]
	l.toLeader = l.toLeader[1:]
	n := l.leader
	if n.leader == nil {
		l.close()
		return
	}
	if old := n.links[l.learner.sid]; old != l {
		if old != nil {
			old.close()
		}
		if n.leader == nil {
			return
		}
		n.links[l.learner.sid] = l
	}
	n.leader.Step(m)
}

// deliverToLearner hands over the first message of a link; the driver's part of a
// snapshot is done here.
func (l *link) deliverToLearner() {
	m := l.toLearner[0]
	l.toLearner = l.toLearner[1:]
	n := l.learner
	if m.Kind != zab.SnapChunk {
		n.learner.Step(m)
		return
	}
	n.snapshot, n.verified = decodeSnapshot(m), false
}

// staging reports whether a snapshot has been received and is still being verified.
func (n *node) staging() bool { return n.learner != nil && n.snapshot != nil && !n.verified }

// verify ends the verification of a snapshot.
func (n *node) verify(good bool) {
	n.verified = true
	if !good {
		n.learner.SnapshotFailed()
		return
	}
	var at zxid.Point
	if len(n.snapshot) > 0 {
		at = n.snapshot[len(n.snapshot)-1]
	}
	n.learner.SnapshotStaged(at)
}
