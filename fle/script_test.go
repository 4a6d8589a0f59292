package fle_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// TestScripts runs the scenarios of testdata/scripts. The commands are:
//
//	ensemble voters=(1,2,3) observers=(4) [groups=(1+2,3*0+4)] [cutoff=100]    new machines, every link down
//	link 1 2 [down]                          both see each other as reachable, or not
//	look 1 epoch=1 zxid=7                    the server starts an election; zxid=untrusted
//	deliver [to=(1,2)] [from=(3)]            deliver what is in flight, until quiet
//	drop [to=(1)] [from=(2)]                 lose what is in flight
//	tick 1 [n=20]                            election ticks
//	distrust 1 3, abstain 1 n=50, skip 1 n=50, settle 1 epoch=2
//	inject from=3 to=1 state=FOLLOWING leader=2 epoch=1 zxid=7 round=1
//	state                                    what everybody thinks
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		w := &world{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			w.run(t, d)
			if w.out.Len() == 0 {
				return "ok\n"
			}
			return w.out.String()
		})
	})
}

// world is a set of machines and the notifications in flight between them, at most one per
// direction of a pair, as the election channel keeps them.
type world struct {
	machines map[quorum.SID]*fle.Machine
	sids     []quorum.SID
	flight   []fle.Notification
	outcomes map[quorum.SID]fle.Outcome
	out      strings.Builder
}

func newWorld(voters, observers []quorum.SID, cutOff int, groups ...quorum.Group) *world {
	w := &world{machines: map[quorum.SID]*fle.Machine{}, outcomes: map[quorum.SID]fle.Outcome{}}
	var members []quorum.Member
	add := func(sids []quorum.SID, role quorum.Role) {
		for _, sid := range sids {
			port := 2000 + 2*int(sid)
			members = append(members, quorum.Member{SID: sid, Role: role, Quorum: []quorum.HostPorts{
				{Host: "127.0.0.1", QuorumPort: port, ElectionPort: port + 1},
			}})
			w.sids = append(w.sids, sid)
		}
	}
	add(voters, quorum.Participant)
	add(observers, quorum.Observer)
	ensemble, err := quorum.NewEnsemble(0, members, groups...)
	if err != nil {
		panic(err)
	}
	slices.Sort(w.sids)
	for _, sid := range w.sids {
		w.machines[sid] = fle.New(fle.Config{
			Self: sid, Membership: quorum.Stable(ensemble),
			FinalizeTicks: 20, MinNotifyTicks: 20, MaxNotifyTicks: 500, CutOffTicks: cutOff,
		})
	}
	return w
}

// groupList reads groups of servers, each with its weight, or 1.
func groupList(t *testing.T, d *datadriven.TestData) []quorum.Group {
	t.Helper()
	var out []quorum.Group
	for _, arg := range d.CmdArgs {
		if arg.Key != "groups" {
			continue
		}
		for i, v := range arg.Vals {
			g := quorum.Group{ID: i + 1}
			for _, server := range strings.Split(v, "+") {
				w, sid := quorum.Weighted{Weight: 1}, 0
				if n, err := fmt.Sscanf(server, "%d*%d", &sid, &w.Weight); n < 1 {
					t.Fatalf("%s: %v", d.Pos, err)
				}
				w.SID = quorum.SID(sid)
				g.Servers = append(g.Servers, w)
			}
			out = append(out, g)
		}
	}
	return out
}

