package zab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Errors of Leader.Propose. None of them changes anything.
var (
	// ErrNotLeading: the epoch is not established, or the role has ended.
	ErrNotLeading = errors.New("zab: not leading")
	// ErrOutOfOrder: the first zxid is not the one that Next names.
	ErrOutOfOrder = errors.New("zab: proposal out of order")
	// ErrExhausted: the epoch has no such zxids left; a new one must begin.
	ErrExhausted = errors.New("zab: epoch exhausted")
)

// Leader is the role of a server that was elected. It lives for one epoch: it finds
// the epoch's number, brings learners to its own history, establishes the epoch
// and orders proposals until it loses its quorum.
type Leader struct {
	outbox

	// Fixed by the constructor.
	cfg     Config
	initial Summary // the history that the epoch begins with
	cluster quorum.ClusterID

	// Discovery. epoch is 0 until a quorum has reported; offered becomes true when the own
	// promise of it is durable.
	epoch    zxid.Epoch
	offered  bool
	accepted zxid.Epoch // highest epoch that anybody reported to have accepted

	// Time, in ticks of this role.
	now      int
	deadline int // for establishing the epoch
	hardStop int // beyond which no progress moves the deadline
	since    int // when the epoch was established
	marks    [2]mark
	stuckAt  zxid.ID // how far the own disk was when it fell behind the quorum,
	stuck    int     // and when that was

	// Who there is. links and voters are sorted by sid; bySID finds a link.
	links  []*link
	bySID  [int(quorum.MaxSID) + 1]*link
	voters []*voter
	me     *voter

	// The configurations, and how far a reconfiguration is.
	view   quorum.Membership
	before zxid.ID // the zxid before the proposal of view.Seen, while that is pending
	// leaving is set once a configuration is in force that this server must not lead; heir takes
	// over without an election, if there is one.
	leaving bool
	leftAt  int
	heir    quorum.SID

	// Whom to believe.
	known      []Known
	knownSeq   uint64       // counts changes of known
	notes      zxid.Counter // made in this epoch
	told       []Known      // what of it is on the own disk
	rolledBack []Known      // incarnations that have lost what they acknowledged in this epoch

	// Broadcast. win.last() is what was last proposed.
	win             window
	submitted       zxid.ID // handed to the own log
	announced       zxid.ID // proposed to the followers
	committed       zxid.ID
	commitAnnounced zxid.ID
	delivered       zxid.ID
	outBytes        int // cost of what is proposed and not committed
	answers         []answer
	forceSnap       quorum.Set // learners whose stream from disk failed
	base            zxid.Point // where the log on disk begins now

	// Confirmation that this server still leads, see confirm.
	round     uint64 // the last that was begun
	confirmed uint64 // the last that a quorum has answered
}

// mark remembers what was last proposed when a tick began; an acknowledgement of more
// proves that its sender was heard and answered since (hazard H-53).
type mark struct {
	tick int
	last zxid.ID
}

// voter is what a leader remembers of a voter while it leads, connected or not. All of
// it was said by one incarnation; another one starts from nothing (hazards H-39, H-40).
type voter struct {
	sid      quorum.SID
	life     quorum.Incarnation
	trusted  bool    // what it says counts
	promised bool    // the epoch: a durable promise, valid without a link
	accepted bool    // NEWLEADER, on the present link
	joining  bool    // to be adopted, on the present link
	adopted  zxid.ID // the note of that, which it does not have on its disk yet; 0: not noted
	acked    zxid.ID // its log is durable up to here; 0 unless trusted
}

