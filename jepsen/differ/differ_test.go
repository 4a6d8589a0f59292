package differ_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/jepsen/differ"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// start starts an ensemble in the test, configured as a profile says.
func start(t *testing.T, n int, p differ.Profile, more ...zktest.Option) *zktest.Ensemble {
	t.Helper()
	p, err := p.WithFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var opts []zktest.Option
	settings := p.AllSettings()
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		opts = append(opts, zktest.Set(key, settings[key]))
	}
	return zktest.Start(t, n, append(opts, more...)...)
}

func connect(t *testing.T, p differ.Profile, name string, addrs ...string) *differ.Side {
	t.Helper()
	s, err := p.Connect(name, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// spread returns a follower, the leader and an observer of an ensemble that has observers.
func spread(t *testing.T, e *zktest.Ensemble, observer int) []string {
	t.Helper()
	return []string{e.Followers(t)[0].Addr(), e.Leader(t).Addr(), e.Server(observer).Addr()}
}

func profile(t *testing.T, name string) differ.Profile {
	t.Helper()
	p, err := differ.FindProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGolden holds ZabKeeper against transcripts of Apache ZooKeeper 3.9.5: as a standalone server,
// through an observer, and through several servers of one ensemble, of which the first is a follower. jepsen/README.md says how a transcript is made.
// Quotas are judged by what the leader has applied (spec semantics 11.4), which can be less than a
// follower has answered for, so those scripts talk to the leader.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := differ.ParseGolden(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			if again := g.String(); again != string(text) {
				t.Errorf("the file is written otherwise:\n%s", again)
			}
			p := profile(t, g.Profile)
			check := func(name string, rules []differ.Rule, addrs ...string) {
				t.Helper()
				if d := g.Check(connect(t, p, name, addrs...), rules); d != nil {
					t.Errorf("%s: %v", name, d)
				}
			}
			check("standalone", differ.Deviations(), start(t, 1, p).Server(1).Addr())
			if p.Weights.Quota {
				check("leader", differ.EnsembleDeviations(), start(t, 3, p).Leader(t).Addr())
				return
			}
			e := start(t, 3, p, zktest.Observers(1))
			check("observer", differ.EnsembleDeviations(), e.Server(3).Addr())
			e = start(t, 4, p, zktest.Observers(1))
			check("spread", differ.EnsembleDeviations(), spread(t, e, 4)...)
		})
	}
}

// TestStandaloneAndEnsembleAgree compares ZabKeeper with itself: whoever answers, clients see the
// same, also when their sessions move.
func TestStandaloneAndEnsembleAgree(t *testing.T) {
	for _, p := range differ.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			four := start(t, 4, p, zktest.Observers(1))
			members := spread(t, four, 4)
			if p.Weights.Quota {
				members = []string{four.Leader(t).Addr()}
			}
			var reference []string
			if p.Settings["localSessionsEnabled"] == "" {
				reference = []string{start(t, 1, p).Server(1).Addr()}
			} else { // a standalone server has none
				reference = spread(t, start(t, 4, p, zktest.Observers(1)), 4)
			}
			pair := &differ.Pair{
				Reference: connect(t, p, "reference", reference...),
				Tested:    connect(t, p, "members", members...), Rules: differ.EnsembleDeviations(),
			}
			w := p.Weights
			w.Ensemble, w.Servers = true, len(members)
			for seed := range uint64(4) {
				if d := pair.Run(differ.Generate(seed, 60, w)); d != nil {
					t.Fatalf("seed %d:\n%v\n%v", seed, d.Script, d)
				}
				if err := pair.Reset(); err != nil {
					t.Fatal(err)
				}
			}
			four.WaitEqual(t)
		})
	}
}

