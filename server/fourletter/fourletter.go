package fourletter

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// words are all commands of ZooKeeper 3.9; telnetBreak is what a telnet client sends
// when it is interrupted.
var words = []string{
	"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
	"srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
}

// cheap are the words that cost and tell little. cons is none of them: it names sessions, and
// whoever knows the id of a session can take it over.
var cheap = []string{"conf", "dirs", "isro", "mntr", "ruok", "srvr", "stat"}

// WordLen is the length of every word.
const WordLen = 4

const telnetBreak = "\xff\xf4\xff\xfd"

// Word returns the command that the first four bytes of a connection are, "" if they
// are none and thus a length.
func Word(b [4]byte) string {
	if w := string(b[:]); w == telnetBreak || slices.Contains(words, w) {
		return w
	}
	return ""
}

// CheapWord reports whether a word is answered without cost that matters and tells no secrets, the default of
// what may be executed.
func CheapWord(word string) bool { return slices.Contains(cheap, word) }

// Version returns the full version line, revision being 40 hex digits: ZooKeeper's number, as
// monitoring tools and admin clients check it.
func Version(revision string, built time.Time) string {
	return fmt.Sprintf("3.9.5-%s, built on %s UTC", revision, built.UTC().Format("01/02/2006 15:04"))
}

const notServing = "This ZooKeeper instance is not currently serving requests"

// Answer writes the answer to word, which Word has recognised. allowed is what the whitelist
// says. The error is that of w, which gets the answer in pieces; it ends the answer.
func Answer(w io.Writer, word string, allowed bool, src Source) error {
	t := &text{out: w}
	switch {
	case word == telnetBreak:
	case !allowed:
		t.add(word + " is not executed because it is not in the whitelist.\n")
	default:
		r := src.Report()
		if !always(t, word, &r, src) {
			serving(t, word, &r, src)
		}
	}
	return t.end()
}

// suspended says why a server that has a role does not serve.
func suspended(t *text, word string, r *Report) {
	switch {
	case r.Suspended == "":
	case word == "mntr":
		for _, m := range r.Divergence {
			t.printf("zk_%s\t%s\n", m.Name, m.Value)
		}
	default:
		t.add(r.Suspended + "\n")
	}
}

// always answers what may be asked of a server that serves nobody, and refuses the other words
// of such a server. It returns false if there is something left to say.
func always(t *text, word string, r *Report, src Source) bool {
	switch word {
	case "ruok":
		t.add("imok")
	case "envi":
		t.buf = appendEnvironment(t.buf, r.Version)
	case "gtmk":
		t.printf("%d", src.TraceMask())
	case "stmk":
		if mask, ok := src.SetTraceMask(); ok {
			t.printf("%d", mask)
		}
	case "isro":
		switch {
		case !r.Serving:
			t.add("null")
		case r.ReadOnly:
			t.add("ro")
		default:
			t.add("rw")
		}
	default:
		if r.Serving {
			return false
		}
		t.add(notServing)
		if word != "hash" {
			t.add("\n")
			suspended(t, word, r)
		}
	}
	return true
}

// serving answers what only a server that serves clients can tell.
func serving(t *text, word string, r *Report, src Source) {
	switch word {
	case "srvr", "stat":
		server(t, r, src, word == "stat")
	case "mntr":
		t.buf = appendMonitor(t.buf, r, src.Metrics())
	case "conf":
		c := src.Conf()
		t.buf = appendConf(t.buf, &c)
	case "dirs":
		c := src.Conf()
		t.printf("datadir_size: %d\nlogdir_size: %d\n", c.DataDirSize, c.DataLogSize)
	case "cons":
		clients(t, src, true)
	case "dump":
		dump(t, src)
	case "wchs":
		n := src.WatchCounts()
		t.printf("%d connections watching %d paths\nTotal watches:%d\n", n.Connections, n.Paths, n.Watches)
	case "wchc", "wchp":
		watches(t, src, word == "wchp")
	case "crst":
		src.ResetClients()
		t.add("Connection stats reset.\n")
	case "srst":
		src.ResetStats()
		t.add("Server stats reset.\n")
	case "hash": // there is no log of digests: it is empty
	}
}

func server(t *text, r *Report, src Source, withClients bool) {
	t.printf("Zookeeper version: %s\n", r.Version)
	if r.ReadOnly {
		t.add("READ-ONLY mode; serving only read-only clients\n")
	}
	if withClients {
		t.add("Clients:\n")
		clients(t, src, false)
	}
	t.printf("Latency min/avg/max: %d/%s/%d\n", r.LatencyMin, Float(r.LatencyAvg), r.LatencyMax)
	t.printf("Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n", r.Received, r.Sent, r.Connections, r.Outstanding)
	t.printf("Zxid: 0x%x\nMode: %s\nNode count: %d\n", uint64(r.Zxid), r.Mode, r.Nodes+1)
	if r.Leader {
		t.printf("Proposal sizes last/min/max: %d/%d/%d\n", r.LastProposal, r.MinProposal, r.MaxProposal)
	}
}

func appendMonitor(b []byte, r *Report, metrics []Metric) []byte {
	b = fmt.Appendf(b, "zk_version\t%s\nzk_server_state\t%s\n", r.Version, r.Mode)
	if r.Peer != "" {
		b = fmt.Appendf(b, "zk_peer_state\t%s\n", r.Peer)
	}
	for _, m := range metrics {
		b = fmt.Appendf(b, "zk_%s\t%s\n", m.Name, m.Value)
	}
	return b
}

func appendConf(b []byte, c *Conf) []byte {
	b = fmt.Appendf(b, "clientPort=%d\nsecureClientPort=%d\n", c.ClientPort, c.SecureClientPort)
	b = fmt.Appendf(b, "dataDir=%s\ndataDirSize=%d\ndataLogDir=%s\ndataLogSize=%d\n",
		c.DataDir, c.DataDirSize, c.DataLogDir, c.DataLogSize)
	b = fmt.Appendf(b, "tickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\n",
		c.TickTimeMs, c.MaxClientCnxns, c.MinSessionTimeoutMs, c.MaxSessionTimeoutMs)
	b = fmt.Appendf(b, "clientPortListenBacklog=%d\nserverId=%d\n", c.ListenBacklog, c.ServerID)
	if !c.Ensemble {
		return b
	}
	peerType := 0
	if c.Observer {
		peerType = 1
	}
	b = fmt.Appendf(b, "initLimit=%d\nsyncLimit=%d\nelectionAlg=%d\nelectionPort=%s\nquorumPort=%s\npeerType=%d\n",
		c.InitLimit, c.SyncLimit, c.ElectionAlg, c.ElectionPort, c.QuorumPort, peerType)
	if len(c.Membership) == 0 {
		return b
	}
	b = append(b, "membership: \n"...)
	for _, line := range c.Membership {
		b = append(append(b, line...), '\n')
	}
	return fmt.Appendf(b, "version=%x", uint64(c.MembershipVersion))
}

// Float prints v as ZooKeeper prints its averages: at most four decimals, at least one.
func Float(v float64) string {
	s := strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
