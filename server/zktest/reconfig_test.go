package zktest_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// Options of an ensemble that its super user may change.
func changeable(more ...zktest.Option) []zktest.Option {
	return append(more, zktest.Set("reconfigEnabled", "true"), zktest.Set("standaloneEnabled", "false"),
		zktest.Set("DigestAuthenticationProvider.superDigest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="))
}

// super connects as the super user.
func super(tb testing.TB, e *zktest.Ensemble, servers ...*zktest.Server) *zk.Conn {
	tb.Helper()
	conn := e.Connect(tb, servers...)
	must(tb, conn.AddAuth("digest", []byte("super:admin")))
	return conn
}

// change reconfigures until the ensemble can, and returns what the config node then holds.
func change(tb testing.TB, conn *zk.Conn, joining, leaving []string) string {
	tb.Helper()
	zktest.Eventually(tb, fmt.Sprintf("join %v, leave %v", joining, leaving), func() error {
		_, err := conn.IncrementalReconfig(joining, leaving, -1)
		return err
	})
	var data []byte
	zktest.Eventually(tb, "the connection outlives the change", func() (err error) {
		data, _, err = conn.Get("/zookeeper/config")
		return err
	})
	return string(data)
}

// roles returns the members in a configuration as "1p 2o".
func roles(tb testing.TB, text string) string {
	tb.Helper()
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		id, spec, ok := strings.Cut(strings.TrimPrefix(line, "server."), "=")
		if !ok || !strings.HasPrefix(line, "server.") {
			continue
		}
		place, _, _ := strings.Cut(spec, ";")
		out = append(out, id+place[strings.LastIndexByte(place, ':')+1:][:1])
	}
	return strings.Join(out, " ")
}

// load writes numbered nodes through all servers until it is stopped. A write whose
// connection is lost may or may not have happened, and is tried again under the same name.
type load struct {
	wg    sync.WaitGroup
	stop  chan struct{}
	acked atomic.Int64
	paths [][]string
}

func startLoad(tb testing.TB, e *zktest.Ensemble, writers int) *load {
	tb.Helper()
	l := &load{stop: make(chan struct{}), paths: make([][]string, writers)}
	for w := range writers {
		conn := e.Connect(tb)
		l.wg.Go(func() {
			for i := 0; ; {
				select {
				case <-l.stop:
					return
				default:
				}
				path := fmt.Sprintf("/w%d-%06d", w, i)
				_, err := conn.Create(path, nil, 0, open)
				switch {
				case err == nil, errors.Is(err, zk.ErrNodeExists):
					l.paths[w] = append(l.paths[w], path)
					l.acked.Add(1)
					i++
				case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrNoServer), errors.Is(err, zk.ErrSessionMoved):
				case errors.Is(err, zk.ErrSessionExpired):
				default:
					tb.Errorf("a write is refused: %v", err)
					return
				}
			}
		})
	}
	return l
}