func (w *world) run(t *testing.T, d *datadriven.TestData) {
	t.Helper()
	var args []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			args = append(args, a.Key)
		}
	}
	n, of := 1, ""
	d.MaybeScanArgs(t, "n", &n)
	switch d.Cmd {
	case "ensemble":
		cutOff := 0
		d.MaybeScanArgs(t, "cutoff", &cutOff)
		*w = *newWorld(sidList(d, "voters"), sidList(d, "observers"), cutOff, groupList(t, d)...)
	case "link":
		up := len(args) < 3
		w.machines[sid(args[0])].Reach(sid(args[1]), up)
		w.machines[sid(args[1])].Reach(sid(args[0]), up)
	case "look":
		m := w.machines[sid(args[0])]
		m.Look(scanVote(t, d, sid(args[0])))
	case "deliver":
		w.deliver(sidList(d, "to"), sidList(d, "from"))
	case "drop":
		w.take(sidList(d, "to"), sidList(d, "from"))
	case "tick":
		for range n {
			w.machines[sid(args[0])].Tick()
		}
	case "distrust":
		w.machines[sid(args[0])].Distrust(sid(args[1]), true)
	case "abstain":
		w.machines[sid(args[0])].Abstain(n)
	case "skip":
		w.machines[sid(args[0])].Skip(n)
	case "settle":
		m := w.machines[sid(args[0])]
		v := m.Vote()
		v.Epoch = scanVote(t, d, v.Leader).Epoch
		m.Settle(m.State(), v)
	case "inject":
		note := fle.Notification{Vote: scanVote(t, d, quorum.None)}
		var from, to, leader int
		d.ScanArgs(t, "from", &from)
		d.ScanArgs(t, "to", &to)
		d.ScanArgs(t, "state", &of)
		d.ScanArgs(t, "leader", &leader)
		d.ScanArgs(t, "round", &note.Round)
		note.From, note.To, note.Vote.Leader = quorum.SID(from), quorum.SID(to), quorum.SID(leader)
		for s := fle.Looking; s <= fle.Observing; s++ {
			if s.String() == of {
				note.State = s
			}
		}
		w.machines[note.To].Step(note)
	case "state":
		for _, sid := range w.sids {
			m := w.machines[sid]
			fmt.Fprintf(&w.out, "%v: %v round %d vote %v\n", sid, m.State(), m.Round(), m.Vote())
		}
		return
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	w.collect()
}

// collect takes what the machines want sent and prints what happened in them.
func (w *world) collect() {
	for _, sid := range w.sids {
		rd := w.machines[sid].Ready()
		for _, e := range rd.Events {
			if e.Kind == fle.EventAdopted || e.Kind == fle.EventIgnored {
				fmt.Fprintf(&w.out, "%v: from %v %v: %s\n", sid, e.Peer, e.Vote, e.Text)
			}
		}
		if rd.Outcome != nil {
			w.outcomes[sid] = *rd.Outcome
			fmt.Fprintf(&w.out, "%v: %v vote %v round %d by %v\n", sid, rd.Outcome.State, rd.Outcome.Vote,
				rd.Outcome.Round, rd.Outcome.Supporters)
		}
		for _, n := range rd.Messages {
			w.flight = slices.DeleteFunc(w.flight, func(f fle.Notification) bool { return f.From == n.From && f.To == n.To })
			w.flight = append(w.flight, n)
		}
	}
}

// take removes from the flight what goes to and comes from the given servers; none means all.
func (w *world) take(to, from []quorum.SID) []fle.Notification {
	var taken, kept []fle.Notification
	for _, n := range w.flight {
		if (to == nil || slices.Contains(to, n.To)) && (from == nil || slices.Contains(from, n.From)) {
			taken = append(taken, n)
		} else {
			kept = append(kept, n)
		}
	}
	w.flight = kept
	return taken
}

func (w *world) deliver(to, from []quorum.SID) {
	for rounds := 0; ; rounds++ {
		batch := w.take(to, from)
		if len(batch) == 0 {
			return
		}
		if rounds > 1000 {
			panic("notifications never cease")
		}
		for _, n := range batch {
			w.machines[n.To].Step(n)
			w.collect()
		}
	}
}

func sid(s string) quorum.SID {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return quorum.SID(n)
}

func sidList(d *datadriven.TestData, key string) []quorum.SID {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			var sids []quorum.SID
			for _, v := range a.Vals {
				sids = append(sids, sid(v))
			}
			return sids
		}
	}
	return nil
}

func scanVote(t *testing.T, d *datadriven.TestData, leader quorum.SID) fle.Vote {
	t.Helper()
	var epoch uint32
	z := "0"
	d.MaybeScanArgs(t, "epoch", &epoch)
	d.MaybeScanArgs(t, "zxid", &z)
	v := fle.Vote{Leader: leader, Epoch: zxid.Epoch(epoch), Zxid: zxid.Untrusted}
	if z != "untrusted" {
		n, err := strconv.ParseInt(z, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		v.Zxid = zxid.ID(n)
	}
	return v
}
