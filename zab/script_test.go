package zab_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// script runs the commands of one file of testdata. Every command ends with each server, by
// sid, working off what it wants; that is the output.
//
//	new voters=(1,2,3) observers=(4) [groups=(1+2+3,4+5*2)] [init= sync= window= maxdiff= stage= out= handover= durable versioned older]
//	join 4 voters=(1,2,3,4) observers=(5)    another server, with this file
//	disk 1 [log=(1:3,2:2)] [base=1:2] [fork] [current=] [promise=] [to=] [committed=1:3] [cluster=] [known=(2:9:1:7)] [untrusted]
//	    known are servers, their lives, which note of epoch 1 says so, and up to where of epoch 1 they had acknowledged
//	lead 1 | follow 2 leader=1
//	deliver 2->1 [n=]     messages of the link in one direction, all by default
//	persist 1 [n=]        steps become durable
//	stream 1 [n=]         a transfer sends n entries, or to its end
//	verify 2 [bad]        the snapshot that was received is staged, or found bad
//	tick 1 [n=]
//	propose 1 a b c | submit 2 kind=SYNC data= | answer 1 to=2 kind=SYNC data=
//	reconfig 1 voters=(1,2,4) observers=(3)    a reconfiguration is asked for
//	step 2 from=1 kind=COMMIT [epoch=] [zxid=1:2] [point=1:2] [entry=1:3] [prev=1:2] [fork] ...: a message that nobody sent
//	calm                  everything on its way arrives and becomes durable
//	cut 2                 the link of a learner breaks
//	crash 1 [n=]          n steps were written, the rest is lost
//	wipe 1 | trim 1 base=1:3 | can 1 | state
//
// The word quiet at the end of a command hides its output.
type script struct {
	f   *fuzz
	out strings.Builder
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if filepath.Ext(path) != ".txt" {
			return // what rapid keeps of its failures
		}
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			s.out.Reset()
			quiet := false
			if td.Cmd == "new" {
				s.create(t, td)
			}
			s.f.t = t
			if len(td.CmdArgs) > 0 && td.CmdArgs[len(td.CmdArgs)-1].Key == "quiet" {
				quiet = true
				td.CmdArgs = td.CmdArgs[:len(td.CmdArgs)-1]
			}
			run, ok := scriptCommands[td.Cmd]
			if !ok {
				t.Fatalf("%s: unknown command %s", td.Pos, td.Cmd)
			}
			run(s, &scriptArgs{t: t, td: td})
			for _, n := range s.f.nodes {
				n.settle()
			}
			if quiet {
				return "(not shown)\n"
			}
			if s.out.Len() == 0 {
				return "nothing\n"
			}
			return s.out.String()
		})
	})
}

func (s *script) create(t *testing.T, td *datadriven.TestData) {
	t.Helper()
	a := &scriptArgs{t: t, td: td}
	s.f = &fuzz{world: newWorld(t, ensemble(a.sids("voters"), a.sids("observers"), a.groups()...))}
	s.f.trace = func(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }
	s.f.cfg = zab.Config{
		InitTicks: a.num("init", 20), SyncTicks: a.num("sync", 10), DeliverDurable: a.has("durable"), Versioned: a.has("versioned"), AcceptOlder: a.has("older"),
		Limits: zab.Limits{
			WindowEntries: a.num("window", 0), MaxDiff: a.num("maxdiff", 0), StageBytes: a.num("stage", 0), UnsyncedBytes: a.num("unsynced", 0),
			Outstanding: a.num("out", 0), HandOver: zxid.Counter(a.num("handover", 0)),
		},
	}
}

// scriptArgs reads a command's arguments.
type scriptArgs struct {
	t  *testing.T
	td *datadriven.TestData
}

func (a *scriptArgs) has(key string) bool { return a.td.HasArg(key) }

func (a *scriptArgs) vals(key string) []string {
	for _, arg := range a.td.CmdArgs {
		if arg.Key == key {
			return arg.Vals
		}
	}
	return nil
}

func (a *scriptArgs) num(key string, or int) int {
	v := a.vals(key)
	if len(v) == 0 {
		return or
	}
	n, err := strconv.Atoi(v[0])
	if err != nil {
		a.t.Fatalf("%s: %s: %v", a.td.Pos, key, err)
	}
	return n
}

func (a *scriptArgs) sids(key string) []quorum.SID {
	var out []quorum.SID
	for _, v := range a.vals(key) {
		n, _ := strconv.Atoi(v)
		out = append(out, quorum.SID(n))
	}
	return out
}

// groups reads groups of servers, each with its weight, or 1.
func (a *scriptArgs) groups() []quorum.Group {
	var out []quorum.Group
	for i, v := range a.vals("groups") {
		g := quorum.Group{ID: i + 1}
		for _, server := range strings.Split(v, "+") {
			w := quorum.Weighted{Weight: 1}
			var sid int
			if n, err := fmt.Sscanf(server, "%d*%d", &sid, &w.Weight); n < 1 {
				a.t.Fatalf("%s: %v", a.td.Pos, err)
			}
			w.SID = quorum.SID(sid)
			g.Servers = append(g.Servers, w)
		}
		out = append(out, g)
	}
	return out
}

