package fle_test

import (
	"fmt"
	"testing"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// votersAt makes an ensemble of voters.
func votersAt(t *testing.T, version zxid.ID, sids ...quorum.SID) *quorum.Ensemble {
	t.Helper()
	var members []quorum.Member
	for _, sid := range sids {
		members = append(members, quorum.Member{
			SID: sid, Quorum: []quorum.HostPorts{{Host: fmt.Sprintf("s%d", sid), QuorumPort: 2888, ElectionPort: 3888}},
		})
	}
	e, err := quorum.NewEnsemble(version, members)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A server that has logged a reconfiguration which came to nothing elsewhere finds the leader of the
// others, though no quorum of the configuration that it has seen follows anybody: 2 and 4 are that quorum,
// and both look for a leader. To elect somebody it needs both quorums all the same (spec zab-and-election 3.7; hazard H-82).
func TestAbandonedConfiguration(t *testing.T) {
	const seen = zxid.ID(0x800000007)
	elect := func(state fle.State) *fle.Outcome {
		m := fle.New(fle.Config{
			Self:       2,
			Membership: quorum.Membership{Committed: votersAt(t, 0x100000000, 1, 2, 3), Seen: votersAt(t, seen, 2, 4)},
			// Long enough that nothing but messages ends the election.
			FinalizeTicks: 100, MinNotifyTicks: 100, MaxNotifyTicks: 100,
		})
		m.Look(fle.Vote{Leader: 2, Zxid: seen + 1, Epoch: 8})
		leader := fle.Vote{Leader: 3, Zxid: 0x600000015, Epoch: 9}
		for _, from := range []quorum.SID{1, 3} {
			n := fle.Notification{From: from, To: 2, State: state, Vote: leader, Round: 25}
			if from == 3 && state == fle.Following {
				n.State = fle.Leading
			}
			m.Step(n)
		}
		return m.Ready().Outcome
	}
	if got := elect(fle.Following); got == nil || got.State != fle.Following || got.Vote.Leader != 3 {
		t.Errorf("3 leads 1 and 3: got %+v, want to follow it", got)
	}
	if got := elect(fle.Looking); got != nil {
		t.Errorf("1 and 3 vote for 3: got %+v, though a quorum of {2 4} is missing", got)
	}
}

// Of two servers with the same history one that is a voter of the committed configuration already is
// elected: 3 has not heard of the one that makes 2 a voter, and its vote is needed (hazard H-82).
func TestCandidateOfBothConfigurations(t *testing.T) {
	was, next := votersAt(t, 0x700000011, 1, 3), votersAt(t, 0x80000004c, 1, 2, 3)
	known := []quorum.Membership{1: {Committed: was, Seen: next}, 2: {Committed: was, Seen: next}, 3: quorum.Stable(was)}
	votes := []fle.Vote{
		1: {Leader: 1, Zxid: 0x80000004d, Epoch: 9}, 2: {Leader: 2, Zxid: 0x80000004d, Epoch: 9}, 3: {Leader: 3, Zxid: 0x800000033, Epoch: 8},
	}
	leaders := electAll(t, known, votes, 0, 400)
	for sid := 1; sid <= 3; sid++ {
		if leaders[sid] != 1 {
			t.Errorf("server %d has elected %v, want 1", sid, leaders[sid])
		}
	}
}

// Who observes counts where it is a voter: it cannot have heard of a configuration that is not committed.
func TestObserverThatIsVoterElsewhere(t *testing.T) {
	m := fle.New(fle.Config{
		Self: 1, Membership: quorum.Membership{Committed: votersAt(t, 0x100000000, 1), Seen: votersAt(t, 0x100000005, 1, 2)},
		FinalizeTicks: 100, MinNotifyTicks: 100, MaxNotifyTicks: 100,
	})
	own := fle.Vote{Leader: 1, Zxid: 0x100000005, Epoch: 1}
	m.Look(own)
	m.Reach(2, true)
	m.Step(fle.Notification{From: 2, To: 1, State: fle.Observing, Vote: own, Round: m.Round()})
	if got := m.Ready().Outcome; got == nil || got.State != fle.Leading {
		t.Errorf("1 and 2 vote for 1: got %+v, want 1 to lead", got)
	}
}

// Who takes itself for an observer, and is in a later round, takes the voter along to that round which cannot be elected
// without it: 2 has not seen the configuration that makes it the only voter. Neither of them would ever count the other's
// vote in its own round (hazard H-82).
func TestRoundOfAnObserver(t *testing.T) {
	was, err := quorum.NewEnsemble(0x100000001, append(votersAt(t, 0x100000001, 1).Members(), quorum.Member{
		SID: 2, Role: quorum.Observer, Quorum: []quorum.HostPorts{{Host: "s2", QuorumPort: 2888, ElectionPort: 3888}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	known := []quorum.Membership{1: {Committed: was, Seen: votersAt(t, 0x100000003, 2)}, 2: quorum.Stable(was)}
	machines := newMachines(known, 0)
	vote := fle.Vote{Leader: 1, Zxid: 0x100000005, Epoch: 1}
	machines[1].Look(vote)
	for range 3 {
		machines[2].Look(fle.Vote{Leader: 2, Zxid: 0x100000002, Epoch: 1})
	}
	if leaders := elect(machines, 2000); leaders[1] != 1 || leaders[2] != 1 {
		t.Errorf("elected %v, want 1 by both", leaders[1:])
	}
}

// The round of a voter that counts is taken over, whatever it votes: for 3, which is not trusted here, or for nobody
// (hazard H-82: for a server of another pending configuration).
func TestRoundOfAVoteThatCannotBe(t *testing.T) {
	for _, vote := range []fle.Vote{
		{Leader: 3, Zxid: 0x100000009, Epoch: 1},
		{Leader: 9, Zxid: 0x100000009, Epoch: 1},
		{Leader: 2, Zxid: zxid.Untrusted},
		{Leader: quorum.None, Zxid: zxid.Untrusted},
	} {
		m := fle.New(fle.Config{
			Self: 1, Membership: quorum.Stable(votersAt(t, 0, 1, 2, 3)), FinalizeTicks: 100, MinNotifyTicks: 100, MaxNotifyTicks: 100,
		})
		m.Distrust(3, true)
		own := fle.Vote{Leader: 1, Zxid: 0x100000007, Epoch: 1}
		m.Look(own)
		m.Step(fle.Notification{From: 3, To: 1, State: fle.Looking, Vote: vote, Round: 7})
		if got := m.Round(); got != 1 {
			t.Errorf("3 votes %v in round 7: round %d, want 1, for 3 does not count", vote, got)
		}
		m.Step(fle.Notification{From: 2, To: 1, State: fle.Looking, Vote: vote, Round: 5})
		if got := m.Round(); got != 5 || m.Vote() != own {
			t.Errorf("2 votes %v in round 5: round %d, vote %v, want 5 and %v", vote, got, m.Vote(), own)
		}
	}
}

// Servers that have nothing to tell each other come to rest, whoever is a voter for whom, and whichever of two
// votes each holds to be the better one.
func TestNobodyAnswersForEver(t *testing.T) {
	three := votersAt(t, 0, 1, 2, 3)
	observer, err := quorum.NewEnsemble(0, append(three.Members(), quorum.Member{
		SID: 4, Role: quorum.Observer, Quorum: []quorum.HostPorts{{Host: "s4", QuorumPort: 2888, ElectionPort: 3888}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	five := votersAt(t, 1, 1, 2, 3, 4, 5)
	tests := []struct {
		name    string
		voter   quorum.Membership // as server 1 knows it
		other   quorum.Membership // as server 4 knows it
		abstain bool
	}{
		{"an observer and a voter", quorum.Stable(observer), quorum.Stable(observer), false},
		{"an observer and a voter that does not stand", quorum.Stable(observer), quorum.Stable(observer), true},
		{"who is to join and a voter that does not stand", quorum.Stable(three), quorum.Stable(votersAt(t, 0, 1, 2, 3, 4)), true},
		{"two that have no vote for each other", quorum.Stable(votersAt(t, 0, 1, 5)), quorum.Stable(votersAt(t, 0, 4, 6)), false},
		{
			"two that know of different configurations",
			quorum.Membership{Committed: votersAt(t, 0, 1, 2, 3), Seen: five},
			quorum.Stable(five), false,
		},
	}
	const windows, window = 10, 20
	for _, tt := range tests {
		a := fle.New(fle.Config{Self: 1, Membership: tt.voter, FinalizeTicks: 1000, MinNotifyTicks: window, MaxNotifyTicks: 1000})
		b := fle.New(fle.Config{Self: 4, Membership: tt.other, FinalizeTicks: 1000, MinNotifyTicks: window, MaxNotifyTicks: 1000})
		if tt.abstain {
			a.Abstain(1000)
		}
		a.Look(fle.Vote{Leader: 1, Zxid: 0x100000001, Epoch: 1})
		b.Look(fle.Vote{Leader: 4, Zxid: 0x100000001, Epoch: 1})
		a.Reach(4, true)
		b.Reach(1, true)
		talk := func() (said int) {
			for busy := true; busy && said < 100; {
				busy = false
				for _, n := range append(a.Ready().Messages, b.Ready().Messages...) {
					switch n.To {
					case 1:
						a.Step(n)
					case 4:
						b.Step(n)
					default:
						continue
					}
					busy = true
					said++
				}
			}
			return said
		}
		if said := talk(); said > 12 {
			t.Errorf("%s: no end after %d notifications", tt.name, said)
		}
		said := 0
		for range windows * window {
			a.Tick()
			b.Tick()
			said += talk()
		}
		if said > 6*windows {
			t.Errorf("%s: %d notifications in %d windows", tt.name, said, windows)
		}
	}
}

// Of a candidate that only a pending configuration makes a voter, and that has the newest history of all, those
// hear who have not heard of that configuration, and elect it: 1 and 5 have not. If a quorum of that configuration
// does not exist any more, the candidate can never lead, and they find another one (hazard H-82).
func TestCandidateOfTheConfigurationSeen(t *testing.T) {
	was := votersAt(t, 0x2000000d1, 1, 2, 3, 5)
	next, lost := votersAt(t, 0x90000000a, 1, 3, 4, 5), votersAt(t, 0x90000000a, 4, 6, 7)
	stable, pending, abandoned := quorum.Stable(was), quorum.Membership{Committed: was, Seen: next}, quorum.Membership{Committed: was, Seen: lost}
	tests := []struct {
		name  string
		known []quorum.Membership
		want  quorum.SID
	}{
		{"it can lead", []quorum.Membership{1: stable, 2: pending, 3: pending, 4: pending, 5: stable}, 4},
		{"it tells the others itself", []quorum.Membership{1: stable, 2: stable, 3: stable, 4: pending, 5: stable}, 4},
		{"it lacks a quorum of its configuration", []quorum.Membership{1: stable, 2: stable, 3: stable, 4: abandoned, 5: stable}, 3},
	}
	votes := []fle.Vote{
		1: {Leader: 1, Zxid: 0x900000003, Epoch: 9}, 2: {Leader: 2, Zxid: 0x900000013, Epoch: 9}, 3: {Leader: 3, Zxid: 0x900000013, Epoch: 9},
		4: {Leader: 4, Zxid: 0x900000013, Epoch: 10}, 5: {Leader: 5, Zxid: 0x900000003, Epoch: 9},
	}
	for _, tt := range tests {
		leaders := electAll(t, tt.known, votes, 100, 3000)
		for _, sid := range []quorum.SID{1, 2, 3, 5} {
			if leaders[sid] != tt.want {
				t.Errorf("%s: server %d has elected %v, want %v", tt.name, sid, leaders[sid], tt.want)
			}
		}
	}
}

// electAll has servers elect a leader, all of them connected, and returns whom each has elected.
func electAll(t *testing.T, known []quorum.Membership, votes []fle.Vote, cutOff, ticks int) []quorum.SID {
	t.Helper()
	machines := newMachines(known, cutOff)
	for sid := 1; sid < len(votes); sid++ {
		machines[sid].Look(votes[sid])
	}
	return elect(machines, ticks)
}

// newMachines makes servers, from 1 on, that reach each other and do not look yet.
func newMachines(known []quorum.Membership, cutOff int) []*fle.Machine {
	machines := make([]*fle.Machine, len(known))
	for sid := 1; sid < len(known); sid++ {
		machines[sid] = fle.New(fle.Config{
			Self: quorum.SID(sid), Membership: known[sid], FinalizeTicks: 20, MinNotifyTicks: 20, MaxNotifyTicks: 500, CutOffTicks: cutOff,
		})
		for peer := 1; peer < len(known); peer++ {
			machines[sid].Reach(quorum.SID(peer), true)
		}
	}
	return machines
}

// elect lets so many ticks go by, and returns whom each has elected.
func elect(machines []*fle.Machine, ticks int) []quorum.SID {
	leaders := make([]quorum.SID, len(machines))
	for sid := range leaders {
		leaders[sid] = quorum.None
	}
	for range ticks {
		for sid := 1; sid < len(machines); sid++ {
			rd := machines[sid].Ready()
			if rd.Outcome != nil {
				leaders[sid] = rd.Outcome.Vote.Leader
			}
			for _, n := range rd.Messages {
				if int(n.To) < len(machines) {
					machines[n.To].Step(n)
				}
			}
			machines[sid].Tick()
		}
	}
	return leaders
}
