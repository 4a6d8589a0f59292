package fourletter_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
)

// source is a follower with three connections, as a ZooKeeper 3.9.5 showed itself.
type source struct {
	report       fourletter.Report
	conf         fourletter.Conf
	local, leads bool
	clients      []fourletter.Client
	stats, crst  int // resets
	mask         int64
	maskSent     bool
	ephemerals   int // beside those of ZooKeeper
	failed       int // pieces that could not be sent
}

const (
	first  proto.SessionID = 0x1000168baaf0000
	second proto.SessionID = 0x1000168baaf0001
)

func newSource() *source {
	return &source{
		report: fourletter.Report{
			Version: fourletter.Version(strings.Repeat("ab", 20), time.Date(2026, 11, 22, 9, 5, 0, 0, time.UTC)),
			Serving: true, Mode: "follower", Peer: "following - broadcast",
			LatencyAvg: 2.81824, LatencyMax: 10, Received: 16, Sent: 15, Connections: 3,
			Zxid: 0x200000006, Nodes: 8,
			LastProposal: 70, MinProposal: 48, MaxProposal: 105,
		},
		conf: fourletter.Conf{
			ClientPort: 2181, SecureClientPort: -1, DataDir: "/data/version-2", DataLogDir: "/log/version-2",
			DataDirSize: 12, DataLogSize: 34, TickTimeMs: 2000, MaxClientCnxns: 60, MinSessionTimeoutMs: 4000,
			MaxSessionTimeoutMs: 40000, ListenBacklog: -1, ServerID: 1,
		},
		clients: []fourletter.Client{
			{
				Address: "127.0.0.1:49346", Interest: 1, Received: 5, Sent: 5, Session: second, Op: "ADDW",
				EstablishedMs: 1795383699262, TimeoutMs: 20000, Cxid: 0x14, Zxid: 6, AnsweredMs: 23681227,
				LatencyLast: 1, LatencyAvg: 21, LatencyMax: 64,
			},
			{Address: "127.0.0.1:42428", Received: 1, Op: "GETD", Cxid: 3},
			{
				Address: "127.0.0.1:49336", Interest: 5, Queued: 2, Session: first, Op: fourletter.Operation(0),
				EstablishedMs: 1795383698753, TimeoutMs: 10000, Cxid: -1, Zxid: -1,
			},
		},
		mask: 306,
	}
}

func (s *source) Report() fourletter.Report { return s.report }

func (s *source) Conf() fourletter.Conf { return s.conf }

func (s *source) Metrics() []fourletter.Metric {
	return []fourletter.Metric{{Name: "avg_latency", Value: "2.8182"}, {Name: "znode_count", Value: "9"}}
}

func (s *source) Clients(yield func(*fourletter.Client) bool) {
	for i := range s.clients {
		if !yield(&s.clients[i]) {
			return
		}
	}
}

func at(second int) time.Time { return time.Date(2026, 11, 2, 9, 5, second, 0, time.UTC) }

func (s *source) Sessions() fourletter.Sessions {
	out := fourletter.Sessions{HasLocal: s.local, Leads: s.leads}
	if s.local {
		out.Local = []fourletter.Due[proto.SessionID]{{At: at(1), Things: []proto.SessionID{0x100016aa4a50000}}}
	}
	if s.leads {
		out.Global = []fourletter.Due[proto.SessionID]{
			{At: at(2), Things: []proto.SessionID{first}}, {At: at(12), Things: []proto.SessionID{second, -1}},
		}
		return out
	}
	out.Timeouts = []fourletter.Timeout{{Session: first, TimeoutMs: 10000}, {Session: second, TimeoutMs: 20000}}
	return out
}

func (s *source) Owners() int { return 2 }

func (s *source) Ephemerals(yield func(owner proto.SessionID, path string) bool) {
	for _, path := range []string{"/app/e", "/app/g"} {
		yield(first, path)
	}
	for yield(second, "/app/f0000000001") && s.ephemerals > 0 {
		s.ephemerals--
	}
}

