package transport_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
)

// memory is a cluster without sockets.
type memory struct {
	*transport.Memory
	t        *testing.T
	ensemble *quorum.Ensemble
}

func newMemory(t *testing.T, sids ...quorum.SID) *memory {
	t.Helper()
	var members []quorum.Member
	for _, sid := range sids {
		members = append(members, quorum.Member{SID: sid, Quorum: []quorum.HostPorts{
			{Host: "h" + sid.String(), QuorumPort: 2888, ElectionPort: 3888},
		}})
	}
	return &memory{Memory: transport.NewMemory(), t: t, ensemble: ensembleOf(t, members...)}
}

func (m *memory) start(sid quorum.SID, tweaks ...func(*transport.Config)) *server {
	m.t.Helper()
	r := newRecorder()
	cfg := transport.Config{
		Self: sid, Membership: quorum.Stable(m.ensemble), Handler: r, Identity: identity(1, byte(sid)), Logger: zerolog.Nop(),
	}
	for _, tweak := range tweaks {
		tweak(&cfg)
	}
	n, err := m.Node(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	return run(m.t, n, r)
}

func TestMemoryElection(t *testing.T) {
	m := newMemory(t, 1, 2, 3)
	s1, s2, s3 := m.start(1), m.start(2), m.start(3)
	for _, s := range []*server{s1, s2} {
		s.awaitReach(t, 3, true)
		s.Notify(note(3, 1))
	}
	s3.awaitNote(t, 1, 1)
	s3.awaitNote(t, 2, 1)

	m.Block(3, 1) // one way is enough to lose the connection
	s1.awaitReach(t, 3, false)
	s3.awaitReach(t, 1, false)
	s1.Notify(note(3, 2))
	s1.Notify(note(3, 3))
	m.Unblock(3, 1)
	s1.awaitReach(t, 3, true)
	s3.awaitNote(t, 1, 3)
	s3.mu.Lock()
	for _, n := range s3.notes {
		if n.Round == 2 {
			t.Error("a notification arrived that had been replaced")
		}
	}
	s3.mu.Unlock()

	s2.stop()
	s1.awaitReach(t, 2, false)
	s2 = m.start(2)
	s1.awaitReach(t, 2, true)
	s1.Notify(note(2, 4))
	s2.awaitNote(t, 1, 4)

	m.Partition(quorum.SetOf(1), quorum.SetOf(2, 3))
	s1.awaitReach(t, 2, false)
	s1.awaitReach(t, 3, false)
	m.Heal()
	s1.awaitReach(t, 2, true)
	s1.awaitReach(t, 3, true)
}

// A partition delays what is on a link, like TCP: nothing is lost, no end is told, and what one
// end does is heard by the other after it.
func TestMemoryLinkInPartition(t *testing.T) {
	m := newMemory(t, 1, 2)
	leader, learner := m.start(1), m.start(2)
	atLeader, atLearner := connect(t, leader, learner)
	m.Block(1, 2)
	leader.Send(atLeader, []zab.Message{{Kind: zab.Ping, Seq: 1}})
	learner.Send(atLearner, []zab.Message{{Kind: zab.Ping, Seq: 2}})
	leader.awaitMessages(t, atLeader, 1)
	m.Heal()
	if got := learner.awaitMessages(t, atLearner, 1); got[0].Seq != 1 {
		t.Errorf("got %+v", got)
	}

	m.Block(1, 2)
	leader.Hangup(atLeader)
	waiting := learner.Connect(1) // cannot be answered
	learner.Send(atLearner, []zab.Message{{Kind: zab.Ping, Seq: 3}})
	learner.mu.Lock()
	if len(learner.down) != 0 || len(learner.links) != 1 {
		t.Errorf("the learner heard through a partition: %v", learner.log)
	}
	learner.mu.Unlock()
	m.Unblock(1, 2)
	learner.awaitDown(t, atLearner)
	if link := learner.awaitLink(t, 2); link != waiting {
		t.Errorf("link %d is up, asked for %d", link, waiting)
	}
}

func TestMemoryReset(t *testing.T) {
	m := newMemory(t, 1, 2)
	leader, learner := m.start(1), m.start(2)
	atLeader, atLearner := connect(t, leader, learner)
	leader.awaitReach(t, 2, true)
	m.Partition(quorum.SetOf(1), quorum.SetOf(2))
	m.Reset(2, 1)
	for link, s := range map[uint64]*server{atLeader: leader, atLearner: learner} {
		if err := s.awaitDown(t, link); !errors.Is(err, transport.ErrReset) {
			t.Errorf("the link ended with %v", err)
		}
	}
	m.Heal()
	m.Reset(1, 2)
	leader.await(t, "the connection was lost twice and is back", func() bool {
		return leader.flaps[2] == 2 && leader.reach[2]
	})
}

// Messages are copied on the way: servers share no memory.
func TestMemoryCopies(t *testing.T) {
	m := newMemory(t, 1, 2)
	leader, learner := m.start(1), m.start(2)
	atLeader, atLearner := connect(t, leader, learner)
	data := []byte("data")
	leader.Send(atLeader, []zab.Message{proposal(1, data)})
	got := learner.awaitMessages(t, atLearner, 1)[0]
	got.Entries[0].Data[0] = 'X'
	if string(data) != "data" {
		t.Error("the receiver has the sender's memory")
	}
}

func TestMemoryRefusesSecondNode(t *testing.T) {
	m := newMemory(t, 1, 2)
	s1 := m.start(1)
	s2 := m.start(2)
	s2.awaitReach(t, 1, true)
	n, err := m.Node(transport.Config{Self: 1, Membership: quorum.Stable(m.ensemble), Handler: newRecorder(), Identity: identity(1, 9)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(context.Background()); err == nil {
		t.Error("two nodes of one server run")
	}
	s1.stop()
	s2.awaitReach(t, 1, false)
	if got := s2.flaps; !reflect.DeepEqual(got, map[quorum.SID]int{1: 1}) {
		t.Errorf("lost %v", got)
	}
}
