package fourletter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/server/fourletter"
)

// report is a follower with one client.
func report() fourletter.Report {
	return fourletter.Report{
		Version: fourletter.Version(strings.Repeat("ab", 20), time.Date(2026, 11, 22, 9, 5, 0, 0, time.UTC)),
		Serving: true, Mode: "follower", Peer: "following - broadcast",
		LatencyAvg: 2.81824, LatencyMax: 10, Received: 16, Sent: 15, Connections: 3,
		Zxid: 0x200000006, Nodes: 8,
		LastProposal: 70, MinProposal: 48, MaxProposal: 105,
		Clients: []fourletter.Client{
			{Address: "127.0.0.1:55954", Received: 1},
			{Address: "127.0.0.1:51366", Interest: 1, Queued: 2, Received: 5, Sent: 4},
		},
		Metrics: []fourletter.Metric{{Name: "avg_latency", Value: "2.8182"}, {Name: "znode_count", Value: "9"}},
	}
}

// TestWords runs testdata: the command is the word, its arguments change the report.
func TestWords(t *testing.T) {
	datadriven.RunTest(t, "testdata/words", func(t *testing.T, d *datadriven.TestData) string {
		r := report()
		conf := fourletter.Conf{
			ClientPort: 2181, SecureClientPort: -1, DataDir: "/data/version-2", DataLogDir: "/log/version-2",
			DataDirSize: 12, DataLogSize: 34, TickTimeMs: 2000, MaxClientCnxns: 60, MinSessionTimeoutMs: 4000,
			MaxSessionTimeoutMs: 40000, ListenBacklog: -1, ServerID: 1,
		}
		switch mode := ""; {
		case d.HasArg("down"):
			r.Serving = false
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
		out := fourletter.Answer(d.Cmd, !d.HasArg("forbidden"),
			func() fourletter.Report { return r }, func() fourletter.Conf { return conf })
		return string(out) + "|\n"
	})
}

func TestEveryWordIsRecognised(t *testing.T) {
	for word := range strings.FieldsSeq("conf cons crst dirs dump envi gtmk ruok stmk srst srvr stat wchc wchp wchs mntr isro hash") {
		if fourletter.Word([4]byte([]byte(word))) != word {
			t.Errorf("%s is taken for a length", word)
		}
	}
	brk := [4]byte{0xff, 0xf4, 0xff, 0xfd}
	if w := fourletter.Word(brk); w == "" || len(fourletter.Answer(w, true, nil, nil)) != 0 {
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
	r := report()
	r.Serving = false
	answer := func(allowed bool) string {
		return string(fourletter.Answer("envi", allowed, func() fourletter.Report { return r }, nil))
	}
	if got := answer(false); !strings.Contains(got, "not in the whitelist") {
		t.Errorf("envi that is not allowed: %q", got)
	}
	if fourletter.CheapWord("envi") {
		t.Error("envi tells paths and names: it may not be allowed by default")
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
	if lines[0] != "Environment:" || lines[1] != "zookeeper.version="+r.Version || lines[len(lines)-1] != "" {
		t.Errorf("envi begins with %q and %q and ends with %q", lines[0], lines[1], lines[len(lines)-1])
	}
}
