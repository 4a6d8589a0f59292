package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// server is a machine: a disk, and a process while it runs.
type server struct {
	s    *simulation
	sid  quorum.SID
	disk *disk
	// file is the ensemble that the configuration file names, talks are those with whom the process
	// wants an election connection.
	file  *quorum.Ensemble
	talks quorum.Set
	proc  *process // nil or dead while it is down
	slow  float64  // factor on the delays of the loop
	lives int
	// rate is how long a second of the server's timers takes, wall how far its time of day is off.
	rate float64
	wall time.Duration
	// pausedUntil is when the process goes on: until then nothing that it waits for happens. frozen is what
	// will then, in its order.
	pausedUntil time.Duration
	frozen      []func()
	absent      bool          // for good
	refused     time.Duration // when it last got no snapshot, from a leader whose tree is suspect; 0: not since it last served
	sequence    uint64        // of its lines in the trace
}

func newServer(s *simulation, sid quorum.SID, file *quorum.Ensemble) *server {
	return &server{s: s, sid: sid, file: file, disk: newDisk(s, sid), slow: 1, rate: 1}
}

// note is a server's word for when its store was noted as the one that counts.
type note struct {
	life  quorum.Incarnation
	noted zxid.ID
}

// process is one life of a server: what quorum/peer keeps in a Peer, and its loop.
type process struct {
	*server
	dead bool

	fle        *fle.Machine
	inbox      []message
	turning    bool
	closing    bool // a tenure is over and waits for the disk
	generation uint64
	delivered  zxid.ID
	hellos     []*hello
	seen       []quorum.Incarnation
	notes      []note
	rumour     bool // the network was told of a configuration that is pending elsewhere
	failures   int
	refusals   int
	needSnap   bool
	spoilt     bool          // the tree is wrong, until it is replaced
	stoodBack  bool          // ... and made this server abstain since a leader was established last
	ticked     time.Duration // up to when the election knows of the time that goes by
	heard      zxid.Epoch
	looks      int // elections begun
	// held is an election's outcome that has to wait.
	held *fle.Outcome
	own  fle.Vote // of this election

	// members is the membership that everybody was told of last, heir who leads next without an
	// election. enlisted: the last leader needs the vote of this server, which knows itself for an
	// observer. enrolled: it belongs to an ensemble, whose configurations it may tell.
	members  quorum.Membership
	heir     quorum.SID
	enlisted bool
	enrolled bool

	tenure  *tenure // nil while LOOKING
	app     *applier
	clients []*client

	// fuse is how many more crash points the process survives; 0: it burns not.
	fuse int
}

// hello is a learner's link that waits for this server to become the leader.
type hello struct {
	link  *link
	sid   quorum.SID
	since time.Duration
	msgs  []zab.Message
}

// evKind is the kind of a message to the loop.
type evKind uint8

const (
	evNotification evKind = iota
	evReachable
	evLinkUp
	evReceived
	evLinkDown
	evPersisted
	evNoPoint
	evSubmit
	evPropose
	evPlan
	evReconfigure
	evAnswer
	evStreamDone
	evStreamFailed
	evRepair
	evTick
)

// message is one thing that the loop hears of; kind says which fields count.
type message struct {
	kind        evKind
	up          bool
	sid         quorum.SID
	link        *link
	generation  uint64
	token       uint64
	incarnation quorum.Incarnation
	note        fle.Notification
	msgs        []zab.Message
	first       zxid.ID
	txns        [][]byte
	request     zab.Kind
	data        []byte
	point       zxid.Point
	planning    *planning
}

// maxHelloMessages bounds what a learner may say before anybody listens.
const maxHelloMessages = 4

// crashed unwinds the turn in which a server has crashed.
var errCrashed = errors.New("sim: crashed")

// start brings the server up: it recovers from disk as server/node does.
func (srv *server) start() {
	if srv.proc.alive() || srv.absent {
		return
	}
	s := srv.s
	srv.lives++
	srv.pausedUntil, srv.frozen = 0, nil
	p := &process{server: srv, seen: make([]quorum.Incarnation, s.net.n+1), notes: make([]note, s.net.n+1), heir: quorum.None}
	if !srv.disk.open() {
		s.restartLater(srv, s.between(50*time.Millisecond, time.Second))
		return
	}
	t, ok := srv.disk.openTree()
	if !ok {
		if !srv.disk.damaged { // somebody has to do something about that
			s.restartLater(srv, s.between(50*time.Millisecond, time.Second))
		}
		return
	}
	p.app = newApplier(p, t)
	if why := p.reconcile(); why != "" {
		if !srv.disk.restored {
			s.fail(stateIsFold, "server %v: %s", srv.sid, why)
		}
		s.counts.Crashes++
		s.trace(srv, line{label: labelExit, text: why})
		t.close()
		srv.disk.leave(srv.disk.fs.mem.CrashClone(vfs.CrashCloneCfg{}))
		return
	}
	srv.proc, srv.disk.restored = p, false
	s.oracle.installed(p)
	if srv.disk.doubted && !s.mutant.forgetDoubt {
		p.app.suspect()
	}
	p.members = p.membership()
	p.fle = fle.New(fle.Config{
		Self: srv.sid, Membership: p.members,
		FinalizeTicks:  int(finalizeWait / electionTick),
		MinNotifyTicks: int(minNotify / electionTick), MaxNotifyTicks: int(maxNotify / electionTick),
		CutOffTicks: int(patience / electionTick),
	})
	d := p.durable()
	s.trace(srv, line{
		label: labelOpen, point: d.History.Last(), n: int64(d.Current),
		text: fmt.Sprintf("incarnation=%v accepted=%d from=%v current=%d base=%v committed=%v applied=%v rate=%.2f",
			d.Incarnation, d.Promise.Epoch, d.Promise.Leader, d.Current, d.History.Base.ID, d.Committed, p.app.tree.at().ID, srv.rate),
	})
	p.replay(d)
	p.tell()
	p.beginClients()
	p.look()
}