func (s *source) Connections() []fourletter.Due[fourletter.Connection] {
	return []fourletter.Due[fourletter.Connection]{
		{At: at(59), Things: []fourletter.Connection{{Address: "127.0.0.1:42448"}, {Address: "127.0.0.1:49336", Session: first}}},
	}
}

func (s *source) WatchCounts() fourletter.WatchCounts {
	return fourletter.WatchCounts{Connections: 2, Paths: 4, Watches: 5}
}

func (s *source) Watches(byPath bool, yield func(*fourletter.WatchLine) bool) {
	app, nope := fourletter.WatchLine{IsPath: true, Path: "/app/e"}, fourletter.WatchLine{IsPath: true, Path: "/nope"}
	one, two := fourletter.WatchLine{Session: first}, fourletter.WatchLine{Session: second}
	lines := []fourletter.WatchLine{one, app, nope, two, app}
	if byPath {
		lines = []fourletter.WatchLine{app, one, two, nope, one}
	}
	for i := range lines {
		yield(&lines[i])
	}
}

func (s *source) ResetStats() { s.stats++ }

func (s *source) ResetClients() { s.crst++ }

func (s *source) TraceMask() int64 { return s.mask }

func (s *source) SetTraceMask() (int64, bool) { return -5, s.maskSent }

// Write fails when there is nothing left to be sent to.
func (s *source) Write([]byte) (int, error) {
	s.failed++
	return 0, io.ErrClosedPipe
}

// answer returns what a word is answered with.
func (s *source) answer(tb testing.TB, word string, allowed bool) string {
	tb.Helper()
	var out strings.Builder
	if err := fourletter.Answer(&out, word, allowed, s); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

// TestWords runs testdata: the command is the word, its arguments change the report.
func TestWords(t *testing.T) {
	datadriven.RunTest(t, "testdata/words", func(t *testing.T, d *datadriven.TestData) string {
		src := newSource()
		r, conf := &src.report, &src.conf
		src.local, src.leads, src.maskSent = d.HasArg("local"), d.HasArg("leads"), d.HasArg("mask")
		switch mode := ""; {
		case d.HasArg("down"):
			r.Serving = false
		case d.HasArg("suspended"):
			r.Serving, r.Suspended = false, "the tree is in doubt"
			r.Divergence = []fourletter.Metric{{Name: "digest_mismatches_count", Value: "2"}, {Name: "diverged", Value: "1"}}
		case d.HasArg("ro") && !d.HasArg("ensemble"):
			r.ReadOnly, r.Mode = true, "read-only"
		case d.HasArg("ensemble"):
			conf.Ensemble, conf.InitLimit, conf.SyncLimit, conf.ElectionAlg = true, 10, 5, 3
			conf.ElectionPort, conf.QuorumPort = "3888", "2888"
			conf.Membership = []string{"server.1=a:2888:3888:participant;0.0.0.0:2181"}
			conf.MembershipVersion = 0x100000000
			if d.HasArg("ro") {
				conf.Membership = nil
			}
		default:
			d.MaybeScanArgs(t, "mode", &mode)
			if mode != "" {
				r.Mode, r.Leader, r.Peer = mode, mode == "leader", ""
			}
		}
		var word [4]byte
		copy(word[:], d.Cmd)
		if fourletter.Word(word) != d.Cmd {
			return "no word\n"
		}
		out := src.answer(t, d.Cmd, !d.HasArg("forbidden"))
		if src.stats+src.crst > 0 {
			out += fmt.Sprintf("(%d, %d)", src.stats, src.crst)
		}
		return out + "|\n"
	})
}

func TestEveryWordIsRecognised(t *testing.T) {
	for word := range strings.FieldsSeq("conf cons crst dirs dump envi gtmk ruok stmk srst srvr stat wchc wchp wchs mntr isro hash") {
		if fourletter.Word([4]byte([]byte(word))) != word {
			t.Errorf("%s is taken for a length", word)
		}
	}
	brk := [4]byte{0xff, 0xf4, 0xff, 0xfd}
	if w := fourletter.Word(brk); w == "" || newSource().answer(t, w, true) != "" {
		t.Errorf("an interrupted telnet is to be closed without an answer")
	}
	if w := fourletter.Word([4]byte{0, 0, 0, 0x2d}); w != "" {
		t.Errorf("the length 45 is taken for the word %q", w)
	}
}

func TestFloat(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 3: "3.0", 2.81824: "2.8182", 0.00004: "0.0", 12.5: "12.5"} {
		if got := fourletter.Float(v); got != want {
			t.Errorf("Float(%v) = %s, want %s", v, got, want)
		}
	}
}