// first is the sid that the command is about.
func (a *scriptArgs) first() quorum.SID {
	n, err := strconv.Atoi(a.td.CmdArgs[0].Key)
	if err != nil {
		a.t.Fatalf("%s: %v", a.td.Pos, err)
	}
	return quorum.SID(n)
}

func (a *scriptArgs) text(key string) string {
	if v := a.vals(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (a *scriptArgs) kind() zab.Kind {
	for k := zab.KindInvalid + 1; k.Valid(); k++ {
		if k.String() == a.text("kind") {
			return k
		}
	}
	a.t.Fatalf("%s: no kind %q", a.td.Pos, a.text("kind"))
	return 0
}

// id reads 2:7 as the zxid (2, 7).
func (a *scriptArgs) id(text string) zxid.ID {
	var e, c uint32
	if text == "" || text == "0" {
		return 0
	}
	if _, err := fmt.Sscanf(text, "%d:%d", &e, &c); err != nil {
		a.t.Fatalf("%s: zxid %q: %v", a.td.Pos, text, err)
	}
	return zxid.Make(zxid.Epoch(e), zxid.Counter(c))
}

// scriptLog makes the history with these ends of runs. What a transaction says depends on
// its zxid alone, so that servers share the histories that scripts give them, unless forked.
func scriptLog(ends []zxid.ID, fork string) []zab.Entry {
	var out []zab.Entry
	var last zxid.Point
	for _, end := range ends {
		for c := zxid.Counter(1); c <= end.Counter(); c++ {
			id := zxid.Make(end.Epoch(), c)
			e := zab.NewEntry(last, id, []byte(id.String()+fork))
			out, last = append(out, e), e.Point()
		}
	}
	return out
}

var scriptCommands = map[string]func(*script, *scriptArgs){
	"new":     func(*script, *scriptArgs) {},
	"disk":    (*script).disk,
	"lead":    func(s *script, a *scriptArgs) { s.f.node(a.first()).lead() },
	"follow":  func(s *script, a *scriptArgs) { s.f.node(a.first()).follow(s.f.node(a.sids("leader")[0])) },
	"deliver": (*script).deliver,
	"persist": func(s *script, a *scriptArgs) {
		n := s.f.node(a.first())
		n.sync(a.num("n", len(n.queue)), true)
	},
	"stream": func(s *script, a *scriptArgs) { s.f.node(a.first()).stream(0, a.num("n", 1000)) },
	"tick":   (*script).tick,
	"propose": func(s *script, a *scriptArgs) {
		var txns []string
		for _, arg := range a.td.CmdArgs[1:] {
			txns = append(txns, arg.Key)
		}
		s.f.node(a.first()).propose(txns...)
	},
	"join": func(s *script, a *scriptArgs) {
		s.f.join(a.first(), ensemble(a.sids("voters"), a.sids("observers")))
	},
	"reconfig": func(s *script, a *scriptArgs) {
		if err := s.f.node(a.first()).reconfigure(ensemble(a.sids("voters"), a.sids("observers"))); err != nil {
			s.f.trace("refused: %v", err)
		}
	},
	"can": func(s *script, a *scriptArgs) {
		l := s.f.node(a.first()).leader
		s.f.trace("can propose: %v, next is %v", l.CanPropose(), l.Next())
	},
	"submit": func(s *script, a *scriptArgs) {
		s.f.node(a.first()).learner.Submit(a.kind(), []byte(a.text("data")))
	},
	"answer": func(s *script, a *scriptArgs) {
		s.f.node(a.first()).leader.Answer(a.sids("to")[0], a.kind(), []byte(a.text("data")))
	},
	"step":   (*script).step,
	"verify": func(s *script, a *scriptArgs) { s.f.node(a.first()).verify(!a.has("bad")) },
	"calm":   func(s *script, _ *scriptArgs) { s.f.calm() },
	"cut":    func(s *script, a *scriptArgs) { s.f.node(a.first()).link.close() },
	"crash": func(s *script, a *scriptArgs) {
		s.f.node(a.first()).crash(a.num("n", 0))
	},
	"wipe": func(s *script, a *scriptArgs) { s.f.node(a.first()).wipe() },
	"trim": func(s *script, a *scriptArgs) {
		n := s.f.node(a.first())
		n.disk.trim(a.id(a.text("base")))
		n.view.trim(a.id(a.text("base")))
		if n.leader != nil {
			n.leader.Trimmed(n.disk.base())
		}
	},
	"state": func(s *script, _ *scriptArgs) {
		for _, n := range s.f.nodes {
			s.f.trace("%s", n)
		}
	},
}

func (s *script) disk(a *scriptArgs) {
	n := s.f.node(a.first())
	d := n.disk
	var ends []zxid.ID
	for _, v := range a.vals("log") {
		ends = append(ends, a.id(v))
	}
	fork := ""
	if a.has("fork") {
		fork = "'"
	}
	d.entries = scriptLog(ends, fork)
	if v := a.text("base"); v != "" {
		d.trim(a.id(v))
	}
	d.current = zxid.Epoch(a.num("current", int(d.last().ID.Epoch())))
	d.promise = zab.Promise{Epoch: zxid.Epoch(a.num("promise", int(d.current))), Leader: quorum.SID(a.num("to", int(quorum.None)))}
	d.cluster = quorum.ClusterID{byte(a.num("cluster", 0))}
	d.untrusted = a.has("untrusted")
	for _, v := range a.vals("known") {
		var sid, life, note, acked int
		if n, err := fmt.Sscanf(v, "%d:%d:%d:%d", &sid, &life, &note, &acked); n < 2 {
			a.t.Fatalf("%s: %v", a.td.Pos, err)
		}
		incarnation := quorum.Incarnation{byte(sid), byte(life)}
		if life == 0 {
			incarnation = quorum.Incarnation{} // nobody is to be believed
		}
		d.known = append(d.known, zab.Known{
			SID: quorum.SID(sid), Incarnation: incarnation, Noted: zxid.Make(1, zxid.Counter(note)),
			Acked: zxid.Make(min(zxid.Epoch(acked), 1), zxid.Counter(acked)),
		})
	}
	if v := a.sids("voters"); len(v) > 0 {
		d.membership = quorum.Stable(ensemble(v, nil).WithVersion(zxid.Make(1, 0)))
	}
	if next := a.sids("next"); len(next) > 0 {
		d.membership.Seen = ensemble(next, nil).WithVersion(a.id(a.text("at")))
	}
	n.enlisted = a.has("enlisted")
	n.view = d.clone()
	for i := range d.len() {
		if p := d.at(i); p.ID <= max(a.id(a.text("committed")), d.base().ID) {
			n.tree = append(n.tree, p)
		}
	}
	s.f.note(n)
	if len(n.tree) > len(s.f.committed) {
		s.f.committed = append(s.f.committed[:0], n.tree...)
	}
	n.flushed = len(n.tree)
}

func (s *script) deliver(a *scriptArgs) {
	from, to, ok := strings.Cut(a.td.CmdArgs[0].Key, "->")
	if !ok {
		a.t.Fatalf("%s: deliver needs a->b", a.td.Pos)
	}
	x, _ := strconv.Atoi(from)
	y, _ := strconv.Atoi(to)
	src, dst := s.f.node(quorum.SID(x)), s.f.node(quorum.SID(y))
	if l := src.link; l != nil && l.leader == dst {
		for k := a.num("n", len(l.toLeader)); k > 0 && l.open && len(l.toLeader) > 0; k-- {
			l.deliverToLeader()
		}
		return
	}
	l := dst.link
	if l == nil || l.leader != src {
		a.t.Fatalf("%s: no link between %v and %v", a.td.Pos, x, y)
	}
	for k := a.num("n", len(l.toLearner)); k > 0 && l.open && len(l.toLearner) > 0; k-- {
		l.deliverToLearner()
	}
}

func (s *script) tick(a *scriptArgs) {
	n := s.f.node(a.first())
	for k := a.num("n", 1); k > 0 && !n.idle(); k-- {
		n.role().Tick()
		n.settle()
	}
}

// step hands a role a message that nobody sent.
func (s *script) step(a *scriptArgs) {
	n := s.f.node(a.first())
	m := zab.Message{
		Kind: a.kind(), From: a.sids("from")[0], To: n.sid, Epoch: zxid.Epoch(a.num("epoch", int(n.role().Epoch()))),
		Zxid: a.id(a.text("zxid")), Seq: uint64(a.num("round", 0))<<32 | uint64(a.num("seq", 0)), Config: zxid.ID(a.num("config", 0)),
		Cluster: quorum.ClusterID{byte(a.num("cluster", 0))},
	}
	if v := a.vals("life"); len(v) > 0 {
		m.Incarnation = quorum.Incarnation{byte(m.From), byte(a.num("life", 0))}
	}
	if v := a.text("point"); v != "" {
		m.Point = zxid.Point{ID: a.id(v), Hash: 1}
		for i := range n.view.len() {
			if p := n.view.at(i); p.ID == m.Point.ID && !a.has("fork") {
				m.Point = p
			}
		}
	}
	if v := a.text("entry"); v != "" {
		prev := n.view.last()
		if p := a.text("prev"); p != "" {
			prev = zxid.Point{ID: a.id(p)}
		}
		e := zab.NewEntry(prev, a.id(v), []byte("x"))
		if a.has("fork") {
			e.Hash++
		}
		m.Entries = []zab.Entry{e}
	}
	if n.leader != nil {
		n.leader.Step(m)
	} else {
		n.learner.Step(m)
	}
}