// reconcile brings tree and log to states that belong together, or says why they do not.
func (p *process) reconcile() string {
	log, t := p.disk.log, p.app.tree
	if point, pending := log.Intent(); pending && !p.s.mutant.forgetIntent {
		if t.at() != point && (!t.resume(point) || t.at() != point) {
			return fmt.Sprintf("snapshot at %v is promised and not there", point)
		}
		p.must(log.InstallDone())
	}
	t.discard()
	h, at := log.Durable().History, t.at()
	if at.ID > h.Last().ID || at.ID < h.Base.ID || at.ID == h.Last().ID && at != h.Last() {
		return fmt.Sprintf("tree at %v does not belong to the log %v", at, h)
	}
	p.app.handed, p.app.last = at, at.ID
	return ""
}

// replay applies what the log knows to be committed.
func (p *process) replay(d zab.Durable) {
	at := p.app.tree.at().ID
	for at < d.Committed {
		entries, err := p.disk.log.Entries(at, d.Committed, 1000)
		p.must(err)
		if len(entries) == 0 || entries[0].Prev != at {
			p.s.fail(stateIsFold, "server %v: the log does not hold what follows the applied %v", p.sid, at)
		}
		p.app.commit(entries)
		at = entries[len(entries)-1].ID
	}
	p.delivered = at
}

// must fails on an error of the disk that no fault explains.
func (p *process) must(err error) {
	if err != nil {
		p.s.fail(stepRefused, "server %v: %v", p.sid, err)
	}
}

// alive reports whether the process runs.
func (p *process) alive() bool { return p != nil && !p.dead }

// after schedules something that happens only if the process lives then; if it stands still, as
// soon as it goes on.
func (p *process) after(d time.Duration, do func()) {
	p.s.after(d, func() { p.happen(do) })
}

func (p *process) happen(do func()) {
	switch {
	case !p.alive():
	case p.paused():
		p.frozen = append(p.frozen, func() { p.happen(do) })
	default:
		p.guard(do)
	}
}

// timer is after by the clock of the server.
func (p *process) timer(d time.Duration, do func()) {
	p.after(time.Duration(float64(d)*p.rate), do)
}

// pause stops the process for a while.
func (srv *server) pause(d time.Duration) {
	srv.pausedUntil = srv.s.now + d
	srv.s.after(d, srv.resume)
}

// resume lets it go on, unless it was stopped again meanwhile.
func (srv *server) resume() {
	if srv.paused() {
		return
	}
	frozen := srv.frozen
	srv.frozen = nil
	for _, do := range frozen {
		do()
	}
}

func (srv *server) paused() bool { return srv.pausedUntil > srv.s.now }

// guard runs something in which the process may crash.
func (p *process) guard(do func()) {
	defer func() {
		if r := recover(); r != nil {
			switch r {
			case errCrashed:
				p.crash(p.s.chance(0.7))
			case errTreeBroken:
				p.treeBroke()
			default:
				panic(r)
			}
		}
	}()
	do()
}

// crashPoint is a place at which the process may end.
func (p *process) crashPoint() {
	if p.fuse > 0 {
		if p.fuse--; p.fuse == 0 {
			panic(errCrashed)
		}
	}
}

// crash ends the process; power says that the machine goes with it.
func (p *process) crash(power bool) {
	if !p.alive() {
		return
	}
	s := p.s
	s.counts.Crashes++
	text := "killed"
	if power {
		text = "power lost"
	}
	s.trace(p.server, line{label: labelExit, text: text})
	p.end(power, p.disk.remains(power))
}

// end ends the process and leaves image on its disk.
func (p *process) end(power bool, image *vfs.MemFS) {
	s := p.s
	p.dead = true
	p.app.tree.close()
	p.disk.leave(image)
	s.net.died(p, power)
	for peer := 1; peer <= s.net.n; peer++ {
		if peer != int(p.sid) {
			s.net.refresh(int(p.sid), peer)
		}
	}
}

// put hands a message to the loop, which takes it with its next turn.
func (p *process) put(m message) {
	p.inbox = append(p.inbox, m)
	p.wake()
}

func (p *process) wake() {
	if p.turning || p.closing {
		return
	}
	p.turning = true
	p.after(time.Duration(float64(p.s.upTo(400*time.Microsecond))*p.slow), p.turn)
}

// turn is one round of the loop: everything that has happened, then everything
// that is to be done.
func (p *process) turn() {
	p.turning = false
	if p.closing {
		return
	}
	batch := p.inbox
	p.inbox = nil
	for i := range batch {
		if p.closing {
			p.inbox = append(p.inbox, batch[i:]...)
			return
		}
		if p.tenure != nil {
			p.tenure.handle(batch[i])
			p.tenure.endIfOver()
		} else {
			p.elsewhere(batch[i])
			p.elected()
		}
	}
	if p.tenure != nil {
		p.tenure.settle()
		p.tenure.endIfOver()
	}
}

// durable is what the disk says when a role starts, or what a mutant makes of it.
func (p *process) durable() zab.Durable {
	d := p.disk.log.Durable()
	if p.s.mutant.durable != nil {
		p.s.mutant.durable(p, &d)
	}
	return d
}

// drained tells that the disk's queue is empty.
func (p *process) drained() {
	if p.closing {
		p.tenureClosed()
	}
}