func ExampleVersion() {
	fmt.Println(fourletter.Version(strings.Repeat("0", 40), time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)))
	// Output: 3.9.5-0000000000000000000000000000000000000000, built on 01/31/2026 23:59 UTC
}

// The environment is that of the machine, so only its shape is fixed: kazoo takes the version from
// it, also from a server that is not serving.
func TestEnvironment(t *testing.T) {
	src := newSource()
	src.report.Serving = false
	answer := func(allowed bool) string { return src.answer(t, "envi", allowed) }
	if got := answer(false); !strings.Contains(got, "not in the whitelist") {
		t.Errorf("envi that is not allowed: %q", got)
	}
	for _, word := range []string{"envi", "cons", "dump", "wchc", "srst", "stmk"} {
		if fourletter.CheapWord(word) {
			t.Errorf("%s tells or changes too much to be allowed by default", word)
		}
	}
	lines := strings.Split(answer(true), "\n")
	var keys []string
	for _, line := range lines[1 : len(lines)-1] {
		key, value, ok := strings.Cut(line, "=")
		if !ok || value == "" {
			t.Errorf("the line %q is no key with a value", line)
		}
		keys = append(keys, key)
	}
	const want = "zookeeper.version host.name java.version java.vendor java.home java.class.path java.library.path " +
		"java.io.tmpdir java.compiler os.name os.arch os.version user.name user.home user.dir os.memory.free os.memory.max " +
		"os.memory.total go.version server.product"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("keys\n%s\nwant\n%s", got, want)
	}
	if lines[0] != "Environment:" || lines[1] != "zookeeper.version="+src.report.Version || lines[len(lines)-1] != "" {
		t.Errorf("envi begins with %q and %q and ends with %q", lines[0], lines[1], lines[len(lines)-1])
	}
}

// An answer that is too long to be held goes out in pieces, and one that nobody takes is not made to its end.
func TestLongAnswers(t *testing.T) {
	src := newSource()
	src.ephemerals = 100_000
	var sizes []int
	var whole strings.Builder
	err := fourletter.Answer(writer(func(b []byte) (int, error) {
		sizes = append(sizes, len(b))
		return whole.Write(b)
	}), "dump", true, src)
	if err != nil || slices.Max(sizes) > 64<<10 || len(sizes) < 10 {
		t.Errorf("%v, and pieces of up to %d bytes", err, slices.Max(sizes))
	}
	if n := strings.Count(whole.String(), "\t/app/f0000000001\n"); n != 100_001 {
		t.Errorf("%d ephemerals", n)
	}
	src.ephemerals = 100_000
	if err := fourletter.Answer(src, "dump", true, src); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the error of a client that left: %v", err)
	}
	if src.failed != 1 || src.ephemerals < 90_000 {
		t.Errorf("%d pieces for a client that has left, with %d ephemerals to come", src.failed, src.ephemerals)
	}
}

type writer func([]byte) (int, error)

func (f writer) Write(b []byte) (int, error) { return f(b) }