// Lead starts leading, as NewFollower starts following (NewLeader is a kind of message). It ends at once, in phase Stopped, if this server
// must not lead: no voter, or with a store that may have lost what it acknowledged.
func Lead(cfg Config) *Leader {
	cfg.Limits = cfg.Limits.withDefaults()
	d := &cfg.Durable
	l := &Leader{
		heir: quorum.None, cfg: cfg, view: cfg.Membership,
		initial: d.History.cut(d.History.Last()), cluster: d.Cluster,
		accepted: max(d.Promise.Epoch, cfg.Heard), deadline: cfg.InitTicks,
		known: sortedKnown(d.Known), base: d.History.Base,
		win: window{start: d.History.Last()},
	}
	l.self, l.told = cfg.Self, l.known
	if l.cluster.IsZero() {
		l.cluster = cfg.NewCluster
	}
	last := d.History.Last().ID
	l.submitted, l.announced = last, last
	for sid := range l.view.Voters().All() {
		l.voters = append(l.voters, &voter{sid: sid, trusted: true})
	}
	l.enter(Discovery, last)
	l.me = l.voter(cfg.Self)
	switch {
	case l.me == nil:
		l.stop("this server is no voter")
	case d.Untrusted || cfg.Distrusted.Has(cfg.Self):
		l.stop("the history of this server must not be trusted")
	default:
		*l.me = voter{sid: cfg.Self, life: d.Incarnation, trusted: true}
		if !l.hasLost() {
			l.fixEpoch()
		}
	}
	l.assert()
	return l
}

// voter finds a voter by sid.
func (l *Leader) voter(sid quorum.SID) *voter {
	for _, v := range l.voters {
		if v.sid == sid {
			return v
		}
	}
	return nil
}

// trusted returns the trusted voters that have what is asked for.
func (l *Leader) trusted(has func(*voter) bool) quorum.Set {
	var s quorum.Set
	for _, v := range l.voters {
		if v.trusted && has(v) {
			s.Add(v.sid)
		}
	}
	return s
}

// Phase returns the phase that the role is in. Broadcast means established.
func (l *Leader) Phase() Phase { return l.phase }

// Epoch returns the new epoch, or 0 as long as no quorum has reported.
func (l *Leader) Epoch() zxid.Epoch { return l.epoch }

// Heard returns the highest epoch that anybody is known to have promised: Config.Heard of
// the next role.
func (l *Leader) Heard() zxid.Epoch { return l.accepted }

// LastProposed returns the end of the history.
func (l *Leader) LastProposed() zxid.ID { return l.win.last().ID }

// LastCommitted returns the end of the committed history, 0 before establishment.
func (l *Leader) LastCommitted() zxid.ID { return l.committed }

// Known returns the incarnations of the voters that were ever synchronised, by
// sid. The slice is shared and must not be changed.
func (l *Leader) Known() []Known { return l.known }

// Synced returns the learners, observers included, that have accepted NEWLEADER and
// give signs of life.
func (l *Leader) Synced() quorum.Set {
	var s quorum.Set
	for _, p := range l.links {
		if p.state == linkSynced {
			s.Add(p.sid)
		}
	}
	return s
}

// Duplicate reports whether a new link of sid must be turned away because the
// incarnation that is remembered of it is connected at this moment and is
// not this one: two servers run under one id (hazard H-39). Step refuses such
// a server too, but can do so only by dropping both links.
func (l *Leader) Duplicate(sid quorum.SID, life quorum.Incarnation) bool {
	p := l.link(sid)
	known, ok := lookupKnown(l.known, sid)
	return sid == l.self || p != nil && ok && p.life == known && life != known
}

// leaderHandler handles one kind of message of a learner that is linked.
type leaderHandler func(*Leader, *link, Message)

// leaderTable says what a leader does with each kind of message. illegal cells are
// empty on purpose: such a message ends the link. The two that open a link have no
// link yet and are handled by Step.
var leaderTable = [kindEnd]leaderHandler{
	FollowerInfo: (*Leader).illegal,
	ObserverInfo: (*Leader).illegal,
	LeaderInfo:   (*Leader).illegal,
	AckEpoch:     (*Leader).onAckEpoch,
	Diff:         (*Leader).illegal,
	Trunc:        (*Leader).illegal,
	Snap:         (*Leader).illegal,
	SnapChunk:    (*Leader).illegal,
	Proposal:     (*Leader).illegal,
	Inform:       (*Leader).illegal,
	Commit:       (*Leader).illegal,
	NewLeader:    (*Leader).illegal,
	Ack:          (*Leader).onAck,
	UpToDate:     (*Leader).illegal,
	Ping:         (*Leader).onPing,
	Touch:        (*Leader).onRequest,
	Request:      (*Leader).onRequest,
	Sync:         (*Leader).onRequest,
	Revalidate:   (*Leader).onRequest,
}

