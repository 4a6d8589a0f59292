package peer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// stage is one peer, server 3 of three, whose network is the test: it says what the other two
// say, and sees what they would.
type stage struct {
	t    *testing.T
	peer *peer.Peer
	list *list
	log  *gatedLog

	cancel context.CancelFunc
	done   chan error

	mu     sync.Mutex
	vote   func(fle.Notification) (fle.Vote, bool) // how servers 1 and 2 answer; nil: not at all
	notes  []fle.Notification
	dialed []quorum.SID
	links  uint64
	hung   []uint64
	sent   map[uint64][]zab.Message
}

func (s *stage) Notify(n fle.Notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, n)
	if s.vote == nil || n.State != fle.Looking {
		return
	}
	if v, ok := s.vote(n); ok {
		s.peer.Notified(fle.Notification{From: n.To, To: n.From, State: fle.Looking, Vote: v, Round: n.Round})
	}
}

func (s *stage) SetMembers(quorum.Membership) {}

func (s *stage) Connect(leader quorum.SID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialed = append(s.dialed, leader)
	s.links++
	return s.links
}

func (s *stage) Hangup(link uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hung = append(s.hung, link)
}

func (s *stage) Send(link uint64, msgs []zab.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[link] = append(s.sent[link], msgs...)
}

func (s *stage) SendWait(_ context.Context, link uint64, msgs []zab.Message) error {
	s.Send(link, msgs)
	return nil
}

// sentOn returns the kinds of what was sent on a link, but pings.
func (s *stage) sentOn(link uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	for _, m := range s.sent[link] {
		if m.Kind != zab.Ping {
			kinds = append(kinds, m.Kind.String())
		}
	}
	return strings.Join(kinds, " ")
}

func (s *stage) hungUp(link uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.hung, link)
}

// votes changes how the other two vote.
func (s *stage) votes(vote func(fle.Notification) (fle.Vote, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vote = vote
}

// agree is the vote of those who have nothing better than what they hear.
func agree(n fle.Notification) (fle.Vote, bool) { return n.Vote, n.Vote.Leader != quorum.None }

// for2 is the vote for server 2, which beats everything.
func for2(fle.Notification) (fle.Vote, bool) {
	return fle.Vote{Leader: 2, Epoch: 50, Zxid: zxid.Make(50, 50)}, true
}

// gatedLog holds back the log's word that something is durable while its gate is closed.
type gatedLog struct {
	history
	mu     sync.Mutex
	closed bool
	held   []func()
	writer []func(uint64) // of each role so far
}

func (l *gatedLog) NewWriter(done func(token uint64)) (peer.Writer, error) {
	l.mu.Lock()
	l.writer = append(l.writer, done)
	l.mu.Unlock()
	return l.history.NewWriter(func(token uint64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			l.held = append(l.held, func() { done(token) })
			return
		}
		done(token)
	})
}

func (l *gatedLog) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *gatedLog) open() {
	l.mu.Lock()
	held := l.held
	l.closed, l.held = false, nil
	l.mu.Unlock()
	for _, f := range held {
		f()
	}
}

// newStage makes the peer; run starts it.
func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageWith(t, func(*peer.Config) {})
}