// progress waits until more writes were acknowledged.
func (l *load) progress(tb testing.TB, n int64) {
	tb.Helper()
	from := l.acked.Load()
	zktest.Eventually(tb, "writes go on", func() error {
		if got := l.acked.Load() - from; got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
}

func (l *load) end() []string {
	close(l.stop)
	l.wg.Wait()
	return slices.Concat(l.paths...)
}

// TestGrowAndShrinkUnderLoad takes one server to three, to five and back to three, the leader among
// those that leave, while clients write: no write is lost or refused (hazards H-79, H-80, H-81, H-82).
func TestGrowAndShrinkUnderLoad(t *testing.T) {
	e := zktest.Start(t, 5, changeable(zktest.Spares(4))...)
	one := e.Server(1)
	conn := super(t, e, one)
	l := startLoad(t, e, 3)
	l.progress(t, 20)

	e.Server(2).Enlist(t, "observer", one)
	e.Server(3).Enlist(t, "observer", one)
	text := change(t, conn, []string{e.Server(2).Spec("participant"), e.Server(3).Spec("participant")}, nil)
	if got := roles(t, text); got != "1p 2p 3p" {
		t.Fatalf("members %s", got)
	}
	l.progress(t, 20)

	for _, id := range []int{4, 5} {
		e.Server(id).Enlist(t, "observer", e.Servers()[:3]...)
		change(t, conn, []string{e.Server(id).Spec("participant")}, nil)
	}
	l.progress(t, 20)
	e.WaitServing(t)

	leader := e.Leader(t)
	other := e.Followers(t)[0]
	stay := slices.DeleteFunc(slices.Clone(e.Servers()), func(s *zktest.Server) bool { return s == leader || s == other })
	conn = super(t, e, stay...)
	text = change(t, conn, nil, []string{strconv.Itoa(leader.ID), strconv.Itoa(other.ID)})
	if got := len(strings.Fields(roles(t, text))); got != 3 {
		t.Fatalf("members %s", roles(t, text))
	}
	leader.Stop(t)
	other.Stop(t)
	l.progress(t, 20)
	paths := l.end()
	e.WaitEqual(t)
	for _, s := range stay {
		holds(t, e, s, paths)
		data, stat, err := e.Connect(t, s).Get("/zookeeper/config")
		must(t, err)
		if string(data) != text || stat.Version != -1 || !strings.HasSuffix(text, fmt.Sprintf("version=%x", stat.Mzxid)) {
			t.Errorf("server %d shows %q %+v, want %q", s.ID, data, stat, text)
		}
	}
	// What was agreed survives the death of everybody at once.
	for _, s := range stay {
		s.Kill(t)
	}
	for _, s := range stay {
		s.Restart(t)
	}
	e.WaitServing(t)
	persist(t, e.Connect(t, stay...), "/after", nil)
	e.WaitEqual(t)
}

// TestReconfigErrors follows spec semantics 12.3.
func TestReconfigErrors(t *testing.T) {
	e := zktest.Start(t, 4, zktest.Spares(1), zktest.Set("reconfigEnabled", "true"),
		zktest.Set("DigestAuthenticationProvider.superDigest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="))
	spare := e.Server(4)
	for _, s := range e.Servers()[:3] {
		conn := super(t, e, s)
		stat := func() int64 {
			_, stat, err := conn.Get("/zookeeper/config")
			must(t, err)
			return stat.Mzxid
		}
		version := stat()
		if version != 1<<32 {
			t.Errorf("server %d: the first version is %x", s.ID, version)
		}
		for name, c := range map[string]struct {
			joining, leaving []string
			version          int64
			want             string
		}{
			"another version":       {nil, []string{"3"}, version + 1, zk.ErrBadVersion.Error()},
			"one voter":             {nil, []string{"2", "3"}, -1, zk.ErrBadArguments.Error()},
			"bad entry":             {[]string{"server.4=nonsense"}, nil, -1, zk.ErrBadArguments.Error()},
			"address taken":         {[]string{strings.Replace(e.Server(1).Spec("participant"), "server.1", "server.4", 1)}, nil, -1, zk.ErrBadArguments.Error()},
			"no quorum of the next": {[]string{spare.Spec("participant")}, []string{"2", "3"}, -1, "-13"},
		} {
			if _, err := conn.IncrementalReconfig(c.joining, c.leaving, c.version); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("server %d: %s: %v, want %v", s.ID, name, err, c.want)
			}
		}
		if _, err := e.Connect(t, s).IncrementalReconfig(nil, []string{"3"}, -1); !errors.Is(err, zk.ErrNoAuth) {
			t.Errorf("server %d: without permission: %v", s.ID, err)
		}
		if now := stat(); now != version {
			t.Errorf("server %d: the configuration is %x after refusals", s.ID, now)
		}
	}
	// The guard lets through what expects the right version, and the watch fires. (A leader that
	// left would take the connections with it.)
	other := e.Followers(t)[0]
	conn := super(t, e, e.Leader(t))
	_, stat, events, err := conn.GetW("/zookeeper/config")
	must(t, err)
	changed, err := conn.IncrementalReconfig([]string{other.Spec("observer")}, nil, stat.Mzxid)
	must(t, err)
	if ev := next(t, events); ev.Type != zk.EventNodeDataChanged || ev.Path != "/zookeeper/config" {
		t.Errorf("event %+v", ev)
	}
	if changed.Version != -1 || changed.Mzxid <= stat.Mzxid {
		t.Errorf("stat %+v after %+v", changed, stat)
	}
	// A client that has not heard of it yet changes nothing.
	if _, err := conn.IncrementalReconfig([]string{other.Spec("participant")}, nil, stat.Mzxid); !errors.Is(err, zk.ErrBadVersion) {
		t.Errorf("with the version before: %v", err)
	}
}

// TestReconfigRefused: switched off it is ReconfigDisabled, on a standalone server Unimplemented.
func TestReconfigRefused(t *testing.T) {
	e := zktest.Start(t, 3)
	for _, s := range e.Servers() {
		_, err := e.Connect(t, s).IncrementalReconfig(nil, []string{"3"}, -1)
		if !errors.Is(err, zk.ErrReconfigDisabled) {
			t.Errorf("server %d: %v", s.ID, err)
		}
	}
	alone := zktest.Start(t, 1, zktest.Set("reconfigEnabled", "true"))
	if _, err := alone.Connect(t).IncrementalReconfig(nil, []string{"3"}, -1); err == nil || !strings.Contains(err.Error(), "-6") {
		t.Errorf("standalone: %v", err)
	}
}

// TestRolesSwitch turns a follower into an observer and back; as an observer it does not count.
func TestRolesSwitch(t *testing.T) {
	e := zktest.Start(t, 3, changeable()...)
	s := e.Followers(t)[0]
	leader := e.Leader(t)
	conn := super(t, e, leader)
	text := change(t, conn, []string{s.Spec("observer")}, nil)
	if !strings.Contains(roles(t, text), strconv.Itoa(s.ID)+"o") {
		t.Fatalf("members %s", roles(t, text))
	}
	zktest.Eventually(t, "the follower observes", func() error {
		if n := s.Node(); n.Status().State.String() != "OBSERVING" || !n.Serving() {
			return fmt.Errorf("%v", n.Status().State)
		}
		return nil
	})
	persist(t, e.Connect(t, s), "/observed", nil)
	text = change(t, conn, []string{s.Spec("participant")}, nil)
	if got := roles(t, text); got != "1p 2p 3p" {
		t.Fatalf("members %s", got)
	}
	e.WaitServing(t)
	// It counts again: the ensemble lives on without the other follower.
	for _, other := range e.Followers(t) {
		if other != s {
			other.Kill(t)
		}
	}
	persist(t, e.Connect(t, leader, s), "/voted", nil)
}

// TestRemovedObserverJoins: an observer that leaves the list follows on without a vote, and can be counted when it is
// to become a voter, although nobody restarts it.
func TestRemovedObserverJoins(t *testing.T) {
	e := zktest.Start(t, 3, changeable()...)
	leader, s := e.Leader(t), e.Followers(t)[0]
	conn := super(t, e, leader)
	change(t, conn, []string{s.Spec("observer"), e.Followers(t)[1].Spec("observer")}, nil)
	change(t, conn, nil, []string{strconv.Itoa(s.ID)})
	text := change(t, conn, []string{s.Spec("participant")}, nil) // a quorum of two is both
	if got := strings.Count(roles(t, text), "p"); got != 2 {
		t.Fatalf("members %s", roles(t, text))
	}
	e.WaitServing(t)
	persist(t, conn, "/two", nil)
	e.WaitEqual(t)
}

// TestClientPortMoves: a configuration that gives a server another client port has it listen there;
// connections stay.
func TestClientPortMoves(t *testing.T) {
	e := zktest.Start(t, 4, changeable(zktest.Spares(1))...)
	s := e.Server(2)
	there := e.Connect(t, s)
	free := e.Server(4).Addr()
	spec, _, _ := strings.Cut(s.Spec("participant"), ";")
	change(t, super(t, e, e.Server(1)), []string{spec + ";" + free}, nil)
	zktest.Eventually(t, "the port moves", func() error {
		if at := s.Node().ClientAddr().String(); at != free {
			return fmt.Errorf("still at %s", at)
		}
		return nil
	})
	id := there.SessionID()
	persist(t, there, "/still", nil)
	if there.SessionID() != id {
		t.Error("the connection did not stay")
	}
	moved, events, err := zk.Connect([]string{free}, 10_000_000_000, zk.WithLogger(quiet{}))
	must(t, err)
	defer moved.Close()
	for ev := range events {
		if ev.State == zk.StateHasSession {
			break
		}
	}
	if ok, _, err := moved.Exists("/still"); err != nil || !ok {
		t.Errorf("at the new port: %v, %v", ok, err)
	}
}

// TestAwayWhileEverythingChanged: a server that was away finds its way to a leader that it had
// never heard of, by what others know of the configuration (spec zab-and-election 3.7, hazard H-83).
func TestAwayWhileEverythingChanged(t *testing.T) {
	e := zktest.Start(t, 5, changeable(zktest.Spares(2))...)
	away := e.Followers(t)[0]
	away.Kill(t)
	var rest []*zktest.Server
	for _, s := range e.Servers()[:3] {
		if s != away {
			rest = append(rest, s)
		}
	}
	conn := super(t, e, rest...)
	for _, id := range []int{4, 5} {
		e.Server(id).Enlist(t, "observer", e.Servers()[:3]...)
		change(t, conn, []string{e.Server(id).Spec("participant")}, nil)
	}
	// The leader goes for good, whoever it is; those that are left lead on.
	old := e.Leader(t)
	conn = super(t, e, slices.DeleteFunc([]*zktest.Server{rest[0], rest[1], e.Server(4), e.Server(5)}, func(s *zktest.Server) bool { return s == old })...)
	change(t, conn, nil, []string{strconv.Itoa(old.ID)})
	old.Stop(t)
	persist(t, conn, "/without-the-old", nil)
	away.Restart(t)
	e.WaitServing(t)
	e.WaitEqual(t)
	holds(t, e, away, []string{"/without-the-old"})
}

// TestJoinersFormNoEnsembleWithALivingMember: two new servers whose files list them and one that lives elsewhere
// as voters take nothing from where that one lives (hazard H-79). Properly enlisted they join.
func TestJoinersFormNoEnsembleWithALivingMember(t *testing.T) {
	e := zktest.Start(t, 5, changeable(zktest.Spares(2))...)
	old := e.Servers()[:3]
	persist(t, e.Connect(t, old...), "/before", nil)
	d, f := e.Server(4), e.Server(5)
	d.Enlist(t, "participant", old[2], f)
	f.Enlist(t, "participant", old[2], d)
	// Two of the three that live restart in front of them.
	for _, s := range old[1:] {
		s.Kill(t)
	}
	for _, s := range old[1:] {
		s.Restart(t)
	}
	zktest.Eventually(t, "the living serve again", func() error {
		for _, s := range old {
			if !s.Node().Serving() {
				return fmt.Errorf("server %d does not serve", s.ID)
			}
		}
		return nil
	})
	conn := super(t, e, old...)
	persist(t, conn, "/after", nil)
	data, _, err := conn.Get("/zookeeper/config")
	must(t, err)
	if got := roles(t, string(data)); got != "1p 2p 3p" {
		t.Errorf("members %s", got)
	}
	for _, s := range old {
		holds(t, e, s, []string{"/before", "/after"})
	}
	for _, s := range []*zktest.Server{d, f} {
		s.Stop(t)
		s.Wipe(t)
		s.Enlist(t, "observer", old...)
		change(t, conn, []string{s.Spec("participant")}, nil)
	}
	e.WaitServing(t)
	e.WaitEqual(t)
}

// Changes that follow one another at once are not refused: nobody has to wait for what the servers tell
// each other behind a change.
func TestChangesInARow(t *testing.T) {
	e := zktest.Start(t, 3, changeable()...)
	leader, follower := e.Leader(t), e.Followers(t)[0]
	e.WaitServing(t)
	conn := super(t, e, leader)
	for range 10 {
		_, err := conn.IncrementalReconfig(nil, []string{strconv.Itoa(follower.ID)}, -1)
		must(t, err)
		_, err = conn.IncrementalReconfig([]string{follower.Spec("participant")}, nil, -1)
		must(t, err)
	}
	e.WaitServing(t)
	e.WaitEqual(t)
}

// Who removes the server that answers, the leader or a follower, hears that it was done.
func TestWhoIsRemovedAnswers(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			e := zktest.Start(t, 3, changeable()...)
			for range 5 {
				e.WaitServing(t)
				out := e.Leader(t)
				others := e.Followers(t)
				if role == "follower" {
					out, others[0] = others[0], out
				}
				_, err := super(t, e, out).IncrementalReconfig(nil, []string{strconv.Itoa(out.ID)}, -1)
				must(t, err)
				change(t, super(t, e, others...), []string{out.Spec("participant")}, nil)
			}
		})
	}
}