// TestFindsAndShrinks compares two servers of which one judges nobody's rights: that must be found,
// and told by a script in which nothing can be left out.
func TestFindsAndShrinks(t *testing.T) {
	usual := profile(t, "usual")
	pair := &differ.Pair{
		Reference: connect(t, usual, "careful", start(t, 1, usual).Server(1).Addr()),
		Tested:    connect(t, usual, "careless", start(t, 1, profile(t, "skipacl")).Server(1).Addr()), Rules: differ.Deviations(),
	}
	var found *differ.Difference
	for seed := uint64(0); found == nil; seed++ {
		if seed == 50 {
			t.Fatal("nothing found")
		}
		found = pair.Run(differ.Generate(seed, 80, differ.Weights{FrameLimit: proto.DefaultMaxFrame}))
		if err := pair.Reset(); err != nil && found == nil {
			t.Fatal(err)
		}
	}
	fails := func(s differ.Script) bool {
		_ = pair.Reset() // the trees are empty; that they got there by different ways does not matter here
		return pair.Run(s) != nil
	}
	short := differ.Shrink(found.Script, 500, fails)
	t.Logf("%d steps, shrunk to:\n%v", len(found.Script), short)
	if !fails(short) {
		t.Fatal("the short script shows no difference")
	}
	for i := range short {
		if fails(slices.Concat(short[:i], short[i+1:])) {
			t.Errorf("step %v could be left out", short[i])
		}
	}
	if len(short) > 10 {
		t.Errorf("%d steps are not few", len(short))
	}
}

// TestScriptsSurviveText: a printed script is the script.
func TestScriptsSurviveText(t *testing.T) {
	for _, p := range differ.Profiles() {
		for seed := range uint64(100) {
			text := differ.Generate(seed, 100, p.Weights).String()
			again, err := differ.Parse(text)
			if err != nil {
				t.Fatalf("profile %s, seed %d: %v", p.Name, seed, err)
			}
			if again.String() != text {
				t.Fatalf("profile %s, seed %d:\n%v\nbecame\n%v", p.Name, seed, text, again)
			}
			if differ.Generate(seed, 100, p.Weights).String() != text {
				t.Fatalf("profile %s, seed %d gives two scripts", p.Name, seed)
			}
		}
	}
}

// TestScriptsHoldEverything: no operation and no create mode has been forgotten.
func TestScriptsHoldEverything(t *testing.T) {
	ops, modes := map[proto.Op]bool{}, map[int64]bool{}
	for seed := range uint64(300) {
		for _, step := range differ.Generate(seed, 100, profile(t, "usual").Weights) {
			for _, r := range step.Requests {
				ops[r.Op] = true
				if r.Op.IsCreate() {
					modes[r.Args[3].N] = true
				}
			}
		}
	}
	for op := proto.Op(-20); op < 110; op++ {
		if (op.Known() || op == proto.OpCreateSession || op == proto.OpDeleteContainer) && !ops[op] {
			t.Errorf("no script holds %v", op)
		}
	}
	for mode := int64(-1); mode <= 8; mode++ {
		if !modes[mode] {
			t.Errorf("no script creates with mode %d", mode)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", "a", "a nonsense", `a getData "/x"`, `a getData "/x" 1 1`, `a getData /x 1`, `a create "/x" "" [ 31 "world" ] 0`,
		`a multi { getData "/x" 0`, `a setWatches soon [ ] [ ] [ ]`, `a getData "/x" 99999999999`, "a raw 1 00", "a open", "a frame x0",
		`a delete "/x" -1 ;`, `a sync "x"*99999999999`, `a sync "xy"*3`, `a sync "x`,
	} {
		if _, err := differ.ParseStep(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

// FuzzParseStep: whatever a file holds, a step that is taken survives being written.
func FuzzParseStep(f *testing.F) {
	for _, step := range differ.Generate(1, 100, differ.Weights{FrameLimit: proto.DefaultMaxFrame}) {
		f.Add(step.String())
	}
	f.Fuzz(func(t *testing.T, line string) {
		step, err := differ.ParseStep(line)
		if err != nil {
			return
		}
		text := step.String()
		again, err := differ.ParseStep(text)
		if err != nil || again.String() != text {
			t.Fatalf("%q became %q, %v", line, text, err)
		}
	})
}