func newStageWith(t *testing.T, tweak func(*peer.Config)) *stage {
	t.Helper()
	log := openLog(t, vfs.NewMem(), 3)
	s := &stage{
		t: t, list: &list{sid: 3, mistake: t.Errorf}, log: &gatedLog{history: history{log}},
		links: 1000, sent: make(map[uint64][]zab.Message), done: make(chan error, 1),
	}
	cfg := peer.Config{
		Self: 3, Membership: quorum.Stable(ensembleOf(t, quorum.Set{}, 1, 2, 3)), Log: s.log, Transport: s, StateMachine: s.list,
		TickTime: tickTime, InitLimit: initLimit, SyncLimit: syncLimit,
		Logger: zerolog.Nop(), Rand: rand.New(rand.NewPCG(3, 1)),
	}
	tweak(&cfg)
	p, err := peer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.peer, s.list.peer = p, p
	t.Cleanup(func() {
		if s.cancel != nil {
			s.cancel()
			if err := <-s.done; err != nil {
				t.Error(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stage) run() {
	ctx, cancel := context.WithCancel(s.t.Context())
	s.cancel = cancel
	go func() { s.done <- s.peer.Run(ctx) }()
	synctest.Wait()
}

// await lets time pass until a condition holds.
func (s *stage) await(what string, ready func() bool) {
	s.t.Helper()
	eventually(s.t, what, func() error {
		if !ready() {
			st := s.peer.Status()
			return fmt.Errorf("%v in %v, sent %q", st.State, st.Phase, s.sentOn(s.lastLink()))
		}
		return nil
	})
}

func (s *stage) lastLink() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links
}

func (s *stage) state() fle.State { return s.peer.Status().State }

// pass lets real work happen and the bubble's clock move.
func pass(d time.Duration) { <-time.After(d) }

// info is how a learner introduces itself.
func info(sid quorum.SID) zab.Message {
	return zab.Message{Kind: zab.FollowerInfo, From: sid, Incarnation: quorum.Incarnation{byte(sid)}}
}

func TestLearnerThatDialsEarlyIsAdopted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		s.peer.LinkUp(7, 1) // server 1 has made up its mind already
		s.peer.Received(7, []zab.Message{info(1)})
		synctest.Wait()
		if got := s.sentOn(7); got != "" {
			t.Fatalf("sent %q to an early learner", got)
		}
		s.votes(agree)
		s.await("the learner is offered the epoch", func() bool { return s.sentOn(7) == "LEADERINFO" })
	})
}

// Of two early links of one learner the newer one counts: the older is dead, whether
// or not that was heard of.
func TestNewerOfTwoEarlyLinksCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		for link := uint64(7); link < 27; link++ {
			s.peer.LinkUp(link, 1)
			s.peer.Received(link, []zab.Message{info(1)})
		}
		synctest.Wait()
		s.votes(agree)
		s.await("the newest link is served", func() bool { return s.sentOn(26) == "LEADERINFO" })
		for link := uint64(7); link < 26; link++ {
			if !s.hungUp(link) || s.sentOn(link) != "" {
				t.Errorf("link %d, which was replaced: hung up %v, sent %q", link, s.hungUp(link), s.sentOn(link))
			}
		}
	})
}

func TestEarlyLearnersAreSentAwayInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		s.peer.LinkUp(7, 1)
		pass(900 * time.Millisecond)
		if s.hungUp(7) {
			t.Error("the learner was sent away before a second has passed")
		}
		pass(200 * time.Millisecond)
		if !s.hungUp(7) {
			t.Error("the learner waits for a server that does not get to lead")
		}
		// What it says after that, or what happens to its link, is nobody's business.
		s.peer.Received(7, []zab.Message{info(1)})
		s.peer.LinkDown(7, errors.New("closed"))
		synctest.Wait()
	})
}

func TestEarlyLearnersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		s.peer.LinkUp(1, 1)
		for range 5 {
			s.peer.Received(1, []zab.Message{info(1)})
		}
		synctest.Wait()
		if !s.hungUp(1) {
			t.Error("an early learner may talk without end")
		}
		for link := uint64(2); link < 2+512; link++ {
			s.peer.LinkUp(link, 1)
		}
		s.peer.LinkUp(9999, 1)
		synctest.Wait()
		if !s.hungUp(9999) || s.hungUp(513) {
			t.Errorf("of 513 early links the last is hung up %v, the one before %v", s.hungUp(9999), s.hungUp(513))
		}
	})
}

func TestFollowerSendsLearnersAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		s.peer.LinkUp(7, 1)
		synctest.Wait()
		s.votes(for2)
		s.await("server 2 is dialed", func() bool { return s.lastLink() == 1001 })
		synctest.Wait()
		if !s.hungUp(7) {
			t.Error("an early learner of a server that follows is left waiting")
		}
		s.peer.LinkUp(8, 1)
		synctest.Wait()
		if !s.hungUp(8) {
			t.Error("a learner of a server that follows is left waiting")
		}
		if s.hungUp(1001) {
			t.Error("the follower hung up on its leader")
		}
	})
}

// A leader that cannot be reached is given up after a second [H-45].
func TestUnreachableLeaderIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(for2)
		s.run()
		s.await("FOLLOWING", func() bool { return s.state() == fle.Following })
		s.votes(nil)
		began := time.Now()
		s.await("LOOKING", func() bool { return s.state() == fle.Looking })
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if !s.hungUp(1001) {
			t.Error("the dialing goes on")
		}
	})
}

// follow brings the peer to LEADERINFO of server 2 on a fresh link, and returns the link.
func (s *stage) follow(epoch zxid.Epoch) uint64 {
	s.t.Helper()
	s.votes(for2)
	before := s.lastLink()
	s.await("server 2 is dialed", func() bool { return s.lastLink() > before })
	s.votes(nil)
	link := s.lastLink()
	s.peer.LinkUp(link, 2)
	s.await("FOLLOWERINFO", func() bool { return s.sentOn(link) == "FOLLOWERINFO" })
	s.peer.Received(link, []zab.Message{{Kind: zab.LeaderInfo, Epoch: epoch, Cluster: quorum.ClusterID{1}, Incarnation: quorum.Incarnation{2}}})
	return link
}

// The word of an older role's writer, however late, must not let a new role promise
// what is not on disk [H-28].
func TestEventsOfAnOlderGenerationAreIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		first := s.follow(1)
		s.await("the epoch is accepted", func() bool { return s.sentOn(first) == "FOLLOWERINFO ACKEPOCH" })
		s.peer.LinkDown(first, errors.New("reset"))
		s.await("LOOKING", func() bool { return s.state() == fle.Looking })

		s.log.shut()
		second := s.follow(2)
		synctest.Wait()
		s.log.mu.Lock()
		late := s.log.writer[0]
		s.log.mu.Unlock()
		late(1)
		s.peer.LinkDown(first, errors.New("reset again"))
		s.peer.Received(first, []zab.Message{{Kind: zab.Diff, Epoch: 2}})
		pass(tickTime)
		if got := s.sentOn(second); got != "FOLLOWERINFO" {
			t.Fatalf("sent %q before the promise was known to be durable", got)
		}
		if s.state() != fle.Following {
			t.Fatal("events of an older link ended the role")
		}
		s.log.open()
		s.await("the epoch is accepted", func() bool { return s.sentOn(second) == "FOLLOWERINFO ACKEPOCH" })
	})
}

// A leader that begins a second snapshot while the first is becoming the state breaks the
// protocol; the first must not be lost over that, for the log depends on it.
func TestSecondSnapshotDoesNotDisturbTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		link := s.follow(7)
		s.await("the epoch is accepted", func() bool { return s.sentOn(link) == "FOLLOWERINFO ACKEPOCH" })
		e := zab.NewEntry(zxid.Point{}, zxid.Make(6, 1), []byte("state"))
		s.log.shut()
		snap := []zab.Message{
			{Kind: zab.Snap, Epoch: 7, Point: e.Point()},
			{Kind: zab.SnapChunk, Epoch: 7, Data: appendEntry(nil, e), Done: true},
		}
		s.peer.Received(link, append(slices.Clone(snap), zab.Message{Kind: zab.NewLeader, Epoch: 7, Point: e.Point()}))
		synctest.Wait()
		s.peer.Received(link, snap)
		s.await("LOOKING", func() bool { return s.state() == fle.Looking })
		if got, want := s.list.history(), "stop, install"; got != want {
			t.Errorf("the state machine was told %q, want %q", got, want)
		}
		if got := s.list.Applied(); got != e.Point() {
			t.Errorf("applied %v, the log begins at %v", got, s.log.Durable().History.Base)
		}
		s.log.open()
	})
}