// Step handles a message of a learner. A failure ends the link to that learner and
// nothing else (spec 6.2).
func (l *Leader) Step(m Message) {
	if l.phase == Stopped || m.From < 0 || m.From > quorum.MaxSID {
		return
	}
	p := l.link(m.From)
	switch {
	case m.Kind == FollowerInfo || m.Kind == ObserverInfo:
		l.onInfo(m)
	case p == nil:
		// The link was given up, or begins with something else than its introduction.
		if !slices.Contains(l.out.Drop, m.From) {
			l.out.Drop = append(l.out.Drop, m.From)
		}
	case !m.Kind.Valid():
		l.drop(p, fmt.Sprintf("%v received", m.Kind))
	case m.Epoch != l.epoch && leaderKind(m.Kind):
		// A frame of another epoch says nothing in this one.
	default:
		leaderTable[m.Kind](l, p, m)
	}
	l.assert()
}

// leaderKind reports whether a learner may send this kind on an open link.
func leaderKind(k Kind) bool {
	switch k {
	case AckEpoch, Ack, Ping, Touch, Request, Sync, Revalidate:
		return true
	}
	return false
}

// illegal drops a learner over a message that has no place where it came (invariant I17).
func (l *Leader) illegal(p *link, m Message) {
	l.drop(p, fmt.Sprintf("protocol error: %v %s", m.Kind, linkStateNames[p.state]))
}

// Persisted tells that the step with this token, and every earlier one, is durable:
// this server's own promise, acceptance or acknowledgement.
func (l *Leader) Persisted(token uint64) {
	f, ok := l.landed(token)
	if !ok || l.phase == Stopped {
		return
	}
	if f.marks&markKnown != 0 {
		l.told = f.known
		l.adopt()
	}
	if f.marks&markPromise != 0 {
		l.me.promised = true
		l.offerAll()
	}
	if f.marks&markCurrent != 0 {
		l.me.accepted = true
		l.me.acked = l.initial.Last().ID
		l.establish()
	}
	if l.phase == Broadcast {
		l.me.acked = f.last
		l.advance()
	}
	l.assert()
}

// Ready returns everything to do since the last call.
func (l *Leader) Ready() Ready {
	if l.phase == Broadcast {
		l.announce()
		l.deliver()
		l.step.Append = l.win.between(l.submitted, l.win.last().ID)
		l.submitted = l.win.last().ID
		l.win.trim(&l.cfg.Limits, l.unneeded())
	}
	if l.left() {
		l.finish("left the ensemble, or its address in it")
	}
	return l.take(l.submitted)
}

// unneeded returns the end of what only a joining learner could still want from the window.
func (l *Leader) unneeded() zxid.ID {
	return min(l.commitAnnounced, l.me.acked)
}

// Disconnected tells that the link to a learner has ended. Its promise and what
// it acknowledged stay facts; everything else about it is forgotten.
func (l *Leader) Disconnected(sid quorum.SID) {
	if l.phase == Stopped {
		return
	}
	if p := l.link(sid); p != nil {
		l.event(EventDropped, sid, 0, "link closed")
		l.forget(p)
	}
	l.assert()
}

// Trimmed tells that the log on disk now begins at a later base, so that no
// synchronisation may be planned from below it (hazard H-19).
func (l *Leader) Trimmed(base zxid.Point) {
	if base.ID > l.base.ID {
		l.base = base
	}
}

// drop gives up the link to a learner.
func (l *Leader) drop(p *link, why string) {
	l.event(EventDropped, p.sid, 0, why)
	l.forget(p)
	l.out.Drop = append(l.out.Drop, p.sid)
}

// forget removes a link and what was on its way over it.
func (l *Leader) forget(p *link) {
	l.bySID[p.sid] = nil
	l.links = slices.DeleteFunc(l.links, func(q *link) bool { return q == p })
	l.withdraw(p.sid)
	l.answers = slices.DeleteFunc(l.answers, func(a answer) bool { return a.msg.To == p.sid })
	if p.voter != nil {
		p.voter.accepted, p.voter.joining = false, false
	}
}

// link finds the link to a learner.
func (l *Leader) link(sid quorum.SID) *link {
	if sid < 0 || sid > quorum.MaxSID {
		return nil
	}
	return l.bySID[sid]
}