// A snapshot that does not verify ends the role, and the next one asks for another.
func TestBrokenSnapshotIsAskedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		link := s.follow(7)
		s.await("the epoch is accepted", func() bool { return s.sentOn(link) == "FOLLOWERINFO ACKEPOCH" })
		e := zab.NewEntry(zxid.Point{}, zxid.Make(6, 1), []byte("state"))
		s.peer.Received(link, []zab.Message{
			{Kind: zab.Snap, Epoch: 7, Point: e.Point()},
			{Kind: zab.SnapChunk, Epoch: 7, Data: appendEntry(nil, e)[:20], Done: true},
		})
		s.await("LOOKING", func() bool { return s.state() == fle.Looking })
		if got, want := s.list.history(), "stop, discard"; got != want {
			t.Errorf("the state machine was told %q, want %q", got, want)
		}
		link = s.follow(8)
		s.await("the epoch is accepted", func() bool { return s.sentOn(link) == "FOLLOWERINFO ACKEPOCH" })
		s.mu.Lock()
		defer s.mu.Unlock()
		if m := s.sent[link][1]; !m.NeedSnap {
			t.Errorf("the next ACKEPOCH is %+v, want one that asks for a snapshot", m)
		}
	})
}

// A leader whose electors look for a leader again, and do not come, does not wait for them until
// initLimit [ZOOKEEPER-3109, H-45].
func TestDisloyalVotersEndALeadershipEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(agree)
		s.run()
		s.await("LEADING", func() bool { return s.state() == fle.Leading })
		s.votes(nil)
		began := time.Now()
		looking := func(round uint64) {
			s.peer.Notified(fle.Notification{
				From: 1, To: 3, State: fle.Looking, Round: round,
				Vote: fle.Vote{Leader: 1, Epoch: 1, Zxid: 1},
			})
		}
		looking(2) // at once: it may still come
		pass(tickTime)
		if s.state() != fle.Leading {
			t.Fatal("a voter that was looking a moment ago ended the leadership")
		}
		pass(2*peer.DefaultFinalize + tickTime)
		looking(3)
		s.await("LOOKING", func() bool { return s.state() == fle.Looking })
		if took := time.Since(began); took >= initLimit*tickTime {
			t.Errorf("it took %v, no less than initLimit", took)
		}
	})
}

// A leader that cannot begin, since those who came have left again, makes room for an election in which another voter can
// have its say: at once when that is looking, and after a while when it is the one that left [H-45].
func TestStrandedLeadershipEnds(t *testing.T) {
	grace := 2*peer.DefaultFinalize + tickTime
	for name, looking := range map[string]struct {
		sid   quorum.SID
		after time.Duration
	}{"another voter": {2, 0}, "the one that left": {1, grace}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.votes(func(n fle.Notification) (fle.Vote, bool) { return n.Vote, n.To == 1 && n.Vote.Leader == 3 })
				s.run()
				s.await("LEADING", func() bool { return s.state() == fle.Leading })
				s.votes(nil)
				began := time.Now()
				s.peer.LinkUp(7, 1)
				s.peer.Received(7, []zab.Message{info(1)})
				s.await("LEADERINFO", func() bool { return s.sentOn(7) == "LEADERINFO" })
				s.peer.Received(7, []zab.Message{{Kind: zab.AckEpoch, From: 1, Epoch: 1, Fresh: true}})
				s.await("NEWLEADER", func() bool { return strings.HasSuffix(s.sentOn(7), "NEWLEADER") })
				look := func(sid quorum.SID, round uint64) {
					s.peer.Notified(fle.Notification{From: sid, To: 3, State: fle.Looking, Round: round, Vote: fle.Vote{Leader: sid}})
					synctest.Wait()
				}
				look(1, 2)
				look(2, 2)
				if s.state() != fle.Leading {
					t.Fatal("it gave up though a quorum is connected")
				}
				s.peer.LinkDown(7, errors.New("no snapshot for you"))
				if synctest.Wait(); looking.after > 0 {
					if look(looking.sid, 3); s.state() != fle.Leading {
						t.Fatal("it gave up before the voter could come again")
					}
					pass(looking.after - time.Since(began))
				}
				look(looking.sid, 4)
				s.await("LOOKING", func() bool { return s.state() == fle.Looking })
				if took := time.Since(began); took >= initLimit*tickTime {
					t.Errorf("it took %v, no less than initLimit", took)
				}
			})
		})
	}
}

// A learner that its leader turns away at once, again and again, tries ever more seldom, and
// still tries.
func TestRefusedLearnerBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.votes(for2)
		s.run()
		tries := func(during time.Duration) int {
			before := s.lastLink()
			for end := time.Now().Add(during); time.Now().Before(end); pass(time.Millisecond) {
				if link := s.lastLink(); !s.hungUp(link) {
					s.peer.LinkUp(link, 2)
					s.peer.LinkDown(link, errors.New("you belong elsewhere"))
				}
			}
			return int(s.lastLink() - before)
		}
		tries(10 * time.Second)
		if n := tries(10 * time.Second); n < 5 || n > 20 {
			t.Errorf("%d tries in ten seconds, want about one a second", n)
		}
	})
}

// Links that say more than the loop can take are not read from any more, and are again once
// the loop has caught up.
func TestReceivedBlocksWhileTooMuchWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		const bound = 1024
		for range bound {
			s.peer.Received(7, []zab.Message{info(1)})
		}
		var returned atomic.Bool
		go func() {
			s.peer.Received(7, []zab.Message{info(1)})
			returned.Store(true)
		}()
		synctest.Wait()
		if returned.Load() {
			t.Fatalf("more than %d bursts are taken while nobody handles them", bound)
		}
		s.peer.LinkDown(7, nil) // everything else is never held up
		s.peer.Notified(fle.Notification{From: 1, To: 3})
		s.run()
		s.await("the reader goes on", returned.Load)
	})
}

// A transport that still talks to a peer that has ended must not be held up.
func TestReceivedReturnsAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.run()
		s.cancel()
		if err := <-s.done; err != nil {
			t.Fatal(err)
		}
		s.cancel = nil
		for range 3000 {
			s.peer.Received(7, []zab.Message{info(1)})
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	log := openLog(t, vfs.NewMem(), 3)
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	good := func() peer.Config {
		return peer.Config{
			Self: 3, Membership: quorum.Stable(ensembleOf(t, quorum.Set{}, 1, 2, 3)), Log: history{log},
			Transport: &stage{}, StateMachine: &list{},
			TickTime: tickTime, InitLimit: 1, SyncLimit: 1, Rand: rand.New(rand.NewPCG(1, 2)),
		}
	}
	if _, err := peer.New(good()); err != nil {
		t.Fatalf("a good configuration is refused: %v", err)
	}
	for name, spoil := range map[string]func(*peer.Config){
		"not a member":        func(c *peer.Config) { c.Self = 4 },
		"no log":              func(c *peer.Config) { c.Log = nil },
		"no state machine":    func(c *peer.Config) { c.StateMachine = nil },
		"no transport":        func(c *peer.Config) { c.Transport = nil },
		"no tick":             func(c *peer.Config) { c.TickTime = 0 },
		"negative initLimit":  func(c *peer.Config) { c.InitLimit = -1 },
		"no syncLimit":        func(c *peer.Config) { c.SyncLimit = 0 },
		"no source of chance": func(c *peer.Config) { c.Rand = nil },
	} {
		c := good()
		spoil(&c)
		if _, err := peer.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
